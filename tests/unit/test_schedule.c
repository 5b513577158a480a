/* probe/: when a probe is due, how failures back off, what the caps let through. */
#include "pgtls/base/clock.h"
#include "pgtls/model/server.h"
#include "pgtls/probe/caps.h"
#include "pgtls/probe/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_a_server_keeps_its_moment(void **state)
{
    const int64_t interval = 30 * NS_PER_S;

    (void)state;
    for (uint64_t hash = 1; hash < 1000; hash += 7) {
        uint64_t key = hash * UINT64_C(0x9e3779b97f4a7c15);
        int64_t first = schedule_next(key, interval, 12345 * NS_PER_S + 17);

        assert_true(first > 12345 * NS_PER_S + 17);
        assert_true(first <= 12345 * NS_PER_S + 17 + interval);
        assert_true(schedule_next(key, interval, first) == first + interval);
        assert_true(schedule_next(key, interval, first - 1) == first);
    }
}

static void test_servers_spread_over_the_interval(void **state)
{
    enum { TENTHS = 10, SERVERS = 10000 };
    const int64_t interval = 10 * NS_PER_S;
    int tenths[TENTHS] = {0};

    (void)state;
    for (int i = 0; i < SERVERS; i++) {
        char name[32];
        int64_t due;

        snprintf(name, sizeof name, "db%d:5432", i);
        due = schedule_next(server_key_hash("c", "write", name), interval, 0);
        tenths[due % interval * TENTHS / interval]++;
    }
    for (int i = 0; i < TENTHS; i++)
        assert_in_range(tenths[i], SERVERS / TENTHS * 85 / 100, SERVERS / TENTHS * 115 / 100);
}

/* Turns at 0.3 s of each second. */
static void test_turns_left_out_are_counted(void **state)
{
    static const struct {
        int due_ms, started_ms, ended_ms, next_ms, skipped;
    } rows[] = {
        {10300, 10300, 10310, 11300, 0}, /* as it should be */
        {10300, 10301, 11299, 11300, 0}, /* late and slow, but over in time */
        {10300, 10300, 11300, 12300, 1}, /* still running when the next one was due */
        {10300, 10300, 15310, 16300, 5}, /* hung */
        {10300, 12400, 12410, 13300, 2}, /* held back by a cap */
        {10300, 11000, 11010, 12300, 1}, /* held back: the next turn would follow at once */
        {9900, 9900, 9910, 11300, 0},    /* out of turn, as the first one */
        {9900, 9900, 10400, 11300, 0},   /* out of turn, over what was no turn of its */
        {10300, 14200, 17400, 18300, 7}, /* both */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t due = rows[i].due_ms * NS_PER_MS, started = rows[i].started_ms * NS_PER_MS,
                ended = rows[i].ended_ms * NS_PER_MS;
        const uint64_t hash = 300 * (uint64_t)NS_PER_MS;

        assert_int_equal(schedule_after(hash, NS_PER_S, NS_PER_S, started, ended) / NS_PER_MS,
                         rows[i].next_ms);
        assert_int_equal(schedule_skipped(hash, NS_PER_S, NS_PER_S, due, started, ended),
                         rows[i].skipped);
    }
}

/* Whatever the server's moment, and however late it started. */
static void test_a_backoff_is_never_exceeded(void **state)
{
    const int64_t base = 4 * NS_PER_S, interval = 16 * NS_PER_S;

    (void)state;
    for (uint64_t hash = 1; hash < 2000; hash++) {
        uint64_t key = hash * UINT64_C(0x9e3779b97f4a7c15);
        int64_t due = 100 * NS_PER_S, started = due + NS_PER_MS, ended = started + NS_PER_MS;

        assert_int_equal(schedule_after(key, base, interval, started, ended), started + interval);
        assert_int_equal(schedule_skipped(key, base, interval, due, started, ended), 0);
        assert_int_equal(schedule_skipped(key, base, base, due, started, ended), 0);
        assert_true(schedule_after(key, base, base, started, ended) <= started + base * 3 / 2);
    }
    assert_int_equal(schedule_after(1, base, interval, 0, 17 * NS_PER_S), 17 * NS_PER_S);
}

