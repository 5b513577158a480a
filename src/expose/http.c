/* The HTTP server: one libmicrohttpd daemon per listening address, each with a few threads of its
 * own. What is answered is decided in http_routes.c, how it gets out in http_send.c; who gets
 * that far in http_guard.c. */
#include "pgtls/expose/http.h"

#include "http_clients.h"
#include "http_guard.h"
#include "http_knock.h"
#include "http_listen.h"
#include "http_quiesce.h"
#include "http_routes.h"
#include "http_send.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"
#include "pgtls/base/sandbox.h"
#include "pgtls/base/str.h"

#include <ctype.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_ADDRESSES       64
/* Two threads: an answer that takes a while to write leaves one for everybody else. */
#define THREADS_PER_ADDRESS 2u
#define MAX_CLIENTS         512
/* libmicrohttpd divides its limit among its threads and leaves further clients unaccepted. It is
 * set so high that ours, which makes room by dropping the slowest, is reached first. */
#define MHD_CLIENT_LIMIT    (2u * MAX_CLIENTS * THREADS_PER_ADDRESS)
#define REQUEST_MEMORY      ((size_t)64 * 1024) /* request line and headers; beyond it 4xx */
#define IDLE_NS             (120 * NS_PER_S)
#define MHD_IDLE_SECONDS    180u /* should ours ever fail */
#define DEFAULT_DEADLINE    (10 * NS_PER_S)

struct served {
    struct listener listener;
    struct MHD_Daemon *daemon;
    struct knock knock;
};

struct http_server {
    struct http_options options;
    char *telemetry_path;
    struct site site;
    struct clients *clients;
    size_t n;
    struct served served[MAX_ADDRESSES];
};

static enum MHD_Result add_argument(void *context, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    struct request *request = context;

    (void)kind;
    if (request->n_arguments == MAX_ARGUMENTS) {
        request->too_many_arguments = true;
        return MHD_NO;
    }
    request->arguments[request->n_arguments++] = (struct argument){key, value};
    return MHD_YES;
}

/* No request of ours has a body; none is read. */
static bool has_body(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");

    return (length && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding");
}

/* What belongs to a connection: libmicrohttpd keeps it for us. */
struct link {
    struct client *client;
    struct web_state *state; /* its TLS session's; NULL: none */
};

static struct client *client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct link *link = info ? info->socket_context : NULL;

    return link ? link->client : NULL;
}

/* "http://host/path", which a client that takes us for a proxy may send, means "/path". */
static const char *own_path(const char *target)
{
    const char *slash;

    if (strncasecmp(target, "http://", 7) != 0 && strncasecmp(target, "https://", 8) != 0)
        return target;
    slash = strchr(strchr(target, '/') + 2, '/');
    return slash ? slash : "/";
}

/* --- requests ---------------------------------------------------------------------------------
 *
 * One may wait twice: at the door, until its password is checked, and for a probe or a reload. The
 * connection is suspended then, so that no thread is held, and resumed by whoever has the answer;
 * libmicrohttpd asks for the reply again. */

struct exchange {
    struct visit visit;
    enum awaited asked;
    atomic_uint *place;          /* that it takes meanwhile; NULL unless it asked */
    struct probe_answer *answer; /* a reference; NULL: there was none to be had */
    bool reloaded;
    char *message; /* NULL: nothing to say */
};

static struct exchange *exchange_new(struct MHD_Connection *connection)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    if (exchange)
        exchange->visit.connection = connection;
    return exchange;
}

static void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    if (exchange->place)
        atomic_fetch_sub(exchange->place, 1);
    probe_answer_unref(exchange->answer);
    free(exchange->message);
    free(exchange);
}

/* On the thread of whoever answers. */
static void on_answered(void *asker, struct probe_answer *answer)
{
    struct exchange *exchange = asker;

    exchange->answer = answer ? probe_answer_ref(answer) : NULL;
    MHD_resume_connection(exchange->visit.connection);
}

/* Likewise. */
static void on_told(void *asker, bool done, const char *message)
{
    struct exchange *exchange = asker;

    exchange->reloaded = done;
    exchange->message = message ? strdup(message) : NULL;
    MHD_resume_connection(exchange->visit.connection);
}

