#pragma once
/* When a probe is due: pure functions of time, interval and outcome. */
#include "pgtls/model/fault.h"

#include <stdbool.h>
#include <stdint.h>

/* A stable moment within the interval from the server's hash: the first due time after `after_ns`
 * whose phase in the interval is the server's own. */
int64_t schedule_next(uint64_t key_hash, int64_t interval_ns, int64_t after_ns);

/* When the next probe is due, after one that started and ended then; `interval_ns` is in force,
 * `base_ns` the configured one. Turns are at the server's own moments. The first probe comes out of
 * turn, as does the first good one after a backoff: what would follow within half an interval waits
 * for the turn after. While backing off the interval alone decides, so that it is never exceeded.
 */
int64_t schedule_after(uint64_t key_hash, int64_t base_ns, int64_t interval_ns, int64_t started_ns,
                       int64_t ended_ns);

/* How many turns a probe has cost that was due, started and ended then: those that would have come
 * had it started on time and taken none. */
uint64_t schedule_skipped(uint64_t key_hash, int64_t base_ns, int64_t interval_ns, int64_t due_ns,
                          int64_t started_ns, int64_t ended_ns);

/* The interval in force after `failures` failures in a row of one kind of probe (0: the latest was
 * good). Inspect: doubles, at most 4 intervals and never above 60 s (nor below the interval).
 * Login: the same, but up to 15 min on class auth (account lock-out) and capacity. */
int64_t schedule_backoff(enum probe_kind kind, enum fault_class class, int64_t interval_ns,
                         uint64_t failures);

/* How long to wait before a watched session is opened again, after so many in a row (1 at least)
 * that did not last: 1 s, doubling to 60 s, from half to the whole of that by `dice`, which may be
 * any number, so that those that fell together do not come back together. */
int64_t schedule_reopen(uint64_t failures, uint64_t dice);

/* A deadline has passed. The answer may have come in time and not have been read, because this
 * process did not run meanwhile: stopped, suspended, or without a turn on a busy machine. How much
 * longer to wait, once: long enough to read what is there; if we are so late that we must have
 * stood still, as long as that was, at most the whole timeout, because then the rest of the
 * conversation has not taken place either. 0: it is not over yet. */
int64_t schedule_second_look(int64_t deadline_ns, int64_t timeout_ns, int64_t now_ns);
