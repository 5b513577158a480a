#pragma once
/* A probe that somebody asked for: the question, and what it came to. The answer is immutable once
 * it is given and shared by all who asked the same at the same time. */
#include "pgtls/model/fleet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Label values of `outcome`. */
enum request_outcome {
    REQUEST_SUCCESS,        /* probed, and up */
    REQUEST_FAILURE,        /* probed, and not */
    REQUEST_INVALID,        /* what was asked for makes no sense */
    REQUEST_UNKNOWN_MODULE, /* there is no such module */
    REQUEST_FORBIDDEN,      /* the module does not allow the target */
    REQUEST_BUSY,           /* a limit says no; what was measured, if anything, is not told */
    REQUEST_ERROR,          /* out of memory, or the exporter is ending */
    REQUEST_OUTCOME_COUNT
};
const char *request_outcome_name(enum request_outcome outcome); /* "success" … */

struct probe_question {
    const char *target;
    const char *module; /* NULL: "default" */
    int64_t timeout_ns; /* all of it must be over within this */
};

struct probe_answer {
    int references; /* atomic */
    enum request_outcome outcome;
    char message[256];            /* which rule it is, if nothing was probed */
    struct endpoint_set *modules; /* a reference: what the module lent */
    struct fleet_view *view;      /* of one server, with one inspect folded in, perhaps a login */
    const struct server *server;  /* that one */
    struct observation inspect, login;
    bool has_login;
    int64_t duration_ns; /* of both */
};

/* One reference; NULL when out of memory. */
struct probe_answer *probe_answer_new(void);
struct probe_answer *probe_answer_ref(struct probe_answer *answer);
void probe_answer_unref(struct probe_answer *answer); /* accepts NULL */

/* Gives the answer one server to be about: a copy of the module's with the target's place. False
 * when out of memory. `*server` is the same, for whoever probes it. */
struct module;
struct probe_target;
bool probe_answer_about(struct probe_answer *answer, struct endpoint_set *modules,
                        const struct module *module, const struct probe_target *target,
                        struct server **server);

/* Folds an observation in, and takes over what it holds. */
void probe_answer_take(struct probe_answer *answer, struct observation *o);
