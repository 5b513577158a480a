/* Who waits for room: two lines in turns, whatever those who wait come to. */
#include "queue.h"

#include "pgtls/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MANY 8

/* One who would start. */
struct one {
    struct waiter waiter;
    enum pace pace;
    const char *address;
    enum { STAYS, ENDS_AT_ONCE, HAS_NOTHING } kind;
};

static struct watch_context context;
static struct self self;
static uv_loop_t loop;
static struct one ones[MANY];
static char begun[4 * MANY]; /* in their order, as letters */
static int depth;
static int64_t now_ns;

static void leave(const struct one *one)
{
    if (caps_leave(&context.caps, one->address, one->pace))
        queue_run(&context);
}

static enum cap try_start(void *owner, enum pace *pace)
{
    struct one *one = owner;
    enum cap cap;

    *pace = one->pace;
    if (one->kind == HAS_NOTHING)
        return CAP_NONE;
    cap = caps_enter(&context.caps, one->address, one->pace, now_ns);
    if (cap != CAP_NONE)
        return cap;
    begun[strlen(begun)] = (char)('a' + (one - ones));
    assert_int_equal(depth++, 0);
    if (one->kind == ENDS_AT_ONCE)
        leave(one);
    depth--;
    return CAP_NONE;
}

static int set_up(void **state)
{
    (void)state;
    memset(&context, 0, sizeof context);
    memset(&self, 0, sizeof self);
    memset(ones, 0, sizeof ones);
    memset(begun, 0, sizeof begun);
    now_ns = 0;
    context.self = &self;
    for (int i = 0; i < MANY; i++) {
        ones[i].waiter = (struct waiter){.owner = &ones[i], .try_start = try_start};
        ones[i].address = "";
    }
    uv_loop_init(&loop);
    queue_init(&context, &loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    caps_deinit(&context.caps);
    uv_close((uv_handle_t *)&context.queue.retry, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

/* As many places as there are in `paces`, p for a prompt one and o for another; `a` and who follows
 * take what there is, the others stand in line. */
static void all_want(size_t places, size_t per_address, const char *paces)
{
    const struct settings settings = {.max_in_flight = places,
                                      .max_in_flight_per_address = per_address};

    caps_set(&context.caps, &settings, 1, 0);
    for (size_t i = 0; paces[i]; i++) {
        ones[i].pace = paces[i] == 'p' ? PACE_PROMPT : PACE_OTHER;
        queue_start(&context, &ones[i].waiter);
    }
}

static void assert_begun(const char *expected, int waiting)
{
    assert_string_equal(begun, expected);
    assert_int_equal(self.probes_waiting, waiting);
}

static void test_the_lines_take_turns(void **state)
{
    (void)state;
    all_want(1, 0, "popopo");
    assert_begun("a", 5);
    assert_int_equal(self.probes_held_back[CAP_IN_FLIGHT], 5);
    for (const char *last = begun; *last; last++)
        leave(&ones[*last - 'a']);
    assert_begun("acbedf", 0);
}

/* Each makes room for the next one, and none starts while another one does. */
static void test_who_ends_at_once_makes_room(void **state)
{
    (void)state;
    for (int i = 1; i < 6; i++)
        ones[i].kind = ENDS_AT_ONCE;
    all_want(1, 0, "pppooo");
    assert_begun("a", 5);
    leave(&ones[0]);
    assert_int_equal(strlen(begun), 6);
    assert_int_equal(self.probes_waiting, 0);
    assert_int_equal(context.caps.in_flight.all, 0);
}

static void test_who_is_taken_out_is_not_called(void **state)
{
    (void)state;
    all_want(1, 0, "pppppp");
    queue_remove(&context, &ones[0].waiter); /* is in no line */
    queue_remove(&context, &ones[1].waiter);
    queue_remove(&context, &ones[3].waiter);
    queue_remove(&context, &ones[5].waiter);
    queue_remove(&context, &ones[5].waiter);
    assert_begun("a", 2);
    queue_start(&context, &ones[3].waiter); /* anew, at the end */
    for (const char *last = begun; *last; last++)
        leave(&ones[*last - 'a']);
    assert_begun("aced", 0);
    assert_null(context.queue.lines[PACE_PROMPT].first);
    assert_ptr_equal(context.queue.lines[PACE_PROMPT].end, &context.queue.lines[PACE_PROMPT].first);
}

/* The place is for the next one of the same line, not for one of those that hang. */
static void test_who_has_nothing_to_start_takes_no_turn(void **state)
{
    (void)state;
    all_want(1, 0, "pppppoo");
    ones[1].kind = ones[2].kind = ones[3].kind = HAS_NOTHING;
    leave(&ones[0]);
    assert_begun("ae", 2);
    leave(&ones[4]);
    assert_begun("aef", 1);
}

/* Of four places three are for those that are not prompt, and taken. One of them stands among the
 * prompt, as a server of which another probe has become due meanwhile. */
static void test_who_is_prompt_no_more_holds_up_nobody(void **state)
{
    (void)state;
    all_want(4, 0, "ooopppp");
    assert_begun("abcd", 3);
    ones[4].pace = PACE_OTHER;
    leave(&ones[3]);
    assert_begun("abcdf", 2);
    leave(&ones[0]);
    assert_begun("abcdfe", 1);
}

static void test_who_waits_for_its_address_lets_others_pass(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        ones[i].address = i % 2 == 0 ? "192.0.2.1" : "192.0.2.2";
    all_want(3, 1, "pppppp");
    assert_begun("ab", 4);
    leave(&ones[1]);
    assert_begun("abd", 3);
    leave(&ones[0]);
    assert_begun("abdc", 2);
}

/* A limit that goes, by a reload, is in nobody's way. */
static void test_without_a_limit_nobody_waits(void **state)
{
    const struct settings none = {0};

    (void)state;
    all_want(1, 0, "popopo");
    caps_set(&context.caps, &none, 1, 0);
    queue_run(&context);
    assert_int_equal(strlen(begun), 6);
    assert_int_equal(self.probes_waiting, 0);
    assert_false(uv_is_active((uv_handle_t *)&context.queue.retry));
}

/* The rate is looked at for those who wait for it; of room at an address they are told. */
static void test_who_waits_for_its_address_does_not_wait_for_the_rate(void **state)
{
    const struct settings settings = {.max_in_flight_per_address = 1,
                                      .max_connections_per_second = 10};

    (void)state;
    caps_set(&context.caps, &settings, 1, 0);
    for (int i = 0; i < 3; i++) {
        ones[i].address = i < 2 ? "192.0.2.1" : "192.0.2.2";
        queue_start(&context, &ones[i].waiter);
    }
    assert_begun("a", 2);
    assert_int_equal(self.probes_held_back[CAP_ADDRESS], 1);
    assert_int_equal(self.probes_held_back[CAP_RATE], 1);
    assert_true(uv_is_active((uv_handle_t *)&context.queue.retry));
    now_ns = NS_PER_S / 5;
    queue_run(&context);
    assert_begun("ac", 1);
    assert_false(uv_is_active((uv_handle_t *)&context.queue.retry));
    leave(&ones[0]);
    assert_begun("ac", 1);
    assert_true(uv_is_active((uv_handle_t *)&context.queue.retry));
    now_ns *= 2;
    queue_run(&context);
    assert_begun("acb", 0);
    assert_false(uv_is_active((uv_handle_t *)&context.queue.retry));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_the_lines_take_turns),
        TEST(test_who_ends_at_once_makes_room),
        TEST(test_who_is_taken_out_is_not_called),
        TEST(test_who_has_nothing_to_start_takes_no_turn),
        TEST(test_who_is_prompt_no_more_holds_up_nobody),
        TEST(test_who_waits_for_its_address_lets_others_pass),
        TEST(test_who_waits_for_its_address_does_not_wait_for_the_rate),
        TEST(test_without_a_limit_nobody_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
