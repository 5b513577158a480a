/* What is known of watched sessions: counted by name, kept over a reload, told as metrics. */
#include "fleet_fixture.h"

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct session_config minute = {.name = "60s", .idle_ns = 60 * NS_PER_S};
static const struct session_config both[] = {{.name = "pool", .idle_ns = 300 * NS_PER_S},
                                             {.name = "60s", .idle_ns = 60 * NS_PER_S}};

static struct fleet_view *set_sessions(struct fleet *fleet, const struct session_config *sessions,
                                       size_t n)
{
    struct server server = fixture_server("c", "write", "db:5432");
    struct endpoint_set *set;

    server.sessions = sessions;
    server.n_sessions = n;
    set = fixture_set(&server, 1, REQUIRE_ANY);
    assert_true(fleet_set(fleet, set));
    endpoint_set_unref(set);
    return fleet_view(fleet);
}

static void test_life_and_drops(void **state)
{
    const struct session_drop drop = {.how = SESSION_END_SERVER_MESSAGE,
                                      .age_ns = 400 * NS_PER_S,
                                      .idle_ns = 60 * NS_PER_S,
                                      .sqlstate = "57P01"};
    struct fleet *fleet = fleet_new();
    struct fleet_view *view = set_sessions(fleet, &minute, 1);
    struct server_state *s = view->servers[0];
    const struct session_state *session = &s->sessions[0];

    (void)state;
    assert_int_equal(s->n_sessions, 1);
    assert_false(session->known);
    fleet_session_opened(s, "60s");
    assert_true(session->known && session->up && session->started_realtime_ns > 0);
    fleet_session_dropped(s, "60s", &drop);
    assert_true(session->known && !session->up);
    assert_int_equal(session->drops[SESSION_END_SERVER_MESSAGE], 1);
    assert_int_equal(session->lifetime[4], 1); /* 300 < 400 <= 900 */
    assert_int_equal(session->idle[2], 1);     /* 10 < 60 <= 60 */
    assert_int_equal(session->lifetime_sum_ns, drop.age_ns);
    assert_string_equal(session->last.sqlstate, "57P01");
    fleet_session_closed(s, "60s", true);
    assert_true(session->known && !session->up);
    fleet_session_closed(s, "60s", false);
    assert_false(session->known);
    fleet_session_dropped(s, "nobody", &drop);
    assert_int_equal(session->drops[SESSION_END_SERVER_MESSAGE], 1);
    fleet_view_unref(view);
    fleet_free(fleet);
}

static void test_counters_follow_the_name(void **state)
{
    const struct session_drop drop = {.how = SESSION_END_RST, .age_ns = 1, .idle_ns = 1};
    struct fleet *fleet = fleet_new();
    struct fleet_view *view = set_sessions(fleet, &minute, 1);
    struct server_state *s;

    (void)state;
    fleet_session_dropped(view->servers[0], "60s", &drop);
    fleet_view_unref(view);
    view = set_sessions(fleet, both, 2);
    s = view->servers[0];
    assert_int_equal(s->n_sessions, 2);
    assert_int_equal(s->sessions[0].drops[SESSION_END_RST], 0);
    assert_int_equal(s->sessions[1].drops[SESSION_END_RST], 1);
    fleet_view_unref(view);
    view = set_sessions(fleet, NULL, 0);
    assert_int_equal(view->servers[0]->n_sessions, 0);
    fleet_view_unref(view);
    fleet_free(fleet);
}

static void test_every_end_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(session_end_name(SESSION_END_NONE), "");
    for (size_t i = SESSION_END_NONE + 1; i < SESSION_END_COUNT; i++)
        assert_true(session_end_name((enum session_end)i)[0] != '\0');
}

static void test_what_counts_as_another_session(void **state)
{
    struct session_config changed[2] = {both[0], both[1]};
    struct server a = fixture_server("c", "e", "s"), b = a;

    (void)state;
    a.sessions = both;
    b.sessions = changed;
    a.n_sessions = b.n_sessions = 2;
    assert_true(server_sessions_alike(&a, &b));
    changed[1].idle_ns++;
    assert_false(server_sessions_alike(&a, &b));
    changed[1] = both[1];
    changed[1].keepalives_idle_ns++;
    assert_false(server_sessions_alike(&a, &b));
    changed[1] = both[1];
    changed[0].name = "other";
    assert_false(server_sessions_alike(&a, &b));
    b.n_sessions = 1;
    assert_false(server_sessions_alike(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_and_drops),
        cmocka_unit_test(test_counters_follow_the_name),
        cmocka_unit_test(test_every_end_has_a_name),
        cmocka_unit_test(test_what_counts_as_another_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
