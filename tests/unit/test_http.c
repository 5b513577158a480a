/* expose/: the HTTP server from outside, over real sockets on loopback: routes, negotiation,
 * listeners, and clients that mean no good. */
#include "http_world.h"

#include <pthread.h>
#include <sys/stat.h>
#include <zlib.h>

static void test_routes(void **state)
{
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        {"GET /", 200},
        {"GET /metrics", 200},
        {"GET /health/database", 200},
        {"GET /health/database/", 200},
        {"GET /health/database/c", 200},
        {"GET /health/database/c/write", 200},
        {"GET /health/database/c/write/", 200},
        {"GET /health/database/c/nothing", 404},
        {"GET /health/database/c/write/more", 404},
        {"GET /health/database?cluster=c&endpoint=write&require=any&fail_on=degraded&brief=1", 200},
        {"GET /health/database?cluster=other", 404},
        {"GET /health/database/c?cluster=c", 400},
        {"GET /health/database?require=most", 400},
        {"GET /health/database?fail_on=unknown", 400},
        {"GET /health/database?brief=yes", 400},
        {"GET /health/database?brief", 400},
        {"GET /health/database?colour=red", 400},
        {"GET /health/database?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q", 400},
        {"GET /health/databases", 404},
        {"GET /-/healthy", 200},
        {"GET /-/ready", 503},
        {"POST /-/reload", 200},
        {"PUT /-/reload", 200},
        {"GET /-/reload", 405},
        {"HEAD /metrics", 200},
        {"HEAD /health/database", 200},
        {"HEAD /", 200},
        {"HEAD /-/healthy", 200},
        {"HEAD /nothing", 404},
        {"POST /metrics", 405},
        {"DELETE /", 405},
        {"OPTIONS /health/database/c", 405},
        {"ET /metrics", 405},
        {"GET /?q=x&cluster=c&state=down&show=all", 200},
        {"GET /?state=", 200},
        {"GET /?state=on%20fire", 400},
        {"GET /?show=some", 400},
        {"GET /?q=a&q=b", 400},
        {"GET /?colour=red", 400},
        {"GET /server?cluster=c&endpoint=write&server=db0:5432", 200},
        {"GET /server?cluster=c&endpoint=write&server=db1:5432", 404},
        {"GET /server", 404},
        {"GET /server?host=x", 400},
        {"GET /fault?id=tcp_refused", 200},
        {"GET /fault?id=", 404},
        {"GET /fault?id=bad_luck", 404},
        {"GET /assets/page.css", 200},
        {"GET /assets/page.js", 200},
        {"GET /assets/favicon.svg", 200},
        {"GET /assets", 404},
        {"GET /assets/", 404},
        {"GET /assets/../page.css", 404},
        {"POST /server", 405},
        {"GET /nothing", 404},
        {"GET /metrics/", 404},
        {"GET /metrics%00", 404},
        {"GET /%6detrics", 200},
        {"GET /metrics%zz", 404},
        {"GET //metrics", 404},
        {"GET http://x/-/healthy", 200},
        {"GET http://x", 200},
    };
    struct world *world = world_new(1);

    (void)state;
    world_start(world);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int code = status(world, rows[i].request);

        if (code != rows[i].status)
            fail_msg("%s: %d, expected %d", rows[i].request, code, rows[i].status);
    }
    assert_int_equal(world->reloads, 2);
    world_free(world);
}

