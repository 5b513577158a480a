/* A login's connection as seen from outside libpq. */
#include "login_look.h"

#include "pgtls/base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

/* One TLS record; half of it on plaintext connections, for which libpq has always room. */
#define RECORD_BYTES ((size_t)16 * 1024)
#define RELAY_BYTES  ((size_t)8 * 1024)

/* Handshake messages after the handshake; servers send two session tickets. */
#define MAX_LATE_MESSAGES 64

static enum look closed(struct login_look *l, enum close_how how)
{
    login_guard_closed(&l->guard, how);
    return LOOK_OVER;
}

void login_look_errno(struct login_look *l, int error)
{
    bool connected = l->guard.e->phase > PHASE_TCP;

    if (connected && error == ECONNRESET) {
        closed(l, CLOSE_RST);
    } else if (connected && error == EPIPE) {
        closed(l, CLOSE_FIN); /* it was there before the reset that our sending met */
    } else {
        l->guard.e->end = END_ERRNO;
        l->guard.e->sys_errno = error;
    }
}

static int tcp_state(int sock)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;

    return getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_state : 0;
}

void login_look_before(struct login_look *l)
{
    if (l->tls)
        l->half_closed = tcp_state(l->sock) == TCP_CLOSE_WAIT;
}

/* The errno of a reset goes to whoever meets it first, and on TLS connections that may be libpq,
 * sending, which keeps it. What stays is the socket's state: a reset closes it, a FIN leaves it
 * half open; but a step of libpq that sends into a FIN draws a reset, too. */
enum close_how login_look_how(const struct login_look *l)
{
    char byte;

    if (l->relay.send_errno != 0)
        return l->relay.send_errno == ECONNRESET ? CLOSE_RST : CLOSE_FIN;
    if (recv(l->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == ECONNRESET)
        return CLOSE_RST;
    return l->tls && tcp_state(l->sock) == TCP_CLOSE && !l->half_closed ? CLOSE_RST : CLOSE_FIN;
}

/* What a recv() returned, other than bytes. */
static enum look no_bytes(struct login_look *l, ssize_t n)
{
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return LOOK_WAIT;
    if (n < 0) {
        login_look_errno(l, errno);
        return LOOK_OVER;
    }
    return closed(l, login_look_how(l));
}

static enum look show(struct login_look *l, const unsigned char *bytes, size_t n)
{
    return login_guard_feed(&l->guard, bytes, n) ? LOOK_GO : LOOK_OVER;
}

/* Plaintext: ours to read, and libpq gets what the guard lets pass. */
static enum look look_plain(struct login_look *l, int64_t since_ns)
{
    unsigned char bytes[RELAY_BYTES];
    ssize_t n = arrival_recv(l->sock, bytes, sizeof bytes, 0, since_ns, &l->arrival);
    enum look look;

    if (n <= 0)
        return no_bytes(l, n);
    l->heard = true;
    look = show(l, bytes, (size_t)n);
    if (look == LOOK_GO && !login_relay_give(&l->relay, bytes, (size_t)n)) {
        l->guard.e->end = END_LOCAL;
        l->guard.e->local = INTERNAL_OTHER;
        return LOOK_OVER;
    }
    return look;
}

/* An ErrorResponse in answer to SSLRequest: libpq would throw it away, so we read it. */
static enum look read_early_error(struct login_look *l)
{
    unsigned char bytes[1024];
    ssize_t n = recv(l->sock, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n <= 0)
        return no_bytes(l, n);
    return show(l, bytes, (size_t)n) == LOOK_GO ? LOOK_WAIT : LOOK_OVER;
}

/* The answer to SSLRequest: one byte, and nothing behind it. */
static enum look look_answer(struct login_look *l)
{
    struct evidence *e = l->guard.e;
    unsigned char bytes[2];
    ssize_t n;

