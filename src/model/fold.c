/* The fold: one observation into one server's state. Nothing else writes measurements.
 *
 * The law: every observation counts once; a failure counts in at most one class; what our own side
 * failed to do counts against nobody; what was not measured this time keeps what was seen last only
 * where its age is told beside it (certificates). */
#include "pgtls/model/fold.h"

#include "fold_parts.h"
#include "histogram.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <stdlib.h>
#include <string.h>

/* A server must not be able to create series at will. */
#define SHOWN_MIN_NS (300 * NS_PER_S)

/* Which probe a phase's duration is taken from: a login goes through all of them, but what an
 * application pays for TLS is measured by inspect, without libpq's own work in it. */
static bool measures(enum probe_kind kind, enum phase phase)
{
    return (kind == PROBE_LOGIN) == (phase == PHASE_AUTH || phase == PHASE_QUERY);
}

static void histogram_add(struct histogram *h, const struct settings *settings, int64_t ns)
{
    double seconds = ns_to_seconds(ns > 0 ? ns : 0);

    if (settings->histograms != HISTOGRAMS_CLASSIC && !native_histogram_add(&h->native, seconds))
        return; /* out of memory: in both or in neither */
    h->counts[histogram_bucket(settings->buckets, settings->n_buckets, seconds)]++;
    h->sum += seconds;
}

static void fold_phases(struct server_state *s, const struct observation *o)
{
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        const struct phase_time *time = &o->phases[i];

        if (!measures(o->probe, (enum phase)i)) {
            /* No login runs while inspect fails: its times are not of now. */
            if (o->probe == PROBE_INSPECT && !observation_entered(o))
                s->phase_measured[i] = false;
            continue;
        }
        s->phase_measured[i] = time->completed;
        if (!time->completed)
            continue;
        s->phase_last_ns[i] = time->duration_ns;
        s->phase_cpu_ns[i] += time->cpu_ns > 0 ? time->cpu_ns : 0;
        histogram_add(&s->phases[i], &s->set->settings, time->duration_ns);
    }
}

/* Few servers are shown one, so only those keep it. Out of memory: it is absent until next time. */
static void fold_client_certificate(struct server_state *s, const struct observation *o)
{
    if (!o->client_certificate && !o->tls)
        return;
    if (!o->client_certificate) {
        free(s->client_certificate);
        s->client_certificate = NULL;
        return;
    }
    if (!s->client_certificate)
        s->client_certificate = malloc(sizeof *s->client_certificate);
    if (s->client_certificate)
        *s->client_certificate = *o->client_certificate;
}

/* A certificate came, whether or not the handshake went on to complete. */
static void fold_chain(struct server_state *s, const struct observation *o, int64_t now_ns)
{
    if (o->chain != s->chain) {
        chain_unref(s->chain);
        s->chain = chain_ref(o->chain);
    }
    if (!s->shown_chain ||
        (s->shown_chain != o->chain && now_ns - s->shown_monotonic_ns >= SHOWN_MIN_NS)) {
        chain_unref(s->shown_chain);
        s->shown_chain = chain_ref(o->chain);
        s->shown_monotonic_ns = now_ns;
    }
    s->judgement = o->judgement;
    s->certificate_last_seen_realtime_ns = o->finished_realtime_ns;
    if (o->chain->count > 0)
        fold_leaf(s, &o->chain->certificates[0], o->finished_realtime_ns);
}

static void fold_tls(struct server_state *s, const struct observation *o, int64_t now_ns)
{
    if (o->chain)
        fold_chain(s, o, now_ns);
    fold_client_certificate(s, o);
    if (o->hello_retry)
        s->hello_retries++;
    if (!o->tls)
        return;
    s->tls = true;
    str_copy(s->tls_version, sizeof s->tls_version, o->tls_version);
    str_copy(s->tls_cipher, sizeof s->tls_cipher, o->tls_cipher);
    str_copy(s->tls_group, sizeof s->tls_group, o->tls_group);
    str_copy(s->tls_alpn, sizeof s->tls_alpn, o->tls_alpn);
}

/* The version is a label in the server's own words: it must not make series at will. */
static void fold_version(struct server_state *s, const char *version, int64_t now_ns)
{
    str_copy(s->server_version, sizeof s->server_version, version);
    if (s->shown_version[0] && (strcmp(s->shown_version, version) == 0 ||
                                now_ns - s->version_shown_monotonic_ns < SHOWN_MIN_NS))
        return;
    str_copy(s->shown_version, sizeof s->shown_version, version);
    s->version_shown_monotonic_ns = now_ns;
}

/* What the server told about itself; silence changes nothing. */
static void fold_server(struct server_state *s, const struct observation *o, int64_t now_ns)
{
    if (o->address[0])
        str_copy(s->address, sizeof s->address, o->address);
    if (o->auth_method[0]) {
        str_copy(s->auth_method, sizeof s->auth_method, o->auth_method);
        s->channel_binding = o->channel_binding;
    }
    if (o->server_version[0])
        fold_version(s, o->server_version, now_ns);
    if (o->pooler != VERDICT_UNKNOWN)
        s->pooler = o->pooler;
}

