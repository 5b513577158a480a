#pragma once
/* A generation of the configuration, as a daemon takes it: what is in force, and what is said of
 * it.
 */
#include "discovery.h"
#include "pgtls/config/source.h"
#include "pgtls/model/shard.h"

/* Builds a set from what `source` has read, and again when that says to look at files of targets,
 * whose targets may say to look at addresses of hosts. Of all clusters it keeps those of the shard,
 * of all logins those that this libpq can do. The messages are logged, those of the last round left
 * in `messages`. NULL when there were errors. */
struct endpoint_set *generation_build(struct config_source *source, struct discovery_hub *hub,
                                      struct shard shard, struct config_messages *messages);

/* Logs what was not logged before. */
void generation_log(const struct config_messages *messages);

/* Every error on a line of its own, for whoever asked. */
void generation_list_errors(const struct config_messages *messages, char *to, size_t size);
