/* What placeholders stand for at an endpoint. */
#include "expand.h"

#include "building.h"
#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"
#include "placeholder.h"
#include "values.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXPANDED_BYTES ((size_t)16384)
#define MAX_DEPTH          32   /* of placeholders within what placeholders stand for */
#define MAX_SUBSTITUTIONS  1000 /* of one value; what doubles at every step stops here */
#define MAX_SHOWN_NAMES    24
#define UNSET_PORT         "5432"

/* How what is put into a connection string is kept from being taken for its syntax. */
enum encoding { ENCODE_NOT, ENCODE_PERCENT, ENCODE_BACKSLASH };

/* The expansion of one value. */
struct expansion {
    struct building *b;
    struct endpoint_source *source;
    const struct key *key; /* of the value */
    unsigned substitutions;
};

/* A text that is being expanded, within those whose placeholders led to it. */
struct frame {
    const struct frame *outer;
    const void *what; /* the setting, label or var: one that is met again is a cycle */
    const char *name;
    struct place at;
    enum slot slot; /* SLOT_VARS: a var */
    size_t layer;   /* where it is set */
    enum encoding encoding;
    unsigned depth;
};

/* --- errors ----------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static bool fail(struct expansion *x, const struct frame *f,
                                                       const char *format, ...)
{
    struct buf b = BUF_INIT(1024);
    va_list args;

    va_start(args, format);
    buf_addv(&b, format, args);
    va_end(args);
    report_error(x->b->reader.report, f->at, "%s: %s (endpoint \"%s\" of cluster \"%s\")", f->name,
                 buf_text(&b), x->source->name, x->source->cluster);
    buf_deinit(&b);
    return false;
}

static bool fail_no_memory(struct expansion *x)
{
    report_no_memory(x->b->reader.report);
    x->b->failed = true;
    return false;
}

/* "user (on line 3) -> dbname (on line 4) -> user" */
static bool fail_cycle(struct expansion *x, const struct frame *f, const void *again)
{
    const struct frame *chain[MAX_DEPTH + 1], *first;
    struct buf b = BUF_INIT(512);
    char where[PLACE_SIZE];
    size_t n = 0;

    for (first = f;; first = first->outer) {
        chain[n++] = first;
        if (first->what == again || !first->outer || n > MAX_DEPTH)
            break;
    }
    for (size_t i = n; i-- > 0;)
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): loses sight of a loop this long */
        buf_addf(&b, "%s (%s) -> ", chain[i]->name, place_text(where, chain[i]->at, f->at));
    fail(x, f, "these need each other: %s%s", buf_text(&b), first->name);
    buf_deinit(&b);
    return false;
}

/* A name as messages may show it: in a connection string it may be part of a password. */
static bool fail_unknown(struct expansion *x, const struct frame *f, const char *name)
{
    const char *names[MAX_SHOWN_NAMES], *nearest;
    struct buf known = BUF_INIT(512), what = BUF_INIT(256);
    char clean[MAX_PLACEHOLDER_BYTES + 1];
    size_t n = 0;

    for (; n < N_BUILTINS; n++)
        names[n] = builtins[n].name;
    for (size_t i = x->source->n_layers; i-- > 0;) {
        const struct setting *vars = &x->source->layers[i]->slots[SLOT_VARS];

        for (size_t j = 0; j < vars->n_labels && n < MAX_SHOWN_NAMES; j++)
            names[n++] = vars->labels[j].label.name;
    }
    for (size_t i = 0; i < n; i++)
        buf_addf(&known, "%s{%s}", i ? ", " : "", names[i]);
    nearest = f->slot == SLOT_DSN ? NULL : str_nearest(name, names, n);
    str_clean(clean, sizeof clean, name, strlen(name));
    if (f->slot == SLOT_DSN)
        buf_add_str(&what, "a placeholder in it is unknown");
    else
        buf_addf(&what, "unknown placeholder {%s}", clean);
    if (nearest)
        buf_addf(&what, "; did you mean {%s}?", nearest);
    fail(x, f, "%s%s known here: %s; a brace itself is written \"{{\" or \"}}\"", buf_text(&what),
         nearest ? "" : ";", buf_text(&known));
    buf_deinit(&known);
    buf_deinit(&what);
    return false;
}

/* --- values in force -------------------------------------------------------------------------- */

