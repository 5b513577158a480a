/* Reads one mapping, and the connection string in it, into a layer. */
#include "keys.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"
#include "pgtls/config/dsn.h"
#include "pgtls/model/server.h"
#include "placeholder.h"
#include "values.h"

#include <stdio.h>
#include <string.h>

#define MAX_KEYS_OF_LEVEL 64

static const struct key *find_key(const char *name, unsigned levels)
{
    for (size_t i = 0; i < n_config_keys; i++) {
        if ((config_keys[i].levels & levels) && strcmp(config_keys[i].name, name) == 0)
            return &config_keys[i];
    }
    return NULL;
}

static const struct key *find_dsn_key(const char *keyword)
{
    for (size_t i = 0; i < n_config_keys; i++) {
        if (config_keys[i].dsn_name && strcmp(config_keys[i].dsn_name, keyword) == 0)
            return &config_keys[i];
    }
    return NULL;
}

/* "defaults, a cluster or an endpoint" */
static void add_levels(struct buf *to, unsigned levels)
{
    bool first = true;

    for (unsigned level = 0; level < LEVEL_COUNT; level++) {
        if (!(levels & LEVEL_BIT(level)))
            continue;
        levels &= ~LEVEL_BIT(level);
        buf_add_str(to, first ? "" : levels ? ", " : " or ");
        buf_add_str(to, level_names[level]);
        first = false;
    }
}

/* libpq's names for what has another name here, and what other tools call it. */
static const char *find_synonym(const char *name)
{
    static const struct {
        const char *name, *ours;
    } synonyms[] = {
        {"sslnegotiation", "negotiation"},
        {"database", "dbname"},
        {"username", "user"},
        {"url", "dsn"},
        {"uri", "dsn"},
        {"conninfo", "dsn"},
        {"connection_string", "dsn"},
        {"hostname", "host"},
        {"server", "host"},
        {"servers", "host"},
        {"address", "host"},
        {"connect_timeout", "timeout"},
        {"ca_file", "sslrootcert"},
        {"cert_file", "sslcert"},
        {"key_file", "sslkey"},
        {"require_auth", "allow_auth"},
        {"ssl_mode", "sslmode"},
        {"promises", "promise"},
        {"target_session_attrs", "promise"},
        {"pin", "pin_sha256"},
        {"pins", "pin_sha256"},
        {"fingerprint", "pin_sha256"},
        {"ssl_cert_file", "certificate_file"},
        {"server_cert_file", "certificate_file"},
    };

    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++) {
        if (strcmp(synonyms[i].name, name) == 0)
            return synonyms[i].ours;
    }
    return NULL;
}

/* A host under a wrong name is missed once, not twice. */
static bool gives_a_host(const char *name, enum level level)
{
    const struct key *key = name ? find_key(name, LEVEL_BIT(level)) : NULL;

    return key && (key->slot == SLOT_HOST || key->slot == SLOT_HOSTADDR || key->type == KEY_DSN);
}

static void report_unknown(const struct reader *r, const struct yaml_node *key, enum level level,
                           struct layer *layer)
{
    const char *names[MAX_KEYS_OF_LEVEL], *nearest;
    const struct key *elsewhere = find_key(key->text, ~0U);
    char value[SHOWN_SIZE];
    struct buf where = BUF_INIT(256);
    size_t n = 0;

