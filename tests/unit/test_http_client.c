/* The HTTP client: what it asks, what it takes for good, and what it survives. */
#include "pgtls/net/http_client.h"

#include "http_peer.h"

#include "pgtls/base/clock.h"
#include "pgtls_version.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define SECRET    "s3cret"
#define MAX_BYTES ((size_t)64 * 1024)
#define LONG_NS   (20 * NS_PER_S) /* longer than anything here takes, on any machine */
#define SHORT_NS  (300 * NS_PER_MS)

struct world {
    struct http_peer peer;
    uv_loop_t loop;
    struct http_client *client;
    char url[256];
};

/* What a callback saw. */
struct seen {
    unsigned calls;
    bool ok;
    long status;
    char body[1024], type[64], error[HTTP_ERROR_SIZE];
    size_t len;
};

static void on_done(void *context, const struct http_answer *a)
{
    struct seen *seen = context;

    seen->calls++;
    seen->ok = a->ok;
    seen->status = a->status;
    seen->len = a->len;
    snprintf(seen->body, sizeof seen->body, "%s", a->body);
    snprintf(seen->type, sizeof seen->type, "%s", a->content_type);
    snprintf(seen->error, sizeof seen->error, "%s", a->error);
    assert_null(strstr(a->error, SECRET));
    assert_int_equal(a->ok, a->error[0] == '\0');
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    http_peer_start(&w->peer, NULL);
    uv_loop_init(&w->loop);
    w->client = http_client_new(&w->loop);
    assert_non_null(w->client);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    http_client_free(w->client);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0); /* every handle was let go of */
    http_peer_stop(&w->peer);
    free(w);
    return 0;
}

static struct http_fetch_request request(struct world *w, const char *path)
{
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%u%s", w->peer.port, path);
    return (struct http_fetch_request){
        .url = w->url, .timeout_ns = LONG_NS, .max_bytes = MAX_BYTES, .follow_redirects = true};
}

static struct seen fetch(struct world *w, const struct http_fetch_request *r)
{
    struct seen seen = {0};

    assert_non_null(http_fetch_start(w->client, r, on_done, &seen));
    assert_int_equal(seen.calls, 0);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.calls, 1);
    return seen;
}

static struct seen get(struct world *w, const char *path)
{
    struct http_fetch_request r = request(w, path);

    return fetch(w, &r);
}

static void assert_head(struct world *w, const char *text, bool there)
{
    char *head = http_peer_head(&w->peer);

    if ((strstr(head, text) != NULL) != there)
        fail_msg("%s %s in:\n%s", text, there ? "is missing" : "should not be", head);
    free(head);
}

static void assert_says(const struct seen *seen, const char *text)
{
    if (seen->ok || !strstr(seen->error, text))
        fail_msg("\"%s\" does not say \"%s\"", seen->error, text);
}

/* --- what is asked --------------------------------------------------------------------------- */

static void a_list_is_fetched(void **state)
{
    struct world *w = *state;
    struct http_fetch_request r = request(w, "/json");
    struct seen seen;

    r.refresh_seconds = 60;
    seen = fetch(w, &r);
    assert_true(seen.ok);
    assert_int_equal(seen.status, 200);
    assert_string_equal(seen.body, PEER_JSON);
    assert_int_equal(seen.len, strlen(PEER_JSON));
    assert_string_equal(seen.type, "application/json");
    assert_head(w, "GET /json HTTP/1.1\r\n", true);
    assert_head(w, "\r\nUser-Agent: pgtls_exporter/" PGTLS_VERSION "\r\n", true);
    assert_head(w, "\r\nAccept: application/json\r\n", true);
    assert_head(w, "\r\nAccept-Encoding: gzip\r\n", true);
    assert_head(w, "\r\nX-Prometheus-Refresh-Interval-Seconds: 60\r\n", true);
    assert_head(w, "Authorization", false);
    assert_head(w, "Cookie", false);
}

static void a_compressed_list_is_fetched(void **state)
{
    struct seen seen = get(*state, "/gzip");

    assert_true(seen.ok);
    assert_string_equal(seen.body, PEER_JSON);
}

static void credentials_are_sent(void **state)
{
    struct world *w = *state;
    struct http_fetch_request r = request(w, "/json");

    r.username = "user";
    r.password = SECRET;
    assert_true(fetch(w, &r).ok);
    assert_head(w, "\r\nAuthorization: Basic dXNlcjpzM2NyZXQ=\r\n", true);
    r.bearer = "to.ken";
    assert_true(fetch(w, &r).ok);
    assert_head(w, "\r\nAuthorization: Bearer to.ken\r\n", true);
    snprintf(w->url, sizeof w->url, "http://user:" SECRET "@127.0.0.1:%u/json", w->peer.port);
    r = (struct http_fetch_request){.url = w->url, .timeout_ns = LONG_NS, .max_bytes = MAX_BYTES};
    assert_true(fetch(w, &r).ok);
    assert_head(w, "\r\nAuthorization: Basic dXNlcjpzM2NyZXQ=\r\n", true);
}

