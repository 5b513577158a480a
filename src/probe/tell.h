#pragma once
/* What an observation changed, as lines of the log: one per change, none per probe unless
 * everything is logged. */
#include "pgtls/model/fold.h"

/* At level debug: every probe, with its phases and what of them was our own CPU, in seconds. */
void tell_probe(const struct server *server, const struct observation *o);

/* Says that the certificate file cannot be read, or can again; `told` is what was said last. Our
 * own side: it changes no state. */
void tell_certificate_file(const struct server *server, const struct certificate_file *file,
                           bool *told);

/* That a server is left alone on purpose from now on, or watched again. `before`: the same server's
 * configuration until now, NULL: there was none. */
void tell_pause(const struct server *server, const struct server *before);

void tell_change(const struct server *server, struct server_state *state,
                 const struct observation *o, const struct fleet_change *change);
