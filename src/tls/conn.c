/* A TLS client on a socket of ours.
 *
 * Reads go through a BIO of our own, so that each carries its arrival; a failed write is kept back
 * until the following read has told what the peer still sent (an alert, an ErrorResponse) and how
 * it closed, because the write's errno alone hides both. */
#include "tls.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/stopwatch.h"
#include "pgtls/base/str.h"
#include "pgtls/base/wipe.h"
#include "pgtls/net/arrival.h"
#include "pgtls/tls/memory.h"
#include "pgtls/tls/reason.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* What one turn may read, in pieces of about a record, and how many handshake messages may follow
 * the handshake: session tickets and key updates stay inside OpenSSL, which would go on with them
 * for as long as they come, and keep the loop from everybody else. Servers send two tickets. */
#define TURN_READS        8
#define MAX_LATE_MESSAGES 64

struct tls_conn {
    int fd;
    SSL *ssl;
    const struct server *server;
    struct trust *trust;
    struct chain_memory *memory;

    struct stopwatch *watch;
    unsigned missing_timestamps;
    int write_errno, read_errno;
    bool eof;
    unsigned reads; /* left in this turn */
    bool up;        /* the handshake is over */
    unsigned late_messages;

    bool judged;       /* the memory holds this connection's chain */
    uint64_t failures; /* of OpenSSL's allocations, before its present step */
    bool no_memory;    /* whatever OpenSSL came to is nothing of the server's */
    bool hello_retry, certificate_requested;
    bool shutdown_sent, more; /* more will be sent at once: to go in one segment */
    int alert;                /* fatal one received, -1 = none */
    enum end_kind end;
    enum close_how how;
    enum tls_reason reason;
};

/* --- the BIO ---------------------------------------------------------------------------------- */

/* Kept for life, once there was memory for it. */
static BIO_METHOD *bio_method;
static pthread_mutex_t bio_lock = PTHREAD_MUTEX_INITIALIZER;

static int bio_read(BIO *bio, char *to, int size)
{
    struct tls_conn *c = BIO_get_data(bio);
    struct arrival arrival;
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (c->late_messages > MAX_LATE_MESSAGES)
        return -1; /* no errno and no end: a breach of the protocol */
    if (c->reads == 0) {
        BIO_set_retry_read(bio); /* the socket stays readable: the next turn goes on */
        return -1;
    }
    c->reads--;
    n = arrival_recv(c->fd, to, (size_t)size, 0, c->watch->sent_ns, &arrival);
    if (n > 0) {
        stopwatch_arrived(c->watch, arrival.at_ns);
        c->missing_timestamps += !arrival.stamped;
    } else if (n == 0) {
        c->eof = true;
    } else if (errno == EAGAIN || errno == EINTR) {
        BIO_set_retry_read(bio);
    } else {
        c->read_errno = errno;
    }
    return (int)n;
}

/* Is this the client's last flight of TLS 1.3? It waits for no answer: what follows, a
 * StartupMessage or the goodbye, follows at once, and a segment of its own would only cost both
 * sides a wake-up. */
static bool ends_handshake(const struct tls_conn *c)
{
    return SSL_get_state(c->ssl) == TLS_ST_CW_FINISHED && SSL_version(c->ssl) >= TLS1_3_VERSION;
}

static int bio_write(BIO *bio, const char *from, int size)
{
    struct tls_conn *c = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (c->write_errno)
        return size;
    n = send(c->fd, from, (size_t)size,
             MSG_NOSIGNAL | MSG_DONTWAIT | (c->more || ends_handshake(c) ? MSG_MORE : 0));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio);
    } else if (n < 0) {
        c->write_errno = errno; /* the next read tells why */
        return size;
    } else {
        stopwatch_sent(c->watch, clock_monotonic_ns());
    }
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_conn *c = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_FLUSH)
        return 1;
    if (command == BIO_CTRL_EOF)
        return c->eof;
    return 0;
}

