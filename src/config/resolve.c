/* Layers to servers. The rules of what goes together are libpq's (fe-connect.c, connectOptions2),
 * except where libpq would look into a home directory: nothing there is ever read. */
#include "resolve.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/config/config.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT             5432
#define DEFAULT_INTERVAL_NS      (30 * NS_PER_S)
#define DEFAULT_TIMEOUT_NS       (5 * NS_PER_S)
#define DEFAULT_LOGIN_NS         (60 * NS_PER_S)
#define DEFAULT_POLICY_NS        (86400 * NS_PER_S)
#define DEFAULT_APPLICATION_NAME "pgtls_exporter"
#define MAX_LABELS               10

/* A comma list taken apart. */
struct list {
    char **items;
    size_t n;
};

const struct setting *in_force(const struct endpoint_source *source, enum slot slot)
{
    for (size_t i = source->n_layers; i-- > 0;) {
        if (source->layers[i]->slots[slot].key)
            return &source->layers[i]->slots[slot];
    }
    return NULL;
}

static const char *text_of(const struct endpoint_source *source, enum slot slot)
{
    const struct setting *s = in_force(source, slot);

    return s ? s->text : NULL;
}

static int64_t number_of(const struct endpoint_source *source, enum slot slot, int64_t fallback)
{
    const struct setting *s = in_force(source, slot);

    return s ? s->number : fallback;
}

/* Where to complain about a slot: where it is set, else at the endpoint. */
static struct place place_of(const struct endpoint_source *source, enum slot slot)
{
    const struct setting *s = in_force(source, slot);

    return s ? s->at : source->at;
}

static void fail_no_memory(struct building *b)
{
    report_no_memory(b->reader.report);
    b->failed = true;
}

static struct list split(struct building *b, const char *text)
{
    struct list list = {.n = 0};
    size_t n = 1;

    if (!text)
        return list;
    for (const char *p = text; *p; p++)
        n += *p == ',';
    list.items = arena_alloc(b->reader.arena, n * sizeof *list.items);
    while (list.items && list.n < n) {
        size_t len = strcspn(text, ",");

        list.items[list.n] = arena_strndup(b->reader.arena, text, len);
        if (!list.items[list.n++])
            list.items = NULL;
        text += len + 1;
    }
    if (!list.items)
        fail_no_memory(b);
    return list;
}

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
    const char *root = text_of(source, SLOT_SSLROOTCERT);

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
    const char *root = text_of(source, SLOT_SSLROOTCERT);

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

static struct promises decide_promises(const struct endpoint_source *source)
{
    const struct setting *pooled = in_force(source, SLOT_POOLED);
    const struct setting *addresses = in_force(source, SLOT_ADDRESSES);
    struct promises p = {.role = decide_role(source),
                         .max_lag_ns = number_of(source, SLOT_MAX_LAG, 0)};

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
    return number_of(source, SLOT_POLICY, 0)
               ? number_of(source, SLOT_POLICY_INTERVAL, DEFAULT_POLICY_NS)
               : 0;
}

/* The labels of all layers, inner ones over outer ones of the same name. */
static void merge_labels(struct building *b, const struct endpoint_source *source,
                         struct server *server)
{
    struct label merged[MAX_LAYERS * MAX_LABELS], *labels;
    size_t n = 0;

