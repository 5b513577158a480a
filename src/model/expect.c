/* Outcomes that are expected: what a probe came to, seen in the light of what it should come to. */
#include "pgtls/model/expect.h"

#include "pgtls/base/str.h"
#include "pgtls/model/observation.h"
#include "pgtls/model/server.h"

#include <stdio.h>
#include <string.h>

#define BITS 64

void expect_fault(struct expect *expect, enum fault fault)
{
    expect->faults[fault / BITS] |= UINT64_C(1) << fault % BITS;
}

bool expect_has(const struct expect *expect, enum fault fault)
{
    return expect->faults[fault / BITS] >> fault % BITS & 1;
}

void expect_class(struct expect *expect, enum fault_class class)
{
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        if (fault_row((enum fault)i)->class == class)
            expect_fault(expect, (enum fault)i);
    }
}

bool expect_alike(const struct expect *a, const struct expect *b)
{
    return memcmp(a->faults, b->faults, sizeof a->faults) == 0;
}

bool expect_possible(enum fault fault)
{
    enum fault_class class = fault_row(fault)->class;

    return class != FAULT_CLASS_NONE && class != FAULT_CLASS_INTERNAL &&
           class != FAULT_CLASS_EXPECTATION;
}

/* Is the phase one of those in "startup, auth"? None of the phases' names is part of another. */
static bool happens_in(const struct fault_row *row, enum phase phase)
{
    return strstr(row->phases, phase_name(phase)) != NULL;
}

static bool happens_before(const struct fault_row *row, int phase)
{
    while (phase-- > 0) {
        if (happens_in(row, (enum phase)phase))
            return true;
    }
    return false;
}

bool expect_reachable(const struct server *s)
{
    int end = s->login ? PHASE_COUNT : s->user ? PHASE_AUTH : PHASE_STARTUP;

    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        if (expect_has(&s->expect, (enum fault)i) && happens_before(fault_row((enum fault)i), end))
            return true;
    }
    return false;
}

/* Only refusals that come before anybody is asked who he is. */
static bool all_before_auth(const struct expect *expect)
{
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        if (expect_has(expect, (enum fault)i) && fault_row((enum fault)i)->class > FAULT_CLASS_HBA)
            return false;
    }
    return true;
}

/* The server's own words stay, behind ours. */
static void miss(const struct server *s, struct observation *o)
{
    char said[PG_MESSAGE_SIZE];

    o->instead = o->fault;
    str_copy(said, sizeof said, o->error);
    if (o->fault == FAULT_NONE)
        snprintf(o->error, sizeof o->error, "expected %.200s, and it lets us in", s->expect.text);
    else
        snprintf(o->error, sizeof o->error, "expected %.200s, and it came to %s%s%.200s",
                 s->expect.text, fault_row(o->fault)->id, said[0] ? ": " : "", said);
    o->fault = FAULT_EXPECTED_REFUSAL_MISSING;
}

void expect_judge(const struct server *s, struct observation *o)
{
    if (!s->expect.text)
        return;
    if (o->fault == FAULT_NONE) {
        if (o->probe == PROBE_LOGIN || (!s->login && expect_reachable(s)))
            miss(s, o);
    } else if (expect_has(&s->expect, o->fault)) {
        o->expected = o->fault;
        o->fault = FAULT_NONE;
    } else if (fault_row(o->fault)->class == FAULT_CLASS_AUTH && all_before_auth(&s->expect)) {
        miss(s, o);
    }
}

enum fault expect_outcome(const struct observation *o)
{
    if (o->fault == FAULT_EXPECTED_REFUSAL_MISSING)
        return o->instead;
    return o->expected != FAULT_NONE ? o->expected : o->fault;
}