/* 1 s, 2, 4, … 60; from half to the whole of it, whatever the dice are. */
static void test_reopen(void **state)
{
    static const struct {
        uint64_t failures;
        int most_s;
    } rows[] = {{1, 1}, {2, 2}, {3, 4}, {6, 32}, {7, 60}, {8, 60}, {UINT64_MAX, 60}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t most_ns = rows[i].most_s * NS_PER_S;

        assert_int_equal(schedule_reopen(rows[i].failures, 0), most_ns / 2);
        assert_int_equal(schedule_reopen(rows[i].failures, (uint64_t)(most_ns / 2)), most_ns);
        for (uint64_t dice = 1; dice; dice <<= 1) {
            int64_t wait_ns = schedule_reopen(rows[i].failures, dice - 1);

            assert_in_range(wait_ns, most_ns / 2, most_ns);
        }
    }
}

static void test_backoff(void **state)
{
    static const struct {
        enum probe_kind kind;
        enum fault_class class;
        int interval_s, failures, expected_s;
    } rows[] = {
        {PROBE_INSPECT, FAULT_CLASS_NETWORK, 10, 0, 10},
        {PROBE_INSPECT, FAULT_CLASS_NETWORK, 10, 1, 10},
        {PROBE_INSPECT, FAULT_CLASS_NETWORK, 10, 2, 20},
        {PROBE_INSPECT, FAULT_CLASS_NETWORK, 10, 3, 40},
        {PROBE_INSPECT, FAULT_CLASS_NETWORK, 10, 99, 40},
        {PROBE_INSPECT, FAULT_CLASS_NETWORK, 30, 99, 60},
        {PROBE_INSPECT, FAULT_CLASS_AUTH, 30, 99, 60},
        {PROBE_INSPECT, FAULT_CLASS_NETWORK, 300, 99, 300}, /* never more often than asked */
        {PROBE_LOGIN, FAULT_CLASS_NETWORK, 60, 99, 60},
        {PROBE_LOGIN, FAULT_CLASS_AUTH, 60, 1, 60},
        {PROBE_LOGIN, FAULT_CLASS_AUTH, 60, 4, 480},
        {PROBE_LOGIN, FAULT_CLASS_AUTH, 60, 99, 900},
        {PROBE_LOGIN, FAULT_CLASS_CAPACITY, 60, 1000000, 900},
        {PROBE_LOGIN, FAULT_CLASS_AUTH, 3600, 99, 3600},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(schedule_backoff(rows[i].kind, rows[i].class,
                                          rows[i].interval_s * NS_PER_S,
                                          (uint64_t)rows[i].failures),
                         rows[i].expected_s * NS_PER_S);
}

/* The two paces as the tests mostly want them. */
static enum cap enter(struct caps *caps, const char *address)
{
    return caps_enter(caps, address, PACE_PROMPT, 0);
}

static bool leave(struct caps *caps, const char *address)
{
    return caps_leave(caps, address, PACE_PROMPT);
}

static void test_caps_in_all_and_per_address(void **state)
{
    const struct settings settings = {.max_in_flight = 5, .max_in_flight_per_address = 2};
    struct caps caps = {0};

    (void)state;
    caps_set(&caps, &settings, 1, 0);
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_NONE);
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_NONE);
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_ADDRESS);
    assert_int_equal(enter(&caps, "10.0.0.2"), CAP_NONE);
    assert_int_equal(enter(&caps, ""), CAP_NONE);
    assert_int_equal(enter(&caps, ""), CAP_NONE);
    assert_int_equal(enter(&caps, "10.0.0.3"), CAP_IN_FLIGHT);
    assert_true(caps_full(&caps, PACE_PROMPT));
    assert_true(leave(&caps, "")); /* the whole was full: others may enter */
    assert_false(caps_full(&caps, PACE_PROMPT));
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_ADDRESS);
    assert_false(caps_full(&caps, PACE_PROMPT)); /* only that address */
    assert_false(leave(&caps, "10.0.0.2"));      /* nobody waited for it */
    assert_int_equal(enter(&caps, "10.0.0.2"), CAP_NONE);
    assert_true(leave(&caps, "10.0.0.1"));
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_NONE);
    caps_deinit(&caps);
}

