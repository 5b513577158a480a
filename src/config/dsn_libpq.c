/* libpq's own forms, read as libpq reads them (fe-connect.c: conninfo_parse, conninfo_uri_parse),
 * tested against libpq itself.
 *
 * Stricter than libpq 15 in two things: raw spaces in a URI are refused (as by libpq >= 17), and so
 * is a raw "@" where it shows that the password ended too early. */
#include "dsn_reader.h"

#include "pgtls/base/arena.h"

#include <string.h>

/* --- key=value -------------------------------------------------------------------------------- */

static const char *skip_spaces(const char *at)
{
    while (dsn_is_space(*at))
        at++;
    return at;
}

/* The key at *at, up to "=" and the spaces around it; NULL with a message. */
static const char *read_word_key(struct dsn_reader *r, const char **at)
{
    const char *start = *at, *end = start, *equals;

    while (*end && *end != '=' && !dsn_is_space(*end))
        end++;
    equals = skip_spaces(end);
    if (*equals != '=') {
        dsn_fail(r, start,
                 "no \"=\" after this word; a value that holds spaces is written 'in quotes'");
        return NULL;
    }
    *at = skip_spaces(equals + 1);
    return arena_strndup(r->arena, start, (size_t)(end - start));
}

/* The value at *at, quotes and backslashes taken away; NULL with a message. */
static const char *read_word_value(struct dsn_reader *r, const char **at)
{
    const char *from = *at;
    bool quoted = *from == '\'';
    char *value = arena_alloc(r->arena, strlen(from) + 1), *to = value;

    if (!value) {
        dsn_fail(r, NULL, DSN_NO_MEMORY);
        return NULL;
    }
    if (quoted)
        from++;
    for (;;) {
        if (*from == '\0' || (quoted ? *from == '\'' : dsn_is_space(*from)))
            break;
        if (*from == '\\' && *++from == '\0')
            break;
        *to++ = *from++;
    }
    if (quoted && *from++ != '\'') {
        dsn_fail(r, *at, "this quote is never closed");
        return NULL;
    }
    *at = from;
    return value;
}

bool dsn_read_words(struct dsn_reader *r, const char *at)
{
    at = skip_spaces(at);
    while (*at) {
        const char *start = at, *key = read_word_key(r, &at), *value;

        value = key ? read_word_value(r, &at) : NULL;
        if (!value || !dsn_take(r, start, key, value))
            return false;
        at = skip_spaces(at);
    }
    return true;
}

/* --- postgresql://
 * -------------------------------------------------------------------------------- */

/* Decodes and stores a piece unless it is empty, which leaves libpq's default. */
static bool store_piece(struct dsn_reader *r, const char *key, struct piece piece)
{
    const char *value = piece.len > 0 ? dsn_decode(r, piece, DSN_SPACES_REFUSED) : "";

    if (!value || piece.len == 0)
        return value != NULL;
    return dsn_take(r, piece.at, key, value);
}

/* "user:password@", if there is an "@" before the first "/". */
static bool parse_credentials(struct dsn_reader *r, const char **at)
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
    return store_piece(r, "user", user) && store_piece(r, "password", password);
}

/* The name or bracketed address of one host. */
static bool parse_host(struct dsn_reader *r, const char **at, struct piece *host)
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
        return dsn_fail(r, *at, "this \"[\" is never closed");
    if (host->len == 0)
        return dsn_fail(r, *at, "no IPv6 address between \"[\" and \"]\"");
    *at = start + host->len + 1;
    if (**at != '\0' && !strchr(":/?,", **at))
        return dsn_fail(r, *at, "only \":\", \"/\", \"?\" or \",\" may follow \"]\"");
    return true;
}

/* "host:port,host:port": two comma lists. `at` is left at the "/", the "?" or the end. */
static bool parse_hosts(struct dsn_reader *r, const char **at)
{
    const char *start = *at;
    size_t room = strlen(start) + 1;
    char *hosts = arena_alloc(r->arena, room), *ports = arena_alloc(r->arena, room);
    size_t n_hosts = 0, n_ports = 0;

    if (!hosts || !ports)
        return dsn_fail(r, NULL, DSN_NO_MEMORY);
    for (;;) {
        struct piece host, port = {NULL, 0};

        if (!parse_host(r, at, &host))
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
    r->start = NULL;
    return store_piece(r, "host", (struct piece){hosts, n_hosts}) &&
           store_piece(r, "port", (struct piece){ports, n_ports});
}

/* One "key=value" of the query. */
static bool parse_query_pair(struct dsn_reader *r, struct piece pair)
{
    const char *end = pair.at + pair.len, *equals = memchr(pair.at, '=', pair.len);
    const char *key, *value, *second;

    if (!equals)
        return dsn_fail(r, pair.at,
                        "no \"=\" in this parameter; \"?\" and \"&\" in a user name or "
                        "password are written %%3F and %%26");
    second = memchr(equals + 1, '=', (size_t)(end - equals - 1));
    if (second)
        return dsn_fail(r, second, "a second \"=\" in one parameter; write it as %%3D");
    key = dsn_decode(r, (struct piece){pair.at, (size_t)(equals - pair.at)}, DSN_SPACES_REFUSED);
    value = key ? dsn_decode(r, (struct piece){equals + 1, (size_t)(end - equals - 1)},
                             DSN_SPACES_REFUSED)
                : NULL;
    if (!value)
        return false;
    if (strcmp(key, "ssl") == 0) { /* JDBC's */
        if (strcmp(value, "true") != 0)
            return dsn_fail(r, pair.at, "only ssl=true is known; use sslmode");
        return dsn_take(r, pair.at, "sslmode", "require");
    }
    return dsn_take(r, pair.at, key, value);
}

static bool parse_query(struct dsn_reader *r, const char *at)
{
    while (*at) {
        struct piece pair = {at, strcspn(at, "&")};

        if (!parse_query_pair(r, pair))
            return false;
        at += pair.len;
        if (*at == '&')
            at++;
    }
    return true;
}

/* "user:pa/ss@host": libpq takes "user" for the host and the rest for port and database, where a
 * password would be shown. */
static bool refuse_split_password(struct dsn_reader *r, const char *authority)
{
    const char *slash = authority + strcspn(authority, "/");

    if (!memchr(authority, ':', (size_t)(slash - authority)) ||
        !memchr(slash, '@', strcspn(slash, "?")))
        return true;
    return dsn_fail(r, slash,
                    "an \"@\" comes after this \"/\"; in a password \"/\" is written %%2F, "
                    "in the name of a database \"@\" is written %%40");
}

bool dsn_read_uri(struct dsn_reader *r, const char *at)
{
    const char *whole = r->start, *authority = at;

    if (!parse_credentials(r, &at) || (at == authority && !refuse_split_password(r, authority)))
        return false;
    if (!parse_hosts(r, &at))
        return false;
    r->start = whole;
    if (*at == '/') {
        const struct piece database = {at + 1, strcspn(at + 1, "?")};

        at = database.at + database.len;
        if (!store_piece(r, "dbname", database))
            return false;
    }
    return *at != '?' || parse_query(r, at + 1);
}
