/* expose/: the health document, its statuses and its keys. docs/health.schema.json is tested
 * against real servers by the integration tests. */
#include "health_answer.h"

#include "pgtls/expose/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct session_config session = {.name = "60s", .idle_ns = 60 * NS_PER_S};

/* A fleet of endpoints "e0", "e1", … of `per` servers each; states as given, one per server. */
static struct fleet *fleet_in(const enum state *states, size_t n, size_t per, enum require require)
{
    static const char *const endpoints[] = {"e0", "e1", "e2", "e3"};
    static char names[8][32];
    struct server servers[8];
    struct fleet *fleet = fleet_new();
    struct fleet_view *view;

    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "s%zu:1", i);
        servers[i] = fixture_server("c", endpoints[i / per], names[i]);
        servers[i].login = false;
        servers[i].sessions = &session;
        servers[i].n_sessions = 1;
    }
    assert_true(fixture_watch(fleet, fixture_set(servers, n, require)));
    view = fleet_view(fleet);
    for (size_t i = 0; i < n; i++) {
        if (states[i] == STATE_UP)
            fixture_apply(view->servers[i], fixture_inspect());
        if (states[i] == STATE_DOWN)
            fixture_apply(view->servers[i],
                          fixture_failure(PROBE_INSPECT, FAULT_HBA_NO_ENTRY_SSL, PHASE_STARTUP));
    }
    fleet_view_unref(view);
    return fleet;
}

static void assert_overall(struct fleet *fleet, struct health_query query, int status,
                           const char *word)
{
    struct answer answer = ask(fleet, query);

    assert_text(answer.json, "status", word);
    assert_int_equal(answer.status, status);
    json_decref(answer.json);
}

