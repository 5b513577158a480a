/* expose/: what a probe tells people. Whole reports are compared with the files of
 * tests/unit/data/report, which are meant to be looked at. */
#include "fleet_fixture.h"

#include "pgtls/base/buf.h"
#include "pgtls/expose/report.h"
#include "pgtls_version.h"
#include "report_facts.h"

#include <jansson.h>
#include <openssl/x509_vfy.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MAX_BYTES ((size_t)1 << 20)

static const struct report_style plain = {.width = 80};
static const struct report_style utf8 = {.unicode = true, .width = 80};
static const struct report_style colored = {.color = true, .unicode = true, .width = 80};

/* A server, its observations, and the report of them. */
struct world {
    struct server server;
    struct observation inspect, login;
    struct report report;
};

static void world_start(struct world *w)
{
    w->server = fixture_server("orders", "write", "db.example:5432");
    w->inspect = fixture_inspect();
    w->inspect.chain->certificates[0].served = w->inspect.chain->certificates[1].served = true;
    w->login = fixture_login();
    snprintf(w->login.auth_method, sizeof w->login.auth_method, "scram-sha-256");
    w->login.channel_binding = true;
    w->report = (struct report){
        .server = &w->server, .named = true, .inspect = &w->inspect, .login = &w->login};
}

static void world_stop(struct world *w)
{
    observation_deinit(&w->inspect);
    observation_deinit(&w->login);
}

/* The inspect fails with this; no login runs. */
static void fail_inspect(struct world *w, enum fault fault, enum phase phase)
{
    w->report.login = NULL;
    w->inspect.fault = fault;
    w->inspect.phase = phase;
    for (size_t i = (size_t)phase; i < PHASE_COUNT; i++)
        w->inspect.phases[i] = (struct phase_time){.completed = false};
}

static void fail_login(struct world *w, enum fault fault, enum phase phase)
{
    w->login.fault = fault;
    w->login.phase = phase;
    for (size_t i = 0; i < PHASE_COUNT; i++)
        w->login.phases[i].completed = false;
}

static char *render(const struct world *w, const struct report_style *style)
{
    struct buf text = BUF_INIT(MAX_BYTES);

    report_text(&w->report, style, &text);
    assert_false(text.failed);
    return text.data;
}

static bool shows(const struct world *w, const struct report_style *style, const char *part)
{
    char *text = render(w, style);
    bool found = strstr(text, part) != NULL;

    free(text);
    return found;
}

/* Reads a file of expectations; "@VERSION@" in it stands for ours. */
static char *expectation(const char *name)
{
    struct buf text = BUF_INIT(MAX_BYTES);
    char path[512], line[512], *mark;
    FILE *file;

    snprintf(path, sizeof path, "%s/tests/unit/data/report/%s.txt", PGTLS_SOURCE_DIR, name);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        mark = strstr(line, "@VERSION@");
        if (mark) {
            buf_add(&text, line, (size_t)(mark - line));
            buf_addf(&text, "%s%s", PGTLS_VERSION, mark + strlen("@VERSION@"));
        } else {
            buf_add_str(&text, line);
        }
    }
    if (!file)
        fail_msg("%s cannot be read", path);
    fclose(file);
    buf_add_str(&text, "");
    return text.data;
}

static void assert_looks_like(char *text, const char *name)
{
    char *wanted = expectation(name);

    if (strcmp(text, wanted) != 0) {
        fputs(text, stderr); /* print_error() cuts it */
        fail_msg("not as in tests/unit/data/report/%s.txt", name);
    }
    free(wanted);
    free(text);
}

/* --- whole reports ---------------------------------------------------------------------------- */

static void good_report(void **state)
{
    struct world w;

    (void)state;
    world_start(&w);
    assert_int_equal(report_state(&w.report), STATE_UP);
    assert_looks_like(render(&w, &utf8), "good");
    world_stop(&w);
}

static void closed_report(void **state)
{
    struct world w;

    (void)state;
    world_start(&w);
    fail_inspect(&w, FAULT_SSL_CLOSED_AFTER_HANDSHAKE, PHASE_STARTUP);
    w.inspect.how = CLOSE_NOTIFY;
    w.inspect.auth_method[0] = '\0';
    assert_int_equal(report_state(&w.report), STATE_DOWN);
    assert_looks_like(render(&w, &plain), "closed");
    world_stop(&w);
}

