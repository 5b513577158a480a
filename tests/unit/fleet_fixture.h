#pragma once
/* A small fleet for tests of the telling half: an endpoint set built by hand, and observations. */
#include "pgtls/base/arena.h"
#include "pgtls/base/clock.h"
#include "pgtls/model/fleet.h"
#include "pgtls/model/fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE_REALTIME_NS (INT64_C(1700000000) * NS_PER_S)

/* One server as `default settings` make it: by name, SSLRequest, verify-full, a login. */
static inline struct server fixture_server(const char *cluster, const char *endpoint,
                                           const char *name)
{
    return (struct server){.cluster = cluster,
                           .endpoint = endpoint,
                           .name = name,
                           .host = "db.example",
                           .port = 5432,
                           .sslmode = SSLMODE_VERIFY_FULL,
                           .user = "app",
                           .dbname = "app",
                           .login = true,
                           .interval_ns = 30 * NS_PER_S,
                           .timeout_ns = 5 * NS_PER_S,
                           .login_interval_ns = 60 * NS_PER_S,
                           .key_hash = server_key_hash(cluster, endpoint, name)};
}

/* A set of these servers, grouped by endpoint as they stand; strings are borrowed. */
static inline struct endpoint_set *fixture_set(const struct server *servers, size_t n,
                                               enum require require)
{
    static const double bounds[] = {0.001, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5};
    struct arena *arena = arena_new();
    struct endpoint_set *set = endpoint_set_new(arena);
    struct server *copy = arena_alloc(arena, (n + 1) * sizeof *copy);
    struct endpoint *endpoints = arena_alloc(arena, (n + 1) * sizeof *endpoints);
    size_t used = 0;

    memcpy(set->settings.buckets, bounds, sizeof bounds);
    set->settings.n_buckets = sizeof bounds / sizeof *bounds;
    for (size_t i = 0; i < n; i++) {
        copy[i] = servers[i];
        if (i == 0 || strcmp(servers[i].endpoint, servers[i - 1].endpoint) != 0 ||
            strcmp(servers[i].cluster, servers[i - 1].cluster) != 0)
            endpoints[used++] = (struct endpoint){.cluster = servers[i].cluster,
                                                  .name = servers[i].endpoint,
                                                  .require = require,
                                                  .first_server = i};
        endpoints[used - 1].n_servers++;
        copy[i].endpoint_index = used - 1;
    }
    set->servers = copy;
    set->n_servers = n;
    set->endpoints = endpoints;
    set->n_endpoints = used;
    return set;
}

/* Hands the set over to the fleet. */
static inline bool fixture_watch(struct fleet *fleet, struct endpoint_set *set)
{
    bool done = fleet_set(fleet, set);

    endpoint_set_unref(set);
    return done;
}

/* A verified chain of three; `id` tells leaves apart. */
static inline struct chain *fixture_chain(unsigned char id)
{
    struct chain *chain = chain_new(3);

    chain->id[0] = id;
    chain->served = 2;
    for (int i = 0; i < 3; i++) {
        struct certificate *c = &chain->certificates[i];

        c->position = (enum position)i;
        c->not_before = 1690000000 + i;
        c->not_after = 1800000000 + i;
        snprintf(c->subject, sizeof c->subject, "CN=subject %d", i);
        snprintf(c->issuer, sizeof c->issuer, "CN=subject %d", i + 1);
        snprintf(c->serial, sizeof c->serial, "%02X%02X", id, (unsigned)i);
        snprintf(c->fingerprint_sha256, sizeof c->fingerprint_sha256, "%02x%062x", id, (unsigned)i);
        snprintf(c->public_key_sha256, sizeof c->public_key_sha256, "%02x%062x", 0xA0U | id,
                 (unsigned)i);
        snprintf(c->key, sizeof c->key, "RSA-2048");
        snprintf(c->signature, sizeof c->signature, "sha256WithRSAEncryption");
        snprintf(c->sans, sizeof c->sans, "DNS:db.example");
        chain->by_position[i] = i;
    }
    return chain;
}

/* A good inspect that went through every phase; the caller may change it before applying. */
static inline struct observation fixture_inspect(void)
{
    struct observation o;

    observation_init(&o, PROBE_INSPECT);
    o.started_realtime_ns = FIXTURE_REALTIME_NS;
    o.finished_realtime_ns = FIXTURE_REALTIME_NS + 20 * NS_PER_MS;
    o.duration_ns = 20 * NS_PER_MS;
    o.phase = PHASE_STARTUP;
    for (size_t i = PHASE_DNS; i <= PHASE_STARTUP; i++)
        o.phases[i] = (struct phase_time){true, 3 * NS_PER_MS, NS_PER_MS};
    snprintf(o.address, sizeof o.address, "192.0.2.1");
    o.tls = true;
    snprintf(o.tls_version, sizeof o.tls_version, "TLSv1.3");
    snprintf(o.tls_cipher, sizeof o.tls_cipher, "TLS_AES_256_GCM_SHA384");
    snprintf(o.tls_group, sizeof o.tls_group, "X25519");
    snprintf(o.auth_method, sizeof o.auth_method, "scram-sha-256");
    o.channel_binding = true;
    o.chain = fixture_chain(1);
    o.judgement = (struct judgement){VERDICT_YES, VERDICT_YES, VERDICT_YES, VERDICT_UNKNOWN, 0, 0};
    return o;
}

static inline struct observation fixture_login(void)
{
    struct observation o;

    observation_init(&o, PROBE_LOGIN);
    o.finished_realtime_ns = FIXTURE_REALTIME_NS + 40 * NS_PER_MS;
    o.duration_ns = 30 * NS_PER_MS;
    o.phase = PHASE_QUERY;
    for (size_t i = 0; i < PHASE_COUNT; i++)
        o.phases[i] = (struct phase_time){true, 4 * NS_PER_MS, NS_PER_MS};
    snprintf(o.server_version, sizeof o.server_version, "15.4");
    o.in_recovery = VERDICT_NO;
    o.pooler = VERDICT_NO;
    return o;
}

/* An observation that failed with this fault in this phase. */
static inline struct observation fixture_failure(enum probe_kind kind, enum fault fault,
                                                 enum phase phase)
{
    struct observation o;

    observation_init(&o, kind);
    o.finished_realtime_ns = FIXTURE_REALTIME_NS + 60 * NS_PER_MS;
    o.duration_ns = 10 * NS_PER_MS;
    o.fault = fault;
    o.phase = phase;
    for (size_t i = 0; i < (size_t)phase; i++)
        o.phases[i] = (struct phase_time){true, NS_PER_MS, 0};
    snprintf(o.error, sizeof o.error, "something \"went\" wrong");
    return o;
}

/* Applies, lets go of what the observation holds, tells what changed. */
static inline struct fleet_change fixture_apply_at(struct server_state *s, struct observation o,
                                                   int64_t now_ns)
{
    struct fleet_change change = fleet_apply_at(s, &o, 30 * NS_PER_S, now_ns);

    observation_deinit(&o);
    return change;
}

static inline struct fleet_change fixture_apply(struct server_state *s, struct observation o)
{
    return fixture_apply_at(s, o, clock_monotonic_ns());
}
