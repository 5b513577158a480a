#pragma once
/* A library context of OpenSSL's for handshakes without a client certificate: reads public keys of
 * certificates, and no other kind of key or file. */

struct ossl_lib_ctx_st;

/* NULL where there is nothing to gain, or OpenSSL is configured in a way of its own: NULL is
 * OpenSSL's name for its ordinary context, and to be used as one. One per thread: what contexts
 * share is locked. */
struct ossl_lib_ctx_st *library_new(void);

/* After everything made with it; accepts NULL. */
void library_free(struct ossl_lib_ctx_st *context);
