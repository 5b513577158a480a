#pragma once
/* Where refusal is the control that is monitored: an endpoint that the exporter must not get into,
 * because it stands outside its allow list. That refusal is then the good outcome, and anything
 * else, success above all, is not. */
#include "pgtls/model/fault.h"

#include <stdbool.h>
#include <stdint.h>

struct observation;
struct server;

/* The outcomes that are expected. Zeroed: that we get in. */
struct expect {
    const char *text; /* as configured: "hba_no_entry_ssl, class certificate"; NULL: none */
    uint64_t faults[(FAULT_COUNT + 63) / 64]; /* a bit each */
};

void expect_fault(struct expect *expect, enum fault fault);
void expect_class(struct expect *expect, enum fault_class class);
bool expect_has(const struct expect *expect, enum fault fault);
bool expect_alike(const struct expect *a, const struct expect *b);

/* May this be expected? Not what is wrong on our own side, nor that an expectation failed. */
bool expect_possible(enum fault fault);

/* Could probes of this server come upon one of the expected? Not if all of them need a user or a
 * login that there is none of. */
bool expect_reachable(const struct server *server);

/* Turns what a probe of the server came to into what it means here, once, before anybody sees it:
 * - the expected refusal is good: its fault moves to `expected`, its texts stay;
 * - success is FAULT_EXPECTED_REFUSAL_MISSING, of an inspect only if no login follows;
 * - so is a fault of class auth where only refusals before it are expected: it got that far;
 * - any other fault stays what it is. */
void expect_judge(const struct server *server, struct observation *o);

/* What really happened, whatever was expected: FAULT_NONE if it got in. */
enum fault expect_outcome(const struct observation *o);
