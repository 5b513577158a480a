/* What is in force must go together, and do what it was meant to. */
#include "check.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"

#include <string.h>

/* A login follows from an inspect, so more logins than inspects are not to be had. */
static void check_login_interval(struct report *report, const struct endpoint_source *source,
                                 const struct server *s)
{
    struct buf login = BUF_INIT(64), inspect = BUF_INIT(64);

    if (!s->login || s->login_interval_ns >= s->interval_ns)
        return;
    str_add_duration(&login, s->login_interval_ns);
    str_add_duration(&inspect, s->interval_ns);
    report_warning(
        report, place_in_force(source, SLOT_LOGIN_INTERVAL),
        "login: endpoint \"%s\" of cluster \"%s\" logs in every %s and is inspected every "
        "%s only: a login goes by an inspect that may be that old; give login an "
        "interval of %s or more",
        s->endpoint, s->cluster, buf_text(&login), buf_text(&inspect), buf_text(&inspect));
    buf_deinit(&login);
    buf_deinit(&inspect);
}

/* What only a login can tell. */
static void check_promises(struct report *report, const struct endpoint_source *source,
                           const struct server *s)
{
    static const struct {
        enum slot slot;
        enum promise promise;
    } rows[] = {{SLOT_ROLE, PROMISE_READ_ONLY},
                {SLOT_POOLED, PROMISE_POOLED},
                {SLOT_MAX_LAG, PROMISE_MAX_LAG}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows && !s->login; i++) {
        if (promise_made(&s->promises, rows[i].promise))
            report_warning(report, place_in_force(source, rows[i].slot),
                           "promise: %s is measured by the login, and endpoint \"%s\" of cluster "
                           "\"%s\" has none; give a user",
                           promise_name(rows[i].promise), s->endpoint, s->cluster);
    }
}

/* A login that was meant and will not be. */
static void check_login(struct report *report, const struct endpoint_source *source,
                        const struct server *s)
{
    static const enum slot meant[] = {SLOT_PASSWORD, SLOT_DBNAME, SLOT_LOGIN};

    for (size_t i = 0; i < sizeof meant / sizeof *meant && !s->user; i++) {
        if (!in_force(source, meant[i]) ||
            (meant[i] == SLOT_LOGIN && number_in_force(source, SLOT_LOGIN, 0) == 0))
            continue;
        report_warning(
            report, place_in_force(source, meant[i]),
            "endpoint \"%s\" of cluster \"%s\" has no user: its probe ends after TLS, and "
            "nothing logs in; give a user",
            s->endpoint, s->cluster);
        return;
    }
}

/* A refusal that nothing could see, and what needs to be let in. */
static void check_expect(struct report *report, const struct endpoint_source *source,
                         const struct server *s)
{
    if (!s->expect.text)
        return;
    if (!expect_reachable(s))
        report_error(report, place_in_force(source, SLOT_EXPECT),
                     "expect: %s comes later than this probe goes at endpoint \"%s\" of cluster "
                     "\"%s\"; give %s",
                     s->expect.text, s->endpoint, s->cluster, s->user ? "it a login" : "a user");
    if (s->n_sessions > 0)
        report_error(
            report, place_in_force(source, SLOT_SESSIONS),
            "session: endpoint \"%s\" of cluster \"%s\" expects to be refused, so none can "
            "be kept open; write `session: []` there",
            s->endpoint, s->cluster);
}

void check_common(struct report *report, const struct endpoint_source *source,
                  const struct server *s)
{
    struct place cert = place_in_force(source, SLOT_SSLCERT),
                 key = place_in_force(source, SLOT_SSLKEY);

    if (s->sslcert && !s->sslkey)
        report_error(report, cert, "sslcert: needs its private key; give sslkey beside it");
    if (s->sslkey && !s->sslcert)
        report_error(report, key, "sslkey: needs its certificate; give sslcert beside it");
    if (number_in_force(source, SLOT_SSL_MIN, 0) > number_in_force(source, SLOT_SSL_MAX, INT64_MAX))
        report_error(report, place_in_force(source, SLOT_SSL_MIN),
                     "ssl_min_protocol_version: %s is newer than ssl_max_protocol_version %s",
                     s->ssl_min_protocol_version, s->ssl_max_protocol_version);
    check_promises(report, source, s);
    check_login(report, source, s);
    check_expect(report, source, s);
    check_login_interval(report, source, s);
    if (s->n_sessions > 0 && !s->login)
        report_error(report, place_in_force(source, SLOT_SESSIONS),
                     "session: needs a login; give a user, or `session: []` here");
    if (s->timeout_ns > s->interval_ns) {
        struct buf b1 = BUF_INIT(64), b2 = BUF_INIT(64);
        bool timeout_set = in_force(source, SLOT_TIMEOUT) != NULL;

        str_add_duration(&b1, s->timeout_ns);
        str_add_duration(&b2, s->interval_ns);
        report_warning(report, place_in_force(source, timeout_set ? SLOT_TIMEOUT : SLOT_INTERVAL),
                       "timeout: %s is longer than the interval of %s; a slow server will be "
                       "probed less often than asked",
                       buf_text(&b1), buf_text(&b2));
        buf_deinit(&b1);
        buf_deinit(&b2);
    }
}

bool check_tls(struct report *report, const struct endpoint_source *source, const struct server *s)
{
    struct place mode = place_in_force(source, SLOT_SSLMODE),
                 root = place_in_force(source, SLOT_SSLROOTCERT);
    size_t before = report->messages->errors;

    if (s->unix_socket)
        return true;
    if (s->sslmode == SSLMODE_VERIFY_CA && !s->sslrootcert)
        report_error(report, mode,
                     "sslmode: verify-ca needs sslrootcert: the file of the certificates to trust "
                     "(~/.postgresql/root.crt is not read)");
    if (s->sslmode == SSLMODE_VERIFY_CA && s->sslrootcert && strcmp(s->sslrootcert, "system") == 0)
        report_error(report, root,
                     "sslrootcert: system may not be used with sslmode verify-ca, which would "
                     "accept any public certificate; use verify-full, or name a file");
    if (s->negotiation == NEGOTIATION_DIRECT && s->sslmode < SSLMODE_REQUIRE)
        report_error(report, place_in_force(source, SLOT_NEGOTIATION),
                     "negotiation: direct needs sslmode require, verify-ca or verify-full; "
                     "%s is in force",
                     sslmode_name(s->sslmode));
    if (s->n_pins > 0 && s->sslmode < SSLMODE_REQUIRE)
        report_error(report, place_in_force(source, SLOT_PINS),
                     "pin_sha256: needs sslmode require, verify-ca or verify-full, or a connection "
                     "without TLS would pass; %s is in force",
                     sslmode_name(s->sslmode));
    if (s->promises.certificate_file && !server_uses_tls(s))
        report_warning(
            report, place_in_force(source, SLOT_CERTIFICATE_FILE),
            "certificate_file: endpoint \"%s\" of cluster \"%s\" has sslmode disable and "
            "shows no certificate to compare it with",
            s->endpoint, s->cluster);
    if (s->sslmode == SSLMODE_VERIFY_FULL && s->nameless)
        report_error(report, place_in_force(source, SLOT_HOSTADDR),
                     "hostaddr: sslmode verify-full compares the certificate with a name; give "
                     "host, too");
    return report->messages->errors == before;
}
