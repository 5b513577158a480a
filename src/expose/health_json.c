/* One server as JSON: null instead of missing, so that a reader needs no special case. */
#include "health_json.h"

#include "health_certificates.h"
#include "health_keys.h"
#include "health_values.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* A result older than this many intervals in force says nothing about now. */
#define STALE_INTERVALS 3

const char *const health_keys[] = {
    "schema",
    "status",
    "time",
    "message",
    "shard",
    "shard.ordinal",
    "shard.total",
    "shard.wanted",
    "counts",
    "counts.ok",
    "counts.degraded",
    "counts.down",
    "counts.unknown",
    "counts.maintenance",
    "endpoints",
    "endpoints[].cluster",
    "endpoints[].endpoint",
    "endpoints[].status",
    "endpoints[].since",
    "endpoints[].maintenance",
    "endpoints[].promises",
    "endpoints[].promises.read_only",
    "endpoints[].promises.pooled",
    "endpoints[].promises.max_lag",
    "endpoints[].promises.addresses",
    "endpoints[].promises.certificate_file",
    "endpoints[].promises.same_certificate",
    "endpoints[].certificates",
    "endpoints[].certificates.same",
    "endpoints[].certificates.among",
    "endpoints[].certificates.since",
    "endpoints[].certificates.between",
    "endpoints[].certificates.between[].endpoint",
    "endpoints[].certificates.between[].server",
    "endpoints[].certificates.between[].fingerprints_sha256",
    "endpoints[].servers",
    "endpoints[].servers[].server",
    "endpoints[].servers[].address",
    "endpoints[].servers[].connection",
    "endpoints[].servers[].since",
    "endpoints[].servers[].maintenance",
    "endpoints[].servers[].phase",
    "endpoints[].servers[].fault",
    "endpoints[].servers[].class",
    "endpoints[].servers[].how",
    "endpoints[].servers[].sqlstate",
    "endpoints[].servers[].error",
    "endpoints[].servers[].meaning",
    "endpoints[].servers[].remedy",
    "endpoints[].servers[].expected",
    "endpoints[].servers[].age_seconds",
    "endpoints[].servers[].failures_in_row",
    "endpoints[].servers[].last_success",
    "endpoints[].servers[].server_version",
    "endpoints[].servers[].latency_seconds",
    "endpoints[].servers[].latency_seconds.dns",
    "endpoints[].servers[].latency_seconds.tcp",
    "endpoints[].servers[].latency_seconds.ssl_request",
    "endpoints[].servers[].latency_seconds.tls",
    "endpoints[].servers[].latency_seconds.startup",
    "endpoints[].servers[].latency_seconds.auth",
    "endpoints[].servers[].latency_seconds.query",
    "endpoints[].servers[].tls",
    "endpoints[].servers[].tls.version",
    "endpoints[].servers[].tls.cipher",
    "endpoints[].servers[].tls.group",
    "endpoints[].servers[].tls.alpn",
    "endpoints[].servers[].certificate",
    "endpoints[].servers[].certificate.subject",
    "endpoints[].servers[].certificate.issuer",
    "endpoints[].servers[].certificate.not_before",
    "endpoints[].servers[].certificate.not_after",
    "endpoints[].servers[].certificate.fingerprint_sha256",
    "endpoints[].servers[].certificate.public_key_sha256",
    "endpoints[].servers[].certificate.sans",
    "endpoints[].servers[].certificate.chain_verified",
    "endpoints[].servers[].certificate.hostname_verified",
    "endpoints[].servers[].certificate.dates_valid",
    "endpoints[].servers[].certificate.pin_matched",
    "endpoints[].servers[].certificate.seen_lately",
    "endpoints[].servers[].certificate_file",
    "endpoints[].servers[].certificate_file.path",
    "endpoints[].servers[].certificate_file.error",
    "endpoints[].servers[].certificate_file.modified",
    "endpoints[].servers[].certificate_file.not_before",
    "endpoints[].servers[].certificate_file.not_after",
    "endpoints[].servers[].certificate_file.fingerprint_sha256",
    "endpoints[].servers[].certificate_file.served",
    "endpoints[].servers[].certificate_file.unserved_since",
    "endpoints[].servers[].pooler",
    "endpoints[].servers[].in_recovery",
    "endpoints[].servers[].replication_lag_seconds",
    "endpoints[].servers[].promises",
    "endpoints[].servers[].promises.read_only",
    "endpoints[].servers[].promises.pooled",
    "endpoints[].servers[].promises.max_lag",
    "endpoints[].servers[].promises.addresses",
    "endpoints[].servers[].promises.certificate_file",
    "endpoints[].servers[].promises.same_certificate",
    "endpoints[].servers[].sslmodes",
    "endpoints[].servers[].sslmodes.disable",
    "endpoints[].servers[].sslmodes.allow",
    "endpoints[].servers[].sslmodes.prefer",
    "endpoints[].servers[].sslmodes.require",
    "endpoints[].servers[].sslmodes.verify-ca",
    "endpoints[].servers[].sslmodes.verify-full",
    "endpoints[].servers[].sessions",
    "endpoints[].servers[].sessions[].session",
    "endpoints[].servers[].sessions[].idle_seconds",
    "endpoints[].servers[].sessions[].up",
    "endpoints[].servers[].sessions[].since",
    "endpoints[].servers[].sessions[].drops",
    "endpoints[].servers[].sessions[].last_drop",
    "endpoints[].servers[].sessions[].last_drop.time",
    "endpoints[].servers[].sessions[].last_drop.how",
    "endpoints[].servers[].sessions[].last_drop.age_seconds",
    "endpoints[].servers[].sessions[].last_drop.idle_seconds",
    "endpoints[].servers[].sessions[].last_drop.sqlstate",
    "endpoints[].servers[].sessions[].last_drop.error",
};
const size_t health_key_count = sizeof health_keys / sizeof *health_keys;

