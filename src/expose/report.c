/* The report of one server: head, sections in order. */
#include "pgtls/expose/report.h"

#include "pgtls_version.h"
#include "report_text.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <stdio.h>
#include <string.h>

#define PAIR_COLUMNS   12
#define MODE_COLUMNS   13
#define ANSWER_COLUMNS 5

static const struct {
    const char *word;
    enum mark mark;
} statuses[STATUS_COUNT] = {
    [STATUS_DOWN] = {"DOWN", MARK_BAD},
    [STATUS_DEGRADED] = {"DEGRADED", MARK_WARN},
    [STATUS_UNKNOWN] = {"UNKNOWN", MARK_WARN},
    [STATUS_OK] = {"OK", MARK_GOOD},
};

/* How a connection closed, for people. */
static const char *const closes[CLOSE_COUNT] = {
    [CLOSE_NOTIFY] = "the server closed it with close_notify, TLS's orderly farewell",
    [CLOSE_FIN] = "the server closed it with a plain FIN",
    [CLOSE_RST] = "the connection was reset (RST)",
};

/* "  label      value", wrapped. `columns`: the width of labels. */
static void section_pair(const struct writer *w, const char *label, size_t columns, enum tint tint,
                         const char *value)
{
    write_spaces(w, REPORT_INDENT);
    write_padded(w, TINT_DIM, label, columns);
    write_wrapped(w, tint, value, REPORT_INDENT + columns, REPORT_INDENT + columns);
}

/* --- head ------------------------------------------------------------------------------------- */

static void head_status(const struct writer *w, const struct report *r)
{
    const struct observation *culprit = report_culprit(r), *refusal = report_refusal(r);
    enum status status = report_status(r);
    char duration[DURATION_SIZE], where[WHERE_SIZE], broken[BROKEN_SIZE];

    duration_text(duration, report_duration_ns(r));
    if (culprit || refusal)
        report_where(r, where);
    write_mark(w, statuses[status].mark);
    write_spaces(w, 1);
    write_text(w, mark_tint(statuses[status].mark), statuses[status].word);
    write_format(w, TINT_NONE, " after %s", duration);
    if (culprit) {
        write_format(w, TINT_NONE, ", %s: %s", where, fault_row(culprit->fault)->id);
    } else if (refusal) {
        write_format(w, TINT_NONE, ", refused %s as expected: %s", where,
                     fault_row(refusal->expected)->id);
    }
    if (status == STATUS_DEGRADED) {
        report_broken(r, broken);
        write_format(w, TINT_NONE, ", %s", broken);
    }
    buf_add_str(w->to, "\n\n");
}

static void head_identity(const struct writer *w, const struct report *r)
{
    const struct server *s = r->server;

    if (r->named) {
        write_config(w, TINT_STRONG, s->cluster);
        write_text(w, TINT_STRONG, "/");
        write_config(w, TINT_STRONG, s->endpoint);
        write_spaces(w, 2);
    }
    write_config(w, r->named ? TINT_NONE : TINT_STRONG, s->name);
    buf_add_char(w->to, '\n');
}

static const char *trust_words(const struct server *s)
{
    if (!server_demands_chain(s))
        return s->n_pins > 0 ? "the certificate must be the pinned one; its chain, dates and host "
                               "name are judged, but not demanded"
                             : "the certificate is not checked";
    if (s->n_pins > 0)
        return server_demands_hostname(s) ? "chain, host name and pin are checked"
                                          : "chain and pin are checked";
    return server_demands_hostname(s) ? "chain and host name are checked" : "the chain is checked";
}

static void head_pairs(const struct writer *w, const struct report *r)
{
    const struct server *s = r->server;
    char text[640], cleaned[256];

    if (r->inspect->address[0] && !s->unix_socket)
        section_pair(w, "address", PAIR_COLUMNS, TINT_NONE, r->inspect->address);
    snprintf(text, sizeof text, "%s: %s%s", sslmode_name(s->sslmode),
             server_uses_tls(s) ? trust_words(s)
             : s->unix_socket   ? "no TLS on a Unix socket"
                                : "no TLS",
             s->negotiation == NEGOTIATION_DIRECT ? "; TLS from the first byte" : "");
    section_pair(w, "sslmode", PAIR_COLUMNS, TINT_NONE, text);
    if (s->user) {
        snprintf(text, sizeof text, "%s, database %s", s->user, s->dbname ? s->dbname : s->user);
        str_clean(cleaned, sizeof cleaned, text, strlen(text));
        section_pair(w, "user", PAIR_COLUMNS, TINT_NONE, cleaned);
    }
    str_time(cleaned, r->inspect->started_realtime_ns, false);
    snprintf(text, sizeof text, "%s, pgtls_exporter %s", cleaned, PGTLS_VERSION);
    section_pair(w, "probed", PAIR_COLUMNS, TINT_NONE, text);
    for (size_t i = 0; i < REPORT_MAX_NOTES && r->notes[i]; i++)
        section_pair(w, i ? "" : "note", PAIR_COLUMNS, TINT_NONE, r->notes[i]);
}

