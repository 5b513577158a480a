/* The health document: the fleet as an operator, a load balancer or a script asks for it. */
#include "pgtls/expose/health.h"

#include "health_json.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <string.h>

enum { HTTP_OK = 200, HTTP_NOT_FOUND = 404, HTTP_ERROR = 500, HTTP_UNAVAILABLE = 503 };

/* The same for the servers of an endpoint. */
static const enum state server_order[STATE_COUNT] = {STATE_DOWN, STATE_UNKNOWN, STATE_UP};

/* What is collected over the servers of one endpoint. */
struct tally {
    size_t n[STATE_COUNT];
    int64_t first_since[STATE_COUNT], last_since[STATE_COUNT];
    struct promise_tally promises[PROMISE_COUNT];
    enum verdict kept[PROMISE_COUNT]; /* by the endpoint */
    size_t paused;                    /* left alone on purpose: in none of the above */
    int64_t paused_since;             /* the last of them */
    char pause[HEALTH_PAUSE_SIZE];    /* why, of the first of them */
};

struct document {
    const struct fleet_view *view;
    const struct health_query *query;
    int64_t now_ns, realtime_ns;
    size_t counts[STATUS_COUNT];
    size_t paused; /* endpoints of which all servers are, counted as unknown, too */
    json_t *endpoints[STATUS_COUNT];
    bool failed; /* out of memory */
};

static void tally_add_paused(struct tally *t, const struct server_health *health)
{
    if (t->paused++ == 0)
        str_copy(t->pause, sizeof t->pause, health->pause);
    if (health->since_realtime_ns > t->paused_since)
        t->paused_since = health->since_realtime_ns;
}

static void tally_add(struct tally *t, const struct server_health *health)
{
    enum state state = health->state;
    int64_t since = health->since_realtime_ns;

    if (health->pause[0]) {
        tally_add_paused(t, health);
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
static enum status endpoint_status(const struct endpoint *e, const struct tally *t, int64_t *since)
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
static enum status degrade(const struct endpoint *e, struct tally *t, enum status status,
                           int64_t *since)
{
    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        const struct promise_tally *p = &t->promises[i];
        bool all = e->require == REQUIRE_ALL;
        int64_t broken;

        t->kept[i] = promise_of_endpoint((enum promise)i, all, p);
        if (t->kept[i] != VERDICT_NO || (status != STATUS_OK && status != STATUS_DEGRADED))
            continue;
        broken = p->kept > 0 ? p->first_broken : p->last_broken;
        if (status == STATUS_OK || broken < *since)
            *since = broken;
        status = STATUS_DEGRADED;
    }
    return status;
}

/* Moves the arrays' items into one, in the order given by `order` (NULL: as they stand). */
static json_t *concatenate(json_t **arrays, size_t n, const enum state *order)
{
    json_t *all = json_array();

    for (size_t i = 0; i < n; i++) {
        size_t from = order ? (size_t)order[i] : i;

        if (!all || !arrays[from] || json_array_extend(all, arrays[from]) != 0) {
            json_decref(all);
            all = NULL;
        }
        json_decref(arrays[from]);
        arrays[from] = NULL;
    }
    return all;
}

/* Takes over the last two. */
static json_t *endpoint_json(const struct endpoint *e, enum status status, int64_t since,
                             const struct tally *t, json_t *certificates, json_t *servers)
{
    bool paused = t->paused > 0 && t->paused == e->n_servers;

    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "cluster", health_text(e->cluster),
                     "endpoint", health_text(e->name), "status", status_name(status), "since",
                     health_time(since), "maintenance", health_text(paused ? t->pause : NULL),
                     "promises", health_promises(t->kept), "certificates", certificates, "servers",
                     servers);
}

/* Whose certificates are compared; without a promise it is only told. */
static enum same_certificate compared(const struct document *d, const struct endpoint *e)
{
    const struct server *first = &d->view->set->servers[e->first_server];

    return e->n_servers > 0 && first->promises.same_certificate == SAME_CLUSTER ? SAME_CLUSTER
                                                                                : SAME_ENDPOINT;
}

/* Among the servers of an endpoint, or of its cluster: no single server keeps this promise. */
static struct agreement agree(const struct document *d, const struct endpoint *e, struct tally *t)
{
    struct agreement agreement = fleet_agreement(d->view, e, compared(d, e));

    if (e->n_servers > 0 &&
        promise_made(&d->view->set->servers[e->first_server].promises, PROMISE_SAME_CERTIFICATE))
        agreement_tally(&agreement, &t->promises[PROMISE_SAME_CERTIFICATE]);
    return agreement;
}

