/* Connection strings as libpq reads them (fe-connect.c: conninfo_parse, conninfo_uri_parse), tested
 * against libpq itself.
 *
 * Messages quote nothing of what was written but the name of a parameter that can be nothing else:
 * a password that was not percent-encoded or quoted spills into whatever follows it, so any other
 * piece of the string may be one. They give the byte instead.
 *
 * Stricter than libpq 15 in two things: raw spaces in a URI are refused (as by libpq >= 17), and so
 * is a raw "@" where it shows that the password ended too early. */
#include "pgtls/config/dsn.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_SHOWN_NAME 40

struct parser {
    const char
        *start; /* of the whole string; positions are counted from it. NULL: they mean none */
    struct arena *arena;
    struct dsn *dsn;
    char *error;
    size_t size;
};

/* A piece of the string, not terminated. */
struct piece {
    const char *at;
    size_t len;
};

__attribute__((format(printf, 3, 4))) static bool fail(const struct parser *p, const char *at,
                                                       const char *format, ...)
{
    va_list args;
    int n = 0;

    if (at && p->start)
        n = snprintf(p->error, p->size, "at byte %zu: ", (size_t)(at - p->start) + 1);
    if (n < 0 || (size_t)n >= p->size)
        return false;
    va_start(args, format);
    vsnprintf(p->error + n, p->size - (size_t)n, format, args);
    va_end(args);
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* May this unknown name be shown? Not behind a password, which an unquoted space or "&" may have
 * cut in two, nor before an "@", where it may be the password of a URI. */
static bool is_surely_a_name(const struct parser *p, const char *at, const char *word)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";
    const struct dsn *dsn = p->dsn;
    size_t len = strlen(word);

    if (len == 0 || len > MAX_SHOWN_NAME || strspn(word, letters) != len || !p->start)
        return false;
    return !strchr(at, '@') && (dsn->n == 0 || !strstr(dsn->params[dsn->n - 1].key, "password"));
}

static bool fail_unknown(const struct parser *p, const char *at, const char *word)
{
    const struct dsn_keyword *all;
    const char *names[DSN_MAX_PARAMS];
    const char *nearest;
    char shown[MAX_SHOWN_NAME + 4] = "";
    size_t n = dsn_keywords(&all);

    for (size_t i = 0; i < n; i++)
        names[i] = all[i].name;
    nearest = str_nearest(word, names, n);
    if (is_surely_a_name(p, at, word))
        snprintf(shown, sizeof shown, " \"%s\"", word);
    if (nearest)
        return fail(p, at, "unknown parameter%s; did you mean \"%s\"?", shown, nearest);
    return fail(p, at, "unknown parameter%s; libpq has none of this name", shown);
}

/* Stores a decoded pair; `at` is where its key, or its value where there is no key, stands. */
static bool store(struct parser *p, const char *at, const char *key, const char *value)
{
    struct dsn *dsn = p->dsn;
    const struct dsn_keyword *keyword;

    if (!value)
        return fail(p, NULL, "out of memory");
    if (strcmp(key, "requiressl") == 0) { /* libpq: before there was sslmode */
        key = "sslmode";
        value = value[0] == '1' ? "require" : "prefer";
    }
    keyword = dsn_keyword(key);
    if (!keyword)
        return fail_unknown(p, at, key);
    for (size_t i = 0; i < dsn->n; i++) {
        if (dsn->params[i].key == keyword->name) {
            dsn->params[i].value = value;
            return true;
        }
    }
    dsn->params[dsn->n++] = (struct dsn_param){keyword->name, value};
    return true;
}

/* key=value form. */

static const char *skip_spaces(const char *at)
{
    while (is_space(*at))
        at++;
    return at;
}

/* The key at *at, up to "=" and the spaces around it; NULL with a message. */
static const char *read_word_key(struct parser *p, const char **at)
{
    const char *start = *at, *end = start, *equals;

    while (*end && *end != '=' && !is_space(*end))
        end++;
    equals = skip_spaces(end);
    if (*equals != '=') {
        fail(p, start,
             "no \"=\" after this word; a value that holds spaces is written 'in quotes'");
        return NULL;
    }
    *at = skip_spaces(equals + 1);
    return arena_strndup(p->arena, start, (size_t)(end - start));
}

