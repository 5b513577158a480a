#pragma once
/* A DNS server on loopback, on a port of the kernel's choice, over UDP and TCP: what the resolver's
 * tests talk to. It answers by the first label of the name. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct dns_peer {
    int udp, tcp, stop[2];
    pthread_t thread;
    atomic_uint questions, by_tcp;
    atomic_bool later; /* "later" is answered from now on */
    char servers[32];  /* as resolver_use() wants them */
};

/* srv: three records, TTLs 300, 30 and 60 behind an alias of 200; many: 1200 records, which takes
 * TCP; root: the target "."; a: 192.0.2.7 for 45 s; alias: the same behind an alias of 20 s; later:
 * the same, but only once it is told to; crowd: 20 addresses; nodata, garbage, silent; anything
 * else does not exist. */
void dns_peer_start(struct dns_peer *peer);
void dns_peer_stop(struct dns_peer *peer);
