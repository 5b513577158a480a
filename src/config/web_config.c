/* The web configuration: its keys, and what must hold among them. */
#include "pgtls/config/web_config.h"

#include "files.h"
#include "pgtls/base/arena.h"
#include "pgtls/base/file.h"
#include "pgtls/base/str.h"
#include "web_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMES 32

typedef struct web_reading reading;

/* One key of a mapping, and how its value is read. Errors go to the report. */
struct key_reader {
    const char *key;
    void (*read)(reading *r, const char *what, const struct yaml_node *value);
};

static void read_keys(reading *r, const char *where, const struct yaml_node *map,
                      const struct key_reader *keys, size_t n)
{
    const char *names[MAX_NAMES];

    for (size_t i = 0; i < n; i++)
        names[i] = keys[i].key;
    for (const struct yaml_entry *e = map->first; e; e = e->next) {
        char shown[64];
        const char *nearest;
        size_t i = 0;

        while (i < n && strcmp(names[i], e->key->text) != 0)
            i++;
        if (i < n) {
            keys[i].read(r, keys[i].key, e->value);
            continue;
        }
        str_clean(shown, sizeof shown, e->key->text, e->key->len);
        nearest = str_nearest(e->key->text, names, n);
        report_error(r->report, e->key->at, "unknown key \"%s\" in %s%s%s%s", shown, where,
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
    }
}
#define READ_KEYS(r, where, map, keys) read_keys(r, where, map, keys, sizeof(keys) / sizeof *(keys))

/* --- tls_server_config ------------------------------------------------------------------------ */

/* Relative paths start where the configuration is. */
static void read_path(reading *r, const char *what, const struct yaml_node *value,
                      struct web_pem *to)
{
    const char *path;

    if (!web_text(r, what, value, &path) || !*path)
        return;
    to->key = what;
    to->line = value->at.line;
    to->column = value->at.column;
    to->path =
        *path == '/' ? path : arena_printf(r->arena, "%s%s", value->at.origin->directory, path);
    if (!to->path)
        report_no_memory(r->report);
}

static void read_pem(reading *r, const char *what, const struct yaml_node *value,
                     struct web_pem *to)
{
    const char *text;

    if (!web_text(r, what, value, &text) || !*text)
        return;
    to->text = text;
    if (to->path)
        return; /* the file counts */
    to->key = what;
    to->line = value->at.line;
    to->column = value->at.column;
}

static void read_cert_file(reading *r, const char *what, const struct yaml_node *value)
{
    read_path(r, what, value, &r->config->cert);
}

static void read_key_file(reading *r, const char *what, const struct yaml_node *value)
{
    read_path(r, what, value, &r->config->key);
}

static void read_client_ca_file(reading *r, const char *what, const struct yaml_node *value)
{
    read_path(r, what, value, &r->config->client_ca);
}

static void read_cert(reading *r, const char *what, const struct yaml_node *value)
{
    read_pem(r, what, value, &r->config->cert);
}

static void read_key(reading *r, const char *what, const struct yaml_node *value)
{
    read_pem(r, what, value, &r->config->key);
}

static void read_client_ca(reading *r, const char *what, const struct yaml_node *value)
{
    read_pem(r, what, value, &r->config->client_ca);
}

static void read_client_auth(reading *r, const char *what, const struct yaml_node *value)
{
    static const char *const names[] = {"NoClientCert",
                                        "",
                                        "RequestClientCert",
                                        "RequireAnyClientCert",
                                        "RequireClientCert", /* as it was called once */
                                        "VerifyClientCertIfGiven",
                                        "RequireAndVerifyClientCert"};
    static const enum web_client_auth values[] = {WEB_CLIENT_NONE,
                                                  WEB_CLIENT_NONE,
                                                  WEB_CLIENT_REQUEST,
                                                  WEB_CLIENT_REQUIRE_ANY,
                                                  WEB_CLIENT_REQUIRE_ANY,
                                                  WEB_CLIENT_VERIFY_IF_GIVEN,
                                                  WEB_CLIENT_REQUIRE_AND_VERIFY};
    size_t found;

    if (!web_name(r, what, value, names, sizeof names / sizeof *names, &found))
        return;
    r->config->client_auth = values[found];
    r->config->tls = r->config->tls || *names[found];
}

static void read_version(reading *r, const char *what, const struct yaml_node *value,
                         enum web_tls_version *to)
{
    static const char *const names[] = {
        [WEB_TLS10] = "TLS10", [WEB_TLS11] = "TLS11", [WEB_TLS12] = "TLS12", [WEB_TLS13] = "TLS13"};
    size_t found;

    if (value->kind != YAML_NULL && web_name(r, what, value, names, 4, &found))
        *to = (enum web_tls_version)found;
}

static void read_min_version(reading *r, const char *what, const struct yaml_node *value)
{
    read_version(r, what, value, &r->config->min_version);
}

static void read_max_version(reading *r, const char *what, const struct yaml_node *value)
{
    read_version(r, what, value, &r->config->max_version);
}

static void read_server_order(reading *r, const char *what, const struct yaml_node *value)
{
    web_bool(r, what, value, &r->config->server_order);
}

/* False, reported, when a list is longer than there is room for. */
static bool fits(reading *r, const char *what, const struct yaml_node *list, size_t max)
{
    if (list->n <= max)
        return true;
    report_error(r->report, list->at, "%s: %zu of them; at most %zu are read", what, list->n, max);
    return false;
}

static void read_suites(reading *r, const char *what, const struct yaml_node *value)
{
    const char *names[WEB_MAX_SUITES];
    size_t found;

    for (size_t i = 0; i < n_web_suites; i++)
        names[i] = web_suites[i].name;
    if (!web_opens(r, what, value, YAML_LIST) || !fits(r, what, value, WEB_MAX_SUITES))
        return;
    for (const struct yaml_entry *e = value->first; e; e = e->next) {
        if (web_name(r, what, e->value, names, n_web_suites, &found))
            r->config->suites[r->config->n_suites++] = &web_suites[found];
    }
}

static void read_curves(reading *r, const char *what, const struct yaml_node *value)
{
    const char *names[WEB_MAX_CURVES];
    size_t found;

    for (size_t i = 0; i < n_web_curves; i++)
        names[i] = web_curves[i].name;
    if (!web_opens(r, what, value, YAML_LIST) || !fits(r, what, value, WEB_MAX_CURVES))
        return;
    for (const struct yaml_entry *e = value->first; e; e = e->next) {
        if (web_name(r, what, e->value, names, n_web_curves, &found))
            r->config->curves[r->config->n_curves++] = &web_curves[found];
    }
}

static void read_sans(reading *r, const char *what, const struct yaml_node *value)
{
    const char **sans;

    if (!web_opens(r, what, value, YAML_LIST) || !fits(r, what, value, WEB_MAX_SANS))
        return;
    sans = arena_alloc(r->arena, (value->n + 1) * sizeof *sans);
    if (!sans) {
        report_no_memory(r->report);
        return;
    }
    for (const struct yaml_entry *e = value->first; e; e = e->next) {
        if (web_text(r, what, e->value, &sans[r->config->n_allowed_sans]))
            r->config->n_allowed_sans++;
    }
    r->config->allowed_sans = sans;
}

static const struct key_reader tls_keys[] = {
    {"cert_file", read_cert_file},
    {"key_file", read_key_file},
    {"client_ca_file", read_client_ca_file},
    {"cert", read_cert},
    {"key", read_key},
    {"client_ca", read_client_ca},
    {"client_auth_type", read_client_auth},
    {"client_allowed_sans", read_sans},
    {"min_version", read_min_version},
    {"max_version", read_max_version},
    {"cipher_suites", read_suites},
    {"curve_preferences", read_curves},
    {"prefer_server_cipher_suites", read_server_order},
};

static bool given(const struct web_pem *pem)
{
    return pem->path || pem->text;
}

/* What must hold among the keys of the section. */
static void check_tls(reading *r, const struct yaml_node *section)
{
    struct web_config *c = r->config;

    c->tls = c->tls || given(&c->cert) || given(&c->key) || given(&c->client_ca);
    if (!c->tls) {
        if (section->n > 0 && r->report->messages->errors == 0)
            report_warning(r->report, section->at,
                           "neither a certificate nor a key: this is served without TLS");
        return;
    }
    if (!given(&c->cert))
        report_error(r->report, section->at, "missing cert_file, or cert");
    if (!given(&c->key))
        report_error(r->report, section->at, "missing key_file, or key");
    if (given(&c->client_ca) && c->client_auth == WEB_CLIENT_NONE)
        report_error(r->report, section->at,
                     "%s, but client_auth_type does not ask for certificates: give "
                     "RequireAndVerifyClientCert",
                     c->client_ca.key);
    if (c->allowed_sans && c->client_auth != WEB_CLIENT_REQUIRE_ANY &&
        c->client_auth != WEB_CLIENT_REQUIRE_AND_VERIFY)
        report_error(r->report, section->at,
                     "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert or "
                     "RequireAnyClientCert");
    if (c->min_version > c->max_version)
        report_error(r->report, section->at,
                     "min_version is above max_version: no client could connect");
    if (c->client_auth == WEB_CLIENT_REQUIRE_ANY)
        report_warning(r->report, section->at,
                       "RequireAnyClientCert takes certificates that anybody may have made; "
                       "RequireAndVerifyClientCert asks who issued them");
}

static void read_tls(reading *r, const char *what, const struct yaml_node *value)
{
    if (!web_opens(r, what, value, YAML_MAP))
        return;
    READ_KEYS(r, what, value, tls_keys);
    check_tls(r, value);
}

/* --- http_server_config ----------------------------------------------------------------------- */

static void read_http2(reading *r, const char *what, const struct yaml_node *value)
{
    bool ignored; /* there is no HTTP/2 here; clients that prefer it take HTTP/1.1 */

    web_bool(r, what, value, &ignored);
}

static void add_header(reading *r, const char *name, const struct yaml_node *value)
{
    struct web_config *c = r->config;
    const char *text;

    if (!web_text(r, name, value, &text) || !*text)
        return;
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7F) {
            report_error(r->report, value->at, "%s: a control character; a header is one line",
                         name);
            return;
        }
    }
    if (c->n_headers < WEB_MAX_HEADERS)
        c->headers[c->n_headers++] = (struct web_header){name, text};
}

