/* One GET at a time per fetch, by libcurl's multi interface on a libuv loop.
 *
 * Law: libcurl is left before anybody is told. A fetch that libcurl has done with is detached from
 * it and put on the list of ended ones; callbacks come from that list, so they may start, cancel
 * and free what they like. The client's memory lasts until its timer is closed, a turn later. */
#include "pgtls/net/http_client.h"

#include "http_setup.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/net/loop.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct http_fetch {
    struct http_fetch *next, **link; /* among its client's running or ended ones */
    struct http_client *client;
    http_done_fn *done;
    void *context;
    CURL *easy;
    struct curl_slist *headers;
    struct buf body;
    int64_t timeout_ns;
    bool running; /* libcurl has it */
    bool not_200; /* given up at the first byte of a body that nobody wants */
    struct http_answer answer;
    char reason[CURL_ERROR_SIZE]; /* libcurl's */
};

struct http_client {
    uv_loop_t *loop;
    uv_timer_t timer;
    CURLM *multi;    /* NULL: freed, and waiting for the timer to close */
    uint64_t due_ms; /* when libcurl wants to be called, in the loop's time; UINT64_MAX: not */
    struct http_fetch *running;
    struct http_fetch *ended; /* to be told of in the loop's next turn, or at the end of this one */
    struct http_fetch *telling; /* those of `ended` whose turn it is */
};

/* One socket of libcurl's, watched. */
struct watch {
    struct http_client *client;
    curl_socket_t fd;
    uv_poll_t poll;
};

/* --- fetches --------------------------------------------------------------------------------- */

static void enlist(struct http_fetch **list, struct http_fetch *f)
{
    f->next = *list;
    f->link = list;
    if (f->next)
        f->next->link = &f->next;
    *list = f;
}

static void delist(struct http_fetch *f)
{
    *f->link = f->next;
    if (f->next)
        f->next->link = f->link;
    f->next = NULL;
    f->link = NULL;
}

static void leave_libcurl(struct http_fetch *f)
{
    if (f->running)
        curl_multi_remove_handle(f->client->multi, f->easy);
    f->running = false;
}

static void fetch_free(struct http_fetch *f)
{
    curl_easy_cleanup(f->easy);
    curl_slist_free_all(f->headers);
    buf_deinit(&f->body);
    free(f);
}

/* --- how it ended ---------------------------------------------------------------------------- */

static void say(struct http_fetch *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct http_fetch *f, const char *format, ...)
{
    struct buf text = BUF_INIT(1024);
    va_list args;

    va_start(args, format);
    buf_addv(&text, format, args);
    va_end(args);
    str_clean(f->answer.error, sizeof f->answer.error, buf_text(&text), text.len);
    buf_deinit(&text);
}

static void say_status(struct http_fetch *f)
{
    const char *hint = "";

    if (f->answer.status == 401 || f->answer.status == 403)
        hint = ": are the credentials the right ones?";
    else if (f->answer.status >= 300 && f->answer.status < 400)
        hint = ": redirects are not followed";
    say(f, "HTTP status %ld instead of 200%s", f->answer.status, hint);
}

static void say_timeout(struct http_fetch *f)
{
    struct buf limit = BUF_INIT(64);

    str_add_duration(&limit, f->timeout_ns);
    say(f, "no complete answer within %s", buf_text(&limit));
    buf_deinit(&limit);
}

static void say_unconnected(struct http_fetch *f)
{
    long error = 0;

    curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &error);
    say(f, "cannot connect%s%s", error ? ": " : "", error ? strerror((int)error) : "");
}

#define STR_(x) #x
#define STR(x)  STR_(x)

/* libcurl's own text names hosts and files, and is kept where it helps. It may also quote a proxy's
 * URL that it cannot read, with its password, and keeps the first thing that it said, which is
 * about getpeername() when a server ends the connection at the end of the handshake. */
static bool reason_helps(const char *reason)
{
    return reason[0] && !strchr(reason, '@') && strncmp(reason, "getpeername", 11) != 0;
}