    str_clean(value, sizeof value, key->text, key->len);
    for (size_t i = 0; i < n_config_keys && n < MAX_KEYS_OF_LEVEL; i++) {
        if (config_keys[i].levels & LEVEL_BIT(level))
            names[n++] = config_keys[i].name;
    }
    nearest = find_synonym(key->text);
    if (nearest && find_key(nearest, LEVEL_BIT(level)))
        elsewhere = NULL;
    else
        nearest = str_nearest(key->text, names, n);
    /* "cluster" for "clusters" is more likely than a key at the wrong level. */
    if (nearest && strncmp(nearest, key->text, key->len) == 0)
        elsewhere = NULL;
    layer->host_misspelt |= gives_a_host(nearest, level) || gives_a_host(key->text, LEVEL_ENDPOINT);
    if (strcmp(key->text, "<<") == 0) {
        report_error(r->report, key->at,
                     "merge keys (\"<<\") are not read; what several share belongs under "
                     "\"defaults\", into a template or into their cluster");
    } else if (elsewhere) {
        add_levels(&where, elsewhere->levels);
        report_error(r->report, key->at, "\"%s\" does not belong into %s; it belongs into %s",
                     value, level_names[level], buf_text(&where));
    } else if (nearest) {
        report_error(r->report, key->at, "unknown key \"%s\"; did you mean \"%s\"?", value,
                     nearest);
    } else {
        report_error(r->report, key->at, "unknown key \"%s\" in %s", value, level_names[level]);
    }
    buf_deinit(&where);
}

/* The slot of a value, or NULL with an error when it is taken at this level. */
static struct setting *claim(const struct input *in)
{
    struct setting *to = &in->layer->slots[in->key->slot];
    char where[PLACE_SIZE];

    if (!to->key) {
        *to = (struct setting){.key = in->key, .at = in->at, .from_dsn = in->from_dsn};
        return to;
    }
    if (to->key == in->key && !to->from_dsn && !in->from_dsn)
        return NULL; /* a duplicate key, reported as such */
    if (to->from_dsn)
        refuse(in, "the connection string %s says it, too; give it in one place",
               place_text(where, to->at, in->at));
    else
        refuse(in, "\"%s\" %s says it, too; give one of them", to->key->name,
               place_text(where, to->at, in->at));
    return NULL;
}

enum level level_within(enum key_type type)
{
    switch (type) {
    case KEY_LOGIN:
        return LEVEL_LOGIN;
    case KEY_PROMISE:
        return LEVEL_PROMISE;
    case KEY_POLICY:
        return LEVEL_POLICY;
    default:
        return LEVEL_COUNT;
    }
}

/* Is there an outer level that a key of this one inherits from? */
static bool inherits(enum level level, const struct key *key)
{
    static const unsigned levels = ANY_SERVER_LEVEL | LEVEL_BIT(LEVEL_LOGIN) |
                                   LEVEL_BIT(LEVEL_PROMISE) | LEVEL_BIT(LEVEL_POLICY);

    return (levels & LEVEL_BIT(level)) && key->slot != SLOT_NAME;
}

/* Takes away what is inherited, with all that stands within. */
static void remove_inherited(const struct input *in, struct setting *to)
{
    enum level within = level_within(in->key->type);

    to->none = true;
    for (size_t i = 0; i < n_config_keys && within < LEVEL_COUNT; i++) {
        struct setting *inner = &in->layer->slots[config_keys[i].slot];

        if ((config_keys[i].levels & LEVEL_BIT(within)) && !inner->key)
            *inner = (struct setting){.key = &config_keys[i], .at = in->at, .none = true};
    }
}

/* May this value hold placeholders that wait for an endpoint? What holds for the whole exporter
 * waits for none. Of a mapping whose keys are inherited one by one each key is asked for itself, as
 * are labels and vars. */
static bool takes_placeholders(const struct input *in)
{
    static const unsigned whole_exporter = LEVEL_BIT(LEVEL_TOP) | LEVEL_BIT(LEVEL_LIMITS);
    const struct key *key = in->key;

    if (!(key->levels & ~whole_exporter))
        return false;

    if (in->reader->literal || key->type == KEY_NODE || key->type == KEY_LABELS ||
        key->type == KEY_VARS || key->slot == SLOT_NAME || key->slot == SLOT_TEMPLATE)
        return false;
    if (key->type == KEY_SECRET && key->source == SECRET_INLINE)
        return false;
    return in->node->kind == YAML_TEXT || level_within(key->type) == LEVEL_COUNT;
}

