/* What text and JSON of a report both tell. */
#include "report_facts.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <stdio.h>
#include <string.h>

#define SECONDS_PER_DAY 86400

static const char *const end_names[PHASE_END_COUNT] = {
    [PHASE_COMPLETED] = "completed",     [PHASE_FAILED] = "failed",
    [PHASE_NOT_REACHED] = "not_reached", [PHASE_NOT_NEEDED] = "not_needed",
    [PHASE_NOT_TRIED] = "not_tried",
};

const char *phase_end_name(enum phase_end end)
{
    return end_names[end];
}

/* --- the verdict ------------------------------------------------------------------------------ */

const struct observation *report_culprit(const struct report *r)
{
    if (r->inspect->fault != FAULT_NONE)
        return r->inspect;
    return r->login && r->login->fault != FAULT_NONE ? r->login : NULL;
}

const struct observation *report_refusal(const struct report *r)
{
    if (report_culprit(r))
        return NULL;
    if (r->inspect->expected != FAULT_NONE)
        return r->inspect;
    return r->login && r->login->expected != FAULT_NONE ? r->login : NULL;
}

/* What ended before its time, for better or worse; NULL: nothing did. */
static const struct observation *cut_short(const struct report *r)
{
    const struct observation *culprit = report_culprit(r);

    return culprit ? culprit : report_refusal(r);
}

enum state report_state(const struct report *r)
{
    const struct observation *o = report_culprit(r);

    if (!o)
        return STATE_UP;
    return fault_row(o->fault)->class == FAULT_CLASS_INTERNAL ? STATE_UNKNOWN : STATE_DOWN;
}

/* One handshake may have met one of several back ends; the daemon waits for the others, a person
 * who asks once wants to see what is. */
static void file_facts(const struct observation *inspect, struct promise_facts *f)
{
    const struct certificate_file *file = inspect->certificate_file;
    const struct chain *chain = inspect->chain;

    if (chain && chain->count > 0)
        str_copy(f->leaf, sizeof f->leaf, chain->certificates[0].fingerprint_sha256);
    if (!file)
        return;
    str_copy(f->file_leaf, sizeof f->file_leaf, file->leaf.fingerprint_sha256);
    str_copy(f->file_error, sizeof f->file_error, file->error);
    if (f->leaf[0] && f->file_leaf[0])
        f->file_served = strcmp(f->leaf, f->file_leaf) == 0 ? VERDICT_YES : VERDICT_NO;
}

/* The same as the fleet folds, of what this once told. */
static void promise_facts(const struct report *r, struct promise_facts *f)
{
    const struct observation *login = r->login;
    bool answered = login && login->fault == FAULT_NONE;

    *f = (struct promise_facts){.in_recovery = VERDICT_UNKNOWN};
    if (!r->server->unix_socket && r->inspect->fault == FAULT_NONE)
        str_copy(f->address, sizeof f->address, r->inspect->address);
    file_facts(r->inspect, f);
    if (!answered)
        return;
    f->in_recovery = login->in_recovery;
    f->read_only = login->read_only;
    f->pooler = login->pooler;
    f->lag_known = login->lag_known;
    f->lag_ns = login->lag_ns;
}

/* Moves the text over. */
static void keep_text(char *to, size_t size, struct buf *text)
{
    str_copy(to, size, buf_text(text));
    buf_deinit(text);
}

void report_promise(const struct report *r, enum promise promise, struct promise_fact *fact)
{
    const struct promises *p = &r->server->promises;
    struct buf promised = BUF_INIT(2048), found = BUF_INIT(512);
    struct promise_facts facts;

    promise_facts(r, &facts);
    *fact = (struct promise_fact){.made = promise_made(p, promise)};
    if (!fact->made)
        return;
    fact->kept = report_culprit(r) ? VERDICT_UNKNOWN : promise_judge(p, promise, &facts);
    promise_add_promised(&promised, p, promise);
    promise_add_found(&found, promise, &facts);
    keep_text(fact->promised, sizeof fact->promised, &promised);
    keep_text(fact->found, sizeof fact->found, &found);
}

const char *report_promise_silence(const struct report *r, enum promise promise)
{
    if (report_culprit(r))
        return report_state(r) == STATE_UNKNOWN ? "not judged, our own side failed"
                                                : "not judged of a server that is down";
    if (promise == PROMISE_SAME_CERTIFICATE)
        return "the daemon compares them, see /health/database";
    if (promise < PROMISE_ADDRESSES && !r->login)
        return "not measured without a login";
    return "not known";
}

/* Which are broken; returns how many. */
static size_t broken_promises(const struct report *r, enum promise broken[PROMISE_COUNT])
{
    struct promise_fact fact;
    size_t n = 0;

    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        report_promise(r, (enum promise)i, &fact);
        if (fact.kept == VERDICT_NO)
            broken[n++] = (enum promise)i;
    }
    return n;
}

void report_broken(const struct report *r, char to[BROKEN_SIZE])
{
    struct buf text = BUF_INIT(BROKEN_SIZE);
    enum promise broken[PROMISE_COUNT];
    size_t n = broken_promises(r, broken);

    buf_add_str(&text, n == 1 ? "promise " : "promises ");
    for (size_t i = 0; i < n; i++)
        buf_addf(&text, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", promise_name(broken[i]));
    buf_add_str(&text, n == 1 ? " is broken" : " are broken");
    keep_text(to, BROKEN_SIZE, &text);
}

enum status report_status(const struct report *r)
{
    enum promise broken[PROMISE_COUNT];

    return status_of_state(report_state(r), broken_promises(r, broken) > 0);
}

enum status report_worst(const size_t counts[STATUS_COUNT])
{
    static const enum status order[] = {STATUS_DOWN, STATUS_UNKNOWN, STATUS_DEGRADED};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (counts[order[i]] > 0)
            return order[i];
    }
    return STATUS_OK;
}

