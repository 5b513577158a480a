#pragma once
/* An HTTP server over a small fleet, and a client made of raw sockets, which can misbehave. */
#include "fleet_fixture.h"

#include "pgtls/base/buf.h"
#include "pgtls/expose/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define ANSWER_MAX  ((size_t)64 * 1024 * 1024)
#define DEADLINE_NS (400 * NS_PER_MS) /* for who wants to see it pass */
/* Slower than any machine this runs on, and still a bound. */
#define PATIENCE_S  20

/* Skips the test where so many descriptors are not to be had. */
static inline void take_descriptors(rlim_t n)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < n)
        skip();
}

struct world {
    struct self self;
    struct fleet *fleet;
    struct http_options options;
    struct http_server *server;
    bool reload_succeeds;
    unsigned reloads;
};

static inline bool on_reload(void *context,
                             void (*told)(void *asker, bool done, const char *message), void *asker)
{
    struct world *world = context;

    world->reloads++;
    told(asker, world->reload_succeeds, world->reload_succeeds ? "" : "pgtls.yml:1:1: unknown key");
    return true;
}

static const char *const loopback[] = {"127.0.0.1:0"};

/* A fleet of n servers; the options may be changed before start(). */
static inline struct world *world_new(size_t n)
{
    struct world *world = calloc(1, sizeof *world);
    struct server *servers = calloc(n, sizeof *servers);
    char(*names)[32] = calloc(n, sizeof *names);
    struct fleet_view *view;

    self_init(&world->self);
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "db%zu:5432", i);
        servers[i] = fixture_server("c", "write", names[i]);
        servers[i].login = false;
        /* The set borrows its strings; this one lives as long as the process. */
    }
    world->fleet = fleet_new();
    assert_true(fixture_watch(world->fleet, fixture_set(servers, n, REQUIRE_ALL)));
    view = fleet_view(world->fleet);
    for (size_t i = 0; i < n; i++)
        fixture_apply(view->servers[i], fixture_inspect());
    fleet_view_unref(view);
    free(servers);
    world->options = (struct http_options){.addresses = loopback,
                                           .n_addresses = 1,
                                           .telemetry_path = "/metrics",
                                           .max_requests = 40,
                                           .request_deadline_ns = PATIENCE_S * NS_PER_S,
                                           .reload = on_reload,
                                           .reload_context = world};
    world->reload_succeeds = true;
    return world;
}

static inline void world_start(struct world *world)
{
    char error[256] = "";

    world->server =
        http_server_start(&world->options, world->fleet, &world->self, error, sizeof error);
    if (!world->server)
        fail_msg("%s", error);
}

static inline void world_free(struct world *world)
{
    struct fleet_view *view = fleet_view(world->fleet);
    char *names = (char *)(uintptr_t)view->set->servers[0].name; /* the whole block of them */

    http_server_stop(world->server, NS_PER_S);
    fleet_view_unref(view);
    fleet_free(world->fleet);
    free(names);
    free(world);
}

static inline int connect_to(const char *address)
{
    const char *colon = strrchr(address, ':');
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    bool is_unix = strncmp(address, "unix:", 5) == 0, is_v6 = address[0] == '[';
    int fd = socket(is_unix ? AF_UNIX : is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result;

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    v4.sin_port = v6.sin6_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    snprintf(local.sun_path, sizeof local.sun_path, "%s", address + 5);
    if (is_unix)
        result = connect(fd, (struct sockaddr *)&local, sizeof local);
    else if (is_v6)
        result = connect(fd, (struct sockaddr *)&v6, sizeof v6);
    else
        result = connect(fd, (struct sockaddr *)&v4, sizeof v4);
    if (result != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline bool send_text(int fd, const char *text)
{
    size_t len = strlen(text);

    return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Reads to the end of the connection. */
static inline struct buf read_all(int fd)
{
    struct buf answer = BUF_INIT(ANSWER_MAX);
    static _Thread_local char piece[65536];
    ssize_t n;

    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        buf_add(&answer, piece, (size_t)n);
    assert_false(answer.failed);
    return answer;
}

/* One request on a connection of its own; the whole answer as it came. */
static inline struct buf ask_at(const char *address, const char *request_line, const char *headers)
{
    struct buf request = BUF_INIT((size_t)1 << 20), answer;
    int fd = connect_to(address);

    assert_true(fd >= 0);
    buf_addf(&request, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", request_line,
             headers);
    send_text(fd, buf_text(&request));
    answer = read_all(fd);
    close(fd);
    buf_deinit(&request);
    return answer;
}

static inline struct buf ask(const struct world *world, const char *request_line,
                             const char *headers)
{
    return ask_at(http_server_address(world->server, 0), request_line, headers);
}

static inline int status_of(const struct buf *answer)
{
    return answer->len > 12 ? (int)strtol(answer->data + 9, NULL, 10) : 0;
}

static inline int status(const struct world *world, const char *request_line)
{
    struct buf answer = ask(world, request_line, "");
    int code = status_of(&answer);

    buf_deinit(&answer);
    return code;
}

static const char *body_of(const struct buf *answer)
{
    const char *end = strstr(buf_text(answer), "\r\n\r\n");

    return end ? end + 4 : "";
}

/* What is between the headers and the body of an answer holds this. */
static inline bool has_header(const struct buf *answer, const char *header)
{
    const char *found = strcasestr(buf_text(answer), header);

    return found && found < body_of(answer);
}
