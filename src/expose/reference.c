/* The written contract, printed from the tables: docs/metrics.md and docs/api-names.txt. */
#include "catalogue.h"

#include "health_keys.h"
#include "pgtls/base/buf.h"
#include "pgtls/model/fault.h"

#include <string.h>

/* Label values from closed vocabularies: `name` of first to count - 1. */
struct vocabulary {
    const char *label;
    size_t first, count;
    const char *(*name)(size_t i);
};

static const char *probe_word(size_t i)
{
    return probe_kind_name((enum probe_kind)i);
}

static const char *phase_word(size_t i)
{
    return phase_name((enum phase)i);
}

static const char *class_word(size_t i)
{
    return fault_class_name((enum fault_class)i);
}

static const char *how_word(size_t i)
{
    return session_end_name((enum session_end)i); /* those of an SSL close among them */
}

static const char *kind_word(size_t i)
{
    return hba_kind_name((enum hba_kind)i);
}

static const char *reason_word(size_t i)
{
    return internal_reason_name((enum internal_reason)i);
}

static const char *state_word(size_t i)
{
    return state_name((enum state)i);
}

static const char *position_word(size_t i)
{
    return position_name((enum position)i);
}

static const char *promise_word(size_t i)
{
    return promise_name((enum promise)i);
}

static const char *sslmode_word(size_t i)
{
    return sslmode_name((enum sslmode)i);
}

static const char *negotiation_word(size_t i)
{
    return negotiation_name((enum negotiation)i);
}

static const char *outcome_word(size_t i)
{
    return request_outcome_name((enum request_outcome)i);
}

static const struct vocabulary vocabularies[] = {
    {"probe", 0, PROBE_COUNT, probe_word},
    {"phase", 0, PHASE_COUNT, phase_word},
    {"class", FAULT_CLASS_NONE + 1, FAULT_CLASS_INTERNAL, class_word},
    {"how", SESSION_END_NONE + 1, SESSION_END_COUNT, how_word},
    {"kind", HBA_NONE + 1, HBA_KIND_COUNT, kind_word},
    {"reason", INTERNAL_NONE + 1, INTERNAL_REASON_COUNT, reason_word},
    {"state", 0, STATE_COUNT, state_word},
    {"position", 0, POSITION_COUNT, position_word},
    {"promise", 0, PROMISE_COUNT, promise_word},
    {"sslmode", 0, SSLMODE_COUNT, sslmode_word},
    {"negotiation", 0, NEGOTIATION_COUNT, negotiation_word},
    {"outcome", 0, REQUEST_OUTCOME_COUNT, outcome_word},
};
#define N_VOCABULARIES (sizeof vocabularies / sizeof *vocabularies)

static const char *const type_words[] = {
    [FAMILY_GAUGE] = "gauge",
    [FAMILY_COUNTER] = "counter",
    [FAMILY_HISTOGRAM] = "histogram",
    [FAMILY_INFO] = "info",
};

/* The labels that every sample of the family's scope carries. */
static const char *scope_labels(const struct family *f)
{
    if (f->server)
        return "pg_cluster, pg_endpoint, server";
    return f->endpoint ? "pg_cluster, pg_endpoint" : "";
}

static const char introduction[] =
    "# Metrics\n"
    "\n"
    "Printed from the table in `src/expose/metrics_catalogue.c`; a test compares the two.\n"
    "\n"
    "`/metrics` answers in the Prometheus text format 0.0.4, in OpenMetrics 1.0 or, for\n"
    "[native histograms](native-histograms.md), in Prometheus's protobuf, whichever the `Accept`\n"
    "header prefers, compressed where `Accept-Encoding` allows it. A scrape never probes: it\n"
    "shows what was measured last, and `pgtls_last_probe_timestamp_seconds` tells when.\n"
    "\n"
    "## Rules\n"
    "\n"
    "- Every series about a server carries `pg_cluster`, `pg_endpoint` and `server`. None carries\n"
    "  `cluster`, `endpoint`, `service`, `namespace`, `pod`, `container`, `job` or `instance`: "
    "those\n"
    "  belong to whoever scrapes.\n"
    "- Counters and histograms start at 0 with the server, so the first event is not lost to\n"
    "  `rate()`. One exception: `pgtls_probe_internal_errors_total` is absent until the first.\n"
    "- A gauge is absent until it has been measured: a restart of the exporter fires no alert.\n"
    "- A failure of the exporter's own side (descriptors, memory, a missing secret) counts in\n"
    "  `pgtls_probe_internal_errors_total` and nowhere else; while it lasts, `pgtls_up` is absent\n"
    "  and the state is `unknown`.\n"
    "- What was not measured this time is not shown. Facts about certificates and TLS are kept as\n"
    "  last seen, with `pgtls_certificate_last_seen_timestamp_seconds` beside them: a server that "
    "is\n"
    "  down must not hide a certificate that expires. There are no last-value gauges of "
    "latencies.\n"
    "- Servers that stay keep their counters over a reload of the configuration. If the bucket\n"
    "  bounds or the kinds of histograms change, the histograms of all servers restart at 0.\n"
    "- Series that a server's configuration rules out do not appear: no login series without a\n"
    "  login, no TLS series on a plaintext connection, no `startup` phase without a user.\n"
    "\n"
    "## Series per server\n"
    "\n"
    "At most 160 with default settings, the endpoint's own included: that is a server known by\n"
    "name, reached through SSLRequest, with a login, a verified chain of three and two faults\n"
    "active. A client certificate adds 3. Half of them are buckets, and need not be: see\n"
    "[native histograms](native-histograms.md). To stay within it:\n"
    "\n"
    "- With the default bounds, the buckets of `pgtls_probe_duration_seconds` below 0.01 and of "
    "the\n"
    "  phases `tls` and `auth` below 0.005 are not shown by themselves; what fell into them is\n"
    "  counted in the next, as always. These take longer anywhere but on loopback. If the\n"
    "  configuration names other bounds, all of them are shown.\n"
    "- `pgtls_certificate_info` leaves out the root (its name is the issuer of the certificate\n"
    "  before it); the root's dates are shown.\n"
    "- The kind `no_encryption` of `pgtls_hba_rejections_total` appears from the start only where\n"
    "  the connection is plaintext, and elsewhere with its first event.\n"
    "\n";

