#pragma once
/* The workers: N threads, each one loop with its own resolver and its own share of the servers
 * (by key hash), sharing nothing while probing. They start probes when they are due, hold caps and
 * backoff, and publish observations to the fleet. */
#include "pgtls/model/fleet.h"
#include "pgtls/model/self.h"

#include <stdbool.h>

struct scheduler;

struct scheduler_options {
    unsigned workers;        /* 0: as many as cores */
    const char *bundle_path; /* system trust store, NULL: found by itself */
};

/* Starts the workers with nothing to watch. NULL with the reason in error. */
struct scheduler *scheduler_start(const struct scheduler_options *options, struct self *self,
                                  char *error, size_t size);

/* How many there are. */
unsigned scheduler_workers(const struct scheduler *scheduler);

/* Are they alive? Every worker's loop is asked for a sign; then the number of one that has not
 * given it, -1 when all have. */
void scheduler_poke(struct scheduler *scheduler);
int scheduler_silent(const struct scheduler *scheduler);

/* What to watch from now on: the fleet's present view. Servers that stay keep their schedule,
 * backoff and what was learned; probes of servers that go are ended. Returns at once. */
void scheduler_watch(struct scheduler *scheduler, struct fleet *fleet);

/* Starts no further probe; those in flight have three quarters of a second to finish, because one
 * that is broken off leaves a line in its server's log. Returns at once. */
void scheduler_end(struct scheduler *scheduler);

/* The same, then waits for the workers and frees. */
void scheduler_stop(struct scheduler *scheduler);
