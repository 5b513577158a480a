#pragma once
/* One endpoint, the layers that hold for it, and what is in force: what is set innermost wins. */
#include "keys.h"

#define MAX_TEMPLATES 8 /* one using another */
/* Outermost first: defaults of the first file and of this one, templates, cluster, the endpoint in
 * each template, in the cluster, as discovered, and what was expanded. An endpoint of a template is
 * an endpoint: it wins over what its cluster says of all its endpoints. */
#define MAX_LAYERS    (2 + MAX_TEMPLATES + 1 + MAX_TEMPLATES + 3)

/* One endpoint and the layers that hold for it, outermost first. */
struct endpoint_source {
    const char *cluster, *name;
    struct place at;
    const struct layer *layers[MAX_LAYERS];
    size_t n_layers;
};

/* Which setting is in force, and of which layer; NULL when none is. */
const struct setting *in_force(const struct endpoint_source *source, enum slot slot);
const struct setting *in_force_at(const struct endpoint_source *source, enum slot slot,
                                  size_t *layer);

/* Of the setting in force: its text, or NULL; its number, or the fallback. */
const char *text_in_force(const struct endpoint_source *source, enum slot slot);
int64_t number_in_force(const struct endpoint_source *source, enum slot slot, int64_t fallback);

/* Where to complain about a slot: where it is set, else at the endpoint. */
struct place place_in_force(const struct endpoint_source *source, enum slot slot);