/* Seconds to the microsecond: more digits are noise. */
static json_t *seconds(int64_t ns)
{
    return json_real((double)(ns / NS_PER_US) / 1e6);
}

static json_t *latency_json(const struct server_state *s)
{
    json_t *json = json_object();

    for (size_t i = 0; i < PHASE_COUNT; i++)
        json = health_with_key(json, phase_name((enum phase)i),
                               s->phase_measured[i] ? seconds(s->phase_last_ns[i]) : json_null());
    return json;
}

static json_t *tls_json(const struct server_state *s)
{
    bool known = s->tls && server_uses_tls(s->config);

    return json_pack("{s:o, s:o, s:o, s:o}", "version", health_text(known ? s->tls_version : NULL),
                     "cipher", health_text(known ? s->tls_cipher : NULL), "group",
                     health_text(known ? s->tls_group : NULL), "alpn",
                     health_text(known ? s->tls_alpn : NULL));
}

static json_t *promises_json(const struct server_state *s)
{
    enum verdict kept[PROMISE_COUNT];

    for (size_t i = 0; i < PROMISE_COUNT; i++)
        kept[i] = s->promises[i].kept;
    return health_promises(kept);
}

static json_t *sslmodes_json(const struct server_state *s)
{
    struct sslmode_verdict verdicts[SSLMODE_COUNT];
    json_t *json = json_object();

    sslmodes_decide(s->config, &s->sslmodes, verdicts);
    for (size_t i = 0; i < SSLMODE_COUNT; i++)
        json =
            health_with_key(json, sslmode_name((enum sslmode)i), health_verdict(verdicts[i].works));
    return json;
}

/* The latest drop of a session, or nulls. */
static json_t *drop_json(const struct session_state *session)
{
    const struct session_drop *drop = &session->last;
    bool any = session->last_realtime_ns > 0;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "time",
                     health_time(session->last_realtime_ns), "how",
                     health_text(session_end_name(drop->how)), "age_seconds",
                     any ? seconds(drop->age_ns) : json_null(), "idle_seconds",
                     any ? seconds(drop->idle_ns) : json_null(), "sqlstate",
                     health_text(drop->sqlstate), "error", health_text(drop->error));
}

static json_t *sessions_json(const struct server_state *s)
{
    json_t *json = json_array();

    for (size_t i = 0; i < s->n_sessions; i++) {
        const struct session_state *session = &s->sessions[i];
        json_int_t drops = 0;

        for (size_t how = 0; how < SESSION_END_COUNT; how++)
            drops += (json_int_t)session->drops[how];
        json = health_with(
            json, json_pack("{s:o, s:o, s:o, s:o, s:I, s:o}", "session",
                            health_text(session->config->name), "idle_seconds",
                            seconds(session->config->idle_ns), "up",
                            session->known ? json_boolean(session->up) : json_null(), "since",
                            health_time(session->up ? session->started_realtime_ns : 0), "drops",
                            drops, "last_drop", drop_json(session)));
    }
    return json;
}

/* What it is, against what it is meant to be. What logins learned is of now only while the latest
 * is good. */
static json_t *role_json(const struct server_state *s)
{
    const struct probe_state *login = &s->probes[PROBE_LOGIN];
    bool good = login->configured && login->ran && login->good && !login->internal;

    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "certificate_file", health_certificate_file(s),
        "pooler", health_verdict(good ? s->pooler : VERDICT_UNKNOWN), "in_recovery",
        health_verdict(good ? s->in_recovery : VERDICT_UNKNOWN), "replication_lag_seconds",
        good && s->lag_known ? seconds(s->lag_ns) : json_null(), "promises", promises_json(s),
        "sslmodes", sslmodes_json(s), "sessions", sessions_json(s));
}

static bool is_stale(const struct probe_state *p, int64_t now_ns)
{
    return now_ns - p->last_monotonic_ns > STALE_INTERVALS * p->interval_ns;
}

const struct probe_state *server_silent_probe(const struct server_state *s, int64_t now_ns)
{
    const struct probe_state *inspect = &s->probes[PROBE_INSPECT], *login = &s->probes[PROBE_LOGIN];

    if (server_state_now(s) == STATE_UNKNOWN)
        return NULL;
    if (is_stale(inspect, now_ns))
        return inspect;
    /* No login runs while inspect fails or is refused as expected: its age then says nothing. */
    return inspect->good && inspect->expected == FAULT_NONE && login->configured &&
                   is_stale(login, now_ns)
               ? login
               : NULL;
}

