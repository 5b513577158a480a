/* Watched sessions as a server's state keeps them. They are told apart by name, so that their
 * counters survive a reload. */
#include "pgtls/model/session.h"

#include "pgtls/base/str.h"
#include "pgtls/model/server.h"
#include "session_states.h"

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
    return str_name(end_names, SESSION_END_COUNT, (size_t)end);
}

struct session_state *session_states_find(struct session_state *sessions, size_t n,
                                          const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(sessions[i].config->name, name) == 0)
            return &sessions[i];
    }
    return NULL;
}

void session_states_forget_histograms(struct session_state *sessions, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct session_state *session = &sessions[i];

        free(session->lifetime_native);
        free(session->idle_native);
        session->lifetime_native = session->idle_native = NULL;
        memset(session->lifetime, 0, sizeof session->lifetime);
        memset(session->idle, 0, sizeof session->idle);
        session->lifetime_sum_ns = session->idle_sum_ns = 0;
    }
}

void session_states_free(struct session_state *sessions, size_t n)
{
    session_states_forget_histograms(sessions, n);
    free(sessions);
}

bool session_states_room(const struct server *config, struct session_state **room)
{
    *room = config->n_sessions > 0 ? calloc(config->n_sessions, sizeof **room) : NULL;
    return *room || config->n_sessions == 0;
}

size_t session_states_configure(struct session_state **sessions, size_t n_before,
                                const struct server *config, struct session_state *room)
{
    size_t n = config->n_sessions;
    struct session_state *before = *sessions, *after = room;

    for (size_t i = 0; i < n; i++) {
        struct session_state *known =
            session_states_find(before, n_before, config->sessions[i].name);

        if (known) {
            after[i] = *known;
            known->lifetime_native = known->idle_native = NULL; /* taken along */
        }
        after[i].config = &config->sessions[i];
    }
    session_states_free(before, n_before);
    *sessions = after;
    return n;
}
