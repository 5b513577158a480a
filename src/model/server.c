/* Endpoint sets and what a server's settings mean. */
#include "pgtls/model/server.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"
#include "pgtls/model/module.h"

#include <stddef.h>
#include <string.h>

static const char *const sslmode_names[SSLMODE_COUNT] = {
    [SSLMODE_DISABLE] = "disable",     [SSLMODE_ALLOW] = "allow",
    [SSLMODE_PREFER] = "prefer",       [SSLMODE_REQUIRE] = "require",
    [SSLMODE_VERIFY_CA] = "verify-ca", [SSLMODE_VERIFY_FULL] = "verify-full",
};

static const char *const negotiation_names[NEGOTIATION_COUNT] = {
    [NEGOTIATION_POSTGRES] = "postgres",
    [NEGOTIATION_DIRECT] = "direct",
};

struct endpoint_set *endpoint_set_new(struct arena *arena)
{
    struct endpoint_set *set = arena_alloc(arena, sizeof *set);

    if (!set)
        return NULL;
    set->arena = arena;
    set->references = 1;
    return set;
}

struct endpoint_set *endpoint_set_ref(struct endpoint_set *set)
{
    __atomic_fetch_add(&set->references, 1, __ATOMIC_RELAXED);
    return set;
}

void endpoint_set_unref(struct endpoint_set *set)
{
    /* The last one must see what every other holder did with the set. */
    if (set && __atomic_fetch_sub(&set->references, 1, __ATOMIC_ACQ_REL) == 1)
        arena_free(set->arena); /* which holds the set itself, too */
}

const char *sslmode_name(enum sslmode mode)
{
    return str_name(sslmode_names, SSLMODE_COUNT, (size_t)mode);
}

const char *negotiation_name(enum negotiation n)
{
    return str_name(negotiation_names, NEGOTIATION_COUNT, (size_t)n);
}

bool server_same(const struct server *a, const struct server *b)
{
    return a->key_hash == b->key_hash && strcmp(a->name, b->name) == 0 &&
           strcmp(a->endpoint, b->endpoint) == 0 && strcmp(a->cluster, b->cluster) == 0;
}

static bool text_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool secret_same(const struct secret_ref *a, const struct secret_ref *b)
{
    return a->source == b->source && text_same(a->value, b->value);
}

static bool pins_same(const struct server *a, const struct server *b)
{
    if (a->n_pins != b->n_pins)
        return false;
    for (size_t i = 0; i < a->n_pins; i++) {
        if (strcmp(a->pins[i].hex, b->pins[i].hex) != 0)
            return false;
    }
    return true;
}

/* The fields that are text, or NULL. */
static const size_t connection_texts[] = {
    offsetof(struct server, host),
    offsetof(struct server, hostaddr),
    offsetof(struct server, sslrootcert),
    offsetof(struct server, sslcrl),
    offsetof(struct server, sslcert),
    offsetof(struct server, sslkey),
    offsetof(struct server, ssl_min_protocol_version),
    offsetof(struct server, ssl_max_protocol_version),
    offsetof(struct server, user),
    offsetof(struct server, dbname),
    offsetof(struct server, options),
    offsetof(struct server, application_name),
};

bool server_connects_alike(const struct server *a, const struct server *b)
{
    for (size_t i = 0; i < sizeof connection_texts / sizeof *connection_texts; i++) {
        const char *const *left = (const void *)((const char *)a + connection_texts[i]);
        const char *const *right = (const void *)((const char *)b + connection_texts[i]);

        if (!text_same(*left, *right))
            return false;
    }
    return a->port == b->port && a->unix_socket == b->unix_socket && a->sslmode == b->sslmode &&
           a->negotiation == b->negotiation && a->sslsni == b->sslsni &&
           a->channel_binding == b->channel_binding && a->allow_auth == b->allow_auth &&
           secret_same(&a->password, &b->password) &&
           secret_same(&a->sslpassword, &b->sslpassword) && pins_same(a, b);
}

bool server_sessions_alike(const struct server *a, const struct server *b)
{
    if (a->n_sessions != b->n_sessions)
        return false;
    for (size_t i = 0; i < a->n_sessions; i++) {
        const struct session_config *x = &a->sessions[i], *y = &b->sessions[i];

        if (strcmp(x->name, y->name) != 0 || x->idle_ns != y->idle_ns ||
            x->keepalives_idle_ns != y->keepalives_idle_ns)
            return false;
    }
    return true;
}

/* Names hold no control characters, so that one between them keeps ("ab", "c") and ("a", "bc")
 * apart. */
uint64_t server_key_hash(const char *cluster, const char *endpoint, const char *name)
{
    uint64_t hash = str_hash(STR_HASH_START, cluster);

    hash = str_hash(str_hash(hash, "\x1f"), endpoint);
    return str_hash(str_hash(hash, "\x1f"), name);
}

const char *server_pause(const struct server *s)
{
    return s->maintenance ? s->maintenance : s->disabled ? "disabled" : NULL;
}

bool server_uses_tls(const struct server *s)
{
    return !s->unix_socket && s->sslmode != SSLMODE_DISABLE;
}

/* Whatever the sslmode, a libpq that speaks TLS verifies the chain once an sslrootcert file is
 * there; verify-ca and verify-full insist on there being one. A missing file under a laxer mode is
 * the trust policy's business (tls/trust.h). "system" never strengthens a laxer mode: libpq
 * refuses that pair. */
bool server_demands_chain(const struct server *s)
{
    if (!server_uses_tls(s))
        return false;
    if (s->sslmode < SSLMODE_VERIFY_CA)
        return s->sslrootcert && strcmp(s->sslrootcert, "system") != 0;
    return true;
}

bool server_demands_hostname(const struct server *s)
{
    return server_uses_tls(s) && s->sslmode == SSLMODE_VERIFY_FULL;
}

void endpoint_set_drop_login(struct endpoint_set *set, size_t i)
{
    struct server *servers = (struct server *)(uintptr_t)set->servers;

    servers[i].login = false;
    servers[i].n_sessions = 0; /* they are kept logins */
}

void endpoint_set_drop_module_login(struct endpoint_set *set, size_t i)
{
    struct module *modules = (struct module *)(uintptr_t)set->modules;

    modules[i].server.login = false;
}
