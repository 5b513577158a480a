/* Certificates in the health document: which were seen, what the file on disk holds, and which
 * servers show different ones. */
#include "health_certificates.h"

#include "health_values.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Certificates are dated by anybody: before 1970, or in 9999 for "never". */
static json_t *date(const struct certificate *c, int64_t when)
{
    time_t time = (time_t)when;
    char text[64];
    struct tm tm;

    if (!c || !gmtime_r(&time, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return json_null();
    return json_string(text);
}

/* The fingerprints that were seen lately, in no particular order. */
static json_t *seen_lately(const struct server_state *s)
{
    json_t *json = json_array();

    for (size_t i = 0; i < s->n_leaves; i++) {
        char text[2 * sizeof s->leaves[i].fingerprint + 1];

        if (!server_leaf_is_recent(s, i))
            continue;
        for (size_t j = 0; j < sizeof s->leaves[i].fingerprint; j++)
            snprintf(text + 2 * j, 3, "%02x", s->leaves[i].fingerprint[j]);
        json = health_with(json, json_string(text));
    }
    return json;
}

json_t *health_certificate(const struct server_state *s)
{
    bool known = s->chain && s->chain->count > 0 && server_uses_tls(s->config);
    const struct certificate *c = known ? &s->chain->certificates[0] : NULL;

    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "subject",
        health_text(c ? c->subject : NULL), "issuer", health_text(c ? c->issuer : NULL),
        "not_before", date(c, c ? c->not_before : 0), "not_after", date(c, c ? c->not_after : 0),
        "fingerprint_sha256", health_text(c ? c->fingerprint_sha256 : NULL), "public_key_sha256",
        health_text(c ? c->public_key_sha256 : NULL), "sans", health_text(c ? c->sans : NULL),
        "chain_verified", health_verdict(c ? s->judgement.chain : VERDICT_UNKNOWN),
        "hostname_verified", health_verdict(c ? s->judgement.hostname : VERDICT_UNKNOWN),
        "dates_valid", health_verdict(c ? s->judgement.dates : VERDICT_UNKNOWN), "pin_matched",
        health_verdict(c && s->config->n_pins > 0 ? s->judgement.pin : VERDICT_UNKNOWN),
        "seen_lately", c ? seen_lately(s) : json_array());
}

json_t *health_certificate_file(const struct server_state *s)
{
    const struct file_seen *seen = &s->certificate_file;
    const struct certificate_file *file = seen->file;
    const struct certificate *c = file && file->error[0] == '\0' ? &file->leaf : NULL;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "path",
                     health_text(s->config->promises.certificate_file), "error",
                     health_text(file ? file->error : NULL), "modified",
                     health_time(file ? file->modified_realtime_ns : 0), "not_before",
                     date(c, c ? c->not_before : 0), "not_after", date(c, c ? c->not_after : 0),
                     "fingerprint_sha256", health_text(c ? c->fingerprint_sha256 : NULL), "served",
                     health_verdict(seen->served), "unserved_since",
                     health_time(server_file_unserved_since(s)));
}

static json_t *shown_by(const struct fleet_view *view, size_t at)
{
    struct server_state *s = view->servers[at];
    json_t *json;

    server_state_lock(s);
    json = json_pack("{s:o, s:o, s:o}", "endpoint", health_text(s->config->endpoint), "server",
                     health_text(s->config->name), "fingerprints_sha256", seen_lately(s));
    server_state_unlock(s);
    return json;
}

json_t *health_agreement(const struct fleet_view *view, const struct agreement *a,
                         enum same_certificate among)
{
    json_t *between = json_array();

    for (size_t i = 0; i < 2 && a->same == VERDICT_NO; i++)
        between = health_with(between, shown_by(view, a->between[i]));
    return json_pack("{s:o, s:s, s:o, s:o}", "same", health_verdict(a->same), "among",
                     among == SAME_CLUSTER ? "cluster" : "endpoint", "since",
                     health_time(a->since_realtime_ns), "between", between);
}
