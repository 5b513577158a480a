/* The HTTP server: one libmicrohttpd daemon per listening address, each with a few threads of its
 * own. What is answered is decided in http_routes.c; here is how it gets out. */
#include "pgtls/expose/http.h"

#include "http_body.h"
#include "http_clients.h"
#include "http_listen.h"
#include "http_routes.h"
#include "negotiate.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"
#include "pgtls/base/str.h"

#include <ctype.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_ADDRESSES       64
/* Two threads: a reload, which takes a while, leaves one for everybody else. */
#define THREADS_PER_ADDRESS 2u
#define MAX_CLIENTS         512
/* libmicrohttpd divides its limit among its threads and leaves further clients unaccepted. It is
 * set so high that ours, which makes room by dropping the slowest, is reached first. */
#define MHD_CLIENT_LIMIT    (2u * MAX_CLIENTS * THREADS_PER_ADDRESS)
#define REQUEST_MEMORY      ((size_t)64 * 1024) /* request line and headers; beyond it 4xx */
#define IDLE_NS             (120 * NS_PER_S)
#define MHD_IDLE_SECONDS    180u /* should ours ever fail */
#define DEFAULT_DEADLINE    (10 * NS_PER_S)
#define STREAM_BLOCK        ((size_t)64 * 1024)
#define GZIP_MIN_BYTES      1024

/* Nothing but our own files, and nothing inline: should markup ever get through, it does nothing.
 */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "        \
    "'self'; "                                                                                     \
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

struct served {
    struct listener listener;
    struct MHD_Daemon *daemon;
};

struct http_server {
    struct http_options options;
    char *telemetry_path;
    struct site site;
    struct clients *clients;
    size_t n;
    struct served served[MAX_ADDRESSES];
};

/* What an answer holds until it is out. */
struct outgoing {
    struct body *body;
    struct buf text;
    atomic_uint *place;
};

static void outgoing_free(void *context)
{
    struct outgoing *out = context;

    body_free(out->body);
    buf_deinit(&out->text);
    if (out->place)
        atomic_fetch_sub(out->place, 1);
    free(out);
}

static ssize_t outgoing_read(void *context, uint64_t position, char *to, size_t max)
{
    struct outgoing *out = context;
    ssize_t n = body_read(out->body, to, max);

    (void)position;
    if (n == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    return n < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : n;
}

/* Takes over the reply's text, stream and place. NULL when out of memory. */
static struct outgoing *outgoing_new(struct reply *reply, bool gzip)
{
    struct outgoing *out = calloc(1, sizeof *out);

    if (!out) {
        stream_free(&reply->stream);
        buf_deinit(&reply->text);
        if (reply->place)
            atomic_fetch_sub(reply->place, 1);
        return NULL;
    }
    out->place = reply->place;
    out->text = reply->text;
    if (reply->stream.of) {
        out->body = body_new(&reply->stream, gzip);
        if (!out->body) {
            outgoing_free(out);
            return NULL;
        }
    }
    return out;
}

static struct MHD_Response *make_response(struct outgoing *out)
{
    struct MHD_Response *response;

    if (out->body)
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, outgoing_read,
                                                     out, outgoing_free);
    else
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            out->text.len, out->text.data, outgoing_free, out);
    if (!response)
        outgoing_free(out);
    return response;
}

/* Compresses the text in its place; leaves it alone where that does not work or does not pay. */
static bool compress_text(struct reply *reply)
{
    struct buf smaller = BUF_INIT(reply->text.max);

    if (reply->text.len < GZIP_MIN_BYTES || !body_compress(&reply->text, &smaller)) {
        buf_deinit(&smaller);
        return false;
    }
    buf_deinit(&reply->text);
    reply->text = smaller;
    return true;
}

/* libmicrohttpd ends a chunked answer to HEAD with a last chunk, which the client would take for
 * the beginning of the next answer. Without chunks the answer ends with the connection. */
static void forbid_chunks(struct MHD_Response *response)
{
    MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
}

static void add_headers(struct MHD_Response *response, const struct reply *reply, bool gzip)
{
    const char *const headers[][2] = {
        {"Content-Type", reply->type},
        {"X-Content-Type-Options", "nosniff"},
        {"Cache-Control", reply->cache ? reply->cache : "no-store"},
        {"Content-Encoding", gzip ? "gzip" : NULL},
        {"Vary", reply->vary},
        {"Allow", reply->allow},
        {"Retry-After", reply->retry_after},
        {"Content-Security-Policy", reply->html ? PAGE_POLICY : NULL},
        {"X-Frame-Options", reply->html ? "DENY" : NULL},
        {"Referrer-Policy", reply->html ? "no-referrer" : NULL},
    };

    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        if (headers[i][1])
            MHD_add_response_header(response, headers[i][0], headers[i][1]);
    }
}

/* MHD_NO closes the connection. */
static enum MHD_Result send_reply(struct MHD_Connection *connection, const char *method,
                                  struct reply *reply)
{
    bool gzip =
        reply->vary &&
        negotiate_gzip(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept-Encoding"));
    struct MHD_Response *response;
    struct outgoing *out;
    enum MHD_Result result;

    if (gzip && !reply->stream.of)
        gzip = compress_text(reply);
    out = outgoing_new(reply, gzip);
    response = out ? make_response(out) : NULL;
    if (!response)
        return MHD_NO;
    add_headers(response, reply, gzip);
    if (out->body && strcmp(method, "HEAD") == 0)
        forbid_chunks(response);
    result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response); /* the connection holds it now */
    return result;
}

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

static struct client *client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
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

/* --- requests that wait for a probe ------------------------------------------------------------
 *
 * The connection is suspended, so that no thread is held, and resumed by whoever has the answer;
 * then libmicrohttpd asks for the reply again. */