static void read_frame_options(reading *r, const char *what, const struct yaml_node *value)
{
    static const char *const allowed[] = {"deny", "sameorigin"};
    size_t found;

    if (web_name(r, what, value, allowed, 2, &found))
        add_header(r, what, value);
}

static void read_type_options(reading *r, const char *what, const struct yaml_node *value)
{
    static const char *const allowed[] = {"nosniff"};
    size_t found;

    if (web_name(r, what, value, allowed, 1, &found))
        add_header(r, what, value);
}

/* Those that the toolkit lets one set. */
static const struct key_reader header_keys[] = {
    {"Content-Security-Policy", add_header},
    {"Strict-Transport-Security", add_header},
    {"X-Content-Type-Options", read_type_options},
    {"X-Frame-Options", read_frame_options},
    {"X-XSS-Protection", add_header},
};

static void read_headers(reading *r, const char *what, const struct yaml_node *value)
{
    if (web_opens(r, what, value, YAML_MAP))
        READ_KEYS(r, what, value, header_keys);
}

static void read_http(reading *r, const char *what, const struct yaml_node *value)
{
    static const struct key_reader keys[] = {{"http2", read_http2}, {"headers", read_headers}};

    if (web_opens(r, what, value, YAML_MAP))
        READ_KEYS(r, what, value, keys);
}

