#pragma once
/* Why OpenSSL gave up a handshake, as far as its reason names a fault. Pure; any thread. */
#include "pgtls/model/evidence.h"

#include <stddef.h>

struct tls_reason_row {
    int openssl; /* ERR_GET_REASON() of an error of the SSL library: SSL_R_… */
    enum tls_reason reason;
};

/* The table, for who has the reason's text alone. */
size_t tls_reasons(const struct tls_reason_row **all);

/* TLS_REASON_OTHER: it is none of the table's. */
enum tls_reason tls_reason_of(int openssl);
