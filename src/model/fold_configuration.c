/* A new generation's configuration, into the state of a server that stays: what was measured keeps
 * counting, unless it would mean something else from now on. */
#include "fold_parts.h"
#include "pgtls/base/clock.h"
#include "session_states.h"

#include <string.h>

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

void fold_configuration(struct server_state *s, struct endpoint_set *set,
                        const struct server *config, struct session_state *room, int64_t now_ns)
{
    struct endpoint_set *old;

    server_state_lock(s);
    old = s->set;
    if (!same_bounds(&old->settings, &set->settings) || !same_kinds(&old->settings, &set->settings))
        server_state_forget_histograms(s);
    if (!same_kinds(&old->settings, &set->settings))
        session_states_forget_histograms(s->sessions, s->n_sessions);
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
    s->n_sessions = session_states_configure(&s->sessions, s->n_sessions, config, room);
    fold_promises(s, clock_realtime_ns(), NULL);
    fold_state(s, now_ns, clock_realtime_ns());
    server_state_unlock(s);
    endpoint_set_unref(old);
}
