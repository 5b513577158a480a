#pragma once
/* A TLS client on a socket of ours: the handshake goes through whatever the certificate is, and
 * chain, dates and host name are judged apart. Non-blocking; one thread.
 *
 * What is not done again while nothing changed: a chain that is the same as last time is not
 * decoded into facts nor verified again (its signature over this handshake always is), see
 * chain_memory. */
#include "pgtls/model/certificate.h"
#include "pgtls/model/evidence.h"
#include "pgtls/model/observation.h"
#include "pgtls/model/server.h"
#include "pgtls/tls/trust.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stopwatch;
struct tls_conn;

/* What was learned from a server's last chain. Zero-initialise; belongs to the server's worker. */
struct chain_memory {
    struct chain *chain;
    struct pem *anchors;
    struct judgement judgement;
    uint64_t trust_generation;
    int64_t judged_at_s;   /* Unix time: judged again when the clock is before that … */
    int64_t valid_until_s; /* … or has come to this */
};
void chain_memory_deinit(struct chain_memory *memory);

enum tls_want {
    TLS_DONE,
    TLS_WANT_READ,
    TLS_WANT_WRITE,
    TLS_FAILED /* see tls_conn_evidence */
};

/* Borrows the server, the trust, the memory and the stopwatch until freed; never closes the socket.
 * The stopwatch is told of every send and arrival as it happens. NULL when out of memory. */
struct tls_conn *tls_conn_new(int fd, const struct server *server, struct trust *trust,
                              struct chain_memory *memory, struct stopwatch *watch);
void tls_conn_free(struct tls_conn *conn); /* accepts NULL */

/* A new turn of the loop: what one turn may read is bounded, then TLS_WANT_READ lets others run. */
void tls_conn_turn(struct tls_conn *conn);

enum tls_want tls_conn_handshake(struct tls_conn *conn);

/* Like send and recv on the decrypted stream. TLS_DONE with *n bytes; a clean end of the stream is
 * TLS_FAILED with CLOSE_NOTIFY in the evidence. */
enum tls_want tls_conn_write(struct tls_conn *conn, const void *bytes, size_t len, size_t *n);
enum tls_want tls_conn_read(struct tls_conn *conn, void *to, size_t size, size_t *n);

/* Sends close_notify, once; never waits. `with_fin`: the caller shuts the socket down for writing
 * at once, and the kernel keeps the alert until then, for one segment with both. */
void tls_conn_close_notify(struct tls_conn *conn, bool with_fin);

/* How it failed: end, how, sys_errno, tls_alert, ssl_reason, certificate_requested. */
void tls_conn_evidence(const struct tls_conn *conn, struct evidence *e);

/* After the handshake: version, cipher, group, alpn, hello_retry, chain, anchors, judgement. Also
 * after one that failed behind the certificate: chain and judgement. */
void tls_conn_observe(const struct tls_conn *conn, struct observation *o);