/* Of 8 places 2 are kept for those who answered promptly, and so at an address. */
static void test_those_that_hang_leave_places_to_the_prompt(void **state)
{
    const struct settings settings = {.max_in_flight = 8, .max_in_flight_per_address = 4};
    struct caps caps = {0};

    (void)state;
    caps_set(&caps, &settings, 1, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(caps_enter(&caps, "10.0.0.1", PACE_OTHER, 0), CAP_NONE);
    assert_int_equal(caps_enter(&caps, "10.0.0.1", PACE_OTHER, 0), CAP_ADDRESS);
    assert_false(caps_full(&caps, PACE_OTHER));
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_NONE);
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_ADDRESS);
    assert_true(leave(&caps, "10.0.0.1"));
    for (int i = 0; i < 3; i++)
        assert_int_equal(caps_enter(&caps, "10.0.0.2", PACE_OTHER, 0), CAP_NONE);
    assert_int_equal(caps_enter(&caps, "10.0.0.3", PACE_OTHER, 0), CAP_IN_FLIGHT_SLOW);
    assert_true(caps_full(&caps, PACE_OTHER));
    assert_false(caps_full(&caps, PACE_PROMPT));
    assert_int_equal(enter(&caps, "10.0.0.3"), CAP_NONE);
    assert_int_equal(enter(&caps, "10.0.0.3"), CAP_NONE);
    assert_int_equal(enter(&caps, "10.0.0.3"), CAP_IN_FLIGHT);
    assert_true(leave(&caps, "10.0.0.3"));
    assert_int_equal(caps_enter(&caps, "10.0.0.3", PACE_OTHER, 0), CAP_IN_FLIGHT_SLOW);
    assert_true(caps_leave(&caps, "10.0.0.2", PACE_OTHER));
    assert_int_equal(caps_enter(&caps, "10.0.0.3", PACE_OTHER, 0), CAP_NONE);
    caps_deinit(&caps);
}

/* A place that nobody but the prompt could take would keep a new server out for ever. */
static void test_the_only_place_is_for_everybody(void **state)
{
    static const size_t open[] = {0, 1, 1, 2, 3, 4, 5, 6, 6}; /* to the others, of so many */

    (void)state;
    for (size_t max = 1; max < sizeof open / sizeof *open; max++) {
        const struct settings settings = {.max_in_flight = max};
        struct caps caps = {0};
        size_t entered = 0;

        caps_set(&caps, &settings, 1, 0);
        while (caps_enter(&caps, "", PACE_OTHER, 0) == CAP_NONE)
            entered++;
        assert_int_equal(entered, open[max]);
        caps_deinit(&caps);
    }
}

/* Who came in before there was a cap is counted when a reload sets one. */
static void test_a_cap_that_comes_later(void **state)
{
    struct settings settings = {.max_in_flight = 10};
    struct caps caps = {0};

    (void)state;
    caps_set(&caps, &settings, 1, 0);
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_NONE);
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_NONE);
    settings.max_in_flight_per_address = 2;
    caps_set(&caps, &settings, 1, 0);
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_ADDRESS);
    assert_true(leave(&caps, "10.0.0.1"));
    assert_int_equal(enter(&caps, "10.0.0.1"), CAP_NONE);
    leave(&caps, "10.0.0.1");
    leave(&caps, "10.0.0.1");
    assert_int_equal(caps.in_flight.all, 0);
    caps_deinit(&caps);
}

static void test_caps_are_shared_between_workers(void **state)
{
    const struct settings settings = {.max_in_flight = 5};
    struct caps caps = {0};

    (void)state;
    caps_set(&caps, &settings, 2, 0);
    assert_int_equal(caps.max_in_flight, 3);
    caps_deinit(&caps);
}

/* Whoever probes by request is one more, if there is a module to do it by; the workers are none
 * where there is nothing to watch. */
