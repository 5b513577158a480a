/* Samples of one server, except those about TLS. Called under the server's lock. */
#include "catalogue.h"

#include "pgtls/base/clock.h"

#include <math.h>
#include <string.h>

/* With the default bounds a server stays within 160 series because the buckets that can hardly be
 * hit are folded into the next one: a TLS handshake or a SCRAM exchange costs more than a
 * millisecond of computing, and a whole probe consists of several round trips. Folding low buckets
 * is exact for every sum over servers; leaving out high ones would cap quantiles. Bounds that the
 * configuration names are all shown. */
static const double default_bounds[] = {0.001, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5};
#define FOLDED_IN_COMPUTING_PHASES 1
#define FOLDED_IN_WHOLE_PROBES     2

static size_t folded(const struct le_table *le, size_t with_default_bounds)
{
    if (le->n != sizeof default_bounds / sizeof *default_bounds ||
        memcmp(le->bounds, default_bounds, sizeof default_bounds) != 0)
        return 0;
    return with_default_bounds;
}

/* Does this server's connection go through the phase at all? */
static bool has_phase(const struct server *config, enum phase phase)
{
    switch (phase) {
    case PHASE_DNS:
        return !config->unix_socket && !config->hostaddr;
    case PHASE_TCP:
        return !config->unix_socket;
    case PHASE_SSL_REQUEST:
        return server_uses_tls(config) && config->negotiation == NEGOTIATION_POSTGRES;
    case PHASE_TLS:
        return server_uses_tls(config);
    case PHASE_STARTUP:
        return config->user != NULL;
    case PHASE_AUTH:
    case PHASE_QUERY:
        return config->login;
    case PHASE_COUNT:
        break;
    }
    return false;
}

static int64_t seconds_to_ns(double seconds)
{
    return (int64_t)llround(seconds * 1e9);
}

/* A result of theirs is the latest thing that happened to this kind of probe. */
static bool has_result(const struct probe_state *p)
{
    return p->configured && p->ran && !p->internal;
}

void emit_up(struct sink *k, const struct server_state *s)
{
    enum state state = server_state_now(s);

    if (state != STATE_UNKNOWN)
        sink_plain_u64(k, state == STATE_UP);
}

void emit_probe_up(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        if (has_result(&s->probes[i]))
            sink_one_u64(k, "probe", probe_kind_name((enum probe_kind)i), s->probes[i].good);
    }
}

void emit_endpoint_up(struct sink *k, const struct fleet_view *view, const struct endpoint *e)
{
    enum state state = fleet_endpoint_state(view, e);

    if (state == STATE_UNKNOWN)
        return;
    sink_begin(k);
    sink_text(k, "pg_cluster", e->cluster);
    sink_text(k, "pg_endpoint", e->name);
    sink_u64(k, state == STATE_UP);
}

static void add_active(struct sink *k, size_t kind, const struct probe_state *p, enum fault fault)
{
    const struct fault_row *row = fault_row(fault);

    sink_begin(k);
    sink_label(k, "probe", probe_kind_name((enum probe_kind)kind));
    sink_label(k, "phase", phase_name(p->phase));
    sink_label(k, "class", fault_class_name(row->class));
    sink_label(k, "fault", row->id);
    sink_u64(k, 1);
}

void emit_fault_active(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        const struct probe_state *p = &s->probes[i];

        if (has_result(p) && !p->good)
            add_active(k, i, p, p->fault);
    }
}

void emit_expected_fault_active(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        const struct probe_state *p = &s->probes[i];

        if (has_result(p) && p->expected != FAULT_NONE)
            add_active(k, i, p, p->expected);
    }
}

void emit_expected_refusals(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        const struct probe_state *p = &s->probes[i];

        if (p->configured && (s->config->expect.text || p->expected_refusals > 0))
            sink_one_u64(k, "probe", probe_kind_name((enum probe_kind)i), p->expected_refusals);
    }
}

void emit_maintenance(struct sink *k, const struct server_state *s)
{
    const char *text = server_pause(s->config);

    if (!text)
        return;
    sink_begin(k);
    sink_text(k, "text", text);
    sink_u64(k, 1);
}

void emit_state_seconds(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < STATE_COUNT; i++) {
        sink_one_ns(k, "state", state_name((enum state)i),
                    seconds_to_ns(server_state_seconds(s, (enum state)i, k->now_ns)));
    }
}

void emit_probes(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        if (s->probes[i].configured)
            sink_one_u64(k, "probe", probe_kind_name((enum probe_kind)i), s->probes[i].probes);
    }
}

void emit_probe_failures(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        if (!s->probes[i].configured)
            continue;
        for (size_t c = FAULT_CLASS_NONE + 1; c < FAULT_CLASS_INTERNAL; c++) {
            if (c == FAULT_CLASS_EXPECTATION && !s->config->expect.text &&
                s->probes[i].failures[c] == 0)
                continue;
            sink_begin(k);
            sink_label(k, "probe", probe_kind_name((enum probe_kind)i));
            sink_label(k, "class", fault_class_name((enum fault_class)c));
            sink_u64(k, s->probes[i].failures[c]);
        }
    }
}

