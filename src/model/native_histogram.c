/* Native histograms: which bucket, and room for it. */
#include "pgtls/model/native_histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 8
#define PER_OCTAVE (1 << NATIVE_SCHEMA)

/* The upper bounds of buckets within [0.5, 1) at the first schema: 2^(j/8 - 1), rounded as other
 * instrumentation libraries round them. */
static const double bounds[PER_OCTAVE] = {
    0.5,
    0.5452538663326288,
    0.5946035575013605,
    0.6484197773255048,
    0.7071067811865475,
    0.7711054127039704,
    0.8408964152537144,
    0.9170040432046711,
};

/* The bucket two of which become one at the next coarser schema: half of it, rounded up. */
static int32_t coarser(int32_t index)
{
    return index > 0 ? (index + 1) / 2 : index / 2;
}

static int32_t index_of(double seconds, int32_t schema)
{
    int exponent, j = 0;
    double fraction = frexp(seconds, &exponent);
    int32_t index;

    while (j < PER_OCTAVE && fraction > bounds[j])
        j++;
    index = (exponent - 1) * PER_OCTAVE + j;
    for (int32_t at = NATIVE_SCHEMA; at > schema; at--)
        index = coarser(index);
    return index;
}

/* The place of the first bucket that is not before `index`. */
static size_t place_of(const struct native_histogram *h, int32_t index)
{
    size_t low = 0, high = h->n;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (h->buckets[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void coarsen(struct native_histogram *h)
{
    uint16_t n = 0;

    for (uint16_t i = 0; i < h->n; i++) {
        struct native_bucket bucket = {coarser(h->buckets[i].index), h->buckets[i].count};

        if (n > 0 && h->buckets[n - 1].index == bucket.index)
            h->buckets[n - 1].count += bucket.count;
        else
            h->buckets[n++] = bucket;
    }
    h->n = n;
    h->schema--;
}

/* Room for `room` buckets, as there is none for one more. */
static bool grow(struct native_histogram **h, uint16_t room)
{
    struct native_histogram *grown = realloc(*h, sizeof *grown + room * sizeof grown->buckets[0]);

    if (!grown)
        return false;
    if (!*h)
        *grown = (struct native_histogram){.schema = NATIVE_SCHEMA};
    grown->room = room;
    *h = grown;
    return true;
}

/* Makes room for one more bucket; true when it had to become coarser for that. */
static bool make_room(struct native_histogram *h)
{
    bool full = h->n == NATIVE_MAX_BUCKETS;

    while (h->n == NATIVE_MAX_BUCKETS)
        coarsen(h);
    return full;
}

bool native_histogram_add(struct native_histogram **h, double seconds)
{
    int32_t index;
    size_t at;

    if (!*h && !grow(h, FIRST_ROOM))
        return false;
    if (seconds <= NATIVE_ZERO_THRESHOLD) {
        (*h)->zero_count++;
        return true;
    }
    index = index_of(seconds, (*h)->schema);
    at = place_of(*h, index);
    if (at < (*h)->n && (*h)->buckets[at].index == index) {
        (*h)->buckets[at].count++;
        return true;
    }
    if (make_room(*h))
        return native_histogram_add(h, seconds);
    if ((*h)->n == (*h)->room && !grow(h, (uint16_t)(2 * (*h)->room)))
        return false;
    memmove(&(*h)->buckets[at + 1], &(*h)->buckets[at], ((*h)->n - at) * sizeof(*h)->buckets[0]);
    (*h)->buckets[at] = (struct native_bucket){index, 1};
    (*h)->n++;
    return true;
}
