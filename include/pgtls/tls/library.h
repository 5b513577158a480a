#pragma once
/* A library context of OpenSSL's for connections without a client key: reads public keys of
 * certificates, and no other kind of key or file. */

struct library;
struct ossl_lib_ctx_st;

/* NULL where there is nothing to gain, or OpenSSL is configured in a way of its own. One per
 * thread: what contexts share is locked. */
struct library *library_new(void);

/* After everything made with it; accepts NULL. */
void library_free(struct library *library);

/* For functions that take a context. NULL for NULL, which is OpenSSL's name for its ordinary one.
 */
struct ossl_lib_ctx_st *library_context(const struct library *library);

/* For callers of OpenSSL that know of no context, as libpq: what this thread does until
 * library_leave is done in this one, and EVP_sha256() is the digest already looked up in it. Not
 * nested; NULL changes nothing. */
void library_enter(struct library *library);
void library_leave(void);