    for (size_t i = 0; i < source->n_layers; i++) {
        const struct setting *s = &source->layers[i]->slots[SLOT_LABELS];

        for (size_t j = 0; j < s->n_labels; j++) {
            size_t at = 0;

            while (at < n && strcmp(merged[at].name, s->labels[j].name) != 0)
                at++;
            merged[at] = s->labels[j];
            n += at == n;
        }
    }
    if (n == 0)
        return;
    if (n > MAX_LABELS)
        report_error(b->reader.report, place_of(source, SLOT_LABELS),
                     "labels: %zu with those of the outer levels; at most %d are allowed", n,
                     MAX_LABELS);
    labels = arena_alloc(b->reader.arena, n * sizeof *labels);
    if (!labels) {
        fail_no_memory(b);
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
    int64_t inspect_ns = number_of(source, SLOT_INTERVAL, DEFAULT_INTERVAL_NS);
    int64_t usual_ns = inspect_ns > DEFAULT_LOGIN_NS ? inspect_ns : DEFAULT_LOGIN_NS;

    return number_of(source, SLOT_LOGIN_INTERVAL, usual_ns);
}

/* What all servers of the endpoint have in common. */
static struct server common_settings(struct building *b, const struct endpoint_source *source)
{
    enum sslmode mode = decide_sslmode(source);
    const struct setting *pins = in_force(source, SLOT_PINS);
    struct server s = {
        .cluster = source->cluster,
        .endpoint = source->name,
        .sslmode = mode,
        .negotiation = (enum negotiation)number_of(source, SLOT_NEGOTIATION, NEGOTIATION_POSTGRES),
        .sslrootcert = decide_sslrootcert(source, mode),
        .sslcrl = text_of(source, SLOT_SSLCRL),
        .sslcert = text_of(source, SLOT_SSLCERT),
        .sslkey = text_of(source, SLOT_SSLKEY),
        .sslpassword = secret_of(source, SLOT_SSLPASSWORD),
        .ssl_min_protocol_version = text_of(source, SLOT_SSL_MIN),
        .ssl_max_protocol_version = text_of(source, SLOT_SSL_MAX),
        .sslsni = number_of(source, SLOT_SSLSNI, 1) != 0,
        .pins = pins ? pins->items : NULL,
        .n_pins = pins ? pins->n_items : 0,
        .user = text_of(source, SLOT_USER),
        .dbname = text_of(source, SLOT_DBNAME),
        .options = text_of(source, SLOT_OPTIONS),
        .application_name = text_of(source, SLOT_APPLICATION_NAME),
        .password = secret_of(source, SLOT_PASSWORD),
        .channel_binding =
            (enum channel_binding)number_of(source, SLOT_CHANNEL_BINDING, CHANNEL_BINDING_PREFER),
        .allow_auth = (unsigned)number_of(source, SLOT_ALLOW_AUTH, 0),
        .interval_ns = number_of(source, SLOT_INTERVAL, DEFAULT_INTERVAL_NS),
        .timeout_ns = number_of(source, SLOT_TIMEOUT, DEFAULT_TIMEOUT_NS),
        .login_interval_ns = decide_login_interval(source),
        .policy_interval_ns = decide_policy(source),
        .promises = decide_promises(source),
        .endpoint_index = b->n_endpoints,
    };