/* Asks, and waits without a thread. Once it has asked, the exchange is whoever's who answers. */
static void wait_for(struct http_server *server, struct reply *reply, struct exchange *exchange)
{
    const struct http_options *options = &server->options;
    struct MHD_Connection *connection = exchange->visit.connection;

    buf_deinit(&reply->text);
    exchange->asked = reply->awaits;
    exchange->place = reply->place;
    if (reply->awaits == AWAITS_PROBE)
        clients_patience(server->clients, client_of(connection), reply->question.timeout_ns);
    MHD_suspend_connection(connection);
    if (reply->awaits == AWAITS_RELOAD) {
        if (!options->reload(options->reload_context, on_told, exchange))
            on_told(exchange, false, NULL);
    } else if (!options->probe(options->probe_context, &reply->question, on_answered, exchange)) {
        on_answered(exchange, NULL);
    }
}

static void read_request(struct MHD_Connection *connection, struct request *request)
{
    request->accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept");
    request->scrape_timeout = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                          "X-Prometheus-Scrape-Timeout-Seconds");
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_argument, request);
}

/* Somebody who may. False when the request waits. */
static bool answer_welcome(struct http_server *server, struct request *request,
                           struct exchange *exchange, struct reply *reply)
{
    read_request(exchange->visit.connection, request);
    if (exchange->asked == AWAITS_NOTHING) {
        route(&server->site, request, reply);
        if (reply->awaits != AWAITS_NOTHING)
            wait_for(server, reply, exchange);
        return reply->awaits == AWAITS_NOTHING;
    }
    reply_init(reply);
    if (exchange->asked == AWAITS_PROBE)
        answer_probed(request, exchange->answer, reply);
    else
        answer_reloaded(exchange->reloaded, exchange->message, reply);
    return true;
}

/* A request is complete, or has waited. False: the connection is to be closed. */
static bool answer(struct http_server *server, struct request *request, struct exchange *exchange)
{
    struct MHD_Connection *connection = exchange->visit.connection;
    struct web *web = server->options.web;
    struct web_state *state = web ? web_take(web) : NULL;
    struct reply reply;
    enum entry entry;
    bool sent = true;

    clients_answer(server->clients, client_of(connection));
    entry = guard_request(web, state, &exchange->visit, request->path, &reply);
    if (entry == ENTRY_REFUSED ||
        (entry == ENTRY_OPEN && answer_welcome(server, request, exchange, &reply)))
        sent =
            http_send(connection, request->method, &reply, state ? web_state_config(state) : NULL);
    web_release(state);
    return sent;
}

/* A body is never read, so its request is answered as soon as the headers are there, without a word
 * of what there is, if one may have to say who one is. */
static bool answer_body(struct http_server *server, struct MHD_Connection *connection,
                        struct request *request)
{
    struct web *web = server->options.web;
    struct web_state *state = web ? web_take(web) : NULL;
    struct reply reply;
    bool sent;

    request->body = true;
    reply_init(&reply);
    if (state && web_state_config(state)->n_users > 0)
        reply_no_body(&reply);
    else
        route(&server->site, request, &reply);
    sent = http_send(connection, request->method, &reply, state ? web_state_config(state) : NULL);
    web_release(state);
    return sent;
}

/* Called when the headers are complete, when the request is, and when what it waited for is there.
 */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **seen)
{
    struct http_server *server = context;
    struct request request = {.method = method, .path = own_path(path)};
    bool first = !*seen, good;

    (void)version;
    (void)upload;
    if (first)
        *seen = exchange_new(connection);
    if (!*seen || *upload_size != 0)
        return MHD_NO;
    if (first)
        good = !has_body(connection) || answer_body(server, connection, &request);
    else
        good = answer(server, &request, *seen);
    return good ? MHD_YES : MHD_NO;
}

static void *on_request_line(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = context;

    (void)uri;
    clients_begin(server->clients, client_of(connection));
    return NULL;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **seen,
                         enum MHD_RequestTerminationCode code)
{
    struct http_server *server = context;

    (void)code;
    exchange_free(*seen);
    *seen = NULL;
    clients_end(server->clients, client_of(connection));
}

