/* The certificates as the server sent them, what is wrong with each, and the three verdicts. */
#include "report_text.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LABEL_COLUMNS      8
#define VERDICT_COLUMNS    11
#define CERTIFICATE_INDENT (REPORT_INDENT + 3)

static void date_text(char *to, size_t size, int64_t when)
{
    time_t time = (time_t)when;
    struct tm tm;

    if (!gmtime_r(&time, &tm) || strftime(to, size, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        snprintf(to, size, "a date out of range");
}

static void fact_line(const struct writer *w, const char *label, enum tint tint, const char *value)
{
    write_spaces(w, CERTIFICATE_INDENT);
    write_padded(w, TINT_DIM, label, LABEL_COLUMNS);
    write_wrapped(w, tint, value, CERTIFICATE_INDENT + LABEL_COLUMNS,
                  CERTIFICATE_INDENT + LABEL_COLUMNS);
}

static void validity_line(const struct writer *w, const struct report *r,
                          const struct certificate *c)
{
    double days = days_left(r, c->not_after);
    char begin[40], end[40], left[DAYS_LEFT_SIZE], text[160];
    bool early = c->not_before > report_time_ns(r) / NS_PER_S;

    date_text(begin, sizeof begin, c->not_before);
    date_text(end, sizeof end, c->not_after);
    days_left_text(left, days);
    if (early)
        snprintf(text, sizeof text, "from %s on: not yet valid; until %s", begin, end);
    else
        snprintf(text, sizeof text, "until %s, %s", end, left);
    fact_line(w, "valid",
              early || days < 0 ? TINT_BAD
              : days < FEW_DAYS ? TINT_WARN
                                : TINT_NONE,
              text);
}

static void write_certificate(const struct writer *w, const struct report *r, size_t i,
                              const struct certificate *c)
{
    char text[320], verify[VERIFY_TEXT_SIZE];

    write_spaces(w, REPORT_INDENT);
    write_format(w, TINT_STRONG, "%zu  %s", i, position_name(c->position));
    write_text(w, TINT_DIM, c->served ? "" : ", from the trust store");
    buf_add_char(w->to, '\n');
    fact_line(w, "subject", TINT_NONE, c->subject);
    if (c->position == POSITION_LEAF && c->sans[0])
        fact_line(w, "names", TINT_NONE, c->sans);
    fact_line(w, "issuer", TINT_NONE, c->issuer);
    validity_line(w, r, c);
    snprintf(text, sizeof text, "%s, signed with %s", c->key, c->signature);
    fact_line(w, "key", TINT_NONE, text);
    fact_line(w, "sha256", TINT_NONE, c->fingerprint_sha256);
    if (c->position == POSITION_LEAF) /* what pin_sha256 takes and a renewal may leave as it is */
        fact_line(w, "key pin", TINT_NONE, c->public_key_sha256);
    if (c->verify_code) {
        snprintf(text, sizeof text, "%s (X.509 error %d)", verify_text(c->verify_code, verify),
                 c->verify_code);
        fact_line(w, "wrong", TINT_BAD, text);
    }
}

/* --- verdicts --------------------------------------------------------------------------------- */

struct verdict_line {
    const char *name;
    enum verdict verdict;
    bool demanded; /* by the sslmode, or by the pins themselves */
    const char *good;
};

static void verdict_line(const struct writer *w, const struct report *r,
                         const struct verdict_line *line, const char *bad)
{
    bool yes = line->verdict == VERDICT_YES, no = line->verdict == VERDICT_NO;
    enum mark mark = yes ? MARK_GOOD : !no ? MARK_NONE : line->demanded ? MARK_BAD : MARK_WARN;
    struct buf text = BUF_INIT(2048);

    buf_add_str(&text, yes ? line->good : no ? bad : "not judged");
    if (no && !line->demanded)
        buf_addf(&text, "; sslmode %s does not ask for it", sslmode_name(r->server->sslmode));
    write_spaces(w, REPORT_INDENT);
    write_mark(w, mark);
    write_spaces(w, 1);
    write_padded(w, TINT_NONE, line->name, VERDICT_COLUMNS);
    write_wrapped(w, no ? mark_tint(mark) : TINT_NONE, buf_text(&text),
                  REPORT_INDENT + 2 + VERDICT_COLUMNS, REPORT_INDENT + 2 + VERDICT_COLUMNS);
    buf_deinit(&text);
}

/* The trust store as people know it. */
static const char *trust_store(const struct server *s)
{
    return s->sslrootcert && strcmp(s->sslrootcert, "system") != 0 ? s->sslrootcert
                                                                   : "the system's certificates";
}

static const char *pin_words(const struct report *r)
{
    const struct server *s = r->server;
    const struct certificate *leaf = &r->inspect->chain->certificates[0];

    for (size_t i = 0; i < s->n_pins; i++) {
        if (strcmp(s->pins[i].hex, leaf->public_key_sha256) == 0)
            return "the public key is pinned";
    }
    return "the certificate is pinned";
}

static void write_verdicts(const struct writer *w, const struct report *r)
{
    const struct judgement *j = &r->inspect->judgement;
    bool chain = server_demands_chain(r->server);
    struct verdict_line lines[] = {
        {"chain", j->chain, chain, NULL},
        {"dates", j->dates, chain, "every certificate is within its dates"},
        {"host name", j->hostname, server_demands_hostname(r->server), NULL},
        {"pin", j->pin, true, pin_words(r)},
    };
    size_t n = sizeof lines / sizeof *lines - (r->server->n_pins == 0);
    char good[2][384], bad[4][384], verify[VERIFY_TEXT_SIZE];

    snprintf(good[0], sizeof good[0], "leads to a root of %s", trust_store(r->server));
    snprintf(good[1], sizeof good[1], "%s is named by the certificate", r->server->host);
    snprintf(bad[0], sizeof bad[0], "%s at depth %d, judged by %s",
             verify_text(j->verify_code, verify), j->verify_depth, trust_store(r->server));
    snprintf(bad[1], sizeof bad[1], "a certificate is out of its dates, see above");
    snprintf(bad[2], sizeof bad[2], "%s is not named by the certificate", r->server->host);
    snprintf(bad[3], sizeof bad[3], "neither the certificate nor its public key is %s",
             r->server->n_pins > 1 ? "one of those pinned" : "the pinned one");
    lines[0].good = good[0];
    lines[2].good = good[1];
    for (size_t i = 0; i < n; i++)
        verdict_line(w, r, &lines[i], bad[i]);
}

void section_certificates(const struct writer *w, const struct report *r)
{
    const struct chain *chain = r->inspect->chain;

    for (size_t i = 0; i < chain->count; i++)
        write_certificate(w, r, i, &chain->certificates[i]);
    if (chain->served > chain->count)
        write_format(w, TINT_DIM, "  and %zu more\n", chain->served - chain->count);
    buf_add_char(w->to, '\n');
    write_verdicts(w, r);
}
