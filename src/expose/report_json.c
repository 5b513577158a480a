/* The report as JSON, docs/probe.schema.json: null instead of missing, so that a reader needs no
 * special case. */
#include "pgtls/expose/report.h"

#include "health_values.h"
#include "report_facts.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/model/shard.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCHEMA_VERSION 1
#define DUMP_FLAGS     (JSON_INDENT(2) | JSON_REAL_PRECISION(9))
#define NESTING        "    " /* how deep a server stands in the document */

/* Seconds to the microsecond: more digits are noise. */
static json_t *seconds(int64_t ns)
{
    return json_real((double)(ns / NS_PER_US) / 1e6);
}

static json_t *verdict(enum verdict verdict)
{
    return verdict == VERDICT_UNKNOWN ? json_null() : json_boolean(verdict == VERDICT_YES);
}

static json_t *date(int64_t when)
{
    time_t time = (time_t)when;
    char text[64];
    struct tm tm;

    if (!gmtime_r(&time, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return json_null();
    return json_string(text);
}

static json_t *verify_json(int code)
{
    char text[VERIFY_TEXT_SIZE];

    return health_text(verify_text(code, text));
}

/* --- parts of a server ------------------------------------------------------------------------ */

static json_t *phases_json(const struct report *r)
{
    struct phase_fact phases[PHASE_COUNT];
    json_t *json = json_object();

    report_phases(r, phases);
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        bool measured = phases[i].end == PHASE_COMPLETED || phases[i].end == PHASE_FAILED;

        json_object_set_new(json, phase_name((enum phase)i),
                            json_pack("{s:s, s:o}", "state", phase_end_name(phases[i].end),
                                      "seconds",
                                      measured ? seconds(phases[i].duration_ns) : json_null()));
    }
    return json;
}

static json_t *tls_json(const struct report *r)
{
    const struct observation *o = r->inspect;

    if (!o->tls)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:b}", "version", health_text(o->tls_version), "cipher",
                     health_text(o->tls_cipher), "group", health_text(o->tls_group), "alpn",
                     health_text(o->tls_alpn), "hello_retry", o->hello_retry);
}

static json_t *certificate_json(const struct report *r, const struct certificate *c)
{
    return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "position", position_name(c->position), "served", c->served, "subject",
                     health_text(c->subject), "issuer", health_text(c->issuer), "sans",
                     health_text(c->sans), "serial", health_text(c->serial), "not_before",
                     date(c->not_before), "not_after", date(c->not_after), "days_left",
                     json_real(round(days_left(r, c->not_after) * 100) / 100), "key",
                     health_text(c->key), "signature", health_text(c->signature),
                     "fingerprint_sha256", health_text(c->fingerprint_sha256), "public_key_sha256",
                     health_text(c->public_key_sha256), "error", verify_json(c->verify_code));
}

static json_t *certificates_json(const struct report *r)
{
    const struct chain *chain = r->inspect->chain;
    json_t *json = json_array();

    for (size_t i = 0; chain && i < chain->count; i++)
        json_array_append_new(json, certificate_json(r, &chain->certificates[i]));
    return json;
}

static json_t *verdicts_json(const struct report *r)
{
    const struct judgement *j = &r->inspect->judgement;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "chain", verdict(j->chain), "dates",
                     verdict(j->dates), "hostname", verdict(j->hostname), "pin",
                     verdict(r->server->n_pins > 0 ? j->pin : VERDICT_UNKNOWN), "error",
                     verify_json(j->verify_code), "depth",
                     j->verify_code ? json_integer(j->verify_depth) : json_null());
}