static void close_link(struct http_server *server, struct link *link)
{
    if (!link)
        return;
    clients_remove(server->clients, link->client);
    web_release(link->state);
    free(link);
}

static struct link *open_link(struct http_server *server, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct link *link = calloc(1, sizeof *link);
    bool served = link && guard_connection(server->options.web, connection, &link->state);

    if (!info)
        return link;
    if (served)
        link->client = clients_add(server->clients, info->connect_fd);
    else /* without its policy TLS would go on with libmicrohttpd's */
        shutdown(info->connect_fd, SHUT_RDWR);
    return link;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **link,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        close_link(context, *link);
        *link = NULL;
    } else {
        *link = open_link(context, connection);
    }
}

static unsigned hex_value(char c)
{
    if (isdigit((unsigned char)c))
        return (unsigned)(c - '0');
    return (unsigned)(tolower((unsigned char)c) - 'a' + 10);
}

/* Percent-decoding in place. %00 stays as it is: a path must not end before its end. */
static size_t on_unescape(void *context, struct MHD_Connection *connection, char *text)
{
    char *to = text;

    (void)context;
    (void)connection;
    for (const char *from = text; *from; to++) {
        if (from[0] == '%' && isxdigit((unsigned char)from[1]) &&
            isxdigit((unsigned char)from[2]) && (from[1] != '0' || from[2] != '0')) {
            *to = (char)(hex_value(from[1]) << 4 | hex_value(from[2]));
            from += 3;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
    return (size_t)(to - text);
}

/* libmicrohttpd complains about clients, in words that may be theirs. */
__attribute__((format(printf, 2, 0))) static void on_log(void *context, const char *format,
                                                         va_list args)
{
    char text[512], cleaned[1024];
    int n = vsnprintf(text, sizeof text, format, args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;

    (void)context;
    while (len > 0 && text[len - 1] == '\n')
        len--;
    str_clean(cleaned, sizeof cleaned, text, len);
    LOG(DEBUG, "HTTP server", {"detail", cleaned});
}

static struct MHD_Daemon *start_daemon(struct http_server *server, int fd)
{
    bool tls = server->options.web && web_has_tls(server->options.web);
    struct MHD_OptionItem tls_options[] = {
        {tls ? MHD_OPTION_HTTPS_CERT_CALLBACK : MHD_OPTION_END, 0, web_no_certificate()},
        {MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (tls ? MHD_USE_TLS : 0);
    struct MHD_Daemon *daemon;
    sigset_t all, before;

    sandbox_all_signals(&all); /* signals are for the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, /* */
                              MHD_OPTION_EXTERNAL_LOGGER, on_log,
                              NULL, /* first, as its documentation asks */
                              MHD_OPTION_ARRAY, tls_options, MHD_OPTION_LISTEN_SOCKET, fd, /* */
                              MHD_OPTION_THREAD_POOL_SIZE, THREADS_PER_ADDRESS,            /* */
                              MHD_OPTION_CONNECTION_LIMIT, MHD_CLIENT_LIMIT,               /* */
                              MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_MEMORY,          /* */
                              MHD_OPTION_CONNECTION_TIMEOUT, MHD_IDLE_SECONDS,             /* */
                              MHD_OPTION_STRICT_FOR_CLIENT, 1,                             /* */
                              MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server,        /* */
                              MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,           /* */
                              MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,         /* */
                              MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL,             /* */
                              MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

/* Starts answering on a listener, which is open. */
static bool serve(struct http_server *server, char *error, size_t size)
{
    struct served *served = &server->served[server->n];

    served->daemon = start_daemon(server, served->listener.fd);
    if (!served->daemon) {
        snprintf(error, size, "cannot start the HTTP server on %s", served->listener.text);
        close(served->listener.fd);
        listener_forget(&served->listener);
        return false;
    }
    knock_init(&served->knock);
    server->n++;
    return true;
}

static bool serve_all(struct http_server *server, const struct http_options *options, char *error,
                      size_t size)
{
    for (size_t i = 0; i < options->n_addresses; i++) {
        struct listener *l = &server->served[server->n].listener;

        if (options->listeners)
            listener_take(l, options->listeners, i);
        else if (!listener_open(l, options->addresses[i], error, size))
            return false;
        if (!serve(server, error, size))
            return false;
    }
    for (size_t i = 0; i < options->n_sockets; i++) {
        listener_adopt(&server->served[server->n].listener, options->sockets[i]);
        if (!serve(server, error, size))
            return false;
    }
    return true;
}

static struct http_server *server_new(const struct http_options *options, struct fleet *fleet,
                                      const struct self *self)
{
    struct http_server *server = calloc(1, sizeof *server);
    int64_t deadline_ns =
        options->request_deadline_ns > 0 ? options->request_deadline_ns : DEFAULT_DEADLINE;

    if (!server)
        return NULL;
    server->options = *options;
    server->telemetry_path = strdup(options->telemetry_path);
    server->options.telemetry_path = server->telemetry_path;
    server->site.options = &server->options;
    server->site.fleet = fleet;
    server->site.self = self;
    server->clients = clients_new(MAX_CLIENTS, deadline_ns, IDLE_NS);
    if (!server->telemetry_path || !server->clients) {
        clients_free(server->clients);
        free(server->telemetry_path);
        free(server);
        return NULL;
    }
    return server;
}

struct http_server *http_server_start(const struct http_options *options, struct fleet *fleet,
                                      const struct self *self, char *error, size_t size)
{
    size_t n = options->n_addresses + options->n_sockets;
    struct http_server *server;

    if (n == 0 || n > MAX_ADDRESSES) {
        snprintf(error, size, "between 1 and %d addresses to listen on are needed", MAX_ADDRESSES);
        return NULL;
    }
    if (options->telemetry_path[0] != '/') {
        snprintf(error, size, "the path of the metrics must begin with /");
        return NULL;
    }
    server = server_new(options, fleet, self);
    if (!server) {
        snprintf(error, size, "cannot start the HTTP server: out of memory or threads");
        return NULL;
    }
    if (serve_all(server, options, error, size))
        return server;
    http_server_stop(server, 0);
    return NULL;
}

/* Whom a thread was just accepting is a client that is known, once each has come round. */
static void let_loops_turn(struct http_server *server, int64_t until_ns)
{
    const struct timespec pause = {.tv_nsec = NS_PER_MS};

    for (unsigned i = 0; i < THREADS_PER_ADDRESS; i++) {
        http_server_poke(server);
        while (http_server_silent(server) && clock_monotonic_ns() < until_ns)
            nanosleep(&pause, NULL);
    }
}

void http_server_stop(struct http_server *server, int64_t grace_ns)
{
    int64_t until_ns = clock_monotonic_ns() + grace_ns;
    int fds[MAX_ADDRESSES];
    size_t n;

    if (!server)
        return;
    n = server->n;
    for (size_t i = 0; i < n; i++) {
        fds[i] = http_quiesce(server->served[i].daemon);
        if (fds[i] >= 0 && !server->served[i].listener.adopted)
            shutdown(fds[i], SHUT_RDWR); /* closed below, when no thread can use it any more */
        listener_forget(&server->served[i].listener);
    }
    let_loops_turn(server, until_ns);
    if (server->options.web)
        web_close(server->options.web); /* nobody may be left suspended */
    clients_wait(server->clients, until_ns - clock_monotonic_ns());
    for (size_t i = 0; i < n; i++) {
        MHD_stop_daemon(server->served[i].daemon);
        knock_deinit(&server->served[i].knock);
        if (fds[i] >= 0)
            close(fds[i]);
    }
    clients_free(server->clients);
    free(server->telemetry_path);
    free(server);
}

void http_server_poke(struct http_server *server)
{
    for (size_t i = 0; i < server->n; i++)
        knock_at(&server->served[i].knock, server->served[i].daemon);
}

const char *http_server_silent(const struct http_server *server)
{
    for (size_t i = 0; i < server->n; i++) {
        if (knock_unanswered(&server->served[i].knock))
            return server->served[i].listener.text;
    }
    return NULL;
}

const char *http_server_address(const struct http_server *server, size_t i)
{
    return server->served[i].listener.text;
}
