#pragma once
/* A server in the health document. */
#include "pgtls/model/fleet.h"

#include <jansson.h>

#define HEALTH_PAUSE_SIZE 160

/* A reader's view of one server: its state, or unknown when what is known is too old. */
struct server_health {
    enum state state;
    int64_t since_realtime_ns;     /* of that state */
    char pause[HEALTH_PAUSE_SIZE]; /* why it is left alone on purpose, "": it is not */
    json_t *json;                  /* its object; NULL when out of memory or not asked for */
};

/* Adds the server to the tally of each promise. Takes the server's lock. */
struct server_health server_health(struct server_state *s, int64_t now_ns, int64_t realtime_ns,
                                   struct promise_tally tallies[PROMISE_COUNT], bool with_json);

/* The kind of probe whose silence makes the server's state mean nothing, or NULL. Call under the
 * lock. */
const struct probe_state *server_silent_probe(const struct server_state *s, int64_t now_ns);
