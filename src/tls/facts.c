/* Certificates as plain facts. Everything a server put into a certificate is cleaned and cut here,
 * before it is seen anywhere else. */
#include "tls.h"

#include "pgtls/base/str.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t unix_time(const ASN1_TIME *when)
{
    struct tm tm;

    if (!when || ASN1_TIME_to_tm(when, &tm) != 1)
        return 0;
    return (int64_t)timegm(&tm);
}

static void name_text(const X509_NAME *name, char *to, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long n;

    to[0] = '\0';
    if (!bio)
        return;
    /* RFC 2253, but UTF-8 as it is and no escaping of control characters: cleaning does that. */
    X509_NAME_print_ex(bio, name, 0,
                       XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB &
                           ~(unsigned long)ASN1_STRFLGS_ESC_CTRL);
    n = BIO_get_mem_data(bio, &text);
    if (n > 0)
        str_clean(to, size, text, (size_t)n);
    BIO_free(bio);
}

static void serial_text(const ASN1_INTEGER *serial, char *to, size_t size)
{
    BIGNUM *bn = ASN1_INTEGER_to_BN(serial, NULL);
    char *hex = bn ? BN_bn2hex(bn) : NULL;

    str_copy(to, size, hex ? hex : "");
    OPENSSL_free(hex);
    BN_free(bn);
}

static void digest_text(const unsigned char *digest, unsigned len, char to[65])
{
    to[0] = '\0';
    for (unsigned i = 0; i < len && i < 32; i++)
        snprintf(to + 2 * (size_t)i, 3, "%02x", digest[i]);
}

static void fingerprint_text(const X509 *x, char to[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (X509_digest(x, EVP_sha256(), digest, &len) != 1)
        len = 0;
    digest_text(digest, len, to);
}

/* Of the whole SubjectPublicKeyInfo (RFC 7469, 2.4), not of the bare key bits. */
static void public_key_text(const X509 *x, char to[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
    unsigned len = 0;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

    if (n <= 0 || EVP_Digest(der, (size_t)n, digest, &len, EVP_sha256(), NULL) != 1)
        len = 0;
    digest_text(digest, len, to);
    OPENSSL_free(der);
}

static void key_text(const X509 *x, char *to, size_t size)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    char group[32];
    size_t len;

    if (!key) {
        str_copy(to, size, "unknown");
    } else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
               EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1) {
        int nid = OBJ_txt2nid(group);
        const char *nist = nid != NID_undef ? EC_curve_nid2nist(nid) : NULL;

        str_copy(to, size, "EC-");
        str_copy(to + 3, size - 3, nist ? nist : group);
    } else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
        snprintf(to, size, "RSA-%d", EVP_PKEY_get_bits(key));
    } else {
        const char *type = EVP_PKEY_get0_type_name(key);

        str_copy(to, size, type ? type : "unknown");
    }
}

static void signature_text(const X509 *x, char *to, size_t size)
{
    const char *name = OBJ_nid2ln(X509_get_signature_nid(x));

    str_copy(to, size, name ? name : "unknown");
}

/* One SAN as "DNS:a" or "IP:1.2.3.4"; "" for kinds nobody matches a host against. */
static void san_text(const GENERAL_NAME *san, char *to, size_t size)
{
    char text[160];

    to[0] = '\0';
    if (san->type == GEN_DNS) {
        str_clean(text, sizeof text, ASN1_STRING_get0_data(san->d.dNSName),
                  (size_t)ASN1_STRING_length(san->d.dNSName));
        snprintf(to, size, "DNS:%s", text);
    } else if (san->type == GEN_IPADD) {
        int len = ASN1_STRING_length(san->d.iPAddress);
        int family = len == 4 ? AF_INET : AF_INET6;

        if ((len == 4 || len == 16) &&
            inet_ntop(family, ASN1_STRING_get0_data(san->d.iPAddress), text, sizeof text))
            snprintf(to, size, "IP:%s", text);
    }
}

static void sans_text(const X509 *x, char *to, size_t size)
{
    GENERAL_NAMES *sans = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    size_t at = 0;

    to[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(sans); i++) {
        char one[176];
        size_t len;

        san_text(sk_GENERAL_NAME_value(sans, i), one, sizeof one);
        len = strlen(one);
        if (len == 0)
            continue;
        if (at + len + 2 + sizeof "…" > size) {
            snprintf(to + at, size - at, "…");
            break;
        }
        at += (size_t)snprintf(to + at, size - at, "%s%s", at ? ", " : "", one);
    }
    GENERAL_NAMES_free(sans);
}

void certificate_facts(const X509 *x, struct certificate *facts)
{
    memset(facts, 0, sizeof *facts);
    facts->not_before = unix_time(X509_get0_notBefore(x));
    facts->not_after = unix_time(X509_get0_notAfter(x));
    name_text(X509_get_subject_name(x), facts->subject, sizeof facts->subject);
    name_text(X509_get_issuer_name(x), facts->issuer, sizeof facts->issuer);
    serial_text(X509_get0_serialNumber(x), facts->serial, sizeof facts->serial);
    fingerprint_text(x, facts->fingerprint_sha256);
    public_key_text(x, facts->public_key_sha256);
    key_text(x, facts->key, sizeof facts->key);
    signature_text(x, facts->signature, sizeof facts->signature);
    sans_text(x, facts->sans, sizeof facts->sans);
    if (facts->subject[0] == '\0') { /* modern certificates may name nobody but in the SANs */
        size_t first = strcspn(facts->sans, ",");

        if (first >= sizeof facts->subject)
            first = sizeof facts->subject - 1;
        memcpy(facts->subject, facts->sans, first);
        facts->subject[first] = '\0';
    }
}