static void certificate_report(void **state)
{
    struct world w;

    (void)state;
    world_start(&w);
    fail_inspect(&w, FAULT_SERVER_CERT_EXPIRED, PHASE_TLS);
    w.inspect.phases[PHASE_TLS] = (struct phase_time){true, 7 * NS_PER_MS, NS_PER_MS};
    w.inspect.auth_method[0] = '\0';
    w.inspect.hello_retry = true;
    w.inspect.judgement.dates = VERDICT_NO;
    w.inspect.judgement.hostname = VERDICT_NO;
    w.inspect.judgement.verify_code = X509_V_ERR_CERT_HAS_EXPIRED;
    w.inspect.chain->certificates[0].not_after = FIXTURE_REALTIME_NS / NS_PER_S - 90000;
    w.inspect.chain->certificates[0].verify_code = X509_V_ERR_CERT_HAS_EXPIRED;
    w.report.notes[0] = "something the caller has to say, at such a length that it does not fit "
                        "one line of eighty columns";
    w.report.notes[1] = "and more";
    assert_looks_like(render(&w, &utf8), "certificate");
    world_stop(&w);
}

/* Up, and not what was promised; judged by a pin alone. */
static void degraded_report(void **state)
{
    static const struct network networks[] = {{{[10] = 0xFF, 0xFF, 198, 51, 100, 0}, 120},
                                              {{0x20, 0x01, 0x0d, 0xb8, [15] = 7}, 128}};
    struct pin pin = {""};
    struct world w;

    (void)state;
    world_start(&w);
    snprintf(pin.hex, sizeof pin.hex, "%s", w.inspect.chain->certificates[0].public_key_sha256);
    w.server.sslmode = SSLMODE_REQUIRE;
    w.server.pins = &pin;
    w.server.n_pins = 1;
    w.server.promises = (struct promises){.role = ROLE_READ_ONLY,
                                          .pooled = VERDICT_YES,
                                          .max_lag_ns = 30 * NS_PER_S,
                                          .addresses = networks,
                                          .n_addresses = 2};
    w.inspect.judgement.chain = VERDICT_NO;
    w.inspect.judgement.verify_code = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    w.inspect.judgement.pin = VERDICT_YES;
    w.login.in_recovery = w.login.read_only = VERDICT_YES;
    w.login.lag_known = true;
    w.login.lag_ns = 45 * NS_PER_S + 340 * NS_PER_MS;
    assert_int_equal(report_state(&w.report), STATE_UP);
    assert_int_equal(report_status(&w.report), STATUS_DEGRADED);
    assert_looks_like(render(&w, &utf8), "degraded");
    world_stop(&w);
}

static void promises_need_what_they_are_measured_by(void **state)
{
    struct promise_fact fact;
    struct world w;

    (void)state;
    world_start(&w);
    w.server.promises = (struct promises){.pooled = VERDICT_YES};
    report_promise(&w.report, PROMISE_POOLED, &fact);
    assert_int_equal(fact.kept, VERDICT_NO);
    assert_string_equal(fact.promised, "through a pooler");
    assert_string_equal(fact.found, "direct");
    report_promise(&w.report, PROMISE_MAX_LAG, &fact);
    assert_false(fact.made);
    w.report.login = NULL;
    report_promise(&w.report, PROMISE_POOLED, &fact);
    assert_int_equal(fact.kept, VERDICT_UNKNOWN);
    assert_true(shows(&w, &plain, "promised: through a pooler; not measured without a login"));
    assert_int_equal(report_status(&w.report), STATUS_OK);
    fail_inspect(&w, FAULT_TCP_REFUSED, PHASE_TCP);
    assert_true(shows(&w, &plain, "not judged of a server that is down"));
    fail_inspect(&w, FAULT_LOCAL_FILE, PHASE_TLS);
    assert_true(shows(&w, &plain, "not judged, our own side failed"));
    fail_inspect(&w, FAULT_TCP_REFUSED, PHASE_TCP);
    assert_int_equal(report_status(&w.report), STATUS_DOWN);
    world_stop(&w);
}

static void a_wrong_pin_is_told(void **state)
{
    struct pin pins[2] = {{"00"}, {"01"}};
    struct world w;

    (void)state;
    world_start(&w);
    w.server.pins = pins;
    w.server.n_pins = 1;
    w.inspect.judgement.pin = VERDICT_NO;
    fail_inspect(&w, FAULT_SERVER_CERT_PIN_MISMATCH, PHASE_TLS);
    assert_true(shows(&w, &plain, "sslmode     verify-full: chain, host name and pin are checked"));
    assert_true(
        shows(&w, &plain, "x pin        neither the certificate nor its public key is the"));
    w.server.n_pins = 2;
    assert_true(shows(&w, &plain, "one of those"));
    w.inspect.judgement.pin = VERDICT_YES;
    snprintf(pins[1].hex, sizeof pins[1].hex, "%s",
             w.inspect.chain->certificates[0].fingerprint_sha256);
    assert_true(shows(&w, &plain, "+ pin        the certificate is pinned"));
    world_stop(&w);
}

