#pragma once
/* Inside the connection string reader: one string being read. dsn.c has the door and libpq's own
 * forms, dsn_foreign.c those of other drivers; both hand every parameter to dsn_take(), which
 * decides by the tables in dsn_dialects.c and dsn_keywords.c what it means here.
 *
 * Messages quote nothing of what was written but the name of a parameter that can be nothing else:
 * a password that was not percent-encoded or quoted spills into whatever follows it, so any other
 * piece of the string may be one. They give the byte instead. */
#include "pgtls/config/dsn.h"

#define DSN_MAX_LATER 8

struct dsn_reader {
    /* Of the whole string; positions are counted from it. NULL: they mean none. */
    const char *start;
    struct arena *arena;
    struct dsn *dsn;
    char *error;
    size_t size;
    const char *host_ports;  /* comma list: what stood behind the hosts, as "host:port"; or NULL */
    bool hosts_of_parameter; /* a further "host" parameter adds to them */
    const struct dsn_rule *later[DSN_MAX_LATER]; /* rules that depend on other parameters */
    size_t n_later;
};

/* A piece of the string, not terminated. */
struct piece {
    const char *at;
    size_t len;
};

/* Writes the error, with the place of `at` unless that is NULL. Returns false. */
bool dsn_fail(const struct dsn_reader *r, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Percent-decoding; NULL with an error. */
enum dsn_spaces {
    DSN_SPACES_REFUSED, /* as libpq >= 17: those around a piece fall away, inside none may be */
    DSN_SPACES_PLUS     /* as forms are encoded: "+" is one, a raw one is itself */
};
const char *dsn_decode(const struct dsn_reader *r, struct piece piece, enum dsn_spaces spaces);

/* Takes a decoded parameter as its dialect means it; `at` is where it stands. */
bool dsn_take(struct dsn_reader *r, const char *at, const char *name, const char *value);

/* Takes a comma list of hosts that may have ports behind them: "a:1,[::1]:2,/dir". */
bool dsn_take_hosts(struct dsn_reader *r, const char *at, const char *list);

/* What only the whole string tells. */
bool dsn_finish(struct dsn_reader *r);

/* The forms; `at` is behind the scheme. */
bool dsn_read_sqlalchemy(struct dsn_reader *r, const char *at);
bool dsn_read_jdbc(struct dsn_reader *r, const char *at);
bool dsn_read_ado(struct dsn_reader *r, const char *at);

/* Is this text in the form of ADO.NET, "Key=value;Key=value"? */
bool dsn_is_ado(const char *text);

/* The rule of a parameter in a dialect, NULL when it has none; and whether its name is one of those
 * that change nothing. */
const struct dsn_rule *dsn_rule(enum dsn_dialect dialect, const char *name, const char *value);
bool dsn_harmless(enum dsn_dialect dialect, const char *name);

/* The name in the dialect's tables that is nearest to a word, or NULL. */
const char *dsn_nearest_name(enum dsn_dialect dialect, const char *word);
