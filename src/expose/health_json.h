#pragma once
/* Values of the health document. */
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

/* Each promise by its name: true, false, or null. */
json_t *health_promises(const enum verdict kept[PROMISE_COUNT]);

/* The server's certificate, and its certificate_file. Call under the lock. */
json_t *health_certificate(const struct server_state *s);
json_t *health_certificate_file(const struct server_state *s);

/* Do servers show the same certificate, and if not: which two do not? Takes their locks. */
json_t *health_agreement(const struct fleet_view *view, const struct agreement *agreement,
                         enum same_certificate among);

/* True, false, or null. */
json_t *health_verdict(enum verdict verdict);

/* RFC 3339, or null for 0. */
json_t *health_time(int64_t realtime_ns);

/* The text, or null for NULL and "". */
json_t *health_text(const char *text);
