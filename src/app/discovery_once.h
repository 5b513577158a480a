#pragma once
/* Discovery for the commands that end: every source is looked at once. */
#include "pgtls/config/source.h"

/* Asks what this set says to ask, for at most ten seconds, and builds again from what came. Takes
 * the reference of `set`, which it gives back when there is nothing to discover, or nothing came.
 * Sources that fail are said in the log. NULL with errors in `messages` only if it was NULL. */
struct endpoint_set *discovery_once(struct config_source *source, struct endpoint_set *set,
                                    struct config_messages *messages);
