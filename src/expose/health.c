/* The health document: the fleet as an operator, a load balancer or a script asks for it. */
#include "pgtls/expose/health.h"

#include "endpoint_health.h"
#include "health_certificates.h"
#include "health_json.h"
#include "health_values.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <string.h>

enum { HTTP_OK = 200, HTTP_NOT_FOUND = 404, HTTP_ERROR = 500, HTTP_UNAVAILABLE = 503 };

/* The same for the servers of an endpoint. */
static const enum state server_order[STATE_COUNT] = {STATE_DOWN, STATE_UNKNOWN, STATE_UP};

struct document {
    const struct fleet_view *view;
    const struct health_query *query;
    int64_t now_ns, realtime_ns;
    size_t counts[STATUS_COUNT];
    size_t paused; /* endpoints of which all servers are, counted as unknown, too */
    json_t *endpoints[STATUS_COUNT];
    bool failed; /* out of memory */
};

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
static json_t *endpoint_json(const struct endpoint *e, const struct endpoint_health *whole,
                             const struct endpoint_tally *t, json_t *certificates, json_t *servers)
{
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "cluster", health_text(e->cluster),
                     "endpoint", health_text(e->name), "status", status_name(whole->status),
                     "since", health_time(whole->since_realtime_ns), "maintenance",
                     health_text(whole->paused ? t->pause : NULL), "promises",
                     health_promises(whole->kept), "certificates", certificates, "servers",
                     servers);
}

static void add_endpoint(struct document *d, const struct endpoint *e)
{
    json_t *servers[STATE_COUNT] = {json_array(), json_array(), json_array()}, *all;
    struct endpoint_tally tally = {0};
    struct endpoint_health whole;

    for (size_t i = 0; i < e->n_servers; i++) {
        struct server_health health =
            server_health(d->view->servers[e->first_server + i], d->now_ns, d->realtime_ns,
                          tally.promises, !d->query->brief);

        endpoint_tally_add(&tally, &health);
        if (!d->query->brief && json_array_append_new(servers[health.state], health.json) != 0)
            d->failed = true;
    }
    whole = endpoint_tally_end(&tally, d->view, e);
    d->counts[whole.status]++;
    d->paused += whole.paused;
    all = concatenate(servers, STATE_COUNT, server_order);
    if (d->query->brief)
        json_decref(all);
    else if (json_array_append_new(
                 d->endpoints[whole.status],
                 endpoint_json(e, &whole, &tally,
                               health_agreement(d->view, &whole.agreement, whole.among), all)) != 0)
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

/* Where the cluster that was asked for by name lives, if it is configured at all. */
static json_t *shard_json(const struct health_query *query)
{
    const struct shard *shard = &query->shard;

    if (shard->total <= 1)
        return json_null();
    return json_pack("{s:I, s:I, s:o}", "ordinal", (json_int_t)shard->ordinal, "total",
                     (json_int_t)shard->total, "wanted",
                     query->cluster ? json_integer(shard_of(query->cluster, shard->total))
                                    : json_null());
}

static bool cluster_is_here(const struct document *d)
{
    for (size_t i = 0; i < d->view->set->n_endpoints; i++) {
        if (strcmp(d->view->set->endpoints[i].cluster, d->query->cluster) == 0)
            return true;
    }
    return false;
}

/* Why there is nothing to tell. */
static void explain_nothing(const struct document *d, struct buf *to)
{
    const struct health_query *query = d->query;
    bool sharded = query->shard.total > 1;
    unsigned home = query->cluster && sharded ? shard_of(query->cluster, query->shard.total)
                                              : query->shard.ordinal;

    if (home != query->shard.ordinal)
        buf_addf(to,
                 "No cluster of this name is watched here: if it is configured, it belongs to "
                 "the exporter with --shard=%u of --total-shards=%u. This is shard %u.",
                 home, query->shard.total, query->shard.ordinal);
    else if (query->cluster && !cluster_is_here(d))
        buf_add_str(to, "No cluster of this name is configured.");
    else if (query->cluster)
        buf_add_str(to, "The cluster has no endpoint of this name.");
    else if (query->endpoint)
        buf_add_str(to, "No endpoint of this name is watched here.");
    else
        buf_add_str(to, "Nothing is watched here.");
}

static json_t *message_json(struct document *d, size_t n)
{
    struct buf text = BUF_INIT(512);
    json_t *json;

    if (n == 0)
        explain_nothing(d, &text);
    json = health_text(n == 0 ? buf_text(&text) : NULL);
    d->failed = d->failed || text.failed;
    buf_deinit(&text);
    return json;
}

static json_t *document_json(struct document *d, enum status status, size_t n)
{
    json_t *json = json_pack(
        "{s:i, s:s, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I}}", "schema", 1, "status",
        status_name(status), "time", health_time(d->realtime_ns), "message", message_json(d, n),
        "shard", shard_json(d->query), "counts", "ok", (json_int_t)d->counts[STATUS_OK], "degraded",
        (json_int_t)d->counts[STATUS_DEGRADED], "down", (json_int_t)d->counts[STATUS_DOWN],
        "unknown", (json_int_t)d->counts[STATUS_UNKNOWN], "maintenance", (json_int_t)d->paused);
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
    json = document_json(&d, status, n);
    if (!json || d.failed ||
        json_dump_callback(json, append, to, JSON_COMPACT | JSON_REAL_PRECISION(15)) != 0) {
        json_decref(json);
        return HTTP_ERROR;
    }
    json_decref(json);
    buf_add_char(to, '\n');
    return to->failed ? HTTP_ERROR : http_status(&d, status, n);
}
