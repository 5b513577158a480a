/* A YAML document as a tree, built from libfyaml's events: its document tree is not bounded, and
 * looks for duplicate keys by comparing all with all. */
#include "yaml.h"

#include "names.h"
#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"

#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

/* What libfyaml was seen to take, and as much again. */
#define PARSER_BYTES          ((size_t)128 * 1024)
#define PARSER_BYTES_PER_BYTE ((size_t)16)

/* A mapping or list that is still open. */
struct frame {
    struct yaml_node *node;
    const struct yaml_node *key; /* of a mapping: read, its value not yet */
};

struct anchor {
    const struct yaml_node *node;
};

struct builder {
    struct arena *arena;
    struct report *report;
    struct origin *origin;
    struct frame stack[YAML_MAX_DEPTH];
    size_t depth;
    const struct yaml_node *root;
    struct names anchors, keys;
    bool started; /* the first document */
    bool ended;   /* libfyaml has come to the end of it all */
    bool failed;
};

const char *yaml_kind_name(enum yaml_kind kind)
{
    static const char *const names[] = {
        [YAML_NULL] = "nothing",
        [YAML_TEXT] = "a single value",
        [YAML_LIST] = "a list",
        [YAML_MAP] = "a mapping",
    };

    return names[kind];
}

static struct place token_place(const struct builder *b, struct fy_token *token)
{
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

    if (!mark)
        return (struct place){.origin = b->origin};
    return (struct place){(unsigned)mark->line + 1, (unsigned)mark->column + 1, b->origin};
}

static void stop(struct builder *b, struct place at, const char *why)
{
    report_error(b->report, at, "%s", why);
    b->failed = true;
}

static void stop_no_memory(struct builder *b)
{
    report_no_memory(b->report);
    b->failed = true;
}

static struct yaml_node *new_node(struct builder *b, enum yaml_kind kind, struct place at)
{
    struct yaml_node *node = arena_alloc(b->arena, sizeof *node);

    if (!node) {
        stop_no_memory(b);
        return NULL;
    }
    node->kind = kind;
    node->at = at;
    node->weight = 1;
    return node;
}

/* Adds a complete node where it belongs: as the root, a key, a value, an item. */
static void attach(struct builder *b, const struct yaml_node *node)
{
    struct frame *top = b->depth > 0 ? &b->stack[b->depth - 1] : NULL;
    struct yaml_entry *entry;

    if (!top) {
        b->root = node;
        return;
    }
    if (top->node->kind == YAML_MAP && !top->key) {
        if (node->kind == YAML_TEXT)
            top->key = node;
        else
            stop(b, node->at, "a key must be a single value");
        return;
    }
    entry = arena_alloc(b->arena, sizeof *entry);
    if (!entry) {
        stop_no_memory(b);
        return;
    }
    *entry = (struct yaml_entry){top->key, node, NULL};
    if (top->node->last)
        top->node->last->next = entry;
    else
        top->node->first = entry;
    top->node->last = entry;
    top->node->n++;
    top->node->weight += node->weight + (top->key != NULL);
    top->key = NULL;
    if (top->node->weight > YAML_MAX_NODES)
        stop(b, node->at, "too much: with its aliases expanded the file has over 4000000 values");
}

/* Remembers an anchored node; a name given again counts from there on, as YAML has it. */
static void add_anchor(struct builder *b, struct fy_token *token, const struct yaml_node *node)
{
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : NULL;
    struct anchor *anchor;
    char *name;

    if (!text || b->failed)
        return;
    anchor = arena_alloc(b->arena, sizeof *anchor);
    name = arena_strndup(b->arena, text, len);
    if (anchor && name) {
        const void *before;

        anchor->node = node;
        before = names_add(&b->anchors, name, anchor, &b->failed);
        if (before)
            stop(b, node->at, "this anchor's name is already taken");
        else if (!b->failed)
            return;
    }
    if (!b->failed)
        stop_no_memory(b);
}

static void refuse_tag(struct builder *b, struct fy_token *tag)
{
    if (tag && !b->failed)
        stop(b, token_place(b, tag),
             "tags (words that begin with \"!\") are not read; leave it out");
}

static bool is_null_word(const char *text, size_t len)
{
    return len == 0 || (len == 1 && *text == '~') || (len == 4 && memcmp(text, "null", 4) == 0);
}

