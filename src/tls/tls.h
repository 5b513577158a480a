#pragma once
/* Shared inside the tls room. OpenSSL's types by their struct names: its headers stay in the .c. */
#include "pgtls/model/certificate.h"
#include "pgtls/tls/conn.h"
#include "pgtls/tls/trust.h"

#include <stdint.h>

struct ssl_ctx_st;
struct stack_st_X509;
struct x509_st;
struct x509_store_ctx_st;

/* The context of a policy, borrowed. */
struct ssl_ctx_st *trust_context(const struct trust *trust);
bool trust_has_client_certificate(const struct trust *trust);

/* OpenSSL was short of memory while it used the policy. What it has found out about the trusted
 * certificates meanwhile it would keep, so the policy is loaded anew before it is used again. */
void trust_spoil(struct trust *trust);
bool trust_is_spoiled(const struct trust *trust);

/* Has what was just judged by this policy kept once for all who show the same. */
void trust_share(struct trust *trust, struct chain_memory *memory);

/* OpenSSL's certificate callback (SSL_CTX_set_cert_verify_callback), in conn.c: judges, accepts. */
int conn_on_certificate(struct x509_store_ctx_st *ctx, void *unused);

/* One certificate as plain facts. */
void certificate_facts(const struct x509_st *x, struct certificate *facts);

/* Does the certificate name this host, by libpq's rules? */
bool hostname_matches(const struct x509_st *leaf, const char *host);

/* SHA-256 over the certificates a server sent. False when out of memory. */
bool judge_chain_id(const struct x509_st *leaf, const struct stack_st_X509 *served,
                    unsigned char id[32]);

/* Verifies and judges what `ctx` holds (a store context made by the handshake), into the memory:
 * facts, anchors, judgement. False when out of memory; and where tls_memory_failures() says that
 * OpenSSL was, nothing of it is true. */
bool judge_chain(struct x509_store_ctx_st *ctx, const struct server *server,
                 const unsigned char id[32], struct chain_memory *memory);

/* Is the leaf one of those that the server's configuration pins? UNKNOWN without a pin. */
enum verdict judge_pin(const struct server *server, const struct chain *chain);
