#pragma once
/* Discovery while the exporter runs: looks where the configuration says, and tells its source what
 * was found. A look that brings nothing good leaves the last good list in force.
 *
 * One loop, one thread: that of the source. */
#include "pgtls/config/discovery.h"
#include "pgtls/model/self.h"

#include <stdbool.h>

typedef struct uv_loop_s uv_loop_t;
struct discovery_hub;

/* Called on the loop, never from within a function of this header. */
struct discovery_callbacks {
    /* The source has something new to build from. False: there was no memory to take it; it is told
     * again. */
    bool (*news)(void *context);
    void (*fared)(void *context); /* a look went well, or not */
    void *context;
};

/* NULL without memory. */
struct discovery_hub *discovery_hub_new(uv_loop_t *loop, struct config_source *source,
                                        const struct discovery_callbacks *callbacks);

/* Stops everything. Before the loop closes, which must run once more to let go of the handles.
 * Accepts NULL. */
void discovery_hub_free(struct discovery_hub *hub);

/* Looks where this set says from now on. What it says as before goes on undisturbed, files are read
 * before this returns, and what is no longer asked for is taken from the source. True when the
 * source has something new already. */
bool discovery_hub_watch(struct discovery_hub *hub, struct endpoint_set *set);

/* Some look has had no answer yet, good or bad. */
bool discovery_hub_waiting(const struct discovery_hub *hub);

/* How many sources there are, and how each fares, into as many items of what is shown. */
size_t discovery_hub_count(const struct discovery_hub *hub);
void discovery_hub_tell(const struct discovery_hub *hub, struct self_inputs *inputs);
