/* Names what a probe saw: the decision procedure of docs/faults.md, as tables.
 *
 * How the probe ended decides first, because it is a fact and not a text: an alert is read by its
 * number, a certificate by its verification code, a system call by its errno, a close by how far
 * the connection had come. ErrorResponses are in classify_error.c. The phase decides alone only
 * where nothing better is known: TLS 1.3 delivers the server's rejection of a client certificate in
 * the startup phase, and a server may close before, between or after authentication messages.
 *
 * Numbers of TLS alerts are RFC 8446's; X509_V_ERR_* are OpenSSL's, which this room does not
 * include (a unit test compares them). */
#include "classify.h"

#include <errno.h>
#include <stddef.h>

#define N(table) (sizeof(table) / sizeof *(table))

struct number_fault {
    int number;
    enum fault fault;
};

static enum fault by_number(const struct number_fault *table, size_t n, int number)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].number == number)
            return table[i].fault;
    }
    return FAULT_NONE;
}

/* How far the connection had come. Finer than the phase: what the server has said decides. */
enum stage {
    STAGE_RESOLVE,
    STAGE_CONNECT,
    STAGE_SSL_REQUEST,
    STAGE_HANDSHAKE,
    STAGE_STARTUP, /* nothing of PostgreSQL's protocol has come yet */
    STAGE_AUTH,    /* an authentication request has come */
    STAGE_SESSION, /* AuthenticationOk has come */
    STAGE_COUNT
};

static enum stage stage_of(const struct evidence *e)
{
    static const enum stage by_phase[PHASE_COUNT] = {
        [PHASE_DNS] = STAGE_RESOLVE,
        [PHASE_TCP] = STAGE_CONNECT,
        [PHASE_SSL_REQUEST] = STAGE_SSL_REQUEST,
        [PHASE_TLS] = STAGE_HANDSHAKE,
        [PHASE_STARTUP] = STAGE_STARTUP,
        [PHASE_AUTH] = STAGE_STARTUP,
        [PHASE_QUERY] = STAGE_SESSION,
    };
    enum stage stage = (size_t)e->phase < PHASE_COUNT ? by_phase[(size_t)e->phase] : STAGE_STARTUP;

    if (stage < STAGE_STARTUP)
        return stage;
    if (e->auth_ok || e->auth_request == 0)
        return STAGE_SESSION;
    return e->auth_request > 0 && stage == STAGE_STARTUP ? STAGE_AUTH : stage;
}

/* What silence, a close or nonsense is called at each stage. A plaintext connection that is closed
 * is not an SSL close, whatever way it was closed. */