/* The value at *at, quotes and backslashes taken away; NULL with a message. */
static const char *read_word_value(struct parser *p, const char **at)
{
    const char *from = *at;
    bool quoted = *from == '\'';
    char *value = arena_alloc(p->arena, strlen(from) + 1), *to = value;

    if (!value) {
        fail(p, NULL, "out of memory");
        return NULL;
    }
    if (quoted)
        from++;
    for (;;) {
        if (*from == '\0' || (quoted ? *from == '\'' : is_space(*from)))
            break;
        if (*from == '\\' && *++from == '\0')
            break;
        *to++ = *from++;
    }
    if (quoted && *from++ != '\'') {
        fail(p, *at, "this quote is never closed");
        return NULL;
    }
    *at = from;
    return value;
}

static bool parse_words(struct parser *p)
{
    const char *at = skip_spaces(p->start);

    while (*at) {
        const char *start = at, *key = read_word_key(p, &at), *value;

        value = key ? read_word_value(p, &at) : NULL;
        if (!value || !store(p, start, key, value))
            return false;
        at = skip_spaces(at);
    }
    return true;
}

/* URI form. */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decoding; NULL with a message. Spaces around a piece fall away, inside they are refused:
 * libpq >= 17 does so, older ones take them along. */
static const char *decode(struct parser *p, struct piece piece)
{
    const char *from = piece.at, *end = from + piece.len;
    char *value = arena_alloc(p->arena, piece.len + 1), *to = value;

    if (!value) {
        fail(p, NULL, "out of memory");
        return NULL;
    }
    while (from < end && *from == ' ')
        from++;
    while (end > from && end[-1] == ' ')
        end--;
    while (from < end) {
        if (is_space(*from)) {
            fail(p, from, "a space in a URI; write it as %%20");
            return NULL;
        }
        if (*from != '%') {
            *to++ = *from++;
            continue;
        }
        if (end - from < 3 || hex_digit(from[1]) < 0 || hex_digit(from[2]) < 0) {
            fail(p, from,
                 "\"%%\" must be followed by two hexadecimal digits; "
                 "a percent sign itself is written %%25");
            return NULL;
        }
        *to = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
        if (*to++ == '\0') {
            fail(p, from, "%%00 is forbidden");
            return NULL;
        }
        from += 3;
    }
    return value;
}

/* Decodes and stores a piece unless it is empty, which leaves libpq's default. */
static bool store_piece(struct parser *p, const char *key, struct piece piece)
{
    const char *value = piece.len > 0 ? decode(p, piece) : "";

    if (!value || piece.len == 0)
        return value != NULL;
    return store(p, piece.at, key, value);
}

/* "user:password@", if there is an "@" before the first "/". */
static bool parse_credentials(struct parser *p, const char **at)
{
    const char *start = *at, *end = start + strcspn(start, "@/"), *colon;
    struct piece user = {start, 0}, password = {start, 0};

    if (*end != '@')
        return true;
    colon = memchr(start, ':', (size_t)(end - start));
    user.len = (size_t)((colon ? colon : end) - start);
    if (colon)
        password = (struct piece){colon + 1, (size_t)(end - colon - 1)};
    *at = end + 1;
    return store_piece(p, "user", user) && store_piece(p, "password", password);
}

/* The name or bracketed address of one host. */
static bool parse_host(struct parser *p, const char **at, struct piece *host)
{
    const char *start = *at;

    if (*start != '[') {
        *host = (struct piece){start, strcspn(start, ":/?,")};
        *at = start + host->len;
        return true;
    }
    start++;
    *host = (struct piece){start, strcspn(start, "]")};
    if (start[host->len] == '\0')
        return fail(p, *at, "this \"[\" is never closed");
    if (host->len == 0)
        return fail(p, *at, "no IPv6 address between \"[\" and \"]\"");
    *at = start + host->len + 1;
    if (**at != '\0' && !strchr(":/?,", **at))
        return fail(p, *at, "only \":\", \"/\", \"?\" or \",\" may follow \"]\"");
    return true;
}

