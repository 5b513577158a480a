#pragma once
/* Reading secrets where they are, when they are needed. */
#include "pgtls/model/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_MAX_BYTES ((size_t)4096)

/* A secret in memory: wipe it as soon as it was used. `text` is NUL-terminated. */
struct secret {
    char text[SECRET_MAX_BYTES + 1];
    bool present; /* false: the reference is SECRET_NONE, or the passfile has no line for us */
};
void secret_wipe(struct secret *secret);

/* Reads the secret of a server's login: its reference, the passfile matched as libpq does
 * (host, port, database, user; `*`, backslash escapes; fe-connect.c passwordFromFile), but group or
 * world access does not make it unreadable here: the file's owner is often root in containers.
 * Returns false when it cannot be read, with a reason for people (never the secret) in `error`. */
bool secret_read(const struct secret_ref *ref, const struct server *server, struct secret *secret,
                 char *error, size_t size);

/* A value that changes when something may have changed that a login of this server shows: the files
 * of its password, its client certificate and key and their passphrase (device, inode, size, both
 * times; through symbolic links, so that Kubernetes's ..data swap shows). What is not in a file
 * cannot change. Cheap: a stat each. */
uint64_t secret_generation(const struct server *server);
