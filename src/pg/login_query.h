#pragma once
/* The login's query, and its answer as plain values. No libpq. */
#include "pgtls/model/observation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The plain one works for any role and on what has no replication to tell; the whole one also says
 * who answers and how far behind it is. Both take one round trip, through any pooler. */
extern const char *const login_plain_query, *const login_whole_query;

/* What a row of either may hold. */
#define LOGIN_MAX_COLUMNS 8

struct login_answer {
    char server_version[64];
    enum verdict in_recovery, read_only;
    enum verdict pooler; /* UNKNOWN: there has been no answer */
    char backend[64];
    bool lag_known;
    int64_t lag_ns;
};

/* Reads a row of n columns (NULL as ""); `backend_pid` is who authenticated us. A row that is no
 * answer to either query changes nothing. */
void login_answer_read(struct login_answer *answer, const char *const *columns, size_t n,
                       int backend_pid);
