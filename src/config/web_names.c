/* Go's names of cipher suites and curves (crypto/tls: CipherSuites(), CurveID), in Go's order of
 * preference, and what GnuTLS calls their parts in a priority string. */
#include "pgtls/config/web_config.h"

#define RSA   "RSA"
#define ERSA  "ECDHE-RSA"
#define ECDSA "ECDHE-ECDSA"

const struct web_suite web_suites[] = {
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", ECDSA, "AES-128-GCM", "AEAD", true},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ERSA, "AES-128-GCM", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", ECDSA, "AES-256-GCM", "AEAD", true},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", ERSA, "AES-256-GCM", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", ECDSA, "CHACHA20-POLY1305", "AEAD", true},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", ERSA, "CHACHA20-POLY1305", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", ECDSA, "AES-128-CBC", "SHA1", true},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", ERSA, "AES-128-CBC", "SHA1", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", ECDSA, "AES-256-CBC", "SHA1", true},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", ERSA, "AES-256-CBC", "SHA1", true},
    /* Without forward secrecy: Go has taken them out of its default. */
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", RSA, "AES-128-GCM", "AEAD", false},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", RSA, "AES-256-GCM", "AEAD", false},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", RSA, "AES-128-CBC", "SHA1", false},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", RSA, "AES-256-CBC", "SHA1", false},
    /* Those of TLS 1.3 may be named, and are there whether they are named or not. */
    {"TLS_AES_128_GCM_SHA256", NULL, "AES-128-GCM", "AEAD", true},
    {"TLS_AES_256_GCM_SHA384", NULL, "AES-256-GCM", "AEAD", true},
    {"TLS_CHACHA20_POLY1305_SHA256", NULL, "CHACHA20-POLY1305", "AEAD", true},
};
const size_t n_web_suites = sizeof web_suites / sizeof *web_suites;

const struct web_curve web_curves[] = {
    {"X25519", "GROUP-X25519"},
    {"CurveP256", "GROUP-SECP256R1"},
    {"CurveP384", "GROUP-SECP384R1"},
    {"CurveP521", "GROUP-SECP521R1"},
};
const size_t n_web_curves = sizeof web_curves / sizeof *web_curves;
