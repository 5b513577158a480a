/* expose/: POST /-/reload from outside, over real sockets: what comes of it, and that nobody else
 * waits for it. */
#include "http_world.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static void test_reload_tells_its_outcome(void **state)
{
    struct world *world = world_new(1);
    struct buf answer;

    (void)state;
    world->reload_succeeds = false;
    world_start(world);
    answer = ask(world, "POST /-/reload", "Content-Length: 0\r\n");
    assert_int_equal(status_of(&answer), 500);
    assert_non_null(strstr(body_of(&answer), "unknown key"));
    buf_deinit(&answer);
    http_server_stop(world->server, 0);
    world->options.reload = NULL;
    world_start(world);
    assert_int_equal(status(world, "POST /-/reload"), 404);
    world_free(world);
}

/* Who asked for a reload that takes its time. */
#define MAX_HELD 128
static struct {
    void (*told)(void *asker, bool done, const char *message);
    void *askers[MAX_HELD];
    atomic_uint n;
} held;

static bool hold_reload(void *context, void (*told)(void *asker, bool done, const char *message),
                        void *asker)
{
    (void)context;
    held.told = told;
    held.askers[atomic_load(&held.n)] = asker;
    return atomic_fetch_add(&held.n, 1) < MAX_HELD;
}

static bool refuse_reload(void *context, void (*told)(void *asker, bool done, const char *message),
                          void *asker)
{
    (void)context;
    (void)told;
    (void)asker;
    return false;
}

/* More of them than there are threads: nobody else waits, and one more than there are places is
 * told so. */
static void test_reloads_hold_no_thread(void **state)
{
    static const char request[] = "POST /-/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    enum { N = 64 };
    struct world *world = world_new(1);
    struct buf answer;
    int fds[N];

    (void)state;
    world->options.reload = hold_reload;
    atomic_store(&held.n, 0);
    world_start(world);
    for (size_t i = 0; i < N; i++) {
        fds[i] = connect_to(http_server_address(world->server, 0));
        assert_true(send_text(fds[i], request));
        while (atomic_load(&held.n) <= i) /* one after the other: the list has no lock */
            usleep(1000);
    }
    assert_int_equal(status(world, "GET /metrics"), 200);
    answer = ask(world, "POST /-/reload", "");
    assert_int_equal(status_of(&answer), 503);
    assert_true(has_header(&answer, "\r\nRetry-After: "));
    buf_deinit(&answer);
    for (size_t i = 0; i < N; i++)
        held.told(held.askers[i], i > 0, i > 0 ? NULL : "not today");
    for (size_t i = 0; i < N; i++) {
        answer = read_all(fds[i]);
        assert_int_equal(status_of(&answer), i > 0 ? 200 : 500);
        assert_non_null(strstr(body_of(&answer), i > 0 ? "reloaded" : "not today"));
        buf_deinit(&answer);
        close(fds[i]);
    }
    http_server_stop(world->server, NS_PER_S);
    world->options.reload = refuse_reload;
    world_start(world);
    answer = ask(world, "POST /-/reload", "");
    assert_int_equal(status_of(&answer), 500);
    buf_deinit(&answer);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reload_tells_its_outcome),
        cmocka_unit_test(test_reloads_hold_no_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