static void credentials_stay_with_their_host(void **state)
{
    struct world *w = *state;
    struct http_fetch_request r = request(w, "/away");

    r.username = "user";
    r.password = SECRET;
    assert_true(fetch(w, &r).ok);
    assert_head(w, "\r\nHost: localhost:", true);
    assert_head(w, "Authorization", false);
    r.bearer = SECRET;
    assert_true(fetch(w, &r).ok);
    assert_head(w, "Authorization", false);
    snprintf(w->url, sizeof w->url, "http://user:" SECRET "@127.0.0.1:%u/away", w->peer.port);
    r.username = r.password = r.bearer = NULL;
    assert_true(fetch(w, &r).ok);
    assert_head(w, "\r\nHost: localhost:", true);
    assert_head(w, "Authorization", false);
}

static void the_environment_has_no_say(void **state)
{
    struct world *w = *state;
    struct http_fetch_request r = request(w, "/json");
    struct seen seen;

    setenv("http_proxy", "http://user:" SECRET "@127.0.0.1:1", 1);
    assert_true(fetch(w, &r).ok);
    r.proxy_from_environment = true;
    seen = fetch(w, &r);
    assert_says(&seen, "cannot connect: Connection refused");
    setenv("no_proxy", "127.0.0.1", 1);
    assert_true(fetch(w, &r).ok);
    unsetenv("http_proxy");
    unsetenv("no_proxy");
}

static void a_proxy_is_used_when_named(void **state)
{
    struct world *w = *state;
    struct http_fetch_request r = request(w, "");
    char proxy[64];

    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", w->peer.port);
    r.url = "http://nowhere.invalid/json";
    r.proxy_url = proxy;
    assert_true(fetch(w, &r).ok);
    assert_head(w, "GET http://nowhere.invalid/json HTTP/1.1\r\n", true);
    r.no_proxy = "nowhere.invalid";
    assert_false(fetch(w, &r).ok);
}

/* --- what is not good ------------------------------------------------------------------------ */

static void bad_answers_are_told_apart(void **state)
{
    static const struct {
        const char *path, *says;
        long status;
    } cases[] = {
        {"/500", "HTTP status 500 instead of 200", 500},
        {"/500-endless", "HTTP status 500 instead of 200", 500},
        {"/204", "HTTP status 204 instead of 200", 204},
        {"/401", "HTTP status 401 instead of 200: are the credentials the right ones?", 401},
        {"/endless", "the body is longer than 65536 bytes", 200},
        {"/bomb", "the body is longer than 65536 bytes", 200},
        {"/broken-gzip", "incorrect header check", 200},
        {"/loop", "more than 5 redirects (redirected to http://127.0.0.1:", 302},
        {"/file", "a redirect leads out of http and https", 302},
        {"/close", "the server closed the connection without an answer", 0},
        {"/short", "the server closed the connection before the body was complete", 200},
        {"/reset", "Connection reset by peer", 0},
        {"/garbage", "the server does not speak HTTP", 0},
        {"/headers", "", 200},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct seen seen = get(*state, cases[i].path);

        print_message("%s: %s\n", cases[i].path, seen.error);
        assert_says(&seen, cases[i].says);
        assert_int_equal(seen.status, cases[i].status);
        assert_string_equal(seen.body, "");
        assert_int_equal(seen.len, 0);
    }
}

static void redirects_are_followed_only_on_request(void **state)
{
    struct world *w = *state;
    struct http_fetch_request r = request(w, "/away");
    struct seen seen;

    r.follow_redirects = false;
    seen = fetch(w, &r);
    assert_says(&seen, "HTTP status 302 instead of 200: redirects are not followed");
    assert_int_equal(w->peer.requests, 1);
}

/* A byte now and then, or none: the time is that of the whole. */
static void the_time_is_absolute(void **state)
{
    static const char *const paths[] = {"/drip", "/silent"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct http_fetch_request r = request(*state, paths[i]);
        int64_t start_ns = clock_monotonic_ns(), took_ns;
        struct seen seen;

        r.timeout_ns = SHORT_NS;
        seen = fetch(*state, &r);
        took_ns = clock_monotonic_ns() - start_ns;
        assert_says(&seen, "no complete answer within 300ms");
        assert_true(took_ns >= SHORT_NS && took_ns < LONG_NS / 2);
    }
}

