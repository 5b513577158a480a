#pragma once
/* Name resolution on a worker's loop, by c-ares: no thread, ten thousand look-ups in flight, a dead
 * resolver stalls nobody. A and AAAA together, in RFC 6724 order; /etc/hosts and DNS, no other NSS
 * source. Identical names in flight share one look-up. Used from the loop's thread only. */
#include "pgtls/model/evidence.h"
#include "pgtls/net/address.h"

#include <stddef.h>
#include <stdint.h>

#define RESOLVER_MAX_ADDRESSES 16

typedef struct uv_loop_s uv_loop_t;
struct resolver;

/* The answer to one question; valid during the callback only. */
struct resolution {
    enum resolve_status status;
    size_t n;
    struct address addresses[RESOLVER_MAX_ADDRESSES];
};

/* A question that waits. Embed it; it must outlive the question or be cancelled. */
struct resolve_request {
    void (*done)(struct resolve_request *request, const struct resolution *answer);
    struct resolve_request *next; /* resolver's */
    struct lookup *lookup;        /* resolver's; NULL when not waiting */
    uint16_t port;                /* resolver's */
};

/* NULL when c-ares cannot start. */
struct resolver *resolver_new(uv_loop_t *loop);
/* Drops what is in flight without calling back. Before the loop closes, which must run once more to
 * let go of the handles. */
void resolver_free(struct resolver *resolver);

/* Asks for host:port; `done` is called exactly once unless cancelled, possibly before this returns
 * (names in /etc/hosts). The asker has the deadline: cancel when it passes. */
void resolver_ask(struct resolver *resolver, struct resolve_request *request, const char *host,
                  uint16_t port);

/* No callback will come. */
void resolver_cancel(struct resolve_request *request);
