/* The login probe: PQconnectPoll with the guard in front of it (login_look.h), and one query. The
 * only file that knows libpq. */
#include "pgtls/pg/login.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/base/wipe.h"
#include "pgtls/net/arrival.h"
#include "pgtls/net/socket.h"
#include "pgtls/tls/library.h"
#include "pgtls/tls/memory.h"

#include "login_params.h"
#include "login_state.h"
#include "login_step.h"
#include "login_text.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* PgBouncer's own console calls itself "1.18.0/bouncer" and knows no SELECT. */
#define CONSOLE_SUFFIX "/bouncer"
#define CONSOLE_QUERY  "SHOW VERSION"

/* A session's sign of life. */
#define CHECK_QUERY "SELECT 1"

/* Turns of one call of login_advance: an endless stream must not keep the loop. */
#define MAX_TURNS 64

/* --- this libpq ------------------------------------------------------------------------------- */

static struct login_features features;

/* Read by libpq beside those that PQconndefaults lists. */
static const char *const more_variables[] = {
    "PGSERVICE",     "PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR", "PGTZ",
    "PGDATESTYLE",   "PGGEQO",        "PGREQUIRESSL", "PGREALM",     "PGCLIENTENCODING",
    "KRB5CCNAME",    "KRB5_CONFIG",   "KRB5_TRACE",   "KRB5_KTNAME", "KRB5_CLIENT_KTNAME",
    "KRB5RCACHEDIR", "GSS_USE_PROXY",
};

bool login_setup(void)
{
    PQconninfoOption *options;

    for (size_t i = 0; i < sizeof more_variables / sizeof *more_variables; i++)
        unsetenv(more_variables[i]);
    if (setenv("HOME", "/nonexistent", 1) != 0)
        return false;
    features = (struct login_features){.version = PQlibVersion()};
    features.sslrootcert_system = features.version >= 160000;
    options = PQconndefaults();
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        /* PGPASSWORD stays for configurations that name it: libpq is always given a password. */
        if (o->envvar && strcmp(o->keyword, "password") != 0)
            unsetenv(o->envvar);
        if (strcmp(o->keyword, "require_auth") == 0)
            features.require_auth = true;
        if (strcmp(o->keyword, "sslnegotiation") == 0)
            features.direct = true;
        if (strcmp(o->keyword, "scram_client_key") == 0)
            features.scram_keys = true;
    }
    PQconninfoFree(options);
    return options != NULL;
}

const struct login_features *login_features(void)
{
    return &features;
}

bool login_supported(const struct server *server, char *reason, size_t size)
{
    if (server->negotiation == NEGOTIATION_DIRECT && server_uses_tls(server) && !features.direct) {
        snprintf(reason, size,
                 "libpq %d has no direct TLS negotiation (17 has): this server is inspected only",
                 features.version / 10000);
        return false;
    }
    return true;
}

/* --- endings ---------------------------------------------------------------------------------- */

static enum internal_reason reason_of_errno(int error)
{
    if (error == EMFILE || error == ENFILE)
        return INTERNAL_DESCRIPTORS;
    return error == ENOMEM || error == ENOBUFS ? INTERNAL_MEMORY : INTERNAL_OTHER;
}

/* libpq gave up on its own: its text is all that is left. */
static bool fail_libpq(struct login *l)
{
    const char *text = PQerrorMessage(l->conn);

    str_copy(l->text, sizeof l->text, text);
    login_explain(text, &l->e);
    if (l->e.end == END_CLOSED)
        login_guard_closed(&l->look.guard,
                           l->e.how != CLOSE_NONE ? l->e.how : login_look_how(&l->look));
    return step_finish(l);
}

/* --- turns ------------------------------------------------------------------------------------ */

static void close_trust(struct login *l)
{
    if (l->trust_fd >= 0)
        close(l->trust_fd);
    l->trust_fd = -1;
}

/* Looks, and lets time run by what came. False: libpq is not to be asked now. */
static bool look(struct login *l)
{
    struct login_look *look = &l->look;
    bool first = !look->guard.first_seen;
    enum look verdict = login_look(look, l->tls ? PQgetssl(l->conn) : NULL, l->idle_since_ns);

    if (look->heard && l->running) {
        stopwatch_arrived(l->running, look->arrival.at_ns);
        if (!look->arrival.stamped && !l->server->unix_socket)
            l->missing_timestamps++;
    }
    if (first && look->guard.first_seen)
        step_run(l, &l->auth, look->arrival.at_ns);
    if (verdict == LOOK_OVER)
        step_finish(l);
    return verdict == LOOK_GO;
}