    if (e->ssl_answer_seen)
        return read_early_error(l);
    n = recv(l->sock, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0)
        return no_bytes(l, n);
    e->ssl_answer_seen = true;
    e->ssl_answer = bytes[0];
    e->extra_after_answer = bytes[0] == 'S' && n > 1;
    if (bytes[0] == 'E')
        return read_early_error(l);
    if (bytes[0] == 'S' && n == 1) {
        e->phase = PHASE_TLS;
        return LOOK_GO;
    }
    e->end = END_BAD_BYTES;
    return LOOK_OVER;
}

/* Is there anything on the socket? One byte is looked at, and left there. */
static enum look look_outside(struct login_look *l, int64_t since_ns)
{
    unsigned char byte;
    ssize_t n = arrival_recv(l->sock, &byte, 1, MSG_PEEK, since_ns, &l->arrival);

    if (n <= 0)
        return no_bytes(l, n);
    l->heard = true;
    return LOOK_GO;
}

/* SSL_peek returned no bytes. */
static enum look no_record(struct login_look *l, SSL *ssl, int result)
{
    int saved = errno, error = SSL_get_error(ssl, result);
    int reason = ERR_GET_REASON(ERR_peek_error());
    struct evidence *e = l->guard.e;

    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return LOOK_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return closed(l, CLOSE_NOTIFY);
    case SSL_ERROR_SYSCALL:
        if (saved == 0)
            return closed(l, login_look_how(l));
        login_look_errno(l, saved);
        return LOOK_OVER;
    default:
        break;
    }
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return closed(l, login_look_how(l));
    e->end = END_TLS_ERROR;
    if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
        e->end = END_ALERT;
        e->tls_alert = reason - SSL_AD_REASON_OFFSET;
    }
    return LOOK_OVER;
}

static void on_message(int written, int version, int type, const void *bytes, size_t len, SSL *ssl,
                       void *arg)
{
    struct login_look *l = arg;

    (void)version;
    (void)bytes;
    (void)len;
    (void)ssl;
    l->late_messages += !written && type == SSL3_RT_HANDSHAKE;
}

/* OpenSSL would go on with session tickets and key updates for as long as they come, and keep the
 * loop from everybody else. So it is told to stop after each, and they are counted. */
static int peek(struct login_look *l, SSL *ssl, unsigned char *record, size_t size)
{
    unsigned before;
    int n;

    SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    SSL_set_msg_callback(ssl, on_message);
    SSL_set_msg_callback_arg(ssl, l);
    do {
        before = l->late_messages;
        ERR_clear_error();
        errno = 0;
        n = SSL_peek(ssl, record, (int)size);
    } while (n <= 0 && l->late_messages != before && l->late_messages <= MAX_LATE_MESSAGES);
    return n;
}

/* After the handshake: the record that libpq will read next. */
static enum look look_record(struct login_look *l, SSL *ssl, int64_t since_ns)
{
    unsigned char record[RECORD_BYTES];
    size_t seen = l->seen;
    int n;

    if (SSL_pending(ssl) == 0) {
        enum look look = look_outside(l, since_ns);

        if (look != LOOK_GO)
            return look;
    }
    n = peek(l, ssl, record, sizeof record);
    if (n <= 0 && l->late_messages > MAX_LATE_MESSAGES) {
        l->guard.e->end = END_TLS_ERROR;
        return LOOK_OVER;
    }
    if (n <= 0)
        return no_record(l, ssl, n);
    l->seen = (size_t)n;
    return (size_t)n > seen ? show(l, record + seen, (size_t)n - seen) : LOOK_GO;
}

enum look login_look(struct login_look *l, SSL *ssl, int64_t since_ns)
{
    l->heard = false;
    if (!l->tls)
        return look_plain(l, since_ns);
    if (l->guard.e->phase == PHASE_SSL_REQUEST)
        return look_answer(l);
    if (l->guard.e->phase == PHASE_TLS)
        return look_outside(l, since_ns);
    return ssl ? look_record(l, ssl, since_ns) : LOOK_GO;
}

bool login_look_rest(struct login_look *l, SSL *ssl)
{
    int left = ssl && l->guard.e->phase > PHASE_TLS ? SSL_pending(ssl) : 0;

    l->seen = left > 0 ? (size_t)left : 0;
    return left > 0;
}

void login_look_slim(SSL *ssl)
{
    SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_free_buffers(ssl); /* refused, and no harm done, while something is in them */
}
