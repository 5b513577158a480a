#pragma once
/* Times one phase of a probe as an otherwise idle client would have seen it: the sum over its round
 * trips of (arrival of the answer - end of our step), plus our own CPU. Time in which our loop was
 * busy with another probe between arrival and our noticing is in neither. Pure arithmetic. */
#include <stdint.h>

struct stopwatch {
    int64_t wait_ns;
    int64_t cpu_ns;
    int64_t mark_ns; /* end of our last step: we have been waiting since then */
};

/* The phase begins now. */
static inline void stopwatch_start(struct stopwatch *w, int64_t now_ns)
{
    *w = (struct stopwatch){.mark_ns = now_ns};
}

/* What we waited for came at arrival_ns (the kernel's stamp, or now). */
static inline void stopwatch_arrived(struct stopwatch *w, int64_t arrival_ns)
{
    if (arrival_ns > w->mark_ns) {
        w->wait_ns += arrival_ns - w->mark_ns;
        w->mark_ns = arrival_ns;
    }
}

/* Our step took cpu_ns of CPU and ended now. */
static inline void stopwatch_worked(struct stopwatch *w, int64_t cpu_ns, int64_t now_ns)
{
    w->cpu_ns += cpu_ns;
    w->mark_ns = now_ns;
}

static inline int64_t stopwatch_total_ns(const struct stopwatch *w)
{
    return w->wait_ns + w->cpu_ns;
}
