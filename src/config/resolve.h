#pragma once
/* Layers to servers: what is set innermost wins, and what is set must go together. */
#include "keys.h"
#include "names.h"
#include "pgtls/model/server.h"

#define MAX_LAYERS 4 /* defaults, (template,) cluster, endpoint */

/* An endpoint set that grows. */
struct building {
    struct reader reader;
    struct server *servers;
    size_t n_servers, servers_size;
    struct endpoint *endpoints;
    size_t n_endpoints, endpoints_size;
    struct names server_names; /* of the endpoint at hand */
    bool failed; /* out of memory, or too many servers: reported, nothing more to do */
};

/* One endpoint and the layers that hold for it, outermost first. */
struct endpoint_source {
    const char *cluster, *name;
    struct place at;
    const struct layer *layers[MAX_LAYERS];
    size_t n_layers;
};

/* Which setting is in force; NULL when none is. */
const struct setting *in_force(const struct endpoint_source *source, enum slot slot);

/* Adds the endpoint and its servers, or reports why it cannot be. */
void resolve_endpoint(struct building *b, const struct endpoint_source *source);

/* Moves what was built into the arena of `set` and frees the rest. */
bool building_finish(struct building *b, struct endpoint_set *set);
void building_deinit(struct building *b);
