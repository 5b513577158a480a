#pragma once
/* What an observation changed, as lines of the log: one per change, none per probe. */
#include "pgtls/model/fleet.h"

void tell_change(const struct server *server, struct server_state *state,
                 const struct observation *o, const struct fleet_change *change);
