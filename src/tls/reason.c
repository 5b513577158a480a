/* OpenSSL's reasons and the faults they name. */
#include "pgtls/tls/reason.h"

#include <openssl/ssl.h>

static const struct tls_reason_row rows[] = {
    {SSL_R_WRONG_VERSION_NUMBER, TLS_REASON_NOT_TLS},
    {SSL_R_HTTP_REQUEST, TLS_REASON_NOT_TLS},
    {SSL_R_UNSUPPORTED_PROTOCOL, TLS_REASON_VERSION},
    {SSL_R_VERSION_TOO_LOW, TLS_REASON_VERSION},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, TLS_REASON_VERSION},
    {SSL_R_NO_SHARED_CIPHER, TLS_REASON_PARAMETERS},
    {SSL_R_WRONG_CIPHER_RETURNED, TLS_REASON_PARAMETERS},
    {SSL_R_DH_KEY_TOO_SMALL, TLS_REASON_PARAMETERS},
    {SSL_R_WRONG_SIGNATURE_TYPE, TLS_REASON_PARAMETERS},
    {SSL_R_UNSUPPORTED_ELLIPTIC_CURVE, TLS_REASON_PARAMETERS},
};
#define N_ROWS (sizeof rows / sizeof *rows)

size_t tls_reasons(const struct tls_reason_row **all)
{
    *all = rows;
    return N_ROWS;
}

enum tls_reason tls_reason_of(int openssl)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (rows[i].openssl == openssl)
            return rows[i].reason;
    }
    return TLS_REASON_OTHER;
}
