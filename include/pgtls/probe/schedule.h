#pragma once
/* When a probe is due: pure functions of time, interval and outcome. */
#include "pgtls/model/fault.h"

#include <stdbool.h>
#include <stdint.h>

/* A stable moment within the interval from the server's hash: the first due time after `after_ns`
 * whose phase in the interval is the server's own. */
int64_t schedule_next(uint64_t key_hash, int64_t interval_ns, int64_t after_ns);

/* The interval in force after `failures` failures in a row of one kind of probe (0: the latest was
 * good). Inspect: doubles, at most 4 intervals and never above 60 s (nor below the interval).
 * Login: the same, but up to 15 min on class auth (account lock-out) and capacity. */
int64_t schedule_backoff(enum probe_kind kind, enum fault_class class, int64_t interval_ns,
                         uint64_t failures);
