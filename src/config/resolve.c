/* Layers to servers. The rules of what goes together are libpq's (fe-connect.c, connectOptions2),
 * except where libpq would look into a home directory: nothing there is ever read. */
#include "resolve.h"

#include "check.h"
#include "expand.h"
#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/config/config.h"
#include "servers.h"
#include "show.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_INTERVAL_NS      (30 * NS_PER_S)
#define DEFAULT_TIMEOUT_NS       (5 * NS_PER_S)
#define DEFAULT_LOGIN_NS         (60 * NS_PER_S)
#define DEFAULT_POLICY_NS        (86400 * NS_PER_S)
#define DEFAULT_APPLICATION_NAME "pgtls_exporter"

static struct secret_ref secret_of(const struct endpoint_source *source, enum slot slot)
{
    const struct setting *s = in_force(source, slot);

    if (!s)
        return (struct secret_ref){SECRET_NONE, NULL};
    return (struct secret_ref){(enum secret_source)s->key->source, s->text};
}

/* libpq's default is prefer, and verify-full with sslrootcert=system; a string that an application
 * uses means here what it means there. Who writes keys by hand gets the safe mode. */
static enum sslmode decide_sslmode(const struct endpoint_source *source)
{
    const struct setting *mode = in_force(source, SLOT_SSLMODE);
    const struct setting *host = in_force(source, SLOT_HOST);
    const char *root = text_in_force(source, SLOT_SSLROOTCERT);

    if (mode)
        return (enum sslmode)mode->number;
    if (!host)
        host = in_force(source, SLOT_HOSTADDR);
    if (host && host->from_dsn && !(root && strcmp(root, "system") == 0))
        return SSLMODE_PREFER;
    return SSLMODE_VERIFY_FULL;
}

static const char *decide_sslrootcert(const struct endpoint_source *source, enum sslmode mode)
{
    const char *root = text_in_force(source, SLOT_SSLROOTCERT);

    if (!root)
        return mode == SSLMODE_VERIFY_FULL ? "system" : NULL;
    /* The system's store with a mode that does not check the name would let anybody in who has a
     * certificate at all: libpq refuses the pair, here it acts as if no file were given. */
    if (mode < SSLMODE_VERIFY_CA && strcmp(root, "system") == 0)
        return NULL;
    return root;
}

/* libpq's words in the order of the key's names; the two that no server can break promise nothing.
 */
static enum role decide_role(const struct endpoint_source *source)
{
    static const enum role attrs[] = {ROLE_ANY,     ROLE_READ_WRITE, ROLE_READ_ONLY,
                                      ROLE_PRIMARY, ROLE_STANDBY,    ROLE_ANY};
    const struct setting *s = in_force(source, SLOT_ROLE);

    if (!s)
        return ROLE_ANY;
    if (s->key->type == KEY_ENUM)
        return attrs[s->number];
    return s->number ? ROLE_READ_ONLY : ROLE_READ_WRITE;
}

/* In the order of the key's names. */
static enum same_certificate decide_same_certificate(const struct endpoint_source *source)
{
    static const enum same_certificate words[] = {SAME_NOBODY, SAME_ENDPOINT, SAME_CLUSTER,
                                                  SAME_ENDPOINT};

    return words[number_in_force(source, SLOT_SAME_CERTIFICATE, 0)];
}

static struct promises decide_promises(const struct endpoint_source *source)
{
    const struct setting *pooled = in_force(source, SLOT_POOLED);
    const struct setting *addresses = in_force(source, SLOT_ADDRESSES);
    struct promises p = {.role = decide_role(source),
                         .max_lag_ns = number_in_force(source, SLOT_MAX_LAG, 0),
                         .certificate_file = text_in_force(source, SLOT_CERTIFICATE_FILE),
                         .same_certificate = decide_same_certificate(source)};

    if (pooled)
        p.pooled = pooled->number ? VERDICT_YES : VERDICT_NO;
    if (addresses) {
        p.addresses = addresses->items;
        p.n_addresses = addresses->n_items;
    }
    return p;
}

