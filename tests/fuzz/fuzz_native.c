/* Native histograms: whatever is counted, in whatever order, is in exactly one bucket, buckets
 * stand in order, and there are never more of them than allowed. */
#include "pgtls/model/native_histogram.h"

#include "target.h"

#include <math.h>

static void check(const struct native_histogram *h, uint64_t added)
{
    uint64_t sum = h->zero_count;

    if (h->n > NATIVE_MAX_BUCKETS || h->n > h->room || h->schema < 0 || h->schema > NATIVE_SCHEMA)
        abort();
    for (size_t i = 0; i < h->n; i++) {
        sum += h->buckets[i].count;
        if (h->buckets[i].count == 0 || (i > 0 && h->buckets[i].index <= h->buckets[i - 1].index))
            abort();
    }
    if (sum != added)
        abort();
}

/* Is there a bucket between whose bounds the value lies? The bounds may be off by rounding. */
static void check_holds(const struct native_histogram *h, double value)
{
    double at = ldexp(log2(value), h->schema);

    if (value <= NATIVE_ZERO_THRESHOLD)
        return;
    for (size_t i = 0; i < h->n; i++) {
        if (at > h->buckets[i].index - 1 - 1e-9 && at < h->buckets[i].index + 1e-9)
            return;
    }
    abort();
}

/* Durations are nanoseconds in 63 bits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct native_histogram *h = NULL;
    uint64_t added = 0;

    for (; size >= 8; data += 8, size -= 8) {
        uint64_t ns;
        double seconds;

        memcpy(&ns, data, sizeof ns);
        seconds = (double)(ns >> (1 + ns % 60)) / 1e9;
        if (!native_histogram_add(&h, seconds))
            break;
        check(h, ++added);
        check_holds(h, seconds);
    }
    free(h);
    return 0;
}