static void print_families(struct buf *to)
{
    buf_add_str(to, "## Families\n\n"
                    "Labels beside `pg_cluster`, `pg_endpoint`, `server` (for `endpoint` scope "
                    "without `server`).\nInfo metrics have the value 1 and the type gauge in the "
                    "text format.\n\n"
                    "| metric | type | scope | labels | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < family_count; i++) {
        const struct family *f = &family_catalogue[i];
        const char *scope = f->server ? "server" : f->endpoint ? "endpoint" : "exporter";

        buf_addf(to, "| `%s` | %s | %s | %s | %s |\n", f->name, type_words[f->type], scope,
                 f->labels, f->help);
    }
}

/* The other page that has metrics. */
static void print_probe_families(struct buf *to)
{
    buf_add_str(to, "\n## /probe\n\n"
                    "[/probe](probe-endpoint.md) answers with what one probe has told, as gauges "
                    "without\nlabels for the server: those are the scrape's. A family that has "
                    "nothing to tell is left out.\n\n"
                    "| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < probe_family_count; i++) {
        const struct family *f = &probe_catalogue[i];

        buf_addf(to, "| `%s` | %s | %s | %s. |\n", f->name, type_words[f->type], f->labels,
                 f->help);
    }
    buf_add_str(to, "\nAnd, as above:");
    for (size_t i = 0; probe_shared_families[i]; i++)
        buf_addf(to, "%s\n`%s`", i > 0 ? "," : "", probe_shared_families[i]);
    buf_add_str(to, ".\n");
}

void metrics_print_reference(struct buf *to)
{
    buf_add_str(to, introduction);
    print_families(to);
    print_probe_families(to);
    buf_add_str(to, "\n## Label values\n\n| label | values |\n|---|---|\n");
    for (size_t i = 0; i < N_VOCABULARIES; i++) {
        const struct vocabulary *v = &vocabularies[i];

        buf_addf(to, "| `%s` |", v->label);
        for (size_t j = v->first; j < v->count; j++)
            buf_addf(to, "%s `%s`", j > v->first ? "," : "", v->name(j));
        buf_add_str(to, " |\n");
    }
    buf_add_str(to, "| `fault` | an id of the [fault catalogue](faults.md) |\n");
}

void expose_print_names(struct buf *to)
{
    buf_add_str(to,
                "# Names that are API: metric families with their labels, label values, fault\n"
                "# ids, keys of /health/database, of the configuration the keys with the places\n"
                "# where they stand and their words. Printed from the tables in the code.\n");
    for (size_t i = 0; i < family_count; i++) {
        const struct family *f = &family_catalogue[i];
        const char *scope = scope_labels(f);

        buf_addf(to, "metric %s %s {%s%s%s}\n", f->name, type_words[f->type], scope,
                 scope[0] && f->labels[0] ? ", " : "", f->labels);
    }
    for (size_t i = 0; i < probe_family_count; i++)
        buf_addf(to, "probe metric %s %s {%s}\n", probe_catalogue[i].name,
                 type_words[probe_catalogue[i].type], probe_catalogue[i].labels);
    for (size_t i = 0; probe_shared_families[i]; i++)
        buf_addf(to, "probe metric %s\n", probe_shared_families[i]);
    for (size_t i = 0; i < N_VOCABULARIES; i++) {
        for (size_t j = vocabularies[i].first; j < vocabularies[i].count; j++)
            buf_addf(to, "label %s=%s\n", vocabularies[i].label, vocabularies[i].name(j));
    }
    for (size_t i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        const struct fault_row *row = fault_row((enum fault)i);

        buf_addf(to, "fault %s %s\n", row->id, fault_class_name(row->class));
    }
    for (size_t i = 0; i < health_key_count; i++)
        buf_addf(to, "json %s\n", health_keys[i]);
}
