#pragma once
/* Side attempts: an inspect on the leg that the server's own sslmode does not lead to, so that it
 * is known which sslmodes work. At most one of a server at a time, and never a credential. */
#include "probe.h"

#include "pgtls/model/sslmode_works.h"

struct side {
    unsigned left; /* legs still to be tried in this turn, as bits */
    bool running;
    enum leg leg;           /* that is being tried */
    struct server server;   /* as it goes there */
    struct learned learned; /* its own: it teaches the probes nothing */
};

/* The legs, as bits, on which an attempt would tell something. */
unsigned side_wanted(const struct server *s, const struct sslmode_facts *facts);

/* Starts the next attempt of those that are left. NULL when there is none (left is 0), or out of
 * memory (that attempt is given up). */
struct probe *side_start(struct side *side, const struct probe_host *host, struct endpoint_set *set,
                         const struct server *s, void *owner);

/* The attempt is over: takes it off `left` and lets go of what it used. The probe stays the
 * caller's. */
void side_finish(struct side *side);