static void add_endpoint(struct document *d, const struct endpoint *e)
{
    json_t *servers[STATE_COUNT] = {json_array(), json_array(), json_array()}, *all;
    struct tally tally = {0};
    struct agreement agreement;
    enum status status;
    int64_t since;

    for (size_t i = 0; i < e->n_servers; i++) {
        struct server_health health =
            server_health(d->view->servers[e->first_server + i], d->now_ns, d->realtime_ns,
                          tally.promises, !d->query->brief);

        tally_add(&tally, &health);
        if (!d->query->brief && json_array_append_new(servers[health.state], health.json) != 0)
            d->failed = true;
    }
    agreement = agree(d, e, &tally);
    status = degrade(e, &tally, endpoint_status(e, &tally, &since), &since);
    d->counts[status]++;
    d->paused += e->n_servers > 0 && tally.paused == e->n_servers;
    all = concatenate(servers, STATE_COUNT, server_order);
    if (d->query->brief)
        json_decref(all);
    else if (json_array_append_new(
                 d->endpoints[status],
                 endpoint_json(e, status, since, &tally,
                               health_agreement(d->view, &agreement, compared(d, e)), all)) != 0)
        d->failed = true;
}

static bool is_selected(const struct health_query *query, const struct endpoint *e)
{
    return (!query->cluster || strcmp(query->cluster, e->cluster) == 0) &&
           (!query->endpoint || strcmp(query->endpoint, e->name) == 0);
}

/* The selection as one: with `all` one endpoint that is down decides, with `any` one that is up.
 * An unknown endpoint beside one that is up makes it degraded. What is left alone on purpose has no
 * say. */
static enum status overall(const struct document *d, size_t selected)
{
    size_t n = selected - d->paused, unknown = d->counts[STATUS_UNKNOWN] - d->paused;
    size_t up = d->counts[STATUS_OK] + d->counts[STATUS_DEGRADED];

    if (n == 0)
        return STATUS_UNKNOWN;
    if (d->counts[STATUS_OK] == n)
        return STATUS_OK;
    if (d->counts[STATUS_DOWN] > 0 && d->query->require == REQUIRE_ALL)
        return STATUS_DOWN;
    if (up > 0)
        return STATUS_DEGRADED;
    return unknown > 0 ? STATUS_UNKNOWN : STATUS_DOWN;
}

/* Planned silence is no failure: nobody shall be woken by it. */
static int http_status(const struct document *d, enum status status, size_t n)
{
    if (n == 0)
        return HTTP_NOT_FOUND;
    if (status == STATUS_OK || n == d->paused ||
        (status == STATUS_DEGRADED && !d->query->fail_on_degraded))
        return HTTP_OK;
    return HTTP_UNAVAILABLE;
}

static int append(const char *bytes, size_t n, void *to)
{
    buf_add(to, bytes, n);
    return ((struct buf *)to)->failed ? -1 : 0;
}

static json_t *whole(struct document *d, enum status status)
{
    json_t *json = json_pack(
        "{s:i, s:s, s:o, s:{s:I, s:I, s:I, s:I, s:I}}", "schema", 1, "status", status_name(status),
        "time", health_time(d->realtime_ns), "counts", "ok", (json_int_t)d->counts[STATUS_OK],
        "degraded", (json_int_t)d->counts[STATUS_DEGRADED], "down",
        (json_int_t)d->counts[STATUS_DOWN], "unknown", (json_int_t)d->counts[STATUS_UNKNOWN],
        "maintenance", (json_int_t)d->paused);
    json_t *endpoints = concatenate(d->endpoints, STATUS_COUNT, NULL);

    if (d->query->brief)
        json_decref(endpoints);
    else if (json_object_set_new(json, "endpoints", endpoints) != 0)
        d->failed = true;
    return json;
}

int health_document(struct fleet_view *view, const struct health_query *query, struct buf *to)
{
    struct document d = {.view = view,
                         .query = query,
                         .now_ns = clock_monotonic_ns(),
                         .realtime_ns = clock_realtime_ns()};
    enum status status;
    size_t n = 0;
    json_t *json;

    for (size_t i = 0; i < STATUS_COUNT; i++)
        d.endpoints[i] = json_array();
    for (size_t i = 0; i < view->set->n_endpoints; i++) {
        if (is_selected(query, &view->set->endpoints[i])) {
            add_endpoint(&d, &view->set->endpoints[i]);
            n++;
        }
    }
    status = n > 0 ? overall(&d, n) : STATUS_UNKNOWN;
    json = whole(&d, status);
    if (!json || d.failed ||
        json_dump_callback(json, append, to, JSON_COMPACT | JSON_REAL_PRECISION(15)) != 0) {
        json_decref(json);
        return HTTP_ERROR;
    }
    json_decref(json);
    buf_add_char(to, '\n');
    return to->failed ? HTTP_ERROR : http_status(&d, status, n);
}
