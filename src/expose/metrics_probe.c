/* The body of /probe: one target, probed once, gauges only. What /metrics tells of a server, too,
 * it tells by the same code, without the labels that name the server: those are the scrape's. */
#include "catalogue.h"

#include "pgtls/base/clock.h"

#include <string.h>

static void emit_success(struct sink *k, const struct probe_answer *answer)
{
    sink_plain_u64(k, answer->outcome == REQUEST_SUCCESS);
}

static void emit_duration(struct sink *k, const struct probe_answer *answer)
{
    sink_begin(k);
    sink_ns(k, answer->duration_ns);
}

/* Of each phase that was completed: dns to startup by the inspect, auth and query by the login. */
static void emit_phases(struct sink *k, const struct probe_answer *answer)
{
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        const struct observation *o = i < PHASE_AUTH ? &answer->inspect : &answer->login;

        if (o->phases[i].completed)
            sink_one_ns(k, "phase", phase_name((enum phase)i), o->phases[i].duration_ns);
    }
}

const struct family probe_catalogue[] = {
    {.name = "probe_success",
     .type = FAMILY_GAUGE,
     .unit = "",
     .labels = "",
     .answer = emit_success,
     .help = "Displays whether or not the probe was a success"},
    {.name = "probe_duration_seconds",
     .type = FAMILY_GAUGE,
     .unit = "seconds",
     .labels = "",
     .answer = emit_duration,
     .help = "Returns how long the probe took to complete in seconds"},
    {.name = "pgtls_probe_phase_seconds",
     .type = FAMILY_GAUGE,
     .unit = "seconds",
     .labels = "phase",
     .answer = emit_phases,
     .help = "Duration of each completed phase of this probe, as in "
             "pgtls_phase_duration_seconds of /metrics"},
};
const size_t probe_family_count = sizeof probe_catalogue / sizeof *probe_catalogue;

const char *const probe_shared_families[] = {
    "pgtls_up",
    "pgtls_probe_up",
    "pgtls_fault_active",
    "pgtls_expected_fault_active",
    "pgtls_certificate_not_after_timestamp_seconds",
    "pgtls_certificate_not_before_timestamp_seconds",
    "pgtls_certificate_info",
    "pgtls_chain_verified",
    "pgtls_hostname_verified",
    "pgtls_certificate_pin_matched",
    "pgtls_tls_info",
    "pgtls_server_info",
    "pgtls_in_recovery",
    "pgtls_replication_lag_seconds",
    "pgtls_promise_kept",
    NULL,
};

static bool is_shared(const struct family *f)
{
    for (size_t i = 0; probe_shared_families[i]; i++) {
        if (strcmp(probe_shared_families[i], f->name) == 0)
            return true;
    }
    return false;
}

/* A family that has nothing to tell is left out: there is no next scrape of a target that it would
 * have to be announced for. */
static void emit(struct sink *k, const struct family *f, const struct probe_answer *answer)
{
    size_t before = k->to->len, empty;

    begin_family(k, f);
    empty = k->to->len;
    if (f->answer)
        f->answer(k, answer);
    else
        f->server(k, answer->view->servers[0]);
    if (k->protobuf)
        protobuf_flush(k->protobuf, k->to);
    else if (k->to->len == empty && !k->to->failed) {
        k->to->len = before;
        k->to->data[before] = '\0';
    }
}

void probe_metrics(const struct probe_answer *answer, enum metrics_format format, struct buf *to)
{
    struct server_state *state = answer->view->servers[0];
    struct protobuf protobuf;
    struct sink k = {.to = to,
                     .format = format,
                     .protobuf = format == METRICS_PROTOBUF ? &protobuf : NULL,
                     .settings = &answer->view->set->settings,
                     .now_ns = clock_monotonic_ns()};

    protobuf_init(&protobuf);
    for (size_t i = 0; i < probe_family_count; i++)
        emit(&k, &probe_catalogue[i], answer);
    server_state_lock(state);
    for (size_t i = 0; i < family_count; i++) {
        if (is_shared(&family_catalogue[i]))
            emit(&k, &family_catalogue[i], answer);
    }
    server_state_unlock(state);
    if (format == METRICS_OPENMETRICS)
        buf_add_str(to, "# EOF\n");
    protobuf_deinit(&protobuf);
}
