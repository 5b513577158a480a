#pragma once
/* Layers to servers: what is in force, by libpq's rules of what goes together. */
#include "building.h"

/* What a module sets, as a server without a place; its name and the level's are in the source.
 * False after an error. */
bool resolve_module(struct building *b, struct endpoint_source *source, struct server *server);

/* Adds the endpoint and its servers, or reports why it cannot be. */
void resolve_endpoint(struct building *b, const struct endpoint_source *outer);