static void test_ready_follows_the_daemon_and_not_the_databases(void **state)
{
    struct world *world = world_new(1);
    struct fleet_view *view = fleet_view(world->fleet);

    (void)state;
    world_start(world);
    assert_int_equal(status(world, "GET /-/ready"), 503);
    atomic_store(&world->self.ready, true);
    assert_int_equal(status(world, "GET /-/ready"), 200);
    fixture_apply(view->servers[0], fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    fleet_view_unref(view);
    assert_int_equal(status(world, "GET /-/ready"), 200);
    assert_int_equal(status(world, "GET /-/healthy"), 200);
    assert_int_equal(status(world, "GET /health/database"), 503);
    world_free(world);
}

static void test_wrong_method_names_the_right_ones(void **state)
{
    struct world *world = world_new(1);
    struct buf answer;

    (void)state;
    world_start(world);
    answer = ask(world, "GET /-/reload", "");
    assert_true(has_header(&answer, "\r\nAllow: POST, PUT\r\n"));
    buf_deinit(&answer);
    answer = ask(world, "POST /metrics", "");
    assert_true(has_header(&answer, "\r\nAllow: GET, HEAD\r\n"));
    buf_deinit(&answer);
    world_free(world);
}

static void test_head_has_headers_and_no_body(void **state)
{
    struct world *world = world_new(1);
    struct buf answer;

    (void)state;
    world_start(world);
    answer = ask(world, "HEAD /metrics", "");
    assert_true(has_header(&answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_string_equal(body_of(&answer), "");
    buf_deinit(&answer);
    answer = ask(world, "HEAD /health/database", "");
    assert_true(has_header(&answer, "Content-Type: application/json\r\n"));
    assert_string_equal(body_of(&answer), "");
    buf_deinit(&answer);
    world_free(world);
}

/* The body with its chunks put together. */
static struct buf unchunk(const struct buf *answer)
{
    const char *at = body_of(answer);
    struct buf body = BUF_INIT(ANSWER_MAX);
    size_t n;

    assert_true(has_header(answer, "Transfer-Encoding: chunked\r\n"));
    while ((n = strtoul(at, NULL, 16)) > 0) {
        at = strstr(at, "\r\n") + 2;
        buf_add(&body, at, n);
        at += n + 2;
    }
    return body;
}

static struct buf gunzip(const char *bytes, size_t n)
{
    struct buf text = BUF_INIT(ANSWER_MAX);
    z_stream z = {0};
    static char piece[65536];
    int result;

    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)n;
    do {
        z.next_out = (Bytef *)piece;
        z.avail_out = sizeof piece;
        result = inflate(&z, Z_NO_FLUSH);
        assert_true(result == Z_OK || result == Z_STREAM_END);
        buf_add(&text, piece, sizeof piece - z.avail_out);
    } while (result != Z_STREAM_END);
    inflateEnd(&z);
    return text;
}

static void test_scrape_in_either_format_and_encoding(void **state)
{
    struct world *world = world_new(100);
    struct buf answer, plain, packed, text;

    (void)state;
    world_start(world);
    answer = ask(world, "GET /metrics", "Accept: application/openmetrics-text\r\n");
    assert_true(has_header(&answer, "Content-Type: application/openmetrics-text; version=1.0.0"));
    assert_true(has_header(&answer, "\r\nVary: Accept, Accept-Encoding\r\n"));
    plain = unchunk(&answer);
    assert_true(plain.len > 100000);
    assert_string_equal(plain.data + plain.len - 6, "# EOF\n");
    buf_deinit(&answer);

    answer = ask(world, "GET /metrics",
                 "Accept: application/openmetrics-text\r\nAccept-Encoding: gzip\r\n");
    assert_true(has_header(&answer, "\r\nContent-Encoding: gzip\r\n"));
    packed = unchunk(&answer);
    assert_true(packed.len < plain.len / 5);
    text = gunzip(packed.data, packed.len);
    assert_string_equal(text.data + text.len - 6, "# EOF\n");
    /* The same to the last line of the servers' families that does not depend on time. */
    assert_memory_equal(text.data, plain.data,
                        (size_t)(strstr(plain.data, "pgtls_state_seconds") - plain.data));
    buf_deinit(&answer);
    buf_deinit(&plain);
    buf_deinit(&packed);
    buf_deinit(&text);

    answer = ask(world, "GET /metrics", "Accept-Encoding: gzip;q=0, identity\r\n");
    assert_false(has_header(&answer, "Content-Encoding"));
    buf_deinit(&answer);
    answer = ask(world, "GET /metrics",
                 "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8\r\n");
    assert_true(has_header(&answer, "charset=utf-8; escaping=underscores\r\n"));
    buf_deinit(&answer);
    answer = ask(world, "GET /health/database", "Accept-Encoding: gzip\r\n");
    assert_true(has_header(&answer, "\r\nContent-Encoding: gzip\r\n"));
    text = gunzip(body_of(&answer), answer.len - (size_t)(body_of(&answer) - answer.data));
    assert_int_equal(text.data[text.len - 1], '\n');
    buf_deinit(&text);
    buf_deinit(&answer);
    world_free(world);
}

static void test_page_escapes_and_fences(void **state)
{
    struct world *world = world_new(1);
    struct buf answer;

    (void)state;
    world->options.telemetry_path = "/m\"<script>'&";
    world_start(world);
    answer = ask(world, "GET /", "");
    assert_non_null(strstr(body_of(&answer), "m&quot;&lt;script&gt;&#39;&amp;"));
    assert_null(strstr(body_of(&answer), "<script>"));
    assert_true(has_header(&answer, "Content-Security-Policy: default-src 'none'"));
    assert_true(has_header(&answer, "X-Content-Type-Options: nosniff\r\n"));
    buf_deinit(&answer);
    world_free(world);
}

static void test_listeners(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0", ":0", "localhost:0", NULL};
    const char *all[5];
    char directory[] = "/tmp/pgtls-http-XXXXXX", path[64], error[256];
    struct world *world = world_new(1), *other = world_new(1);
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "unix:%s/s", directory);
    memcpy(all, addresses, sizeof all);
    all[4] = path;
    world->options.addresses = all;
    world->options.n_addresses = 5;
    world_start(world);
    assert_string_equal(http_server_address(world->server, 4), path);
    for (size_t i = 0; i < 5; i++) {
        struct buf answer = ask_at(http_server_address(world->server, i), "GET /-/healthy", "");

        assert_int_equal(status_of(&answer), 200);
        assert_null(strstr(http_server_address(world->server, i), ":0\0"));
        buf_deinit(&answer);
    }

    /* An address in use is an error, with the address in it; nothing is left of the attempt. */
    other->options.addresses = all + 4;
    assert_null(
        http_server_start(&other->options, other->fleet, &other->self, error, sizeof error));
    assert_non_null(strstr(error, path));
    assert_int_equal(status(world, "GET /-/healthy"), 200);
    world_free(world);
    assert_int_not_equal(stat(path + 5, &st), 0);

    /* A socket file that nobody listens on is replaced. */
    {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(at.sun_path, sizeof at.sun_path, "%s", path + 5);
        assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
        close(fd);
    }
    world_start(other);
    assert_int_equal(status(other, "GET /-/healthy"), 200);
    world_free(other);
    rmdir(directory);
}

static void test_addresses_that_make_no_sense(void **state)
{
    static const char *const rows[] = {"",           "10432",     "127.0.0.1",     "127.0.0.1:x",
                                       ":65536",     "::1:10432", "unix:relative", "[::1]",
                                       "127.0.0.1:", "a b:1",     "192.0.2.1:0"};
    struct world *world = world_new(1);
    char error[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world->options.addresses = &rows[i];
        error[0] = '\0';
        if (http_server_start(&world->options, world->fleet, &world->self, error, sizeof error))
            fail_msg("%s was accepted", rows[i]);
        assert_true(strlen(error) > 10);
    }
    world_free(world);
}

static void test_what_no_browser_sends(void **state)
{
    static char huge[70000];
    struct world *world = world_new(1);
    struct buf answer;
    static const char *const garbage[] = {"\x16\x03\x01\x02\x01", "\r\n\r\n\r\n", "GET\r\n\r\n",
                                          "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/7.7\r\n\r\n"};

    (void)state;
    world->options.request_deadline_ns = DEADLINE_NS;
    world_start(world);
    memset(huge, 'a', sizeof huge - 1);
    memcpy(huge, "GET /", 5);
    answer = ask(world, huge, "");
    assert_true(answer.len == 0 || status_of(&answer) / 100 == 4);
    buf_deinit(&answer);
    memcpy(huge, "X: aa", 5);
    memcpy(huge + sizeof huge - 3, "\r\n", 2);
    answer = ask(world, "GET /", huge);
    assert_true(answer.len == 0 || status_of(&answer) / 100 == 4);
    buf_deinit(&answer);
    answer = ask(world, "POST /-/reload", "Content-Length: 4\r\n");
    assert_int_equal(status_of(&answer), 413);
    buf_deinit(&answer);
    answer = ask(world, "POST /metrics", "Content-Length: 4\r\n");
    assert_int_equal(status_of(&answer), 405);
    buf_deinit(&answer);
    answer = ask(world, "GET /metrics", "Transfer-Encoding: chunked\r\n");
    assert_int_equal(status_of(&answer), 413);
    buf_deinit(&answer);
    assert_int_equal(world->reloads, 0);
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        int fd = connect_to(http_server_address(world->server, 0));

        send_text(fd, garbage[i]);
        shutdown(fd, SHUT_WR);
        answer = read_all(fd);
        assert_true(answer.len == 0 || status_of(&answer) >= 400);
        buf_deinit(&answer);
        close(fd);
    }
    assert_int_equal(status(world, "GET /-/healthy"), 200);
    world_free(world);
}

