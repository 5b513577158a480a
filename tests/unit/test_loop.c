/* net/: a loop where memory is at its end. libuv ends the program where it has no memory to
 * remember one more descriptor; through loop.h it never comes to that. */
#include "no_memory.h"

#include "pgtls/net/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define HIGH 200 /* a descriptor that a new loop has no room for */

/* Both ends of two pipes, the first one's reading end low, the second one's high. */
static int pipes[2][2];

static struct {
    uv_loop_t loop;
    uv_poll_t low, high;
    int heard_low, heard_high;
    int watched, refused; /* of the high ones, in all */
} world;

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pipe(pipes[i]), 0);
    assert_int_equal(dup2(pipes[1][0], HIGH), HIGH);
    close(pipes[1][0]);
    pipes[1][0] = HIGH;
    for (int i = 0; i < 2; i++)
        assert_int_equal(write(pipes[i][1], "x", 1), 1); /* and nobody ever reads it */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    return 0;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    assert_int_equal(status, 0);
    assert_int_equal(events, UV_READABLE);
    if (poll == &world.low)
        world.heard_low++;
    else
        world.heard_high++;
    uv_poll_stop(poll);
}

/* 0, or what loop_poll() says. */
static int watch(uv_poll_t *poll, int fd)
{
    int result;

    assert_int_equal(uv_poll_init(&world.loop, poll, fd), 0);
    result = loop_poll(poll, UV_READABLE, on_ready);
    assert_true(result == 0 || result == UV_ENOMEM);
    return result;
}

/* What is watched is heard of, whatever came to nothing beside it. */
static void live(void *unused)
{
    bool low, high;

    (void)unused;
    if (!loop_init(&world.loop))
        return;
    world.heard_low = world.heard_high = 0;
    low = watch(&world.low, pipes[0][0]) == 0;
    high = watch(&world.high, HIGH) == 0;
    uv_run(&world.loop, UV_RUN_NOWAIT);
    assert_int_equal(world.heard_low, low);
    assert_int_equal(world.heard_high, high);
    world.watched += high;
    world.refused += !high;
    uv_close((uv_handle_t *)&world.low, NULL);
    uv_close((uv_handle_t *)&world.high, NULL);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world.loop), 0);
}

static void test_a_loop_without_memory(void **state)
{
    (void)state;
    no_memory_walk(live, NULL);
    assert_true(world.refused > 0);
    /* The one allocation that libuv makes for a descriptor fails, and it is watched all the same;
     * and where all is well, at the end of each walk. */
    assert_true(world.watched > 2);
}

/* Where there is room, nothing is allocated. */
static void test_a_second_time(void **state)
{
    (void)state;
    assert_true(loop_init(&world.loop));
    assert_int_equal(watch(&world.high, HIGH), 0);
    no_memory_countdown = 1;
    no_memory_failed = 0;
    assert_int_equal(uv_poll_stop(&world.high), 0);
    assert_int_equal(loop_poll(&world.high, UV_READABLE, on_ready), 0);
    assert_int_equal(no_memory_failed, 0);
    no_memory_countdown = 0;
    uv_close((uv_handle_t *)&world.high, NULL);
    /* One that is being closed is not watched. */
    assert_int_equal(loop_poll(&world.high, UV_READABLE, on_ready), UV_EBADF);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world.loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_loop_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_second_time, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
