/* The guard of a login: what a server may ask of libpq, decided before libpq sees it. */
#include "login_guard.h"

#include "pgtls/model/server.h"

#include <stdlib.h>
#include <string.h>

/* AuthenticationXXX (PostgreSQL documentation, "Message Formats"). */
enum {
    AUTH_OK = 0,
    AUTH_CLEARTEXT = 3,
    AUTH_MD5 = 5,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12
};

static bool over(struct login_guard *g, enum end_kind end)
{
    g->e->end = end;
    return false;
}

static bool no_password(struct login_guard *g)
{
    g->e->auth_client = AUTH_CLIENT_NO_PASSWORD;
    return over(g, END_AUTH_CLIENT);
}

/* How much key stretching an AuthenticationSASLContinue asks for. The number is read as libpq reads
 * it (strtol behind the first "i="); what is malformed libpq refuses itself. */
static long long scram_iterations(const unsigned char *body, size_t len)
{
    char text[LOGIN_MAX_AUTH_BYTES + 1];
    const char *iterations;

    if (len < 4 || len - 4 >= sizeof text)
        return 0;
    memcpy(text, body + 4, len - 4);
    text[len - 4] = '\0';
    iterations = strstr(text, ",i=");
    return iterations ? strtoll(iterations + 3, NULL, 10) : 0;
}

/* A method that shows the password, or something worth as much. */
static bool may_show(struct login_guard *g, unsigned bit)
{
    if (!(g->allow_auth & bit))
        return over(g, END_AUTH_REFUSED);
    return g->password || no_password(g);
}

/* The answer to keys that were not made for this question would be a wrong one: there is none. Who
 * logs in asks first (login_keys_fate), so that our own side is to blame is the end of nobody else.
 */
static bool on_scram(struct login_guard *g, const struct wire_message *m)
{
    g->offered = wire_scram(m->body, m->body_len, &g->offer);
    if (!g->keyed) {
        g->iterations = scram_iterations(m->body, m->body_len);
        return g->iterations <= LOGIN_MAX_SCRAM_ITERATIONS || over(g, END_AUTH_UNSUPPORTED);
    }
    g->keys_tried = g->offered && wire_scram_same(&g->offer, &g->keyed_for);
    if (g->keys_tried)
        return true;
    g->keys_unfit = true;
    g->e->local = INTERNAL_OTHER;
    return over(g, END_LOCAL);
}

static bool on_authentication(struct login_guard *g, const struct wire_message *m)
{
    struct wire_auth auth;

    if (g->e->auth_ok || m->body_len > LOGIN_MAX_AUTH_BYTES ||
        !wire_auth(m->body, m->body_len, &auth))
        return over(g, END_BAD_BYTES);
    if (!g->first_seen) {
        g->first_seen = true;
        g->first = auth;
        g->e->phase = PHASE_AUTH;
    }
    g->e->auth_request = auth.code;
    switch (auth.code) {
    case AUTH_OK:
        g->e->auth_ok = true;
        return true;
    case AUTH_CLEARTEXT:
        return may_show(g, ALLOW_AUTH_PASSWORD);
    case AUTH_MD5:
        return may_show(g, ALLOW_AUTH_MD5);
    case AUTH_SASL:
        if (!auth.scram)
            return over(g, END_AUTH_UNSUPPORTED);
        return g->password || no_password(g);
    case AUTH_SASL_CONTINUE:
        return on_scram(g, m);
    case AUTH_SASL_FINAL:
        return true;
    default: /* Kerberos, GSSAPI and SSPI would block in libpq */
        return over(g, END_AUTH_UNSUPPORTED);
    }
}

static bool on_error(struct login_guard *g, const struct wire_message *m)
{
    if (g->e->error.present)
        return true; /* the first one is the cause */
    wire_error_fields(m->body, m->body_len, &g->e->error);
    return g->querying || over(g, END_ERROR_RESPONSE);
}

static bool on_message(struct login_guard *g, const struct wire_message *m)
{
    switch (m->type) {
    case 'R':
        return on_authentication(g, m);
    case 'E':
        return on_error(g, m);
    case 'N':
    case 'v':
        return true;
    default:
        return g->e->auth_ok || over(g, END_BAD_BYTES);
    }
}

/* An 'E' that is not, or never gets, whole: the fields that are there, or the text that protocol 2
 * has in the place of a message. */
static bool on_cut_error(struct login_guard *g)
{
    struct wire_message m;

    if (g->len > 5 && wire_next(g->bytes, g->len, &m) == WIRE_MORE)
        wire_error_fields(g->bytes + 5, g->len - 5, &g->e->error);
    else
        wire_error_v2(g->bytes + 1, g->len - 1, &g->e->error);
    return over(g, END_ERROR_RESPONSE);
}

/* What is buffered is no message of protocol 3, or one beyond all bounds. */
static bool on_bad(struct login_guard *g)
{
    if (g->bytes[0] == 'E' && !g->e->auth_ok)
        return on_cut_error(g);
    return over(g, END_BAD_BYTES);
}

/* Before authentication only these begin a message: anything else is told at its first byte. */
static bool plausible(const struct login_guard *g)
{
    return g->e->auth_ok || (g->bytes[0] != '\0' && strchr("RENv", g->bytes[0]) != NULL);
}

/* Judges the complete messages of the buffer and drops them. */
static bool judge(struct login_guard *g)
{
    size_t used = 0;
    bool pass = true;

    while (pass && used < g->len) {
        struct wire_message m;
        enum wire_status status = wire_next(g->bytes + used, g->len - used, &m);

        if (status == WIRE_MORE)
            break;
        if (status == WIRE_BAD) {
            memmove(g->bytes, g->bytes + used, g->len - used);
            g->len -= used;
            return on_bad(g);
        }
        pass = on_message(g, &m);
        used += m.total;
    }
    memmove(g->bytes, g->bytes + used, g->len - used);
    g->len -= used;
    if (!pass || g->len == 0)
        return pass;
    return (plausible(g) && g->len < sizeof g->bytes) || on_bad(g);
}

bool login_guard_feed(struct login_guard *g, const unsigned char *bytes, size_t n)
{
    while (n > 0) {
        size_t room = sizeof g->bytes - g->len, part = n < room ? n : room;

        memcpy(g->bytes + g->len, bytes, part);
        g->len += part;
        bytes += part;
        n -= part;
        if (!judge(g))
            return false;
    }
    return true;
}

void login_guard_closed(struct login_guard *g, enum close_how how)
{
    g->e->how = how;
    if (g->e->error.present)
        g->e->end = END_ERROR_RESPONSE;
    else if (g->len > 0 && g->bytes[0] == 'E' && !g->e->auth_ok)
        on_cut_error(g);
    else
        g->e->end = END_CLOSED;
}
