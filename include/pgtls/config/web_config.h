#pragma once
/* --web.config.file: who may talk to our own HTTP server, and how. The format is that of
 * Prometheus's exporter toolkit (its docs/web-configuration.md), read as strictly as there: what
 * `promtool check web-config` accepts and refuses of the keys it knows, this accepts and refuses.
 *
 * Only what stands in the file is judged here. Certificates and keys are opened by the server that
 * uses them (pgtls/expose/web.h). */
#include "pgtls/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

#define WEB_CONFIG_MAX_BYTES ((size_t)1024 * 1024)
#define WEB_MAX_USERS        1000
#define WEB_MAX_SANS         1000
#define WEB_MAX_SUITES       32
#define WEB_MAX_CURVES       8
#define WEB_MAX_HEADERS      8

/* As Go's tls.ClientAuthType. */
enum web_client_auth {
    WEB_CLIENT_NONE,            /* not asked for one */
    WEB_CLIENT_REQUEST,         /* asked; whatever comes, or nothing, will do */
    WEB_CLIENT_REQUIRE_ANY,     /* must have one; nobody looks who issued it */
    WEB_CLIENT_VERIFY_IF_GIVEN, /* need not have one; if it does, the authority must know it */
    WEB_CLIENT_REQUIRE_AND_VERIFY
};

enum web_tls_version { WEB_TLS10, WEB_TLS11, WEB_TLS12, WEB_TLS13 };

/* A cipher suite by Go's name, and the words GnuTLS has for its parts. */
struct web_suite {
    const char *name;
    /* "ECDHE-RSA"; NULL: a suite of TLS 1.3, which Go does not let one choose. */
    const char *exchange;
    const char *cipher, *mac;
    bool by_default; /* offered when no cipher_suites are named */
};
extern const struct web_suite web_suites[];
extern const size_t n_web_suites;

struct web_curve {
    const char *name;  /* "CurveP256" */
    const char *group; /* "GROUP-SECP256R1" */
};
extern const struct web_curve web_curves[];
extern const size_t n_web_curves;

/* PEM: in a file, or in the configuration itself. Both NULL: not given. */
struct web_pem {
    const char *path; /* relative ones are made absolute to the configuration's directory */
    const char *text; /* of a key: a secret */
    const char *key;  /* the configuration's key it stands under, and where: for messages */
    unsigned line, column;
};

/* bcrypt, as the toolkit takes it: "$2" and a letter or none, "$", two digits, "$", 53 letters. */
#define WEB_HASH_MAX 128
struct web_user {
    const char *name;
    const char *hash;
};
struct web_header {
    const char *name, *value;
};

/* One reading of the file: immutable. */
struct web_config {
    struct arena *arena; /* everything in it */
    const char *path;

    bool tls; /* false: plain HTTP, whatever else stands in the section */
    struct web_pem cert, key, client_ca;
    enum web_client_auth client_auth;
    const char *const *allowed_sans; /* NULL: any */
    size_t n_allowed_sans;
    enum web_tls_version min_version, max_version;
    bool server_order; /* prefer_server_cipher_suites */
    const struct web_suite *suites[WEB_MAX_SUITES];
    size_t n_suites; /* 0: the default ones */
    const struct web_curve *curves[WEB_MAX_CURVES];
    size_t n_curves;

    struct web_header headers[WEB_MAX_HEADERS];
    size_t n_headers;
    const struct web_user *users;
    size_t n_users; /* 0: nobody needs a password */

    int64_t rate_interval_ns; /* one request in this time; 0: as many as come */
    int64_t rate_burst;       /* and so many at once */
};

/* Reads the file: a configuration, or NULL with at least one error in `messages`, each with its
 * place. Warnings may be there either way. */
struct web_config *web_config_load(const char *path, struct config_messages *messages);

/* The same from memory; `name` stands where the file's would. */
struct web_config *web_config_load_text(const char *name, const char *text, size_t len,
                                        struct config_messages *messages);

void web_config_free(struct web_config *config); /* accepts NULL */

/* The user of this name, NULL if there is none. */
const struct web_user *web_config_user(const struct web_config *config, const char *name);
