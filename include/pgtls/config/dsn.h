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
    size_t n; /* of different keys: a later value has replaced an earlier one, as in libpq */
};

/* Parses `text` into `dsn`, memory from `arena`. On an error returns false and writes a message
 * that names the place but never a password into `error` (size bytes). */
bool dsn_parse(const char *text, struct arena *arena, struct dsn *dsn, char *error, size_t size);

/* The last value of a key, or NULL. */
const char *dsn_get(const struct dsn *dsn, const char *key);

/* What becomes of a libpq keyword here. */
enum dsn_fate {
    DSN_USED,    /* means here what it means to libpq */
    DSN_IGNORED, /* accepted, with a warning that says why it changes nothing */
    DSN_REFUSED  /* an error: leaving it out would measure something else, or trust more */
};
struct dsn_keyword {
    const char *name;
    enum dsn_fate fate;
    const char *note;     /* why it is ignored or refused, and what to do; NULL when used */
    const char *harmless; /* an ignored value that deserves no warning: it asks for what is done */
};

/* The keyword of this name, NULL when libpq has none; and all of them, for the reference. */
const struct dsn_keyword *dsn_keyword(const char *name);
size_t dsn_keywords(const struct dsn_keyword **all);
