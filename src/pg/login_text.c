/* libpq's error texts as evidence: one table of how they begin. */
#include "login_text.h"

#include "pgtls/tls/reason.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <string.h>

/* One beginning of a text (without libpq's "connection to server at …, port N failed: "). */
struct beginning {
    const char *text;
    enum end_kind end;
    union {
        enum close_how how;
        enum internal_reason local;
        enum auth_client_error auth;
    };
};

#define LOCAL_FILE                                                                                 \
    END_LOCAL,                                                                                     \
    {                                                                                              \
        .local = INTERNAL_LOCAL_FILE                                                               \
    }
#define LOCAL_MEMORY                                                                               \
    END_LOCAL,                                                                                     \
    {                                                                                              \
        .local = INTERNAL_MEMORY                                                                   \
    }
#define LOCAL_OTHER                                                                                \
    END_LOCAL,                                                                                     \
    {                                                                                              \
        .local = INTERNAL_OTHER                                                                    \
    }
#define CLOSED                                                                                     \
    END_CLOSED,                                                                                    \
    {                                                                                              \
        .how = CLOSE_NONE                                                                          \
    }
#define BINDING                                                                                    \
    END_AUTH_CLIENT,                                                                               \
    {                                                                                              \
        .auth = AUTH_CLIENT_CHANNEL_BINDING                                                        \
    }
#define SIGNATURE                                                                                  \
    END_AUTH_CLIENT,                                                                               \
    {                                                                                              \
        .auth = AUTH_CLIENT_SERVER_SIGNATURE                                                       \
    }

/* fe-connect.c, fe-secure-openssl.c, fe-misc.c, fe-auth.c, fe-auth-scram.c, fe-protocol3.c of
 * libpq 15 to 18. First match counts. */
static const struct beginning beginnings[] = {
    {"out of memory", LOCAL_MEMORY},
    {"cannot allocate memory", LOCAL_MEMORY},
    {"root certificate file", LOCAL_FILE},
    {"could not read root certificate file", LOCAL_FILE},
    {"could not open certificate file", LOCAL_FILE},
    {"could not read certificate file", LOCAL_FILE},
    {"certificate present, but not private key file", LOCAL_FILE},
    {"could not stat private key file", LOCAL_FILE},
    {"private key file", LOCAL_FILE},
    {"could not load private key file", LOCAL_FILE},
    {"certificate does not match private key file", LOCAL_FILE},
    {"could not load SSL engine", LOCAL_FILE},
    {"could not read private SSL key", LOCAL_FILE},
    {"could not load private SSL key", LOCAL_FILE},

    {"SSL connection has been closed unexpectedly", END_CLOSED, {.how = CLOSE_NOTIFY}},
    {"SSL SYSCALL error: ", CLOSED},
    {"server closed the connection unexpectedly", CLOSED},
    {"could not receive data from server", CLOSED},
    {"could not send data to server", CLOSED},
    {"could not send startup packet", CLOSED},
    {"could not send SSL negotiation packet", CLOSED},

    {"SSL negotiation response", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"received ", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"server sent an error response", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"server does not support SSL", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"expected authentication request", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"unexpected message from server", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"unexpected response from server", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"lost synchronization with server", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"message contents do not agree", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"message type 0x", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"insufficient data in", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"unexpected field count in", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"server sent data", END_BAD_BYTES, {.how = CLOSE_NONE}},
    {"protocol error", END_BAD_BYTES, {.how = CLOSE_NONE}},

    {"fe_sendauth: no password supplied", END_AUTH_CLIENT, {.auth = AUTH_CLIENT_NO_PASSWORD}},
    {"channel binding", BINDING},
    {"server offered SCRAM-SHA-256-PLUS", BINDING},
    {"incorrect server signature", SIGNATURE},
    {"could not verify server signature", SIGNATURE},
    {"none of the server's SASL", END_AUTH_UNSUPPORTED, {.how = CLOSE_NONE}},
    {"authentication method requirement", END_AUTH_REFUSED, {.how = CLOSE_NONE}},
    {"auth method ", END_AUTH_REFUSED, {.how = CLOSE_NONE}},
    {"authentication method ", END_AUTH_UNSUPPORTED, {.how = CLOSE_NONE}},
    {"Kerberos ", END_AUTH_UNSUPPORTED, {.how = CLOSE_NONE}},
    {"GSSAPI ", END_AUTH_UNSUPPORTED, {.how = CLOSE_NONE}},
};

