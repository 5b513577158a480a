#pragma once
/* The policy as GnuTLS reads it: "NORMAL:-VERS-ALL:+VERS-TLS1.3:…". */
#include "pgtls/base/buf.h"
#include "pgtls/config/web_config.h"

/* Is a suite of TLS 1.2 and before allowed, and can it be used with a certificate whose key is an
 * RSA one, or not? */
bool web_suite_allowed(const struct web_config *config, const struct web_suite *suite, bool rsa);

/* Writes the policy for the versions from `low` to `high`, which may be fewer than the
 * configuration allows. False when no suite is left for them. */
bool web_priority(const struct web_config *config, bool rsa, enum web_tls_version low,
                  enum web_tls_version high, struct buf *to);