/* --- basic_auth_users, rate_limit ------------------------------------------------------------- */

static void read_users(reading *r, const char *what, const struct yaml_node *value)
{
    struct web_user *users;

    if (!web_opens(r, what, value, YAML_MAP) || !fits(r, what, value, WEB_MAX_USERS))
        return;
    users = arena_alloc(r->arena, (value->n + 1) * sizeof *users);
    if (!users) {
        report_no_memory(r->report);
        return;
    }
    for (const struct yaml_entry *e = value->first; e; e = e->next) {
        struct web_user *user = &users[r->config->n_users];

        if (web_text(r, what, e->key, &user->name) && web_hash(r, e->key, e->value, &user->hash))
            r->config->n_users++;
    }
    r->config->users = users;
}

static void read_interval(reading *r, const char *what, const struct yaml_node *value)
{
    web_duration(r, what, value, &r->config->rate_interval_ns);
}

static void read_burst(reading *r, const char *what, const struct yaml_node *value)
{
    web_count(r, what, value, &r->config->rate_burst);
}

static void read_rate(reading *r, const char *what, const struct yaml_node *value)
{
    static const struct key_reader keys[] = {{"interval", read_interval}, {"burst", read_burst}};

    if (!web_opens(r, what, value, YAML_MAP))
        return;
    READ_KEYS(r, what, value, keys);
    if (r->config->rate_interval_ns > 0 && r->config->rate_burst == 0)
        report_warning(r->report, value->at,
                       "an interval without a burst refuses every request; give burst, or leave "
                       "the interval out");
}

