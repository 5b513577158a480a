#pragma once
/* What fleet.c needs of the fold. */
#include "pgtls/model/fleet.h"

/* Brings the state and its clock up to date after anything changed. Call under the lock. */
void fold_state(struct server_state *s, int64_t now_ns, int64_t realtime_ns);
