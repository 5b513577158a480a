#pragma once
/* The guard of a login: sees every byte of the server before libpq does, and says whether libpq may
 * have it. Pure functions on bytes; no socket, no libpq.
 *
 * libpq 15 answers any authentication request, also one for the password in clear, and keeps the
 * fields of an ErrorResponse to itself; SCRAM keys it uses whatever salt they are asked for with.
 * It acts on a message only when all of it has arrived; so showing it no byte that was not fed here
 * first is enough, however the messages are split. */
#include "pgtls/model/evidence.h"
#include "pgtls/pg/wire.h"

#include <stdbool.h>
#include <stddef.h>

/* Of one message. libpq reads on behind our back once it holds more than 32 KiB of an incomplete
 * message (pqReadData in fe-misc.c); half of that and one TLS record of 16 KiB stay below. */
#define LOGIN_MAX_MESSAGE ((size_t)16 * 1024)

/* Of one authentication request: libpq's own limit (PQconnectPoll in fe-connect.c). */
#define LOGIN_MAX_AUTH_BYTES ((size_t)2000)

/* PBKDF2 runs inside PQconnectPoll for as many iterations as the server asks; PostgreSQL's default
 * is 4096. The most that is computed takes about a second, and what a loop may be held up by is a
 * hundredth of that. */
#define LOGIN_MAX_SCRAM_ITERATIONS    1000000
#define LOGIN_INLINE_SCRAM_ITERATIONS 10000

struct login_guard {
    struct evidence *e;  /* written: auth_request, auth_ok, error, phase, and end when it is over */
    unsigned allow_auth; /* ALLOW_AUTH_* of the endpoint */
    bool password;       /* there is one to give */
    bool querying;       /* an ErrorResponse no longer ends the connection */
    bool first_seen;     /* an authentication request was seen; `first` is it */
    struct wire_auth first;
    long long iterations; /* of SCRAM, when the server has just named them; 0: nothing to compute */

    bool keyed;                  /* libpq holds SCRAM keys, */
    struct wire_scram keyed_for; /* made for this */
    bool keys_tried;             /* they went to the server: its question was that one */
    bool keys_unfit;             /* its question was another, and it got no answer */
    bool offered;                /* offer: what it asked to stretch the password with */
    struct wire_scram offer;

    size_t len;
    unsigned char bytes[LOGIN_MAX_MESSAGE]; /* of the message that is not complete yet */
};

/* New bytes of the server, in order, each once. True: libpq may have them. False: it must not, the
 * login is over and e->end says why. */
bool login_guard_feed(struct login_guard *g, const unsigned char *bytes, size_t n);

/* The peer closed: what was sent before explains it better, if anything was. Sets e->end. */
void login_guard_closed(struct login_guard *g, enum close_how how);