static const struct {
    enum fault timeout, bad_bytes;
    enum fault closed[CLOSE_COUNT];
    enum fault plain_closed; /* FAULT_NONE: the same as with TLS */
} stages[STAGE_COUNT] = {
    [STAGE_RESOLVE] = {FAULT_DNS_TIMEOUT,
                       FAULT_DNS_TEMPORARY,
                       {FAULT_DNS_TEMPORARY, FAULT_DNS_TEMPORARY, FAULT_DNS_TEMPORARY,
                        FAULT_DNS_TEMPORARY},
                       FAULT_NONE},
    [STAGE_CONNECT] = {FAULT_TCP_TIMEOUT,
                       FAULT_SSLREQ_GARBAGE,
                       {FAULT_SSLREQ_CLOSED, FAULT_SSLREQ_CLOSED, FAULT_SSLREQ_CLOSED,
                        FAULT_TCP_RESET},
                       FAULT_NONE},
    [STAGE_SSL_REQUEST] = {FAULT_SSLREQ_TIMEOUT,
                           FAULT_SSLREQ_GARBAGE,
                           {FAULT_SSLREQ_CLOSED, FAULT_SSLREQ_CLOSED, FAULT_SSLREQ_CLOSED,
                            FAULT_SSLREQ_RESET},
                           FAULT_NONE},
    [STAGE_HANDSHAKE] = {FAULT_TLS_TIMEOUT,
                         FAULT_TLS_PEER_NOT_TLS,
                         {FAULT_TLS_CLOSED, FAULT_TLS_CLOSED_NOTIFY, FAULT_TLS_CLOSED,
                          FAULT_TLS_RESET},
                         FAULT_NONE},
    [STAGE_STARTUP] = {FAULT_STARTUP_TIMEOUT,
                       FAULT_STARTUP_GARBAGE,
                       {FAULT_SSL_EOF_AFTER_HANDSHAKE, FAULT_SSL_CLOSED_AFTER_HANDSHAKE,
                        FAULT_SSL_EOF_AFTER_HANDSHAKE, FAULT_SSL_RESET_AFTER_HANDSHAKE},
                       FAULT_STARTUP_CLOSED},
    [STAGE_AUTH] = {FAULT_AUTH_STALLED,
                    FAULT_PROTOCOL_VIOLATION,
                    {FAULT_EOF_DURING_AUTH, FAULT_CLOSED_DURING_AUTH, FAULT_EOF_DURING_AUTH,
                     FAULT_RESET_DURING_AUTH},
                    FAULT_AUTH_CLOSED},
    [STAGE_SESSION] = {FAULT_SESSION_STALLED,
                       FAULT_PROTOCOL_VIOLATION,
                       {FAULT_EOF_AFTER_AUTH, FAULT_CLOSED_AFTER_AUTH, FAULT_EOF_AFTER_AUTH,
                        FAULT_RESET_AFTER_AUTH},
                       FAULT_SESSION_CLOSED},
};

static enum fault from_close(const struct evidence *e, enum close_how how)
{
    enum stage stage = stage_of(e);

    if (!e->tls_in_use && stages[stage].plain_closed != FAULT_NONE)
        return stages[stage].plain_closed;
    return stages[stage].closed[(size_t)how < CLOSE_COUNT ? (size_t)how : CLOSE_FIN];
}

static enum fault from_closed(const struct evidence *e)
{
    return from_close(e, e->how);
}

static enum fault from_timeout(const struct evidence *e)
{
    return stages[stage_of(e)].timeout;
}

/* An errno of connect(): the peer, the network, or ourselves. */
static const struct number_fault own_errnos[] = {
    {EMFILE, FAULT_LOCAL_DESCRIPTORS},  {ENFILE, FAULT_LOCAL_DESCRIPTORS},
    {ENOMEM, FAULT_LOCAL_MEMORY},       {ENOBUFS, FAULT_LOCAL_MEMORY},
    {EADDRNOTAVAIL, FAULT_LOCAL_OTHER}, /* no local port left, or no address to go out with */
};
static const struct number_fault connect_errnos[] = {
    {ECONNREFUSED, FAULT_TCP_REFUSED},     {ETIMEDOUT, FAULT_TCP_TIMEOUT},
    {EAGAIN, FAULT_TCP_TIMEOUT}, /* a Unix socket whose queue is full */
    {EHOSTUNREACH, FAULT_TCP_UNREACHABLE}, {ENETUNREACH, FAULT_TCP_UNREACHABLE},
    {EHOSTDOWN, FAULT_TCP_UNREACHABLE},    {ENETDOWN, FAULT_TCP_UNREACHABLE},
    {EAFNOSUPPORT, FAULT_TCP_UNREACHABLE}, {ECONNRESET, FAULT_TCP_RESET},
    {ECONNABORTED, FAULT_TCP_RESET},       {EPIPE, FAULT_TCP_RESET},
    {ENOENT, FAULT_UNIX_SOCKET_MISSING},   {ENOTDIR, FAULT_UNIX_SOCKET_MISSING},
    {EACCES, FAULT_CONNECT_DENIED}, /* also ICMPv6 "administratively prohibited" */
    {EPERM, FAULT_CONNECT_DENIED},
};

static enum fault from_errno(const struct evidence *e)
{
    enum fault fault = by_number(own_errnos, N(own_errnos), e->sys_errno);
    enum stage stage = stage_of(e);
    bool reset =
        e->sys_errno == ECONNRESET || e->sys_errno == EPIPE || e->sys_errno == ECONNABORTED;

