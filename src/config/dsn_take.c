/* What becomes of a parameter: by its dialect's rule if there is one, else as libpq's keyword of
 * that name, else as the dialect treats what it does not know. */
#include "dsn_reader.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"
#include "pgtls/config/dsn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *driver(const struct dsn_reader *r)
{
    return dsn_dialect(r->dsn->dialect)->name;
}

/* Each text once. */
__attribute__((format(printf, 2, 3))) static bool notice(struct dsn_reader *r, const char *format,
                                                         ...)
{
    struct dsn *dsn = r->dsn;
    char text[512];
    const char *kept;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (size_t i = 0; i < dsn->n_notices; i++) {
        if (strcmp(dsn->notices[i], text) == 0)
            return true;
    }
    kept = arena_strdup(r->arena, text);
    if (!kept)
        return dsn_fail(r, NULL, DSN_NO_MEMORY);
    if (dsn->n_notices < DSN_MAX_NOTICES)
        dsn->notices[dsn->n_notices++] = kept;
    return true;
}

static bool apply(struct dsn_reader *r, const char *at, const struct dsn_rule *rule,
                  const char *value)
{
    const char *as = rule->as ? rule->as : value;

    switch (rule->fate) {
    case DSN_TAKEN:
        if (rule->key)
            dsn_set(r->dsn, rule->key, as);
        return true;
    case DSN_WARNED:
        dsn_set(r->dsn, rule->key, as);
        return notice(r, "%s: \"%s\": %s", driver(r), rule->name, rule->note);
    case DSN_DROPPED:
        return notice(r, "%s: \"%s\": %s", driver(r), rule->name, rule->note);
    case DSN_FORBIDDEN:
        return dsn_fail(r, at, "%s: \"%s\": %s", driver(r), rule->name, rule->note);
    case DSN_HOSTS:
        if (!r->hosts_of_parameter) { /* they replace those before the database */
            dsn_unset(r->dsn, "host");
            buf_reset(&r->host_ports);
        }
        r->hosts_of_parameter = true;
        return dsn_take_hosts(r, at, value);
    case DSN_UNLESS:
    case DSN_UNVERIFIED:
        break;
    }
    if (r->n_later < DSN_MAX_LATER)
        r->later[r->n_later++] = rule;
    return true;
}

#define MAX_SHOWN_NAME 40

/* May this unknown name be shown? Not behind a password, which an unquoted space or "&" may have
 * cut in two, nor before an "@", where it may be the password of a URI. */
static bool is_surely_a_name(const struct dsn_reader *r, const char *at, const char *word)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";
    const struct dsn *dsn = r->dsn;
    size_t len = strlen(word);

    if (len == 0 || len > MAX_SHOWN_NAME || strspn(word, letters) != len || !r->start)
        return false;
    return !strchr(at, '@') && (dsn->n == 0 || !strstr(dsn->params[dsn->n - 1].key, "password"));
}

/* Nobody knows it. */
static bool unknown(struct dsn_reader *r, const char *at, const char *name)
{
    const struct dsn_dialect_row *dialect = dsn_dialect(r->dsn->dialect);
    const char *nearest = dsn_nearest_name(r->dsn->dialect, name);
    size_t place = r->start ? (size_t)(at - r->start) + 1 : 0;
    char shown[MAX_SHOWN_NAME + 4] = "";

    if (is_surely_a_name(r, at, name))
        snprintf(shown, sizeof shown, " \"%s\"", name);
    if (r->dsn->dialect == DSN_JDBC) /* no reason to stop for the driver */
        return notice(r, "%s: at byte %zu: unknown property%s; the driver %s%s%s%s", dialect->name,
                      place, shown, dialect->unknown, nearest ? "; did you mean \"" : "",
                      nearest ? nearest : "", nearest ? "\" (case matters)?" : "");
    if (nearest)
        return dsn_fail(r, at, "unknown parameter%s; did you mean \"%s\"?", shown, nearest);
    if (r->dsn->dialect == DSN_LIBPQ)
        return dsn_fail(r, at, "unknown parameter%s; libpq has none of this name", shown);
    return dsn_fail(r, at, "unknown parameter%s; %s %s", shown, dialect->name, dialect->unknown);
}

/* libpq's keyword, and the dialect has no rule for it. */
static bool take_keyword(struct dsn_reader *r, const struct dsn_keyword *keyword, const char *value)
{
    const struct dsn_dialect_row *dialect = dsn_dialect(r->dsn->dialect);

    dsn_set(r->dsn, keyword->name, value);
    if (r->dsn->dialect == DSN_LIBPQ || r->dsn->dialect == DSN_PSYCOPG)
        return true;
    return notice(r, "%s: \"%s\": libpq's; this driver %s; here it is read as libpq reads it",
                  dialect->name, keyword->name, dialect->unknown);
}

bool dsn_take(struct dsn_reader *r, const char *at, const char *name, const char *value)
{
    const struct dsn_rule *rule;
    const struct dsn_keyword *keyword;

    if (!value)
        return dsn_fail(r, NULL, DSN_NO_MEMORY);
    if (strcmp(name, "requiressl") == 0) { /* libpq: before there was sslmode */
        name = "sslmode";
        value = value[0] == '1' ? "require" : "prefer";
    }
    rule = dsn_rule(r->dsn->dialect, name, value);
    if (rule)
        return apply(r, at, rule, value);
    if (dsn_harmless(r->dsn->dialect, name))
        return true;
    keyword = dsn_keyword(name);
    return keyword ? take_keyword(r, keyword, value) : unknown(r, at, name);
}

