#pragma once
/* Templates: named sets of keys, each perhaps upon another. */
#include "loading.h"

/* One endpoint that a template brings, its own and its bases' layers, outermost first. */
struct template_endpoint {
    const char *name;
    struct place at;
    const struct layer *layers[MAX_TEMPLATES];
    size_t n_layers;
};

enum template_state { TEMPLATE_NEW, TEMPLATE_BUSY, TEMPLATE_READY };

struct template
{
    const char *name;
    struct place at;
    const struct yaml_node *node;
    enum template_state state;
    struct layer layer;
    const struct template *base;
    const struct layer *layers[MAX_TEMPLATES]; /* the outermost base's first, its own last */
    size_t n_layers;
    struct template_endpoint *endpoints; /* in order: the bases' first */
    size_t n_endpoints;
    struct names by_name;         /* of endpoints */
    struct template *next, *self; /* self: names hand out what is const */
};

/* Takes note of the templates of a file; a name that stands twice is an error. */
void templates_collect(struct loading *l, const struct file *file);

/* Reads all of them, used or not. */
void templates_read(struct loading *l);

/* The template that a setting names, ready for use; NULL when there is none (reported), or the
 * setting is not set. */
const struct template *template_of(struct loading *l, const struct setting *setting);
const struct template *template_named(struct loading *l, const char *name, struct place at);

/* The endpoint of this name, NULL when it has none. Accepts NULL. */
const struct template_endpoint *template_endpoint(const struct template *t, const char *name);

/* Adds the template's layers to those of a source. Accepts NULL. */
void template_add_layers(const struct template *t, struct endpoint_source *source);

void templates_deinit(struct loading *l);
