/* An endpoint set that grows. */
#include "building.h"

#include "pgtls/base/arena.h"

#include <stdlib.h>
#include <string.h>

void building_no_memory(struct building *b)
{
    report_no_memory(b->reader.report);
    b->failed = true;
}

bool building_grow(struct building *b, void **items, size_t *size, size_t n, size_t item_size)
{
    size_t bigger = *size ? *size * 2 : 16;
    void *grown;

    if (n < *size)
        return true;
    grown = realloc(*items, bigger * item_size);
    if (!grown) {
        building_no_memory(b);
        return false;
    }
    *items = grown;
    *size = bigger;
    return true;
}

bool building_finish(struct building *b, struct endpoint_set *set)
{
    struct server *servers = arena_alloc(set->arena, b->n_servers * sizeof *servers);
    struct endpoint *endpoints = arena_alloc(set->arena, b->n_endpoints * sizeof *endpoints);

    if (!servers || !endpoints) {
        building_no_memory(b);
        return false;
    }
    if (b->n_servers > 0)
        memcpy(servers, b->servers, b->n_servers * sizeof *servers);
    if (b->n_endpoints > 0)
        memcpy(endpoints, b->endpoints, b->n_endpoints * sizeof *endpoints);
    set->servers = servers;
    set->n_servers = b->n_servers;
    set->endpoints = endpoints;
    set->n_endpoints = b->n_endpoints;
    return true;
}

void building_deinit(struct building *b)
{
    free(b->servers);
    free(b->endpoints);
    for (size_t i = 0; i < MAX_LAYERS; i++)
        free(b->copies[i]);
    free(b->own);
    names_deinit(&b->server_names);
}
