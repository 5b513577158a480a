#pragma once
/* The door: what the web configuration says of a connection and of a request, before anything is
 * answered. Without one everybody is welcome. */
#include "http_routes.h"
#include "web_guard.h"

struct MHD_Connection;

/* A request that may wait at the door. */
struct visit {
    struct MHD_Connection *connection;
    enum web_verdict verdict;
    bool admitted; /* counted by the rate limit */
};

enum entry {
    ENTRY_OPEN,   /* go on */
    ENTRY_WAITS,  /* the connection is suspended; the request comes again */
    ENTRY_REFUSED /* the reply says why */
};

/* A new connection: prepares its TLS session. NULL in *state without TLS, to be given back when it
 * is closed. False when it must not be served. */
bool guard_connection(struct web *web, struct MHD_Connection *connection, struct web_state **state);

/* A complete request. */
enum entry guard_request(struct web *web, const struct web_state *state, struct visit *visit,
                         const char *path, struct reply *reply);
