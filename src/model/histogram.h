#pragma once
/* Classic histograms: one counter per bucket, not cumulative, so that an observation touches one.
 */
#include <stddef.h>
#include <stdint.h>

/* The first of n ascending upper bounds that `seconds` does not exceed; n stands for +Inf. */
static inline size_t histogram_bucket(const double *bounds, size_t n, double seconds)
{
    size_t i = 0;

    while (i < n && seconds > bounds[i])
        i++;
    return i;
}
