/* Templates. */
#include "template.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"

#include <string.h>

#define MAX_TEMPLATE_NAME_BYTES 128
#define MAX_SHOWN_TEMPLATES     64

static void add_template(struct loading *l, const struct yaml_entry *entry)
{
    const struct template *before;
    struct template *t;
    char where[PLACE_SIZE], shown[MAX_TEMPLATE_NAME_BYTES + 1];
    bool failed = false;

    if (entry->key->len == 0 || entry->key->len > MAX_TEMPLATE_NAME_BYTES) {
        report_error(&l->report, entry->key->at, "the name of a template is 1 to %d bytes long",
                     MAX_TEMPLATE_NAME_BYTES);
        return;
    }
    if (!expect_kind(l, entry->value, YAML_MAP, "template", "write for example {user: monitor}"))
        return;
    t = arena_alloc(l->scratch, sizeof *t);
    if (!t) {
        report_no_memory(&l->report);
        return;
    }
    t->name = entry->key->text;
    t->at = entry->key->at;
    t->node = entry->value;
    t->self = t;
    before = names_add(&l->templates, t->name, t, &failed);
    if (failed) {
        report_no_memory(&l->report);
    } else if (before) {
        str_clean(shown, sizeof shown, t->name, entry->key->len);
        if (before->at.origin != t->at.origin) /* within one file it is a duplicate key already */
            report_error(&l->report, t->at, "a template \"%s\" is already %s", shown,
                         place_text(where, before->at, t->at));
    } else {
        *(l->last_template ? &l->last_template->next : &l->first_template) = t;
        l->last_template = t;
    }
}

void templates_collect(struct loading *l, const struct file *file)
{
    const struct setting *s = &file->top.slots[SLOT_TEMPLATES];

    if (!s->key || !s->node || s->node->kind == YAML_NULL ||
        !expect_kind(l, s->node, YAML_MAP, "templates", "write for example {pooled: {port: 6432}}"))
        return;
    for (const struct yaml_entry *e = s->node->first; e; e = e->next)
        add_template(l, e);
}

static const struct template_endpoint *find_endpoint(const struct template *t, const char *name)
{
    return names_find(&t->by_name, name);
}

/* A list of its own for all endpoints: the bases', without those it removes, and its own. */
static struct template_endpoint *start_endpoints(struct loading *l, struct template *t,
                                                 const struct yaml_node *own)
{
    size_t n = (t->base ? t->base->n_endpoints : 0) + (own ? own->n : 0);

    t->endpoints = arena_alloc(l->scratch, (n + 1) * sizeof *t->endpoints);
    if (!t->endpoints)
        report_no_memory(&l->report);
    return t->endpoints;
}

static const struct yaml_entry *find_entry(const struct yaml_node *map, const char *name)
{
    for (const struct yaml_entry *e = map ? map->first : NULL; e; e = e->next) {
        if (strcmp(e->key->text, name) == 0)
            return e;
    }
    return NULL;
}

/* An entry of a template's endpoints: over what the bases say of it, or new. */
static void add_endpoint(struct loading *l, struct template *t, const struct yaml_entry *entry)
{
    const struct template_endpoint *inherited = template_endpoint(t->base, entry->key->text);
    struct template_endpoint *to = &t->endpoints[t->n_endpoints];
    struct layer *layer;
    bool failed = false;

    if (is_removal(entry->value)) {
        if (!inherited)
            report_warning(&l->report, entry->key->at,
                           "endpoint: no template beneath has one of this name to remove");
        return;
    }
    if (!check_endpoint_name(l, entry->key) ||
        !expect_kind(l, entry->value, YAML_MAP, "endpoint",
                     "write {} if nothing is its own, or null to remove an inherited one"))
        return;
    layer = arena_alloc(l->scratch, sizeof *layer);
    if (!layer) {
        report_no_memory(&l->report);
        return;
    }
    read_layer(&l->building.reader, entry->value, LEVEL_ENDPOINT, layer);
    if (inherited)
        *to = *inherited;
    else
        to->name = arena_strdup(l->set->arena, entry->key->text);
    to->at = entry->key->at;
    to->layers[to->n_layers++] = layer;
    if (!to->name)
        report_no_memory(&l->report);
    else if (!names_add(&t->by_name, to->name, to, &failed) && !failed)
        t->n_endpoints++;
    if (failed)
        report_no_memory(&l->report);
}

