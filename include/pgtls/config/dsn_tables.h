#pragma once
/* What the parameters of connection strings mean: libpq's keywords, and what each driver makes of
 * its own. Static tables; any thread. */
#include <stdbool.h>
#include <stddef.h>

/* Whose string it is: what a parameter means depends on the driver that reads it. Plain
 * postgresql:// and key=value strings are libpq's; which other driver reads them cannot be told. */
enum dsn_dialect {
    DSN_LIBPQ,
    DSN_ASYNCPG, /* the next three: SQLAlchemy's postgresql+driver:// */
    DSN_PSYCOPG, /* every driver that hands parameters on to libpq */
    DSN_PG8000,
    DSN_JDBC,
    DSN_NPGSQL,
    DSN_DIALECT_COUNT
};

#define DSN_MAX_KEYWORDS 64

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

/* What a driver's own parameter becomes. */
enum dsn_rule_fate {
    DSN_TAKEN,     /* `key` means to libpq what it means to the driver */
    DSN_WARNED,    /* the driver refuses or ignores it: read as what was meant, with a warning */
    DSN_DROPPED,   /* the same, but nothing comes of it here; or the probe does not do as it says */
    DSN_FORBIDDEN, /* an error */
    DSN_HOSTS,     /* a comma list of hosts, each with its port or not */
    DSN_UNLESS,    /* taken unless `key` is given by another parameter */
    DSN_UNVERIFIED /* the certificate is trusted whatever it is: sslmode is at most `as` */
};
struct dsn_rule {
    unsigned dialects;        /* DSN_BITs */
    const char *name, *value; /* as written; value NULL: any other */
    enum dsn_rule_fate fate;
    const char *key, *as; /* libpq's keyword and value; as NULL: the value as written */
    const char *note;     /* what the driver does with it, and what to write */
};
#define DSN_BIT(dialect) (1u << (dialect))

struct dsn_dialect_row {
    const char *name;
    const char *form;            /* how its strings look, for the reference */
    const char *no_sslmode;      /* what it does when nothing is said about TLS */
    const char *unknown;         /* what it does with a parameter that it does not know */
    const char *const *harmless; /* parameters that change nothing here; NULL-terminated */
};

/* The rule of a parameter in a dialect, NULL when it has none; and whether its name is one of those
 * that change nothing. */
const struct dsn_rule *dsn_rule(enum dsn_dialect dialect, const char *name, const char *value);
bool dsn_harmless(enum dsn_dialect dialect, const char *name);

/* The name in the dialect's tables that is nearest to a word, or NULL. */
const char *dsn_nearest_name(enum dsn_dialect dialect, const char *word);

/* The tables, for the reference. */
size_t dsn_rules(const struct dsn_rule **all);
const struct dsn_dialect_row *dsn_dialect(enum dsn_dialect dialect);
