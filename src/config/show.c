/* --config.show. Everything is written at its endpoint, so that reading it again gives the same;
 * a secret that stands in a file or in a connection string is named and left out. */
#include "show.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"
#include "pgtls/config/source.h"

#include <string.h>

#define COMMENT_COLUMN 60

enum indent { AT_TOP = 0, AT_CLUSTER = 4, AT_ENDPOINT = 6, AT_KEY = 8, AT_INNER_KEY = 10 };

/* --- values ----------------------------------------------------------------------------------- */

static bool is_plain(const char *text, size_t len)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                               "_./:@+-";

    return len > 0 && strspn(text, safe) == len && !strchr("-:@", text[0]) &&
           text[len - 1] != ':' && strcmp(text, "null") != 0;
}

static void add_quoted(struct buf *to, const char *text, size_t len, bool expands)
{
    buf_add_char(to, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < ' ' || c == 0x7F)
            buf_addf(to, "\\x%02x", c);
        else if (c == '"' || c == '\\')
            buf_addf(to, "\\%c", c);
        else
            buf_add_char(to, (char)c);
        if (expands && (c == '{' || c == '}'))
            buf_add_char(to, (char)c);
    }
    buf_add_char(to, '"');
}

/* A text as YAML; braces doubled where they would be placeholders. */
static void add_text(struct buf *to, const char *text, size_t len, bool expands)
{
    if (is_plain(text, len))
        buf_add(to, text, len);
    else
        add_quoted(to, text, len, expands);
}

static void add_node(struct buf *to, const struct yaml_node *node, bool expands)
{
    if (node->kind == YAML_TEXT) {
        /* Where a word may be text or not, as in "maintenance", its quotes make the difference. */
        if (node->quoted)
            add_quoted(to, node->text, node->len, expands);
        else
            add_text(to, node->text, node->len, expands);
        return;
    }
    buf_add_char(to, node->kind == YAML_MAP ? '{' : '[');
    for (const struct yaml_entry *e = node->first; e; e = e->next) {
        if (e != node->first)
            buf_add_str(to, ", ");
        if (e->key) {
            add_text(to, e->key->text, e->key->len, false);
            buf_add_str(to, ": ");
        }
        add_node(to, e->value, expands);
    }
    buf_add_char(to, node->kind == YAML_MAP ? '}' : ']');
}

static void add_value(struct buf *to, const struct setting *s)
{
    switch (s->key->type) {
    case KEY_DURATION:
        str_add_duration(to, s->number);
        return;
    case KEY_INTEGER:
        buf_addf(to, "%lld", (long long)s->number);
        return;
    case KEY_BOOL:
    case KEY_LOGIN:
    case KEY_POLICY:
        buf_add_str(to, s->number ? "true" : "false");
        return;
    case KEY_TEXT:
    case KEY_PATH: /* as it is from where it stands */
    case KEY_SECRET:
    case KEY_ENUM:
    case KEY_HOSTS:
    case KEY_PORTS:
        add_text(to, s->text, strlen(s->text), true);
        return;
    default:
        if (s->node)
            add_node(to, s->node, true);
        return;
    }
}

/* --- lines ------------------------------------------------------------------------------------ */

/* One line under construction. */
struct line {
    struct buf *to;
    size_t start;
};

static struct line begin(struct buf *to, enum indent indent, const char *key)
{
    struct line line = {to, to->len};

    buf_addf(to, "%*s%s:", (int)indent, "", key);
    return line;
}

static void end(const struct line *line, const char *comment)
{
    size_t width = line->to->len - line->start;

    buf_addf(line->to, "%*s# %s\n", width < COMMENT_COLUMN ? (int)(COMMENT_COLUMN - width) : 1, "",
             comment);
}

static void end_at(const struct line *line, struct place at, bool from_dsn)
{
    struct buf b = BUF_INIT(512);

    if (at.origin)
        buf_add_str(&b, at.origin->name);
    if (at.line > 0)
        buf_addf(&b, ":%u", at.line);
    if (from_dsn)
        buf_add_str(&b, b.len > 0 ? " (connection string)" : "connection string");
    end(line, buf_text(&b));
    buf_take_failure(line->to, &b);
    buf_deinit(&b);
}

static bool is_inline_secret(const struct setting *s)
{
    return s->key->type == KEY_SECRET && s->key->source == SECRET_INLINE;
}

