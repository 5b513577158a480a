/* pg/wire: the bytes of a server, read as a stream of messages the way a probe does: a message that
 * has not come whole is waited for, and nothing behind a message changes it. And our own
 * StartupMessage: whatever user and database are called, a server reads what was meant. */
#include "pgtls/pg/wire.h"

#include "pgtls/model/evidence.h"
#include "target.h"

static void check_error(const struct pg_error *error)
{
    require(error->present);
    require(error->sqlstate[0] == '\0' || strlen(error->sqlstate) == 5);
    require(memchr(error->message, '\0', sizeof error->message) != NULL);
    require(memchr(error->routine, '\0', sizeof error->routine) != NULL);
    require(memchr(error->severity, '\0', sizeof error->severity) != NULL);
}

static void check_scram(const struct wire_message *message)
{
    struct wire_scram scram, again;

    if (!wire_scram(message->body, message->body_len, &scram))
        return;
    require(memchr(scram.salt, '\0', sizeof scram.salt) != NULL);
    require(scram.salt[0] != '\0' && strchr(scram.salt, ',') == NULL);
    require(scram.iterations >= 1 && scram.iterations <= 999999999);
    require(wire_scram(message->body, message->body_len, &again));
    require(wire_scram_same(&scram, &again));
}

static void read_message(const struct wire_message *message)
{
    struct wire_auth auth;
    struct pg_error error;

    wire_error_fields(message->body, message->body_len, &error);
    check_error(&error);
    if (!wire_auth(message->body, message->body_len, &auth))
        require(auth.code == -1);
    require(wire_auth_method(&auth)[0] != '\0');
    check_scram(message);
}

/* The start of a message is waited for, unless its length already tells that it is none. */
static void check_prefixes(const uint8_t *data, const struct wire_message *whole)
{
    size_t first = whole->total > 64 ? whole->total - 64 : 0;

    for (size_t len = first; len < whole->total; len++) {
        struct wire_message part;
        uint8_t *copy = malloc(len ? len : 1);

        require(copy != NULL);
        memcpy(copy, data, len);
        require(wire_next(copy, len, &part) == WIRE_MORE);
        free(copy);
    }
}

/* The next text of a startup message, and past it. */
static const char *take_text(const unsigned char **at, const unsigned char *end)
{
    const char *text = (const char *)*at;
    const unsigned char *nul = memchr(*at, 0, (size_t)(end - *at));

    require(nul != NULL);
    *at = nul + 1;
    return text;
}

/* As a server reads it: what is there must be there once, with this value. */
static void check_startup(const unsigned char *bytes, size_t len, const char *const *values)
{
    static const char *const names[] = {"user", "database", "application_name", "options"};
    const unsigned char *at = bytes + 8, *end = bytes + len;
    bool seen[4] = {false};

    require(len > 8 && (((size_t)bytes[0] << 24) | ((size_t)bytes[1] << 16) |
                        ((size_t)bytes[2] << 8) | bytes[3]) == len);
    require(memcmp(bytes + 4, "\0\3\0\0", 4) == 0);
    while (at < end && *at) {
        const char *name = take_text(&at, end), *value = take_text(&at, end);
        bool known = false;

        for (size_t i = 0; i < 4; i++) {
            if (strcmp(names[i], name) != 0)
                continue;
            require(!seen[i] && values[i] && strcmp(values[i], value) == 0);
            known = seen[i] = true;
        }
        require(known);
    }
    require(at + 1 == end);
    for (size_t i = 0; i < 4; i++)
        require(seen[i] == (values[i] != NULL));
}

/* The input as up to four texts. */
static void try_startup(const uint8_t *data, size_t size)
{
    const char *values[4] = {NULL};
    unsigned char message[WIRE_MAX_STARTUP_BYTES];
    char *text = text_of(data, size), *at = text;
    size_t room = size % 7 == 0 ? size % sizeof message : sizeof message, len, n = 0;

    for (size_t i = 0; i < 4 && at < text + size; i++) {
        values[n++] = at;
        at += strlen(at) + 1;
    }
    len = wire_startup(message, room, values[0], values[1], values[2], values[3]);
    require(len <= room);
    if (len > 0)
        check_startup(message, len, values);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_message message;
    struct pg_error error;

    try_startup(data, size);
    wire_error_v2(data, size, &error);
    check_error(&error);
    while (wire_next(data, size, &message) == WIRE_OK) {
        require(message.total >= 5 && message.total <= size);
        require(message.total <= WIRE_MAX_MESSAGE_BYTES);
        check_prefixes(data, &message);
        read_message(&message);
        data += message.total;
        size -= message.total;
    }
    return 0;
}
