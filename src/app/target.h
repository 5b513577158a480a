#pragma once
/* What stands behind `probe` and `list`: a connection string, host:port, a cluster, one of its
 * endpoints, or a server of the configuration by its name. */
#include "pgtls/model/server.h"

/* A connection string of any dialect: it may hold a password and is never repeated. */
bool target_is_string(const char *target);

/* "host:5432", "[::1]:5432/app", "user@host:5432": what becomes a URI by putting its scheme before
 * it. */
bool target_is_address(const char *target);

/* Is this server meant? By "cluster", "cluster/endpoint" or its own "host:port". */
bool target_means(const char *target, const struct server *s);

/* Says on stderr that the configuration has no such thing, and what it has that is like it. */
void target_say_unknown(const char *target, const struct endpoint_set *set);
