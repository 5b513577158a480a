#pragma once
/* An HTTP server on loopback that answers by the request's path, well and badly: what the HTTP
 * client's tests talk to. A thread for each connection. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define PEER_JSON "[{\"targets\": [\"10.0.0.1:5432\"]}]"

typedef struct ssl_ctx_st SSL_CTX;

struct http_peer {
    SSL_CTX *tls; /* NULL: plain */
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_bool stopping;
    atomic_uint requests;
    pthread_mutex_t lock;
    char head[8192]; /* of the latest request */
};

/* Paths: /json, /gzip, /bomb (10 MB of zeros in 10 kB), /broken-gzip, /N for status N, /N-endless
 * with a body that does not end, /loop, /away (to localhost), /file, /downgrade, /endless, /drip,
 * /silent, /headers (without end), /close, /reset, /short, /garbage. */
void http_peer_start(struct http_peer *peer, SSL_CTX *tls);

/* After all its clients have gone. */
void http_peer_stop(struct http_peer *peer);

/* What the latest request was, request line and headers; the memory is the caller's. */
char *http_peer_head(struct http_peer *peer);
