/* The engine once: what watched.c does for ever, this does one time. */
#include "pgtls/probe/once.h"

#include "probe.h"
#include "side.h"

#include "pgtls/base/str.h"
#include "pgtls/net/arrival.h"
#include "pgtls/net/loop.h"
#include "pgtls/tls/trust.h"

#include <stdlib.h>

/* One server: what its inspect taught, and whether a login is still to come. */
struct turn {
    struct once *once;
    size_t index;
    struct learned learned;
    bool login_due;
    struct sslmode_facts facts;
    struct side side;
};

struct once {
    struct once_options options;
    struct endpoint_set *set;
    uv_loop_t loop;
    bool loop_open;
    struct probe_host host;
    struct turn *turns; /* one per server of the set */

    enum probe_kind kind; /* of the present round */
    size_t next;          /* the first turn that the round has not come to */
    size_t in_flight;
};

static bool start(struct turn *turn, enum probe_kind kind)
{
    struct once *once = turn->once;
    const struct server *server = &once->set->servers[turn->index];

    if (kind == PROBE_LOGIN)
        turn->login_due = false;
    uv_update_time(&once->loop); /* somebody may have been asked for a password meanwhile */
    return probe_start(&once->host, kind, once->set, server, &turn->learned, turn) != NULL;
}

/* Goes on with the side attempts that are left. False when there are none (more): the server is
 * done with. */
static bool go_on(struct turn *turn)
{
    struct once *once = turn->once;
    const struct server *server = &once->set->servers[turn->index];

    while (turn->side.left) {
        if (side_start(&turn->side, &once->host, once->set, server, turn))
            return true;
    }
    once->options.done(once->options.context, turn->index, &turn->facts);
    return false;
}

/* Out of memory is an observation, too, and the last one. */
static void report_no_memory(struct turn *turn, enum probe_kind kind)
{
    struct once *once = turn->once;
    struct observation o;

    observation_init(&o, kind);
    o.fault = FAULT_LOCAL_MEMORY;
    once->options.observed(once->options.context, turn->index, &o);
    once->options.done(once->options.context, turn->index, &turn->facts);
}

/* Starts what the round has room for. */
static void fill(struct once *once)
{
    while (once->in_flight < once->options.at_once && once->next < once->set->n_servers) {
        struct turn *turn = &once->turns[once->next++];

        if (once->kind == PROBE_LOGIN && !turn->login_due)
            continue;
        if (start(turn, once->kind))
            once->in_flight++;
        else
            report_no_memory(turn, once->kind);
    }
}

static void observe(struct turn *turn, const struct probe *p)
{
    const struct observation *o = &p->observation;

    if (turn->side.running) {
        sslmode_facts_side(&turn->facts, turn->side.leg, o);
        return;
    }
    if (o->probe == PROBE_INSPECT)
        sslmode_facts_inspect(&turn->facts, o);
    else
        sslmode_facts_login(&turn->facts, o);
}

/* A probe of the server itself is over. True: something more has been started. */
static bool proceed(struct turn *turn, const struct probe *p)
{
    struct once *once = turn->once;
    bool good = p->observation.probe == PROBE_INSPECT && observation_entered(&p->observation);
    bool follow;

    turn->login_due = good && p->server->login;
    if (good)
        learned_take(&turn->learned, p);
    follow = once->options.observed(once->options.context, turn->index, &p->observation);
    if (turn->login_due && !follow)
        return false; /* it comes later */
    if (turn->login_due) {
        if (start(turn, PROBE_LOGIN))
            return true;
        report_no_memory(turn, PROBE_LOGIN);
        return false;
    }
    if (once->options.side_attempts)
        turn->side.left = side_wanted(p->server, &turn->facts);
    return go_on(turn);
}

static void on_finished(struct probe *p, void *owner)
{
    struct turn *turn = owner;
    struct once *once = turn->once;
    bool more;

    observe(turn, p);
    if (turn->side.running) {
        side_finish(&turn->side);
        more = go_on(turn);
    } else {
        more = proceed(turn, p);
    }
    probe_free(p);
    if (more)
        return;
    once->in_flight--;
    fill(once);
}

static void run_round(struct once *once, enum probe_kind kind)
{
    once->kind = kind;
    once->next = 0;
    fill(once);
    while (once->in_flight > 0)
        uv_run(&once->loop, UV_RUN_ONCE);
}

/* Reading a trust store takes longer than a handshake. The daemon does it once; here it would stand
 * in every first handshake as if the server were slow. A store that cannot be read is the probe's
 * to report. */
static void load_trust(struct once *once, const struct server *server)
{
    enum internal_reason reason;
    char text[256];

    if (server_uses_tls(server))
        trust_unref(trust_get(once->host.trusts, server, &reason, text, sizeof text));
}

void once_inspect(struct once *once)
{
    for (size_t i = 0; i < once->set->n_servers; i++)
        load_trust(once, &once->set->servers[i]);
    run_round(once, PROBE_INSPECT);
}

void once_login(struct once *once)
{
    run_round(once, PROBE_LOGIN);
}

static bool init(struct once *once, const char *bundle_path)
{
    if (!loop_init(&once->loop))
        return false;
    once->loop_open = true;
    once->host = (struct probe_host){.loop = &once->loop,
                                     .resolver = resolver_new(&once->loop),
                                     .trusts = trust_cache_new(bundle_path),
                                     .bundle_path = bundle_path,
                                     .finished = on_finished};
    once->turns = calloc(once->set->n_servers + 1, sizeof *once->turns);
    if (!once->host.resolver || !once->host.trusts || !once->turns)
        return false;
    for (size_t i = 0; i < once->set->n_servers; i++) {
        once->turns[i].once = once;
        once->turns[i].index = i;
    }
    return true;
}

struct once *once_new(struct endpoint_set *set, const struct once_options *options, char *error,
                      size_t size)
{
    struct once *once = calloc(1, sizeof *once);

    if (!once) {
        str_copy(error, size, "out of memory");
        return NULL;
    }
    once->options = *options;
    once->set = endpoint_set_ref(set);
    arrival_start();
    if (!init(once, options->bundle_path ? options->bundle_path : trust_find_bundle())) {
        str_copy(error, size, "cannot start: no memory or descriptors, or no resolver");
        once_free(once);
        return NULL;
    }
    return once;
}

void once_free(struct once *once)
{
    if (!once)
        return;
    for (size_t i = 0; once->turns && i < once->set->n_servers; i++)
        learned_forget(&once->turns[i].learned);
    free(once->turns);
    if (once->host.resolver)
        resolver_free(once->host.resolver);
    if (once->loop_open) {
        uv_run(&once->loop, UV_RUN_DEFAULT); /* lets go of the resolver's handles */
        uv_loop_close(&once->loop);
    }
    if (once->host.trusts)
        trust_cache_free(once->host.trusts);
    endpoint_set_unref(once->set);
    free(once);
}
