/* expose/: /probe from outside, over real sockets, before a prober that does as it is told: what is
 * asked of it, how its answers look, and that waiting for them holds nobody up. */
#include "http_world.h"

#include "pgtls/model/module.h"

#include <pthread.h>

#define MAX_ASKED 1024

/* Keeps the questions until it is told to answer. */
static struct {
    pthread_mutex_t lock;
    struct asked {
        char target[64], module[64];
        int64_t timeout_ns;
        void (*answered)(void *asker, struct probe_answer *answer);
        void *asker;
    } asked[MAX_ASKED];
    size_t n;
    bool refuses;                 /* to take questions */
    bool at_once;                 /* answers before it returns */
    enum request_outcome outcome; /* that it answers at once */
} prober = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* An answer about db.example:5433, with or without a server that was probed. */
static struct probe_answer *make_answer(enum request_outcome outcome)
{
    static const struct probe_target target = {.host = "db.example", .port = 5433};
    struct module module = {.name = "m", .server = fixture_server("modules", "m", "m")};
    struct endpoint_set *modules = fixture_set(&module.server, 1, REQUIRE_ANY);
    struct probe_answer *answer = probe_answer_new();
    struct observation o = outcome == REQUEST_FAILURE
                               ? fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP)
                               : fixture_inspect();
    struct server *server;

    module.server.login = false;
    assert_true(probe_answer_about(answer, modules, &module, &target, &server));
    probe_answer_take(answer, &o);
    answer->outcome = outcome;
    snprintf(answer->message, sizeof answer->message, "because of rule 7");
    endpoint_set_unref(modules);
    return answer;
}

static bool on_probe(void *context, const struct probe_question *question,
                     void (*answered)(void *asker, struct probe_answer *answer), void *asker)
{
    struct asked *a;

    (void)context;
    pthread_mutex_lock(&prober.lock);
    assert_true(prober.n < MAX_ASKED);
    a = &prober.asked[prober.n++];
    snprintf(a->target, sizeof a->target, "%s", question->target);
    snprintf(a->module, sizeof a->module, "%s", question->module ? question->module : "(none)");
    a->timeout_ns = question->timeout_ns;
    a->answered = answered;
    a->asker = asker;
    pthread_mutex_unlock(&prober.lock);
    if (prober.refuses)
        return false;
    if (prober.at_once) {
        struct probe_answer *answer =
            prober.outcome == REQUEST_OUTCOME_COUNT ? NULL : make_answer(prober.outcome);

        answered(asker, answer);
        probe_answer_unref(answer);
    }
    return true;
}

static struct world *probing_world(void)
{
    struct world *world = world_new(1);

    prober.n = 0;
    prober.refuses = false;
    prober.at_once = true;
    prober.outcome = REQUEST_SUCCESS;
    world->options.probe = on_probe;
    world->options.timeout_offset_ns = 500 * NS_PER_MS;
    world_start(world);
    return world;
}

static void wait_for_questions(size_t n)
{
    int64_t until_ns = clock_monotonic_ns() + PATIENCE_S * NS_PER_S;
    size_t now;

    do {
        pthread_mutex_lock(&prober.lock);
        now = prober.n;
        pthread_mutex_unlock(&prober.lock);
        usleep(1000);
    } while (now < n && clock_monotonic_ns() < until_ns);
    assert_int_equal(now, n);
}

static void test_requests(void **state)
{
    static const struct {
        const char *request;
        int status;
        size_t asked;
    } rows[] = {
        {"GET /probe?target=a&module=m", 200, 1},
        {"HEAD /probe?target=a&module=m", 200, 1},
        {"GET /probe?target=a&debug=true", 200, 1},
        {"GET /probe?target=a&debug=false", 200, 1},
        {"POST /probe?target=a", 405, 0},
        {"GET /probe/?target=a", 404, 0},
        {"GET /probe", 400, 0},
        {"GET /probe?target=", 400, 0},
        {"GET /probe?target", 400, 0},
        {"GET /probe?module=m", 400, 0},
        {"GET /probe?target=a&target=b", 400, 0},
        {"GET /probe?target=a&module=m&module=n", 400, 0},
        {"GET /probe?target=a&debug=yes", 400, 0},
        {"GET /probe?target=a&debug", 400, 0},
        {"GET /probe?target=a&hostname=b", 400, 0},
        {"GET /probe?target=a&a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q", 400, 0},
    };
    struct world *world = probing_world();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t before = prober.n;
        int code = status(world, rows[i].request);

        if (code != rows[i].status || prober.n - before != rows[i].asked)
            fail_msg("%s: %d after %zu questions, expected %d after %zu", rows[i].request, code,
                     prober.n - before, rows[i].status, rows[i].asked);
    }
    assert_string_equal(prober.asked[0].target, "a");
    assert_string_equal(prober.asked[0].module, "m");
    assert_string_equal(prober.asked[2].module, "(none)");
    world_free(world);
    world = world_new(1);
    world_start(world);
    assert_int_equal(status(world, "GET /probe?target=a"), 404); /* nobody there who probes */
    world_free(world);
}