/* Why the server is not up, or nulls. */
static json_t *fault_json(const struct probe_state *p)
{
    const struct fault_row *row = fault_row(p ? p->fault : FAULT_NONE);

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "phase",
                     health_text(p ? phase_name(p->phase) : NULL), "fault", health_text(row->id),
                     "class", health_text(fault_class_name(row->class)), "how",
                     health_text(p ? close_how_name(p->how) : NULL), "sqlstate",
                     health_text(p ? p->sqlstate : NULL), "error", health_text(p ? p->error : NULL),
                     "meaning", health_text(p ? row->meaning : NULL), "remedy",
                     health_text(p ? row->remedy : NULL));
}

/* The refusal that the server is up by, or null. */
static json_t *expected_json(const struct server_state *s, const struct probe_state *silent)
{
    const struct probe_state *inspect = &s->probes[PROBE_INSPECT], *login = &s->probes[PROBE_LOGIN];
    const struct probe_state *p = inspect->expected != FAULT_NONE ? inspect : login;

    return json_pack("{s:o}", "expected", health_text(silent ? NULL : fault_row(p->expected)->id));
}

/* Why it is not known, when nothing has been heard for too long. */
static json_t *silence_json(int64_t age_ns)
{
    json_t *json = fault_json(NULL);
    char text[64];

    snprintf(text, sizeof text, "no result for %lld seconds", (long long)(age_ns / NS_PER_S));
    return health_with_key(json, "error", json_string(text));
}

/* How things stand, from the probe that tells: when, how often, how fast. */
static json_t *figures_json(const struct server_state *s, const struct probe_state *p,
                            int64_t age_ns, bool failing)
{
    return json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "age_seconds",
                     p->last_realtime_ns > 0 ? seconds(age_ns - age_ns % NS_PER_MS) : json_null(),
                     "failures_in_row", (json_int_t)(failing ? p->failures_in_row : 0),
                     "last_success", health_time(p->last_success_realtime_ns), "server_version",
                     health_text(s->server_version), "latency_seconds", latency_json(s), "tls",
                     tls_json(s), "certificate", health_certificate(s));
}

/* Takes over `part`. */
static bool merge(json_t *json, json_t *part)
{
    bool ok = json && part && json_object_update(json, part) == 0;

    json_decref(part);
    return ok;
}

static json_t *server_json(const struct server_state *s, const struct server_health *health,
                           const struct probe_state *silent, int64_t now_ns)
{
    static const char *const connection[] = {
        [STATE_UNKNOWN] = "Unknown", [STATE_UP] = "OK", [STATE_DOWN] = "Failed"};
    const struct probe_state *culprit = server_state_culprit(s, NULL), *p = culprit;
    json_t *json;
    int64_t age_ns;
    bool ok;

    if (silent)
        p = silent;
    else if (!culprit)
        p = &s->probes[PROBE_INSPECT];
    age_ns = now_ns > p->last_monotonic_ns ? now_ns - p->last_monotonic_ns : 0;
    json = json_pack("{s:o, s:o, s:s, s:o, s:o}", "server", health_text(s->config->name), "address",
                     health_text(s->address), "connection", connection[health->state], "since",
                     health_time(health->since_realtime_ns), "maintenance",
                     health_text(health->pause));
    ok = merge(json, silent ? silence_json(age_ns) : fault_json(culprit));
    ok = merge(json, expected_json(s, silent)) && ok;
    ok = merge(json, figures_json(s, p, age_ns, culprit == p)) && ok;
    ok = merge(json, role_json(s)) && ok;
    if (!ok) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* What is too old keeps no promise and breaks none. */
static void tally_promises(const struct server_state *s, bool silent,
                           struct promise_tally tallies[PROMISE_COUNT])
{
    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        if (silent)
            tallies[i].unknown++;
        else
            promise_tally_add(&tallies[i], s, (enum promise)i);
    }
}

struct server_health server_health(struct server_state *s, int64_t now_ns, int64_t realtime_ns,
                                   struct promise_tally tallies[PROMISE_COUNT], bool with_json)
{
    struct server_health health;
    const struct probe_state *silent;

    server_state_lock(s);
    silent = server_silent_probe(s, now_ns);
    health.state = silent ? STATE_UNKNOWN : server_state_now(s);
    health.since_realtime_ns = s->since_realtime_ns;
    str_copy(health.pause, sizeof health.pause,
             server_pause(s->config) ? server_pause(s->config) : "");
    if (silent) /* since it became too old */
        health.since_realtime_ns = realtime_ns - (now_ns - silent->last_monotonic_ns) +
                                   STALE_INTERVALS * silent->interval_ns;
    tally_promises(s, silent != NULL, tallies);
    health.json = with_json ? server_json(s, &health, silent, now_ns) : NULL;
    server_state_unlock(s);
    return health;
}