static void a_body_may_be_as_long_as_allowed(void **state)
{
    struct http_fetch_request r = request(*state, "/json");
    struct seen seen;

    r.max_bytes = strlen(PEER_JSON);
    assert_true(fetch(*state, &r).ok);
    r.max_bytes--;
    seen = fetch(*state, &r);
    assert_says(&seen, "the body is longer than");
}

static void what_cannot_be_asked_is_refused(void **state)
{
    static const struct {
        const char *url, *bearer, *proxy, *says;
    } cases[] = {
        {"file:///etc/hostname", NULL, NULL, "begin with http:// or https://"},
        {"user:" SECRET "@db.example/list", NULL, NULL, "begin with http:// or https://"},
        {"http://db.example/\nX: y", NULL, NULL, "control character"},
        {"http://127.0.0.1:1/", "token\r\nX: y", NULL, "the bearer token has a control character"},
        {"http://user:" SECRET "@127.0.0.1:1/", NULL, NULL, "cannot connect: Connection refused"},
        {"http://user:" SECRET "/more@db.example/", NULL, NULL, ""},
        {"http://user:" SECRET "@db.example:port/", NULL, NULL, ""},
        {"http://user:" SECRET " @127.0.0.1:1/", NULL, NULL, ""},
        {"http://127.0.0.1:1/", NULL, "ftp://user:" SECRET "@127.0.0.1/", "socks5h://"},
        {"http://127.0.0.1:1/", NULL, "http://user:" SECRET "@[::1/", "the proxy's name"},
        {"http://nowhere.invalid/", NULL, NULL, "nowhere.invalid"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_fetch_request r = request(*state, "");
        struct seen seen;

        r.url = cases[i].url;
        r.bearer = cases[i].bearer;
        r.proxy_url = cases[i].proxy;
        seen = fetch(*state, &r);
        print_message("%s\n", seen.error);
        assert_says(&seen, cases[i].says);
        assert_int_equal(seen.status, 0);
    }
}

static void nobody_reads_a_secret_in_a_url(void **state)
{
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"http://db.example/list", "http://db.example/list"},
        {"https://user:" SECRET "@db.example:8443/a@b", "https://***@db.example:8443/a@b"},
        {"https://user@db.example", "https://***@db.example"},
        {"https://user:" SECRET "@x@db.example/", "https://***@db.example/"},
        {"https://user:" SECRET "/x@db.example/", "https://***@db.example/"},
        {"https://db.example/?token=" SECRET "#" SECRET, "https://db.example/?***"},
        {"https://db.example/#" SECRET, "https://db.example/"},
        {"https://user:" SECRET "@[::1]:80/a\nb", "https://***@[::1]:80/a\\nb"},
        {"https://[::1]:80/a@b", "https://[::1]:80/a@b"},
        {"user:" SECRET "@db.example", "***@db.example"},
        {"", ""},
        {"http:/u:p@h/x", "http:/***@h/x"},
        {"http:///u:p@h/x", "http:///***@h/x"},
    };
    char shown[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        http_url_redact(shown, sizeof shown, cases[i].url);
        assert_string_equal(shown, cases[i].shown);
    }
    http_url_redact(shown, 8, "https://db.example");
    assert_string_equal(shown, "https:/");
}

/* --- many, and half ones --------------------------------------------------------------------- */

static void a_hundred_at_once(void **state)
{
    enum { N = 100 };
    struct http_fetch_request r = request(*state, "/gzip");
    struct world *w = *state;
    struct seen *seen = calloc(N, sizeof *seen);

    for (size_t i = 0; i < N; i++)
        assert_non_null(http_fetch_start(w->client, &r, on_done, &seen[i]));
    uv_run(&w->loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(seen[i].calls, 1);
        assert_string_equal(seen[i].error, "");
    }
    assert_int_equal(w->peer.requests, N);
    free(seen);
}

static const char *const long_ones[] = {"/json", "/drip", "/silent", "/endless", "/headers",
                                        "/away", "/loop", "/bomb",   "ftp://x",  "/reset"};

static struct http_fetch *start_long_one(struct world *w, size_t i, struct seen *seen)
{
    struct http_fetch_request r = request(w, long_ones[i]);

    if (strstr(long_ones[i], "://"))
        r.url = long_ones[i];
    return http_fetch_start(w->client, &r, on_done, seen);
}