static void say_code(struct http_fetch *f, CURLcode code)
{
    static const struct {
        CURLcode code;
        const char *text;
    } texts[] = {
        {CURLE_TOO_MANY_REDIRECTS, "more than " STR(HTTP_MAX_REDIRECTS) " redirects"},
        {CURLE_UNSUPPORTED_PROTOCOL,
         "a redirect leads out of http and https, or from https to http"},
        {CURLE_COULDNT_RESOLVE_PROXY,
         "the proxy's name cannot be resolved, or its URL cannot be read"},
        {CURLE_PARTIAL_FILE, "the server closed the connection before the body was complete"},
        {CURLE_GOT_NOTHING, "the server closed the connection without an answer"},
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].code == code) {
            say(f, "%s", texts[i].text);
            return;
        }
    }
    if (reason_helps(f->reason))
        say(f, "%s", f->reason);
    else
        say(f, "%s", curl_easy_strerror(code));
}

/* Where redirects had led when it failed. */
static void say_where(struct http_fetch *f)
{
    char shown[HTTP_ERROR_SIZE / 2];
    const char *url = NULL;
    long redirects = 0;
    size_t len = strlen(f->answer.error);

    curl_easy_getinfo(f->easy, CURLINFO_REDIRECT_COUNT, &redirects);
    curl_easy_getinfo(f->easy, CURLINFO_EFFECTIVE_URL, &url);
    if (redirects == 0 || !url)
        return;
    http_url_redact(shown, sizeof shown, url);
    snprintf(f->answer.error + len, sizeof f->answer.error - len, " (redirected to %s)", shown);
}

static void judge(struct http_fetch *f, CURLcode code)
{
    struct http_answer *a = &f->answer;
    const char *type = NULL;

    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &a->status);
    curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
    a->content_type = type ? type : "";
    if (f->not_200 || (code == CURLE_OK && a->status != 200))
        say_status(f);
    else if (f->body.failed)
        say(f, "the body is longer than %zu bytes", f->body.max);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        say_timeout(f);
    else if (code == CURLE_COULDNT_CONNECT)
        say_unconnected(f);
    else if (code == CURLE_UNSUPPORTED_PROTOCOL && a->status == 0)
        say(f, "the server does not speak HTTP"); /* libcurl takes it for HTTP 0.9 */
    else if (code != CURLE_OK)
        say_code(f, code);
    else
        a->ok = true;
    if (a->ok) {
        a->body = buf_text(&f->body);
        a->len = f->body.len;
    } else {
        say_where(f);
    }
}

static void collect(struct http_client *c)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(c->multi, &left))) {
        CURLcode code = message->data.result; /* the message goes with its handle */
        struct http_fetch *f = NULL;

        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &f);
        judge(f, code);
        leave_libcurl(f);
        delist(f);
        enlist(&c->ended, f);
    }
}

