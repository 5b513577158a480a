#pragma once
/* Jobs: a target's probe, for all who asked for it. They live on one loop, and only its thread
 * knows them. */
#include "probe.h"

#include "pgtls/model/requested.h"
#include "pgtls/model/self.h"
#include "pgtls/probe/caps.h"
#include "pgtls/probe/requests.h"

#include <uv.h>

/* Somebody who waits for an answer. */
struct asker {
    struct asker *next;
    char *target, *module;
    int64_t deadline_ns;
    requests_answered *answered;
    void *context;
};

/* What the jobs of a loop have in common. */
struct jobs {
    struct probe_host host;
    struct caps caps;
    struct self *self;
    struct job *first;
    struct job *line, **line_end; /* whose login waits for the rate of new connections */
    uv_timer_t retry;
};

/* Out of memory: NULL. */
struct asker *asker_new(const struct probe_question *question, requests_answered *answered,
                        void *context);
void asker_free(struct asker *asker);

/* Answers one and is done with it. NULL: there is no answer to give. */
void asker_answer(struct jobs *jobs, struct asker *asker, struct probe_answer *answer);
__attribute__((format(printf, 4, 5))) void asker_refuse(struct jobs *jobs, struct asker *asker,
                                                        enum request_outcome outcome,
                                                        const char *format, ...);

/* False when there is no memory for it; what is there can be freed. */
bool jobs_init(struct jobs *jobs, uv_loop_t *loop, const char *bundle_path, struct self *self);

/* Breaks off what is in flight, answers all who wait, closes its handles on the loop. */
void jobs_end(struct jobs *jobs);
void jobs_deinit(struct jobs *jobs); /* behind the loop's end */

/* Probes for the asker, who is answered at once if a limit says no. A reference of the set, which
 * the module is of, is taken. */
void jobs_probe_for(struct jobs *jobs, struct asker *asker, struct endpoint_set *set,
                    const struct module *module, const struct probe_target *target);