static void test_status_of_a_selection(void **state)
{
    static const struct health_query any = {.require = REQUIRE_ANY},
                                     strict = {.require = REQUIRE_ALL, .fail_on_degraded = true};
    static const struct {
        enum state states[2];
        int all, any, strict; /* HTTP statuses */
        const char *all_word, *any_word;
    } rows[] = {
        {{STATE_UP, STATE_UP}, 200, 200, 200, "ok", "ok"},
        {{STATE_UP, STATE_DOWN}, 503, 200, 503, "down", "degraded"},
        {{STATE_UP, STATE_UNKNOWN}, 200, 200, 503, "degraded", "degraded"},
        {{STATE_DOWN, STATE_DOWN}, 503, 503, 503, "down", "down"},
        {{STATE_DOWN, STATE_UNKNOWN}, 503, 503, 503, "down", "unknown"},
        {{STATE_UNKNOWN, STATE_UNKNOWN}, 503, 503, 503, "unknown", "unknown"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fleet *fleet = fleet_in(rows[i].states, 2, 1, REQUIRE_ALL);

        assert_overall(fleet, everything, rows[i].all, rows[i].all_word);
        assert_overall(fleet, any, rows[i].any, rows[i].any_word);
        assert_overall(fleet, strict, rows[i].strict, rows[i].all_word);
        fleet_free(fleet);
    }
}

/* Two servers that promise to take writes; `recovery` is what each answers. */
static struct answer ask_writers(enum verdict first, enum verdict second, enum require require)
{
    const enum verdict recovery[2] = {first, second};
    struct server servers[2] = {fixture_server("c", "write", "a:1"),
                                fixture_server("c", "write", "b:1")};
    struct fleet *fleet = fleet_new();
    struct fleet_view *view;
    struct answer answer;

    servers[0].promises.role = servers[1].promises.role = ROLE_READ_WRITE;
    servers[0].promises.pooled = servers[1].promises.pooled = VERDICT_NO;
    assert_true(fixture_watch(fleet, fixture_set(servers, 2, require)));
    view = fleet_view(fleet);
    for (int i = 0; i < 2; i++) {
        struct observation o = fixture_login();

        o.in_recovery = o.read_only = recovery[i];
        o.lag_known = recovery[i] == VERDICT_YES;
        o.finished_realtime_ns = FIXTURE_REALTIME_NS + i * NS_PER_S;
        fixture_apply(view->servers[i], fixture_inspect());
        fixture_apply(view->servers[i], o);
    }
    fleet_view_unref(view);
    answer = ask(fleet, everything);
    fleet_free(fleet);
    return answer;
}

static void test_a_broken_promise_degrades(void **state)
{
    static const char role[] = "endpoints.0.promises.read_only";
    struct answer answer = ask_writers(VERDICT_NO, VERDICT_YES, REQUIRE_ALL);

    (void)state;
    assert_text(answer.json, "status", "ok"); /* one is enough */
    assert_true(json_is_true(at(answer.json, role)));
    assert_true(json_is_true(at(answer.json, "endpoints.0.servers.0.promises.read_only")));
    assert_true(json_is_false(at(answer.json, "endpoints.0.servers.1.promises.read_only")));
    assert_true(json_is_null(at(answer.json, "endpoints.0.servers.1.promises.max_lag")));
    assert_true(json_is_true(at(answer.json, "endpoints.0.servers.1.in_recovery")));
    assert_true(json_is_false(at(answer.json, "endpoints.0.servers.1.pooler")));
    assert_true(json_is_real(at(answer.json, "endpoints.0.servers.1.replication_lag_seconds")));
    assert_true(json_is_null(at(answer.json, "endpoints.0.servers.0.replication_lag_seconds")));
    json_decref(answer.json);

    answer = ask_writers(VERDICT_YES, VERDICT_YES, REQUIRE_ANY);
    assert_text(answer.json, "status", "degraded");
    assert_int_equal(answer.status, 200);
    assert_text(answer.json, "endpoints.0.status", "degraded");
    assert_text(answer.json, "endpoints.0.since", "2023-11-14T22:13:21.000Z"); /* the second */
    assert_text(answer.json, "endpoints.0.servers.0.connection", "OK");
    assert_true(json_is_false(at(answer.json, role)));
    assert_true(json_is_true(at(answer.json, "endpoints.0.promises.pooled")));
    json_decref(answer.json);
}

static void test_status_of_an_endpoint_of_two(void **state)
{
    static const struct {
        enum state states[2];
        const char *any, *all;
    } rows[] = {
        {{STATE_UP, STATE_UP}, "ok", "ok"},
        {{STATE_UP, STATE_DOWN}, "degraded", "down"},
        {{STATE_UP, STATE_UNKNOWN}, "ok", "unknown"},
        {{STATE_DOWN, STATE_UNKNOWN}, "unknown", "down"},
        {{STATE_DOWN, STATE_DOWN}, "down", "down"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int any = 0; any < 2; any++) {
            struct fleet *fleet = fleet_in(rows[i].states, 2, 2, any ? REQUIRE_ANY : REQUIRE_ALL);
            struct answer answer = ask(fleet, everything);

            assert_text(answer.json, "endpoints.0.status", any ? rows[i].any : rows[i].all);
            json_decref(answer.json);
            fleet_free(fleet);
        }
    }
}

static void test_failing_first(void **state)
{
    static const enum state states[] = {STATE_UP, STATE_UP, STATE_UNKNOWN,
                                        STATE_UP, STATE_UP, STATE_DOWN};
    struct fleet *fleet = fleet_in(states, 6, 2, REQUIRE_ALL);
    struct answer answer = ask(fleet, everything);

    (void)state;
    assert_text(answer.json, "endpoints.0.endpoint", "e2");
    assert_text(answer.json, "endpoints.0.servers.0.server", "s5:1");
    assert_text(answer.json, "endpoints.0.servers.1.server", "s4:1");
    assert_text(answer.json, "endpoints.1.endpoint", "e1");
    assert_text(answer.json, "endpoints.1.servers.0.connection", "Unknown");
    assert_text(answer.json, "endpoints.2.endpoint", "e0");
    assert_int_equal(json_integer_value(at(answer.json, "counts.ok")), 1);
    assert_int_equal(json_integer_value(at(answer.json, "counts.down")), 1);
    assert_int_equal(json_integer_value(at(answer.json, "counts.unknown")), 1);
    assert_int_equal(json_integer_value(at(answer.json, "counts.degraded")), 0);
    json_decref(answer.json);
    fleet_free(fleet);
}

static void test_a_failing_server_says_why(void **state)
{
    static const enum state states[] = {STATE_DOWN};
    struct fleet *fleet = fleet_in(states, 1, 1, REQUIRE_ALL);
    struct answer answer = ask(fleet, everything);
    json_t *server = at(answer.json, "endpoints.0.servers.0");

    (void)state;
    assert_text(server, "connection", "Failed");
    assert_text(server, "phase", "startup");
    assert_text(server, "fault", "hba_no_entry_ssl");
    assert_text(server, "class", "hba");
    assert_text(server, "error", "something \"went\" wrong");
    assert_text(server, "sqlstate", NULL);
    assert_text(server, "how", NULL);
    assert_text(server, "last_success", NULL);
    assert_text(server, "since", "2023-11-14T22:13:20.060Z");
    assert_text(server, "tls.version", NULL);
    assert_text(server, "certificate.subject", NULL);
    assert_text(server, "certificate.not_after", NULL);
    assert_text(server, "latency_seconds.startup", NULL);
    assert_true(json_is_string(at(server, "meaning")));
    assert_true(json_is_string(at(server, "remedy")));
    assert_int_equal(json_integer_value(at(server, "failures_in_row")), 1);
    assert_float_equal(json_real_value(at(server, "latency_seconds.dns")), 0.001, 1e-9);
    json_decref(answer.json);
    fleet_free(fleet);
}

static void test_a_good_server_has_its_facts(void **state)
{
    static const enum state states[] = {STATE_UP};
    struct fleet *fleet = fleet_in(states, 1, 1, REQUIRE_ALL);
    struct answer answer = ask(fleet, everything);
    json_t *server = at(answer.json, "endpoints.0.servers.0");

    (void)state;
    assert_text(server, "connection", "OK");
    assert_text(server, "fault", NULL);
    assert_text(server, "phase", NULL);
    assert_text(server, "meaning", NULL);
    assert_text(server, "address", "192.0.2.1");
    assert_text(server, "last_success", "2023-11-14T22:13:20.020Z");
    assert_text(server, "tls.group", "X25519");
    assert_text(server, "tls.alpn", NULL);
    assert_text(server, "certificate.not_after", "2027-01-15T08:00:00Z");
    assert_text(server, "certificate.sans", "DNS:db.example");
    assert_true(json_is_true(at(server, "certificate.chain_verified")));
    assert_text(server, "latency_seconds.auth", NULL);
    json_decref(answer.json);
    fleet_free(fleet);
}

static void test_a_certificate_without_an_end_has_a_date(void **state)
{
    struct server server = fixture_server("c", "e", "s:1");
    struct observation o = fixture_inspect();
    struct fleet *fleet = fleet_new();
    struct fleet_view *view;
    struct answer answer;

    (void)state;
    assert_true(fixture_watch(fleet, fixture_set(&server, 1, REQUIRE_ALL)));
    view = fleet_view(fleet);
    o.chain->certificates[0].not_after = INT64_C(253402300799);
    o.chain->certificates[0].not_before = -1;
    fixture_apply(view->servers[0], o);
    fleet_view_unref(view);
    answer = ask(fleet, everything);
    assert_text(answer.json, "endpoints.0.servers.0.certificate.not_after", "9999-12-31T23:59:59Z");
    assert_text(answer.json, "endpoints.0.servers.0.certificate.not_before",
                "1969-12-31T23:59:59Z");
    json_decref(answer.json);
    fleet_free(fleet);
}

static void test_an_old_result_is_unknown(void **state)
{
    struct server server = fixture_server("c", "e", "s:1");
    struct fleet *fleet = fleet_new();
    struct fleet_view *view;
    struct answer answer;
    int64_t now_ns = clock_monotonic_ns();

    (void)state;
    assert_true(fixture_watch(fleet, fixture_set(&server, 1, REQUIRE_ALL)));
    view = fleet_view(fleet);
    /* The interval in force is 30 s; a login that is old does not matter while inspect fails. */
    fixture_apply_at(view->servers[0], fixture_login(), now_ns - 91 * NS_PER_S);
    fixture_apply_at(view->servers[0], fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP),
                     now_ns - 85 * NS_PER_S);
    answer = ask(fleet, everything);
    assert_text(answer.json, "endpoints.0.servers.0.connection", "Failed");
    json_decref(answer.json);

    fixture_apply_at(view->servers[0], fixture_inspect(), now_ns - 85 * NS_PER_S);
    answer = ask(fleet, everything);
    assert_text(answer.json, "endpoints.0.servers.0.connection", "Unknown");
    assert_text(answer.json, "endpoints.0.servers.0.error", "no result for 91 seconds");
    assert_text(answer.json, "status", "unknown");
    assert_int_equal(answer.status, 503);
    json_decref(answer.json);

    fixture_apply(view->servers[0], fixture_login());
    answer = ask(fleet, everything);
    assert_text(answer.json, "endpoints.0.servers.0.connection", "OK");
    json_decref(answer.json);

    fixture_apply_at(view->servers[0], fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP),
                     now_ns - 91 * NS_PER_S);
    answer = ask(fleet, everything);
    assert_text(answer.json, "endpoints.0.servers.0.connection", "Unknown");
    assert_text(answer.json, "endpoints.0.servers.0.fault", NULL);
    json_decref(answer.json);
    fleet_view_unref(view);
    fleet_free(fleet);
}