/* A text that was read from a file is written as what was read. */
static const char *name_of(const struct key *key)
{
    for (size_t i = 0; i < n_config_keys && key->type == KEY_TEXT; i++) {
        if (config_keys[i].slot == key->slot && (config_keys[i].levels & key->levels))
            return config_keys[i].name; /* the plain one comes first */
    }
    return key->name;
}

static void show_key(struct buf *to, enum indent indent, const char *name, const struct setting *s)
{
    struct line line;

    if (is_inline_secret(s)) {
        line = (struct line){to, to->len};
        buf_addf(to, "%*s# %s: not shown", (int)indent, "", name);
    } else {
        line = begin(to, indent, name);
        buf_add_char(to, ' ');
        add_value(to, s);
    }
    end_at(&line, s->at, s->from_dsn);
}

/* What holds where nothing is set; false when that is nothing. */
static bool add_default(struct buf *to, enum slot slot, const struct server *server)
{
    static const char *const bindings[] = {"disable", "prefer", "require"};
    const char *text = NULL;

    switch (slot) {
    case SLOT_PORT:
        buf_addf(to, "%u", (unsigned)server->port);
        return true;
    case SLOT_INTERVAL:
        str_add_duration(to, server->interval_ns);
        return true;
    case SLOT_TIMEOUT:
        str_add_duration(to, server->timeout_ns);
        return true;
    case SLOT_LOGIN_INTERVAL:
        if (server->login)
            str_add_duration(to, server->login_interval_ns);
        return server->login;
    case SLOT_ENABLED:
        text = "true";
        break;
    case SLOT_SSLSNI:
        text = server->sslsni ? "true" : "false";
        break;
    case SLOT_DBNAME:
        text = server->dbname;
        break;
    case SLOT_SSLMODE:
        text = sslmode_name(server->sslmode);
        break;
    case SLOT_SSLROOTCERT:
        text = server->sslrootcert;
        break;
    case SLOT_NEGOTIATION:
        text = negotiation_name(server->negotiation);
        break;
    case SLOT_APPLICATION_NAME:
        text = server->application_name;
        break;
    case SLOT_CHANNEL_BINDING:
        text = bindings[server->channel_binding];
        break;
    default:
        break;
    }
    if (text)
        add_text(to, text, strlen(text), true);
    return text != NULL;
}

static void show_default(struct buf *to, enum indent indent, const struct key *key,
                         const struct server *server)
{
    struct buf value = BUF_INIT(1024);
    struct line line;

    if (add_default(&value, key->slot, server)) {
        line = begin(to, indent, key->name);
        buf_addf(to, " %s", buf_text(&value));
        end(&line, "default");
    }
    buf_take_failure(to, &value);
    buf_deinit(&value);
}

/* --- keys ------------------------------------------------------------------------------------- */

/* Where the label in force is set. */
static struct place place_of_label(const struct endpoint_source *source, const char *name)
{
    for (size_t i = source->n_layers; i-- > 0;) {
        const struct setting *labels = &source->layers[i]->slots[SLOT_LABELS];

        for (size_t j = 0; j < labels->n_labels; j++) {
            if (strcmp(labels->labels[j].label.name, name) == 0)
                return labels->labels[j].at;
        }
    }
    return source->at;
}

static void show_labels(struct buf *to, const struct endpoint_source *source,
                        const struct server *server)
{
    if (server->n_labels > 0)
        buf_addf(to, "%*slabels:\n", AT_KEY, "");
    for (size_t i = 0; i < server->n_labels; i++) {
        const struct label *label = &server->labels[i];
        struct line line = begin(to, AT_INNER_KEY, label->name);

        buf_add_char(to, ' ');
        add_text(to, label->value, strlen(label->value), true);
        end_at(&line, place_of_label(source, label->name), false);
    }
}

/* A mapping whose keys are inherited one by one. */
static void show_within(struct buf *to, const struct key *outer,
                        const struct endpoint_source *source, const struct server *server)
{
    const struct setting *whole = in_force(source, outer->slot);
    struct buf inner = BUF_INIT(8192);

    for (size_t i = 0; i < n_config_keys; i++) {
        const struct key *key = &config_keys[i];
        const struct setting *s = in_force(source, key->slot);

        if (!(key->levels & LEVEL_BIT(level_within(outer->type))))
            continue;
        if (s && (s->key == key || s->key == outer))
            show_key(&inner, AT_INNER_KEY, key->name, s);
        else if (!s)
            show_default(&inner, AT_INNER_KEY, key, server);
    }
    if (whole && outer->type == KEY_POLICY && (!whole->number || inner.len == 0))
        show_key(to, AT_KEY, outer->name, whole);
    else if (inner.len > 0)
        buf_addf(to, "%*s%s:\n%s", AT_KEY, "", outer->name, buf_text(&inner));
    buf_take_failure(to, &inner);
    buf_deinit(&inner);
}

