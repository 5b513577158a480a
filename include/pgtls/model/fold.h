#pragma once
/* The fold: what probes and sessions found, into their server's state. The only writer of
 * measurements.
 *
 * Any thread: each call takes the server's lock. */
#include "pgtls/model/server_state.h"

/* What an observation changed; for the log, which tells state changes and not probes. */
struct fleet_change {
    enum state before, after;
    enum fault fault_before, fault_after; /* of the state: inspect's fault before login's */
    bool changed;                         /* state or fault */
    uint64_t failures_in_row;             /* of this kind of probe */
    /* NO: broken from now on; YES: kept again; UNKNOWN: nothing new to tell */
    enum verdict promises[PROMISE_COUNT];
};

/* Folds one observation into its server, unless that is left alone on purpose by now.
 * `next_interval_ns` is what the scheduler has decided for this kind of probe from the result.
 * Takes over nothing of the observation's. */
struct fleet_change fleet_apply(struct server_state *s, const struct observation *o,
                                int64_t next_interval_ns);

/* The same at a given monotonic time: tests inject it. */
struct fleet_change fleet_apply_at(struct server_state *s, const struct observation *o,
                                   int64_t next_interval_ns, int64_t now_ns);

/* Folds a side attempt on the other leg: into `sslmodes` and nothing else. */
void fleet_apply_side(struct server_state *s, enum leg leg, const struct observation *o);

/* What happened to a watched session, by its name; one that is no longer configured is ignored.
 * Opened: it is up. Closed: we ended it, or (refused) it could not be opened. Dropped: somebody
 * else ended it; `how` is not SESSION_END_NONE. Sessions have no say in the server's state. */
void fleet_session_opened(struct server_state *s, const char *name);
void fleet_session_closed(struct server_state *s, const char *name, bool refused);
void fleet_session_dropped(struct server_state *s, const char *name,
                           const struct session_drop *drop);
