/* What is known of one server: its life, and what it comes to. */
#include "pgtls/model/server_state.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "session_states.h"

#include <stdlib.h>

#define MAX_LABELS_BYTES 16384

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
    return str_name(status_names, STATUS_COUNT, (size_t)status);
}

enum status status_of_state(enum state state, bool promise_broken)
{
    static const enum status statuses[STATE_COUNT] = {
        [STATE_UNKNOWN] = STATUS_UNKNOWN, [STATE_UP] = STATUS_OK, [STATE_DOWN] = STATUS_DOWN};

    return state == STATE_UP && promise_broken ? STATUS_DEGRADED : statuses[state];
}

const char *state_name(enum state state)
{
    return str_name(state_names, STATE_COUNT, (size_t)state);
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

struct server_state *server_state_new(struct endpoint_set *set, const struct server *config,
                                      int64_t now_ns)
{
    struct server_state *s = calloc(1, sizeof *s);
    struct session_state *room = NULL;

    if (!s)
        return NULL;
    s->labels = make_labels(config);
    if (!s->labels || !session_states_room(config, &room) ||
        pthread_mutex_init(&s->lock, NULL) != 0) {
        free(room);
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
    s->n_sessions = session_states_configure(&s->sessions, 0, config, room);
    return s;
}

struct server_state *server_state_ref(struct server_state *s)
{
    __atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
    return s;
}

void server_state_forget_histograms(struct server_state *s)
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
    session_states_free(s->sessions, s->n_sessions);
    free(s->backends);
    free(s->history);
    server_state_forget_histograms(s);
    for (int kind = 0; kind < PROBE_COUNT; kind++)
        free(s->probes[kind].error);
    free(s);
}

/* Down, unknown or up by one kind of probe alone. */
static enum state probe_verdict(const struct probe_state *p)
{
    if (p->internal || !p->ran)
        return STATE_UNKNOWN;
    return p->good ? STATE_UP : STATE_DOWN;
}

enum state server_state_now(const struct server_state *s)
{
    const struct probe_state *p = &s->probes[PROBE_INSPECT];
    enum state inspect = probe_verdict(p);

    if (inspect != STATE_UP || p->expected != FAULT_NONE || !s->probes[PROBE_LOGIN].configured)
        return inspect;
    return probe_verdict(&s->probes[PROBE_LOGIN]);
}

enum status server_status(const struct server_state *s)
{
    bool broken = false;

    for (size_t i = 0; i < PROMISE_COUNT; i++)
        broken = broken || s->promises[i].kept == VERDICT_NO;
    return status_of_state(server_state_now(s), broken);
}

double server_state_seconds(const struct server_state *s, enum state state, int64_t now_ns)
{
    int64_t ns = s->state_ns[state];

    if (state == s->state && now_ns > s->state_entered_monotonic_ns)
        ns += now_ns - s->state_entered_monotonic_ns;
    return ns_to_seconds(ns);
}

const struct probe_state *server_state_culprit(const struct server_state *s, enum probe_kind *kind)
{
    for (size_t k = 0; k < PROBE_COUNT; k++) {
        const struct probe_state *p = &s->probes[k];

        if (p->configured && (p->internal || (p->ran && !p->good))) {
            if (kind)
                *kind = (enum probe_kind)k;
            return p;
        }
    }
    return NULL;
}