/* --- details ---------------------------------------------------------------------------------- */

static void colors_only_when_asked_for(void **state)
{
    struct world w;

    (void)state;
    world_start(&w);
    assert_true(shows(&w, &colored, "\x1b[32mOK\x1b[0m"));
    assert_false(shows(&w, &utf8, "\x1b"));
    fail_login(&w, FAULT_PASSWORD_FAILED, PHASE_AUTH);
    assert_true(shows(&w, &colored, "\x1b[1;31mDOWN\x1b[0m"));
    assert_true(shows(&w, &colored, "\x1b[1;31mpassword_failed\x1b[0m"));
    world_stop(&w);
}

static void ascii_where_unicode_is_not_wanted(void **state)
{
    struct world w;
    char *text;

    (void)state;
    world_start(&w);
    fail_login(&w, FAULT_PASSWORD_FAILED, PHASE_AUTH);
    text = render(&w, &plain);
    for (const char *p = text; *p; p++)
        assert_true(*p == '\n' || (*p >= ' ' && *p <= '~'));
    free(text);
    world_stop(&w);
}

static void no_line_is_wider_than_asked_for(void **state)
{
    static const size_t widths[] = {60, 80, 110};
    struct world w;

    (void)state;
    world_start(&w);
    fail_inspect(&w, FAULT_SERVER_CERT_NAME_MISMATCH, PHASE_TLS);
    snprintf(w.inspect.error, sizeof w.inspect.error, "%s",
             "a rather long text of a server that goes on and on until it must be wrapped, and on");
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        const struct report_style style = {.unicode = true, .width = widths[i]};
        char *text = render(&w, &style), *rest = NULL;

        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
            size_t columns = 0;

            for (const char *p = line; *p; p++)
                columns += ((unsigned char)*p & 0xC0) != 0x80;
            if (columns > widths[i] && !strstr(line, "sha256") && !strstr(line, "key pin"))
                fail_msg("%zu columns of %zu: %s", columns, widths[i], line);
        }
        free(text);
    }
    world_stop(&w);
}

static void phases_say_what_became_of_them(void **state)
{
    struct phase_fact f[PHASE_COUNT];
    struct world w;

    (void)state;
    world_start(&w);
    report_phases(&w.report, f);
    for (size_t i = 0; i < PHASE_COUNT; i++)
        assert_int_equal(f[i].end, PHASE_COMPLETED);
    assert_int_equal(f[PHASE_AUTH].duration_ns, 4 * NS_PER_MS); /* the login's, not the inspect's */

    w.report.login = NULL;                         /* none wanted */
    w.inspect.phases[PHASE_DNS].completed = false; /* an address */
    report_phases(&w.report, f);
    assert_int_equal(f[PHASE_DNS].end, PHASE_NOT_NEEDED);
    assert_int_equal(f[PHASE_STARTUP].end, PHASE_COMPLETED);
    assert_int_equal(f[PHASE_QUERY].end, PHASE_NOT_TRIED);

    fail_inspect(&w, FAULT_TLS_TIMEOUT, PHASE_TLS); /* 20 ms in all, 6 of them completed */
    report_phases(&w.report, f);
    assert_int_equal(f[PHASE_TLS].end, PHASE_FAILED);
    assert_int_equal(f[PHASE_TLS].duration_ns, 14 * NS_PER_MS);
    assert_int_equal(f[PHASE_STARTUP].end, PHASE_NOT_REACHED);
    assert_int_equal(f[PHASE_AUTH].end, PHASE_NOT_REACHED);
    world_stop(&w);
}

static void our_own_side_is_not_the_servers_fault(void **state)
{
    struct phase_fact f[PHASE_COUNT];
    struct world w;

    (void)state;
    world_start(&w);
    fail_login(&w, FAULT_LOCAL_SECRET, PHASE_TCP);
    assert_int_equal(report_state(&w.report), STATE_UNKNOWN);
    report_phases(&w.report, f);
    assert_int_equal(f[PHASE_TCP].end, PHASE_COMPLETED); /* the inspect's stays */
    assert_int_equal(f[PHASE_AUTH].end, PHASE_FAILED);
    assert_true(shows(&w, &utf8, "UNKNOWN after 50.00 ms, on our own side: local_secret"));
    world_stop(&w);
}