/* libfyaml's token of a quoted scalar begins behind the quote; people count from the quote. */
static struct place scalar_place(const struct builder *b, struct fy_token *token)
{
    struct place at = token_place(b, token);
    enum fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_PLAIN;

    if (at.column > 1 && (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED))
        at.column--;
    return at;
}

static void on_scalar(struct builder *b, const struct fy_event *e)
{
    struct fy_token *token = e->scalar.value;
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : "";
    bool quoted = token && fy_token_scalar_style(token) != FYSS_PLAIN;
    struct yaml_node *node = new_node(b, YAML_TEXT, scalar_place(b, token));

    refuse_tag(b, e->scalar.tag);
    if (b->failed)
        return;
    if (!text)
        text = "";
    if (!quoted && is_null_word(text, len))
        node->kind = YAML_NULL;
    if (node->at.line == 0 && b->depth > 0) { /* "key:" and nothing behind it */
        const struct frame *top = &b->stack[b->depth - 1];

        node->at = top->key ? top->key->at : top->node->at;
    }
    node->quoted = quoted;
    node->len = len;
    node->text = arena_strndup(b->arena, text, len);
    if (!node->text) {
        stop_no_memory(b);
        return;
    }
    add_anchor(b, e->scalar.anchor, node);
    if (!b->failed)
        attach(b, node);
}

static void on_alias(struct builder *b, struct fy_token *token)
{
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : NULL;
    char *name = text ? arena_strndup(b->arena, text, len) : NULL;
    const struct anchor *anchor;
    bool failed = false;
    static const struct anchor unknown;

    if (!name) {
        stop_no_memory(b);
        return;
    }
    /* Adding is also how one looks; an unknown name is the end of it anyway. */
    anchor = names_add(&b->anchors, name, &unknown, &failed);
    if (failed)
        stop_no_memory(b);
    else if (!anchor)
        stop(b, token_place(b, token), "no anchor (&name) of this name before this alias");
    else if (anchor->node->kind >= YAML_LIST && anchor->node->weight == 0)
        stop(b, token_place(b, token), "an alias inside what it stands for");
    else
        attach(b, anchor->node);
}

static void on_open(struct builder *b, enum yaml_kind kind, struct fy_token *start,
                    struct fy_token *anchor, struct fy_token *tag)
{
    struct yaml_node *node = new_node(b, kind, token_place(b, start));

    refuse_tag(b, tag);
    if (b->failed)
        return;
    if (b->depth == YAML_MAX_DEPTH) {
        stop(b, node->at, "too deeply nested");
        return;
    }
    node->weight = 0; /* open; see on_alias */
    add_anchor(b, anchor, node);
    b->stack[b->depth++] = (struct frame){node, NULL};
}

static void find_duplicate_keys(struct builder *b, const struct yaml_node *map)
{
    bool failed = false;

    names_clear(&b->keys);
    for (const struct yaml_entry *e = map->first; e && !failed; e = e->next) {
        const struct yaml_node *before = names_add(&b->keys, e->key->text, e->key, &failed);
        char shown[64];

        if (!before)
            continue;
        str_clean(shown, sizeof shown, e->key->text, e->key->len);
        report_error(b->report, e->key->at, "\"%s\" stands here a second time; first on line %u",
                     shown, before->at.line);
    }
    if (failed)
        stop_no_memory(b);
}

static void on_close(struct builder *b)
{
    struct yaml_node *node;

    if (b->depth == 0)
        return; /* never: libfyaml closes what it has opened */
    node = b->stack[--b->depth].node;
    node->weight++;
    if (node->kind == YAML_MAP)
        find_duplicate_keys(b, node);
    if (!b->failed)
        attach(b, node);
}

static void on_event(struct builder *b, const struct fy_event *e)
{
    switch (e->type) {
    case FYET_DOCUMENT_START:
        if (b->started)
            stop(b, token_place(b, e->document_start.document_start),
                 "a second document; one file holds one");
        b->started = true;
        break;
    case FYET_STREAM_END:
        b->ended = true;
        break;
    case FYET_SCALAR:
        on_scalar(b, e);
        break;
    case FYET_ALIAS:
        on_alias(b, e->alias.anchor);
        break;
    case FYET_MAPPING_START:
        on_open(b, YAML_MAP, e->mapping_start.mapping_start, e->mapping_start.anchor,
                e->mapping_start.tag);
        break;
    case FYET_SEQUENCE_START:
        on_open(b, YAML_LIST, e->sequence_start.sequence_start, e->sequence_start.anchor,
                e->sequence_start.tag);
        break;
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        on_close(b);
        break;
    default:
        break;
    }
}

