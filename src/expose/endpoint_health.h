#pragma once
/* An endpoint's status for whoever asks now: by its `require`, its servers' states, its promises
 * and how old results are. What the health document and the status page both tell. */
#include "health_json.h"
#include "pgtls/model/fleet.h"

/* What is collected over the servers of one endpoint; zeroed at first. */
struct endpoint_tally {
    size_t n[STATE_COUNT];
    int64_t first_since[STATE_COUNT], last_since[STATE_COUNT];
    struct promise_tally promises[PROMISE_COUNT]; /* filled by server_health() */
    size_t paused;                                /* left alone on purpose: in none of the above */
    int64_t paused_since;                         /* the last of them */
    char pause[HEALTH_PAUSE_SIZE];                /* why, of the first of them */
};

struct endpoint_health {
    enum status status;
    int64_t since_realtime_ns;
    bool paused; /* all of its servers are left alone on purpose; the status is then unknown */
    enum verdict kept[PROMISE_COUNT];
    struct agreement agreement;  /* of its certificates … */
    enum same_certificate among; /* … with those of */
};

void endpoint_tally_add(struct endpoint_tally *t, const struct server_health *health);

/* After all servers were added. Takes the locks of the servers that are compared. */
struct endpoint_health endpoint_tally_end(struct endpoint_tally *t, const struct fleet_view *view,
                                          const struct endpoint *e);

/* Both at once, for whoever has no use for the single server. Takes the servers' locks. */
struct endpoint_health endpoint_health(const struct fleet_view *view, const struct endpoint *e,
                                       struct endpoint_tally *t, int64_t now_ns,
                                       int64_t realtime_ns);
