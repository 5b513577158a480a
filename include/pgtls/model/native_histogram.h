#pragma once
/* A native histogram, as Prometheus calls it: sparse, with exponential buckets whose bounds nobody
 * has to choose (https://prometheus.io/docs/specs/native_histograms/). Bucket i of schema s holds
 * values above 2^((i - 1) / 2^s) seconds, up to and including 2^(i / 2^s); what is not above the
 * zero threshold is counted apart.
 *
 * It takes as much memory as it has buckets with something in them, and never more than
 * NATIVE_MAX_BUCKETS: before it would, it goes to the next coarser schema, in which two neighbours
 * become one. Every histogram of every server begins alike, so that sums over servers are exact. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NATIVE_SCHEMA         3       /* a bucket's bounds lie 9 % apart */
#define NATIVE_MAX_BUCKETS    64      /* from 1 ms to 250 ms at the first schema */
#define NATIVE_ZERO_THRESHOLD 0x1p-20 /* seconds: a microsecond, faster than any step */

/* A bucket's count ends at 2^32: one value a second for 136 years. */
struct native_bucket {
    int32_t index;
    uint32_t count;
};

struct native_histogram {
    uint64_t zero_count;
    int32_t schema; /* from NATIVE_SCHEMA down to 0, in which there are fewer than the most */
    uint16_t n, room;
    struct native_bucket buckets[]; /* n of them, by index, none with 0 */
};

/* Counts one value >= 0. *h is NULL before the first one, allocated here and grown when needed;
 * whoever has it frees it with free(). False when out of memory: nothing is changed then. */
bool native_histogram_add(struct native_histogram **h, double seconds);
