#pragma once
/* What a probe saw when it failed, and the pure function that names it.
 *
 * Both probes fill an evidence and ask fault_classify(): nothing else in the program decides what
 * a failure is called. Message texts are the last resort, for poolers that send nothing better. */
#include "pgtls/model/fault.h"
#include "pgtls/model/phase.h"

#include <stdbool.h>
#include <stdint.h>

/* The fields of an ErrorResponse (PostgreSQL protocol, "Error and Notice Message Fields"), cut to
 * these sizes, raw bytes otherwise: clean them (str_clean) before showing. */
#define PG_MESSAGE_SIZE 512
struct pg_error {
    bool present;                  /* an ErrorResponse was received */
    bool v2;                       /* 'E' followed by text without fields (protocol 2) */
    char severity[24];             /* V if sent, else S */
    bool has_v;                    /* V was sent: PostgreSQL >= 9.6, pgcat, Supavisor */
    char sqlstate[6];              /* C */
    char message[PG_MESSAGE_SIZE]; /* M */
    char detail[PG_MESSAGE_SIZE];  /* D */
    char file[64];                 /* F */
    char line[12];                 /* L */
    char routine[64];              /* R */
};

/* How a failed probe ended. */
enum end_kind {
    END_NONE,
    END_TIMEOUT,   /* our deadline */
    END_CLOSED,    /* the peer closed: see how */
    END_ERRNO,     /* a system call failed: see sys_errno */
    END_ALERT,     /* fatal TLS alert received: see tls_alert */
    END_TLS_ERROR, /* OpenSSL refused what came: see ssl_reason */
    END_ERROR_RESPONSE,
    END_BAD_BYTES,        /* not the protocol: see ssl_answer */
    END_CERTIFICATE,      /* this sslmode does not accept the certificate: see verify_* */
    END_RESOLVER,         /* see ares_status */
    END_LOCAL,            /* our own side: see local */
    END_AUTH_REFUSED,     /* we refuse the authentication method the server asks for */
    END_AUTH_UNSUPPORTED, /* method this client does not know */
    END_AUTH_CLIENT,      /* libpq refused (channel binding, server signature, no password) */
    END_KIND_COUNT
};

/* Resolver outcomes, without c-ares's header. */
enum resolve_status {
    RESOLVE_OK,
    RESOLVE_NOT_FOUND, /* no such name, or no address for it */
    RESOLVE_TEMPORARY, /* the resolvers failed */
    RESOLVE_TIMEOUT,
    RESOLVE_INTERNAL, /* descriptors, no resolver configured */
    RESOLVE_MEMORY    /* we had none; whatever else was said says nothing */
};

/* The OpenSSL reasons that matter, without its headers. */
enum tls_reason {
    TLS_REASON_OTHER,
    TLS_REASON_NOT_TLS,   /* wrong version number, HTTP request */
    TLS_REASON_VERSION,   /* unsupported protocol */
    TLS_REASON_NO_ALPN,   /* direct TLS, but the server selected no protocol */
    TLS_REASON_PARAMETERS /* no shared cipher, group or signature algorithm */
};

/* Why END_AUTH_CLIENT. */
enum auth_client_error {
    AUTH_CLIENT_OTHER,
    AUTH_CLIENT_NO_PASSWORD,
    AUTH_CLIENT_CHANNEL_BINDING,
    AUTH_CLIENT_SERVER_SIGNATURE
};

struct evidence {
    enum probe_kind probe;
    enum phase phase; /* the phase it failed in */
    enum end_kind end;
    enum close_how how;
    int sys_errno;
    enum resolve_status resolve;
    enum internal_reason local;

    bool ssl_answer_seen;
    unsigned char ssl_answer; /* the byte that answered SSLRequest */
    bool extra_after_answer;  /* bytes were already there behind it (CVE-2021-23222) */

    bool tls_in_use; /* the handshake completed on this connection */
    int tls_alert;   /* alert description number, -1 = none */
    enum tls_reason ssl_reason;
    bool certificate_requested;
    bool client_certificate; /* we have one to present */

    int verify_code; /* X509_V_ERR_* of the first error, 0 = none */
    int verify_depth;
    bool hostname_mismatch;
    bool pin_mismatch;

    int auth_request; /* last AuthenticationXXX code, -1 = none seen; 0 = Ok */
    bool auth_ok;     /* AuthenticationOk was seen */
    enum auth_client_error auth_client;
    struct pg_error error;
};

#define EVIDENCE_INIT ((struct evidence){.tls_alert = -1, .auth_request = -1})

/* The name of what happened. Pure, never FAULT_NONE for an evidence whose end is not END_NONE.
 * How far the connection had come is taken from auth_request and auth_ok where they are known, and
 * from the phase otherwise: a login that is cut off before any authentication request is an
 * ssl_*_after_handshake, whatever its phase is called.
 * The procedure and its sources are in docs/faults.md and in src/model/classify.c. */
enum fault fault_classify(const struct evidence *e);
