#pragma once
/* Times one phase of a probe as an otherwise idle client would have seen it: the sum over its round
 * trips of (arrival of the answer's last byte - our send), plus our own CPU. Time in which our loop
 * was busy with another probe, between an arrival and our noticing it, is in neither. A read that
 * leads to no send is no round trip of its own: only what comes last before we send again, or
 * before the phase ends, counts. Pure arithmetic. */
#include <stdint.h>

struct stopwatch {
    int64_t wait_ns; /* of the round trips that are over */
    int64_t cpu_ns;
    int64_t sent_ns;    /* our last send, or the beginning: we have been waiting since then */
    int64_t arrived_ns; /* the latest arrival after it, 0 = none */
};

/* The phase begins now. */
static inline void stopwatch_start(struct stopwatch *w, int64_t now_ns)
{
    *w = (struct stopwatch){.sent_ns = now_ns};
}

/* How long the present round trip took so far. */
static inline int64_t stopwatch_round_ns(const struct stopwatch *w)
{
    return w->arrived_ns > w->sent_ns ? w->arrived_ns - w->sent_ns : 0;
}

/* We sent something now: another round trip begins. */
static inline void stopwatch_sent(struct stopwatch *w, int64_t now_ns)
{
    w->wait_ns += stopwatch_round_ns(w);
    w->sent_ns = now_ns;
    w->arrived_ns = 0;
}

/* What we waited for came at arrival_ns (the kernel's stamp, or now). */
static inline void stopwatch_arrived(struct stopwatch *w, int64_t arrival_ns)
{
    if (arrival_ns > w->arrived_ns)
        w->arrived_ns = arrival_ns;
}

static inline void stopwatch_cpu(struct stopwatch *w, int64_t cpu_ns)
{
    w->cpu_ns += cpu_ns;
}

/* Our step took cpu_ns of CPU and ended now by sending: for steps that are somebody else's code
 * (libpq), which do not tell when they send. */
static inline void stopwatch_worked(struct stopwatch *w, int64_t cpu_ns, int64_t now_ns)
{
    stopwatch_cpu(w, cpu_ns);
    stopwatch_sent(w, now_ns);
}

static inline int64_t stopwatch_total_ns(const struct stopwatch *w)
{
    return w->wait_ns + stopwatch_round_ns(w) + w->cpu_ns;
}
