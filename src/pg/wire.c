/* PostgreSQL's protocol 3.0 as pure functions on bytes. */
#include "pgtls/pg/wire.h"

#include <string.h>

#define PROTOCOL_3_0 UINT32_C(196608)
#define HEADER_SIZE  5 /* type and length */

/* Codes of AuthenticationXXX that are asked about here. */
enum { AUTH_OK = 0, AUTH_SASL = 10, AUTH_SASL_CONTINUE = 11 };

const unsigned char wire_ssl_request[WIRE_SSL_REQUEST_SIZE] = {0, 0, 0, 8, 4, 0xD2, 0x16, 0x2F};
const unsigned char wire_terminate[WIRE_TERMINATE_SIZE] = {'X', 0, 0, 0, 4};

static uint32_t read_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static void write_u32(unsigned char *p, uint32_t value)
{
    p[0] = (unsigned char)(value >> 24);
    p[1] = (unsigned char)(value >> 16);
    p[2] = (unsigned char)(value >> 8);
    p[3] = (unsigned char)value;
}

/* Appends text and its NUL; false when it does not fit into size. */
static bool add_string(unsigned char *to, size_t size, size_t *at, const char *text)
{
    size_t n = strlen(text) + 1;

    if (n > size - *at)
        return false;
    memcpy(to + *at, text, n);
    *at += n;
    return true;
}

size_t wire_startup(unsigned char *to, size_t size, const char *user, const char *database,
                    const char *application_name, const char *options)
{
    const struct {
        const char *name, *value;
    } parameters[] = {
        {"user", user},
        {"database", database},
        {"application_name", application_name},
        {"options", options},
    };
    size_t at = 8;

    if (size > WIRE_MAX_STARTUP_BYTES)
        size = WIRE_MAX_STARTUP_BYTES;
    if (size < at)
        return 0;
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        if (parameters[i].value && (!add_string(to, size, &at, parameters[i].name) ||
                                    !add_string(to, size, &at, parameters[i].value)))
            return 0;
    }
    if (!add_string(to, size, &at, ""))
        return 0;
    write_u32(to, (uint32_t)at);
    write_u32(to + 4, PROTOCOL_3_0);
    return at;
}

enum wire_status wire_next(const unsigned char *bytes, size_t len, struct wire_message *message)
{
    size_t announced;

    if (len < HEADER_SIZE)
        return WIRE_MORE;
    announced = read_u32(bytes + 1); /* counts itself, not the type */
    if (announced < 4 || announced >= WIRE_MAX_MESSAGE_BYTES)
        return WIRE_BAD;
    if (len < announced + 1)
        return WIRE_MORE;
    *message = (struct wire_message){
        .type = (char)bytes[0],
        .body = bytes + HEADER_SIZE,
        .body_len = announced - 4,
        .total = announced + 1,
    };
    return WIRE_OK;
}

/* Where the string at `from` ends: at its NUL, or at the end of the bytes if that is missing. */
static size_t string_end(const unsigned char *bytes, size_t len, size_t from)
{
    while (from < len && bytes[from] != '\0')
        from++;
    return from < len ? from : len;
}

/* Copies what fits, without splitting a UTF-8 sequence, and terminates. A field that is already
 * there stays: the first one counts. */
static void keep(char *to, size_t size, const unsigned char *text, size_t len)
{
    if (to[0] != '\0')
        return;
    if (len >= size) {
        len = size - 1;
        for (int i = 0; i < 3 && len > 0 && (text[len] & 0xC0) == 0x80; i++)
            len--;
    }
    if (len > 0)
        memcpy(to, text, len);
    to[len] = '\0';
}

/* Five of 0-9 and A-Z; anything else is no SQLSTATE and would end up where only one may be. */
static bool is_sqlstate(const unsigned char *text, size_t len)
{
    if (len != 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'A' && text[i] <= 'Z'))
            return false;
    }
    return true;
}

static void keep_field(struct pg_error *error, char type, const unsigned char *text, size_t len)
{
    const struct {
        char type;
        char *to;
        size_t size;
    } places[] = {
        {'M', error->message, sizeof error->message}, {'D', error->detail, sizeof error->detail},
        {'F', error->file, sizeof error->file},       {'L', error->line, sizeof error->line},
        {'R', error->routine, sizeof error->routine},
    };

    switch (type) {
    case 'V':
        if (!error->has_v)
            error->severity[0] = '\0'; /* it wins over the translated S, whichever comes first */
        error->has_v = true;
        keep(error->severity, sizeof error->severity, text, len);
        return;
    case 'S':
        if (!error->has_v)
            keep(error->severity, sizeof error->severity, text, len);
        return;
    case 'C':
        if (is_sqlstate(text, len))
            keep(error->sqlstate, sizeof error->sqlstate, text, len);
        return;
    default:
        break;
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i].type == type)
            keep(places[i].to, places[i].size, text, len);
    }
}

