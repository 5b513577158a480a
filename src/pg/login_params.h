#pragma once
/* The keywords of a login for PQconnectStartParams: every one that libpq would otherwise take from
 * the environment or a home directory is named. */
#include "pgtls/model/fault.h"
#include "pgtls/pg/login.h"

#include <stdbool.h>
#include <stddef.h>

#define LOGIN_MAX_KEYWORDS 40

struct login_conninfo {
    /* Terminated by NULL; values are borrowed from the parameters and from this struct. */
    const char *keywords[LOGIN_MAX_KEYWORDS], *values[LOGIN_MAX_KEYWORDS];
    size_t n;
    char port[8];
    char trust_path[32];
    char require_auth[48];
    int trust_fd; /* memfd with the anchors, -1: none. The caller closes it after the handshake */

    /* When it cannot be built. */
    enum internal_reason reason;
    char error[256];
};

/* False: reason and error say why. */
bool login_conninfo_build(struct login_conninfo *c, const struct login_params *params,
                          const struct login_features *features);
