/* When a probe is due. */
#include "pgtls/probe/schedule.h"

#include "pgtls/base/clock.h"

/* A loop that is this late was not merely busy, or out of turn for a moment. */
#define STOOD_STILL_NS NS_PER_S
#define LOOK_NS        (2 * NS_PER_MS)

#define INSPECT_FACTOR   4
#define INSPECT_LIMIT_NS (60 * NS_PER_S)
#define LOGIN_LIMIT_NS   (900 * NS_PER_S)
#define REOPEN_NS        NS_PER_S
#define REOPEN_LIMIT_NS  (60 * NS_PER_S)

int64_t schedule_next(uint64_t key_hash, int64_t interval_ns, int64_t after_ns)
{
    int64_t phase_ns = (int64_t)(key_hash % (uint64_t)interval_ns);
    int64_t start_ns = after_ns - after_ns % interval_ns + phase_ns;

    return start_ns > after_ns ? start_ns : start_ns + interval_ns;
}

int64_t schedule_after(uint64_t key_hash, int64_t base_ns, int64_t interval_ns, int64_t started_ns,
                       int64_t ended_ns)
{
    int64_t due_ns = schedule_next(key_hash, base_ns, ended_ns);

    if (interval_ns > base_ns)
        return started_ns + interval_ns > ended_ns ? started_ns + interval_ns : ended_ns;
    return due_ns - started_ns < base_ns / 2 ? due_ns + base_ns : due_ns;
}

uint64_t schedule_skipped(uint64_t key_hash, int64_t base_ns, int64_t interval_ns, int64_t due_ns,
                          int64_t started_ns, int64_t ended_ns)
{
    int64_t best_ns = schedule_after(key_hash, base_ns, interval_ns, due_ns, due_ns);
    int64_t next_ns = schedule_after(key_hash, base_ns, interval_ns, started_ns, ended_ns);

    if (ended_ns - due_ns < interval_ns / 2)
        return 0; /* a moment's lateness may tip an out-of-turn probe over to the turn after */
    return next_ns > best_ns ? (uint64_t)((next_ns - best_ns) / interval_ns) : 0;
}

int64_t schedule_backoff(enum probe_kind kind, enum fault_class class, int64_t interval_ns,
                         uint64_t failures)
{
    bool lockout = class == FAULT_CLASS_AUTH || class == FAULT_CLASS_CAPACITY;
    int64_t limit_ns = interval_ns * INSPECT_FACTOR, backoff_ns = interval_ns;

    if (kind == PROBE_LOGIN && lockout)
        limit_ns = LOGIN_LIMIT_NS;
    else if (limit_ns > INSPECT_LIMIT_NS)
        limit_ns = INSPECT_LIMIT_NS;
    for (uint64_t i = 1; i < failures && backoff_ns < limit_ns; i++)
        backoff_ns *= 2;
    if (backoff_ns > limit_ns)
        backoff_ns = limit_ns;
    return backoff_ns > interval_ns ? backoff_ns : interval_ns;
}

int64_t schedule_reopen(uint64_t failures, uint64_t dice)
{
    int64_t wait_ns = REOPEN_NS;

    for (uint64_t i = 1; i < failures && wait_ns < REOPEN_LIMIT_NS; i++)
        wait_ns *= 2;
    if (wait_ns > REOPEN_LIMIT_NS)
        wait_ns = REOPEN_LIMIT_NS;
    return wait_ns / 2 + (int64_t)(dice % (uint64_t)(wait_ns / 2 + 1));
}

int64_t schedule_second_look(int64_t deadline_ns, int64_t timeout_ns, int64_t now_ns)
{
    int64_t late_ns = now_ns - deadline_ns;

    if (late_ns < 0)
        return 0;
    if (late_ns < STOOD_STILL_NS)
        return LOOK_NS;
    return late_ns < timeout_ns ? late_ns : timeout_ns;
}
