#pragma once
/* How a reply gets out. */
#include "http_routes.h"
#include "pgtls/config/web_config.h"

#include <stdbool.h>

struct MHD_Connection;

/* Queues the reply, compressed if the client likes that and it pays; its text, stream and place are
 * taken over. `config` (NULL: none) has headers of its own. False when there is no memory: the
 * connection is to be closed then. */
bool http_send(struct MHD_Connection *connection, const char *method, struct reply *reply,
               const struct web_config *config);
