/* The status of an endpoint, from its servers'. */
#include "endpoint_health.h"

#include "pgtls/base/str.h"

static void add_paused(struct endpoint_tally *t, const struct server_health *health)
{
    if (t->paused++ == 0)
        str_copy(t->pause, sizeof t->pause, health->pause);
    if (health->since_realtime_ns > t->paused_since)
        t->paused_since = health->since_realtime_ns;
}

void endpoint_tally_add(struct endpoint_tally *t, const struct server_health *health)
{
    enum state state = health->state;
    int64_t since = health->since_realtime_ns;

    if (health->pause[0]) {
        add_paused(t, health);
        return;
    }
    if (t->n[state]++ == 0)
        t->first_since[state] = t->last_since[state] = since;
    if (since < t->first_since[state])
        t->first_since[state] = since;
    if (since > t->last_since[state])
        t->last_since[state] = since;
}

/* The endpoint's status by its `require`, and since when the servers have made it so. */
static enum status by_servers(const struct endpoint *e, const struct endpoint_tally *t,
                              int64_t *since)
{
    bool any = e->require == REQUIRE_ANY;

    if (t->paused == e->n_servers) {
        *since = t->paused_since;
        return STATUS_UNKNOWN;
    }
    if (any && t->n[STATE_UP] > 0) {
        *since = t->n[STATE_DOWN] > 0 ? t->first_since[STATE_DOWN] : t->first_since[STATE_UP];
        return t->n[STATE_DOWN] > 0 ? STATUS_DEGRADED : STATUS_OK;
    }
    if (!any && t->n[STATE_DOWN] > 0) {
        *since = t->first_since[STATE_DOWN];
        return STATUS_DOWN;
    }
    if (t->n[STATE_UNKNOWN] > 0) {
        *since = t->last_since[STATE_UNKNOWN];
        return STATUS_UNKNOWN;
    }
    *since = t->last_since[any ? STATE_DOWN : STATE_UP];
    return any ? STATUS_DOWN : STATUS_OK;
}

/* A broken promise degrades what is up. */
static void degrade(const struct endpoint *e, const struct endpoint_tally *t,
                    struct endpoint_health *whole)
{
    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        const struct promise_tally *p = &t->promises[i];
        bool all = e->require == REQUIRE_ALL;
        int64_t broken;

        whole->kept[i] = promise_of_endpoint((enum promise)i, all, p);
        if (whole->kept[i] != VERDICT_NO ||
            (whole->status != STATUS_OK && whole->status != STATUS_DEGRADED))
            continue;
        broken = p->kept > 0 ? p->first_broken : p->last_broken;
        if (whole->status == STATUS_OK || broken < whole->since_realtime_ns)
            whole->since_realtime_ns = broken;
        whole->status = STATUS_DEGRADED;
    }
}

/* Among the servers of an endpoint, or of its cluster: no single server keeps this promise. Without
 * the promise it is only told. */
static void agree(const struct fleet_view *view, const struct endpoint *e, struct endpoint_tally *t,
                  struct endpoint_health *whole)
{
    const struct promises *promises =
        e->n_servers > 0 ? &view->set->servers[e->first_server].promises : NULL;

    whole->among =
        promises && promises->same_certificate == SAME_CLUSTER ? SAME_CLUSTER : SAME_ENDPOINT;
    whole->agreement = fleet_agreement(view, e, whole->among);
    if (promises && promise_made(promises, PROMISE_SAME_CERTIFICATE))
        agreement_tally(&whole->agreement, &t->promises[PROMISE_SAME_CERTIFICATE]);
}

struct endpoint_health endpoint_tally_end(struct endpoint_tally *t, const struct fleet_view *view,
                                          const struct endpoint *e)
{
    struct endpoint_health whole = {.paused = e->n_servers > 0 && t->paused == e->n_servers};

    agree(view, e, t, &whole);
    whole.status = by_servers(e, t, &whole.since_realtime_ns);
    degrade(e, t, &whole);
    return whole;
}

struct endpoint_health endpoint_health(const struct fleet_view *view, const struct endpoint *e,
                                       struct endpoint_tally *t, int64_t now_ns,
                                       int64_t realtime_ns)
{
    for (size_t i = 0; i < e->n_servers; i++) {
        struct server_health health = server_health(view->servers[e->first_server + i], now_ns,
                                                    realtime_ns, t->promises, false);

        endpoint_tally_add(t, &health);
    }
    return endpoint_tally_end(t, view, e);
}
