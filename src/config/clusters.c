/* Clusters: what a template brings and what they say themselves, endpoint by endpoint. */
#include "loading.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"
#include "resolve.h"
#include "template.h"

#include <string.h>

#define MAX_SHOWN_ENDPOINTS 64

/* A cluster while it is loaded. */
struct cluster {
    struct endpoint_source source; /* what holds for all its endpoints */
    const struct template *template;
    const struct yaml_node *own; /* its own endpoints; NULL: none */
    bool inherits_endpoints;     /* those of the template */
    size_t n_endpoints;
};

/* One endpoint: inherited, its own (`entry`), or one over the other. */
static void load_endpoint(struct loading *l, struct cluster *c,
                          const struct template_endpoint *inherited, const struct yaml_entry *entry)
{
    struct endpoint_source source = c->source;
    struct layer layer = {.bad = false};

    c->n_endpoints++; /* also a wrong one was meant to be one */
    for (size_t i = 0; inherited && i < inherited->n_layers; i++)
        source.layers[source.n_layers++] = inherited->layers[i];
    source.name = inherited ? inherited->name : NULL;
    source.at = c->source.at;
    if (entry) {
        if (!check_endpoint_name(l, entry->key) ||
            !expect_kind(l, entry->value, YAML_MAP, "endpoint",
                         "write {} if nothing is its own, or null to remove an inherited one"))
            return;
        read_layer(&l->building.reader, entry->value, LEVEL_ENDPOINT, &layer);
        source.layers[source.n_layers++] = &layer;
        source.at = entry->key->at;
        if (!source.name)
            source.name = arena_strdup(l->set->arena, entry->key->text);
    }
    if (!source.name)
        report_no_memory(&l->report);
    else
        resolve_endpoint(&l->building, &source);
}

static void warn_nothing_to_remove(struct loading *l, const struct cluster *c,
                                   const struct yaml_entry *entry)
{
    const char *names[MAX_SHOWN_ENDPOINTS], *nearest;
    char clean[MAX_ENDPOINT_NAME_BYTES + 1];
    size_t n = 0;

    for (; c->template && n < c->template->n_endpoints && n < MAX_SHOWN_ENDPOINTS; n++)
        names[n] = c->template->endpoints[n].name;
    nearest = str_nearest(entry->key->text, names, n);
    str_clean(clean, sizeof clean, entry->key->text, entry->key->len);
    report_warning(&l->report, entry->key->at,
                   "endpoint: no template brings one called \"%s\" that could be removed%s%s%s",
                   clean, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                   nearest ? "\"?" : "");
}

/* What the template brings, in its order, with what the cluster says of it. */
static void load_inherited(struct loading *l, struct cluster *c)
{
    const struct template *t = c->template;
    const struct yaml_entry **own;

    own = arena_alloc(l->scratch, (t->n_endpoints + 1) * sizeof *own);
    if (!own) {
        report_no_memory(&l->report);
        return;
    }
    for (const struct yaml_entry *e = c->own ? c->own->first : NULL; e; e = e->next) {
        const struct template_endpoint *inherited = template_endpoint(t, e->key->text);

        if (inherited)
            own[inherited - t->endpoints] = e;
    }
    for (size_t i = 0; i < t->n_endpoints && !l->building.failed; i++) {
        if (!own[i] || !is_removal(own[i]->value))
            load_endpoint(l, c, &t->endpoints[i], own[i]);
    }
}

static void load_own(struct loading *l, struct cluster *c)
{
    for (const struct yaml_entry *e = c->own->first; e && !l->building.failed; e = e->next) {
        if (c->inherits_endpoints && template_endpoint(c->template, e->key->text))
            continue;
        if (is_removal(e->value))
            warn_nothing_to_remove(l, c, e);
        else
            load_endpoint(l, c, NULL, e);
    }
}

/* The cluster itself is an endpoint, unless what was discovered stands for it. */
static void load_default_endpoint(struct loading *l, struct cluster *c, bool has_found)
{
    static const char default_name[] = "default";

    if (has_found && !in_force(&c->source, SLOT_HOST) && !in_force(&c->source, SLOT_HOSTADDR) &&
        !in_force(&c->source, SLOT_DSN))
        return;
    c->source.name = default_name;
    resolve_endpoint(&l->building, &c->source);
}

