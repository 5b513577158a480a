#pragma once
/* Layers to servers: what is set innermost wins, and what is set must go together. */
#include "keys.h"
#include "names.h"
#include "pgtls/model/server.h"

struct address_book;
struct show;

#define MAX_TEMPLATES 8 /* one using another */
/* Outermost first: defaults of the first file and of this one, templates, cluster, the endpoint in
 * each template, in the cluster, as discovered, and what was expanded. An endpoint of a template is
 * an endpoint: it wins over what its cluster says of all its endpoints. */
#define MAX_LAYERS    (2 + MAX_TEMPLATES + 1 + MAX_TEMPLATES + 3)

/* An endpoint set that grows. */
struct building {
    struct reader reader;
    struct server *servers;
    size_t n_servers, servers_size;
    struct endpoint *endpoints;
    size_t n_endpoints, endpoints_size;
    struct names server_names;        /* of the endpoint at hand */
    struct layer *copies[MAX_LAYERS]; /* of its layers whose connection string was expanded */
    struct layer *own;                /* what else was expanded */
    const struct address_book *book;  /* of hosts that are followed; NULL: none is known */
    const struct follow **follows;    /* of the set */
    struct show *show;                /* NULL: nobody wants to see what is in force */
    bool failed; /* out of memory, or too many servers: reported, nothing more to do */
};

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

int64_t number_in_force(const struct endpoint_source *source, enum slot slot, int64_t fallback);

/* Where to complain about a slot: where it is set, else at the endpoint. */
struct place place_in_force(const struct endpoint_source *source, enum slot slot);

/* In check.c: settings that do not go together, whatever the host; and those of TLS by which this
 * server can be reached (Unix sockets have none). */
void check_common(struct report *report, const struct endpoint_source *source,
                  const struct server *s);
bool check_tls(struct report *report, const struct endpoint_source *source, const struct server *s);

/* In servers.c: is every address of its hosts a server of its own? Adds its servers, or reports why
 * they cannot be; `common` is what all of them have. */
bool resolves_all(const struct endpoint_source *source);
void add_servers(struct building *b, const struct endpoint_source *source,
                 const struct server *common);

/* Room for one more item, by doubling; false with a report when there is none. */
bool building_grow(struct building *b, void **items, size_t *size, size_t n, size_t item_size);

/* What a module sets, as a server without a place; its name and the level's are in the source.
 * False after an error. */
bool resolve_module(struct building *b, struct endpoint_source *source, struct server *server);

/* Adds the endpoint and its servers, or reports why it cannot be. */
void resolve_endpoint(struct building *b, const struct endpoint_source *source);

/* Moves what was built into the arena of `set` and frees the rest. */
bool building_finish(struct building *b, struct endpoint_set *set);
void building_deinit(struct building *b);