static bool expand_text(struct expansion *x, const struct frame *f, const char *text, size_t len,
                        struct buf *to);

/* Is it being expanded already? */
static bool is_busy(const struct frame *f, const void *what)
{
    for (; f; f = f->outer) {
        if (f->what == what)
            return true;
    }
    return false;
}

/* Expands the text that placeholder led to from `f`. */
static bool expand_within(struct expansion *x, const struct frame *f, const struct frame *inner,
                          const char *text, size_t len, struct buf *to)
{
    if (is_busy(f, inner->what))
        return fail_cycle(x, f, inner->what);
    if (f->depth == MAX_DEPTH)
        return fail(x, f, "placeholders stand for placeholders more than %d deep", MAX_DEPTH);
    return expand_text(x, inner, text, len, to);
}

static bool expand_dsn(struct expansion *x, const struct frame *from, size_t layer);

/* The setting of a slot that is in force at the levels below `limit`. A connection string that is
 * still deferred is expanded on the way, as it may set the slot; the one that asks itself (`f`) is
 * passed over. */
static bool find_setting(struct expansion *x, const struct frame *f, enum slot slot, size_t limit,
                         const struct setting **found, size_t *layer)
{
    bool dsn_removed = false;

    *found = NULL;
    for (size_t i = limit; i-- > 0;) {
        const struct layer *at = x->source->layers[i];
        const struct setting *s;

        if (at->slots[SLOT_DSN].deferred && !at->slots[slot].key && !dsn_removed &&
            at->slots[SLOT_DSN].node != f->what) {
            if (!expand_dsn(x, f, i))
                return false;
            at = x->source->layers[i];
        }
        s = &at->slots[slot];
        if (s->key && !(s->from_dsn && dsn_removed)) {
            *found = s->none ? NULL : s;
            *layer = i;
            return !at->bad;
        }
        if (at->slots[SLOT_DSN].none)
            dsn_removed = true;
    }
    return true;
}

/* The text of host, port, dbname or user in force, as if it stood at the endpoint. */
static bool add_slot(struct expansion *x, const struct frame *f, const struct builtin *which,
                     struct buf *to)
{
    const struct setting *s;
    size_t layer = 0, limit = f->slot == which->slot ? f->layer : x->source->n_layers;

    if (!find_setting(x, f, which->slot, limit, &s, &layer))
        return false;
    if (s && s->deferred && s->node->kind == YAML_TEXT) {
        const struct frame inner = {.outer = f,
                                    .what = s->node,
                                    .name = s->key->name,
                                    .at = s->at,
                                    .slot = which->slot,
                                    .layer = layer,
                                    .depth = f->depth + 1};

        return expand_within(x, f, &inner, s->node->text, s->node->len, to);
    }
    if (s && s->text) {
        buf_add_str(to, s->text);
        return true;
    }
    if (!s && which->slot == SLOT_PORT) {
        buf_add_str(to, UNSET_PORT);
        return true;
    }
    if (!s && which->slot == SLOT_DBNAME && f->slot != SLOT_USER && f->slot != SLOT_DBNAME)
        return add_slot(x, f, find_builtin("user"), to); /* libpq's default */
    return fail(x, f, "{%s}: %s %s is set", which->name,
                f->slot == which->slot ? "it stands in itself, and at the outer levels no" : "no",
                which->name);
}

/* A placeholder of one's own. */
static bool add_var(struct expansion *x, const struct frame *f, const char *name, struct buf *to)
{
    bool own = f->slot == SLOT_VARS && strcmp(f->name, name) == 0;

    for (size_t i = own ? f->layer : x->source->n_layers; i-- > 0;) {
        const struct setting *vars = &x->source->layers[i]->slots[SLOT_VARS];

        for (size_t j = 0; j < vars->n_labels; j++) {
            const struct named_text *var = &vars->labels[j];
            const struct frame inner = {.outer = f,
                                        .what = var,
                                        .name = var->label.name,
                                        .at = var->at,
                                        .slot = SLOT_VARS,
                                        .layer = i,
                                        .depth = f->depth + 1};

            if (strcmp(var->label.name, name) != 0)
                continue;
            if (var->none)
                return fail_unknown(x, f, name);
            if (var->deferred)
                return expand_within(x, f, &inner, var->label.value, strlen(var->label.value), to);
            buf_add_str(to, var->label.value);
            return true;
        }
        if (vars->none)
            break;
    }
    return fail_unknown(x, f, name);
}