static void test_our_own_side_is_unknown_with_a_reason(void **state)
{
    static const enum state states[] = {STATE_UP};
    struct fleet *fleet = fleet_in(states, 1, 1, REQUIRE_ALL);
    struct fleet_view *view = fleet_view(fleet);
    struct answer answer;

    (void)state;
    fixture_apply(view->servers[0],
                  fixture_failure(PROBE_INSPECT, FAULT_LOCAL_DESCRIPTORS, PHASE_TCP));
    fleet_view_unref(view);
    answer = ask(fleet, everything);
    assert_text(answer.json, "endpoints.0.servers.0.connection", "Unknown");
    assert_text(answer.json, "endpoints.0.servers.0.class", "internal");
    assert_text(answer.json, "endpoints.0.servers.0.fault", "local_descriptors");
    json_decref(answer.json);
    fleet_free(fleet);
}

static void test_selection_and_brief(void **state)
{
    static const enum state states[] = {STATE_UP, STATE_DOWN};
    struct fleet *fleet = fleet_in(states, 2, 1, REQUIRE_ALL);
    struct health_query query = everything;
    struct answer answer;

    (void)state;
    query.cluster = "c";
    query.endpoint = "e0";
    answer = ask(fleet, query);
    assert_int_equal(answer.status, 200);
    assert_int_equal(json_array_size(at(answer.json, "endpoints")), 1);
    json_decref(answer.json);

    query.endpoint = "nothing";
    answer = ask(fleet, query);
    assert_int_equal(answer.status, 404);
    assert_int_equal(json_array_size(at(answer.json, "endpoints")), 0);
    json_decref(answer.json);

    query = everything;
    query.brief = true;
    answer = ask(fleet, query);
    assert_int_equal(answer.status, 503);
    assert_null(at(answer.json, "endpoints"));
    assert_int_equal(json_integer_value(at(answer.json, "counts.down")), 1);
    json_decref(answer.json);
    fleet_free(fleet);
}