static void a_good_tls_connection_acquits_the_client(void **state)
{
    struct world w;

    (void)state;
    world_start(&w);
    assert_null(report_conclusion(&w.report));
    fail_inspect(&w, FAULT_SSL_RESET_AFTER_HANDSHAKE, PHASE_STARTUP);
    assert_non_null(strstr(report_conclusion(&w.report), "no sslmode"));
    w.inspect.judgement.chain = VERDICT_NO;
    assert_null(strstr(report_conclusion(&w.report), "no sslmode"));
    fail_inspect(&w, FAULT_TLS_RESET, PHASE_TLS);
    assert_null(report_conclusion(&w.report));
    world_stop(&w);
}

static void what_is_not_demanded_is_a_remark(void **state)
{
    struct world w;

    (void)state;
    world_start(&w);
    w.server.sslmode = SSLMODE_REQUIRE;
    w.inspect.judgement.chain = VERDICT_NO;
    w.inspect.judgement.verify_code = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    w.inspect.judgement.verify_depth = 1;
    assert_int_equal(report_state(&w.report), STATE_UP);
    assert_true(shows(&w, &utf8, "! chain      unable to get local issuer certificate at depth 1"));
    assert_true(shows(&w, &utf8, "does not ask for it"));
    world_stop(&w);
}

static void configured_texts_are_cleaned(void **state)
{
    struct world w;

    (void)state;
    world_start(&w);
    w.server.user = "evil\x1b[31m";
    w.server.name = "db\nexample:1";
    assert_true(shows(&w, &utf8, "evil\\x1b[31m"));
    assert_true(shows(&w, &utf8, "db\\nexample:1"));
    world_stop(&w);
}

static void verification_words_are_openssls(void **state)
{
    char text[VERIFY_TEXT_SIZE];

    (void)state;
    assert_string_equal(verify_text(0, text), "");
    for (int code = 1; code < 100; code++) {
        const char *ours = verify_text(code, text);

        if (strncmp(ours, "verification error ", 19) != 0)
            assert_string_equal(ours, X509_verify_cert_error_string(code));
    }
    assert_string_equal(verify_text(20, text), "unable to get local issuer certificate");
    assert_string_equal(verify_text(4711, text), "verification error 4711");
}

static void days_are_counted_from_the_probe(void **state)
{
    const int64_t now = FIXTURE_REALTIME_NS / NS_PER_S;
    char text[DAYS_LEFT_SIZE];
    struct world w;

    (void)state;
    world_start(&w);
    days_left_text(text, days_left(&w.report, now + 86400 * 3 / 2));
    assert_string_equal(text, "1 day left");
    days_left_text(text, days_left(&w.report, now + 86400 * 20 + 5));
    assert_string_equal(text, "20 days left");
    days_left_text(text, days_left(&w.report, now - 5));
    assert_string_equal(text, "expired today");
    days_left_text(text, days_left(&w.report, now - 86400 * 2 - 5));
    assert_string_equal(text, "expired 2 days ago");
    world_stop(&w);
}

/* --- tables and JSON -------------------------------------------------------------------------- */

static void table(void **state)
{
    struct report_columns columns = {0};
    size_t counts[STATUS_COUNT] = {1, 1, 1, 1};
    struct buf text = BUF_INIT(MAX_BYTES);
    struct world w[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        world_start(&w[i]);
    w[1].server = fixture_server("temporal-db", "read", "[2001:db8::1]:5432");
    fail_inspect(&w[1], FAULT_HBA_NO_ENTRY_SSL, PHASE_STARTUP);
    w[1].inspect.duration_ns = 2 * NS_PER_S;
    fail_login(&w[2], FAULT_LOCAL_SECRET, PHASE_TCP);
    w[3].server.promises = (struct promises){.role = ROLE_STANDBY, .pooled = VERDICT_YES};
    for (size_t i = 0; i < 4; i++)
        report_columns_add(&columns, &w[i].server);
    report_line_head(&columns, &plain, &text);
    for (size_t i = 0; i < 4; i++)
        report_line(&w[i].report, &columns, &plain, &text);
    report_line_sum(counts, 0, &plain, &text);
    assert_looks_like(text.data, "table");
    for (size_t i = 0; i < 4; i++)
        world_stop(&w[i]);
}

static void list(void **state)
{
    struct server servers[] = {fixture_server("orders", "write", "db.example:5432"),
                               fixture_server("orders", "admin", "db.example:5433")};
    struct buf text = BUF_INIT(MAX_BYTES);
    struct endpoint_set *set;

    (void)state;
    servers[0].password = (struct secret_ref){SECRET_INLINE, "hunter2"};
    servers[1].user = NULL;
    servers[1].login = false;
    servers[1].sslmode = SSLMODE_REQUIRE;
    set = fixture_set(servers, 2, REQUIRE_ANY);
    report_list(set, 0, &plain, &text);
    assert_looks_like(text.data, "list");
    text = BUF_INIT(MAX_BYTES);
    assert_true(report_list_json(set, 0, &text));
    assert_null(strstr(text.data, "hunter2"));
    json_decref(json_loads(text.data, 0, NULL));
    buf_deinit(&text);
    endpoint_set_unref(set);
}

static void list_with_shards(void **state)
{
    struct server servers[] = {fixture_server("orders", "write", "db.example:5432"),
                               fixture_server("platform-db", "write", "db.example:5433")};
    struct endpoint_set *set = fixture_set(servers, 2, REQUIRE_ANY);
    struct buf text = BUF_INIT(MAX_BYTES);
    json_t *json, *list;

    (void)state;
    report_list(set, 3, &plain, &text);
    assert_non_null(strstr(text.data, "shard  cluster/endpoint"));
    assert_non_null(strstr(text.data, "\n0      orders/write"));
    assert_non_null(strstr(text.data, "\n2      platform-db/write"));
    buf_reset(&text);
    assert_true(report_list_json(set, 3, &text));
    json = json_loads(text.data, 0, NULL);
    list = json_object_get(json, "servers");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "shard")), 2);
    json_decref(json);
    buf_reset(&text);
    assert_true(report_list_json(set, 0, &text));
    assert_non_null(strstr(text.data, "\"shard\": null"));
    buf_deinit(&text);
    endpoint_set_unref(set);
}