/* NOLINTBEGIN(clang-analyzer-unix.Malloc): it does not see delist() move a list's head on */
/* Only those that had ended before: a callback may start one that ends at once. */
static void deliver(struct http_client *c)
{
    while (c->ended) {
        struct http_fetch *f = c->ended;

        delist(f);
        enlist(&c->telling, f);
    }
    while (c->telling) {
        struct http_fetch *f = c->telling;

        delist(f);
        f->done(f->context, &f->answer); /* c may be a freed one after this */
        fetch_free(f);
    }
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */

/* --- libcurl on the loop --------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static void arm(struct http_client *c)
{
    uint64_t now_ms = uv_now(c->loop);

    if (c->ended)
        uv_timer_start(&c->timer, on_timer, 0, 0);
    else if (c->due_ms == UINT64_MAX)
        uv_timer_stop(&c->timer);
    else
        uv_timer_start(&c->timer, on_timer, c->due_ms > now_ms ? c->due_ms - now_ms : 0, 0);
}

static void act(struct http_client *c, curl_socket_t fd, int events)
{
    int running;

    curl_multi_socket_action(c->multi, fd, events, &running);
    collect(c);
    deliver(c);
    if (c->multi)
        arm(c);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data; /* may be gone after acting */
    int what = 0;

    /* An error is what the next read or write tells, better than CURL_CSELECT_ERR would. */
    if (status < 0 || (events & UV_READABLE))
        what |= CURL_CSELECT_IN;
    if (status < 0 || (events & UV_WRITABLE))
        what |= CURL_CSELECT_OUT;
    act(w->client, w->fd, what);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct watch *watch_new(struct http_client *c, curl_socket_t fd)
{
    struct watch *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    if (uv_poll_init(c->loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->client = c;
    w->fd = fd;
    w->poll.data = w;
    curl_multi_assign(c->multi, fd, w);
    return w;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *watch)
{
    struct watch *w = watch;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        }
        return 0;
    }
    if (!w)
        w = watch_new(client, fd);
    if (!w)
        return 0; /* the fetch will time out */
    loop_poll(&w->poll,
              ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                  ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0),
              on_ready); /* as above */
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct http_client *c = timer->data;

    c->due_ms = UINT64_MAX; /* libcurl says it anew, also when this was too early for it */
    act(c, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wanted(CURLM *multi, long ms, void *client)
{
    struct http_client *c = client;

    (void)multi;
    c->due_ms = ms < 0 ? UINT64_MAX : uv_now(c->loop) + (uint64_t)ms;
    arm(c);
    return 0;
}

/* --- what is asked --------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t n, void *fetch)
{
    struct http_fetch *f = fetch;
    long status = 0;

    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    f->not_200 = status != 200;
    if (!f->not_200)
        buf_add(&f->body, bytes, size * n);
    return f->not_200 || f->body.failed ? CURL_WRITEFUNC_ERROR : size * n;
}

static bool add_header(struct http_fetch *f, const char *line)
{
    struct curl_slist *longer = curl_slist_append(f->headers, line);

    if (longer)
        f->headers = longer;
    return longer != NULL;
}

static bool set_headers(struct http_fetch *f, unsigned refresh_seconds)
{
    char line[64];

    snprintf(line, sizeof line, "X-Prometheus-Refresh-Interval-Seconds: %u", refresh_seconds);
    if (!add_header(f, "Accept: application/json") || (refresh_seconds > 0 && !add_header(f, line)))
        return false;
    return curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers) == CURLE_OK;
}

static bool set_ends(struct http_fetch *f)
{
    return curl_easy_setopt(f->easy, CURLOPT_PRIVATE, f) == CURLE_OK &&
           curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f) == CURLE_OK &&
           curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, f->reason) == CURLE_OK;
}

struct http_fetch *http_fetch_start(struct http_client *c, const struct http_fetch_request *r,
                                    http_done_fn *done, void *context)
{
    struct http_fetch *f = calloc(1, sizeof *f);
    const char *why;

    if (!f)
        return NULL;
    *f = (struct http_fetch){.client = c,
                             .done = done,
                             .context = context,
                             .easy = curl_easy_init(),
                             .body = BUF_INIT(r->max_bytes),
                             .timeout_ns = r->timeout_ns,
                             .answer = {.body = "", .content_type = ""}};
    if (!f->easy || !set_ends(f) || !set_headers(f, r->refresh_seconds)) {
        fetch_free(f);
        return NULL;
    }
    why = http_setup(f->easy, r);
    f->running = !why && curl_multi_add_handle(c->multi, f->easy) == CURLM_OK;
    enlist(f->running ? &c->running : &c->ended, f);
    if (!f->running) {
        say(f, "%s", why ? why : "out of memory");
        arm(c);
    }
    return f;
}

void http_fetch_cancel(struct http_fetch *f)
{
    leave_libcurl(f);
    delist(f);
    fetch_free(f);
}

/* --- life ------------------------------------------------------------------------------------ */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void start_library(void)
{
    unsetenv("SSLKEYLOGFILE"); /* libcurl would write our sessions' keys there */
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct http_client *http_client_new(uv_loop_t *loop)
{
    struct http_client *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    pthread_once(&library_once, start_library);
    c->loop = loop;
    c->due_ms = UINT64_MAX;
    c->multi = curl_multi_init();
    if (!c->multi || uv_timer_init(loop, &c->timer) != 0) {
        curl_multi_cleanup(c->multi);
        free(c);
        return NULL;
    }
    c->timer.data = c;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    return c;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): as above */
    while (c->running)
        http_fetch_cancel(c->running);
    while (c->ended)
        http_fetch_cancel(c->ended);
    while (c->telling)
        http_fetch_cancel(c->telling);
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    curl_multi_cleanup(c->multi); /* lets go of the sockets through on_socket */
    c->multi = NULL;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
