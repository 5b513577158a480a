#pragma once
/* What the files of the fold need of each other, and fleet.c of them. All under the lock. */
#include "pgtls/model/fleet.h"

/* Brings the state and its clock up to date after anything changed. */
void fold_state(struct server_state *s, int64_t now_ns, int64_t realtime_ns);

/* No result is known any more; counters stay. */
void fold_forget(struct probe_state *p);

/* Remembers what a login was told by the back end that answered. */
void fold_backend(struct server_state *s, const struct observation *o, int64_t now_ns);

/* Takes over which sessions are configured; those that stay keep what is known of them. */
void fold_configure_sessions(struct server_state *s, const struct server *config);

/* Their histograms begin anew at 0. */
void fold_forget_session_histograms(struct server_state *s);

/* With all that belongs to them. */
void fold_free_sessions(struct server_state *s);

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