static bool tls_was_good(const struct observation *o)
{
    return o->tls && o->judgement.chain == VERDICT_YES && o->judgement.dates == VERDICT_YES &&
           o->judgement.hostname == VERDICT_YES;
}

const char *report_conclusion(const struct report *r)
{
    const struct observation *o = report_culprit(r);

    if (!o || fault_row(o->fault)->class != FAULT_CLASS_SSL_CLOSE || o->phase < PHASE_STARTUP)
        return NULL;
    if (tls_was_good(r->inspect))
        return "TLS itself is fine: handshake, chain, dates and host name are good. So no sslmode, "
               "certificate, timeout or version of the client changes this; the cause is at the "
               "server or at what stands before it.";
    return "The TLS handshake was completed, so another sslmode that uses TLS does not change "
           "this; the cause is at the server or at what stands before it.";
}

void report_sslmodes(const struct report *r, struct sslmode_verdict verdicts[SSLMODE_COUNT])
{
    const struct sslmode_facts nothing = {.known = false};

    sslmodes_decide(r->server, r->sslmodes ? r->sslmodes : &nothing, verdicts);
}

/* --- phases and times ------------------------------------------------------------------------- */

enum phase report_phase(const struct report *r)
{
    const struct observation *o = cut_short(r);
    bool internal = fault_row(o->fault)->class == FAULT_CLASS_INTERNAL;

    return internal && o == r->login && o->phase < PHASE_AUTH ? PHASE_AUTH : o->phase;
}

void report_where(const struct report *r, char to[WHERE_SIZE])
{
    if (report_state(r) == STATE_UNKNOWN)
        snprintf(to, WHERE_SIZE, "on our own side");
    else
        snprintf(to, WHERE_SIZE, "in %s", phase_name(report_phase(r)));
}

static const struct observation *source_of(const struct report *r, enum phase phase)
{
    return phase >= PHASE_AUTH ? r->login : r->inspect;
}

/* Its own duration where the phase was completed and what it brought was refused, as a certificate
 * is, or where the login timed it up to its end; else what is left of the probe's time after the
 * phases that it completed. */
static int64_t time_of_failure(const struct observation *o, enum phase phase)
{
    int64_t left_ns = o->duration_ns;

    if (o->phases[phase].completed || phase >= PHASE_AUTH)
        return o->phases[phase].duration_ns;
    for (size_t i = 0; i < PHASE_COUNT; i++)
        left_ns -= o->phases[i].completed ? o->phases[i].duration_ns : 0;
    return left_ns > 0 ? left_ns : 0;
}

static struct phase_fact phase_fact(const struct report *r, enum phase phase)
{
    const struct observation *o = source_of(r, phase), *culprit = cut_short(r);

    if (culprit && report_phase(r) == phase)
        return (struct phase_fact){PHASE_FAILED, time_of_failure(culprit, phase)};
    if (o && o->phases[phase].completed)
        return (struct phase_fact){PHASE_COMPLETED, o->phases[phase].duration_ns};
    if (o && phase < o->phase)
        return (struct phase_fact){PHASE_NOT_NEEDED, 0};
    if (o && phase == o->phase) /* a good inspect of an address ends where it needed nothing */
        return (struct phase_fact){PHASE_NOT_NEEDED, 0};
    return (struct phase_fact){culprit ? PHASE_NOT_REACHED : PHASE_NOT_TRIED, 0};
}

void report_phases(const struct report *r, struct phase_fact phases[PHASE_COUNT])
{
    for (size_t i = 0; i < PHASE_COUNT; i++)
        phases[i] = phase_fact(r, (enum phase)i);
}

int64_t report_duration_ns(const struct report *r)
{
    return r->inspect->duration_ns + (r->login ? r->login->duration_ns : 0);
}

int64_t report_time_ns(const struct report *r)
{
    return r->login ? r->login->finished_realtime_ns : r->inspect->finished_realtime_ns;
}

double days_left(const struct report *r, int64_t not_after)
{
    return (double)(not_after - report_time_ns(r) / NS_PER_S) / SECONDS_PER_DAY;
}

void days_left_text(char to[DAYS_LEFT_SIZE], double days)
{
    long long whole = (long long)(days < 0 ? -days : days);
    const char *unit = whole == 1 ? "day" : "days";

    if (days < 0)
        snprintf(to, DAYS_LEFT_SIZE, whole ? "expired %lld %s ago" : "expired today", whole, unit);
    else
        snprintf(to, DAYS_LEFT_SIZE, "%lld %s left", whole, unit);
}

/* --- the server ------------------------------------------------------------------------------- */

const char *report_server_version(const struct report *r)
{
    return r->login && r->login->server_version[0] ? r->login->server_version : NULL;
}

const char *report_auth_method(const struct report *r)
{
    if (r->login && r->login->auth_method[0])
        return r->login->auth_method;
    return r->inspect->auth_method[0] ? r->inspect->auth_method : NULL;
}