/* --- sections --------------------------------------------------------------------------------- */

static bool always(const struct report *r)
{
    (void)r;
    return true;
}

static bool has_tls(const struct report *r)
{
    return r->inspect->tls;
}

static void section_tls(const struct writer *w, const struct report *r)
{
    const struct observation *o = r->inspect;

    section_pair(w, "version", PAIR_COLUMNS, TINT_NONE, o->tls_version);
    section_pair(w, "cipher", PAIR_COLUMNS, TINT_NONE, o->tls_cipher);
    section_pair(w, "group", PAIR_COLUMNS, TINT_NONE, o->tls_group[0] ? o->tls_group : "not known");
    section_pair(w, "alpn", PAIR_COLUMNS, TINT_NONE, o->tls_alpn[0] ? o->tls_alpn : "none");
    if (o->hello_retry)
        section_pair(w, "retry", PAIR_COLUMNS, TINT_WARN,
                     "the server wanted another key share: one round trip more on every "
                     "connection (HelloRetryRequest)");
}

static bool has_chain(const struct report *r)
{
    return r->inspect->chain && r->inspect->chain->count > 0;
}

static bool knows_sslmodes(const struct report *r)
{
    return r->sslmodes && r->sslmodes->known;
}

static void section_sslmodes(const struct writer *w, const struct report *r)
{
    static const struct {
        const char *word;
        enum tint tint;
    } answers[] = {[VERDICT_UNKNOWN] = {"?", TINT_DIM},
                   [VERDICT_NO] = {"no", TINT_NONE},
                   [VERDICT_YES] = {"yes", TINT_GOOD}};
    struct sslmode_verdict verdicts[SSLMODE_COUNT];

    report_sslmodes(r, verdicts);
    for (int mode = 0; mode < SSLMODE_COUNT; mode++) {
        const struct sslmode_verdict *v = &verdicts[mode];

        write_spaces(w, REPORT_INDENT);
        write_padded(w, mode == (int)r->server->sslmode ? TINT_STRONG : TINT_NONE,
                     sslmode_name((enum sslmode)mode), MODE_COLUMNS);
        write_padded(w, answers[v->works].tint, answers[v->works].word, ANSWER_COLUMNS);
        write_text(w, TINT_NONE,
                   v->works == VERDICT_UNKNOWN ? "not known"
                                               : sslmode_reason(r->server, (enum sslmode)mode, v));
        buf_add_char(w->to, '\n');
    }
}

static bool knows_server(const struct report *r)
{
    return report_server_version(r) || report_auth_method(r);
}

static const char *role_words(const struct observation *login)
{
    if (login->in_recovery == VERDICT_YES)
        return "standby";
    return login->read_only == VERDICT_YES ? "primary, takes no writes" : "primary";
}

static void section_server(const struct writer *w, const struct report *r)
{
    const struct observation *login = r->login;
    const char *version = report_server_version(r), *method = report_auth_method(r);
    bool binding = r->inspect->channel_binding || (login && login->channel_binding);
    char text[128];

    if (version) {
        snprintf(text, sizeof text, "PostgreSQL %s", version);
        section_pair(w, "version", PAIR_COLUMNS, TINT_NONE, text);
    }
    if (login && login->pooler != VERDICT_UNKNOWN)
        section_pair(w, "connection", PAIR_COLUMNS, TINT_NONE,
                     login->pooler == VERDICT_YES ? "through a pooler" : "direct");
    if (login && login->in_recovery != VERDICT_UNKNOWN)
        section_pair(w, "role", PAIR_COLUMNS, TINT_NONE, role_words(login));
    if (login && login->lag_known) {
        snprintf(text, sizeof text, "%.1f s behind", ns_to_seconds(login->lag_ns));
        section_pair(w, "lag", PAIR_COLUMNS, TINT_NONE, text);
    }
    if (method) {
        snprintf(text, sizeof text, "%s%s", method,
                 strcmp(method, "scram-sha-256") != 0 ? ""
                 : binding                            ? ", channel binding offered"
                                                      : ", no channel binding offered");
        section_pair(w, "asks for", PAIR_COLUMNS, TINT_NONE,
                     strcmp(method, "trust") == 0 ? "nothing (trust, or a client certificate)"
                                                  : text);
    }
}

/* Columns that the names of the promises take, 0 when there are none. */
static size_t promise_columns(const struct report *r)
{
    size_t columns = 0;

    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        size_t len = strlen(promise_name((enum promise)i));

        if (promise_made(&r->server->promises, (enum promise)i) && len + 2 > columns)
            columns = len + 2;
    }
    return columns;
}