/* After any number of turns of the loop, unless it has ended by then. */
static void cancelled_at_any_moment(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < sizeof long_ones / sizeof *long_ones; i++) {
        for (unsigned turns = 0; turns < 12; turns++) {
            struct seen seen = {0};
            struct http_fetch *f = start_long_one(w, i, &seen);

            for (unsigned turn = 0; turn < turns && seen.calls == 0; turn++) {
                uv_run(&w->loop, UV_RUN_NOWAIT);
                nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
            }
            if (seen.calls > 0)
                continue;
            http_fetch_cancel(f);
            uv_run(&w->loop, UV_RUN_DEFAULT); /* nothing is left to wait for */
            assert_int_equal(seen.calls, 0);
        }
    }
}

static void freed_with_fetches_in_flight(void **state)
{
    struct world *w = *state;
    struct seen seen = {0};

    for (unsigned turns = 0; turns < 8; turns++) {
        for (size_t i = 0; i < sizeof long_ones / sizeof *long_ones; i++)
            start_long_one(w, i, &seen);
        for (unsigned turn = 0; turn < turns; turn++)
            uv_run(&w->loop, UV_RUN_NOWAIT);
        seen.calls = 0;
        http_client_free(w->client);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        assert_int_equal(seen.calls, 0);
        w->client = http_client_new(&w->loop);
    }
}

struct chain {
    struct world *w;
    struct http_fetch *other;
    unsigned left, calls;
};

static void on_link(void *context, const struct http_answer *a)
{
    struct chain *chain = context;
    struct http_fetch_request r = request(chain->w, chain->left % 2 ? "/json" : "");

    chain->calls++;
    (void)a;
    if (chain->left % 2 == 0)
        r.url = "not a url"; /* ends without libcurl */
    if (chain->left-- > 0)
        http_fetch_start(chain->w->client, &r, on_link, chain);
}

static void a_callback_may_start_another(void **state)
{
    struct chain chain = {.w = *state, .left = 9};
    struct http_fetch_request r = request(*state, "/json");

    http_fetch_start(chain.w->client, &r, on_link, &chain);
    uv_run(&chain.w->loop, UV_RUN_DEFAULT);
    assert_int_equal(chain.calls, 10);
}

static void cancel_the_other(void *context, const struct http_answer *a)
{
    struct chain *chain = context;

    (void)a;
    chain->calls++;
    if (chain->other)
        http_fetch_cancel(chain->other);
    chain->other = NULL;
}

static void a_callback_may_cancel_another(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < sizeof long_ones / sizeof *long_ones; i++) {
        struct chain chain = {.w = w};
        struct seen seen = {0};
        struct http_fetch_request r = request(w, "");

        r.url = "not a url"; /* ends in the first turn, and is told of first */
        http_fetch_start(w->client, &r, cancel_the_other, &chain);
        chain.other = start_long_one(w, i, &seen);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        assert_int_equal(chain.calls, 1);
        assert_int_equal(seen.calls, 0);
    }
}

static void free_the_client(void *context, const struct http_answer *a)
{
    struct chain *chain = context;

    (void)a;
    chain->calls++;
    http_client_free(chain->w->client);
    chain->w->client = NULL;
}

static void a_callback_may_free_the_client(void **state)
{
    static const char *const urls[] = {NULL, "not a url"};
    struct world *w = *state;

    for (size_t i = 0; i < 2; i++) {
        struct chain chain = {.w = w};
        struct http_fetch_request r = request(w, "/json");

        r.url = urls[i] ? urls[i] : r.url;
        for (size_t n = 0; n < 5; n++)
            http_fetch_start(w->client, &r, free_the_client, &chain);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        assert_int_equal(chain.calls, 1);
        w->client = http_client_new(&w->loop);
    }
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_list_is_fetched),
        IN_A_WORLD(a_compressed_list_is_fetched),
        IN_A_WORLD(credentials_are_sent),
        IN_A_WORLD(credentials_stay_with_their_host),
        IN_A_WORLD(the_environment_has_no_say),
        IN_A_WORLD(a_proxy_is_used_when_named),
        IN_A_WORLD(bad_answers_are_told_apart),
        IN_A_WORLD(redirects_are_followed_only_on_request),
        IN_A_WORLD(the_time_is_absolute),
        IN_A_WORLD(a_body_may_be_as_long_as_allowed),
        IN_A_WORLD(what_cannot_be_asked_is_refused),
        cmocka_unit_test(nobody_reads_a_secret_in_a_url),
        IN_A_WORLD(a_hundred_at_once),
        IN_A_WORLD(cancelled_at_any_moment),
        IN_A_WORLD(freed_with_fetches_in_flight),
        IN_A_WORLD(a_callback_may_start_another),
        IN_A_WORLD(a_callback_may_cancel_another),
        IN_A_WORLD(a_callback_may_free_the_client),
    };

    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
