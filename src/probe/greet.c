/* The inspect probe's last stages: StartupMessage, the first message that answers it, and leaving
 * without a trace. */
#include "probe.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/net/arrival.h"
#include "pgtls/net/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CHUNK_BYTES   1024 /* the first message has some forty, an error some two hundred */
#define STARTUP_BYTES 2048
#define MAX_MESSAGES  256 /* of a server before it is ready; real ones send about twenty */

/* --- bytes both ways, in plaintext or TLS ----------------------------------------------------- */

static enum step tls_step(struct probe *p, enum tls_want want)
{
    if (want == TLS_WANT_READ)
        return STEP_READ;
    if (want == TLS_WANT_WRITE)
        return STEP_WRITE;
    tls_conn_evidence(p->conn, &p->evidence);
    return STEP_FAIL;
}

/* Sends what p->sent says is left of a message. A failed plaintext write is not the end: the next
 * read tells. */
static enum step send_rest(struct probe *p, const unsigned char *bytes, size_t len)
{
    while (p->sent < len) {
        size_t left = len - p->sent, n = 0;

        if (p->conn) {
            enum tls_want want = tls_conn_write(p->conn, bytes + p->sent, left, &n);

            if (want != TLS_DONE)
                return tls_step(p, want);
        } else {
            ssize_t sent = send(p->fd, bytes + p->sent, left, MSG_NOSIGNAL | MSG_DONTWAIT);

            if (sent < 0 && (errno == EAGAIN || errno == EINTR))
                return STEP_WRITE;
            n = sent < 0 ? left : (size_t)sent;
            stopwatch_sent(&p->watch, clock_monotonic_ns());
        }
        p->sent += n;
    }
    return STEP_NEXT;
}

static bool make_room(struct probe *p)
{
    unsigned char *grown;

    if (p->in_cap - p->in_len >= CHUNK_BYTES)
        return true;
    if (p->in_cap > WIRE_MAX_MESSAGE_BYTES + CHUNK_BYTES)
        return false;
    grown = realloc(p->in, p->in_cap * 2 + CHUNK_BYTES);
    if (!grown)
        return false;
    p->in = grown;
    p->in_cap = p->in_cap * 2 + CHUNK_BYTES;
    return true;
}

static enum step fail_memory(struct probe *p)
{
    return probe_fail_local(p, INTERNAL_MEMORY, "out of memory for a server's message");
}

/* Reads some more bytes behind p->in: STEP_NEXT when there are some. */
static enum step fill(struct probe *p)
{
    size_t room, n = 0;

    if (!make_room(p))
        return fail_memory(p);
    room = p->in_cap - p->in_len;
    if (p->conn) {
        enum tls_want want;

        want = tls_conn_read(p->conn, p->in + p->in_len, room, &n);
        if (want != TLS_DONE)
            return tls_step(p, want);
    } else {
        struct arrival arrival;
        ssize_t got = arrival_recv(p->fd, p->in + p->in_len, room, 0, p->watch.sent_ns, &arrival);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return STEP_READ;
        if (got <= 0)
            return probe_fail_closed(p, got < 0 ? errno : 0);
        stopwatch_arrived(&p->watch, arrival.at_ns);
        p->observation.missing_timestamps += !arrival.stamped && !p->server->unix_socket;
        n = (size_t)got;
    }
    p->in_len += n;
    return STEP_NEXT;
}

/* The next whole message; STEP_NEXT when there is one at the start of p->in. */
static enum step next_message(struct probe *p, struct wire_message *message)
{
    for (;;) {
        enum wire_status status = wire_next(p->in, p->in_len, message);
        enum step step;

        if (status == WIRE_OK && p->messages++ < MAX_MESSAGES)
            return STEP_NEXT;
        if (status != WIRE_MORE)
            return probe_fail(p, END_BAD_BYTES);
        step = fill(p);
        if (step != STEP_NEXT)
            return step;
    }
}

static void consume(struct probe *p, const struct wire_message *message)
{
    size_t total = message->total;

    memmove(p->in, p->in + total, p->in_len - total);
    p->in_len -= total;
}

static enum step on_error(struct probe *p, const struct wire_message *message)
{
    wire_error_fields(message->body, message->body_len, &p->evidence.error);
    return probe_fail(p, END_ERROR_RESPONSE);
}

/* --- instead of S or N ------------------------------------------------------------------------ */

/* Protocol 2 has text behind the E, up to a NUL; protocol 3 a length, whose first byte is 0. */
static bool is_text(const struct probe *p)
{
    return p->in_len > 1 && p->in[1] != '\0';
}

static enum step on_text(struct probe *p)
{
    wire_error_v2(p->in + 1, p->in_len - 1, &p->evidence.error);
    return probe_fail(p, END_ERROR_RESPONSE);
}

