#pragma once
/* A watched session: one connection kept open, checked when it has been idle for its time, watched
 * for its end all the while. One machine per session, on its worker's loop.
 *
 * It opens only while allowed: the login probe of its server has just shown that one gets in, so a
 * server that refuses is tried by the probe's backoff and not by the sessions', too. */
#include "watched.h"

/* What a session borrows; all of it outlives session_stop, the server and set are its own
 * reference. */
struct session_place {
    struct watch_context *context;
    struct watched *owner;
    struct endpoint_set *set;
    const struct server *server;
    const struct session_config *config; /* the server's */
    struct server_state *state;
    const struct learned *learned;
};

/* NULL when out of memory. */
struct session *session_new(const struct session_place *place);

/* May it open a connection now? One that is open stays. */
void session_allow(struct session *s, bool allowed);

/* A new generation of the same server in which this session is what it was. */
void session_update(struct session *s, struct endpoint_set *set, const struct server *server,
                    const struct session_config *config);

/* Leaves politely; uses nothing of what it borrowed any more, and frees itself when the loop has
 * let go. */
void session_stop(struct session *s);