    if (fault != FAULT_NONE)
        return fault;
    if (stage > STAGE_CONNECT && reset)
        return from_close(e, CLOSE_RST);
    fault = by_number(connect_errnos, N(connect_errnos), e->sys_errno);
    /* A Unix socket has no tcp phase: what only connect() reports is about connecting anywhere. */
    if (stage <= STAGE_CONNECT || fault == FAULT_TCP_REFUSED ||
        fault == FAULT_UNIX_SOCKET_MISSING || fault == FAULT_CONNECT_DENIED)
        return fault != FAULT_NONE ? fault : FAULT_TCP_ERROR;
    return FAULT_CONNECTION_LOST;
}

static const struct number_fault alerts[] = {
    {40, FAULT_TLS_NO_SHARED_PARAMETERS}, /* handshake_failure */
    {42, FAULT_CLIENT_CERT_REJECTED},     /* bad_certificate */
    {43, FAULT_CLIENT_CERT_REJECTED},     /* unsupported_certificate */
    {44, FAULT_CLIENT_CERT_REJECTED},     /* certificate_revoked */
    {45, FAULT_CLIENT_CERT_REJECTED},     /* certificate_expired */
    {46, FAULT_CLIENT_CERT_REJECTED},     /* certificate_unknown */
    {48, FAULT_CLIENT_CERT_UNTRUSTED},    /* unknown_ca */
    {70, FAULT_TLS_VERSION_MISMATCH},     /* protocol_version */
    {71, FAULT_TLS_NO_SHARED_PARAMETERS}, /* insufficient_security */
    {80, FAULT_TLS_SERVER_INTERNAL_ERROR},
    {86, FAULT_TLS_VERSION_MISMATCH}, /* inappropriate_fallback */
    {112, FAULT_TLS_SNI_UNRECOGNIZED},
    {116, FAULT_CLIENT_CERT_REQUIRED},
    {120, FAULT_TLS_ALPN_REJECTED},
};

static enum fault from_alert(const struct evidence *e)
{
    /* Before TLS 1.3 a missing client certificate has no alert of its own: OpenSSL sends
     * handshake_failure, Go's library bad_certificate. */
    static const struct number_fault missing_certificate[] = {
        {40, FAULT_CLIENT_CERT_REQUIRED},
        {42, FAULT_CLIENT_CERT_REQUIRED},
    };
    enum fault fault = FAULT_NONE;

    if (e->certificate_requested && !e->client_certificate)
        fault = by_number(missing_certificate, N(missing_certificate), e->tls_alert);
    if (fault == FAULT_NONE)
        fault = by_number(alerts, N(alerts), e->tls_alert);
    return fault != FAULT_NONE ? fault : FAULT_TLS_ALERT_OTHER;
}

static enum fault from_tls_error(const struct evidence *e)
{
    static const struct number_fault reasons[] = {
        {TLS_REASON_NOT_TLS, FAULT_TLS_PEER_NOT_TLS},
        {TLS_REASON_VERSION, FAULT_TLS_VERSION_MISMATCH},
        {TLS_REASON_NO_ALPN, FAULT_TLS_ALPN_MISSING},
        {TLS_REASON_PARAMETERS, FAULT_TLS_NO_SHARED_PARAMETERS},
    };
    enum fault fault = by_number(reasons, N(reasons), (int)e->ssl_reason);

    return fault != FAULT_NONE ? fault : FAULT_TLS_PROTOCOL_ERROR;
}

