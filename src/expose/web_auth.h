#pragma once
/* Passwords against their bcrypt hashes. To compute one takes from a twentieth of a second upwards,
 * by design; so it is done in a thread of its own, one at a time and at low priority, for a bounded
 * number of visitors, and what came out is remembered. A flood of wrong passwords therefore takes
 * part of one core, and holds up only visitors who were not seen before. */
#include "web_guard.h"

#include <stdatomic.h>

struct auth;

/* `computed` counts. NULL when out of memory or threads. */
struct auth *auth_new(_Atomic uint64_t *computed);
void auth_free(struct auth *auth); /* accepts NULL; after auth_close() */

/* What a visitor's password is held against. For a name that there is no user of, the hash is some
 * other user's: to compute it takes as long, so that the time does not tell who exists. */
struct auth_hash {
    const char *text;
    bool known;
};
enum web_verdict auth_recall(struct auth *auth, const struct auth_hash *hash,
                             const struct web_visitor *visitor);
void auth_ask(struct auth *auth, const struct auth_hash *hash, const struct web_visitor *visitor,
              void (*done)(void *context, enum web_verdict verdict), void *context);

/* As web_close(): when it returns, every `done` has been called. */
void auth_close(struct auth *auth);
