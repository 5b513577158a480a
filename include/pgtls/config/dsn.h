#pragma once
/* Connection strings as applications have them, to plain key/value pairs by libpq's names: libpq's
 * URI and key=value forms (PostgreSQL documentation, "Connection Strings"), and those of drivers
 * that have their own: SQLAlchemy's URLs, JDBC's, ADO.NET's. Pure. */
#include "pgtls/config/dsn_tables.h"

#include <stdbool.h>
#include <stddef.h>

#define DSN_MAX_BYTES   8192
#define DSN_MAX_NOTICES 64
#define DSN_NO_MEMORY   "out of memory" /* the error that says nothing of the string */

struct arena;

struct dsn_param {
    const char *key, *value; /* decoded; key as libpq names it */
};
struct dsn {
    enum dsn_dialect dialect;
    struct dsn_param params[DSN_MAX_KEYWORDS]; /* lists of hosts and ports are comma lists still */
    size_t n; /* of different keys: a later value has replaced an earlier one, as in libpq */
    /* Warnings: which parameter the driver refuses, ignores or takes otherwise, and what to write.
     * Never a value that was written. */
    const char *notices[DSN_MAX_NOTICES];
    size_t n_notices;
};

/* Parses `text` into `dsn`, memory from `arena`. On an error returns false and writes a message
 * that names the place but never a password into `error` (size bytes). */
bool dsn_parse(const char *text, struct arena *arena, struct dsn *dsn, char *error, size_t size);

/* The last value of a key, or NULL. */
const char *dsn_get(const struct dsn *dsn, const char *key);
