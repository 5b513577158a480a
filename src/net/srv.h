#pragma once
/* What a name server answers to a question for SRV records, as a pure function of its bytes. */
#include "pgtls/net/resolver.h"

/* Fills `n`, `records`, `left_out` and `ttl_seconds` of the answer; `*memory` holds the records and
 * is the caller's to free. Returns c-ares's status; with ARES_SUCCESS there may be no record that
 * names a server. */
int srv_read(const unsigned char *message, size_t len, struct srv_answer *answer,
             struct srv **memory);
