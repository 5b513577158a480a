/* Samples about watched sessions. Written under the server's lock. */
#include "catalogue.h"

#include "pgtls/base/clock.h"

#include <string.h>

void emit_session_up(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < s->n_sessions; i++) {
        if (!s->sessions[i].known)
            continue;
        sink_begin(k);
        sink_text(k, "session", s->sessions[i].config->name);
        sink_u64(k, s->sessions[i].up);
    }
}

void emit_session_start(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < s->n_sessions; i++) {
        const struct session_state *session = &s->sessions[i];

        if (!session->up)
            continue;
        sink_begin(k);
        sink_text(k, "session", session->config->name);
        sink_ns(k, session->started_realtime_ns - session->started_realtime_ns % NS_PER_MS);
    }
}

void emit_session_drops(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < s->n_sessions; i++) {
        for (size_t how = SESSION_END_NONE + 1; how < SESSION_END_COUNT; how++) {
            sink_begin(k);
            sink_text(k, "session", s->sessions[i].config->name);
            sink_label(k, "how", session_end_name((enum session_end)how));
            sink_u64(k, s->sessions[i].drops[how]);
        }
    }
}

static void emit_histogram(struct sink *k, const struct server_state *s,
                           const struct session_state *session, struct sink_histogram h)
{
    /* Other bounds than everybody else's; whoever comes next puts his own in their place. */
    if (k->le.n != SESSION_BUCKETS ||
        memcmp(k->le.bounds, session_bounds, sizeof session_bounds) != 0)
        sink_bounds(k, session_bounds, SESSION_BUCKETS);
    h.label = "session";
    h.label_value = session->config->name;
    h.escape = true;
    h.kinds = s->set->settings.histograms;
    sink_histogram(k, &h);
}

void emit_session_lifetime(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < s->n_sessions; i++) {
        const struct session_state *session = &s->sessions[i];

        emit_histogram(k, s, session,
                       (struct sink_histogram){.counts = session->lifetime,
                                               .sum_ns = session->lifetime_sum_ns,
                                               .native = session->lifetime_native});
    }
}

void emit_session_idle(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < s->n_sessions; i++) {
        const struct session_state *session = &s->sessions[i];

        emit_histogram(k, s, session,
                       (struct sink_histogram){.counts = session->idle,
                                               .sum_ns = session->idle_sum_ns,
                                               .native = session->idle_native});
    }
}