/* 0: no side attempts. */
static int64_t decide_policy(const struct endpoint_source *source)
{
    return number_in_force(source, SLOT_POLICY, 0)
               ? number_in_force(source, SLOT_POLICY_INTERVAL, DEFAULT_POLICY_NS)
               : 0;
}

/* Puts one label over those of outer layers; `value` NULL takes it away. */
static size_t put_label(struct label *merged, size_t n, const char *name, const char *value)
{
    size_t at = 0;

    while (at < n && strcmp(merged[at].name, name) != 0)
        at++;
    if (!value && at < n)
        memmove(merged + at, merged + at + 1, (--n - at) * sizeof *merged);
    else if (value)
        merged[at] = (struct label){name, value};
    return value && at == n ? n + 1 : n;
}

/* The labels of all layers, inner ones over outer ones of the same name. */
static void merge_labels(struct building *b, struct endpoint_source *source, struct server *server)
{
    struct label merged[MAX_LAYERS * MAX_LABELS], *labels;
    size_t n = 0;

    for (size_t i = 0; i < source->n_layers; i++) {
        const struct setting *s = &source->layers[i]->slots[SLOT_LABELS];

        if (s->none)
            n = 0;
        for (size_t j = 0; j < s->n_labels; j++) {
            const struct named_text *text = &s->labels[j];
            const char *value =
                text->deferred ? expand_label(b, source, text, s, i) : text->label.value;

            if (value || text->none)
                n = put_label(merged, n, text->label.name, text->none ? NULL : value);
        }
    }
    if (n == 0)
        return;
    if (n > MAX_LABELS)
        report_error(b->reader.report, place_in_force(source, SLOT_LABELS),
                     "labels: %zu with those of the outer levels; at most %d are allowed", n,
                     MAX_LABELS);
    labels = arena_alloc(b->reader.arena, n * sizeof *labels);
    if (!labels) {
        building_no_memory(b);
        return;
    }
    memcpy(labels, merged, n * sizeof *labels);
    server->labels = labels;
    server->n_labels = n;
}

static void take_sessions(const struct endpoint_source *source, struct server *s)
{
    const struct setting *sessions = in_force(source, SLOT_SESSIONS);

    if (!sessions)
        return;
    s->sessions = sessions->items;
    s->n_sessions = sessions->n_items;
}

static void take_expect(const struct endpoint_source *source, struct server *s)
{
    const struct setting *expect = in_force(source, SLOT_EXPECT);

    if (expect && expect->items)
        s->expect = *(const struct expect *)expect->items;
}

/* Never more often than inspect unless somebody says so. */
static int64_t decide_login_interval(const struct endpoint_source *source)
{
    int64_t inspect_ns = number_in_force(source, SLOT_INTERVAL, DEFAULT_INTERVAL_NS);
    int64_t usual_ns = inspect_ns > DEFAULT_LOGIN_NS ? inspect_ns : DEFAULT_LOGIN_NS;

    return number_in_force(source, SLOT_LOGIN_INTERVAL, usual_ns);
}