static BIO *bio_new(void)
{
    BIO_METHOD *method;

    pthread_mutex_lock(&bio_lock);
    if (!bio_method) {
        bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "arrival");
        if (bio_method) {
            BIO_meth_set_read(bio_method, bio_read);
            BIO_meth_set_write(bio_method, bio_write);
            BIO_meth_set_ctrl(bio_method, bio_ctrl);
        }
    }
    method = bio_method; /* another thread sets it where there was no memory for us */
    pthread_mutex_unlock(&bio_lock);
    return method ? BIO_new(method) : NULL;
}

/* --- what passes by --------------------------------------------------------------------------- */

/* SHA-256("HelloRetryRequest"): the random of a ServerHello that is one (RFC 8446, 4.1.3). */
static const unsigned char hello_retry_random[32] = {
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
    0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C};

static void on_message(int written, int version, int type, const void *bytes, size_t len, SSL *ssl,
                       void *arg)
{
    struct tls_conn *c = arg;
    const unsigned char *p = bytes;

    (void)version;
    (void)ssl;
    if (written || len < 2)
        return;
    if (type == SSL3_RT_ALERT) {
        if (p[1] != SSL3_AD_CLOSE_NOTIFY && p[1] != TLS1_AD_USER_CANCELLED &&
            (p[0] == SSL3_AL_FATAL || SSL_version(c->ssl) >= TLS1_3_VERSION))
            c->alert = p[1];
    } else if (type == SSL3_RT_HANDSHAKE) {
        if (p[0] == SSL3_MT_CERTIFICATE_REQUEST)
            c->certificate_requested = true;
        else if (p[0] == SSL3_MT_SERVER_HELLO && len >= 38 &&
                 memcmp(p + 6, hello_retry_random, sizeof hello_retry_random) == 0)
            c->hello_retry = true;
        c->late_messages += c->up;
    }
}

/* Nothing that the last judgement rested on has changed. */
static bool still_judged(const struct tls_conn *c, const unsigned char id[32])
{
    const struct chain_memory *m = c->memory;
    int64_t now_s = clock_realtime_ns() / NS_PER_S;

    return m->chain && memcmp(m->chain->id, id, 32) == 0 &&
           m->trust_generation == trust_generation(c->trust) && now_s >= m->judged_at_s &&
           now_s < m->valid_until_s;
}

int conn_on_certificate(X509_STORE_CTX *ctx, void *unused)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_conn *c = SSL_get_app_data(ssl);
    unsigned char id[32];
    bool judged;

    (void)unused;
    judged =
        judge_chain_id(X509_STORE_CTX_get0_cert(ctx), X509_STORE_CTX_get0_untrusted(ctx), id) &&
        !trust_is_spoiled(c->trust) && tls_memory_failures() == c->failures;
    if (judged && !still_judged(c, id)) {
        judged = judge_chain(ctx, c->server, id, c->memory) && tls_memory_failures() == c->failures;
        if (judged) {
            c->memory->trust_generation = trust_generation(c->trust);
            trust_share(c->trust, c->memory);
        } else {
            chain_memory_deinit(c->memory);
        }
    }
    c->no_memory = c->no_memory || !judged;
    c->judged = judged;
    if (c->judged) /* each time: another configuration may pin another one */
        c->memory->judgement.pin = judge_pin(c->server, c->memory->chain);
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

/* Around what OpenSSL does for a connection of ours, which never carries a secret that we were
 * given: its own, the keys of the session, it wipes itself. With a client's key nothing is risked.
 */
static void quick_begins(const struct trust *trust)
{
    wipe_pause(!trust_has_client_certificate(trust));
}

static void quick_ends(void)
{
    wipe_pause(false);
}

/* Around what may fail, too: what it was short of memory for it must not have come to. */
static void openssl_begins(struct tls_conn *c)
{
    ERR_clear_error();
    errno = 0;
    c->failures = tls_memory_failures();
    quick_begins(c->trust);
}

static void openssl_ends(struct tls_conn *c)
{
    quick_ends();
    if (tls_memory_failures() != c->failures)
        c->no_memory = true;
    if (c->no_memory)
        trust_spoil(c->trust);
}

/* --- life ------------------------------------------------------------------------------------- */