/* --- the whole -------------------------------------------------------------------------------- */

static void read_top(reading *r, const struct yaml_node *root)
{
    static const struct key_reader keys[] = {{"tls_server_config", read_tls},
                                             {"http_server_config", read_http},
                                             {"basic_auth_users", read_users},
                                             {"rate_limit", read_rate}};

    if (!web_opens(r, "web configuration", root, YAML_MAP))
        return;
    READ_KEYS(r, "the web configuration", root, keys);
    if (r->config->n_users > 0 && !r->config->tls)
        report_warning(r->report, (struct place){.origin = root->at.origin},
                       "basic_auth_users without TLS: whoever is on the way reads the passwords");
}

static struct web_config *new_config(const char *name)
{
    struct arena *arena = arena_new();
    struct web_config *config = arena ? arena_alloc(arena, sizeof *config) : NULL;

    if (config) {
        *config = (struct web_config){.arena = arena,
                                      .path = arena_strdup(arena, name),
                                      .min_version = WEB_TLS12,
                                      .max_version = WEB_TLS13,
                                      .server_order = true};
    }
    if (config && config->path)
        return config;
    arena_free(arena);
    return NULL;
}

/* Where relative paths start: the directory of the file, with its slash. */
static bool set_directory(struct origin *origin, struct arena *arena)
{
    const char *slash = strrchr(origin->name, '/');

    origin->directory =
        slash ? arena_strndup(arena, origin->name, (size_t)(slash - origin->name) + 1) : "";
    return origin->directory != NULL;
}

static void read_all(reading *r, struct origin *origin, const char *text, size_t len)
{
    struct arena *scratch = arena_new();
    const struct yaml_node *root;

    if (!scratch || !set_directory(origin, r->arena)) {
        report_no_memory(r->report);
    } else if (len > WEB_CONFIG_MAX_BYTES) {
        report_error(r->report, (struct place){.origin = origin}, "larger than %zu KiB",
                     WEB_CONFIG_MAX_BYTES / 1024);
    } else {
        root = yaml_parse(text, len, scratch, r->report, origin);
        if (root)
            read_top(r, root);
    }
    arena_free(scratch);
}

struct web_config *web_config_load_text(const char *name, const char *text, size_t len,
                                        struct config_messages *messages)
{
    struct origin origin = {.name = name};
    struct web_config *config = new_config(name);
    struct report report;
    reading r = {.report = &report, .arena = config ? config->arena : NULL, .config = config};

    report_start(&report, name, messages);
    if (!config) {
        report_no_memory(&report);
        return NULL;
    }
    read_all(&r, &origin, text, len);
    report_finish(&report);
    if (messages->errors == 0)
        return config;
    web_config_free(config);
    return NULL;
}

static struct web_config *refuse_file(const char *path, const char *why,
                                      struct config_messages *messages)
{
    struct report report;

    report_start(&report, path, messages);
    report_error(&report, (struct place){0}, "%s", why);
    return NULL;
}

/* Regular files only: an empty pipe would read as a configuration that asks for nothing. */
struct web_config *web_config_load(const char *path, struct config_messages *messages)
{
    struct web_config *config;
    struct bytes bytes;
    char why[512];

    if (!file_check(path, WEB_CONFIG_MAX_BYTES, why, sizeof why))
        return refuse_file(
            path, why + (strncmp(why, path, strlen(path)) == 0 ? strlen(path) + 2 : 0), messages);
    bytes = file_read(path);
    config = bytes.text ? web_config_load_text(path, bytes.text, bytes.len, messages)
                        : refuse_file(path, bytes.trouble, messages);
    bytes_free(&bytes);
    return config;
}

void web_config_free(struct web_config *config)
{
    if (config)
        arena_free(config->arena);
}

const struct web_user *web_config_user(const struct web_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_users; i++) {
        if (strcmp(config->users[i].name, name) == 0)
            return &config->users[i];
    }
    return NULL;
}