static void read_endpoints(struct loading *l, struct template *t)
{
    const struct setting *s = &t->layer.slots[SLOT_ENDPOINTS];
    const struct yaml_node *own = s->key && !s->none ? s->node : NULL;
    bool failed = false;

    if (own && (own->kind == YAML_NULL ||
                !expect_kind(l, own, YAML_MAP, "endpoints",
                             "write for example {write: {host: \"{cluster}.example\"}}")))
        own = NULL;
    if (!start_endpoints(l, t, own))
        return;
    for (size_t i = 0; t->base && !s->none && i < t->base->n_endpoints; i++) {
        const struct template_endpoint *inherited = &t->base->endpoints[i];
        const struct yaml_entry *e = find_entry(own, inherited->name);

        if (e) {
            add_endpoint(l, t, e);
        } else {
            t->endpoints[t->n_endpoints] = *inherited;
            names_add(&t->by_name, inherited->name, &t->endpoints[t->n_endpoints++], &failed);
        }
    }
    for (const struct yaml_entry *e = own ? own->first : NULL; e; e = e->next) {
        if (!template_endpoint(t->base, e->key->text))
            add_endpoint(l, t, e);
    }
    if (failed)
        report_no_memory(&l->report);
}

/* Two templates that need each other are wrong together: "a (on line 2) -> b (on line 5) -> a". */
static void report_cycle(struct loading *l, const struct template *t, struct place at)
{
    struct buf b = BUF_INIT(512);
    const struct template *step = t;
    char where[PLACE_SIZE];

    do {
        const struct setting *next = &step->layer.slots[SLOT_TEMPLATE];

        buf_addf(&b, "%s (%s) -> ", step->name, place_text(where, next->at, at));
        step = names_find(&l->templates, next->text);
    } while (step && step != t);
    report_error(&l->report, at, "template: these use each other: %s%s", buf_text(&b), t->name);
    buf_deinit(&b);
}

static void read_template(struct loading *l, struct template *t)
{
    const struct setting *base;

    t->state = TEMPLATE_BUSY;
    read_layer(&l->building.reader, t->node, LEVEL_TEMPLATE, &t->layer);
    base = &t->layer.slots[SLOT_TEMPLATE];
    t->base = template_of(l, base);
    if (base->key && !base->none && !t->base)
        t->layer.bad = true;
    if (t->base && t->base->n_layers == MAX_TEMPLATES) {
        report_error(&l->report, base->at, "template: more than %d of them, one upon another",
                     MAX_TEMPLATES);
        t->layer.bad = true;
        t->base = NULL;
    }
    if (t->base) {
        memcpy(t->layers, t->base->layers, sizeof t->layers);
        t->n_layers = t->base->n_layers;
    }
    t->layers[t->n_layers++] = &t->layer;
    read_endpoints(l, t);
    t->state = TEMPLATE_READY;
}

void templates_read(struct loading *l)
{
    for (struct template *t = l->first_template; t; t = t->next) {
        if (t->state == TEMPLATE_NEW)
            read_template(l, t);
    }
}

static void report_unknown(struct loading *l, const char *name, struct place at)
{
    const char *names[MAX_SHOWN_TEMPLATES] = {NULL}, *nearest;
    char clean[MAX_TEMPLATE_NAME_BYTES + 1];
    struct buf known = BUF_INIT(512);
    size_t n = 0;

    for (const struct template *t = l->first_template; t && n < MAX_SHOWN_TEMPLATES; t = t->next) {
        buf_addf(&known, "%s%s", n ? ", " : "", t->name);
        names[n++] = t->name;
    }
    nearest = str_nearest(name, names, n);
    str_clean(clean, sizeof clean, name, strlen(name));
    if (n == 0)
        report_error(&l->report, at,
                     "template: unknown template \"%s\"; there are none, give "
                     "\"templates\"",
                     clean);
    else if (nearest)
        report_error(&l->report, at, "template: unknown template \"%s\"; did you mean \"%s\"?",
                     clean, nearest);
    else
        report_error(&l->report, at, "template: unknown template \"%s\"; there are %s", clean,
                     buf_text(&known));
    buf_deinit(&known);
}

const struct template *template_named(struct loading *l, const char *name, struct place at)
{
    const struct template *t = names_find(&l->templates, name);

    if (!t) {
        report_unknown(l, name, at);
        return NULL;
    }
    if (t->state == TEMPLATE_BUSY) {
        report_cycle(l, t, at);
        return NULL;
    }
    if (t->state == TEMPLATE_NEW)
        read_template(l, t->self);
    return t;
}

const struct template *template_of(struct loading *l, const struct setting *setting)
{
    if (!setting->key || setting->none || !setting->text)
        return NULL;
    return template_named(l, setting->text, setting->at);
}

const struct template_endpoint *template_endpoint(const struct template *t, const char *name)
{
    return t ? find_endpoint(t, name) : NULL;
}

void template_add_layers(const struct template *t, struct endpoint_source *source)
{
    for (size_t i = 0; t && i < t->n_layers; i++)
        source->layers[source->n_layers++] = t->layers[i];
}

void templates_deinit(struct loading *l)
{
    for (struct template *t = l->first_template; t; t = t->next)
        names_deinit(&t->by_name);
    names_deinit(&l->templates);
}
