/* Who may begin a login: first come, first served, at a pace. */
#include "turn.h"

#include "pgtls/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AT_ONCE 4 /* as src/probe/turn.c has it */
#define MANY    (AT_ONCE + 4)
#define LEAST   100 /* per second, whatever the intervals */

static struct watch_context context;
static struct self self;
static uv_loop_t loop;
static struct watched servers[MANY];
static char begun[2 * MANY]; /* in their order, as letters */
static const char *unwilling;

/* What src/probe/watched.c does otherwise. */
bool watched_on_turn(struct watched *w)
{
    char name = (char)('a' + (w - servers));

    if (strchr(unwilling, name))
        return false;
    begun[strlen(begun)] = name;
    return true;
}

static int set_up(void **state)
{
    (void)state;
    memset(&context, 0, sizeof context);
    memset(&self, 0, sizeof self);
    memset(servers, 0, sizeof servers);
    memset(begun, 0, sizeof begun);
    unwilling = "";
    context.self = &self;
    for (int i = 0; i < MANY; i++)
        servers[i].context = &context;
    uv_loop_init(&loop);
    turns_init(&context, &loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    turns_close(&context);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

/* Some begin at once, e to h stand in line. No turn comes meanwhile, slow as the machine may be. */
static void all_want(void)
{
    context.turns.per_second = 1e-6;
    for (int i = 0; i < AT_ONCE; i++)
        assert_true(turn_take(&servers[i]));
    for (int i = AT_ONCE; i < MANY; i++)
        assert_false(turn_take(&servers[i]));
    turns_set_rate(&context, 0);
    uv_timer_stop(&context.turns.timer);
    turn_wake(&servers[AT_ONCE]);
    assert_int_equal(self.probes_waiting, MANY - AT_ONCE);
}

/* Until nobody can begin any more. */
static void run(const char *expected)
{
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(begun, expected);
}

static void test_in_order_at_a_pace(void **state)
{
    int64_t before_ns = clock_monotonic_ns();

    (void)state;
    all_want();
    assert_false(turn_take(&servers[0])); /* behind those who wait */
    assert_false(turn_take(&servers[5])); /* it has its place */
    run("efgha");
    assert_true(clock_monotonic_ns() - before_ns >= 5 * NS_PER_S / LEAST);
    assert_int_equal(self.probes_waiting, 0);
}

/* Twice what the intervals ask for, so that a pile wears off. */
static void test_many_servers_have_a_quicker_pace(void **state)
{
    (void)state;
    all_want();
    assert_int_equal((int)context.turns.per_second, LEAST);
    turns_set_rate(&context, LEAST);
    assert_int_equal((int)context.turns.per_second, 2 * LEAST);
    turns_set_rate(&context, 0.1);
    assert_int_equal((int)context.turns.per_second, LEAST);
    run("efgh");
}

static void test_who_leaves_is_not_called(void **state)
{
    (void)state;
    all_want();
    turn_leave(&servers[4]);
    turn_leave(&servers[6]);
    turn_leave(&servers[6]);
    assert_int_equal(self.probes_waiting, 2);
    assert_false(turn_take(&servers[4])); /* anew, at the end */
    run("fhe");
}

/* Whose inspect is in flight keeps its place, and holds up nobody. */
static void test_the_busy_are_passed_over(void **state)
{
    struct probe probe = {0};

    (void)state;
    servers[5].probe = &probe;
    all_want();
    run("egh"); /* and is not waited for by looking again and again */
    servers[5].probe = NULL;
    turn_wake(&servers[5]);
    run("eghf");
}

/* A turn that somebody no longer wants is the next one's. */
static void test_no_turn_is_lost(void **state)
{
    (void)state;
    all_want();
    unwilling = "eg";
    run("fh");
    assert_int_equal(self.probes_waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_order_at_a_pace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_servers_have_a_quicker_pace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_leaves_is_not_called, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_busy_are_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_turn_is_lost, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