/* Waits for the server to hang up; how long that took. */
static int64_t time_until_closed(int fd, int64_t since_ns)
{
    struct buf rest = read_all(fd);

    buf_deinit(&rest);
    return clock_monotonic_ns() - since_ns;
}

static void test_a_slow_drip_is_cut_off_at_the_deadline(void **state)
{
    struct world *world = world_new(1);
    int64_t start_ns, gone_ns = 0;
    int fd;

    (void)state;
    world->options.request_deadline_ns = DEADLINE_NS;
    world_start(world);
    start_ns = clock_monotonic_ns();
    fd = connect_to(http_server_address(world->server, 0));
    /* Never silent for long, so a timeout of inactivity would let it go on for ever. */
    while (send_text(fd, "G") && clock_monotonic_ns() - start_ns < PATIENCE_S * NS_PER_S)
        usleep(20000);
    gone_ns = clock_monotonic_ns() - start_ns;
    close(fd);
    assert_true(gone_ns >= DEADLINE_NS && gone_ns < 10 * DEADLINE_NS);

    /* Between two requests a client may take longer. */
    fd = connect_to(http_server_address(world->server, 0));
    for (int i = 0; i < 2; i++) {
        char answer[1024];

        assert_true(send_text(fd, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_true(recv(fd, answer, sizeof answer, 0) > 0);
        if (i == 0)
            usleep((useconds_t)(DEADLINE_NS * 3 / 2 / NS_PER_US));
    }
    /* But a request that it begins has a deadline of its own. */
    start_ns = clock_monotonic_ns();
    assert_true(send_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n"));
    assert_true(time_until_closed(fd, start_ns) < 10 * DEADLINE_NS);
    close(fd);
    world_free(world);
}

/* Asks for a scrape and does not read it. */
static int stalled_reader(const struct world *world)
{
    int fd = connect_to(http_server_address(world->server, 0));

    assert_true(send_text(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
    return fd;
}

/* Four of them take all places. Where the machine is so slow that the deadline of the first has
 * come before the last is accepted, four others try. The answer to somebody who finds no place. */
static struct buf crowd_out(const struct world *world, int readers[4])
{
    int64_t end_ns = clock_monotonic_ns() + PATIENCE_S * NS_PER_S, until_ns;
    struct buf answer;

    for (;;) {
        for (size_t i = 0; i < 4; i++)
            readers[i] = stalled_reader(world);
        until_ns = clock_monotonic_ns() + DEADLINE_NS;
        do {
            answer = ask(world, "HEAD /metrics", ""); /* nothing slow */
            if (status_of(&answer) != 200 || clock_monotonic_ns() >= end_ns)
                return answer;
            buf_deinit(&answer);
        } while (clock_monotonic_ns() < until_ns);
        for (size_t i = 0; i < 4; i++)
            close(readers[i]);
    }
}

static void test_slow_readers_hold_up_nobody(void **state)
{
    struct world *world = world_new(1000); /* a body far beyond what sockets buffer */
    int readers[4];
    struct buf answer;
    int64_t until_ns;
    int code;

    (void)state;
    world->options.max_requests = 4;
    world->options.request_deadline_ns = DEADLINE_NS;
    world_start(world);
    answer = crowd_out(world, readers);
    assert_int_equal(status_of(&answer), 503);
    assert_true(has_header(&answer, "\r\nRetry-After: "));
    buf_deinit(&answer);
    assert_int_equal(status(world, "GET /-/healthy"), 200);
    assert_int_equal(status(world, "GET /health/database?brief=1"), 200);

    /* They are dropped at the deadline, and their places are free again. */
    until_ns = clock_monotonic_ns() + PATIENCE_S * NS_PER_S;
    do
        code = status(world, "HEAD /metrics");
    while (code != 200 && clock_monotonic_ns() < until_ns);
    assert_int_equal(code, 200);
    for (size_t i = 0; i < 4; i++)
        close(readers[i]);
    world_free(world);
}

static void test_silent_crowds_make_room(void **state)
{
    enum { CROWD = 700 };
    struct world *world = world_new(1);
    static int crowd[CROWD];
    size_t dropped = 0;

    (void)state;
    take_descriptors(2 * CROWD + 100);
    world_start(world);
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = connect_to(http_server_address(world->server, 0));
        assert_true(crowd[i] >= 0);
    }
    assert_int_equal(status(world, "GET /-/healthy"), 200);
    for (size_t i = 0; i < CROWD; i++) {
        char byte;

        dropped += recv(crowd[i], &byte, 1, MSG_DONTWAIT) == 0;
        close(crowd[i]);
    }
    assert_true(dropped >= CROWD - 512);
    world_free(world);
}

static void test_stop_lets_answers_finish(void **state)
{
    struct world *world = world_new(1000);
    struct fleet *fleet = world->fleet;
    int64_t start_ns;
    char byte;
    int fd;

    (void)state;
    world_start(world);
    fd = stalled_reader(world);
    usleep(50000);
    start_ns = clock_monotonic_ns();
    http_server_stop(world->server, 200 * NS_PER_MS); /* it will not finish */
    assert_true(clock_monotonic_ns() - start_ns >= 150 * NS_PER_MS);
    assert_true(clock_monotonic_ns() - start_ns < 5 * NS_PER_S);
    close(fd);

    world_start(world);
    fd = connect_to(http_server_address(world->server, 0));
    assert_true(send_text(fd, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_true(recv(fd, &byte, 1, 0) == 1);
    start_ns = clock_monotonic_ns();
    usleep(50000); /* answered, and idle since: nothing to wait for */
    http_server_stop(world->server, PATIENCE_S * NS_PER_S);
    assert_true(clock_monotonic_ns() - start_ns < 5 * NS_PER_S);
    close(fd);
    assert_ptr_equal(world->fleet, fleet);
    world->server = NULL;
    world_free(world);
}

static void *stop_with_patience(void *context)
{
    struct world *world = context;

    http_server_stop(world->server, PATIENCE_S * NS_PER_S);
    return NULL;
}

/* Whoever got in before the end may still ask: a restart loses no scrape. */
static void test_stop_lets_those_ask_who_are_in(void **state)
{
    struct world *world = world_new(1);
    struct buf answer;
    pthread_t thread;
    int fds[8];

    (void)state;
    world_start(world);
    for (size_t i = 0; i < 8; i++)
        fds[i] = connect_to(http_server_address(world->server, 0));
    assert_int_equal(status(world, "GET /-/healthy"), 200); /* so they have been accepted */
    assert_int_equal(pthread_create(&thread, NULL, stop_with_patience, world), 0);
    usleep(100000);
    for (size_t i = 0; i < 8; i++)
        assert_true(send_text(fds[i], "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"));
    for (size_t i = 0; i < 8; i++) {
        answer = read_all(fds[i]);
        assert_int_equal(status_of(&answer), 200);
        buf_deinit(&answer);
        close(fds[i]);
    }
    pthread_join(thread, NULL);
    world->server = NULL;
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_ready_follows_the_daemon_and_not_the_databases),
        cmocka_unit_test(test_wrong_method_names_the_right_ones),
        cmocka_unit_test(test_head_has_headers_and_no_body),
        cmocka_unit_test(test_scrape_in_either_format_and_encoding),
        cmocka_unit_test(test_page_escapes_and_fences),
        cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_addresses_that_make_no_sense),
        cmocka_unit_test(test_what_no_browser_sends),
        cmocka_unit_test(test_a_slow_drip_is_cut_off_at_the_deadline),
        cmocka_unit_test(test_slow_readers_hold_up_nobody),
        cmocka_unit_test(test_silent_crowds_make_room),
        cmocka_unit_test(test_stop_lets_answers_finish),
        cmocka_unit_test(test_stop_lets_those_ask_who_are_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
