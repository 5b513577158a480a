#pragma once
/* Certificates as plain facts: no OpenSSL type leaves the tls room. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a certificate stands: label values of `position`. */
enum position {
    POSITION_LEAF,
    POSITION_INTERMEDIATE,
    POSITION_ROOT,
    POSITION_CLIENT,
    POSITION_COUNT
};
const char *position_name(enum position position);

struct certificate {
    int64_t not_before, not_after; /* Unix seconds */
    char subject[129];             /* RFC 2253, cleaned; an empty subject shows the first SAN */
    char issuer[129];
    char serial[65];             /* upper-case hex, as openssl x509 -serial prints it */
    char fingerprint_sha256[65]; /* lower-case hex of the DER */
    char public_key_sha256[65];  /* the same of its public key (SPKI) */
    char key[24];                /* "RSA-2048", "EC-P-256", "ED25519" */
    char signature[40];          /* "sha256WithRSAEncryption", "ecdsa-with-SHA256" */
    char sans[257];              /* "DNS:a, DNS:b, IP:1.2.3.4", cut with "…"; "" if none */
    enum position position;
    bool served;     /* the server sent it (a root usually comes from the trust store) */
    int verify_code; /* X509_V_ERR_* found at this certificate, 0 = none */
};

/* The served chain in order, then what the trust store added to the path that verified. */
#define MAX_CHAIN 10
struct chain {
    int references;       /* atomic; immutable after creation, shared between observations */
    unsigned char id[32]; /* SHA-256 over the served certificates: equal id, equal facts */
    size_t count;         /* certificates kept */
    size_t served;        /* certificates the server sent, also those beyond MAX_CHAIN */
    /* Which entry is reported per position: the one that expires first on the path that verified
     * (on the served chain only if none verifies); -1 = none. */
    int by_position[POSITION_COUNT];
    struct certificate certificates[]; /* count of them */
};

/* Zeroed, one reference, by_position all -1; NULL when out of memory. */
struct chain *chain_new(size_t count);
struct chain *chain_ref(struct chain *chain); /* accepts NULL */
void chain_unref(struct chain *chain);        /* accepts NULL */

/* PEM text shared by reference: the certificates of the verified path that came from the trust
 * store, which is all a login needs to verify the same chain again; or a self-signed leaf. */
struct pem {
    int references; /* atomic */
    size_t len;
    char text[];
};
struct pem *pem_new(const char *text, size_t len); /* NULL when out of memory */
struct pem *pem_ref(struct pem *pem);              /* accepts NULL */
void pem_unref(struct pem *pem);                   /* accepts NULL */

/* What a certificate file on a disk of ours holds: the one that a server is supposed to serve
 * (`certificate_file`). Immutable after creation, shared by reference. */
struct certificate_file {
    int references;               /* atomic */
    uint64_t signature;           /* of the file's state when it was read */
    int64_t modified_realtime_ns; /* the file's own time of modification; 0 if it is not known */
    char error[256];              /* why it tells nothing; "" if `leaf` holds */
    struct certificate leaf;      /* the first certificate in it, which is the one that is served */
    char path[];
};
/* Zeroed but for the path, one reference; NULL when out of memory. */
struct certificate_file *certificate_file_new(const char *path);
struct certificate_file *certificate_file_ref(struct certificate_file *file); /* accepts NULL */
void certificate_file_unref(struct certificate_file *file);                   /* accepts NULL */

/* Separate facts, judged whatever this endpoint's sslmode demands. */
enum verdict { VERDICT_UNKNOWN, VERDICT_NO, VERDICT_YES };

struct judgement {
    enum verdict chain;    /* a path to a trusted certificate exists and its signatures hold */
    enum verdict dates;    /* every certificate of that path is within its dates now */
    enum verdict hostname; /* the leaf names the host the configuration names (libpq's rules) */
    enum verdict pin;      /* matches the configured pin; UNKNOWN without one */
    int verify_code;       /* X509_V_ERR_* of the first chain or date error, 0 = none */
    int verify_depth;
};

/* What X509_verify_cert_error_string() says of a verification code; "" for 0. */
#define VERIFY_TEXT_SIZE 64
const char *verify_text(int code, char to[VERIFY_TEXT_SIZE]);
