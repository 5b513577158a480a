/* Discovered endpoints: an innermost layer each, upon the cluster or template they belong to. */
#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"
#include "resolve.h"
#include "template.h"

#include <string.h>

struct found_cluster *find_found(const struct loading *l, const char *cluster)
{
    const struct found_cluster *found = names_find(&l->found, cluster);

    return found ? found->self : NULL;
}

static struct place place_of(const struct found *f)
{
    return (struct place){f->target->line, f->target->column, f->origin};
}

static struct found_cluster *cluster_of(struct loading *l, const char *name)
{
    struct found_cluster *cluster = find_found(l, name);
    bool failed = false;

    if (cluster)
        return cluster;
    cluster = arena_alloc(l->scratch, sizeof *cluster);
    if (cluster) {
        cluster->name = name;
        cluster->self = cluster;
        names_add(&l->found, name, cluster, &failed);
    }
    if (!cluster || failed) {
        report_no_memory(&l->report);
        return NULL;
    }
    *(l->last_found ? &l->last_found->next : &l->first_found) = cluster;
    l->last_found = cluster;
    return cluster;
}

void collect_found(struct loading *l, const struct config_target_list *list, struct origin *origin)
{
    for (size_t i = 0; i < list->n; i++) {
        struct found_cluster *cluster = cluster_of(l, list->targets[i].cluster);
        struct found *found = cluster ? arena_alloc(l->scratch, sizeof *found) : NULL;

        if (!found) {
            report_no_memory(&l->report);
            return;
        }
        *found = (struct found){&list->targets[i], list, origin, NULL};
        *(cluster->last ? &cluster->last->next : &cluster->first) = found;
        cluster->last = found;
    }
}

/* A mapping as YAML would have it, so that it is read as such. */
static struct yaml_node *add_entry(struct loading *l, struct yaml_node *map, const char *key,
                                   const char *value)
{
    struct yaml_entry *entry = arena_alloc(l->scratch, sizeof *entry);
    struct yaml_node *nodes = arena_alloc(l->scratch, 2 * sizeof *nodes);

    if (!entry || !nodes) {
        report_no_memory(&l->report);
        return NULL;
    }
    nodes[0] = (struct yaml_node){
        .kind = YAML_TEXT, .at = map->at, .text = key, .len = strlen(key), .weight = 1};
    nodes[1] = (struct yaml_node){.kind = value ? YAML_TEXT : YAML_MAP,
                                  .at = map->at,
                                  .text = value,
                                  .len = value ? strlen(value) : 0,
                                  .weight = 1};
    *entry = (struct yaml_entry){&nodes[0], &nodes[1], NULL};
    *(map->last ? &map->last->next : &map->first) = entry;
    map->last = entry;
    map->n++;
    return &nodes[1];
}

static void read_target(struct loading *l, const struct found *f, struct layer *layer)
{
    struct reader reader = l->building.reader;
    struct yaml_node map = {.kind = YAML_MAP, .at = place_of(f)}, *labels;

    for (size_t i = 0; i < f->target->n_keys; i++)
        add_entry(l, &map, f->target->keys[i].key, f->target->keys[i].value);
    labels = f->target->n_labels > 0 ? add_entry(l, &map, "labels", NULL) : NULL;
    for (size_t i = 0; labels && i < f->target->n_labels; i++)
        add_entry(l, labels, f->target->labels[i].name, f->target->labels[i].value);
    reader.literal = true;
    read_layer(&reader, &map, LEVEL_ENDPOINT, layer);
}

static void load_one(struct loading *l, const struct found *f, const struct endpoint_source *outer,
                     const struct template *template)
{
    const struct template_endpoint *inherited = template_endpoint(template, f->target->endpoint);
    struct endpoint_source source = *outer;
    struct layer layer = {.bad = false};
    bool failed = false;

    source.at = place_of(f);
    source.name = arena_strdup(l->set->arena, f->target->endpoint);
    if (!source.name) {
        report_no_memory(&l->report);
        return;
    }
    if (names_add(&l->endpoint_names, source.name, source.name, &failed)) {
        report_warning(&l->report, source.at,
                       "left out: endpoint \"%s\" of cluster \"%s\" is there already", source.name,
                       source.cluster);
        return;
    }
    for (size_t i = 0; inherited && i < inherited->n_layers; i++)
        source.layers[source.n_layers++] = inherited->layers[i];
    read_target(l, f, &layer);
    source.layers[source.n_layers++] = &layer;
    resolve_endpoint(&l->building, &source);
    if (failed)
        report_no_memory(&l->report);
}

/* The names that the cluster at hand has already: they were resolved last. */
static void note_endpoints(struct loading *l, const char *cluster)
{
    const struct building *b = &l->building;
    bool failed = false;

    names_clear(&l->endpoint_names);
    for (size_t i = b->n_endpoints; i-- > 0 && strcmp(b->endpoints[i].cluster, cluster) == 0;)
        names_add(&l->endpoint_names, b->endpoints[i].name, b->endpoints[i].name, &failed);
    if (failed)
        report_no_memory(&l->report);
}

void load_found(struct loading *l, struct found_cluster *cluster,
                const struct endpoint_source *source, const struct template *template)
{
    cluster->known = true;
    note_endpoints(l, source->cluster);
    for (const struct found *f = cluster->first; f && !l->building.failed; f = f->next)
        load_one(l, f, source, template);
}

void load_found_clusters(struct loading *l)
{
    for (struct found_cluster *c = l->first_found; c; c = c->next) {
        struct endpoint_source defaults = {.cluster = arena_strdup(l->set->arena, c->name)};

        if (c->known)
            continue;
        if (!defaults.cluster) {
            report_no_memory(&l->report);
            return;
        }
        if (l->defaults)
            defaults.layers[defaults.n_layers++] = &l->defaults->defaults;
        names_clear(&l->endpoint_names);
        for (const struct found *f = c->first; f && !l->building.failed; f = f->next) {
            const struct template *t = NULL;
            struct endpoint_source source = defaults;

            if (f->list->template)
                t = template_named(l, f->list->template, (struct place){.origin = f->origin});
            if (f->list->template && !t)
                continue;
            template_add_layers(t, &source);
            load_one(l, f, &source, t);
        }
    }
}
