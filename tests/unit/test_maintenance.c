/* What is left alone on purpose: in the model, the health document, the exposition and the
 * configuration. */
#include "config_world.h"
#include "scrape.h"

#include "pgtls/expose/health.h"

#include <jansson.h>

/* Two endpoints, the first of two servers; which are left alone changes by set_pauses(). */
static struct server servers[3];
static struct fleet *fleet;
static struct fleet_view *view;

static void set_pauses(enum require require, const char *a, const char *b, const char *c)
{
    const char *texts[] = {a, b, c};

    for (size_t i = 0; i < 3; i++)
        servers[i].maintenance = texts[i];
    assert_true(fixture_watch(fleet, fixture_set(servers, 3, require)));
    fleet_view_unref(view);
    view = fleet_view(fleet);
}

static int set_up(void **state)
{
    (void)state;
    servers[0] = fixture_server("c", "write", "a:5432");
    servers[1] = fixture_server("c", "write", "b:5432");
    servers[2] = fixture_server("c", "read", "c:5432");
    fleet = fleet_new();
    view = NULL;
    for (size_t i = 0; i < 3; i++)
        servers[i].login = false;
    set_pauses(REQUIRE_ALL, NULL, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fleet_view_unref(view);
    fleet_free(fleet);
    return 0;
}

static struct fleet_change probe(size_t i, bool good)
{
    return fixture_apply(view->servers[i],
                         good ? fixture_inspect()
                              : fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
}

static enum state endpoint(size_t i)
{
    return fleet_endpoint_state(view, &view->set->endpoints[i]);
}

static void test_it_becomes_unknown_and_nothing_is_counted(void **state)
{
    const struct probe_state *p = &view->servers[0]->probes[PROBE_INSPECT];
    struct fleet_change change;

    (void)state;
    probe(0, false);
    assert_int_equal(view->servers[0]->state, STATE_DOWN);
    set_pauses(REQUIRE_ALL, "storage", NULL, NULL);
    assert_int_equal(view->servers[0]->state, STATE_UNKNOWN);
    assert_null(server_state_culprit(view->servers[0], NULL));
    change = probe(0, false); /* was in flight */
    assert_false(change.changed);
    assert_int_equal(change.after, STATE_UNKNOWN);
    assert_int_equal(p->probes, 1);
    assert_int_equal(p->failures[FAULT_CLASS_NETWORK], 1);
    set_pauses(REQUIRE_ALL, NULL, NULL, NULL);
    assert_int_equal(view->servers[0]->state, STATE_UNKNOWN);
    probe(0, true);
    assert_int_equal(view->servers[0]->state, STATE_UP);
    assert_int_equal(p->probes, 2);
}

static void test_an_endpoint_goes_by_its_other_servers(void **state)
{
    (void)state;
    probe(0, true);
    probe(1, true);
    for (enum require require = REQUIRE_ANY; require <= REQUIRE_ALL; require++) {
        set_pauses(require, NULL, "storage", NULL);
        assert_int_equal(endpoint(0), STATE_UP);
        probe(0, false);
        assert_int_equal(endpoint(0), STATE_DOWN);
        probe(0, true);
        set_pauses(require, "storage", "storage", NULL);
        assert_int_equal(endpoint(0), STATE_UNKNOWN);
        set_pauses(require, NULL, "storage", NULL);
        probe(0, true);
    }
}

static void test_promises_are_those_of_the_others(void **state)
{
    static const struct network there = {.bits = 128};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        servers[i].promises.addresses = &there;
        servers[i].promises.n_addresses = 1;
    }
    set_pauses(REQUIRE_ALL, NULL, NULL, NULL);
    probe(0, true);
    probe(1, true);
    assert_int_equal(fleet_endpoint_promise(view, &view->set->endpoints[0], PROMISE_ADDRESSES),
                     VERDICT_NO);
    set_pauses(REQUIRE_ALL, "storage", "storage", NULL);
    assert_int_equal(fleet_endpoint_promise(view, &view->set->endpoints[0], PROMISE_ADDRESSES),
                     VERDICT_UNKNOWN);
}

/* --- health ----------------------------------------------------------------------------------- */

static json_t *ask(int *status)
{
    const struct health_query query = {.require = REQUIRE_ALL};
    struct buf text = BUF_INIT((size_t)1 << 20);
    json_t *json;

    *status = health_document(view, &query, &text);
    json = json_loads(buf_text(&text), 0, NULL);
    assert_non_null(json);
    buf_deinit(&text);
    return json;
}

static void assert_health(int status, const char *word, int unknown, int maintenance)
{
    int found;
    json_t *json = ask(&found), *counts = json_object_get(json, "counts");

    assert_int_equal(found, status);
    assert_string_equal(json_string_value(json_object_get(json, "status")), word);
    assert_int_equal(json_integer_value(json_object_get(counts, "unknown")), unknown);
    assert_int_equal(json_integer_value(json_object_get(counts, "maintenance")), maintenance);
    json_decref(json);
}

static void test_planned_silence_is_no_503(void **state)
{
    (void)state;
    assert_health(503, "unknown", 2, 0);
    probe(2, true);
    set_pauses(REQUIRE_ALL, "storage", "storage", NULL);
    assert_health(200, "ok", 1, 1);
    set_pauses(REQUIRE_ALL, "storage", "storage", "too");
    assert_health(200, "unknown", 2, 2);
    set_pauses(REQUIRE_ALL, "storage", "storage", NULL);
    assert_health(503, "unknown", 2, 1);
    probe(2, false);
    assert_health(503, "down", 1, 1);
}

static void test_health_says_why(void **state)
{
    int status;
    json_t *json, *endpoint, *server;

    (void)state;
    servers[2].disabled = true;
    set_pauses(REQUIRE_ALL, "storage", NULL, NULL);
    json = ask(&status);
    for (size_t i = 0; i < 2; i++) {
        endpoint = json_array_get(json_object_get(json, "endpoints"), i);
        if (strcmp(json_string_value(json_object_get(endpoint, "endpoint")), "read") == 0)
            assert_string_equal(json_string_value(json_object_get(endpoint, "maintenance")),
                                "disabled");
        else
            assert_true(json_is_null(json_object_get(endpoint, "maintenance")));
    }
    endpoint = json_array_get(json_object_get(json, "endpoints"), 0);
    server = json_array_get(json_object_get(endpoint, "servers"), 0);
    assert_string_equal(json_string_value(json_object_get(server, "maintenance")), "storage");
    assert_string_equal(json_string_value(json_object_get(server, "connection")), "Unknown");
    json_decref(json);
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void test_what_is_shown(void **state)
{
    struct buf body;

    (void)state;
    probe(0, false);
    probe(2, true);
    set_pauses(REQUIRE_ALL, "new \"storage\"", NULL, NULL);
    self_init(&self);
    body = scrape(fleet, METRICS_TEXT);
    assert_non_null(strstr(buf_text(&body),
                           "\npgtls_maintenance_info{pg_cluster=\"c\",pg_endpoint=\"write\","
                           "server=\"a:5432\",text=\"new \\\"storage\\\"\"} 1\n"));
    assert_null(strstr(buf_text(&body), "pgtls_maintenance_info{pg_cluster=\"c\",pg_endpoint="
                                        "\"read\""));
    assert_null(strstr(buf_text(&body), "\npgtls_fault_active{"));
    assert_null(
        strstr(buf_text(&body),
               "\npgtls_last_probe_timestamp_seconds{pg_cluster=\"c\",pg_endpoint=\"write\""));
    assert_non_null(strstr(buf_text(&body), "\npgtls_up{pg_cluster=\"c\",pg_endpoint=\"read\""));
    assert_non_null(strstr(buf_text(&body), "server=\"a:5432\",probe=\"inspect\",class=\"network\""
                                            "} 1\n"));
    buf_deinit(&body);
}

/* --- the configuration ------------------------------------------------------------------------ */

static void test_keys(void **state)
{
    static const struct {
        const char *text, *pause;
    } rows[] = {
        {"clusters: [{name: c, host: h}]", NULL},
        {"clusters: [{name: c, host: h, enabled: true}]", NULL},
        {"clusters: [{name: c, host: h, enabled: false}]", "disabled"},
        {"defaults: {enabled: false}\nclusters: [{name: c, host: h, enabled: true}]", NULL},
        {"clusters: [{name: c, host: h, maintenance: moving}]", "moving"},
        {"clusters: [{name: c, host: h, maintenance: 'false'}]", "false"},
        {"clusters: [{name: c, host: h, enabled: false, maintenance: moving}]", "moving"},
        {"defaults: {maintenance: all}\nclusters: [{name: c, host: h}]", "all"},
        {"defaults: {maintenance: all}\nclusters: [{name: c, host: h, maintenance: false}]", NULL},
        {"defaults: {maintenance: all}\nclusters: [{name: c, host: h, maintenance: null}]", NULL},
        {"defaults: {maintenance: 'moving {cluster}'}\nclusters: [{name: c, host: h}]", "moving c"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct endpoint_set *set = load(rows[i].text);
        const char *pause;

        if (!set)
            fail_msg("%s: %s", rows[i].text, messages.items[0].text);
        pause = server_pause(&set->servers[0]);
        if (!pause != !rows[i].pause || (pause && strcmp(pause, rows[i].pause) != 0))
            fail_msg("%s: %s", rows[i].text, pause ? pause : "none");
        endpoint_set_unref(set);
    }
    assert_null(load("clusters: [{name: c, host: h, maintenance: true}]"));
    assert_non_null(strstr(messages.items[0].text, "maintenance: say why, for whoever sees it"));
    assert_null(load("clusters: [{name: c, host: h, maintenance: ''}]"));
    assert_null(load("clusters: [{name: c, host: h, maintenance: [a]}]"));
    config_messages_deinit(&messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_becomes_unknown_and_nothing_is_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_endpoint_goes_by_its_other_servers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_promises_are_those_of_the_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_planned_silence_is_no_503, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_health_says_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_shown, set_up, tear_down),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
