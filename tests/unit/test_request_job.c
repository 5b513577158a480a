/* Probes by request whose logins wait for the rate of new connections. */
#include "request_job.h"

#include "config_world.h"

#include "pgtls/base/clock.h"
#include "pgtls/model/module.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY      80
#define GAP_MS    2 /* from one inspect's end to the next one's: shorter than a look at the line */
#define PLENTY    100 /* new connections per second; a tenth of them may come at once */
#define PATIENT_S 60  /* what an asker has who is to be served */

/* AuthenticationOk, ReadyForQuery: the peer lets in whoever comes. */
static const char lets_in[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";

static struct {
    uv_loop_t loop;
    struct jobs jobs;
    struct self self;
    struct endpoint_set *set;
    int listener;
    uint16_t port;
    uv_poll_t poll;
    uv_timer_t answering;
    int peers[MANY]; /* inspects, in the order they came */
    size_t asked, inspects, answered_inspects, logins, logins_before_the_last;
    size_t outcomes[REQUEST_OUTCOME_COUNT], told;
} world;

/* --- the server ------------------------------------------------------------------------------- */

static void listen_on_loopback(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;

    world.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(world.listener, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(world.listener, MANY), 0);
    assert_int_equal(getsockname(world.listener, (struct sockaddr *)&at, &size), 0);
    world.port = ntohs(at.sin_port);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    int peer = accept(world.listener, NULL, NULL);

    (void)poll;
    (void)events;
    assert_int_equal(status, 0);
    assert_true(peer >= 0);
    if (world.inspects < world.asked) {
        world.peers[world.inspects++] = peer;
        return;
    }
    world.logins++;
    close(peer);
}

/* One inspect after the other gets its answer. */
static void on_answering(uv_timer_t *timer)
{
    int peer = world.peers[world.answered_inspects++];

    assert_int_equal(send(peer, lets_in, sizeof lets_in - 1, MSG_NOSIGNAL), sizeof lets_in - 1);
    close(peer);
    if (world.answered_inspects < world.asked)
        return;
    world.logins_before_the_last = world.logins;
    uv_timer_stop(timer);
}

/* --- the askers ------------------------------------------------------------------------------- */

static void on_answer(void *context, struct probe_answer *answer)
{
    (void)context;
    world.told++;
    world.outcomes[answer ? answer->outcome : REQUEST_ERROR]++;
}

/* Each names a database of its own, so that no probe is shared. */
static void ask(size_t n, int64_t timeout_ns)
{
    const struct module *module = module_find(world.set, "m");

    for (size_t i = 0; i < n; i++) {
        char text[64];
        struct probe_target target;
        struct probe_question question = {.target = text, .module = "m", .timeout_ns = timeout_ns};

        snprintf(text, sizeof text, "postgresql://127.0.0.1:%u/d%zu", world.port, i);
        assert_null(probe_target_parse(text, &target));
        world.asked++;
        jobs_probe_for(&world.jobs, asker_new(&question, on_answer, NULL), world.set, module,
                       &target);
    }
}

static void limit(size_t per_second)
{
    const struct settings settings = {.max_connections_per_second = per_second};

    caps_set(&world.jobs.caps, &settings, 1, clock_monotonic_ns());
}

/* One may connect, and nobody after it within a test. */
static void limit_to_one(void)
{
    limit(1);
    world.jobs.caps.per_second = 1e-6;
}

/* All have asked, and their inspects end from now on. */
static void all_are_connected(void)
{
    while (world.inspects < world.asked)
        uv_run(&world.loop, UV_RUN_ONCE);
    uv_timer_start(&world.answering, on_answering, GAP_MS, GAP_MS);
}

static void until_waiting(int64_t n)
{
    while (world.self.probes_waiting != n)
        uv_run(&world.loop, UV_RUN_ONCE);
}

static void until_all_are_told(void)
{
    while (world.told < world.asked)
        uv_run(&world.loop, UV_RUN_ONCE);
}

static void assert_nothing_is_left(void)
{
    assert_int_equal(world.self.probes_waiting, 0);
    assert_int_equal(world.self.probes_in_flight, 0);
    assert_int_equal(world.jobs.caps.in_flight.all, 0);
    assert_null(world.jobs.first);
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.set = load_good("modules: {m: {sslmode: disable, user: u, timeout: 60s,\n"
                          "  allow_targets: ['127.0.0.0/8:*']}}");
    listen_on_loopback();
    uv_loop_init(&world.loop);
    assert_true(jobs_init(&world.jobs, &world.loop, NULL, &world.self));
    uv_poll_init(&world.loop, &world.poll, world.listener);
    uv_poll_start(&world.poll, UV_READABLE, on_connection);
    uv_timer_init(&world.loop, &world.answering);
    return 0;
}

static void end(void)
{
    if (uv_is_closing((uv_handle_t *)&world.poll))
        return;
    jobs_end(&world.jobs);
    uv_close((uv_handle_t *)&world.poll, NULL);
    uv_close((uv_handle_t *)&world.answering, NULL);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    assert_nothing_is_left();
}

static int tear_down(void **state)
{
    (void)state;
    end();
    jobs_deinit(&world.jobs);
    close(world.listener);
    endpoint_set_unref(world.set);
    return uv_loop_close(&world.loop);
}

/* --- the tests -------------------------------------------------------------------------------- */

/* Inspects end all the while; the line moves on nonetheless. */
static void test_who_joins_the_line_puts_off_nobody(void **state)
{
    (void)state;
    ask(MANY, PATIENT_S * NS_PER_S);
    limit(PLENTY);
    all_are_connected();
    until_all_are_told();
    assert_int_equal(world.logins, MANY);
    assert_int_equal(world.outcomes[REQUEST_FAILURE], MANY); /* the peer hangs up on logins */
    assert_in_range(world.logins_before_the_last, PLENTY / 10 + 5, MANY);
    assert_nothing_is_left();
}

static void test_without_a_limit_the_line_moves_on(void **state)
{
    (void)state;
    ask(5, PATIENT_S * NS_PER_S);
    limit_to_one();
    all_are_connected();
    until_waiting(4); /* the first one had its turn at once */
    assert_int_equal(world.self.probes_held_back[CAP_RATE], 4);
    limit(0);
    until_all_are_told();
    assert_int_equal(world.outcomes[REQUEST_FAILURE], 5);
    assert_nothing_is_left();
    assert_false(uv_is_active((uv_handle_t *)&world.jobs.retry));
}

static void test_patience_ends(void **state)
{
    (void)state;
    ask(3, 3 * NS_PER_S);
    limit_to_one();
    all_are_connected();
    until_all_are_told();
    assert_int_equal(world.logins, 1);
    assert_int_equal(world.outcomes[REQUEST_FAILURE], 1);
    assert_int_equal(world.outcomes[REQUEST_BUSY], 2);
    assert_nothing_is_left();
}

static void test_who_waits_is_told_at_the_end(void **state)
{
    (void)state;
    ask(5, PATIENT_S * NS_PER_S);
    limit_to_one();
    all_are_connected();
    until_waiting(4);
    end();
    assert_int_equal(world.told, 5);
    assert_in_range(world.outcomes[REQUEST_ERROR], 4, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_who_joins_the_line_puts_off_nobody),
        TEST(test_without_a_limit_the_line_moves_on),
        TEST(test_patience_ends),
        TEST(test_who_waits_is_told_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, forget_messages);
}