static json_t *facts_json(const struct report *r)
{
    const struct observation *login = r->login;
    const char *method = report_auth_method(r);
    bool binding = r->inspect->channel_binding || (login && login->channel_binding);

    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version", health_text(report_server_version(r)),
        "pooler", verdict(login ? login->pooler : VERDICT_UNKNOWN), "in_recovery",
        verdict(login ? login->in_recovery : VERDICT_UNKNOWN), "read_only",
        verdict(login ? login->read_only : VERDICT_UNKNOWN), "replication_lag_seconds",
        login && login->lag_known ? seconds(login->lag_ns) : json_null(), "auth_method",
        health_text(method), "channel_binding", method ? json_boolean(binding) : json_null());
}

/* Null for what is not promised. */
static json_t *promises_json(const struct report *r)
{
    json_t *json = json_object();

    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        struct promise_fact fact;

        report_promise(r, (enum promise)i, &fact);
        json_object_set_new(json, promise_name((enum promise)i),
                            fact.made ? json_pack("{s:o, s:o, s:o}", "kept", verdict(fact.kept),
                                                  "promised", health_text(fact.promised), "found",
                                                  health_text(fact.found))
                                      : json_null());
    }
    return json;
}

static json_t *fault_json(const struct report *r)
{
    const struct observation *o = report_culprit(r);
    const struct fault_row *row;

    if (!o)
        return json_null();
    row = fault_row(o->fault);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "fault", row->id,
                     "class", fault_class_name(row->class), "probe", probe_kind_name(o->probe),
                     "phase", phase_name(report_phase(r)), "how",
                     health_text(close_how_name(o->how)), "tls_alert",
                     o->tls_alert >= 0 ? json_integer(o->tls_alert) : json_null(), "sqlstate",
                     health_text(o->sqlstate), "error", health_text(o->error), "meaning",
                     health_text(row->meaning), "conclusion", health_text(report_conclusion(r)),
                     "remedy", health_text(row->remedy));
}

/* The refusal that is the good outcome here, or null. */
static json_t *expected_json(const struct report *r)
{
    const struct observation *o = report_refusal(r);

    if (!o)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "fault", fault_row(o->expected)->id, "probe",
                     probe_kind_name(o->probe), "phase", phase_name(report_phase(r)), "sqlstate",
                     health_text(o->sqlstate), "error", health_text(o->error));
}

static json_t *sslmodes_json(const struct report *r)
{
    struct sslmode_verdict verdicts[SSLMODE_COUNT];
    json_t *json = json_object();

    report_sslmodes(r, verdicts);
    for (int i = 0; i < SSLMODE_COUNT; i++) {
        enum sslmode mode = (enum sslmode)i;

        json_object_set_new(json, sslmode_name(mode),
                            json_pack("{s:o, s:o}", "works", verdict(verdicts[i].works), "reason",
                                      health_text(sslmode_reason(r->server, mode, &verdicts[i]))));
    }
    return json;
}

static json_t *notes_json(const struct report *r)
{
    json_t *json = json_array();

    for (size_t i = 0; i < REPORT_MAX_NOTES && r->notes[i]; i++)
        json_array_append_new(json, health_text(r->notes[i]));
    return json;
}

/* What is configured, for probe and list. */
static bool add_identity(json_t *json, const struct server *s, bool named)
{
    json_t *more = json_pack(
        "{s:o, s:o, s:o, s:s, s:s, s:o, s:o}", "cluster", health_text(named ? s->cluster : NULL),
        "endpoint", health_text(named ? s->endpoint : NULL), "server", health_text(s->name),
        "sslmode", sslmode_name(s->sslmode), "negotiation", negotiation_name(s->negotiation),
        "user", health_text(s->user), "dbname", health_text(s->user ? s->dbname : NULL));
    bool ok = more && json_object_update(json, more) == 0;

    json_decref(more);
    return ok;
}