static void json_tells_the_same(void **state)
{
    size_t counts[STATUS_COUNT] = {[STATUS_OK] = 1, [STATUS_DOWN] = 1};
    struct buf text = BUF_INIT(MAX_BYTES);
    struct world good, bad;
    json_t *json, *server;

    (void)state;
    world_start(&good);
    world_start(&bad);
    bad.report.named = false;
    fail_inspect(&bad, FAULT_SSL_CLOSED_AFTER_HANDSHAKE, PHASE_STARTUP);
    bad.inspect.how = CLOSE_NOTIFY;
    assert_true(report_json_begin(&text));
    assert_true(report_json_add(&good.report, true, &text));
    assert_true(report_json_add(&bad.report, false, &text));
    assert_true(report_json_end(counts, &(struct endpoint_set){.n_servers = 0}, &text));
    json = json_loads(buf_text(&text), 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "status")), "down");
    server = json_array_get(json_object_get(json, "servers"), 0);
    assert_string_equal(json_string_value(json_object_get(server, "status")), "ok");
    assert_true(json_is_null(json_object_get(server, "fault")));
    assert_int_equal(json_array_size(json_object_get(server, "certificates")), 3);
    server = json_array_get(json_object_get(json, "servers"), 1);
    assert_true(json_is_null(json_object_get(server, "cluster")));
    server = json_object_get(server, "fault");
    assert_string_equal(json_string_value(json_object_get(server, "how")), "close_notify");
    json_decref(json);
    buf_deinit(&text);
    world_stop(&good);
    world_stop(&bad);
}

static void json_that_does_not_fit_is_refused(void **state)
{
    struct buf text = BUF_INIT(500);
    struct world w;

    (void)state;
    world_start(&w);
    assert_true(report_json_begin(&text));
    assert_false(report_json_add(&w.report, true, &text));
    buf_deinit(&text);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_report),
        cmocka_unit_test(closed_report),
        cmocka_unit_test(certificate_report),
        cmocka_unit_test(degraded_report),
        cmocka_unit_test(promises_need_what_they_are_measured_by),
        cmocka_unit_test(a_wrong_pin_is_told),
        cmocka_unit_test(colors_only_when_asked_for),
        cmocka_unit_test(ascii_where_unicode_is_not_wanted),
        cmocka_unit_test(no_line_is_wider_than_asked_for),
        cmocka_unit_test(phases_say_what_became_of_them),
        cmocka_unit_test(our_own_side_is_not_the_servers_fault),
        cmocka_unit_test(a_good_tls_connection_acquits_the_client),
        cmocka_unit_test(what_is_not_demanded_is_a_remark),
        cmocka_unit_test(configured_texts_are_cleaned),
        cmocka_unit_test(verification_words_are_openssls),
        cmocka_unit_test(days_are_counted_from_the_probe),
        cmocka_unit_test(table),
        cmocka_unit_test(list),
        cmocka_unit_test(list_with_shards),
        cmocka_unit_test(json_tells_the_same),
        cmocka_unit_test(json_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