void emit_internal_errors(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        for (size_t r = INTERNAL_NONE + 1; r < INTERNAL_REASON_COUNT; r++) {
            if (!s->probes[i].configured || s->probes[i].internal_errors[r] == 0)
                continue;
            sink_begin(k);
            sink_label(k, "probe", probe_kind_name((enum probe_kind)i));
            sink_label(k, "reason", internal_reason_name((enum internal_reason)r));
            sink_u64(k, s->probes[i].internal_errors[r]);
        }
    }
}

/* The bounds are the server's generation's, which may be newer than the view's. */
static void use_bounds(struct sink *k, const struct server_state *s)
{
    const struct settings *settings = &s->set->settings;

    if (k->le.n != settings->n_buckets ||
        memcmp(k->le.bounds, settings->buckets, k->le.n * sizeof k->le.bounds[0]) != 0)
        sink_bounds(k, settings->buckets, settings->n_buckets);
}

void emit_probe_duration(struct sink *k, const struct server_state *s)
{
    use_bounds(k, s);
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        const struct probe_state *p = &s->probes[i];

        if (p->configured)
            sink_histogram(
                k, &(struct sink_histogram){.label = "probe",
                                            .label_value = probe_kind_name((enum probe_kind)i),
                                            .counts = p->duration.counts,
                                            .sum_ns = seconds_to_ns(p->duration.sum),
                                            .kinds = s->set->settings.histograms,
                                            .native = p->duration.native,
                                            .folded = folded(&k->le, FOLDED_IN_WHOLE_PROBES)});
    }
}

void emit_phase_duration(struct sink *k, const struct server_state *s)
{
    use_bounds(k, s);
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        bool computing = i == PHASE_TLS || i == PHASE_AUTH;

        if (has_phase(s->config, (enum phase)i))
            sink_histogram(
                k, &(struct sink_histogram){
                       .label = "phase",
                       .label_value = phase_name((enum phase)i),
                       .counts = s->phases[i].counts,
                       .sum_ns = seconds_to_ns(s->phases[i].sum),
                       .kinds = s->set->settings.histograms,
                       .native = s->phases[i].native,
                       .folded = computing ? folded(&k->le, FOLDED_IN_COMPUTING_PHASES) : 0});
    }
}

void emit_phase_cpu(struct sink *k, const struct server_state *s)
{
    static const enum phase phases[] = {PHASE_TLS, PHASE_AUTH};

    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        if (has_phase(s->config, phases[i]))
            sink_one_ns(k, "phase", phase_name(phases[i]), s->phase_cpu_ns[phases[i]]);
    }
}

void emit_ssl_closes(struct sink *k, const struct server_state *s)
{
    for (size_t i = PHASE_TLS; i < PHASE_COUNT; i++) {
        bool born = server_uses_tls(s->config) && has_phase(s->config, (enum phase)i);

        for (size_t how = CLOSE_NONE + 1; how < CLOSE_COUNT; how++) {
            if (!born && s->ssl_closes[i][how] == 0)
                continue;
            sink_begin(k);
            sink_label(k, "phase", phase_name((enum phase)i));
            sink_label(k, "how", close_how_name((enum close_how)how));
            sink_u64(k, s->ssl_closes[i][how]);
        }
    }
}

void emit_hba_rejections(struct sink *k, const struct server_state *s)
{
    for (size_t i = HBA_NONE + 1; i < HBA_KIND_COUNT; i++) {
        bool born = s->config->user && (i != HBA_NO_ENCRYPTION || !server_uses_tls(s->config));

        if (born || s->hba_rejections[i] > 0)
            sink_one_u64(k, "kind", hba_kind_name((enum hba_kind)i), s->hba_rejections[i]);
    }
}

void emit_last_probe(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        const struct probe_state *p = &s->probes[i];

        if (p->configured && p->last_realtime_ns > 0)
            sink_one_ns(k, "probe", probe_kind_name((enum probe_kind)i),
                        p->last_realtime_ns - p->last_realtime_ns % NS_PER_MS);
    }
}

void emit_probe_interval(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        const struct probe_state *p = &s->probes[i];

        if (p->configured && p->last_realtime_ns > 0)
            sink_one_ns(k, "probe", probe_kind_name((enum probe_kind)i), p->interval_ns);
    }
}

static const char *truth(enum verdict verdict)
{
    static const char *const names[] = {
        [VERDICT_UNKNOWN] = "", [VERDICT_NO] = "false", [VERDICT_YES] = "true"};

    return names[verdict];
}

void emit_server_info(struct sink *k, const struct server_state *s)
{
    bool auth = s->auth_method[0] != '\0';

    if (!auth && s->shown_version[0] == '\0')
        return;
    sink_begin(k);
    sink_text(k, "server_version", s->shown_version);
    sink_label(k, "pooler", truth(s->pooler));
    sink_text(k, "auth_method", s->auth_method);
    sink_label(k, "channel_binding",
               truth(!auth                ? VERDICT_UNKNOWN
                     : s->channel_binding ? VERDICT_YES
                                          : VERDICT_NO));
    sink_u64(k, 1);
}

void emit_server_labels(struct sink *k, const struct server_state *s)
{
    sink_begin(k);
    for (size_t i = 0; i < s->config->n_labels; i++)
        sink_text(k, s->config->labels[i].name, s->config->labels[i].value);
    sink_label(k, "sslmode", sslmode_name(s->config->sslmode));
    sink_label(k, "negotiation", negotiation_name(s->config->negotiation));
    sink_u64(k, 1);
}
