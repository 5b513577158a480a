/* Which of several exporters watches a cluster. */
#include "pgtls/model/shard.h"

#include "pgtls/base/str.h"
#include "pgtls/model/server.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

/* The algorithm as published: `key` is its own generator of random numbers, and the loop jumps from
 * one total at which the key would have moved to the next, log(total) of them. */
static unsigned jump(uint64_t key, unsigned total)
{
    int64_t at = -1, next = 0;

    while (next < (int64_t)total) {
        at = next;
        key = key * UINT64_C(2862933555777941757) + 1;
        next = (int64_t)((double)(at + 1) * (2147483648.0 / (double)((key >> 33) + 1)));
    }
    return (unsigned)at;
}

unsigned shard_of(const char *cluster, unsigned total)
{
    return jump(str_hash(STR_HASH_START, cluster), total);
}

bool shard_ordinal_of(const char *name, unsigned *ordinal)
{
    const char *dash = strrchr(name, '-');
    int64_t value;

    if (!dash || dash == name || !isdigit((unsigned char)dash[1]) ||
        !str_to_i64(dash + 1, 0, SHARD_MAX_TOTAL - 1, &value))
        return false;
    *ordinal = (unsigned)value;
    return true;
}

/* Endpoints and their slices of servers move up together: a slice never overtakes its source. */
void shard_keep(struct endpoint_set *set, struct shard shard)
{
    struct server *servers = (struct server *)(uintptr_t)set->servers;
    struct endpoint *endpoints = (struct endpoint *)(uintptr_t)set->endpoints;
    size_t n_servers = 0, n_endpoints = 0;

    for (size_t i = 0; i < set->n_endpoints; i++) {
        struct endpoint endpoint = endpoints[i];

        if (shard_of(endpoint.cluster, shard.total) != shard.ordinal)
            continue;
        memmove(&servers[n_servers], &servers[endpoint.first_server],
                endpoint.n_servers * sizeof *servers);
        for (size_t s = 0; s < endpoint.n_servers; s++)
            servers[n_servers + s].endpoint_index = n_endpoints;
        endpoint.first_server = n_servers;
        n_servers += endpoint.n_servers;
        endpoints[n_endpoints++] = endpoint;
    }
    set->n_servers = n_servers;
    set->n_endpoints = n_endpoints;
}
