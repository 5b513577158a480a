#pragma once
/* Trust policies: one TLS client context per distinct set of files and versions, shared by all
 * servers that use it, loaded again when a file changes. One cache per worker, its thread only. */
#include "pgtls/model/certificate.h"
#include "pgtls/model/fault.h"
#include "pgtls/model/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct library;
struct trust_cache;
struct trust;

/* `bundle_path`: the system's trust store, for servers whose sslrootcert is "system" or unset;
 * borrowed, NULL: trust_find_bundle(). NULL when out of memory. */
struct trust_cache *trust_cache_new(const char *bundle_path);
void trust_cache_free(struct trust_cache *cache);

/* What OpenSSL's work for this server is done with (library.h); NULL: its ordinary context.
 * Borrowed from the cache. */
struct library *trust_cache_library(const struct trust_cache *cache, const struct server *server);

/* The policy of a server, with a reference for the caller. NULL when a file is missing or broken:
 * `reason` and a text for people in `error`. Files are looked at once a second at most. */
struct trust *trust_get(struct trust_cache *cache, const struct server *server,
                        enum internal_reason *reason, char *error, size_t size);
void trust_unref(struct trust *trust); /* accepts NULL */

/* Changes whenever the policy's files were loaded again. */
uint64_t trust_generation(const struct trust *trust);

/* The client certificate of the policy as facts, NULL without one. Borrowed from the policy. */
const struct certificate *trust_client_certificate(const struct trust *trust);

/* The system's trust store: $SSL_CERT_FILE, OpenSSL's own default, then where distributions put it.
 * NULL when none is readable. The text is static or the environment's. */
const char *trust_find_bundle(void);