void wire_error_fields(const unsigned char *body, size_t len, struct pg_error *error)
{
    size_t at = 0;

    *error = (struct pg_error){.present = true};
    while (at < len && body[at] != '\0') {
        size_t end = string_end(body, len, at + 1);

        keep_field(error, (char)body[at], body + at + 1, end - at - 1);
        at = end + 1;
    }
}

void wire_error_v2(const unsigned char *text, size_t len, struct pg_error *error)
{
    *error = (struct pg_error){.present = true, .v2 = true};
    keep(error->message, sizeof error->message, text, string_end(text, len, 0));
}

/* The list of mechanisms: strings, then an empty one. */
static void read_mechanisms(const unsigned char *list, size_t len, struct wire_auth *auth)
{
    static const char scram[] = "SCRAM-SHA-256", plus[] = "SCRAM-SHA-256-PLUS";
    size_t at = 0;

    while (at < len && list[at] != '\0') {
        size_t end = string_end(list, len, at), n = end - at;

        if (n == sizeof scram - 1 && memcmp(list + at, scram, n) == 0)
            auth->scram = true;
        if (n == sizeof plus - 1 && memcmp(list + at, plus, n) == 0)
            auth->scram_plus = true;
        at = end + 1;
    }
}

bool wire_auth(const unsigned char *body, size_t len, struct wire_auth *auth)
{
    uint32_t code;

    *auth = (struct wire_auth){.code = -1};
    if (len < 4)
        return false;
    code = read_u32(body);
    if (code > INT32_MAX)
        return false;
    auth->code = (int32_t)code;
    if (auth->code == AUTH_SASL)
        read_mechanisms(body + 4, len - 4, auth);
    return true;
}

const char *wire_auth_method(const struct wire_auth *auth)
{
    static const struct {
        int32_t code;
        const char *name;
    } methods[] = {
        {AUTH_OK, "trust"}, {2, "kerberos"}, {3, "password"}, {5, "md5"},
        {7, "gss"},         {8, "gss"},      {9, "sspi"},
    };

    if (auth->code == AUTH_SASL)
        return auth->scram || auth->scram_plus ? "scram-sha-256" : "sasl";
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (methods[i].code == auth->code)
            return methods[i].name;
    }
    return "unknown";
}

/* The value of the attribute that stands at *at, up to the next comma; NULL when it is another. */
static const unsigned char *attribute(const unsigned char *body, size_t len, size_t *at, char name,
                                      size_t *value_len)
{
    const unsigned char *value = body + *at + 2, *comma;

    if (len < *at + 2 || body[*at] != (unsigned char)name || body[*at + 1] != '=')
        return NULL;
    comma = memchr(value, ',', len - *at - 2);
    *value_len = comma ? (size_t)(comma - value) : len - *at - 2;
    *at += 2 + *value_len + (comma ? 1 : 0);
    return value;
}

bool wire_scram(const unsigned char *body, size_t len, struct wire_scram *scram)
{
    const unsigned char *nonce, *salt, *digits;
    size_t at = 4, nonce_len, salt_len, n;

    if (len < 4 || read_u32(body) != AUTH_SASL_CONTINUE || memchr(body + 4, '\0', len - 4))
        return false;
    nonce = attribute(body, len, &at, 'r', &nonce_len);
    salt = nonce ? attribute(body, len, &at, 's', &salt_len) : NULL;
    digits = salt ? attribute(body, len, &at, 'i', &n) : NULL;
    if (!digits || digits + n != body + len || salt_len == 0 || salt_len >= sizeof scram->salt ||
        n == 0 || n > 9)
        return false;
    *scram = (struct wire_scram){.iterations = 0};
    memcpy(scram->salt, salt, salt_len);
    for (size_t i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        scram->iterations = scram->iterations * 10 + (digits[i] - '0');
    }
    return scram->iterations > 0;
}

bool wire_scram_same(const struct wire_scram *a, const struct wire_scram *b)
{
    return a->iterations == b->iterations && strcmp(a->salt, b->salt) == 0;
}
