#pragma once
/* PostgreSQL's protocol 3.0 as pure functions on bytes (documentation chapter "Frontend/Backend
 * Protocol", "Message Formats"). No socket, no allocation, nothing trusted. */
#include "pgtls/model/evidence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_SSL_REQUEST_SIZE  8
#define WIRE_TERMINATE_SIZE    5
#define WIRE_MAX_MESSAGE_BYTES ((size_t)64 * 1024) /* of one message of a server */
#define WIRE_MAX_STARTUP_BYTES ((size_t)10000)     /* MAX_STARTUP_PACKET_LENGTH in pqcomm.h */

/* Exactly the 8 bytes of SSLRequest, and the 5 of Terminate. */
extern const unsigned char wire_ssl_request[WIRE_SSL_REQUEST_SIZE];
extern const unsigned char wire_terminate[WIRE_TERMINATE_SIZE];

/* StartupMessage 3.0 with user, database, application_name, options (NULL leaves one out) into
 * `to`. Returns its length, 0 when it does not fit. */
size_t wire_startup(unsigned char *to, size_t size, const char *user, const char *database,
                    const char *application_name, const char *options);

/* One message of a server at the start of `bytes`. */
enum wire_status {
    WIRE_MORE, /* incomplete: read on */
    WIRE_OK,
    WIRE_BAD /* not the protocol: impossible length, or over WIRE_MAX_MESSAGE_BYTES */
};
struct wire_message {
    char type;
    const unsigned char *body; /* into bytes */
    size_t body_len;
    size_t total; /* bytes this message takes */
};
enum wire_status wire_next(const unsigned char *bytes, size_t len, struct wire_message *message);

/* An 'E' or 'N' body: fields cut to their sizes, every malformed shape tolerated (a missing
 * terminator, unknown fields, no fields at all). present is set. The first field of a kind counts;
 * a SQLSTATE that is not five of 0-9 and A-Z is left out, so it needs no cleaning. */
void wire_error_fields(const unsigned char *body, size_t len, struct pg_error *error);

/* What follows the 'E' of a protocol-2 error: text up to NUL. */
void wire_error_v2(const unsigned char *text, size_t len, struct pg_error *error);

/* An 'R' body; false when malformed. */
struct wire_auth {
    int32_t code;           /* of AuthenticationXXX */
    bool scram, scram_plus; /* SASL (10): SCRAM-SHA-256, with -PLUS, is among the mechanisms */
};
bool wire_auth(const unsigned char *body, size_t len, struct wire_auth *auth);

/* The method's name for server_info: "trust", "kerberos", "password", "md5", "gss", "sspi",
 * "scram-sha-256", "sasl" (other mechanisms only), "unknown". */
const char *wire_auth_method(const struct wire_auth *auth);

/* The 'R' body of SASLContinue (11) with SCRAM's server-first-message (RFC 5802 section 7), as what
 * a password is to be stretched with. False when it is anything but "r=…,s=…,i=…": with extensions,
 * with a salt longer than this, with an impossible number of iterations. */
#define WIRE_SCRAM_SALT_SIZE 132
struct wire_scram {
    char salt[WIRE_SCRAM_SALT_SIZE]; /* base64, as sent */
    uint32_t iterations;             /* 1 to 999,999,999 */
};
bool wire_scram(const unsigned char *body, size_t len, struct wire_scram *scram);
bool wire_scram_same(const struct wire_scram *a, const struct wire_scram *b);
