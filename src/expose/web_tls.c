/* One generation of certificates and policy, and what is done with a session.
 *
 * GnuTLS chooses key exchange, cipher and MAC by themselves, where the configuration names whole
 * suites; and a cipher left out for TLS 1.2 it would leave out of TLS 1.3, too. So the policy is
 * set once more when the client's hello has settled the version, and what was chosen is looked at
 * before the server's hello goes out. */
#include "web_tls.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/file.h"
#include "pgtls/base/wipe.h"
#include "web_guard.h"
#include "web_priority.h"

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEM_MAX_BYTES ((size_t)1024 * 1024)
#define SAN_MAX_BYTES 1024

/* More than a handshake takes. */
#define HANDSHAKE_BYTES ((size_t)256 * 1024)

struct web_tls {
    const struct web_config *config;
    gnutls_certificate_credentials_t credentials;
    /* Until the version is settled; then one of the other two. NULL: no such version. */
    gnutls_priority_t any, before_13, only_13;
    bool rsa; /* the kind of our key */
};

/* --- loading ---------------------------------------------------------------------------------- */

static bool fail(const struct web_tls *tls, const struct web_pem *pem, const char *why, char *error,
                 size_t size)
{
    snprintf(error, size, "%s:%u:%u: %s: %s", tls->config->path, pem->line, pem->column, pem->key,
             why);
    return false;
}

/* The PEM, wherever it stands. */
static bool read_pem(const struct web_tls *tls, const struct web_pem *pem, struct buf *to,
                     char *error, size_t size)
{
    char why[384];

    if (!pem->path) {
        buf_add_str(to, pem->text);
        return !to->failed || fail(tls, pem, "too long", error, size);
    }
    return file_append(pem->path, to, why, sizeof why) || fail(tls, pem, why, error, size);
}

static gnutls_datum_t datum_of(const struct buf *b)
{
    return (gnutls_datum_t){(unsigned char *)b->data, (unsigned)b->len};
}

/* The key's kind decides which suites can be used. */
static bool find_kind(struct web_tls *tls, char *error, size_t size)
{
    gnutls_x509_crt_t *chain = NULL;
    unsigned n = 0;
    int code = gnutls_certificate_get_x509_crt(tls->credentials, 0, &chain, &n);

    if (code < 0 || n == 0)
        return fail(tls, &tls->config->cert, "no certificate in it", error, size);
    code = gnutls_x509_crt_get_pk_algorithm(chain[0], NULL);
    tls->rsa = code == GNUTLS_PK_RSA || code == GNUTLS_PK_RSA_PSS;
    while (n > 0)
        gnutls_x509_crt_deinit(chain[--n]);
    gnutls_free(chain);
    return true;
}

static bool load_key_pair(struct web_tls *tls, char *error, size_t size)
{
    const struct web_config *c = tls->config;
    struct buf cert = BUF_INIT(PEM_MAX_BYTES), key = BUF_INIT(PEM_MAX_BYTES);
    bool good =
        read_pem(tls, &c->cert, &cert, error, size) && read_pem(tls, &c->key, &key, error, size);

    if (good) {
        gnutls_datum_t cert_pem = datum_of(&cert), key_pem = datum_of(&key);
        int code = gnutls_certificate_set_x509_key_mem(tls->credentials, &cert_pem, &key_pem,
                                                       GNUTLS_X509_FMT_PEM);

        if (code < 0) {
            char why[1024];

            snprintf(why, sizeof why, "%s%sno certificate with the key of %s: %s",
                     c->cert.path ? c->cert.path : "", c->cert.path ? ": " : "",
                     c->key.path ? c->key.path : c->key.key, gnutls_strerror(code));
            good = fail(tls, &c->cert, why, error, size);
        }
    }
    if (key.data)
        wipe_memory(key.data, key.cap);
    buf_deinit(&key);
    buf_deinit(&cert);
    return good && find_kind(tls, error, size);
}

/* Whom client certificates may come from; without a file whom the system trusts, as in Go. */
static bool load_authorities(struct web_tls *tls, char *error, size_t size)
{
    const struct web_pem *pem = &tls->config->client_ca;
    struct buf text = BUF_INIT(PEM_MAX_BYTES);
    bool good = true;

    if (tls->config->client_auth == WEB_CLIENT_NONE)
        return true;
    if (!pem->path && !pem->text) {
        gnutls_certificate_set_x509_system_trust(tls->credentials);
        return true;
    }
    good = read_pem(tls, pem, &text, error, size);
    if (good) {
        gnutls_datum_t datum = datum_of(&text);

        if (gnutls_certificate_set_x509_trust_mem(tls->credentials, &datum, GNUTLS_X509_FMT_PEM) <=
            0)
            good = fail(tls, pem, "no certificate in it", error, size);
    }
    buf_deinit(&text);
    return good;
}