/* One host of a list and what is behind its colon, into two comma lists. */
static bool add_host(struct dsn_reader *r, const char *host, size_t host_len, const char *port,
                     size_t port_len)
{
    const char *hosts = dsn_get(r->dsn, "host");

    if (hosts != r->hosts.data) { /* none yet, or those of a parameter */
        buf_reset(&r->hosts);
        buf_add_str(&r->hosts, hosts ? hosts : "");
    }
    if (hosts) {
        buf_add_char(&r->hosts, ',');
        buf_add_char(&r->host_ports, ',');
    }
    buf_add(&r->hosts, host, host_len);
    buf_add(&r->host_ports, port, port_len);
    if (r->hosts.failed || r->host_ports.failed)
        return dsn_fail(r, NULL, DSN_NO_MEMORY);
    dsn_set(r->dsn, "host", buf_text(&r->hosts));
    return true;
}

bool dsn_take_hosts(struct dsn_reader *r, const char *at, const char *list)
{
    for (;;) {
        size_t len = strcspn(list, ","), host_len = len;
        const char *colon = memchr(list, ':', len), *end = list + len, *bracket;

        if (*list == '[') { /* an IPv6 address, with a port or not */
            bracket = memchr(list, ']', len);
            if (!bracket || (bracket + 1 < end && bracket[1] != ':'))
                return dsn_fail(r, at, "\"[\" begins an IPv6 address: [address]:port");
            if (!add_host(r, list + 1, (size_t)(bracket - list) - 1, bracket + 2,
                          bracket + 2 < end ? (size_t)(end - bracket) - 2 : 0))
                return false;
        } else {
            if (*list == '/' || (colon && memchr(colon + 1, ':', (size_t)(end - colon) - 1)))
                colon = NULL; /* a directory, or an IPv6 address without brackets */
            if (colon)
                host_len = (size_t)(colon - list);
            if (!add_host(r, list, host_len, colon ? colon + 1 : "",
                          colon ? (size_t)(end - colon) - 1 : 0))
                return false;
        }
        if (*end == '\0')
            return true;
        list = end + 1;
    }
}

static void put_ports(struct buf *merged, const char *own, const char *all)
{
    for (;;) {
        size_t len = strcspn(own, ",");

        buf_add(merged, own, len);
        if (len == 0 && all)
            buf_add_str(merged, all);
        if (own[len] == '\0')
            return;
        buf_add_char(merged, ',');
        own += len + 1;
    }
}

/* The ports that stood behind the hosts; where none did, the one that was given for all. */
static bool merge_ports(struct dsn_reader *r)
{
    const char *own = buf_text(&r->host_ports), *all = dsn_get(r->dsn, "port"), *kept;
    struct buf merged = BUF_INIT(2 * DSN_MAX_BYTES);
    bool too_long;

    if (own[strspn(own, ",")] == '\0' || (all && strchr(all, ',')))
        return true;
    put_ports(&merged, own, all);
    too_long = merged.failed && !merged.no_memory;
    kept = merged.failed ? NULL : arena_strdup(r->arena, buf_text(&merged));
    buf_deinit(&merged);
    if (!kept)
        return dsn_fail(r, NULL, "%s", too_long ? "too many hosts" : DSN_NO_MEMORY);
    dsn_set(r->dsn, "port", kept);
    return true;
}

/* What was gathered here becomes the string's own. */
static bool keep_hosts(struct dsn_reader *r)
{
    const char *hosts = dsn_get(r->dsn, "host");

    if (!hosts || hosts != r->hosts.data)
        return true;
    hosts = arena_strdup(r->arena, hosts);
    if (hosts)
        dsn_set(r->dsn, "host", hosts);
    return hosts || dsn_fail(r, NULL, DSN_NO_MEMORY);
}

static bool verifies(const struct dsn *dsn)
{
    const char *mode = dsn_get(dsn, "sslmode");

    return mode && strncmp(mode, "verify-", strlen("verify-")) == 0;
}

/* These drivers, unlike libpq, look at a root certificate only when they verify. */
static bool drop_idle_root(struct dsn_reader *r)
{
    const char *root = dsn_get(r->dsn, "sslrootcert");

    if ((r->dsn->dialect != DSN_JDBC && r->dsn->dialect != DSN_NPGSQL) || !root || !*root ||
        verifies(r->dsn))
        return true;
    dsn_unset(r->dsn, "sslrootcert");
    return notice(r,
                  "%s: the root certificate: not looked at by this driver unless its SSL mode "
                  "verifies; write %s",
                  driver(r),
                  r->dsn->dialect == DSN_JDBC ? "sslmode=verify-full" : "SSL Mode=VerifyFull");
}

bool dsn_finish(struct dsn_reader *r)
{
    for (size_t i = 0; i < r->n_later; i++) {
        const struct dsn_rule *rule = r->later[i];

        if (rule->fate == DSN_UNLESS && !dsn_get(r->dsn, rule->key))
            dsn_set(r->dsn, rule->key, rule->as);
    }
    for (size_t i = 0; i < r->n_later; i++) {
        const struct dsn_rule *rule = r->later[i];

        if (rule->fate != DSN_UNVERIFIED)
            continue;
        if (verifies(r->dsn)) {
            dsn_set(r->dsn, rule->key, rule->as);
            dsn_unset(r->dsn, "sslrootcert");
        }
        if (!notice(r, "%s: \"%s\": %s", driver(r), rule->name, rule->note))
            return false;
    }
    return merge_ports(r) && keep_hosts(r) && drop_idle_root(r);
}