static void test_who_shares_the_caps(void **state)
{
    static const struct {
        size_t servers, modules;
        unsigned shares;
    } rows[] = {{7, 0, 4}, {7, 2, 5}, {0, 2, 1}, {0, 0, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct endpoint_set set = {.n_servers = rows[i].servers,
                                         .n_modules = rows[i].modules};

        assert_int_equal(caps_shares(&set, 4), rows[i].shares);
    }
}

static void test_caps_on_new_connections(void **state)
{
    const struct settings settings = {.max_connections_per_second = 100};
    struct caps caps = {0};
    int entered = 0;

    (void)state;
    caps_set(&caps, &settings, 1, 0);
    for (int64_t now = 0; now < NS_PER_S; now += NS_PER_MS) {
        enum cap cap = caps_enter(&caps, "", PACE_PROMPT, now);

        assert_true(cap == CAP_NONE || cap == CAP_RATE);
        entered += cap == CAP_NONE;
    }
    assert_in_range(entered, 100, 111); /* the rate, and what a tenth of a second saves up */
    caps_deinit(&caps);
}

static void test_caps_on_further_connections(void **state)
{
    const struct settings settings = {.max_connections_per_second = 10, .max_in_flight = 1};
    struct caps caps = {0};

    (void)state;
    caps_set(&caps, &settings, 1, 0);
    assert_int_equal(caps_enter(&caps, "", PACE_PROMPT, 0), CAP_NONE);
    assert_false(caps_connect_again(&caps, 99 * NS_PER_MS));
    assert_true(caps_connect_again(&caps, 101 * NS_PER_MS)); /* at the only place there is */
    assert_int_equal(caps_enter(&caps, "", PACE_PROMPT, NS_PER_S), CAP_IN_FLIGHT);
    caps_leave(&caps, "", PACE_PROMPT);
    assert_int_equal(caps_enter(&caps, "", PACE_PROMPT, 2 * NS_PER_S), CAP_NONE);
    assert_false(caps_connect_again(&caps, 2 * NS_PER_S));
    caps_set(&caps, &(struct settings){0}, 1, 2 * NS_PER_S); /* no limit any more */
    assert_true(caps_connect_again(&caps, 2 * NS_PER_S));
    caps_deinit(&caps);
}

/* One that waits for its address tells nothing of the others' chances, long after the last
 * connection. */
static void test_caps_are_full_of_connections_only_for_a_moment(void **state)
{
    const struct settings settings = {.max_connections_per_second = 10,
                                      .max_in_flight_per_address = 1};
    struct caps caps = {0};

    (void)state;
    caps_set(&caps, &settings, 1, 0);
    assert_int_equal(caps_enter(&caps, "192.0.2.1", PACE_PROMPT, 0), CAP_NONE);
    assert_int_equal(caps_enter(&caps, "192.0.2.1", PACE_PROMPT, 0), CAP_ADDRESS);
    assert_true(caps_full(&caps, PACE_PROMPT));
    assert_int_equal(caps_enter(&caps, "192.0.2.1", PACE_PROMPT, NS_PER_S), CAP_ADDRESS);
    assert_false(caps_full(&caps, PACE_PROMPT));
    assert_int_equal(caps_enter(&caps, "192.0.2.2", PACE_PROMPT, NS_PER_S), CAP_NONE);
    caps_deinit(&caps);
}

/* A deadline that passed while the process stood still. */
static void test_a_second_look(void **state)
{
    const int64_t timeout_ns = 5 * NS_PER_S, deadline_ns = 100 * NS_PER_S;

    (void)state;
    assert_int_equal(schedule_second_look(deadline_ns, timeout_ns, deadline_ns - 1), 0);
    assert_true(schedule_second_look(deadline_ns, timeout_ns, deadline_ns) <= 10 * NS_PER_MS);
    assert_true(schedule_second_look(deadline_ns, timeout_ns, deadline_ns) > 0);
    assert_int_equal(schedule_second_look(deadline_ns, timeout_ns, deadline_ns + NS_PER_S),
                     NS_PER_S);
    assert_int_equal(schedule_second_look(deadline_ns, timeout_ns, deadline_ns + 60 * NS_PER_S),
                     timeout_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second_look),
        cmocka_unit_test(test_a_server_keeps_its_moment),
        cmocka_unit_test(test_servers_spread_over_the_interval),
        cmocka_unit_test(test_turns_left_out_are_counted),
        cmocka_unit_test(test_a_backoff_is_never_exceeded),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_caps_in_all_and_per_address),
        cmocka_unit_test(test_those_that_hang_leave_places_to_the_prompt),
        cmocka_unit_test(test_the_only_place_is_for_everybody),
        cmocka_unit_test(test_a_cap_that_comes_later),
        cmocka_unit_test(test_caps_are_shared_between_workers),
        cmocka_unit_test(test_who_shares_the_caps),
        cmocka_unit_test(test_caps_on_new_connections),
        cmocka_unit_test(test_caps_on_further_connections),
        cmocka_unit_test(test_caps_are_full_of_connections_only_for_a_moment),
    };

    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