static const struct number_fault verify_codes[] = {
    {2, FAULT_SERVER_CERT_UNTRUSTED},       /* UNABLE_TO_GET_ISSUER_CERT */
    {3, FAULT_CRL_UNUSABLE},                /* UNABLE_TO_GET_CRL */
    {5, FAULT_CRL_UNUSABLE},                /* UNABLE_TO_DECRYPT_CRL_SIGNATURE */
    {8, FAULT_CRL_UNUSABLE},                /* CRL_SIGNATURE_FAILURE */
    {9, FAULT_SERVER_CERT_NOT_YET_VALID},   /* CERT_NOT_YET_VALID */
    {10, FAULT_SERVER_CERT_EXPIRED},        /* CERT_HAS_EXPIRED */
    {11, FAULT_CRL_UNUSABLE},               /* CRL_NOT_YET_VALID */
    {12, FAULT_CRL_UNUSABLE},               /* CRL_HAS_EXPIRED */
    {15, FAULT_CRL_UNUSABLE},               /* ERROR_IN_CRL_LAST_UPDATE_FIELD */
    {16, FAULT_CRL_UNUSABLE},               /* ERROR_IN_CRL_NEXT_UPDATE_FIELD */
    {17, FAULT_LOCAL_MEMORY},               /* OUT_OF_MEM */
    {18, FAULT_SERVER_CERT_SELF_SIGNED},    /* DEPTH_ZERO_SELF_SIGNED_CERT */
    {19, FAULT_SERVER_CERT_UNTRUSTED},      /* SELF_SIGNED_CERT_IN_CHAIN: an unknown root is sent */
    {20, FAULT_SERVER_CERT_UNTRUSTED},      /* UNABLE_TO_GET_ISSUER_CERT_LOCALLY */
    {21, FAULT_SERVER_CERT_UNTRUSTED},      /* UNABLE_TO_VERIFY_LEAF_SIGNATURE */
    {23, FAULT_SERVER_CERT_REVOKED},        /* CERT_REVOKED */
    {26, FAULT_SERVER_CERT_WRONG_PURPOSE},  /* INVALID_PURPOSE */
    {27, FAULT_SERVER_CERT_UNTRUSTED},      /* CERT_UNTRUSTED */
    {33, FAULT_CRL_UNUSABLE},               /* UNABLE_TO_GET_CRL_ISSUER */
    {35, FAULT_CRL_UNUSABLE},               /* KEYUSAGE_NO_CRL_SIGN */
    {36, FAULT_CRL_UNUSABLE},               /* UNHANDLED_CRITICAL_CRL_EXTENSION */
    {44, FAULT_CRL_UNUSABLE},               /* DIFFERENT_CRL_SCOPE */
    {54, FAULT_CRL_UNUSABLE},               /* CRL_PATH_VALIDATION_ERROR */
    {62, FAULT_SERVER_CERT_NAME_MISMATCH},  /* HOSTNAME_MISMATCH */
    {64, FAULT_SERVER_CERT_NAME_MISMATCH},  /* IP_ADDRESS_MISMATCH */
    {66, FAULT_SERVER_CERT_WEAK_KEY},       /* EE_KEY_TOO_SMALL */
    {67, FAULT_SERVER_CERT_WEAK_KEY},       /* CA_KEY_TOO_SMALL */
    {68, FAULT_SERVER_CERT_WEAK_SIGNATURE}, /* CA_MD_TOO_WEAK */
};

static enum fault from_certificate(const struct evidence *e)
{
    enum fault fault = by_number(verify_codes, N(verify_codes), e->verify_code);

    if (fault == FAULT_SERVER_CERT_EXPIRED && e->verify_depth > 0)
        return FAULT_CA_CERT_EXPIRED;
    if (fault != FAULT_NONE)
        return fault;
    if (e->verify_code == 0 && e->hostname_mismatch)
        return FAULT_SERVER_CERT_NAME_MISMATCH;
    if (e->verify_code == 0 && e->pin_mismatch)
        return FAULT_SERVER_CERT_PIN_MISMATCH;
    return FAULT_SERVER_CERT_INVALID;
}

static enum fault from_bad_bytes(const struct evidence *e)
{
    static const struct number_fault answers[] = {
        {'N', FAULT_SSL_NOT_SUPPORTED},
        {'E', FAULT_SSLREQ_ERROR_V2}, /* no fields behind it, or it would be an ErrorResponse */
        {0x15, FAULT_SSLREQ_PEER_SPEAKS_TLS}, /* a TLS alert record */
    };
    enum stage stage = stage_of(e);
    enum fault fault = FAULT_NONE;