/* --- putting them in -------------------------------------------------------------------------- */

static void add_encoded(struct buf *to, const struct buf *value, enum encoding encoding)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-._~";

    for (size_t i = 0; i < value->len; i++) {
        char c = value->data[i];

        if (encoding == ENCODE_PERCENT && (c == '\0' || !strchr(plain, c)))
            buf_addf(to, "%%%02X", (unsigned char)c);
        else if (encoding == ENCODE_BACKSLASH && c != '\0' && strchr("\\' \t\n\r\f\v", c))
            buf_addf(to, "\\%c", c);
        else
            buf_add_char(to, c);
    }
}

/* Names that come from elsewhere must not lead a path to another directory. */
static bool check_path_piece(struct expansion *x, const struct frame *f, const char *name,
                             const struct buf *value)
{
    const char *text = buf_text(value);

    if (!is_path(x->key) || !find_builtin(name) ||
        !(strchr(text, '/') || strcmp(text, ".") == 0 || strcmp(text, "..") == 0))
        return true;
    return fail(x, f, "{%s} stands for a name with a \"/\" or \"..\", which a path must not take",
                name);
}

static bool substitute(struct expansion *x, const struct frame *f, const char *name, struct buf *to)
{
    const struct builtin *builtin = find_builtin(name);
    struct buf value = BUF_INIT(MAX_EXPANDED_BYTES);
    bool good = true;

    if (++x->substitutions > MAX_SUBSTITUTIONS)
        return fail(x, f, "more than %d placeholders in all", MAX_SUBSTITUTIONS);
    if (!builtin)
        good = add_var(x, f, name, &value);
    else if (builtin->slot == SLOT_NAME)
        buf_add_str(&value, x->source->cluster);
    else if (builtin->slot == SLOT_ENDPOINTS)
        buf_add_str(&value, x->source->name);
    else
        good = add_slot(x, f, builtin, &value);
    good = good && check_path_piece(x, f, name, &value);
    if (good)
        add_encoded(to, &value, f->encoding);
    if (value.failed)
        to->failed = true;
    buf_deinit(&value);
    return good;
}

static bool expand_text(struct expansion *x, const struct frame *f, const char *text, size_t len,
                        struct buf *to)
{
    struct scan scan = {.at = text, .end = text + len};

    while (scan.at < scan.end) {
        if (scan_next(&scan)) /* was said where it was read */
            return false;
        buf_add(to, scan.plain, scan.plain_len);
        if (scan.name[0] != '\0' && !substitute(x, f, scan.name, to))
            return false;
    }
    if (to->failed)
        return fail(x, f, "its placeholders stand for more than %zu bytes", MAX_EXPANDED_BYTES);
    return true;
}

/* A copy with every text in it expanded; NULL after an error. */
static const struct yaml_node *expand_node(struct expansion *x, const struct frame *f,
                                           const struct yaml_node *node)
{
    struct arena *arena = x->b->reader.arena;
    struct yaml_node *copy = arena_alloc(arena, sizeof *copy);
    struct frame here = *f;

    if (!copy) {
        fail_no_memory(x);
        return NULL;
    }
    *copy = *node;
    here.at = node->at;
    if (node->kind == YAML_TEXT) {
        struct buf text = BUF_INIT(MAX_EXPANDED_BYTES);

        if (expand_text(x, &here, node->text, node->len, &text)) {
            copy->text = x->key->type == KEY_DSN
                             ? arena_strndup_secret(arena, buf_text(&text), text.len)
                             : arena_strndup(arena, buf_text(&text), text.len);
            copy->len = text.len;
            copy->quoted = false; /* only its braces asked for quotes */
            if (!copy->text)
                fail_no_memory(x);
        } else {
            copy->text = NULL;
        }
        buf_deinit(&text);
        return copy->text ? copy : NULL;
    }
    copy->first = copy->last = NULL;
    for (const struct yaml_entry *e = node->first; e; e = e->next) {
        struct yaml_entry *entry = arena_alloc(arena, sizeof *entry);

        if (!entry) {
            fail_no_memory(x);
            return NULL;
        }
        *entry = (struct yaml_entry){e->key, expand_node(x, &here, e->value), NULL};
        if (!entry->value)
            return NULL;
        *(copy->last ? &copy->last->next : &copy->first) = entry;
        copy->last = entry;
    }
    return copy;
}