static json_t *server_json(const struct report *r)
{
    json_t *json = json_object(), *more;
    bool ok = add_identity(json, r->server, r->named);

    more =
        json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                  "address", health_text(r->inspect->address), "status",
                  status_name(report_status(r)), "time", health_time(report_time_ns(r)), "seconds",
                  seconds(report_duration_ns(r)), "phases", phases_json(r), "tls", tls_json(r),
                  "certificates", certificates_json(r), "verdicts", verdicts_json(r), "facts",
                  facts_json(r), "promises", promises_json(r), "sslmodes", sslmodes_json(r),
                  "fault", fault_json(r), "expected", expected_json(r), "notes", notes_json(r));
    ok = ok && more && json_object_update(json, more) == 0;
    json_decref(more);
    if (ok)
        return json;
    json_decref(json);
    return NULL;
}

/* --- the document ----------------------------------------------------------------------------- */

/* Adds the value, indented to where it stands. Consumes it. */
static bool add_nested(struct buf *to, json_t *json)
{
    char *text = json ? json_dumps(json, DUMP_FLAGS) : NULL;

    for (const char *line = text; line && *line;) {
        size_t len = strcspn(line, "\n");

        buf_add_str(to, NESTING);
        buf_add(to, line, len);
        line += len;
        if (*line == '\n') {
            buf_add_char(to, '\n');
            line++;
        }
    }
    json_decref(json);
    if (!text)
        return false;
    free(text);
    return !to->failed;
}

bool report_json_begin(struct buf *to)
{
    buf_addf(to, "{\n  \"schema\": %d,\n  \"servers\": [", SCHEMA_VERSION);
    return !to->failed;
}

bool report_json_add(const struct report *r, bool first, struct buf *to)
{
    buf_add_str(to, first ? "\n" : ",\n");
    return add_nested(to, server_json(r));
}

/* What is configured of a server that is not probed. */
static json_t *left_json(const struct server *s)
{
    json_t *json = json_pack("{s:o}", "maintenance", health_text(server_pause(s)));

    if (json && add_identity(json, s, true))
        return json;
    json_decref(json);
    return NULL;
}

bool report_json_end(const size_t counts[STATUS_COUNT], const struct endpoint_set *left,
                     struct buf *to)
{
    bool ok = true;

    buf_add_str(to, "\n  ],\n  \"left_alone\": [");
    for (size_t i = 0; ok && i < left->n_servers; i++) {
        buf_add_str(to, i ? ",\n" : "\n");
        ok = add_nested(to, left_json(&left->servers[i]));
    }
    buf_addf(to,
             "%s],\n  \"counts\": {\"ok\": %zu, \"degraded\": %zu, \"down\": %zu, "
             "\"unknown\": %zu},\n",
             left->n_servers ? "\n  " : "", counts[STATUS_OK], counts[STATUS_DEGRADED],
             counts[STATUS_DOWN], counts[STATUS_UNKNOWN]);
    buf_addf(to, "  \"status\": \"%s\"\n}\n", status_name(report_worst(counts)));
    return ok && !to->failed;
}

static json_t *shard_json(const struct server *s, unsigned total_shards)
{
    return total_shards > 0 ? json_integer(shard_of(s->cluster, total_shards)) : json_null();
}

bool report_list_json(const struct endpoint_set *set, unsigned total_shards, struct buf *to)
{
    bool ok = report_json_begin(to);

    for (size_t i = 0; ok && i < set->n_servers; i++) {
        const struct server *s = &set->servers[i];
        json_t *json = json_pack(
            "{s:o, s:o, s:o, s:o, s:o, s:o}", "expect", health_text(s->expect.text), "maintenance",
            health_text(server_pause(s)), "shard", shard_json(s, total_shards), "interval_seconds",
            seconds(s->interval_ns), "timeout_seconds", seconds(s->timeout_ns),
            "login_interval_seconds", s->login ? seconds(s->login_interval_ns) : json_null());

        buf_add_str(to, i ? ",\n" : "\n");
        ok = json && add_identity(json, s, true);
        if (!ok)
            json_decref(json);
        ok = ok && add_nested(to, json);
    }
    buf_add_str(to, "\n  ]\n}\n");
    return ok && !to->failed;
}
