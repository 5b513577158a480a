#pragma once
/* The engine once, for people: probes of some servers on a loop of its own, each handed on as it
 * ends. The same stages, deadlines and polite close as the daemon's, the same order: a login comes
 * only after a good inspect, at the address that one found. One thread. */
#include "pgtls/model/observation.h"
#include "pgtls/model/server.h"
#include "pgtls/model/sslmode_works.h"

#include <stdbool.h>
#include <stddef.h>

struct once;

struct once_options {
    const char *bundle_path; /* system trust store, NULL: found by itself */
    size_t at_once;          /* servers probed at the same time */

    /* A probe of servers[i] is over; the observation is borrowed for the call. True after a good
     * inspect of a server that has a login: let the login follow at once. Ignored otherwise. */
    bool (*observed)(void *context, size_t i, const struct observation *o);

    /* Nothing more will come of servers[i]; what its probes, and side attempts if they are wanted,
     * told about sslmodes. */
    void (*done)(void *context, size_t i, const struct sslmode_facts *facts);
    bool side_attempts;
    void *context;
};

/* Probes will be of this set's servers. Takes a reference on it. NULL with the reason in error. */
struct once *once_new(struct endpoint_set *set, const struct once_options *options, char *error,
                      size_t size);
void once_free(struct once *once); /* accepts NULL */

/* Inspects every server; returns when all are through, logins included that were let follow. */
void once_inspect(struct once *once);

/* The logins that were not let follow: of servers whose inspect was good. For a caller who had to
 * ask somebody for a password first. */
void once_login(struct once *once);