/* What all servers of the endpoint have in common. */
static struct server common_settings(struct building *b, struct endpoint_source *source)
{
    enum sslmode mode = decide_sslmode(source);
    const struct setting *pins = in_force(source, SLOT_PINS);
    struct server s = {
        .cluster = source->cluster,
        .endpoint = source->name,
        .sslmode = mode,
        .negotiation =
            (enum negotiation)number_in_force(source, SLOT_NEGOTIATION, NEGOTIATION_POSTGRES),
        .sslrootcert = decide_sslrootcert(source, mode),
        .sslcrl = text_in_force(source, SLOT_SSLCRL),
        .sslcert = text_in_force(source, SLOT_SSLCERT),
        .sslkey = text_in_force(source, SLOT_SSLKEY),
        .sslpassword = secret_of(source, SLOT_SSLPASSWORD),
        .ssl_min_protocol_version = text_in_force(source, SLOT_SSL_MIN),
        .ssl_max_protocol_version = text_in_force(source, SLOT_SSL_MAX),
        .sslsni = number_in_force(source, SLOT_SSLSNI, 1) != 0,
        .pins = pins ? pins->items : NULL,
        .n_pins = pins ? pins->n_items : 0,
        .user = text_in_force(source, SLOT_USER),
        .dbname = text_in_force(source, SLOT_DBNAME),
        .options = text_in_force(source, SLOT_OPTIONS),
        .application_name = text_in_force(source, SLOT_APPLICATION_NAME),
        .password = secret_of(source, SLOT_PASSWORD),
        .channel_binding = (enum channel_binding)number_in_force(source, SLOT_CHANNEL_BINDING,
                                                                 CHANNEL_BINDING_PREFER),
        .allow_auth = (unsigned)number_in_force(source, SLOT_ALLOW_AUTH, 0),
        .interval_ns = number_in_force(source, SLOT_INTERVAL, DEFAULT_INTERVAL_NS),
        .timeout_ns = number_in_force(source, SLOT_TIMEOUT, DEFAULT_TIMEOUT_NS),
        .login_interval_ns = decide_login_interval(source),
        .policy_interval_ns = decide_policy(source),
        .promises = decide_promises(source),
        .disabled = number_in_force(source, SLOT_ENABLED, 1) == 0,
        .maintenance = text_in_force(source, SLOT_MAINTENANCE),
        .endpoint_index = b->n_endpoints,
    };

    s.login = s.user && number_in_force(source, SLOT_LOGIN, 1) != 0;
    take_sessions(source, &s);
    take_expect(source, &s);
    if (!s.dbname)
        s.dbname = s.user;
    if (!s.application_name)
        s.application_name = DEFAULT_APPLICATION_NAME;
    merge_labels(b, source, &s);
    return s;
}

static bool any_bad(const struct endpoint_source *source)
{
    for (size_t i = 0; i < source->n_layers; i++) {
        if (source->layers[i]->bad)
            return true;
    }
    return false;
}

/* Reads what waited for an endpoint, if anything did. */
static void expand(struct building *b, struct endpoint_source *source)
{
    bool needed = false;

    for (size_t i = 0; i < source->n_layers; i++)
        needed = needed || source->layers[i]->deferred;
    if (!needed)
        return;
    if (!b->own)
        b->own = malloc(sizeof *b->own);
    if (!b->own) {
        building_no_memory(b);
        return;
    }
    *b->own = (struct layer){.bad = false};
    expand_endpoint(b, source, b->own);
}

void resolve_endpoint(struct building *b, const struct endpoint_source *outer)
{
    struct endpoint_source source = *outer;
    struct endpoint endpoint = {
        .cluster = source.cluster,
        .name = source.name,
        .first_server = b->n_servers,
    };
    void *endpoints = b->endpoints;
    struct server common;

    if (any_bad(&source))
        return;
    expand(b, &source);
    if (b->failed || any_bad(&source))
        return;
    endpoint.require = (enum require)number_in_force(
        &source, SLOT_REQUIRE, resolves_all(&source) ? REQUIRE_ALL : REQUIRE_ANY);
    common = common_settings(b, &source);
    if (!b->failed)
        add_servers(b, &source, &common);
    endpoint.n_servers = b->n_servers - endpoint.first_server;
    if (b->failed ||
        !building_grow(b, &endpoints, &b->endpoints_size, b->n_endpoints, sizeof endpoint))
        return;
    b->endpoints = endpoints;
    b->endpoints[b->n_endpoints++] = endpoint;
    if (b->show && endpoint.n_servers > 0)
        show_endpoint(b->show, &source, &b->servers[endpoint.first_server]);
}

/* Nothing is due by itself: no interval limits how long a probe or how often a login may be. */
bool resolve_module(struct building *b, struct endpoint_source *source, struct server *server)
{
    size_t errors = b->reader.report->messages->errors;

    if (any_bad(source))
        return false;
    *server = common_settings(b, source);
    server->interval_ns = server->login_interval_ns = 3600 * NS_PER_S;
    check_common(b->reader.report, source, server);
    return check_tls(b->reader.report, source, server) && !b->failed &&
           b->reader.report->messages->errors == errors;
}
