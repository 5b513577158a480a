#pragma once
/* Name resolution on a worker's loop, by c-ares: no thread, ten thousand look-ups in flight, a dead
 * resolver stalls nobody. A and AAAA together, in RFC 6724 order; /etc/hosts and DNS, no other NSS
 * source. Identical names in flight share one look-up. Used from the loop's thread only. */
#include "pgtls/model/evidence.h"
#include "pgtls/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESOLVER_MAX_ADDRESSES 16
#define RESOLVER_MAX_SRV       1000
#define RESOLVER_MAX_NAME      256

typedef struct uv_loop_s uv_loop_t;
struct resolver;

/* The answer to one question; valid during the callback only. */
struct resolution {
    enum resolve_status status;
    size_t n;
    struct address addresses[RESOLVER_MAX_ADDRESSES];
    uint32_t ttl_seconds; /* the smallest; 0 also from the hosts file, or without an answer */
};

/* A question that waits. Embed it; it must outlive the question or be cancelled. */
struct resolve_request {
    void (*done)(struct resolve_request *request, const struct resolution *answer);
    struct resolve_request *next; /* resolver's */
    struct lookup *lookup;        /* resolver's; NULL when not waiting */
    uint16_t port;                /* resolver's */
};

/* An SRV record (RFC 2782). */
struct srv {
    char target[RESOLVER_MAX_NAME]; /* a host name, without the final dot */
    uint16_t port, priority, weight;
};

/* The answer to a question for SRV records; valid during the callback only. By priority,
 * then falling weight, then name and port: the same answer in any order is the same list. */
struct srv_answer {
    enum resolve_status status; /* NOT_FOUND also for the target ".": there is no such service */
    size_t n;
    const struct srv *records;
    size_t left_out;      /* behind RESOLVER_MAX_SRV */
    uint32_t ttl_seconds; /* the smallest of the answer's records */
};

/* Like resolve_request, for SRV records. */
struct srv_request {
    void (*done)(struct srv_request *request, const struct srv_answer *answer);
    struct srv_lookup *lookup; /* resolver's; NULL when not waiting */
};

/* NULL when c-ares cannot start. */
struct resolver *resolver_new(uv_loop_t *loop);
/* Drops what is in flight without calling back. Before the loop closes, which must run once more to
 * let go of the handles; not from within a callback. */
void resolver_free(struct resolver *resolver);

/* From now on asks these ("192.0.2.1,[2001:db8::1]:5353") instead of those in resolv.conf. False,
 * and nothing changed, when they are no addresses. What is in flight stays where it was asked. */
bool resolver_use(struct resolver *resolver, const char *servers);

/* Asks for host:port; `done` is called exactly once unless cancelled, possibly before this returns
 * (names in /etc/hosts). The asker has the deadline: cancel when it passes. */
void resolver_ask(struct resolver *resolver, struct resolve_request *request, const char *host,
                  uint16_t port);

/* No callback will come. */
void resolver_cancel(struct resolve_request *request);

/* Asks for the SRV records of a name ("_postgresql._tcp.db.example.com"), through resolv.conf's
 * search list. Contract as above: once unless cancelled, possibly before this returns. */
void resolver_ask_srv(struct resolver *resolver, struct srv_request *request, const char *name);
void resolver_cancel_srv(struct srv_request *request);