/* Prometheus's timeout less the offset; a short one is halved. */
static void test_deadlines(void **state)
{
    static const struct {
        const char *header;
        int status;
        int64_t timeout_ms;
    } rows[] = {
        {"", 200, 120000},
        {"X-Prometheus-Scrape-Timeout-Seconds: 10\r\n", 200, 9500},
        {"X-Prometheus-Scrape-Timeout-Seconds: 1.25\r\n", 200, 750},
        {"x-prometheus-scrape-timeout-seconds: 1\r\n", 200, 500},
        {"X-Prometheus-Scrape-Timeout-Seconds: 0.5\r\n", 200, 250},
        {"X-Prometheus-Scrape-Timeout-Seconds: 0\r\n", 200, 120000},
        {"X-Prometheus-Scrape-Timeout-Seconds: 1e9\r\n", 200, 120000},
        {"X-Prometheus-Scrape-Timeout-Seconds: -1\r\n", 400, 0},
        {"X-Prometheus-Scrape-Timeout-Seconds: soon\r\n", 400, 0},
        {"X-Prometheus-Scrape-Timeout-Seconds: 10s\r\n", 400, 0},
        {"X-Prometheus-Scrape-Timeout-Seconds: nan\r\n", 400, 0},
        {"X-Prometheus-Scrape-Timeout-Seconds:\r\n", 400, 0},
    };
    struct world *world = probing_world();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf answer;

        prober.n = 0;
        answer = ask(world, "GET /probe?target=a", rows[i].header);
        if (status_of(&answer) != rows[i].status ||
            (rows[i].status == 200 && prober.asked[0].timeout_ns != rows[i].timeout_ms * NS_PER_MS))
            fail_msg("%s: %d, %lld ms", rows[i].header, status_of(&answer),
                     (long long)(prober.asked[0].timeout_ns / NS_PER_MS));
        buf_deinit(&answer);
    }
    world_free(world);
}

static void test_answers(void **state)
{
    static const struct {
        enum request_outcome outcome;
        int status;
        const char *text, *header;
    } rows[] = {
        {REQUEST_SUCCESS, 200, "\nprobe_success 1\n", "\r\nVary: Accept, Accept-Encoding\r\n"},
        {REQUEST_FAILURE, 200, "\nprobe_success 0\n",
         "\r\nContent-Type: text/plain; version=0.0.4"},
        {REQUEST_INVALID, 400, "because of rule 7\n", "\r\nContent-Type: text/plain; charset"},
        {REQUEST_UNKNOWN_MODULE, 400, "because of rule 7\n", ""},
        {REQUEST_FORBIDDEN, 403, "because of rule 7\n", ""},
        {REQUEST_BUSY, 503, "because of rule 7\n", "\r\nRetry-After: "},
        {REQUEST_ERROR, 503, "Nothing can be probed", "\r\nRetry-After: "},
        {REQUEST_OUTCOME_COUNT, 503, "Nothing can be probed", "\r\nRetry-After: "}, /* none */
    };
    struct world *world = probing_world();
    struct buf answer;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        prober.outcome = rows[i].outcome;
        answer = ask(world, "GET /probe?target=a", "");
        if (status_of(&answer) != rows[i].status || !strstr(body_of(&answer), rows[i].text) ||
            !has_header(&answer, rows[i].header))
            fail_msg("row %zu: %s", i, buf_text(&answer));
        buf_deinit(&answer);
    }
    prober.refuses = true;
    assert_int_equal(status(world, "GET /probe?target=a"), 503);
    world_free(world);
}

