/* What is wrong with a certificate, in OpenSSL's words. */
#include "pgtls/model/certificate.h"

#include <stdio.h>

/* OpenSSL's numbers and words, which only the tls room has headers of; a test
 * compares them. */
static const struct {
    int code;
    const char *text;
} verify_texts[] = {
    {2, "unable to get issuer certificate"},
    {3, "unable to get certificate CRL"},
    {7, "certificate signature failure"},
    {8, "CRL signature failure"},
    {9, "certificate is not yet valid"},
    {10, "certificate has expired"},
    {11, "CRL is not yet valid"},
    {12, "CRL has expired"},
    {18, "self-signed certificate"},
    {19, "self-signed certificate in certificate chain"},
    {20, "unable to get local issuer certificate"},
    {21, "unable to verify the first certificate"},
    {22, "certificate chain too long"},
    {23, "certificate revoked"},
    {25, "path length constraint exceeded"},
    {26, "unsuitable certificate purpose"},
    {27, "certificate not trusted"},
    {28, "certificate rejected"},
    {32, "key usage does not include certificate signing"},
    {34, "unhandled critical extension"},
    {47, "permitted subtree violation"},
    {48, "excluded subtree violation"},
    {66, "EE certificate key too weak"},
    {67, "CA certificate key too weak"},
    {68, "CA signature digest algorithm too weak"},
    {79, "invalid CA certificate"},
};

const char *verify_text(int code, char to[VERIFY_TEXT_SIZE])
{
    for (size_t i = 0; i < sizeof verify_texts / sizeof *verify_texts; i++) {
        if (verify_texts[i].code == code)
            return verify_texts[i].text;
    }
    if (code == 0)
        return "";
    snprintf(to, VERIFY_TEXT_SIZE, "verification error %d", code);
    return to;
}
