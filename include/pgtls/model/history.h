#pragma once
/* What a server was like lately, for people who look at it: an hour in minutes, and its latest
 * probes. Small and of one size, taken when the first result comes: 10,000 servers have as many. */
#include "pgtls/model/observation.h"

#include <stddef.h>
#include <stdint.h>

#define HISTORY_MINUTES 60
#define HISTORY_PROBES  8

/* One probe, as short as it can be told. */
struct history_probe {
    int64_t finished_realtime_ns;       /* 0: none */
    uint32_t phases_us[PHASE_COUNT];    /* of those completed; saturated */
    uint16_t fault;                     /* enum fault */
    uint8_t completed, kind, failed_in; /* a bit per phase; enum probe_kind; enum phase */
};

struct history {
    int64_t minute;                    /* the latest told of, in minutes of the monotonic clock */
    float slowest_s[HISTORY_MINUTES];  /* good inspects' steps in sum, by minute modulo the hour; 0:
                                          none */
    uint8_t failures[HISTORY_MINUTES]; /* probes of either kind; saturated */
    struct history_probe probes[HISTORY_PROBES]; /* a ring */
    uint8_t next;                                /* where in it the next one goes */
};

/* Takes in a result (nothing of our own side's failures). */
void history_add(struct history *h, const struct observation *o, int64_t now_ns);

/* A minute of the last hour: 0 is the present one, HISTORY_MINUTES - 1 the oldest. */
struct history_minute {
    float slowest_s;
    unsigned failures;
};
struct history_minute history_minute(const struct history *h, size_t ago, int64_t now_ns);

/* A probe, 0 is the latest; NULL: there were not so many. */
const struct history_probe *history_probe(const struct history *h, size_t ago);
