#pragma once
/* Probes that a request asks for: one thread with a loop of its own, on which the same engine
 * probes whatever target a module allows, once, and answers. Nothing of a target outlives its
 * answer.
 *
 * Who asks for the same target by the same module while it is being probed shares that probe,
 * unless it may take longer than this request has time. The limits of the configuration hold here
 * as a further worker's share of them (all of them where nothing else is watched); what is beyond
 * them is refused and not queued: whoever asked asks again. Only a login, the second connection of
 * its probe, waits for the rate of new connections, for half of the time that is left. */
#include "pgtls/model/requested.h"
#include "pgtls/model/self.h"

#include <stdbool.h>
#include <stddef.h>

struct requests;

struct requests_options {
    const char *bundle_path; /* system trust store, NULL: found by itself */
    unsigned workers;        /* that probe besides */
    struct self *self;
};

/* NULL with the reason in error. Knows no module yet. */
struct requests *requests_start(const struct requests_options *options, char *error, size_t size);

/* The modules and limits from now on; takes a reference. From any thread; returns at once. */
void requests_use(struct requests *requests, struct endpoint_set *set);

/* The answer is borrowed; NULL: none, the exporter is ending or has no memory. Called exactly once,
 * on the thread of the requests. */
typedef void requests_answered(void *context, struct probe_answer *answer);

/* From any thread; returns at once. False: nobody will answer, for the same reasons. */
bool requests_ask(struct requests *requests, const struct probe_question *question,
                  requests_answered *answered, void *context);

/* From any thread: asks its loop for a sign of life; has it given none since? */
void requests_poke(struct requests *requests);
bool requests_silent(const struct requests *requests);

/* Takes no further question; probes in flight have three quarters of a second to finish, then
 * everybody who waits is answered. Waits for that; asking is allowed until it is freed. Both accept
 * NULL. */
void requests_end(struct requests *requests);
void requests_free(struct requests *requests); /* after its end */