static bool turn_tcp(struct login *l)
{
    int64_t rtt_ns;
    int error = socket_connect_result(l->look.sock, &rtt_ns);

    if (error == EINPROGRESS)
        return false;
    if (error != 0) {
        login_look_errno(&l->look, error);
        return step_finish(l);
    }
    l->connected = true;
    if (!l->tls)
        l->e.phase = PHASE_STARTUP;
    else if (l->server->negotiation == NEGOTIATION_DIRECT)
        l->e.phase = PHASE_TLS;
    else
        l->e.phase = PHASE_SSL_REQUEST;
    return true;
}

static bool send_query(struct login *l)
{
    const char *query = l->plain ? login_plain_query : login_whole_query;

    l->want = LOGIN_WANT_READ;
    return PQsendQuery(l->conn, l->console ? CONSOLE_QUERY : query) == 1 || fail_libpq(l);
}

/* The connection is in, and may stay for weeks as a session: libpq's copy has done its work. (It is
 * libpq's own memory, not a constant, as soon as there is something in it.) */
static void wipe_password(struct login *l)
{
    char *password = PQpass(l->conn);

    if (password && *password)
        wipe_memory(password, strlen(password));
}

static bool start_query(struct login *l)
{
    const char *version = PQparameterStatus(l->conn, "server_version");
    const char *suffix = version ? strrchr(version, '/') : NULL;

    step_lap(l);
    wipe_password(l);
    l->auth_done = true;
    l->console = suffix && strcmp(suffix, CONSOLE_SUFFIX) == 0;
    if (version)
        str_clean(l->answer.server_version, sizeof l->answer.server_version, version,
                  strlen(version));
    l->e.phase = PHASE_QUERY;
    l->querying = l->look.guard.querying = true;
    step_run(l, &l->query, l->idle_since_ns);
    return send_query(l);
}

static bool polled(struct login *l, PostgresPollingStatusType status)
{
    if (l->e.phase == PHASE_TLS && status != PGRES_POLLING_FAILED &&
        PQstatus(l->conn) != CONNECTION_SSL_STARTUP) {
        l->e.phase = PHASE_STARTUP;
        l->e.tls_in_use = true;
        close_trust(l);
    }
    switch (status) {
    case PGRES_POLLING_READING:
        l->want = LOGIN_WANT_READ;
        return true;
    case PGRES_POLLING_WRITING:
        l->want = LOGIN_WANT_WRITE;
        return true;
    case PGRES_POLLING_OK:
        return start_query(l);
    default:
        return fail_libpq(l);
    }
}

static void take_row(struct login *l, const PGresult *row)
{
    const char *columns[LOGIN_MAX_COLUMNS];
    int n = PQnfields(row);

    if (PQresultStatus(row) != PGRES_TUPLES_OK || PQntuples(row) < 1 || n > LOGIN_MAX_COLUMNS)
        return;
    if (l->console) {
        l->answer.pooler = VERDICT_YES;
        return;
    }
    for (int i = 0; i < n; i++)
        columns[i] = PQgetvalue(row, 0, i);
    login_answer_read(&l->answer, columns, (size_t)n, PQbackendPID(l->conn));
}

/* A server that lacks a function of the whole query, or forbids it, is none the worse for it. */
static bool fall_back(struct login *l)
{
    if (l->plain || l->console || !l->e.error.present || PQstatus(l->conn) != CONNECTION_OK ||
        PQtransactionStatus(l->conn) != PQTRANS_IDLE)
        return false;
    l->plain = l->fell_back = true;
    l->e.error = (struct pg_error){.present = false};
    return true;
}

/* The session is idle, or is so again: an error that was an answer to its check is no end. */
static bool kept_idle(struct login *l)
{
    PGnotify *notification;

    while ((notification = PQnotifies(l->conn)) != NULL)
        PQfreemem(notification);
    if (l->checking) {
        l->checking = l->no_memory = false;
        l->e.error = (struct pg_error){.present = false};
        l->look.late_messages = 0;
    }
    return true;
}

/* True: another query is on its way. */
static bool query_over(struct login *l)
{
    if (l->kept)
        return kept_idle(l);
    if (fall_back(l))
        return send_query(l);
    step_lap(l);
    if (l->e.error.present)
        l->e.end = END_ERROR_RESPONSE;
    else if (l->answer.pooler == VERDICT_UNKNOWN)
        l->e.end = END_BAD_BYTES; /* it answered something else */
    else
        l->query_done = true;
    return step_finish(l);
}

