/* What the servers of an endpoint come to together: its state, its promises, and whether they show
 * the same certificate.
 *
 * Behind one address several back ends may take turns, each with a certificate of its own. So it is
 * sets of what was seen lately that are compared, and nobody is judged before a balancer has had
 * the time to come round. */
#include "pgtls/model/fleet.h"

#include <string.h>

/* --- certificates ----------------------------------------------------------------------------- */

/* What all servers that were looked at have in common. */
struct common {
    unsigned char fingerprints[MAX_LEAVES][32];
    size_t n;
    bool pending; /* somebody has not been seen often enough */
};

static bool holds(const struct common *c, const unsigned char fingerprint[32])
{
    for (size_t i = 0; i < c->n; i++) {
        if (memcmp(c->fingerprints[i], fingerprint, 32) == 0)
            return true;
    }
    return false;
}

/* Narrows down what is common to what this one has shown lately. */
static void narrow(struct common *c, const struct server_state *s, bool first)
{
    struct common both = {.pending = c->pending};

    for (size_t i = 0; i < s->n_leaves; i++) {
        const struct leaf_seen *leaf = &s->leaves[i];

        if (server_leaf_is_recent(s, i) && (first || holds(c, leaf->fingerprint)))
            memcpy(both.fingerprints[both.n++], leaf->fingerprint, sizeof leaf->fingerprint);
    }
    *c = both;
}

static int64_t newest_leaf_since(const struct server_state *s)
{
    int64_t newest = 0;

    for (size_t i = 0; i < s->n_leaves; i++) {
        if (server_leaf_is_recent(s, i) && s->leaves[i].first_seen_realtime_ns > newest)
            newest = s->leaves[i].first_seen_realtime_ns;
    }
    return newest;
}

/* Has it something to say? One that is down, or left alone on purpose, is left out; one that is not
 * known yet is waited for. */
static bool takes_part(const struct server_state *s, struct common *common)
{
    const struct probe_state *inspect = &s->probes[PROBE_INSPECT];

    if (!server_uses_tls(s->config) || server_pause(s->config) ||
        (inspect->ran && !inspect->internal && !inspect->good))
        return false;
    if (inspect->ran && !inspect->internal && s->sightings >= LEAF_PATIENCE)
        return true;
    /* Good without a certificate: TLS is not what it speaks. */
    common->pending |= !inspect->ran || inspect->internal || s->sightings > 0;
    return false;
}

static void compare(struct agreement *a, struct common *common, struct server_state *s, size_t at)
{
    int64_t since;

    server_state_lock(s);
    if (takes_part(s, common)) {
        since = newest_leaf_since(s);
        if (since > a->since_realtime_ns)
            a->since_realtime_ns = since;
        if (a->same != VERDICT_NO) {
            narrow(common, s, a->compared == 0);
            a->between[a->compared == 0 ? 0 : 1] = at;
            a->same = common->n > 0 ? VERDICT_YES : VERDICT_NO;
        }
        a->compared++;
    }
    server_state_unlock(s);
}

/* Endpoints of one cluster stand together. */
static bool in_cluster(const struct fleet_view *view, size_t i, const char *cluster)
{
    return i < view->set->n_endpoints && strcmp(view->set->endpoints[i].cluster, cluster) == 0;
}

struct agreement fleet_agreement(const struct fleet_view *view, const struct endpoint *e,
                                 enum same_certificate among)
{
    const struct endpoint *endpoints = view->set->endpoints;
    size_t first = (size_t)(e - endpoints), end = first + 1;
    struct agreement a = {.same = VERDICT_UNKNOWN};
    struct common common = {.n = 0};

    while (among == SAME_CLUSTER && first > 0 && in_cluster(view, first - 1, e->cluster))
        first--;
    while (among == SAME_CLUSTER && in_cluster(view, end, e->cluster))
        end++;
    for (size_t i = first; i < end; i++) {
        for (size_t j = 0; j < endpoints[i].n_servers; j++) {
            size_t at = endpoints[i].first_server + j;

            if (among != SAME_CLUSTER ||
                view->set->servers[at].promises.same_certificate == SAME_CLUSTER)
                compare(&a, &common, view->servers[at], at);
        }
    }
    if (a.same == VERDICT_YES && (a.compared < 2 || common.pending))
        a.same = VERDICT_UNKNOWN;
    if (a.same != VERDICT_NO)
        a.since_realtime_ns = 0;
    return a;
}

void agreement_tally(const struct agreement *a, struct promise_tally *t)
{
    *t = (struct promise_tally){.kept = a->same == VERDICT_YES,
                                .broken = a->same == VERDICT_NO,
                                .unknown = a->same == VERDICT_UNKNOWN,
                                .first_broken = a->since_realtime_ns,
                                .last_broken = a->since_realtime_ns};
}

/* --- state and promises ----------------------------------------------------------------------- */

enum state fleet_endpoint_state(const struct fleet_view *view, const struct endpoint *endpoint)
{
    size_t counts[STATE_COUNT] = {0};
    enum state decisive = endpoint->require == REQUIRE_ANY ? STATE_UP : STATE_DOWN;
    enum state otherwise = endpoint->require == REQUIRE_ANY ? STATE_DOWN : STATE_UP;

    for (size_t i = 0; i < endpoint->n_servers; i++) {
        struct server_state *s = view->servers[endpoint->first_server + i];

        server_state_lock(s);
        if (!server_pause(s->config))
            counts[server_state_now(s)]++;
        server_state_unlock(s);
    }
    if (counts[decisive] > 0)
        return decisive;
    if (counts[STATE_UNKNOWN] > 0 || counts[otherwise] == 0)
        return STATE_UNKNOWN;
    return otherwise;
}

static enum verdict same_certificate_promise(const struct fleet_view *view,
                                             const struct endpoint *e)
{
    const struct promises *p = &view->set->servers[e->first_server].promises;

    if (e->n_servers == 0 || p->same_certificate == SAME_NOBODY)
        return VERDICT_UNKNOWN;
    return fleet_agreement(view, e, p->same_certificate).same;
}

enum verdict fleet_endpoint_promise(const struct fleet_view *view, const struct endpoint *endpoint,
                                    enum promise promise)
{
    struct promise_tally tally = {0};
    bool made = false;

    if (promise == PROMISE_SAME_CERTIFICATE)
        return same_certificate_promise(view, endpoint);
    for (size_t i = 0; i < endpoint->n_servers; i++) {
        struct server_state *s = view->servers[endpoint->first_server + i];

        server_state_lock(s);
        made = made || promise_made(&s->config->promises, promise);
        promise_tally_add(&tally, s, promise);
        server_state_unlock(s);
    }
    return made ? promise_of_endpoint(promise, endpoint->require == REQUIRE_ALL, &tally)
                : VERDICT_UNKNOWN;
}
