/* The forms of other drivers' strings: SQLAlchemy's URL (sqlalchemy/engine/url.py), pgJDBC's
 * (Driver.parseURL) and ADO.NET's (DbConnectionStringBuilder), each read as its own reader does.
 * Where that one would go on with something odd, this one refuses. */
#include "dsn_reader.h"

#include "pgtls/base/arena.h"

#include <string.h>

/* --- key=value&key=value ---------------------------------------------------------------------- */

struct query_form {
    bool decode_names; /* SQLAlchemy does, pgJDBC does not */
    bool bare_names;   /* "name" without "=" is an empty value; else it does not count */
};

static bool read_pair(struct dsn_reader *r, const struct query_form *form, struct piece pair)
{
    const char *equals = memchr(pair.at, '=', pair.len);
    size_t name_len = equals ? (size_t)(equals - pair.at) : pair.len;
    struct piece name_piece = {pair.at, name_len};
    struct piece value_piece = {equals ? equals + 1 : "", equals ? pair.len - name_len - 1 : 0};
    const char *name = form->decode_names ? dsn_decode(r, name_piece, DSN_SPACES_PLUS)
                                          : arena_strndup(r->arena, pair.at, name_len);
    const char *value = name ? dsn_decode(r, value_piece, DSN_SPACES_PLUS) : NULL;

    if (!value)
        return name ? false : dsn_fail(r, NULL, DSN_NO_MEMORY);
    if (value[0] == '\0' && !form->bare_names)
        return true;
    return dsn_take(r, pair.at, name, value);
}

static bool read_query(struct dsn_reader *r, const struct query_form *form, const char *at)
{
    while (*at) {
        struct piece pair = {at, strcspn(at, "&")};

        if (pair.len > 0 && !read_pair(r, form, pair))
            return false;
        at += pair.len;
        at += *at == '&';
    }
    return true;
}

/* --- postgresql+driver:// --------------------------------------------------------------------- */

static bool take_decoded(struct dsn_reader *r, const char *name, struct piece piece)
{
    const char *value = NULL;

    if (piece.len == 0)
        return true;
    value = dsn_decode(r, piece, DSN_SPACES_REFUSED);
    return value && dsn_take(r, piece.at, name, value);
}

static bool take_raw(struct dsn_reader *r, const char *name, struct piece piece)
{
    return piece.len == 0 ||
           dsn_take(r, piece.at, name, arena_strndup(r->arena, piece.at, piece.len));
}

/* The one before the database: a "host" parameter replaces it. */
static bool take_host(struct dsn_reader *r, struct piece host)
{
    const char *list = arena_strndup(r->arena, host.at, host.len);

    return list ? dsn_take_hosts(r, host.at, list) : dsn_fail(r, NULL, DSN_NO_MEMORY);
}

/* "user:password@": the user ends at the first ":" or "/", the password at the first "@", so that
 * a "/" may be in it. */
static bool read_sqlalchemy_user(struct dsn_reader *r, const char **at)
{
    struct piece user = {*at, strcspn(*at, ":/@?")}, password = {NULL, 0};
    const char *end = *at + user.len;

    if (*end == ':') {
        password = (struct piece){end + 1, strcspn(end + 1, "@")};
        end = password.at + password.len;
    }
    if (*end != '@')
        return true;
    *at = end + 1;
    return take_decoded(r, "user", user) && take_decoded(r, "password", password);
}

bool dsn_read_sqlalchemy(struct dsn_reader *r, const char *at)
{
    static const struct query_form form = {.decode_names = true};
    struct piece host, port = {NULL, 0}, database = {NULL, 0};

    if (!read_sqlalchemy_user(r, &at))
        return false;
    host = (struct piece){at, strcspn(at, ":/?")};
    if (*at == '[') {
        host = (struct piece){at + 1, strcspn(at + 1, "]/?")};
        if (host.at[host.len] != ']')
            return dsn_fail(r, at, "this \"[\" is never closed");
    }
    at = host.at + host.len;
    at += *at == ']';
    if (*at == ':') {
        port = (struct piece){at + 1, strcspn(at + 1, "/?")};
        at = port.at + port.len;
    }
    if (*at == '/') {
        database = (struct piece){at + 1, strcspn(at + 1, "?")};
        at = database.at + database.len;
    }
    if (*at != '\0' && *at != '?')
        return dsn_fail(r, at, "only \":\", \"/\" or \"?\" may follow the host");
    /* Neither host nor database is decoded by SQLAlchemy. */
    if (host.len > 0 && !take_host(r, host))
        return false;
    return take_raw(r, "port", port) && take_raw(r, "database", database) &&
           (*at != '?' || read_query(r, &form, at + 1));
}

/* --- jdbc:postgresql: ------------------------------------------------------------------------- */