    s.login = s.user && number_of(source, SLOT_LOGIN, 1) != 0;
    take_sessions(source, &s);
    take_expect(source, &s);
    if (!s.dbname)
        s.dbname = s.user;
    if (!s.application_name)
        s.application_name = DEFAULT_APPLICATION_NAME;
    merge_labels(b, source, &s);
    return s;
}

/* A login follows from an inspect, so more logins than inspects are not to be had. */
static void check_login_interval(struct report *report, const struct endpoint_source *source,
                                 const struct server *s)
{
    struct buf login = BUF_INIT(64), inspect = BUF_INIT(64);

    if (!s->login || s->login_interval_ns >= s->interval_ns)
        return;
    str_add_duration(&login, s->login_interval_ns);
    str_add_duration(&inspect, s->interval_ns);
    report_warning(
        report, place_of(source, SLOT_LOGIN_INTERVAL),
        "login: endpoint \"%s\" of cluster \"%s\" logs in every %s and is inspected every "
        "%s only: a login goes by an inspect that may be that old; give login an "
        "interval of %s or more",
        s->endpoint, s->cluster, buf_text(&login), buf_text(&inspect), buf_text(&inspect));
    buf_deinit(&login);
    buf_deinit(&inspect);
}

/* What only a login can tell. */
static void check_promises(struct report *report, const struct endpoint_source *source,
                           const struct server *s)
{
    static const struct {
        enum slot slot;
        enum promise promise;
    } rows[] = {{SLOT_ROLE, PROMISE_READ_ONLY},
                {SLOT_POOLED, PROMISE_POOLED},
                {SLOT_MAX_LAG, PROMISE_MAX_LAG}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows && !s->login; i++) {
        if (promise_made(&s->promises, rows[i].promise))
            report_warning(report, place_of(source, rows[i].slot),
                           "promise: %s is measured by the login, and endpoint \"%s\" of cluster "
                           "\"%s\" has none; give a user",
                           promise_name(rows[i].promise), s->endpoint, s->cluster);
    }
}

/* A login that was meant and will not be. */
static void check_login(struct report *report, const struct endpoint_source *source,
                        const struct server *s)
{
    static const enum slot meant[] = {SLOT_PASSWORD, SLOT_DBNAME, SLOT_LOGIN};

    for (size_t i = 0; i < sizeof meant / sizeof *meant && !s->user; i++) {
        if (!in_force(source, meant[i]) ||
            (meant[i] == SLOT_LOGIN && number_of(source, SLOT_LOGIN, 0) == 0))
            continue;
        report_warning(
            report, place_of(source, meant[i]),
            "endpoint \"%s\" of cluster \"%s\" has no user: its probe ends after TLS, and "
            "nothing logs in; give a user",
            s->endpoint, s->cluster);
        return;
    }
}

/* A refusal that nothing could see, and what needs to be let in. */
static void check_expect(struct report *report, const struct endpoint_source *source,
                         const struct server *s)
{
    if (!s->expect.text)
        return;
    if (!expect_reachable(s))
        report_error(report, place_of(source, SLOT_EXPECT),
                     "expect: %s comes later than this probe goes at endpoint \"%s\" of cluster "
                     "\"%s\"; give %s",
                     s->expect.text, s->endpoint, s->cluster, s->user ? "it a login" : "a user");
    if (s->n_sessions > 0)
        report_error(
            report, place_of(source, SLOT_SESSIONS),
            "session: endpoint \"%s\" of cluster \"%s\" expects to be refused, so none can "
            "be kept open; write `session: []` there",
            s->endpoint, s->cluster);
}

/* Settings that do not go together, whatever the host. */
static void check_common(struct building *b, const struct endpoint_source *source,
                         const struct server *s)
{
    struct report *report = b->reader.report;
    struct place cert = place_of(source, SLOT_SSLCERT), key = place_of(source, SLOT_SSLKEY);

    if (s->sslcert && !s->sslkey)
        report_error(report, cert, "sslcert: needs its private key; give sslkey beside it");
    if (s->sslkey && !s->sslcert)
        report_error(report, key, "sslkey: needs its certificate; give sslcert beside it");
    if (number_of(source, SLOT_SSL_MIN, 0) > number_of(source, SLOT_SSL_MAX, INT64_MAX))
        report_error(report, place_of(source, SLOT_SSL_MIN),
                     "ssl_min_protocol_version: %s is newer than ssl_max_protocol_version %s",
                     s->ssl_min_protocol_version, s->ssl_max_protocol_version);
    check_promises(report, source, s);
    check_login(report, source, s);
    check_expect(report, source, s);
    check_login_interval(report, source, s);
    if (s->n_sessions > 0 && !s->login)
        report_error(report, place_of(source, SLOT_SESSIONS),
                     "session: needs a login; give a user, or `session: []` here");
    if (s->timeout_ns > s->interval_ns) {
        struct buf b1 = BUF_INIT(64), b2 = BUF_INIT(64);
        bool timeout_set = in_force(source, SLOT_TIMEOUT) != NULL;

        str_add_duration(&b1, s->timeout_ns);
        str_add_duration(&b2, s->interval_ns);
        report_warning(report, place_of(source, timeout_set ? SLOT_TIMEOUT : SLOT_INTERVAL),
                       "timeout: %s is longer than the interval of %s; a slow server will be "
                       "probed less often than asked",
                       buf_text(&b1), buf_text(&b2));
        buf_deinit(&b1);
        buf_deinit(&b2);
    }
}

/* TLS settings that a server can be reached by; Unix sockets have none. */
static bool check_tls(struct building *b, const struct endpoint_source *source,
                      const struct server *s)
{
    struct report *report = b->reader.report;
    struct place mode = place_of(source, SLOT_SSLMODE), root = place_of(source, SLOT_SSLROOTCERT);
    size_t before = report->messages->errors;

    if (s->unix_socket)
        return true;
    if (s->sslmode == SSLMODE_VERIFY_CA && !s->sslrootcert)
        report_error(report, mode,
                     "sslmode: verify-ca needs sslrootcert: the file of the certificates to trust "
                     "(~/.postgresql/root.crt is not read)");
    if (s->sslmode == SSLMODE_VERIFY_CA && s->sslrootcert && strcmp(s->sslrootcert, "system") == 0)
        report_error(report, root,
                     "sslrootcert: system may not be used with sslmode verify-ca, which would "
                     "accept any public certificate; use verify-full, or name a file");
    if (s->negotiation == NEGOTIATION_DIRECT && s->sslmode < SSLMODE_REQUIRE)
        report_error(report, place_of(source, SLOT_NEGOTIATION),
                     "negotiation: direct needs sslmode require, verify-ca or verify-full; "
                     "%s is in force",
                     sslmode_name(s->sslmode));
    if (s->n_pins > 0 && s->sslmode < SSLMODE_REQUIRE)
        report_error(report, place_of(source, SLOT_PINS),
                     "pin_sha256: needs sslmode require, verify-ca or verify-full, or a connection "
                     "without TLS would pass; %s is in force",
                     sslmode_name(s->sslmode));
    if (s->sslmode == SSLMODE_VERIFY_FULL && !in_force(source, SLOT_HOST))
        report_error(report, place_of(source, SLOT_HOSTADDR),
                     "hostaddr: sslmode verify-full compares the certificate with a name; give "
                     "host, too");
    return report->messages->errors == before;
}

/* Room for one more, by doubling; false with a report when there is none. */
static bool grow(struct building *b, void **items, size_t *size, size_t n, size_t item_size)
{
    size_t bigger = *size ? *size * 2 : 16;
    void *grown;

    if (n < *size)
        return true;
    grown = realloc(*items, bigger * item_size);
    if (!grown) {
        fail_no_memory(b);
        return false;
    }
    *items = grown;
    *size = bigger;
    return true;
}

static bool name_server(struct building *b, struct server *s)
{
    struct arena *arena = b->reader.arena;
    unsigned port = s->port;

    if (s->unix_socket)
        s->name = arena_printf(arena, "%s/.s.PGSQL.%u", s->host, port);
    else if (strchr(s->host, ':'))
        s->name = arena_printf(arena, "[%s]:%u", s->host, port);
    else
        s->name = arena_printf(arena, "%s:%u", s->host, port);
    if (!s->name)
        fail_no_memory(b);
    return s->name != NULL;
}

static void add_server(struct building *b, const struct endpoint_source *source, struct server *s)
{
    const struct setting *host = in_force(source, SLOT_HOST);
    struct place at = host ? host->at : place_of(source, SLOT_HOSTADDR);
    void *servers = b->servers;

    if (!check_tls(b, source, s) || !name_server(b, s))
        return;
    if (names_add(&b->server_names, s->name, s->name, &b->failed)) {
        /* What came from a connection string is not quoted, see dsn.c. */
        report_error(b->reader.report, at, "host: \"%s\" is there twice",
                     host && !host->from_dsn ? s->name : "…");
        return;
    }
    if (b->failed) {
        report_no_memory(b->reader.report);
        return;
    }
    if (b->n_servers == CONFIG_MAX_SERVERS) {
        report_error(b->reader.report, source->at, "more than %d servers in all",
                     CONFIG_MAX_SERVERS);
        b->failed = true;
        return;
    }
    s->key_hash = server_key_hash(s->cluster, s->endpoint, s->name);
    if (!grow(b, &servers, &b->servers_size, b->n_servers, sizeof *b->servers))
        return;
    b->servers = servers;
    b->servers[b->n_servers++] = *s;
}

/* Do the lists of hosts, addresses and ports go together? */
static bool check_lists(struct building *b, const struct endpoint_source *source, size_t hosts,
                        size_t addresses, size_t ports)
{
    size_t n = addresses ? addresses : hosts;

    for (size_t i = 0; n == 0 && i < source->n_layers; i++) {
        if (source->layers[i]->host_misspelt)
            return false;
    }
    if (n == 0) {
        report_error(b->reader.report, source->at,
                     "endpoint \"%s\" of cluster \"%s\" has no host; give \"host\" or \"dsn\" (for "
                     "a Unix socket its directory: libpq's default one is not assumed)",
                     source->name, source->cluster);
        return false;
    }
    if (hosts && addresses && hosts != addresses) {
        report_error(b->reader.report, place_of(source, SLOT_HOSTADDR),
                     "hostaddr: %zu addresses for %zu hosts; as many are needed", addresses, hosts);
        return false;
    }
    if (ports > 1 && ports != n) {
        report_error(b->reader.report, place_of(source, SLOT_PORT),
                     "port: %zu ports for %zu hosts; give one for all or one for each", ports, n);
        return false;
    }
    return true;
}

static void add_servers(struct building *b, const struct endpoint_source *source)
{
    struct list hosts = split(b, text_of(source, SLOT_HOST));
    struct list addresses = split(b, text_of(source, SLOT_HOSTADDR));
    struct list ports = split(b, text_of(source, SLOT_PORT));
    struct server common = common_settings(b, source);

    if (b->failed || !check_lists(b, source, hosts.n, addresses.n, ports.n))
        return;
    check_common(b, source, &common);
    names_clear(&b->server_names);
    for (size_t i = 0; i < (addresses.n ? addresses.n : hosts.n) && !b->failed; i++) {
        const char *port = ports.n == 0 ? "" : ports.items[ports.n == 1 ? 0 : i];
        struct server s = common;
        int64_t number = DEFAULT_PORT;

        if (port[0] != '\0')
            str_to_i64(port, 1, UINT16_MAX, &number);
        s.port = (uint16_t)number;
        s.hostaddr = addresses.n ? addresses.items[i] : NULL;
        s.host = hosts.n ? hosts.items[i] : s.hostaddr;
        s.unix_socket = s.host[0] == '/' && !s.hostaddr;
        add_server(b, source, &s);
    }
}

void resolve_endpoint(struct building *b, const struct endpoint_source *source)
{
    struct endpoint endpoint = {
        .cluster = source->cluster,
        .name = source->name,
        .require = (enum require)number_of(source, SLOT_REQUIRE, REQUIRE_ANY),
        .first_server = b->n_servers,
    };
    void *endpoints = b->endpoints;

    for (size_t i = 0; i < source->n_layers; i++) {
        if (source->layers[i]->bad)
            return;
    }
    add_servers(b, source);
    endpoint.n_servers = b->n_servers - endpoint.first_server;
    if (b->failed || !grow(b, &endpoints, &b->endpoints_size, b->n_endpoints, sizeof endpoint))
        return;
    b->endpoints = endpoints;
    b->endpoints[b->n_endpoints++] = endpoint;
}

bool building_finish(struct building *b, struct endpoint_set *set)
{
    struct server *servers = arena_alloc(set->arena, b->n_servers * sizeof *servers);
    struct endpoint *endpoints = arena_alloc(set->arena, b->n_endpoints * sizeof *endpoints);

    if (!servers || !endpoints) {
        fail_no_memory(b);
        return false;
    }
    memcpy(servers, b->servers, b->n_servers * sizeof *servers);
    memcpy(endpoints, b->endpoints, b->n_endpoints * sizeof *endpoints);
    set->servers = servers;
    set->n_servers = b->n_servers;
    set->endpoints = endpoints;
    set->n_endpoints = b->n_endpoints;
    return true;
}

void building_deinit(struct building *b)
{
    free(b->servers);
    free(b->endpoints);
    names_deinit(&b->server_names);
}
