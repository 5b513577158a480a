/* model/: the last hour of a server and its latest probes, at given times. */
#include "fleet_fixture.h"

#include "pgtls/model/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MINUTE (60 * NS_PER_S)

static void add(struct history *h, struct observation o, int64_t now_ns)
{
    history_add(h, &o, now_ns);
    observation_deinit(&o);
}

static struct observation good(int64_t phase_ns)
{
    struct observation o = fixture_inspect();

    for (size_t i = PHASE_DNS; i <= PHASE_STARTUP; i++)
        o.phases[i].duration_ns = phase_ns;
    return o;
}

static void test_a_minute_keeps_the_slowest_and_counts_failures(void **state)
{
    struct history h = {0};
    int64_t now = 1000 * MINUTE + 5 * NS_PER_S;

    (void)state;
    add(&h, good(2 * NS_PER_MS), now);
    add(&h, good(4 * NS_PER_MS), now + NS_PER_S);
    add(&h, good(3 * NS_PER_MS), now + 2 * NS_PER_S);
    add(&h, fixture_login(), now + 2 * NS_PER_S); /* whose steps are another sum */
    assert_float_equal(history_minute(&h, 0, now).slowest_s, 0.020, 1e-6);
    assert_int_equal(history_minute(&h, 0, now).failures, 0);
    for (int i = 0; i < 300; i++)
        add(&h, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP), now);
    assert_int_equal(history_minute(&h, 0, now).failures, 255);
    assert_float_equal(history_minute(&h, 0, now).slowest_s, 0.020, 1e-6);
}

static void test_time_goes_by(void **state)
{
    struct history h = {0};
    int64_t now = 1000 * MINUTE;

    (void)state;
    add(&h, good(NS_PER_MS), now);
    assert_float_equal(history_minute(&h, 7, now + 7 * MINUTE).slowest_s, 0.005, 1e-6);
    assert_float_equal(history_minute(&h, 0, now + 7 * MINUTE).slowest_s, 0, 1e-9);
    add(&h, good(2 * NS_PER_MS), now + 59 * MINUTE);
    assert_float_equal(history_minute(&h, 59, now + 59 * MINUTE).slowest_s, 0.005, 1e-6);
    assert_float_equal(history_minute(&h, 0, now + 59 * MINUTE).slowest_s, 0.010, 1e-6);
    for (size_t i = 1; i < 59; i++)
        assert_float_equal(history_minute(&h, i, now + 59 * MINUTE).slowest_s, 0, 1e-9);
    /* An hour later the first one's place is somebody else's, also if nothing came since. */
    assert_float_equal(history_minute(&h, 59, now + 60 * MINUTE).slowest_s, 0, 1e-9);
    assert_float_equal(history_minute(&h, 0, now + 119 * MINUTE).slowest_s, 0, 1e-9);
    add(&h, good(3 * NS_PER_MS), now + 1000 * MINUTE);
    for (size_t i = 1; i < HISTORY_MINUTES; i++)
        assert_float_equal(history_minute(&h, i, now + 1000 * MINUTE).slowest_s, 0, 1e-9);
}

static void test_the_latest_probes(void **state)
{
    struct history h = {0};
    struct observation slow = good(INT64_C(5000) * NS_PER_S);

    (void)state;
    assert_null(history_probe(&h, 0));
    add(&h, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP), MINUTE);
    assert_int_equal(history_probe(&h, 0)->fault, FAULT_TCP_REFUSED);
    assert_int_equal(history_probe(&h, 0)->failed_in, PHASE_TCP);
    assert_int_equal(history_probe(&h, 0)->completed, 1u << PHASE_DNS);
    assert_null(history_probe(&h, 1));
    for (int i = 0; i < 7; i++)
        add(&h, good((i + 1) * NS_PER_MS), MINUTE);
    assert_int_equal(history_probe(&h, 0)->phases_us[PHASE_TLS], 7000);
    assert_int_equal(history_probe(&h, 6)->phases_us[PHASE_TLS], 1000);
    assert_int_equal(history_probe(&h, 7)->fault, FAULT_TCP_REFUSED);
    add(&h, slow, MINUTE);
    assert_int_equal(history_probe(&h, 0)->phases_us[PHASE_TLS], UINT32_MAX);
    assert_int_equal(history_probe(&h, 7)->phases_us[PHASE_TLS], 1000);
    assert_null(history_probe(&h, HISTORY_PROBES));
}

/* What ten thousand of them take is 10,000 times this. */
static void test_it_is_small_and_taken_when_there_is_something_to_tell(void **state)
{
    struct server server = fixture_server("c", "write", "db:5432");
    struct observation internal = fixture_failure(PROBE_INSPECT, FAULT_LOCAL_MEMORY, PHASE_TCP);
    struct fleet *fleet = fleet_new();
    struct fleet_view *view;

    (void)state;
    assert_true(sizeof(struct history) <= 1024);
    assert_true(fixture_watch(fleet, fixture_set(&server, 1, REQUIRE_ALL)));
    view = fleet_view(fleet);
    assert_null(view->servers[0]->history);
    fixture_apply(view->servers[0], internal);
    assert_null(view->servers[0]->history);
    fixture_apply_at(view->servers[0], fixture_inspect(), 5 * MINUTE);
    assert_non_null(view->servers[0]->history);
    assert_float_equal(history_minute(view->servers[0]->history, 0, 5 * MINUTE).slowest_s, 0.015,
                       1e-6);
    fleet_view_unref(view);
    fleet_free(fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_minute_keeps_the_slowest_and_counts_failures),
        cmocka_unit_test(test_time_goes_by),
        cmocka_unit_test(test_the_latest_probes),
        cmocka_unit_test(test_it_is_small_and_taken_when_there_is_something_to_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