/* The connection ended within the error: what is there counts if it says which error it is. */
static enum step on_cut(struct probe *p)
{
    struct pg_error error = {0};

    if (is_text(p))
        return on_text(p);
    if (p->in_len > 5)
        wire_error_fields(p->in + 5, p->in_len - 5, &error);
    if (error.sqlstate[0] == '\0')
        return STEP_FAIL; /* closed, and nothing said */
    p->evidence.error = error;
    return probe_fail(p, END_ERROR_RESPONSE);
}

enum step inspect_early_error(struct probe *p)
{
    struct wire_message message;
    enum step step;

    if (p->in_len == 0) {
        if (!make_room(p))
            return fail_memory(p);
        p->in[p->in_len++] = 'E';
    }
    for (;;) {
        enum wire_status status = WIRE_MORE;

        if (!is_text(p))
            status = wire_next(p->in, p->in_len, &message);
        else if (memchr(p->in, '\0', p->in_len) || p->in_len > PG_MESSAGE_SIZE)
            return on_text(p);
        if (status == WIRE_OK)
            return on_error(p, &message);
        if (status == WIRE_BAD)
            return probe_fail(p, END_BAD_BYTES);
        step = fill(p);
        if (step == STEP_FAIL && p->evidence.end == END_CLOSED)
            return on_cut(p);
        if (step != STEP_NEXT)
            return step;
    }
}

/* --- startup ---------------------------------------------------------------------------------- */

enum step inspect_startup(struct probe *p)
{
    const struct server *s = p->server;
    unsigned char message[STARTUP_BYTES];
    size_t len =
        wire_startup(message, sizeof message, s->user, s->dbname, s->application_name, s->options);

    if (len == 0)
        return probe_fail_local(p, INTERNAL_OTHER,
                                "user, dbname and options do not fit a StartupMessage");
    return send_rest(p, message, len);
}

static enum step on_authentication(struct probe *p, const struct wire_message *message)
{
    struct observation *o = &p->observation;
    struct wire_auth auth;

    if (!wire_auth(message->body, message->body_len, &auth))
        return probe_fail(p, END_BAD_BYTES);
    p->evidence.auth_request = auth.code;
    p->evidence.auth_ok = auth.code == 0;
    str_copy(o->auth_method, sizeof o->auth_method, wire_auth_method(&auth));
    o->channel_binding = auth.scram_plus;
    consume(p, message);
    return auth.code == 0 ? STEP_NEXT : STEP_GOOD;
}

enum step inspect_first_message(struct probe *p)
{
    for (;;) {
        struct wire_message message;
        enum step step;

        /* What answers a StartupMessage: R or E; before them v (NegotiateProtocolVersion) and N. */
        if (p->in_len > 0 && !strchr("REvN", p->in[0]))
            return probe_fail(p, END_BAD_BYTES);
        if (p->in_len > 1 && p->in[0] == 'E' && p->in[1] != 0) { /* text: protocol 2 */
            wire_error_v2(p->in + 1, p->in_len - 1, &p->evidence.error);
            return probe_fail(p, END_ERROR_RESPONSE);
        }
        step = p->in_len == 0 ? fill(p) : next_message(p, &message);
        if (step != STEP_NEXT)
            return step;
        if (wire_next(p->in, p->in_len, &message) != WIRE_OK)
            continue;
        if (message.type == 'R')
            return on_authentication(p, &message);
        if (message.type == 'E')
            return on_error(p, &message);
        consume(p, &message);
    }
}

/* Trusted: the server goes on to a session. It is ended as a client ends one, because a session
 * that just disappears is counted in pg_stat_database.sessions_abandoned. */
enum step inspect_trusted(struct probe *p)
{
    for (;;) {
        struct wire_message message;
        enum step step = next_message(p, &message);

        if (step != STEP_NEXT)
            return step;
        if (message.type == 'E')
            return on_error(p, &message);
        if (message.type == 'Z') {
            p->in_session = true;
            p->sent = 0;
            return STEP_GOOD;
        }
        if (!strchr("SKN", message.type))
            return probe_fail(p, END_BAD_BYTES);
        consume(p, &message);
    }
}

/* --- leaving ---------------------------------------------------------------------------------- */

enum step inspect_leave(struct probe *p)
{
    if (p->fd < 0 || p->login)
        return STEP_GOOD;
    if (p->in_session && send_rest(p, wire_terminate, WIRE_TERMINATE_SIZE) == STEP_WRITE)
        return STEP_WRITE;
    if (!p->said_goodbye) {
        p->said_goodbye = true;
        if (p->conn)
            tls_conn_close_notify(p->conn, true);
        shutdown(p->fd, SHUT_WR);
    }
    /* What was sent and not read would turn our close into a reset, and that into a log line. */
    return socket_drain(p->fd) ? STEP_GOOD : STEP_READ;
}
