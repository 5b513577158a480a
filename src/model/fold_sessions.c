/* The fold of watched sessions: what happened to one, into its server's state. Sessions are told
 * apart by name, so that their counters survive a reload. */
#include "fold.h"

#include "histogram.h"
#include "pgtls/base/clock.h"

#include <stdlib.h>
#include <string.h>

const double session_bounds[SESSION_BUCKETS] = {1, 10, 60, 300, 900, 3600, 14400};

static const char *const end_names[SESSION_END_COUNT] = {
    [SESSION_END_NONE] = "",
    [SESSION_END_CLOSE_NOTIFY] = "close_notify",
    [SESSION_END_FIN] = "fin",
    [SESSION_END_RST] = "rst",
    [SESSION_END_TIMEOUT] = "timeout",
    [SESSION_END_SERVER_MESSAGE] = "server_message",
    [SESSION_END_PROTOCOL_ERROR] = "protocol_error",
};

const char *session_end_name(enum session_end end)
{
    return end_names[end];
}

static struct session_state *find(struct session_state *sessions, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(sessions[i].config->name, name) == 0)
            return &sessions[i];
    }
    return NULL;
}

void fold_forget_session_histograms(struct server_state *s)
{
    for (size_t i = 0; i < s->n_sessions; i++) {
        struct session_state *session = &s->sessions[i];

        free(session->lifetime_native);
        free(session->idle_native);
        session->lifetime_native = session->idle_native = NULL;
        memset(session->lifetime, 0, sizeof session->lifetime);
        memset(session->idle, 0, sizeof session->idle);
        session->lifetime_sum_ns = session->idle_sum_ns = 0;
    }
}

void fold_free_sessions(struct server_state *s)
{
    fold_forget_session_histograms(s);
    free(s->sessions);
    s->sessions = NULL;
    s->n_sessions = 0;
}

/* Call before the old configuration goes: names are its. */
void fold_configure_sessions(struct server_state *s, const struct server *config)
{
    size_t n = config->n_sessions;
    struct session_state *sessions = n > 0 ? calloc(n, sizeof *sessions) : NULL;

    if (!sessions)
        n = 0; /* out of memory: the sessions are kept, and not told of */
    for (size_t i = 0; i < n; i++) {
        struct session_state *known = find(s->sessions, s->n_sessions, config->sessions[i].name);

        if (known) {
            sessions[i] = *known;
            known->lifetime_native = known->idle_native = NULL; /* taken along */
        }
        sessions[i].config = &config->sessions[i];
    }
    fold_free_sessions(s);
    s->sessions = sessions;
    s->n_sessions = n;
}

void fleet_session_opened(struct server_state *s, const char *name)
{
    struct session_state *session;

    server_state_lock(s);
    session = find(s->sessions, s->n_sessions, name);
    if (session) {
        session->known = session->up = true;
        session->started_realtime_ns = clock_realtime_ns();
        session->started_monotonic_ns = clock_monotonic_ns();
    }
    server_state_unlock(s);
}

void fleet_session_closed(struct server_state *s, const char *name, bool refused)
{
    struct session_state *session;

    server_state_lock(s);
    session = find(s->sessions, s->n_sessions, name);
    if (session) {
        session->known = refused;
        session->up = false;
    }
    server_state_unlock(s);
}

/* As histogram_add() does it in fold.c. */
static void count(const struct settings *settings, uint64_t counts[SESSION_BUCKETS + 1],
                  struct native_histogram **native, int64_t *sum_ns, int64_t ns)
{
    double seconds = ns_to_seconds(ns > 0 ? ns : 0);

    if (settings->histograms != HISTOGRAMS_CLASSIC && !native_histogram_add(native, seconds))
        return;
    counts[histogram_bucket(session_bounds, SESSION_BUCKETS, seconds)]++;
    *sum_ns += ns;
}

void fleet_session_dropped(struct server_state *s, const char *name,
                           const struct session_drop *drop)
{
    struct session_state *session;

    server_state_lock(s);
    session = find(s->sessions, s->n_sessions, name);
    if (session) {
        session->known = true;
        session->up = false;
        session->drops[drop->how]++;
        session->last = *drop;
        session->last_realtime_ns = clock_realtime_ns();
        count(&s->set->settings, session->lifetime, &session->lifetime_native,
              &session->lifetime_sum_ns, drop->age_ns);
        count(&s->set->settings, session->idle, &session->idle_native, &session->idle_sum_ns,
              drop->idle_ns);
    }
    server_state_unlock(s);
}
