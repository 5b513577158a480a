#pragma once
/* The hosts of an endpoint to its servers. */
#include "building.h"

/* Is every address of its hosts a server of its own? */
bool resolves_all(const struct endpoint_source *source);

/* Adds its servers, or reports why they cannot be; `common` is what all of them have. */
void add_servers(struct building *b, const struct endpoint_source *source,
                 const struct server *common);