/* What connect() can fail with; libpq prints strerror(). */
static const int connect_errnos[] = {
    ECONNREFUSED, ENETUNREACH, EHOSTUNREACH,  ETIMEDOUT, ECONNRESET, ENOENT, EACCES,
    EPERM,        EAGAIN,      EADDRNOTAVAIL, ENETDOWN,  EHOSTDOWN,  EINVAL, ENOTSOCK,
};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The text as the line of it that `text` starts with. */
static bool line_is(const char *text, const char *line)
{
    size_t len;

    if (!line)
        return false;
    len = strlen(line);
    return strncmp(text, line, len) == 0 && (text[len] == '\n' || text[len] == '\0');
}

/* What libpq says without saying to whom. */
static const char *body_of(const char *text)
{
    const char *failed = begins(text, "connection to server ") ? strstr(text, " failed: ") : NULL;

    return failed ? failed + strlen(" failed: ") : text;
}

static const char *reason_text(int reason)
{
    return ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
}

/* "SSL error: <the reason as OpenSSL words it>". */
static void explain_tls(const char *reason, struct evidence *e)
{
    const struct tls_reason_row *rows;
    size_t n = tls_reasons(&rows);

    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    if (line_is(reason, reason_text(SSL_R_CERTIFICATE_VERIFY_FAILED)) ||
        begins(reason, "certificate verify failed")) {
        e->end = END_CERTIFICATE;
        e->verify_code = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
        return;
    }
    if (line_is(reason, reason_text(SSL_R_UNEXPECTED_EOF_WHILE_READING))) {
        e->end = END_CLOSED;
        return;
    }
    for (int alert = 0; alert < 256; alert++) {
        if (line_is(reason, reason_text(SSL_AD_REASON_OFFSET + alert))) {
            e->end = END_ALERT;
            e->tls_alert = alert;
            return;
        }
    }
    e->end = END_TLS_ERROR;
    for (size_t i = 0; i < n; i++) {
        if (line_is(reason, reason_text(rows[i].openssl)))
            e->ssl_reason = rows[i].reason;
    }
}

static bool explain_name(const char *text, struct evidence *e)
{
    if (!begins(text, "server certificate for ") &&
        !begins(text, "could not get server's host name"))
        return false;
    e->end = END_CERTIFICATE;
    e->hostname_mismatch = true;
    return true;
}

/* Errors of socket() and connect(). */
static bool explain_errno(const char *text, struct evidence *e)
{
    const char *socket_failed = "could not create socket: ";

    if (begins(text, socket_failed)) {
        text += strlen(socket_failed);
        e->end = END_LOCAL;
        e->local = INTERNAL_OTHER;
        if (line_is(text, strerror(EMFILE)) || line_is(text, strerror(ENFILE)))
            e->local = INTERNAL_DESCRIPTORS;
        else if (line_is(text, strerror(ENOMEM)) || line_is(text, strerror(ENOBUFS)))
            e->local = INTERNAL_MEMORY;
        return true;
    }
    for (size_t i = 0; i < sizeof connect_errnos / sizeof *connect_errnos; i++) {
        if (line_is(text, strerror(connect_errnos[i]))) {
            e->end = END_ERRNO;
            e->sys_errno = connect_errnos[i];
            return true;
        }
    }
    return false;
}

static void take(const struct beginning *b, struct evidence *e)
{
    e->end = b->end;
    if (b->end == END_CLOSED)
        e->how = b->how;
    else if (b->end == END_LOCAL)
        e->local = b->local;
    else if (b->end == END_AUTH_CLIENT)
        e->auth_client = b->auth;
}

void login_explain(const char *text, struct evidence *e)
{
    text = body_of(text);
    if (begins(text, "SSL error: ")) {
        explain_tls(text + strlen("SSL error: "), e);
        return;
    }
    if (explain_name(text, e) || (e->phase == PHASE_TCP && explain_errno(text, e)))
        return;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        if (begins(text, beginnings[i].text)) {
            take(&beginnings[i], e);
            return;
        }
    }
    if (e->phase == PHASE_AUTH) {
        e->end = END_AUTH_CLIENT; /* of the many ways a SASL exchange can be malformed */
        e->auth_client = AUTH_CLIENT_OTHER;
    } else {
        e->end = END_LOCAL;
        e->local = INTERNAL_OTHER;
    }
}