static void load_endpoints(struct loading *l, struct cluster *c, const struct setting *endpoints)
{
    bool own = endpoints->key && !endpoints->none, has_found;

    c->own = own ? endpoints->node : NULL;
    c->inherits_endpoints = c->template && c->template->n_endpoints > 0 && !endpoints->none;
    has_found = find_found(l, c->source.cluster) != NULL;
    if (own && (c->own->kind == YAML_NULL ||
                !expect_kind(l, c->own, YAML_MAP, "endpoints",
                             "write for example {write: {host: db.example}}")))
        return;
    if (own && c->own->n == 0 && !c->inherits_endpoints)
        report_error(&l->report, c->own->at,
                     "endpoints: empty; without the key the cluster itself is one endpoint");
    if (!own && !c->inherits_endpoints) {
        load_default_endpoint(l, c, has_found);
        return;
    }
    if (c->inherits_endpoints)
        load_inherited(l, c);
    if (own)
        load_own(l, c);
    if (c->n_endpoints == 0 && !has_found && (c->inherits_endpoints || c->own->n > 0))
        report_error(&l->report, endpoints->at,
                     "endpoints: none is left; there is nothing to watch in this cluster");
}

/* A second cluster of a name is an error. */
static void claim_name(struct loading *l, const struct setting *name)
{
    struct place *owner = arena_alloc(l->scratch, sizeof *owner);
    const struct place *before;
    char where[PLACE_SIZE];
    bool failed = false;

    if (owner)
        *owner = name->at;
    before = owner ? names_add(&l->clusters, name->text, owner, &failed) : NULL;
    if (!owner || failed)
        report_no_memory(&l->report);
    if (before)
        report_error(&l->report, name->at, "name: a cluster of this name is already %s",
                     place_text(where, *before, name->at));
}

static void load_cluster(struct loading *l, const struct file *file, const struct yaml_node *node)
{
    struct layer layer = {.bad = false};
    struct cluster c = {.source = {.at = node->at}};
    struct endpoint_source *source = &c.source;
    const struct setting *name = &layer.slots[SLOT_NAME];
    struct found_cluster *found;

    if (!expect_kind(l, node, YAML_MAP, "cluster", "begin it with \"name:\""))
        return;
    read_layer(&l->building.reader, node, LEVEL_CLUSTER, &layer);
    if (!name->key)
        report_error(&l->report, node->at, "this cluster has no name; give \"name\"");
    source->cluster = name->text ? name->text : "";
    if (name->text)
        claim_name(l, name);
    c.template = template_of(l, &layer.slots[SLOT_TEMPLATE]);
    if (!c.template && layer.slots[SLOT_TEMPLATE].key && !layer.slots[SLOT_TEMPLATE].none)
        layer.bad = true; /* what it would have brought is missing everywhere */
    if (l->defaults)
        source->layers[source->n_layers++] = &l->defaults->defaults;
    if (file->has_defaults && file != l->defaults)
        source->layers[source->n_layers++] = &file->defaults;
    template_add_layers(c.template, source);
    source->layers[source->n_layers++] = &layer;
    load_endpoints(l, &c, &layer.slots[SLOT_ENDPOINTS]);
    found = find_found(l, source->cluster);
    if (found)
        load_found(l, found, source, c.template);
}

void load_clusters(struct loading *l, const struct file *file)
{
    const struct setting *clusters = &file->top.slots[SLOT_CLUSTERS];
    const char *hint = "begin each cluster with \"- name:\"";

    if (!clusters->key || clusters->node->kind == YAML_NULL ||
        !expect_kind(l, clusters->node, YAML_LIST, "clusters", hint))
        return;
    if (clusters->node->n == 0)
        report_error(&l->report, clusters->node->at, "clusters: empty; there is nothing to watch");
    for (const struct yaml_entry *e = clusters->node->first; e && !l->building.failed; e = e->next)
        load_cluster(l, file, e->value);
}