/* NULL stays NULL when the configuration has no such version, or no suite for it. */
static bool prepare(const struct web_tls *tls, enum web_tls_version low, enum web_tls_version high,
                    gnutls_priority_t *priority)
{
    struct buf text = BUF_INIT(4096);
    const char *wrong;
    bool good = low > high || !web_priority(tls->config, tls->rsa, low, high, &text) ||
                gnutls_priority_init(priority, buf_text(&text), &wrong) == 0;

    buf_deinit(&text);
    return good;
}

/* Without a suite of theirs, the versions before 1.3 are not offered at all. */
static bool prepare_policy(struct web_tls *tls, char *error, size_t size)
{
    enum web_tls_version low = tls->config->min_version, high = tls->config->max_version;
    enum web_tls_version below = high < WEB_TLS12 ? high : WEB_TLS12;
    bool good = prepare(tls, low, below, &tls->before_13) &&
                (high < WEB_TLS13 || prepare(tls, WEB_TLS13, WEB_TLS13, &tls->only_13)) &&
                prepare(tls, tls->before_13 ? low : WEB_TLS13, high, &tls->any);

    if (good && tls->any)
        return true;
    snprintf(
        error, size,
        "%s: tls_server_config: no cipher suite is left for these versions and a key of kind %s",
        tls->config->path, tls->rsa ? "RSA" : "ECDSA");
    return false;
}

struct web_tls *web_tls_new(const struct web_config *config, char *error, size_t size)
{
    struct web_tls *tls = calloc(1, sizeof *tls);

    if (!tls || gnutls_certificate_allocate_credentials(&tls->credentials) < 0) {
        snprintf(error, size, "%s: out of memory", config->path);
        free(tls);
        return NULL;
    }
    tls->config = config;
    if (load_key_pair(tls, error, size) && load_authorities(tls, error, size) &&
        prepare_policy(tls, error, size))
        return tls;
    web_tls_free(tls);
    return NULL;
}

void web_tls_free(struct web_tls *tls)
{
    if (!tls)
        return;
    gnutls_certificate_free_credentials(tls->credentials);
    if (tls->any)
        gnutls_priority_deinit(tls->any);
    if (tls->before_13)
        gnutls_priority_deinit(tls->before_13);
    if (tls->only_13)
        gnutls_priority_deinit(tls->only_13);
    free(tls);
}

/* --- a session -------------------------------------------------------------------------------- */

/* A session has one pointer for whoever made it, which is libmicrohttpd; ours takes the place of
 * that of the session cache, which there is none of. */
static const struct web_tls *tls_of(gnutls_session_t session)
{
    return gnutls_db_get_ptr(session);
}

static bool is_13(gnutls_session_t session)
{
    return gnutls_protocol_get_version(session) == GNUTLS_TLS1_3;
}

/* What GnuTLS computes with and writes ASN.1 by does not survive an allocation that fails: GMP ends
 * the program, libtasn1 writes through a null pointer. So as much as they may take is asked for
 * before they begin. */
static bool has_memory(void)
{
    void *volatile room = malloc(HANDSHAKE_BYTES);
    bool has = room != NULL;

    free(room);
    return has;
}

static int on_client_hello(gnutls_session_t session)
{
    const struct web_tls *tls = tls_of(session);
    gnutls_priority_t priority = is_13(session) ? tls->only_13 : tls->before_13;

    if (!has_memory())
        return GNUTLS_E_MEMORY_ERROR;
    if (!priority)
        return GNUTLS_E_UNSUPPORTED_VERSION_PACKET;
    return gnutls_priority_set(session, priority);
}

/* The client's last message of a handshake, and the first one that comes encrypted: what with is
 * known from now on, and nothing has been said yet. */
static int on_finished(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                       const gnutls_datum_t *message)
{
    const struct web_tls *tls = tls_of(session);
    const char *exchange, *cipher, *mac;

    (void)type;
    (void)when;
    (void)message;
    if (is_13(session) || !incoming)
        return 0;
    exchange = gnutls_kx_get_name(gnutls_kx_get(session));
    cipher = gnutls_cipher_get_name(gnutls_cipher_get(session));
    mac = gnutls_mac_get_name(gnutls_mac_get(session));
    for (size_t i = 0; i < n_web_suites; i++) {
        const struct web_suite *suite = &web_suites[i];

        if (exchange && cipher && mac && web_suite_allowed(tls->config, suite, tls->rsa) &&
            strcmp(suite->exchange, exchange) == 0 && strcmp(suite->cipher, cipher) == 0 &&
            strcmp(suite->mac, mac) == 0)
            return 0;
    }
    return GNUTLS_E_NO_CIPHER_SUITES;
}

