#pragma once
/* The fleet: every server that is watched, and what the servers of an endpoint come to together.
 *
 * Threads: probes publish from their workers (fold.h), readers read from the HTTP thread, the set
 * is swapped from the main thread. The list of servers is an immutable, counted view, so that a
 * reload never waits for a scrape nor a scrape for a reload. */
#include "pgtls/model/server_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fleet;
struct fleet_view {
    int references; /* atomic */
    struct endpoint_set *set;
    size_t n;
    struct server_state *servers[]; /* as in set->servers */
};

struct fleet *fleet_new(void); /* NULL when out of memory */
void fleet_free(struct fleet *fleet);

/* Makes `set` what is watched. Servers that stay (server_same) keep their state and counters, new
 * ones start at 0, the others go when their last reader lets go. Histograms restart at 0 when the
 * bucket bounds changed, or the kinds that are kept: counts under other bounds mean nothing. Takes
 * its own reference on the set. False when out of memory: the old set stays in force. Call from one
 * thread only. */
bool fleet_set(struct fleet *fleet, struct endpoint_set *set);

/* The present view; give it back with fleet_view_unref. Never NULL after the first fleet_set. */
struct fleet_view *fleet_view(struct fleet *fleet);
void fleet_view_unref(struct fleet_view *view);

/* State of an endpoint by its `require`, over the servers of the view that are not left alone on
 * purpose. Takes their locks. */
enum state fleet_endpoint_state(const struct fleet_view *view, const struct endpoint *endpoint);

/* Is an endpoint's promise kept? UNKNOWN when it is not made, too. Takes the servers' locks. */
enum verdict fleet_endpoint_promise(const struct fleet_view *view, const struct endpoint *endpoint,
                                    enum promise promise);

/* Do servers show the same certificate? They do while there is one that each of them has shown
 * lately: balancers and renewals that take a while let nothing flap. Left out are servers that are
 * down or speak no TLS. UNKNOWN: fewer than two are left, or one has not been seen often enough
 * (unless the others differ). */
struct agreement {
    enum verdict same;
    int64_t since_realtime_ns; /* of NO: when the newest of their certificates was first seen */
    size_t between[2];         /* of NO: two of them, by their place in the view */
    size_t compared;
};

/* Among the servers of an endpoint, or of all endpoints of its cluster that promise it so. Takes
 * their locks. */
struct agreement fleet_agreement(const struct fleet_view *view, const struct endpoint *endpoint,
                                 enum same_certificate among);

/* Adds the outcome to the tally of the promise, as if it were one server's. */
void agreement_tally(const struct agreement *agreement, struct promise_tally *tally);
