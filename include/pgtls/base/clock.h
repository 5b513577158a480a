#pragma once
/* Clocks. Every duration and deadline in the program is monotonic nanoseconds (`_ns`); wall-clock
 * time is used for certificate dates, log lines and timestamps shown to people, nothing else. */
#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

/* CLOCK_MONOTONIC, nanoseconds. */
int64_t clock_monotonic_ns(void);

/* CLOCK_REALTIME, nanoseconds since the Unix epoch. */
int64_t clock_realtime_ns(void);

/* CPU time used by the calling thread, nanoseconds. */
int64_t clock_thread_cpu_ns(void);

/* Nanoseconds as seconds. */
static inline double ns_to_seconds(int64_t ns)
{
    return (double)ns / 1e9;
}