/* Gauges, no label of a server's, nothing that has nothing to tell; both formats. */
static void test_what_an_answer_tells(void **state)
{
    static const char *const there[] = {"\nprobe_success 1\n",
                                        "\nprobe_duration_seconds ",
                                        "\npgtls_probe_phase_seconds{phase=\"tls\"} ",
                                        "\npgtls_up 1\n",
                                        "\npgtls_chain_verified 1\n",
                                        "position=\"leaf\"} "};
    static const char *const absent[] = {"pg_cluster", "server=\"", "counter",
                                         "histogram",  "_total",    "fault_active"};
    struct world *world = probing_world();
    struct buf answer = ask(world, "GET /probe?target=a", "");

    (void)state;
    for (size_t i = 0; i < sizeof there / sizeof *there; i++) {
        if (!strstr(body_of(&answer), there[i]))
            fail_msg("no %s in %s", there[i], body_of(&answer));
    }
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        if (strstr(body_of(&answer), absent[i]))
            fail_msg("%s in %s", absent[i], body_of(&answer));
    }
    buf_deinit(&answer);
    answer = ask(world, "GET /probe?target=a", "Accept: application/openmetrics-text\r\n");
    assert_true(has_header(&answer, "Content-Type: application/openmetrics-text; version=1.0.0"));
    assert_non_null(strstr(body_of(&answer), "\n# UNIT probe_duration_seconds seconds\n"));
    assert_string_equal(body_of(&answer) + strlen(body_of(&answer)) - 6, "# EOF\n");
    buf_deinit(&answer);
    prober.outcome = REQUEST_FAILURE;
    answer = ask(world, "GET /probe?target=a&debug=true", "");
    assert_true(has_header(&answer, "Content-Type: text/plain; charset"));
    assert_non_null(strstr(body_of(&answer), "db.example:5433"));
    assert_non_null(strstr(body_of(&answer), "tcp_refused"));
    assert_non_null(strstr(body_of(&answer), "\nprobe_success 0\n"));
    buf_deinit(&answer);
    world_free(world);
}

/* More of them than there are threads: whoever else asks is answered all the same, however long
 * they wait, and beyond the deadline of other requests. */
static void test_waiting_holds_nobody_up(void **state)
{
    enum { WAITING = 40 };
    static int fds[WAITING];
    struct world *world = probing_world();
    struct probe_answer *answer = make_answer(REQUEST_SUCCESS);

    (void)state;
    prober.at_once = false;
    for (size_t i = 0; i < WAITING; i++) {
        fds[i] = connect_to(http_server_address(world->server, 0));
        send_text(fds[i], "GET /probe?target=a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    wait_for_questions(WAITING);
    usleep(2 * DEADLINE_NS / 1000);
    assert_int_equal(status(world, "GET /-/healthy"), 200);
    assert_int_equal(status(world, "GET /metrics"), 200);
    close(fds[0]); /* one does not wait for it */
    for (size_t i = 0; i < WAITING; i++)
        prober.asked[i].answered(prober.asked[i].asker, answer);
    probe_answer_unref(answer);
    for (size_t i = 1; i < WAITING; i++) {
        struct buf got = read_all(fds[i]);

        assert_int_equal(status_of(&got), 200);
        assert_non_null(strstr(body_of(&got), "\nprobe_success 1\n"));
        buf_deinit(&got);
        close(fds[i]);
    }
    world_free(world);
}

/* Of all connections that are kept, those that wait for probes take a part: whoever comes now and
 * then, and keeps his, finds it as he left it. */
static void test_waiting_leaves_room(void **state)
{
    static const char keep[] = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    enum { CROWD = 600, MOST = 384 };
    static int fds[CROWD];
    struct world *world = probing_world();
    struct buf answer;
    char byte;
    int idle;

    (void)state;
    take_descriptors(2 * CROWD + 100);
    idle = connect_to(http_server_address(world->server, 0));
    send_text(idle, keep);
    assert_int_equal(recv(idle, &byte, 1, MSG_PEEK), 1);
    prober.at_once = false;
    for (size_t i = 0; i < CROWD; i++) {
        fds[i] = connect_to(http_server_address(world->server, 0));
        send_text(fds[i], "GET /probe?target=a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        if (i < MOST) {
            wait_for_questions(i + 1);
            continue;
        }
        answer = read_all(fds[i]);
        assert_int_equal(status_of(&answer), 503);
        buf_deinit(&answer);
    }
    send_text(idle, "GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    answer = read_all(idle);
    assert_non_null(strstr(buf_text(&answer), "not ready"));
    buf_deinit(&answer);
    close(idle);
    for (size_t i = 0; i < MOST; i++)
        prober.asked[i].answered(prober.asked[i].asker, NULL);
    for (size_t i = 0; i < CROWD; i++)
        close(fds[i]);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_what_an_answer_tells),
        cmocka_unit_test(test_waiting_holds_nobody_up),
        cmocka_unit_test(test_waiting_leaves_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