/* What libfyaml had to say, without the line of the file it would quote. */
static void report_syntax(struct builder *b, struct fy_diag *diag)
{
    void *walk = NULL;
    const struct fy_diag_error *e;
    bool said = false;

    while ((e = fy_diag_errors_iterate(diag, &walk)) != NULL) {
        struct place at = {.origin = b->origin};
        char text[256];

        if (e->type < FYET_ERROR || !e->msg)
            continue;
        if (e->line > 0 && e->column > 0)
            at = (struct place){(unsigned)e->line, (unsigned)e->column, b->origin};
        str_clean(text, sizeof text, e->msg, strlen(e->msg));
        report_error(b->report, at, "not YAML: %s", text);
        said = true;
    }
    if (!said)
        report_error(b->report, (struct place){.origin = b->origin}, "not YAML");
    b->failed = true;
}

static void read_events(struct builder *b, struct fy_parser *parser, struct fy_diag *diag)
{
    struct fy_event *event;

    while (!b->failed && (event = fy_parser_parse(parser)) != NULL) {
        on_event(b, event);
        fy_parser_event_free(parser, event);
    }
    if (!b->failed && (fy_parser_get_stream_error(parser) || fy_diag_got_error(diag)))
        report_syntax(b, diag);
    if (!b->failed && !b->ended) /* it also stops without a word, where it has no memory to go on */
        stop_no_memory(b);
}

/* libfyaml stops at a byte that is no character as if the file ended there, without a word. */
static bool check_characters(struct builder *b, const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    struct place at = {1, 1, b->origin};

    for (size_t i = 0; i < len;) {
        size_t n = str_utf8_sequence(p + i, len - i);
        bool control = (p[i] < ' ' && p[i] != '\t' && p[i] != '\n' && p[i] != '\r') || p[i] == 0x7F;

        if (n == 0 || control) {
            report_error(b->report, at, "byte 0x%02x is %s; the file must be UTF-8 text", p[i],
                         control ? "a control character" : "not UTF-8");
            b->failed = true;
            return false;
        }
        at.column++;
        if (p[i] == '\n') {
            at.line++;
            at.column = 1;
        }
        i += n;
    }
    return true;
}

/* libfyaml does not survive an allocation that fails. So as much as it may take is asked for
 * before: where memory is at its end, that is told, and libfyaml does not begin. */
static bool has_memory(size_t len)
{
    void *volatile room = malloc(PARSER_BYTES + PARSER_BYTES_PER_BYTE * len);
    bool has = room != NULL;

    free(room);
    return has;
}

/* Nothing of libfyaml's goes to stderr. */
static void say_nothing(struct fy_diag *diag, void *user, const char *text, size_t len)
{
    (void)diag;
    (void)user;
    (void)text;
    (void)len;
}

const struct yaml_node *yaml_parse(const char *text, size_t len, struct arena *arena,
                                   struct report *report, struct origin *origin)
{
    struct builder b = {.arena = arena, .report = report, .origin = origin};
    struct fy_diag_cfg diag_cfg;
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE};
    struct fy_parser *parser = NULL;
    size_t errors = report->messages->errors;

    if (!check_characters(&b, text, len))
        return NULL;
    if (!has_memory(len)) {
        stop_no_memory(&b);
        return NULL;
    }
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.output_fn = say_nothing;
    cfg.diag = fy_diag_create(&diag_cfg);
    if (cfg.diag) {
        fy_diag_set_collect_errors(cfg.diag, true);
        parser = fy_parser_create(&cfg);
    }
    if (!parser || fy_parser_set_string(parser, text, len) != 0)
        stop_no_memory(&b);
    else
        read_events(&b, parser, cfg.diag);
    fy_parser_destroy(parser);
    fy_diag_destroy(cfg.diag);
    names_deinit(&b.anchors);
    names_deinit(&b.keys);
    if (b.failed && report->messages->errors == errors)
        stop_no_memory(&b); /* nothing is not what is in the file */
    return b.failed ? NULL : b.root;
}
