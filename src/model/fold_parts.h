#pragma once
/* What the files of the fold need of each other, and fleet.c of them. All under the lock, but for
 * fold_configuration, which takes it. */
#include "pgtls/model/server_state.h"

/* Makes `config` what is in force for a server that stays: of `set`, the new generation. Counters
 * stay; what would mean something else from now on begins anew. The room is for its sessions, and
 * taken over (session_states.h). */
void fold_configuration(struct server_state *s, struct endpoint_set *set,
                        const struct server *config, struct session_state *room, int64_t now_ns);

/* Brings the state and its clock up to date after anything changed. */
void fold_state(struct server_state *s, int64_t now_ns, int64_t realtime_ns);

/* No result is known any more; counters stay. */
void fold_forget(struct probe_state *p);

/* Remembers what a login was told by the back end that answered. */
void fold_backend(struct server_state *s, const struct observation *o, int64_t now_ns);

/* Remembers a certificate that a handshake showed. */
void fold_leaf(struct server_state *s, const struct certificate *leaf, int64_t realtime_ns);

/* Takes over what the certificate file held before this probe; call before fold_leaf. */
void fold_certificate_file(struct server_state *s, const struct observation *o);

/* Another file is configured, or none. */
void fold_forget_certificate_file(struct server_state *s);

/* Judges anew whether the server serves what the file holds. */
void fold_file_served(struct server_state *s);

/* Judges the promises anew after anything changed; `news` as in fleet_change, or NULL: the next
 * observation brings them. */
void fold_promises(struct server_state *s, int64_t realtime_ns, enum verdict news[PROMISE_COUNT]);
