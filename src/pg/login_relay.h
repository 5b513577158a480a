#pragma once
/* A plaintext login's connection, with us between libpq and the server.
 *
 * On TLS connections SSL_peek shows exactly the bytes that libpq's next read will return. On a
 * plaintext socket nothing does: between a look and libpq's recv() more may arrive, and a server
 * that means it could slip a request for the password through. So libpq's descriptor is replaced
 * by one end of a socket pair, and it gets the bytes that were looked at, and no others. */
#include <stdbool.h>
#include <stddef.h>

struct login_relay {
    int peer;       /* our end of the pair, -1: not in use */
    bool blocked;   /* the socket has no room for what libpq wrote */
    int send_errno; /* the server's side does not take our bytes any more */
};

/* Puts a pair in the place of libpq's descriptor; the caller holds a duplicate of it. False with
 * errno when there are no descriptors left. */
bool login_relay_open(struct login_relay *r, int libpq_fd);
void login_relay_close(struct login_relay *r);

/* Passes on to the server (sock) what libpq wrote. False: the rest waits for room. */
bool login_relay_send(struct login_relay *r, int sock);

/* Gives libpq bytes of the server. False when they do not fit, which libpq's eager reading rules
 * out. */
bool login_relay_give(struct login_relay *r, const void *bytes, size_t n);