static bool read_jdbc_hosts(struct dsn_reader *r, struct piece hosts)
{
    if (memchr(hosts.at, '@', hosts.len))
        return dsn_fail(r, hosts.at,
                        "pgJDBC takes no user and password before the host; give them as "
                        "parameters: ?user=…&password=…");
    return hosts.len > 0 ? take_host(r, hosts) : dsn_take_hosts(r, hosts.at, "localhost");
}

bool dsn_read_jdbc(struct dsn_reader *r, const char *at)
{
    static const struct query_form form = {.bare_names = true};
    struct piece hosts = {at, 0}, database;

    if (strncmp(at, "//", 2) == 0) {
        hosts = (struct piece){at + 2, strcspn(at + 2, "/?")};
        at = hosts.at + hosts.len;
    }
    at += *at == '/';
    database = (struct piece){at, strcspn(at, "?")};
    if (memchr(database.at, '/', database.len))
        return dsn_fail(r, database.at,
                        "a \"/\" in the name of the database is written %%2F, and so it is in a "
                        "password");
    at += database.len;
    return read_jdbc_hosts(r, hosts) && take_decoded(r, "database", database) &&
           (*at != '?' || read_query(r, &form, at + 1));
}

/* --- Key=value;Key=value ---------------------------------------------------------------------- */

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n\v\f");
}

/* The value at *at, up to the ";" behind it: bare, or in quotes that are doubled where they are
 * part of it. NULL with an error. */
static const char *read_ado_value(const struct dsn_reader *r, const char **at)
{
    const char *from = skip_blanks(*at), *start = from;
    char quote = *from == '"' || *from == '\'' ? *from : '\0';
    char *value = arena_alloc(r->arena, strlen(from) + 1), *to = value;
    bool closed = false;

    if (!value) {
        dsn_fail(r, NULL, DSN_NO_MEMORY);
        return NULL;
    }
    from += quote != '\0';
    while (*from && !closed && (quote || *from != ';')) {
        if (quote && *from == quote && *++from != quote)
            closed = true;
        else
            *to++ = *from++;
    }
    if (quote) {
        if (!closed) {
            dsn_fail(r, start, "this quote is never closed");
            return NULL;
        }
        from = skip_blanks(from);
        if (*from && *from != ';') {
            dsn_fail(r, start, "only \";\" may follow what is quoted");
            return NULL;
        }
    } else {
        while (to > value && strchr(" \t\r\n\v\f", to[-1]))
            *--to = '\0';
    }
    *at = from;
    return value;
}

static struct piece ado_name(const char *at)
{
    struct piece name = {skip_blanks(at), 0};

    name.len = strcspn(name.at, "=;");
    while (name.len > 0 && strchr(" \t", name.at[name.len - 1]))
        name.len--;
    return name;
}

bool dsn_read_ado(struct dsn_reader *r, const char *at)
{
    for (;;) {
        struct piece piece = ado_name(at);
        const char *name, *value;

        at = piece.at + strcspn(piece.at, "=;");
        if (*at == '=') {
            at++;
            name = arena_strndup(r->arena, piece.at, piece.len);
            value = name ? read_ado_value(r, &at) : NULL;
            if (!value)
                return name ? false : dsn_fail(r, NULL, DSN_NO_MEMORY);
            if (value[0] != '\0' && !dsn_take(r, piece.at, name, value))
                return false;
        } else if (piece.len > 0) {
            return dsn_fail(r, piece.at,
                            "no \"=\" after this; a value that holds \";\" is written "
                            "\"in quotes\"");
        }
        if (*at == '\0')
            return true;
        at++;
    }
}

/* Does a word that libpq knows begin here, after a blank and before "="? */
static bool libpq_goes_on(const char *text)
{
    for (const char *at = text; *at; at++) {
        size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
        const char *before = at;
        char word[64];

        if (len == 0 || at == text || len >= sizeof word || at[len] != '=' ||
            !strchr(" \t\r\n", at[-1]))
            continue;
        while (before > text && strchr(" \t\r\n", before[-1]))
            before--;
        memcpy(word, at, len);
        word[len] = '\0';
        if (before > text && before[-1] != ';' && dsn_keyword(word))
            return true;
    }
    return false;
}

/* libpq's form has a keyword and "=", too, and a ";" may be in a value of it. */
bool dsn_is_ado(const char *text)
{
    struct piece piece = ado_name(text);
    char name[64];

    if (!strchr(text, ';') || piece.len == 0 || piece.len >= sizeof name ||
        piece.at[strcspn(piece.at, "=;")] != '=')
        return false;
    memcpy(name, piece.at, piece.len);
    name[piece.len] = '\0';
    return (dsn_rule(DSN_NPGSQL, name, "") || dsn_harmless(DSN_NPGSQL, name)) &&
           !libpq_goes_on(text);
}