/* "c" is configured and watched here; "orders" lives in shard 0 of 3 (docs/scaling.md). */
static void test_an_empty_selection_says_why(void **state)
{
    static const enum state states[] = {STATE_UP};
    static const struct {
        const char *cluster, *endpoint;
        struct shard shard;
        int wanted; /* -1: null, -2: the whole shard is */
        const char *message;
    } rows[] = {
        {NULL, NULL, {0, 1}, -2, NULL},
        {"c", NULL, {0, 0}, -2, NULL},
        {"x", NULL, {0, 1}, -2, "No cluster of this name is configured."},
        {"c", "x", {0, 1}, -2, "The cluster has no endpoint of this name."},
        {NULL, "x", {0, 1}, -2, "No endpoint of this name is watched here."},
        {NULL, NULL, {1, 3}, -1, NULL},
        {"orders", NULL, {0, 3}, 0, "No cluster of this name is configured."},
        {"orders",
         "write",
         {1, 3},
         0,
         "No cluster of this name is watched here: if it is configured, it belongs to the exporter "
         "with --shard=0 of --total-shards=3. This is shard 1."},
    };
    struct fleet *fleet = fleet_in(states, 1, 1, REQUIRE_ALL);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer answer = ask(fleet, (struct health_query){.require = REQUIRE_ALL,
                                                                .cluster = rows[i].cluster,
                                                                .endpoint = rows[i].endpoint,
                                                                .shard = rows[i].shard});

        assert_int_equal(answer.status, rows[i].message ? 404 : 200);
        assert_text(answer.json, "message", rows[i].message);
        assert_int_equal(json_is_null(at(answer.json, "shard")), rows[i].wanted == -2);
        if (rows[i].wanted == -1)
            assert_text(answer.json, "shard.wanted", NULL);
        else if (rows[i].wanted >= 0)
            assert_int_equal(json_integer_value(at(answer.json, "shard.wanted")), rows[i].wanted);
        json_decref(answer.json);
    }
    fleet_free(fleet);
}