static void read_entry(const struct reader *r, const struct yaml_entry *e, const struct key *key,
                       enum level level, struct layer *layer)
{
    struct input in = {
        .reader = r,
        .layer = layer,
        .key = key,
        .what = key->name,
        .at = e->value->kind == YAML_NULL ? e->key->at : e->value->at,
        .node = e->value,
        .text = e->value->text,
        .len = e->value->len,
        .quoted = e->value->quoted,
    };
    struct setting *to = claim(&in);

    if (!to)
        return;
    to->node = e->value;
    if (e->value->kind == YAML_NULL && e->value->len > 0 && inherits(level, key)) {
        remove_inherited(&in, to);
    } else if (takes_placeholders(&in) && node_has_braces(e->value)) {
        to->deferred = layer->deferred = true;
        if (e->value->kind != YAML_TEXT || !is_path(key) || note_path(&in, in.text))
            check_braces(&in, e->value);
    } else {
        read_value(&in, to);
    }
}

void read_layer(const struct reader *r, const struct yaml_node *map, enum level level,
                struct layer *layer)
{
    /* The connection string first: what stands beside it is then what is reported. */
    for (const struct yaml_entry *e = map->first; e; e = e->next) {
        const struct key *key = find_key(e->key->text, LEVEL_BIT(level));

        if (key && key->type == KEY_DSN)
            read_entry(r, e, key, level, layer);
    }
    for (const struct yaml_entry *e = map->first; e; e = e->next) {
        const struct key *key = find_key(e->key->text, LEVEL_BIT(level));

        if (!key)
            report_unknown(r, e->key, level, layer);
        else if (key->type != KEY_DSN)
            read_entry(r, e, key, level, layer);
    }
}

static void read_dsn_param(const struct input *dsn, const struct dsn_param *param)
{
    const struct dsn_keyword *keyword = dsn_keyword(param->key);
    struct input in = *dsn;
    char what[64];
    struct setting *to;

    if (param->value[0] == '\0')
        return; /* libpq takes its default */
    snprintf(what, sizeof what, "dsn: %s", param->key);
    in.what = what;
    in.key = find_dsn_key(param->key);
    in.text = param->value;
    in.len = strlen(param->value);
    if (keyword->fate == DSN_REFUSED) {
        refuse(&in, "%s", keyword->note);
    } else if (keyword->fate == DSN_IGNORED) {
        if (!keyword->harmless || strcmp(keyword->harmless, param->value) != 0)
            report_warning(in.reader->report, in.at, "%s: ignored; %s", what, keyword->note);
    } else {
        to = claim(&in);
        if (to)
            read_value(&in, to);
    }
}

void read_dsn(const struct reader *r, const struct key *key, struct place at, const char *text,
              struct layer *layer)
{
    struct arena *scratch = arena_new();
    struct dsn dsn;
    char error[256];
    struct input in = {.reader = r,
                       .layer = layer,
                       .key = key,
                       .what = key ? key->name : "dsn",
                       .at = at,
                       .from_dsn = true};

    if (!scratch) {
        report_no_memory(r->report);
        layer->bad = true;
    } else if (!dsn_parse(text, scratch, &dsn, error, sizeof error)) {
        if (strcmp(error, DSN_NO_MEMORY) == 0)
            r->report->messages->no_memory = true; /* it is worth another try */
        refuse(&in, "%s", error);
    } else {
        const char *password = dsn_get(&dsn, "password");
        bool has_password = password && password[0] != '\0';

        for (size_t i = 0; i < dsn.n_notices; i++)
            report_warning(r->report, at, "%s: %s", in.what, dsn.notices[i]);
        for (size_t i = 0; i < dsn.n; i++) {
            /* A password in the string makes libpq leave the passfile alone. */
            if (!has_password || strcmp(dsn.params[i].key, "passfile") != 0)
                read_dsn_param(&in, &dsn.params[i]);
        }
    }
    arena_free(scratch);
}
