/* What people type to name what they mean, and what to tell them when there is no such thing. */
#include "target.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"

#include <stdio.h>
#include <string.h>

#define NAMES_SHOWN 8
#define SHOWN_SIZE  128

bool target_is_string(const char *target)
{
    return strstr(target, "://") || strchr(target, '=') || strncmp(target, "jdbc:", 5) == 0;
}

bool target_is_address(const char *target)
{
    const char *host = strrchr(target, '@'), *end;
    size_t digits;

    host = host ? host + 1 : target;
    if (strpbrk(target, " \t\n") || target_is_string(target))
        return false;
    end = *host == '[' ? strchr(host, ']') : host + strcspn(host, ":/");
    if (!end || end == host)
        return false;
    end += *host == '[';
    if (*end != ':')
        return false;
    digits = strspn(end + 1, "0123456789");
    end += 1 + digits;
    return digits > 0 && digits <= 5 && (*end == '\0' || *end == '/' || *end == '?');
}

bool target_means(const char *target, const struct server *s)
{
    size_t len = strlen(s->cluster);

    if (strcmp(target, s->name) == 0)
        return true;
    return strncmp(target, s->cluster, len) == 0 &&
           (target[len] == '\0' ||
            (target[len] == '/' && strcmp(target + len + 1, s->endpoint) == 0));
}

/* --- what there is instead -------------------------------------------------------------------- */

static bool is_of_cluster(const char *target, const struct endpoint *e)
{
    size_t len = strlen(e->cluster);

    return strncmp(target, e->cluster, len) == 0 && target[len] == '/';
}

/* What the target may have been meant to be: one of the endpoints, or without a "/" one of the
 * clusters. NULL when nothing is like it, or without memory. */
static const char *find_nearest(const char *target, const struct endpoint_set *set,
                                struct arena *arena)
{
    const char **names = arena_alloc(arena, (set->n_endpoints + 1) * sizeof *names);
    bool whole = strchr(target, '/') != NULL;
    size_t n = 0;

    for (size_t i = 0; names && i < set->n_endpoints; i++) {
        const struct endpoint *e = &set->endpoints[i];

        names[n] = whole ? arena_printf(arena, "%s/%s", e->cluster, e->name) : e->cluster;
        n += names[n] != NULL;
    }
    return n > 0 ? str_nearest(target, names, n) : NULL;
}

static void say_cleaned(const char *format, const char *name)
{
    char shown[SHOWN_SIZE];

    str_clean(shown, sizeof shown, name, strlen(name));
    fprintf(stderr, "%s%s", format, shown);
}

/* The endpoints of the target's cluster, or the clusters if it has none of this name. */
static void say_what_there_is(const char *target, const struct endpoint_set *set)
{
    bool endpoints = false;
    size_t n = 0;

    for (size_t i = 0; i < set->n_endpoints; i++)
        endpoints |= is_of_cluster(target, &set->endpoints[i]);
    fputs(endpoints ? "; that cluster has " : "; its clusters are ", stderr);
    for (size_t i = 0; i < set->n_endpoints; i++) {
        const struct endpoint *e = &set->endpoints[i];

        if (endpoints ? !is_of_cluster(target, e)
                      : i > 0 && strcmp(e->cluster, set->endpoints[i - 1].cluster) == 0)
            continue;
        if (n++ == NAMES_SHOWN) {
            fputs(" … (`pgtls_exporter list` shows them all)", stderr);
            break;
        }
        say_cleaned(n == 1 ? "" : ", ", endpoints ? e->name : e->cluster);
    }
    fputc('\n', stderr);
}

void target_say_unknown(const char *target, const struct endpoint_set *set)
{
    struct arena *arena = arena_new();
    const char *nearest = arena ? find_nearest(target, set, arena) : NULL;

    if (target_is_string(target) || strchr(target, '@')) { /* a password may be in it */
        fputs("pgtls_exporter: with a configuration it is CLUSTER or CLUSTER/ENDPOINT that is "
              "named, not a connection string\n",
              stderr);
        arena_free(arena);
        return;
    }
    say_cleaned("pgtls_exporter: the configuration has no \"", target);
    fputc('"', stderr);
    if (nearest) {
        say_cleaned("; did you mean \"", nearest);
        fputs("\"?\n", stderr);
    } else {
        say_what_there_is(target, set);
    }
    if (target_is_address(target))
        fputs("A server that is not in it is probed without --config.file.\n", stderr);
    arena_free(arena);
}
