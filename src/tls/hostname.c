/* Does a certificate name a host? By libpq's rules, which are not OpenSSL's: what matters is
 * whether an application with verify-full gets in (fe-secure-openssl.c
 * pgtls_verify_peer_name_matches_certificate_guts, fe-secure-common.c wildcard_certificate_match
 * and pq_verify_peer_name_matches_certificate_ip, PostgreSQL 15 and later). */
#include "tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

struct host {
    const char *text;
    int san_type; /* GEN_DNS or GEN_IPADD */
    unsigned char bytes[16];
    int n_bytes;
};

static struct host host_of(const char *text)
{
    struct host h = {.text = text, .san_type = GEN_DNS};
    struct in_addr v4;

    if (inet_aton(text, &v4)) {
        h.san_type = GEN_IPADD;
        h.n_bytes = 4;
        memcpy(h.bytes, &v4, 4);
    } else if (inet_pton(AF_INET6, text, h.bytes) == 1) {
        h.san_type = GEN_IPADD;
        h.n_bytes = 16;
    }
    return h;
}

/* "*." and at least one more character; the star stands for exactly one label, the leftmost. */
static bool wildcard_matches(const char *pattern, const char *host)
{
    size_t pattern_len = strlen(pattern), host_len = strlen(host);
    const char *tail, *dot;

    if (pattern_len < 3 || pattern[0] != '*' || pattern[1] != '.' || pattern_len > host_len)
        return false;
    tail = host + host_len - pattern_len + 1;
    if (strcasecmp(pattern + 1, tail) != 0)
        return false;
    dot = strchr(host, '.');
    return !dot || dot >= tail;
}

/* 1 matches, 0 does not, -1: embedded NUL, which libpq refuses outright. */
static int name_matches(const ASN1_STRING *name, const struct host *host)
{
    const char *text = (const char *)ASN1_STRING_get0_data(name);
    int len = ASN1_STRING_length(name);
    char copy[512];

    if (len < 0 || (size_t)len >= sizeof copy)
        return 0;
    memcpy(copy, text, (size_t)len);
    copy[len] = '\0';
    if (strlen(copy) != (size_t)len)
        return -1;
    return strcasecmp(copy, host->text) == 0 || wildcard_matches(copy, host->text);
}

static int san_matches(const GENERAL_NAME *san, const struct host *host)
{
    if (san->type == GEN_DNS)
        return name_matches(san->d.dNSName, host);
    if (san->type == GEN_IPADD)
        return ASN1_STRING_length(san->d.iPAddress) == host->n_bytes && host->n_bytes > 0 &&
               memcmp(ASN1_STRING_get0_data(san->d.iPAddress), host->bytes,
                      (size_t)host->n_bytes) == 0;
    return 0;
}

bool hostname_matches(const X509 *leaf, const char *text)
{
    const struct host host = host_of(text);
    GENERAL_NAMES *sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool check_common_name = true;
    int matched = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(sans) && matched == 0; i++) {
        const GENERAL_NAME *san = sk_GENERAL_NAME_value(sans, i);

        if (san->type == host.san_type)
            check_common_name = false; /* a SAN of the host's own type forbids the fallback */
        matched = san_matches(san, &host);
    }
    GENERAL_NAMES_free(sans);
    if (matched == 0 && check_common_name) {
        const X509_NAME *subject = X509_get_subject_name(leaf);
        int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

        if (at >= 0)
            matched =
                name_matches(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), &host);
    }
    return matched == 1;
}
