/* The server stops in the middle of whatever its clients do, again and again. */
#include "http_world.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#define ROUNDS  100
#define CLIENTS 2

struct crowd {
    char address[64];
    atomic_bool over;
};

/* Comes and goes, which wakes whoever accepts. */
static void *knock(void *context)
{
    struct crowd *crowd = context;

    while (!atomic_load(&crowd->over)) {
        int fd = connect_to(crowd->address);

        if (fd >= 0)
            close(fd);
    }
    return NULL;
}

static void stops_while_clients_come(void **state)
{
    struct world *world = world_new(1);

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct crowd crowd = {.over = false};
        pthread_t threads[CLIENTS];

        world_start(world);
        snprintf(crowd.address, sizeof crowd.address, "%s", http_server_address(world->server, 0));
        for (size_t k = 0; k < CLIENTS; k++)
            assert_int_equal(pthread_create(&threads[k], NULL, knock, &crowd), 0);
        usleep((useconds_t)(i % 20) * 100);
        http_server_stop(world->server, 0);
        atomic_store(&crowd.over, true);
        for (size_t k = 0; k < CLIENTS; k++)
            pthread_join(threads[k], NULL);
    }
    world->server = NULL;
    world_free(world);
}

/* What the round above met once in thousands: two threads take the same socket out of a set. */
static void what_is_not_in_a_set_may_be_taken_out(void **state)
{
    int set = epoll_create1(EPOLL_CLOEXEC), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct epoll_event event = {.events = EPOLLIN};

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip();
#endif
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), -1);
    assert_int_equal(errno, ENOENT);
    close(fd);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), -1);
    assert_int_equal(errno, EBADF);
    close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_while_clients_come),
        cmocka_unit_test(what_is_not_in_a_set_may_be_taken_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