static void show_keys(struct buf *to, const struct endpoint_source *source,
                      const struct server *server)
{
    const struct setting *role = in_force(source, SLOT_ROLE);

    for (size_t i = 0; i < n_config_keys; i++) {
        const struct key *key = &config_keys[i];
        const struct setting *s = in_force(source, key->slot);

        if (!(key->levels & LEVEL_BIT(LEVEL_ENDPOINT)) || key->slot == SLOT_DSN ||
            key->type == KEY_VARS)
            continue;
        if (key->type == KEY_LABELS)
            show_labels(to, source, server);
        else if (level_within(key->type) != LEVEL_COUNT)
            show_within(to, key, source, server);
        else if (s && s->key == key)
            show_key(to, AT_KEY, name_of(key), s);
        else if (!s && key->name == name_of(key))
            show_default(to, AT_KEY, key, server);
    }
    if (role && role->key->type == KEY_ENUM) { /* only a connection string can say it */
        struct line line = begin(to, AT_KEY, "dsn");

        buf_addf(to, " target_session_attrs=%s", role->text);
        end_at(&line, role->at, true);
    }
}

static bool is_asked_for(const struct show *show, const struct endpoint_source *source)
{
    size_t len = strlen(source->cluster);

    return !show->which ||
           (strncmp(show->which, source->cluster, len) == 0 &&
            (show->which[len] == '\0' ||
             (show->which[len] == '/' && strcmp(show->which + len + 1, source->name) == 0)));
}

void show_endpoint(struct show *show, const struct endpoint_source *source,
                   const struct server *server)
{
    struct buf *to = show->to;
    struct line line;

    if (!is_asked_for(show, source))
        return;
    if (show->n++ == 0)
        buf_add_str(to, "clusters:\n");
    if (!show->cluster || strcmp(show->cluster, source->cluster) != 0) {
        buf_add_str(to, "  - name: ");
        add_text(to, source->cluster, strlen(source->cluster), false);
        buf_addf(to, "\n%*sendpoints:\n", AT_CLUSTER, "");
        show->cluster = source->cluster;
    }
    line = (struct line){to, to->len};
    buf_addf(to, "%*s", AT_ENDPOINT, "");
    add_text(to, source->name, strlen(source->name), false);
    buf_add_char(to, ':');
    end_at(&line, source->at, false);
    show_keys(to, source, server);
}

void show_setting(struct show *show, const struct setting *s)
{
    struct line line;

    if (!s->key || !s->node || s->node->kind == YAML_NULL)
        return;
    line = begin(show->to, AT_TOP, s->key->name);
    buf_add_char(show->to, ' ');
    add_node(show->to, s->node, true);
    end_at(&line, s->at, false);
}

/* A key of a module as it was given; braces are no placeholders there. */
static void show_given(struct buf *to, const struct yaml_entry *e)
{
    struct line line = {to, to->len};

    if (strcmp(e->key->text, "password") == 0 || strcmp(e->key->text, "sslpassword") == 0) {
        buf_addf(to, "%*s# %s: not shown", AT_CLUSTER, "", e->key->text);
    } else {
        begin(to, AT_CLUSTER, e->key->text);
        buf_add_char(to, ' ');
        add_node(to, e->value, false);
    }
    end_at(&line, e->value->at, false);
}

void show_modules(struct show *show, const struct setting *s)
{
    struct line line;

    if (!s->key || !s->node || s->node->kind != YAML_MAP)
        return;
    if (show->n_modules == 0)
        buf_add_str(show->to, "modules:\n");
    for (const struct yaml_entry *m = s->node->first; m; m = m->next) {
        show->n_modules++;
        line = (struct line){show->to, show->to->len};
        buf_addf(show->to, "  %s:", m->key->text);
        end_at(&line, m->key->at, false);
        for (const struct yaml_entry *e = m->value->first; e; e = e->next)
            show_given(show->to, e);
    }
}
