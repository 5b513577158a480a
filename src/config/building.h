#pragma once
/* What a loading builds its endpoint set in. */
#include "in_force.h"
#include "names.h"
#include "pgtls/model/server.h"

struct address_book;
struct show;

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

/* Reports that there is no memory for more. */
void building_no_memory(struct building *b);

/* Room for one more item, by doubling; false with a report when there is none. */
bool building_grow(struct building *b, void **items, size_t *size, size_t n, size_t item_size);

/* Moves what was built into the arena of `set` and frees the rest. */
bool building_finish(struct building *b, struct endpoint_set *set);
void building_deinit(struct building *b);
