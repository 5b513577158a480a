#pragma once
/* Settings that do not go together. */
#include "in_force.h"
#include "pgtls/model/server.h"

/* Whatever the host; and those of TLS by which this server can be reached (Unix sockets have none).
 */
void check_common(struct report *report, const struct endpoint_source *source,
                  const struct server *s);
bool check_tls(struct report *report, const struct endpoint_source *source, const struct server *s);
