/* Who may begin a login: one per turn of the loop, first come, first served. */
#include "turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MANY 4

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

static void turn(const char *expected)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_string_equal(begun, expected);
}

/* The first begins at once, the others in turns, also while nothing else moves the loop. */
static void test_one_per_turn_in_order(void **state)
{
    (void)state;
    assert_true(turn_take(&servers[0]));
    for (int i = 1; i < MANY; i++)
        assert_false(turn_take(&servers[i]));
    assert_int_equal(self.probes_waiting, MANY - 1);
    turn("b");
    assert_false(turn_take(&servers[0])); /* behind those who wait */
    turn("bc");
    turn("bcd");
    turn("bcda");
    turn("bcda");
    assert_int_equal(self.probes_waiting, 0);
    assert_false(uv_loop_alive(&loop)); /* nobody waits: the loop may sleep */
    assert_true(turn_take(&servers[2]));
}

static void test_who_leaves_is_not_called(void **state)
{
    (void)state;
    assert_true(turn_take(&servers[0]));
    for (int i = 1; i < MANY; i++)
        assert_false(turn_take(&servers[i]));
    turn_leave(&servers[1]);
    turn_leave(&servers[3]);
    turn_leave(&servers[3]);
    assert_int_equal(self.probes_waiting, 1);
    assert_false(turn_take(&servers[1])); /* anew, at the end */
    turn("c");
    turn("cb");
    assert_int_equal(self.probes_waiting, 0);
}

/* Whose inspect is in flight keeps its place, and holds up nobody. */
static void test_the_busy_are_passed_over(void **state)
{
    struct probe probe = {0};

    (void)state;
    assert_true(turn_take(&servers[0]));
    assert_false(turn_take(&servers[1]));
    assert_false(turn_take(&servers[2]));
    servers[1].probe = &probe;
    turn("c");
    turn("c");
    assert_false(uv_loop_alive(&loop)); /* it is not waited for by turning round and round */
    assert_false(turn_take(&servers[3]));
    servers[1].probe = NULL;
    turn_wake(&servers[1]);
    turn("cb");
    turn("cbd");
}

/* A turn that somebody no longer wants is the next one's. */
static void test_no_turn_is_lost(void **state)
{
    (void)state;
    assert_true(turn_take(&servers[0]));
    for (int i = 1; i < MANY; i++)
        assert_false(turn_take(&servers[i]));
    unwilling = "bc";
    turn("d");
    assert_int_equal(self.probes_waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_per_turn_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_leaves_is_not_called, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_busy_are_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_turn_is_lost, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