static bool is_address(const char *host)
{
    struct in_addr v4;
    unsigned char v6[16];

    return inet_aton(host, &v4) || inet_pton(AF_INET6, host, v6) == 1;
}

struct tls_conn *tls_conn_new(int fd, const struct server *server, struct trust *trust,
                              struct chain_memory *memory, struct stopwatch *watch)
{
    static const unsigned char alpn[] = "\x0apostgresql";
    char name[256]; /* the longest that SNI can carry, and not const: OpenSSL's macro wants it so */
    struct tls_conn *c = calloc(1, sizeof *c);
    uint64_t failures = tls_memory_failures();
    BIO *bio = NULL;

    if (!c)
        goto fail;
    *c = (struct tls_conn){.fd = fd,
                           .server = server,
                           .trust = trust,
                           .memory = memory,
                           .reads = TURN_READS,
                           .watch = watch,
                           .alert = -1};
    c->ssl = SSL_new(trust_context(trust));
    bio = bio_new();
    if (!c->ssl || !bio)
        goto fail;
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(c->ssl, bio, bio);
    SSL_set_app_data(c->ssl, c);
    SSL_set_msg_callback(c->ssl, on_message);
    SSL_set_msg_callback_arg(c->ssl, c);
    SSL_set_connect_state(c->ssl);
    if (server->sslsni && !is_address(server->host) && str_copy(name, sizeof name, server->host))
        SSL_set_tlsext_host_name(c->ssl, name);
    if (server->negotiation == NEGOTIATION_DIRECT)
        SSL_set_alpn_protos(c->ssl, alpn, sizeof alpn - 1);
    if (tls_memory_failures() == failures)
        return c;
    tls_conn_free(c); /* it would ask for something else */
    return NULL;
fail:
    BIO_free(bio);
    if (c)
        SSL_free(c->ssl);
    free(c);
    return NULL;
}

void tls_conn_free(struct tls_conn *c)
{
    if (!c)
        return;
    quick_begins(c->trust);
    SSL_free(c->ssl);
    quick_ends();
    free(c);
}

void tls_conn_turn(struct tls_conn *c)
{
    c->reads = TURN_READS;
}

/* --- how it ends ------------------------------------------------------------------------------ */

static void closed(struct tls_conn *c, enum close_how how)
{
    c->end = END_CLOSED;
    c->how = how;
}

/* The socket failed. EPIPE tells that the peer's FIN was there before its reset (tcp_reset() in
 * Linux: EPIPE in CLOSE_WAIT, else ECONNRESET), so it closed by FIN. */
static void socket_failed(struct tls_conn *c)
{
    int first = c->write_errno ? c->write_errno : c->read_errno;

    if (first == ECONNRESET)
        closed(c, CLOSE_RST);
    else if (first == EPIPE || first == 0)
        closed(c, CLOSE_FIN);
    else
        c->end = END_ERRNO;
}

/* OpenSSL ran out of it, which is no fault of the server's. Empties the queue of errors. */
static bool ran_out_of_memory(void)
{
    bool found = false;

    for (unsigned long error; (error = ERR_get_error()) != 0;)
        found = found || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    return found;
}

static enum tls_want failed(struct tls_conn *c, int ssl_error)
{
    unsigned long error = ERR_peek_last_error();
    int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;

    c->no_memory = ran_out_of_memory() || c->no_memory;
    if (c->alert >= 0) {
        c->end = END_ALERT;
    } else if (ssl_error == SSL_ERROR_ZERO_RETURN) {
        closed(c, CLOSE_NOTIFY);
    } else if (c->eof || c->read_errno || c->write_errno) {
        socket_failed(c);
    } else {
        c->end = END_TLS_ERROR;
        c->reason = tls_reason_of(reason);
    }
    return TLS_FAILED;
}

/* What OpenSSL's return value asks for. */
static enum tls_want wanted(struct tls_conn *c, int result)
{
    int error = SSL_get_error(c->ssl, result);

    if (c->no_memory)
        return failed(c, SSL_ERROR_SSL);
    if (error == SSL_ERROR_WANT_READ)
        return TLS_WANT_READ;
    if (error == SSL_ERROR_WANT_WRITE)
        return TLS_WANT_WRITE;
    return failed(c, error);
}

