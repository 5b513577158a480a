#pragma once
/* TLS of our own server, through GnuTLS, which is libmicrohttpd's. */
#include "pgtls/config/web_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct web_tls;

/* Reads certificate, key and authorities and prepares the policy. NULL with the reason in error:
 * place in the configuration, key, file, what is wrong. `config` must outlive it. */
struct web_tls *web_tls_new(const struct web_config *config, char *error, size_t size);
void web_tls_free(struct web_tls *tls); /* accepts NULL */

/* Prepares a session that has not begun its handshake; `tls` must outlive it. */
bool web_tls_begin(struct web_tls *tls, void *session);