/* "host:port,host:port": two comma lists. `at` is left at the "/", the "?" or the end. */
static bool parse_hosts(struct parser *p, const char **at)
{
    const char *start = *at;
    size_t room = strlen(start) + 1;
    char *hosts = arena_alloc(p->arena, room), *ports = arena_alloc(p->arena, room);
    size_t n_hosts = 0, n_ports = 0;

    if (!hosts || !ports)
        return fail(p, NULL, "out of memory");
    for (;;) {
        struct piece host, port = {NULL, 0};

        if (!parse_host(p, at, &host))
            return false;
        if (**at == ':') {
            port = (struct piece){*at + 1, strcspn(*at + 1, "/?,")};
            *at = port.at + port.len;
        }
        memcpy(hosts + n_hosts, host.at, host.len);
        n_hosts += host.len;
        if (port.len > 0)
            memcpy(ports + n_ports, port.at, port.len);
        n_ports += port.len;
        if (**at != ',')
            break;
        hosts[n_hosts++] = ports[n_ports++] = ',';
        ++*at;
    }
    /* Decoded as a whole, as libpq does. A position in these copies would mean nothing. */
    p->start = NULL;
    return store_piece(p, "host", (struct piece){hosts, n_hosts}) &&
           store_piece(p, "port", (struct piece){ports, n_ports});
}

/* One "key=value" of the query. */
static bool parse_query_pair(struct parser *p, struct piece pair)
{
    const char *end = pair.at + pair.len, *equals = memchr(pair.at, '=', pair.len);
    const char *key, *value, *second;

    if (!equals)
        return fail(p, pair.at,
                    "no \"=\" in this parameter; \"?\" and \"&\" in a user name or "
                    "password are written %%3F and %%26");
    second = memchr(equals + 1, '=', (size_t)(end - equals - 1));
    if (second)
        return fail(p, second, "a second \"=\" in one parameter; write it as %%3D");
    key = decode(p, (struct piece){pair.at, (size_t)(equals - pair.at)});
    value = key ? decode(p, (struct piece){equals + 1, (size_t)(end - equals - 1)}) : NULL;
    if (!value)
        return false;
    if (strcmp(key, "ssl") == 0) { /* JDBC's */
        if (strcmp(value, "true") != 0)
            return fail(p, pair.at, "only ssl=true is known; use sslmode");
        return store(p, pair.at, "sslmode", "require");
    }
    return store(p, pair.at, key, value);
}

static bool parse_query(struct parser *p, const char *at)
{
    while (*at) {
        struct piece pair = {at, strcspn(at, "&")};

        if (!parse_query_pair(p, pair))
            return false;
        at += pair.len;
        if (*at == '&')
            at++;
    }
    return true;
}

/* "user:pa/ss@host": libpq takes "user" for the host and the rest for port and database, where a
 * password would be shown. */
static bool refuse_split_password(struct parser *p, const char *authority)
{
    const char *slash = authority + strcspn(authority, "/");

    if (!memchr(authority, ':', (size_t)(slash - authority)) ||
        !memchr(slash, '@', strcspn(slash, "?")))
        return true;
    return fail(p, slash,
                "an \"@\" comes after this \"/\"; in a password \"/\" is written %%2F, "
                "in the name of a database \"@\" is written %%40");
}

static bool parse_uri(struct parser *p, const char *at)
{
    const char *whole = p->start, *authority = at;
    struct piece database = {NULL, 0};

    if (!parse_credentials(p, &at) || (at == authority && !refuse_split_password(p, authority)))
        return false;
    if (!parse_hosts(p, &at))
        return false;
    p->start = whole;
    if (*at == '/') {
        database = (struct piece){at + 1, strcspn(at + 1, "?")};
        at = database.at + database.len;
        if (!store_piece(p, "dbname", database))
            return false;
    }
    return *at != '?' || parse_query(p, at + 1);
}

bool dsn_parse(const char *text, struct arena *arena, struct dsn *dsn, char *error, size_t size)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};
    struct parser p = {text, arena, dsn, error, size};
    size_t len = strlen(text);

    dsn->n = 0;
    if (len > DSN_MAX_BYTES)
        return fail(&p, NULL, "%zu bytes long; at most %d are read", len, DSN_MAX_BYTES);
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            return parse_uri(&p, text + strlen(schemes[i]));
    }
    if (strstr(text, "://") && strcspn(text, "= ") > strcspn(text, ":"))
        return fail(&p, text, "unknown kind of URI; it starts with postgresql:// or postgres://");
    return parse_words(&p);
}

const char *dsn_get(const struct dsn *dsn, const char *key)
{
    for (size_t i = 0; i < dsn->n; i++) {
        if (strcmp(dsn->params[i].key, key) == 0)
            return dsn->params[i].value;
    }
    return NULL;
}