/* --- the stream ------------------------------------------------------------------------------- */

/* A direct connection must have agreed on ALPN, as libpq demands (fe-secure-openssl.c). */
static bool alpn_missing(const struct tls_conn *c)
{
    const unsigned char *selected;
    unsigned len;

    if (c->server->negotiation != NEGOTIATION_DIRECT)
        return false;
    SSL_get0_alpn_selected(c->ssl, &selected, &len);
    return len == 0;
}

enum tls_want tls_conn_handshake(struct tls_conn *c)
{
    int result;

    openssl_begins(c);
    result = SSL_do_handshake(c->ssl);
    openssl_ends(c);
    if (result != 1 || c->no_memory)
        return wanted(c, result);
    c->up = true;
    if (alpn_missing(c)) {
        c->end = END_TLS_ERROR;
        c->reason = TLS_REASON_NO_ALPN;
        return TLS_FAILED;
    }
    return TLS_DONE;
}

enum tls_want tls_conn_write(struct tls_conn *c, const void *bytes, size_t len, size_t *n)
{
    int result;

    openssl_begins(c);
    result = SSL_write_ex(c->ssl, bytes, len, n);
    openssl_ends(c);
    return result == 1 ? TLS_DONE : wanted(c, result);
}

enum tls_want tls_conn_read(struct tls_conn *c, void *to, size_t size, size_t *n)
{
    int result;

    openssl_begins(c);
    result = SSL_read_ex(c->ssl, to, size, n);
    openssl_ends(c);
    return result == 1 ? TLS_DONE : wanted(c, result);
}

void tls_conn_close_notify(struct tls_conn *c, bool with_fin)
{
    if (c->shutdown_sent || c->end == END_TLS_ERROR || c->end == END_ALERT || c->end == END_ERRNO ||
        !SSL_is_init_finished(c->ssl))
        return;
    c->shutdown_sent = true;
    c->more = with_fin;
    ERR_clear_error();
    SSL_shutdown(c->ssl);
    ERR_clear_error();
}

/* --- what was seen ---------------------------------------------------------------------------- */

void tls_conn_evidence(const struct tls_conn *c, struct evidence *e)
{
    e->end = c->end;
    e->how = c->how;
    e->tls_alert = c->alert;
    e->ssl_reason = c->reason;
    e->certificate_requested = c->certificate_requested;
    e->client_certificate = trust_has_client_certificate(c->trust);
    if (c->end == END_ERRNO)
        e->sys_errno = c->write_errno ? c->write_errno : c->read_errno;
    if (c->no_memory) {
        e->end = END_LOCAL;
        e->local = INTERNAL_MEMORY;
    }
}

static void observe_parameters(const struct tls_conn *c, struct observation *o)
{
    const char *cipher = SSL_get_cipher_name(c->ssl);
    int group = (int)SSL_get_negotiated_group(c->ssl);
    const char *group_name = group ? SSL_group_to_name(c->ssl, group) : NULL;
    const unsigned char *alpn;
    unsigned alpn_len;

    o->tls = true;
    str_copy(o->tls_version, sizeof o->tls_version, SSL_get_version(c->ssl));
    str_copy(o->tls_cipher, sizeof o->tls_cipher, cipher ? cipher : "");
    str_copy(o->tls_group, sizeof o->tls_group, group_name ? group_name : "");
    SSL_get0_alpn_selected(c->ssl, &alpn, &alpn_len);
    str_clean(o->tls_alpn, sizeof o->tls_alpn, alpn, alpn_len);
}

void tls_conn_observe(const struct tls_conn *c, struct observation *o)
{
    o->hello_retry = c->hello_retry;
    o->missing_timestamps += c->missing_timestamps;
    if (SSL_is_init_finished(c->ssl))
        observe_parameters(c, o);
    if (c->judged) {
        o->chain = chain_ref(c->memory->chain);
        o->anchors = pem_ref(c->memory->anchors);
        o->judgement = c->memory->judgement;
    }
}
