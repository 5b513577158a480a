/* The list of what is watched, swapped whole, and the life of each server's state.
 *
 * A view is immutable and counted; the fleet's own lock guards nothing but the pointer to the
 * present one, so nobody waits for anybody's work under it. */
#include "pgtls/model/fleet.h"

#include "fold.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LABELS_BYTES 16384

struct fleet {
    pthread_mutex_t lock;
    struct fleet_view *view;
};

static const char *const state_names[STATE_COUNT] = {
    [STATE_UNKNOWN] = "unknown",
    [STATE_UP] = "up",
    [STATE_DOWN] = "down",
};

static const char *const status_names[STATUS_COUNT] = {
    [STATUS_DOWN] = "down",
    [STATUS_DEGRADED] = "degraded",
    [STATUS_UNKNOWN] = "unknown",
    [STATUS_OK] = "ok",
};

const char *status_name(enum status status)
{
    return status_names[status];
}

enum status status_of_state(enum state state, bool promise_broken)
{
    static const enum status statuses[STATE_COUNT] = {
        [STATE_UNKNOWN] = STATUS_UNKNOWN, [STATE_UP] = STATUS_OK, [STATE_DOWN] = STATUS_DOWN};

    return state == STATE_UP && promise_broken ? STATUS_DEGRADED : statuses[state];
}

const char *state_name(enum state state)
{
    return state_names[state];
}

/* name="value" with the three characters escaped that both exposition formats escape. */
static void add_label(struct buf *to, const char *name, const char *value)
{
    if (to->len > 0)
        buf_add_char(to, ',');
    buf_add_str(to, name);
    buf_add_str(to, "=\"");
    for (; *value; value++) {
        if (*value == '\n') {
            buf_add_str(to, "\\n");
            continue;
        }
        if (*value == '\\' || *value == '"')
            buf_add_char(to, '\\');
        buf_add_char(to, *value);
    }
    buf_add_char(to, '"');
}

static char *make_labels(const struct server *config)
{
    struct buf labels = BUF_INIT(MAX_LABELS_BYTES);

    add_label(&labels, "pg_cluster", config->cluster);
    add_label(&labels, "pg_endpoint", config->endpoint);
    add_label(&labels, "server", config->name);
    if (labels.failed) {
        buf_deinit(&labels);
        return NULL;
    }
    return labels.data;
}

static struct server_state *server_state_new(struct endpoint_set *set, const struct server *config,
                                             int64_t now_ns)
{
    struct server_state *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->labels = make_labels(config);
    if (!s->labels || pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s->labels);
        free(s);
        return NULL;
    }
    s->references = 1;
    s->set = endpoint_set_ref(set);
    s->config = config;
    s->since_realtime_ns = clock_realtime_ns();
    s->state_entered_monotonic_ns = now_ns;
    s->probes[PROBE_INSPECT].configured = true;
    s->probes[PROBE_INSPECT].interval_ns = config->interval_ns;
    s->probes[PROBE_LOGIN].configured = config->login;
    s->probes[PROBE_LOGIN].interval_ns = config->login_interval_ns;
    fold_configure_sessions(s, config);
    return s;
}

struct server_state *server_state_ref(struct server_state *s)
{
    __atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
    return s;
}

static void forget_histograms(struct server_state *s)
{
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        free(s->phases[i].native);
        s->phases[i] = (struct histogram){0};
    }
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        free(s->probes[i].duration.native);
        s->probes[i].duration = (struct histogram){0};
    }
}