/* Most probes of most servers have none: room is taken when there is one. */
static void keep_error(struct probe_state *p, const char *error)
{
    free(p->error);
    p->error = error[0] != '\0' ? strdup(error) : NULL;
}

/* What any attempt leaves behind, ours or theirs. */
static void fold_attempt(struct probe_state *p, const struct observation *o, int64_t interval_ns,
                         int64_t now_ns)
{
    p->fault = o->fault;
    p->expected = o->expected;
    p->phase = o->phase;
    p->how = o->how;
    str_copy(p->sqlstate, sizeof p->sqlstate, o->sqlstate);
    keep_error(p, o->error);
    p->last_realtime_ns = o->finished_realtime_ns;
    p->last_monotonic_ns = now_ns;
    p->interval_ns = interval_ns;
}

/* A result: good, or a failure of theirs, counted once. */
static void fold_result(struct server_state *s, struct probe_state *p, const struct observation *o)
{
    const struct fault_row *row = fault_row(o->fault);

    p->ran = true;
    p->internal = false;
    p->good = o->fault == FAULT_NONE;
    p->probes++;
    histogram_add(&p->duration, &s->set->settings, o->duration_ns);
    if (p->good) {
        p->failures_in_row = 0;
        p->last_success_realtime_ns = o->finished_realtime_ns;
        p->expected_refusals += p->expected != FAULT_NONE;
        return;
    }
    p->failures_in_row++;
    p->failures[row->class]++;
    if (row->class == FAULT_CLASS_SSL_CLOSE)
        s->ssl_closes[o->phase][o->how]++;
    if (row->hba != HBA_NONE)
        s->hba_rejections[row->hba]++;
}

void fold_state(struct server_state *s, int64_t now_ns, int64_t realtime_ns)
{
    enum state state = server_state_now(s);

    if (state == s->state)
        return;
    s->state_ns[s->state] += now_ns - s->state_entered_monotonic_ns;
    s->state = state;
    s->state_entered_monotonic_ns = now_ns;
    s->since_realtime_ns = realtime_ns;
}

void fold_forget(struct probe_state *p)
{
    p->ran = p->internal = p->good = false;
    p->fault = p->expected = FAULT_NONE;
    p->failures_in_row = 0;
    p->last_realtime_ns = p->last_monotonic_ns = 0;
}

static enum fault fault_of_state(const struct server_state *s)
{
    const struct probe_state *p = server_state_culprit(s, NULL);

    return p ? p->fault : FAULT_NONE;
}

static void fold_history(struct server_state *s, const struct observation *o, int64_t now_ns)
{
    if (!s->history)
        s->history = calloc(1, sizeof *s->history);
    if (s->history)
        history_add(s->history, o, now_ns);
}

static void fold_observation(struct server_state *s, const struct observation *o,
                             int64_t next_interval_ns, int64_t now_ns)
{
    struct probe_state *p = &s->probes[o->probe];
    const struct fault_row *row = fault_row(o->fault);

    fold_attempt(p, o, next_interval_ns, now_ns);
    if (o->certificate_file)
        fold_certificate_file(s, o);
    if (row->class == FAULT_CLASS_INTERNAL) {
        p->internal = true;
        p->internal_errors[row->internal]++;
    } else {
        fold_result(s, p, o);
        fold_history(s, o, now_ns);
        fold_phases(s, o);
        fold_server(s, o, now_ns);
        if (o->expected != FAULT_NONE && o->probe == PROBE_INSPECT)
            fold_forget(&s->probes[PROBE_LOGIN]); /* none follows: the last one tells of the past */
        if (o->probe == PROBE_INSPECT)
            fold_tls(s, o, now_ns);
        else
            fold_backend(s, o, now_ns);
    }
    fold_file_served(s);
    if (o->probe == PROBE_INSPECT)
        sslmode_facts_inspect(&s->sslmodes, o);
    else
        sslmode_facts_login(&s->sslmodes, o);
}

struct fleet_change fleet_apply_at(struct server_state *s, const struct observation *o,
                                   int64_t next_interval_ns, int64_t now_ns)
{
    struct fleet_change change = {.changed = false};

    server_state_lock(s);
    change.before = s->state;
    change.fault_before = fault_of_state(s);
    if (!server_pause(s->config)) { /* or it was in flight when that began */
        fold_observation(s, o, next_interval_ns, now_ns);
        fold_promises(s, o->finished_realtime_ns, change.promises);
        fold_state(s, now_ns, o->finished_realtime_ns);
    }
    change.after = s->state;
    change.fault_after = fault_of_state(s);
    change.changed = change.before != change.after || change.fault_before != change.fault_after;
    change.failures_in_row = s->probes[o->probe].failures_in_row;
    server_state_unlock(s);
    return change;
}

struct fleet_change fleet_apply(struct server_state *s, const struct observation *o,
                                int64_t next_interval_ns)
{
    return fleet_apply_at(s, o, next_interval_ns, clock_monotonic_ns());
}

void fleet_apply_side(struct server_state *s, enum leg leg, const struct observation *o)
{
    server_state_lock(s);
    sslmode_facts_side(&s->sslmodes, leg, o);
    server_state_unlock(s);
}