static void test_a_small_buffer_is_an_error(void **state)
{
    static const enum state states[] = {STATE_UP};
    struct fleet *fleet = fleet_in(states, 1, 1, REQUIRE_ALL);
    struct fleet_view *view = fleet_view(fleet);
    struct buf text = BUF_INIT(100);

    (void)state;
    assert_int_equal(health_document(view, &everything, &text), 500);
    buf_deinit(&text);
    fleet_view_unref(view);
    fleet_free(fleet);
}

/* Every key of the document, as paths, one "json …" line each: the form of docs/api-names.txt. */
static void collect(const json_t *json, const char *path, struct buf *to)
{
    const char *key;
    const json_t *value;

    if (json_is_array(json)) {
        char item[256];

        snprintf(item, sizeof item, "%s[]", path);
        collect(json_array_get(json, 0), item, to);
    }
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        char below[256];

        snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
        buf_addf(to, "json %s\n", below);
        collect(value, below, to);
    }
}

#define FIRST_SESSION "endpoints.0.servers.0.sessions.0"

static void test_sessions_and_their_latest_drop(void **state)
{
    static const enum state states[] = {STATE_UP};
    const struct session_drop drop = {.how = SESSION_END_SERVER_MESSAGE,
                                      .age_ns = 3 * NS_PER_S / 2,
                                      .idle_ns = NS_PER_S,
                                      .sqlstate = "57P01",
                                      .error = "terminating"};
    struct fleet *fleet = fleet_in(states, 1, 1, REQUIRE_ALL);
    struct fleet_view *view = fleet_view(fleet);
    struct answer answer = ask(fleet, everything);
    json_t *json = at(answer.json, FIRST_SESSION);

    (void)state;
    assert_text(json, "session", "60s");
    assert_true(json_is_null(json_object_get(json, "up")));
    assert_true(json_is_null(json_object_get(json_object_get(json, "last_drop"), "how")));
    json_decref(answer.json);

    fleet_session_opened(view->servers[0], "60s");
    fleet_session_dropped(view->servers[0], "60s", &drop);
    answer = ask(fleet, everything);
    json = at(answer.json, FIRST_SESSION);
    assert_true(json_is_false(json_object_get(json, "up")));
    assert_int_equal(json_integer_value(json_object_get(json, "drops")), 1);
    json = json_object_get(json, "last_drop");
    assert_text(json, "how", "server_message");
    assert_text(json, "sqlstate", "57P01");
    assert_text(json, "error", "terminating");
    assert_float_equal(json_real_value(json_object_get(json, "age_seconds")), 1.5, 1e-9);
    json_decref(answer.json);
    fleet_view_unref(view);
    fleet_free(fleet);
}

static void test_keys_are_the_ones_promised(void **state)
{
    static const enum state states[] = {STATE_UNKNOWN, STATE_UNKNOWN};
    struct fleet *fleet = fleet_in(states, 2, 2, REQUIRE_ALL);
    struct fleet_view *view = fleet_view(fleet);
    struct answer answer;
    struct buf promised = BUF_INIT((size_t)1 << 20), found = BUF_INIT((size_t)1 << 20);
    const char *keys;

    (void)state;
    show(view->servers[0], 1, 0);
    show(view->servers[1], 2, 0); /* with all there is to say when they differ */
    fleet_view_unref(view);
    answer = ask(fleet, (struct health_query){.require = REQUIRE_ALL, .shard = {0, 2}});
    collect(answer.json, "", &found);
    expose_print_names(&promised);
    keys = strstr(buf_text(&promised), "json ");
    assert_non_null(keys);
    assert_string_equal(keys, buf_text(&found));
    buf_deinit(&promised);
    buf_deinit(&found);
    json_decref(answer.json);
    fleet_free(fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_of_a_selection),
        cmocka_unit_test(test_a_broken_promise_degrades),
        cmocka_unit_test(test_status_of_an_endpoint_of_two),
        cmocka_unit_test(test_failing_first),
        cmocka_unit_test(test_a_failing_server_says_why),
        cmocka_unit_test(test_a_good_server_has_its_facts),
        cmocka_unit_test(test_a_certificate_without_an_end_has_a_date),
        cmocka_unit_test(test_an_old_result_is_unknown),
        cmocka_unit_test(test_our_own_side_is_unknown_with_a_reason),
        cmocka_unit_test(test_selection_and_brief),
        cmocka_unit_test(test_an_empty_selection_says_why),
        cmocka_unit_test(test_a_small_buffer_is_an_error),
        cmocka_unit_test(test_sessions_and_their_latest_drop),
        cmocka_unit_test(test_keys_are_the_ones_promised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
