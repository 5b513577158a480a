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

static void emit_histogram(struct sink *k, const struct session_state *session,
                           const uint64_t *counts, int64_t sum_ns)
{
    /* Other bounds than everybody else's; whoever comes next puts his own in their place. */
    if (k->le.n != SESSION_BUCKETS ||
        memcmp(k->le.bounds, session_bounds, sizeof session_bounds) != 0)
        le_table_init(&k->le, session_bounds, SESSION_BUCKETS);
    sink_histogram(k, &(struct sink_histogram){.label = "session",
                                               .label_value = session->config->name,
                                               .escape = true,
                                               .counts = counts,
                                               .sum_ns = sum_ns});
}

void emit_session_lifetime(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < s->n_sessions; i++)
        emit_histogram(k, &s->sessions[i], s->sessions[i].lifetime, s->sessions[i].lifetime_sum_ns);
}

void emit_session_idle(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < s->n_sessions; i++)
        emit_histogram(k, &s->sessions[i], s->sessions[i].idle, s->sessions[i].idle_sum_ns);
}
