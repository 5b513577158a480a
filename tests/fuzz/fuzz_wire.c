/* pg/wire: the bytes of a server, read as a stream of messages the way a probe does. */
#include "pgtls/pg/wire.h"

#include "pgtls/model/evidence.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check_error(const struct pg_error *error)
{
    require(error->present);
    require(error->sqlstate[0] == '\0' || strlen(error->sqlstate) == 5);
    require(memchr(error->message, '\0', sizeof error->message) != NULL);
    require(memchr(error->routine, '\0', sizeof error->routine) != NULL);
    require(memchr(error->severity, '\0', sizeof error->severity) != NULL);
}

static void read_message(const struct wire_message *message)
{
    const char *name, *value;
    struct wire_auth auth;
    struct pg_error error;

    wire_error_fields(message->body, message->body_len, &error);
    check_error(&error);
    if (!wire_auth(message->body, message->body_len, &auth))
        require(auth.code == -1);
    require(wire_auth_method(&auth)[0] != '\0');
    if (wire_parameter(message->body, message->body_len, &name, &value))
        require(strlen(name) + strlen(value) + 2 <= message->body_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_message message;
    struct pg_error error;

    wire_error_v2(data, size, &error);
    check_error(&error);
    while (wire_next(data, size, &message) == WIRE_OK) {
        require(message.total >= 5 && message.total <= size);
        require(message.total <= WIRE_MAX_MESSAGE_BYTES);
        read_message(&message);
        data += message.total;
        size -= message.total;
    }
    return 0;
}
