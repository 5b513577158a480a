#pragma once
/* Which of several exporters watches a cluster. Pure: the same everywhere and in every release, so
 * that exporters that have never heard of each other agree.
 *
 * A cluster's shard is jump(fnv1a64(name), total): the 64-bit FNV-1a hash of the cluster's name in
 * UTF-8, and Lamping and Veach's jump consistent hash ("A Fast, Minimal Memory, Consistent Hash
 * Algorithm", 2014) over it. That is what kube-state-metrics does with an object's UID. With one
 * shard more, one cluster in (total + 1) moves, all of them to the new shard. */
#include <stdbool.h>

struct endpoint_set;

#define SHARD_MAX_TOTAL 1000

/* 0 <= ordinal < total; a total of 1 is everything. */
struct shard {
    unsigned ordinal, total;
};

/* The ordinal of the shard that watches this cluster; total >= 1. */
unsigned shard_of(const char *cluster, unsigned total);

/* The number at the end of a name like "pgtls-2", as StatefulSets name their pods. False when there
 * is no "-N" at its end, or N is SHARD_MAX_TOTAL or more. */
bool shard_ordinal_of(const char *name, unsigned *ordinal);

/* Leaves in the set what belongs to this shard, in the order it has: whole clusters, so that no
 * endpoint is torn apart. For whoever builds a generation, before it is shared. The set may be
 * empty afterwards. */
void shard_keep(struct endpoint_set *set, struct shard shard);