/* Expands a setting and reads it into a layer. */
static void read_expanded(struct expansion *x, const struct frame *f, const struct setting *s,
                          struct layer *layer)
{
    const struct yaml_node *node = expand_node(x, f, s->node);
    struct reader reader = x->b->reader;
    struct input in = {
        .reader = &reader, .layer = layer, .key = s->key, .what = s->key->name, .at = s->at};
    struct setting *to = &layer->slots[s->key->slot];

    *to = (struct setting){.key = s->key, .at = s->at, .node = node};
    if (!node) {
        layer->bad = true;
        return;
    }
    reader.literal = true;
    reader.cluster = x->source->cluster;
    reader.endpoint = x->source->name;
    in.node = node;
    in.text = node->text;
    in.len = node->len;
    read_value(&in, to);
}

static bool expand_dsn(struct expansion *x, const struct frame *from, size_t layer)
{
    const struct layer *original = x->source->layers[layer];
    const struct setting *s = &original->slots[SLOT_DSN];
    struct frame f = {.outer = from,
                      .what = s->node,
                      .name = s->key->name,
                      .at = s->at,
                      .slot = SLOT_DSN,
                      .layer = layer,
                      .depth = from ? from->depth + 1 : 0};
    struct expansion inner = {.b = x->b, .source = x->source, .key = s->key};
    struct layer *copy;

    if (is_busy(from, s->node))
        return fail_cycle(x, from, s->node);
    if (!x->b->copies[layer])
        x->b->copies[layer] = malloc(sizeof *copy);
    copy = x->b->copies[layer];
    if (!copy)
        return fail_no_memory(x);
    if (s->key->type == KEY_DSN && s->key->source == SECRET_NONE && s->node->kind == YAML_TEXT)
        f.encoding = strstr(s->node->text, "://") ? ENCODE_PERCENT : ENCODE_BACKSLASH;
    *copy = *original;
    read_expanded(&inner, &f, s, copy);
    x->source->layers[layer] = copy;
    return !copy->bad;
}

void expand_endpoint(struct building *b, struct endpoint_source *source, struct layer *own)
{
    bool dsn_removed = false;

    for (size_t i = source->n_layers; i-- > 0 && !b->failed;) {
        const struct setting *dsn = &source->layers[i]->slots[SLOT_DSN];
        struct expansion x = {.b = b, .source = source, .key = dsn->key};

        if (dsn->deferred && !dsn_removed)
            expand_dsn(&x, NULL, i);
        dsn_removed = dsn_removed || dsn->none;
    }
    for (enum slot slot = 0; slot < SLOT_COUNT && !b->failed; slot++) {
        size_t layer = 0;
        const struct setting *s = in_force_at(source, slot, &layer);
        struct expansion x = {.b = b, .source = source, .key = s ? s->key : NULL};

        if (s && s->deferred && slot != SLOT_DSN) {
            const struct frame f = {
                .what = s->node, .name = s->key->name, .at = s->at, .slot = slot, .layer = layer};

            read_expanded(&x, &f, s, own);
        }
    }
    source->layers[source->n_layers++] = own;
}

const char *expand_label(struct building *b, struct endpoint_source *source,
                         const struct named_text *text, const struct setting *labels, size_t layer)
{
    struct expansion x = {.b = b, .source = source, .key = labels->key};
    const struct frame f = {.what = text,
                            .name = text->label.name,
                            .at = text->at,
                            .slot = SLOT_LABELS,
                            .layer = layer};
    struct buf value = BUF_INIT(MAX_EXPANDED_BYTES);
    struct reader reader = b->reader;
    struct layer scratch = {.bad = false};
    struct input in = {.reader = &reader,
                       .layer = &scratch,
                       .key = labels->key,
                       .what = text->label.name,
                       .at = text->at};
    const char *result = NULL;

    reader.cluster = source->cluster;
    reader.endpoint = source->name;
    if (expand_text(&x, &f, text->label.value, strlen(text->label.value), &value)) {
        in.text = buf_text(&value);
        in.len = value.len;
        result = read_named_text(&in);
    }
    buf_deinit(&value);
    return result;
}
