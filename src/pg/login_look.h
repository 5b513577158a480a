#pragma once
/* A login's connection as seen from outside libpq: what came, when it came, how it was closed.
 *
 * One law: libpq may read only after a look said LOOK_GO, and then finds exactly the bytes that the
 * guard has had. On TLS connections SSL_peek shows one record, and libpq reads from one record at a
 * time; on plaintext ones we stand between (login_relay.h). Before and during the handshake bytes
 * are looked at on the socket and left there: what they mean OpenSSL decides, and SSL_peek there
 * would turn a failed verification into an end of file.
 *
 * The descriptor is our own duplicate: libpq closes its one as soon as anything fails, and how the
 * peer closed is still to be asked then. */
#include "login_guard.h"
#include "login_relay.h"

#include "pgtls/net/arrival.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssl_st;

struct login_look {
    int sock; /* -1 before there is one */
    bool tls;
    struct login_relay relay;
    struct login_guard guard;
    size_t seen;            /* bytes of the present TLS record that the guard has had */
    unsigned late_messages; /* of the handshake protocol, after the handshake */
    struct arrival arrival;
    bool half_closed; /* the peer's FIN was there before libpq's last step */
    bool heard;       /* the last look found something new on the socket, at `arrival` */
};

enum look { LOOK_GO, LOOK_WAIT, LOOK_OVER };

/* Looks, by the evidence's phase. `ssl` is libpq's, NULL before there is one; `since_ns` the end of
 * our last step. After LOOK_OVER the evidence says how it ended. */
enum look login_look(struct login_look *l, struct ssl_st *ssl, int64_t since_ns);

/* Before a step of libpq, which may send: what it then meets tells a FIN from a reset no more. */
void login_look_before(struct login_look *l);

/* After libpq read: true when it left something of the record, which is then to be read at once,
 * because no readiness will tell of it. */
bool login_look_rest(struct login_look *l, struct ssl_st *ssl);

/* A call on the socket failed with this errno, which becomes the evidence's end. */
void login_look_errno(struct login_look *l, int error);

/* How the peer left, when only libpq met it, or nothing is left to read. */
enum close_how login_look_how(const struct login_look *l);

/* The connection will be idle most of the time: it needs no buffers meanwhile. */
void login_look_slim(struct ssl_st *ssl);