struct waiting {
    struct MHD_Connection *connection;
    struct probe_answer *answer; /* a reference; NULL: there was none to be had */
    atomic_uint *place;
};

static void waiting_free(struct waiting *w)
{
    atomic_fetch_sub(w->place, 1);
    probe_answer_unref(w->answer);
    free(w);
}

/* On the thread of whoever answers. */
static void on_answered(void *asker, struct probe_answer *answer)
{
    struct waiting *w = asker;

    w->answer = answer ? probe_answer_ref(answer) : NULL;
    MHD_resume_connection(w->connection);
}

/* Asks, and waits without a thread. MHD_NO: cannot. */
static enum MHD_Result wait_for_probe(struct http_server *server, struct MHD_Connection *connection,
                                      struct reply *reply, void **seen)
{
    struct waiting *w = malloc(sizeof *w);

    buf_deinit(&reply->text);
    if (!w) {
        atomic_fetch_sub(reply->place, 1);
        return MHD_NO;
    }
    *w = (struct waiting){.connection = connection, .place = reply->place};
    *seen = w;
    clients_patience(server->clients, client_of(connection), reply->question.timeout_ns);
    MHD_suspend_connection(connection);
    if (!server->options.probe(server->options.probe_context, &reply->question, on_answered, w))
        on_answered(w, NULL);
    return MHD_YES;
}

static void read_request(struct MHD_Connection *connection, struct request *request)
{
    request->accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept");
    request->scrape_timeout = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                          "X-Prometheus-Scrape-Timeout-Seconds");
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_argument, request);
}

/* What *seen is after the headers, unless the request waits: then its struct waiting. */
static char headers_seen;

/* Called when the headers are complete, when the request is, and when what it waited for is there.
 */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **seen)
{
    struct http_server *server = context;
    struct request request = {.method = method, .path = own_path(path)};
    struct reply reply;

    (void)version;
    (void)upload;
    if (!*seen) {
        *seen = &headers_seen;
        if (!has_body(connection))
            return MHD_YES;
        request.body = true;
        route(&server->site, &request, &reply);
        return send_reply(connection, method, &reply);
    }
    if (*upload_size != 0)
        return MHD_NO;
    read_request(connection, &request);
    if (*seen != &headers_seen) {
        reply_init(&reply);
        answer_probed(&request, ((struct waiting *)*seen)->answer, &reply);
        return send_reply(connection, method, &reply);
    }
    clients_answer(server->clients, client_of(connection));
    route(&server->site, &request, &reply);
    return reply.waits ? wait_for_probe(server, connection, &reply, seen)
                       : send_reply(connection, method, &reply);
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
    if (*seen && *seen != &headers_seen)
        waiting_free(*seen);
    *seen = NULL;
    clients_end(server->clients, client_of(connection));
}

static void on_connection(void *context, struct MHD_Connection *connection, void **client,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = context;
    const union MHD_ConnectionInfo *info;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        clients_remove(server->clients, *client);
        *client = NULL;
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *client = info ? clients_add(server->clients, info->connect_fd) : NULL;
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
    unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_Daemon *daemon;
    sigset_t all, before;

    sigfillset(&all); /* signals are for the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, /* */
                              MHD_OPTION_EXTERNAL_LOGGER, on_log,
                              NULL,                         /* first, as its documentation asks */
                              MHD_OPTION_LISTEN_SOCKET, fd, /* */
                              MHD_OPTION_THREAD_POOL_SIZE, THREADS_PER_ADDRESS,     /* */
                              MHD_OPTION_CONNECTION_LIMIT, MHD_CLIENT_LIMIT,        /* */
                              MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_MEMORY,   /* */
                              MHD_OPTION_CONNECTION_TIMEOUT, MHD_IDLE_SECONDS,      /* */
                              MHD_OPTION_STRICT_FOR_CLIENT, 1,                      /* */
                              MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server, /* */
                              MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,    /* */
                              MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,  /* */
                              MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL,      /* */
                              MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

static bool serve(struct http_server *server, const char *address, char *error, size_t size)
{
    struct served *served = &server->served[server->n];

    if (!listener_open(&served->listener, address, error, size))
        return false;
    served->daemon = start_daemon(server, served->listener.fd);
    if (!served->daemon) {
        snprintf(error, size, "cannot start the HTTP server on %s", address);
        close(served->listener.fd);
        listener_forget(&served->listener);
        return false;
    }
    server->n++;
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
    struct http_server *server;

    if (options->n_addresses == 0 || options->n_addresses > MAX_ADDRESSES) {
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
    for (size_t i = 0; i < options->n_addresses; i++) {
        if (!serve(server, options->addresses[i], error, size)) {
            http_server_stop(server, 0);
            return NULL;
        }
    }
    return server;
}

void http_server_stop(struct http_server *server, int64_t grace_ns)
{
    int fds[MAX_ADDRESSES];

    if (!server)
        return;
    for (size_t i = 0; i < server->n; i++) {
        fds[i] = MHD_quiesce_daemon(server->served[i].daemon);
        if (fds[i] >= 0)
            shutdown(fds[i], SHUT_RDWR); /* closed below, when no thread can use it any more */
        listener_forget(&server->served[i].listener);
    }
    clients_wait(server->clients, grace_ns);
    for (size_t i = 0; i < server->n; i++) {
        MHD_stop_daemon(server->served[i].daemon);
        if (fds[i] >= 0)
            close(fds[i]);
    }
    clients_free(server->clients);
    free(server->telemetry_path);
    free(server);
}

const char *http_server_address(const struct http_server *server, size_t i)
{
    return server->served[i].listener.text;
}