/* A server that begins a COPY: libpq has a result of it for as long as it is asked. */
static bool is_copy(ExecStatusType status)
{
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* libpq had none for what the server sent, and says so in a result of its own. */
static bool is_out_of_memory(const PGresult *result)
{
    struct evidence told = {.phase = PHASE_QUERY};

    if (PQresultStatus(result) != PGRES_FATAL_ERROR || !result)
        return false;
    login_explain(PQresultErrorMessage(result), &told);
    return told.end == END_LOCAL && told.local == INTERNAL_MEMORY;
}

static bool turn_query(struct login *l)
{
    if (!PQconsumeInput(l->conn))
        return fail_libpq(l);
    while (!PQisBusy(l->conn)) {
        PGresult *result = PQgetResult(l->conn);
        bool copy = is_copy(PQresultStatus(result));

        if (!result)
            return query_over(l);
        if (!l->e.error.present && is_out_of_memory(result)) {
            PQclear(result);
            return step_fail_local(l, INTERNAL_MEMORY, "out of memory for an answer");
        }
        take_row(l, result);
        PQclear(result);
        if (copy) {
            l->e.end = END_BAD_BYTES;
            return step_finish(l);
        }
    }
    return true;
}

/* In non-blocking mode what did not fit into the socket stays with libpq. */
static bool flush(struct login *l)
{
    int left = l->querying ? PQflush(l->conn) : 0;

    if (left < 0)
        return fail_libpq(l);
    if (l->querying)
        l->want = left ? LOGIN_WANT_WRITE : LOGIN_WANT_READ;
    return left == 0;
}

static bool relay(struct login *l)
{
    return l->look.relay.peer < 0 || login_relay_send(&l->look.relay, l->look.sock);
}

/* libpq holds what it needs for its next step, and that is a long one. */
static bool is_long(const struct login *l)
{
    return !l->querying && l->look.guard.iterations > LOGIN_INLINE_SCRAM_ITERATIONS;
}

void login_work(struct login *l)
{
    int64_t before_ns = clock_thread_cpu_ns();
    uint64_t failures = tls_memory_failures();

    library_enter(l->library);
    l->work.status = (int)PQconnectPoll(l->conn);
    wipe_stack();
    library_leave();
    l->work.no_memory = tls_memory_failures() != failures;
    l->work.ended_ns = clock_monotonic_ns();
    l->work.cpu_ns = clock_thread_cpu_ns() - before_ns;
    l->work.state = WORK_DONE;
}

/* Its CPU is ours, the time it waited for its thread is nobody's; what it sent went at its end. */
static bool after_work(struct login *l)
{
    l->work.state = WORK_NONE;
    l->no_memory = l->no_memory || l->work.no_memory;
    l->look.guard.iterations = 0;
    if (l->running)
        stopwatch_worked(l->running, l->work.cpu_ns, l->work.ended_ns);
    l->idle_since_ns = l->work.ended_ns;
    return polled(l, (PostgresPollingStatusType)l->work.status);
}

static bool step_libpq(struct login *l)
{
    if (l->work.state == WORK_DONE)
        return after_work(l);
    if (!l->querying) {
        PostgresPollingStatusType status = PQconnectPoll(l->conn);

        wipe_stack(); /* it may have had the password, or a key's passphrase, in hand */
        return polled(l, status);
    }
    return l->want == LOGIN_WANT_WRITE || turn_query(l);
}

/* One look and one step of libpq. False: nothing more to do now. */
static bool turn(struct login *l)
{
    bool more;

    if (!l->connected)
        return turn_tcp(l);
    if (l->work.state != WORK_DONE) {
        if (!relay(l) || (l->want == LOGIN_WANT_READ && !look(l)))
            return false;
        login_look_before(&l->look);
        if (is_long(l)) {
            l->work.state = WORK_DUE;
            return false;
        }
    }
    more = step_libpq(l);
    l->rest = login_look_rest(&l->look, l->tls ? PQgetssl(l->conn) : NULL);
    return more && flush(l) && relay(l);
}

enum login_want login_advance(struct login *l)
{
    int turns = 0;

    if (l->done)
        return LOGIN_DONE;
    l->cpu_mark_ns = clock_thread_cpu_ns();
    step_begins(l);
    while (turns < MAX_TURNS && turn(l))
        turns++;
    step_ends(l);
    step_lap(l);
    if (l->done)
        return LOGIN_DONE;
    if (l->work.state == WORK_DUE)
        return LOGIN_WANT_WORK;
    /* Bytes that wait inside OpenSSL make no descriptor readable, but it is writable at once. */
    if (!l->connected || l->rest || l->look.relay.blocked)
        return LOGIN_WANT_WRITE;
    return l->want;
}

/* --- a login that is kept --------------------------------------------------------------------- */

bool login_keep(struct login *l)
{
    if (!l->done || !l->query_done || l->e.end != END_NONE || PQstatus(l->conn) != CONNECTION_OK)
        return false;
    l->done = l->no_memory = false;
    l->kept = true;
    l->running = NULL;
    l->want = LOGIN_WANT_READ;
    if (l->tls)
        login_look_slim(PQgetssl(l->conn));
    return true;
}

void login_check(struct login *l)
{
    if (l->done || l->checking)
        return;
    l->checking = true;
    l->want = LOGIN_WANT_READ;
    login_look_before(&l->look);
    step_begins(l);
    if (PQsendQuery(l->conn, l->console ? CONSOLE_QUERY : CHECK_QUERY) != 1)
        fail_libpq(l);
    else if (flush(l))
        relay(l);
    step_ends(l);
}

bool login_checking(const struct login *l)
{
    return l->checking;
}

/* --- life ------------------------------------------------------------------------------------- */

/* libpq prints notices to stderr otherwise. */
static void drop_notice(void *unused, const char *message)
{
    (void)unused;
    (void)message;
}

/* Our own descriptor on what libpq opened, and on plaintext connections our place in between. */
static bool take_socket(struct login *l)
{
    int fd = PQsocket(l->conn);

    l->look.sock = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (l->look.sock < 0 || (!l->tls && !login_relay_open(&l->look.relay, fd)))
        return step_fail_local(l, reason_of_errno(errno), strerror(errno));
    if (!l->server->unix_socket)
        arrival_enable(l->look.sock);
    return true;
}

static void start(struct login *l, const struct login_params *params)
{
    struct login_conninfo info;
    bool built = login_conninfo_build(&info, params, &features);

    l->trust_fd = info.trust_fd;
    if (!built) {
        step_fail_local(l, info.reason, info.error);
        return;
    }
    l->conn = PQconnectStartParams(info.keywords, info.values, 0);
    if (!l->conn) {
        step_fail_local(l, INTERNAL_MEMORY, "out of memory");
    } else if (PQstatus(l->conn) == CONNECTION_BAD) {
        fail_libpq(l);
    } else if (take_socket(l)) {
        ConnStatusType status = PQstatus(l->conn);

        PQsetNoticeProcessor(l->conn, drop_notice, NULL);
        PQsetnonblocking(l->conn, 1);
        /* A Unix socket connects at once, and libpq has gone on. */
        l->want = status == CONNECTION_STARTED || status == CONNECTION_MADE ? LOGIN_WANT_WRITE
                                                                            : LOGIN_WANT_READ;
    }
}

static void use_keys(struct login *l, const struct login_params *params)
{
    if (!features.scram_keys || !l->look.guard.password)
        return;
    if (params->keys) {
        l->look.guard.keyed = true;
        l->look.guard.keyed_for = params->keys->offer;
    } else if (params->learn_keys) {
        l->password = strdup(params->password->text); /* without memory there are no keys */
    }
}

struct login *login_new(const struct login_params *params, int64_t now_ns)
{
    const struct server *server = params->server;
    struct login *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->server = server;
    l->tls = params->tls;
    l->plain = params->plain_query;
    l->anchors = params->tls && params->anchors && server_demands_chain(server);
    l->idle_since_ns = now_ns;
    l->e = EVIDENCE_INIT;
    l->e.probe = PROBE_LOGIN;
    l->e.phase = PHASE_TCP;
    l->e.client_certificate = params->tls && server->sslcert;
    l->look.sock = l->look.relay.peer = -1;
    l->look.tls = params->tls;
    l->look.guard.e = &l->e;
    l->look.guard.allow_auth = server->allow_auth;
    l->look.guard.password =
        params->password && params->password->present && *params->password->text;
    use_keys(l, params);
    l->library = params->library;
    step_begins(l);
    start(l, params);
    step_ends(l);
    return l;
}

int login_fd(const struct login *l)
{
    return l->look.sock;
}

void login_abort(struct login *l, enum internal_reason reason)
{
    if (l->done)
        return;
    if (reason != INTERNAL_NONE) {
        step_fail_local(l, reason, "");
        return;
    }
    l->e.end = l->e.error.present ? END_ERROR_RESPONSE : END_TIMEOUT;
    step_finish(l);
}

void login_free(struct login *l)
{
    if (!l)
        return;
    close_trust(l);
    login_forget_password(l);
    /* Sends Terminate when the session is established, close_notify on TLS, and never waits: the
     * connection is in non-blocking mode. */
    library_enter(l->library);
    PQfinish(l->conn);
    library_leave();
    relay(l);
    login_relay_close(&l->look.relay);
    if (l->look.sock >= 0) {
        /* Closing with bytes unread would reset the connection, which servers log. */
        socket_drain(l->look.sock);
        close(l->look.sock);
    }
    free(l);
}