static bool makes_promises(const struct report *r)
{
    return promise_columns(r) > 0;
}

static void section_promises(const struct writer *w, const struct report *r)
{
    static const enum mark marks[] = {
        [VERDICT_UNKNOWN] = MARK_NONE, [VERDICT_NO] = MARK_WARN, [VERDICT_YES] = MARK_GOOD};
    size_t columns = promise_columns(r), indent = REPORT_INDENT + 2 + columns;

    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        struct promise_fact fact;
        char text[sizeof fact.promised + sizeof fact.found + 64];
        bool known;

        report_promise(r, (enum promise)i, &fact);
        if (!fact.made)
            continue;
        known = fact.kept != VERDICT_UNKNOWN;
        snprintf(text, sizeof text, "promised: %s; %s%s%s%s", fact.promised,
                 known ? "" : report_promise_silence(r, (enum promise)i),
                 !known && fact.found[0] ? "; " : "", fact.found[0] ? "found: " : "", fact.found);
        write_spaces(w, REPORT_INDENT);
        write_mark(w, marks[fact.kept]);
        write_spaces(w, 1);
        write_padded(w, TINT_NONE, promise_name((enum promise)i), columns);
        write_wrapped(w, fact.kept == VERDICT_NO ? TINT_WARN : TINT_NONE, text, indent, indent);
    }
}

static bool was_refused(const struct report *r)
{
    return report_refusal(r) != NULL;
}

static void section_refusal(const struct writer *w, const struct report *r)
{
    const struct observation *o = report_refusal(r);
    const struct fault_row *row = fault_row(o->expected);

    section_pair(w, "name", PAIR_COLUMNS, TINT_GOOD, row->id);
    section_pair(w, "meaning", PAIR_COLUMNS, TINT_NONE, row->meaning);
    if (o->sqlstate[0])
        section_pair(w, "SQLSTATE", PAIR_COLUMNS, TINT_NONE, o->sqlstate);
    if (o->error[0])
        section_pair(w, o->sqlstate[0] ? "it says" : "text", PAIR_COLUMNS, TINT_NONE, o->error);
}

static bool has_fault(const struct report *r)
{
    return report_culprit(r) != NULL;
}

static void section_fault(const struct writer *w, const struct report *r)
{
    const struct observation *o = report_culprit(r);
    const struct fault_row *row = fault_row(o->fault);
    const char *conclusion = report_conclusion(r);
    char text[PG_MESSAGE_SIZE + 64];

    section_pair(w, "name", PAIR_COLUMNS, TINT_BAD, row->id);
    snprintf(text, sizeof text, "phase %s of the %s, class %s", phase_name(report_phase(r)),
             probe_kind_name(o->probe), fault_class_name(row->class));
    section_pair(w, "where", PAIR_COLUMNS, TINT_NONE, text);
    section_pair(w, "meaning", PAIR_COLUMNS, TINT_STRONG, row->meaning);
    if (closes[o->how])
        section_pair(w, "close", PAIR_COLUMNS, TINT_NONE, closes[o->how]);
    if (o->tls_alert >= 0) {
        snprintf(text, sizeof text, "alert %d", o->tls_alert);
        section_pair(w, "TLS", PAIR_COLUMNS, TINT_NONE, text);
    }
    if (o->sqlstate[0])
        section_pair(w, "SQLSTATE", PAIR_COLUMNS, TINT_NONE, o->sqlstate);
    if (o->error[0])
        section_pair(w, o->sqlstate[0] ? "it says" : "text", PAIR_COLUMNS, TINT_NONE, o->error);
    if (conclusion)
        section_pair(w, "so", PAIR_COLUMNS, TINT_NONE, conclusion);
    section_pair(w, "what to do", PAIR_COLUMNS, TINT_NONE, row->remedy);
}

static const struct {
    const char *title;
    bool (*wanted)(const struct report *r);
    void (*write)(const struct writer *w, const struct report *r);
} sections[] = {
    {"Timeline", always, section_timeline},
    {"TLS", has_tls, section_tls},
    {"Certificates", has_chain, section_certificates},
    {"sslmodes that work", knows_sslmodes, section_sslmodes},
    {"Server", knows_server, section_server},
    {"Promises", makes_promises, section_promises},
    {"Refused as expected", was_refused, section_refusal},
    {"Fault", has_fault, section_fault},
};

void report_text(const struct report *r, const struct report_style *style, struct buf *to)
{
    const struct writer w = {to, style};

    head_identity(&w, r);
    head_status(&w, r);
    head_pairs(&w, r);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if (!sections[i].wanted(r))
            continue;
        buf_add_char(to, '\n');
        write_text(&w, TINT_STRONG, sections[i].title);
        buf_add_char(to, '\n');
        sections[i].write(&w, r);
    }
}
