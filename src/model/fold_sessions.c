/* The fold of watched sessions: what happened to one, into its server's state. */
#include "pgtls/model/fold.h"

#include "histogram.h"
#include "pgtls/base/clock.h"
#include "session_states.h"

void fleet_session_opened(struct server_state *s, const char *name)
{
    struct session_state *session;

    server_state_lock(s);
    session = session_states_find(s->sessions, s->n_sessions, name);
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
    session = session_states_find(s->sessions, s->n_sessions, name);
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
    session = session_states_find(s->sessions, s->n_sessions, name);
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
