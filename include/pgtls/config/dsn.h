#pragma once
/* Connection strings: libpq's URI and key=value forms (PostgreSQL documentation, "Connection
 * Strings"), to plain key/value pairs and a list of hosts. Pure; other dialects come behind the
 * same door. */
#include <stdbool.h>
#include <stddef.h>

#define DSN_MAX_BYTES  8192
#define DSN_MAX_PARAMS 64

struct arena;

struct dsn_param {
    const char *key, *value; /* decoded; key as libpq names it */
};
struct dsn {
    struct dsn_param params[DSN_MAX_PARAMS]; /* host, port, hostaddr lists are still comma lists */
    size_t n;
};

/* Parses `text` into `dsn`, memory from `arena`. On an error returns false and writes a message
 * that names the place but never a password into `error` (size bytes). */
bool dsn_parse(const char *text, struct arena *arena, struct dsn *dsn, char *error, size_t size);

/* The last value of a key, or NULL. */
const char *dsn_get(const struct dsn *dsn, const char *key);
