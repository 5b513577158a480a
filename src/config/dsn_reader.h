#pragma once
/* Inside the connection string reader: one string being read. dsn_parse.c is the door; dsn_libpq.c
 * reads libpq's own forms, dsn_foreign.c those of other drivers. Both hand every parameter to
 * dsn_take(), which decides by the tables in dsn_dialects.c and dsn_keywords.c what it means here.
 *
 * Messages quote nothing of what was written but the name of a parameter that can be nothing else:
 * a password that was not percent-encoded or quoted spills into whatever follows it, so any other
 * piece of the string may be one. They give the byte instead. */
#include "pgtls/base/buf.h"
#include "pgtls/config/dsn.h"

#define DSN_MAX_LATER 8

struct arena;
struct dsn;

struct dsn_reader {
    /* Of the whole string; positions are counted from it. NULL: they mean none. */
    const char *start;
    struct arena *arena;
    struct dsn *dsn;
    char *error;
    size_t size;
    /* Comma lists: the hosts that may have had ports behind them, and those ports. While there are
     * some, the string's "host" is hosts.data. */
    struct buf hosts, host_ports;
    bool hosts_of_parameter;                     /* a further "host" parameter adds to them */
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

/* isspace() of the C locale, which libpq asks. */
static inline bool dsn_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

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

/* Sets or replaces a parameter; `key` is a keyword's name, so that there are never more of them
 * than keywords. And takes one away, if it is there. */
void dsn_set(struct dsn *dsn, const char *key, const char *value);
void dsn_unset(struct dsn *dsn, const char *key);

/* The forms; `at` is behind the scheme, if there is one. */
bool dsn_read_words(struct dsn_reader *r, const char *at);
bool dsn_read_uri(struct dsn_reader *r, const char *at);
bool dsn_read_sqlalchemy(struct dsn_reader *r, const char *at);
bool dsn_read_jdbc(struct dsn_reader *r, const char *at);
bool dsn_read_ado(struct dsn_reader *r, const char *at);

/* Is this text in the form of ADO.NET, "Key=value;Key=value"? */
bool dsn_is_ado(const char *text);