    if (stage == STAGE_SSL_REQUEST && e->ssl_answer_seen) {
        if (e->ssl_answer == 'S' && e->extra_after_answer)
            return FAULT_SSLREQ_EXTRA_BYTES;
        fault = by_number(answers, N(answers), e->ssl_answer);
    }
    return fault != FAULT_NONE ? fault : stages[stage].bad_bytes;
}

static enum fault from_local(const struct evidence *e)
{
    static const enum fault by_reason[INTERNAL_REASON_COUNT] = {
        [INTERNAL_NONE] = FAULT_LOCAL_OTHER,    [INTERNAL_DESCRIPTORS] = FAULT_LOCAL_DESCRIPTORS,
        [INTERNAL_MEMORY] = FAULT_LOCAL_MEMORY, [INTERNAL_LOCAL_FILE] = FAULT_LOCAL_FILE,
        [INTERNAL_SECRET] = FAULT_LOCAL_SECRET, [INTERNAL_OTHER] = FAULT_LOCAL_OTHER,
    };

    return (size_t)e->local < INTERNAL_REASON_COUNT ? by_reason[(size_t)e->local]
                                                    : FAULT_LOCAL_OTHER;
}

static enum fault from_resolver(const struct evidence *e)
{
    static const struct number_fault statuses[] = {
        {RESOLVE_NOT_FOUND, FAULT_DNS_NOT_FOUND},
        {RESOLVE_TEMPORARY, FAULT_DNS_TEMPORARY},
        {RESOLVE_TIMEOUT, FAULT_DNS_TIMEOUT},
        {RESOLVE_MEMORY, FAULT_LOCAL_MEMORY},
    };
    enum fault fault = by_number(statuses, N(statuses), (int)e->resolve);

    return fault != FAULT_NONE ? fault : from_local(e);
}

static enum fault from_auth_client(const struct evidence *e)
{
    static const struct number_fault errors[] = {
        {AUTH_CLIENT_NO_PASSWORD, FAULT_PASSWORD_MISSING},
        {AUTH_CLIENT_CHANNEL_BINDING, FAULT_SCRAM_CHANNEL_BINDING},
        {AUTH_CLIENT_SERVER_SIGNATURE, FAULT_SCRAM_CHANNEL_BINDING},
    };
    enum fault fault = by_number(errors, N(errors), (int)e->auth_client);

    return fault != FAULT_NONE ? fault : FAULT_AUTH_METHOD_UNSUPPORTED;
}

static enum fault from_auth_refused(const struct evidence *e)
{
    (void)e;
    return FAULT_AUTH_METHOD_REFUSED;
}

static enum fault from_auth_unsupported(const struct evidence *e)
{
    (void)e;
    return FAULT_AUTH_METHOD_UNSUPPORTED;
}

enum fault fault_classify(const struct evidence *e)
{
    static enum fault (*const by_end[END_KIND_COUNT])(const struct evidence *) = {
        [END_TIMEOUT] = from_timeout,
        [END_CLOSED] = from_closed,
        [END_ERRNO] = from_errno,
        [END_ALERT] = from_alert,
        [END_TLS_ERROR] = from_tls_error,
        [END_ERROR_RESPONSE] = classify_error_response,
        [END_BAD_BYTES] = from_bad_bytes,
        [END_CERTIFICATE] = from_certificate,
        [END_RESOLVER] = from_resolver,
        [END_LOCAL] = from_local,
        [END_AUTH_REFUSED] = from_auth_refused,
        [END_AUTH_UNSUPPORTED] = from_auth_unsupported,
        [END_AUTH_CLIENT] = from_auth_client,
    };

    if (e->end == END_NONE)
        return FAULT_NONE;
    return (size_t)e->end < END_KIND_COUNT ? by_end[(size_t)e->end](e) : FAULT_LOCAL_OTHER;
}