void server_state_unref(struct server_state *s)
{
    if (!s || __atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    chain_unref(s->chain);
    chain_unref(s->shown_chain);
    free(s->client_certificate);
    certificate_file_unref(s->certificate_file.file);
    endpoint_set_unref(s->set);
    pthread_mutex_destroy(&s->lock);
    free(s->labels);
    fold_free_sessions(s);
    free(s->backends);
    free(s->history);
    forget_histograms(s);
    for (int kind = 0; kind < PROBE_COUNT; kind++)
        free(s->probes[kind].error);
    free(s);
}

static struct fleet_view *view_new(struct endpoint_set *set)
{
    struct fleet_view *view = calloc(1, sizeof *view + set->n_servers * sizeof view->servers[0]);

    if (!view)
        return NULL;
    view->references = 1;
    view->set = endpoint_set_ref(set);
    view->n = set->n_servers;
    return view;
}

void fleet_view_unref(struct fleet_view *view)
{
    if (!view || __atomic_sub_fetch(&view->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t i = 0; i < view->n; i++)
        server_state_unref(view->servers[i]);
    endpoint_set_unref(view->set);
    free(view);
}

/* The servers of a view by identity: open addressing, at most half full. */
struct table {
    struct server_state **slots;
    size_t mask;
};

static bool table_init(struct table *table, const struct fleet_view *view)
{
    size_t size = 16, n = view ? view->n : 0;

    while (size < 2 * n)
        size *= 2;
    table->slots = calloc(size, sizeof(struct server_state *));
    if (!table->slots)
        return false;
    table->mask = size - 1;
    for (size_t i = 0; i < n; i++) {
        size_t at = view->servers[i]->config->key_hash & table->mask;

        while (table->slots[at])
            at = (at + 1) & table->mask;
        table->slots[at] = view->servers[i];
    }
    return true;
}

static struct server_state *table_find(const struct table *table, const struct server *server)
{
    size_t at = server->key_hash & table->mask;

    for (; table->slots[at]; at = (at + 1) & table->mask) {
        if (server_same(table->slots[at]->config, server))
            return table->slots[at];
    }
    return NULL;
}

/* Fills the new view from the old servers and new ones; changes nothing that is in force. */
static bool fill_view(struct fleet_view *view, const struct table *old, int64_t now_ns)
{
    for (size_t i = 0; i < view->n; i++) {
        const struct server *config = &view->set->servers[i];
        struct server_state *kept = table_find(old, config);

        view->servers[i] =
            kept ? server_state_ref(kept) : server_state_new(view->set, config, now_ns);
        if (!view->servers[i])
            return false;
    }
    return true;
}

static bool same_bounds(const struct settings *a, const struct settings *b)
{
    if (a->n_buckets != b->n_buckets)
        return false;
    for (size_t i = 0; i < a->n_buckets; i++) {
        if (a->buckets[i] < b->buckets[i] || a->buckets[i] > b->buckets[i])
            return false;
    }
    return true;
}

/* Between both kinds of histograms and native ones alone nothing changes in what is kept. */
static bool same_kinds(const struct settings *a, const struct settings *b)
{
    return (a->histograms == HISTOGRAMS_CLASSIC) == (b->histograms == HISTOGRAMS_CLASSIC);
}

/* A kind of probe that comes or goes by configuration. Its counters stay: should it come back, they
 * go on from where they were. */
static void configure_probe(struct probe_state *p, bool configured, int64_t interval_ns)
{
    if (configured && !p->configured)
        fold_forget(p);
    p->configured = configured;
    if (p->last_realtime_ns == 0)
        p->interval_ns = interval_ns;
}

static bool same_file(const struct promises *a, const struct promises *b)
{
    const char *x = a->certificate_file, *y = b->certificate_file;

    return x && y ? strcmp(x, y) == 0 : x == y;
}

/* What its probes came to meant something else, or is of the past. */
static void forget_results(struct server_state *s)
{
    for (size_t k = 0; k < PROBE_COUNT; k++)
        fold_forget(&s->probes[k]);
}

/* A server that stays takes its configuration from the new generation. */
static void adopt(struct server_state *s, struct endpoint_set *set, const struct server *config,
                  int64_t now_ns)
{
    struct endpoint_set *old;

    server_state_lock(s);
    old = s->set;
    if (!same_bounds(&old->settings, &set->settings) || !same_kinds(&old->settings, &set->settings))
        forget_histograms(s);
    if (!same_kinds(&old->settings, &set->settings))
        fold_forget_session_histograms(s);
    if (!server_connects_alike(s->config, config))
        s->sslmodes = (struct sslmode_facts){.known = false};
    if (!expect_alike(&s->config->expect, &config->expect) || server_pause(config))
        forget_results(s);
    if (!same_file(&s->config->promises, &config->promises))
        fold_forget_certificate_file(s);
    s->set = endpoint_set_ref(set);
    s->config = config;
    configure_probe(&s->probes[PROBE_INSPECT], true, config->interval_ns);
    configure_probe(&s->probes[PROBE_LOGIN], config->login, config->login_interval_ns);
    fold_configure_sessions(s, config);
    fold_promises(s, clock_realtime_ns(), NULL);
    fold_state(s, now_ns, clock_realtime_ns());
    server_state_unlock(s);
    endpoint_set_unref(old);
}

struct fleet *fleet_new(void)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);

    if (fleet && pthread_mutex_init(&fleet->lock, NULL) != 0) {
        free(fleet);
        return NULL;
    }
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    if (!fleet)
        return;
    fleet_view_unref(fleet->view);
    pthread_mutex_destroy(&fleet->lock);
    free(fleet);
}

bool fleet_set(struct fleet *fleet, struct endpoint_set *set)
{
    struct fleet_view *old = fleet->view, *view = view_new(set);
    int64_t now_ns = clock_monotonic_ns();
    struct table table;
    bool filled;

    if (!view)
        return false;
    if (!table_init(&table, old)) {
        fleet_view_unref(view);
        return false;
    }
    filled = fill_view(view, &table, now_ns);
    free(table.slots);
    if (!filled) {
        fleet_view_unref(view);
        return false;
    }
    for (size_t i = 0; i < view->n; i++)
        adopt(view->servers[i], set, &set->servers[i], now_ns);
    pthread_mutex_lock(&fleet->lock);
    fleet->view = view;
    pthread_mutex_unlock(&fleet->lock);
    fleet_view_unref(old);
    return true;
}

struct fleet_view *fleet_view(struct fleet *fleet)
{
    struct fleet_view *view;

    pthread_mutex_lock(&fleet->lock);
    view = fleet->view;
    if (view)
        __atomic_add_fetch(&view->references, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&fleet->lock);
    return view;
}

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