/* One name of a certificate as Go writes it; false when it is of a kind that nobody can allow. */
static bool name_text(unsigned kind, const unsigned char *name, size_t len,
                      char text[SAN_MAX_BYTES])
{
    if (kind == GNUTLS_SAN_IPADDRESS)
        return (len == 4 || len == 16) &&
               inet_ntop(len == 4 ? AF_INET : AF_INET6, name, text, SAN_MAX_BYTES);
    if ((kind != GNUTLS_SAN_DNSNAME && kind != GNUTLS_SAN_RFC822NAME && kind != GNUTLS_SAN_URI) ||
        len >= SAN_MAX_BYTES || memchr(name, '\0', len))
        return false;
    memcpy(text, name, len);
    text[len] = '\0';
    return true;
}

static bool is_allowed(const struct web_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_allowed_sans; i++) {
        if (strcmp(config->allowed_sans[i], name) == 0)
            return true;
    }
    return false;
}

/* Has the certificate one of the names that are allowed? */
static bool has_allowed_name(const struct web_config *config, const gnutls_datum_t *der)
{
    gnutls_x509_crt_t certificate;
    bool found = false;
    int code;

    if (gnutls_x509_crt_init(&certificate) < 0)
        return false;
    code = gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER);
    for (unsigned i = 0; code >= 0 && !found; i++) {
        unsigned char name[SAN_MAX_BYTES];
        char text[SAN_MAX_BYTES];
        size_t len = sizeof name;

        code = gnutls_x509_crt_get_subject_alt_name(certificate, i, name, &len, NULL);
        if (code == GNUTLS_E_SHORT_MEMORY_BUFFER) {
            code = 0; /* longer than any that is allowed; there may be others */
            continue;
        }
        found = code >= 0 && name_text((unsigned)code, name, len, text) && is_allowed(config, text);
    }
    gnutls_x509_crt_deinit(certificate);
    return found;
}

static bool is_trusted(gnutls_session_t session)
{
    static char client[] = GNUTLS_KP_TLS_WWW_CLIENT;
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)client};
    unsigned status = ~0U;

    return gnutls_certificate_verify_peers(session, &purpose, 1, &status) >= 0 && status == 0;
}

/* Called with the client's certificate, or without one. Anything but 0 ends the handshake. */
static int on_client_certificate(gnutls_session_t session)
{
    const struct web_config *config = tls_of(session)->config;
    enum web_client_auth auth = config->client_auth;
    unsigned n = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
    bool required = auth == WEB_CLIENT_REQUIRE_ANY || auth == WEB_CLIENT_REQUIRE_AND_VERIFY;
    bool verified = auth == WEB_CLIENT_VERIFY_IF_GIVEN || auth == WEB_CLIENT_REQUIRE_AND_VERIFY;

    if (!chain || n == 0)
        return required ? GNUTLS_E_CERTIFICATE_REQUIRED : 0;
    if (verified && !is_trusted(session))
        return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    if (config->allowed_sans && !has_allowed_name(config, &chain[0]))
        return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    return 0;
}

bool web_tls_begin(struct web_tls *tls, void *session)
{
    static const gnutls_certificate_request_t requests[] = {
        [WEB_CLIENT_NONE] = GNUTLS_CERT_IGNORE,
        [WEB_CLIENT_REQUEST] = GNUTLS_CERT_REQUEST,
        [WEB_CLIENT_REQUIRE_ANY] = GNUTLS_CERT_REQUIRE,
        [WEB_CLIENT_VERIFY_IF_GIVEN] = GNUTLS_CERT_REQUEST,
        [WEB_CLIENT_REQUIRE_AND_VERIFY] = GNUTLS_CERT_REQUIRE,
    };

    if (gnutls_priority_set(session, tls->any) < 0 ||
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0)
        return false;
    gnutls_db_set_ptr(session, tls);
    gnutls_certificate_server_set_request(session, requests[tls->config->client_auth]);
    if (tls->config->client_auth != WEB_CLIENT_NONE)
        gnutls_session_set_verify_function(session, on_client_certificate);
    gnutls_handshake_set_post_client_hello_function(session, on_client_hello);
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_PRE,
                                       on_finished);
    return true;
}

static int no_certificate(gnutls_session_t session, const gnutls_datum_t *authorities,
                          int n_authorities, const gnutls_pk_algorithm_t *algorithms,
                          int n_algorithms, gnutls_pcert_st **certificate, unsigned *n,
                          gnutls_privkey_t *key)
{
    (void)session;
    (void)authorities;
    (void)n_authorities;
    (void)algorithms;
    (void)n_algorithms;
    (void)certificate;
    (void)n;
    (void)key;
    return -1;
}

void *web_no_certificate(void)
{
    const union {
        gnutls_certificate_retrieve_function2 *function;
        void *pointer;
    } as = {.function = no_certificate};

    return as.pointer;
}
