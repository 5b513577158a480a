/* What the readers of all forms have in common. */
#include "dsn_reader.h"

#include "pgtls/base/arena.h"

#include <stdarg.h>
#include <stdio.h>

bool dsn_fail(const struct dsn_reader *r, const char *at, const char *format, ...)
{
    va_list args;
    int n = 0;

    if (at && r->start)
        n = snprintf(r->error, r->size, "at byte %zu: ", (size_t)(at - r->start) + 1);
    if (n < 0 || (size_t)n >= r->size)
        return false;
    va_start(args, format);
    vsnprintf(r->error + n, r->size - (size_t)n, format, args);
    va_end(args);
    return false;
}

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

/* The byte that "%XX" at `from` stands for, -1 with an error. */
static int decode_byte(const struct dsn_reader *r, const char *from, const char *end)
{
    int byte = -1;

    if (end - from >= 3 && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0)
        byte = hex_digit(from[1]) * 16 + hex_digit(from[2]);
    if (byte < 0)
        dsn_fail(r, from,
                 "\"%%\" must be followed by two hexadecimal digits; "
                 "a percent sign itself is written %%25");
    else if (byte == 0)
        dsn_fail(r, from, "%%00 is forbidden");
    return byte > 0 ? byte : -1;
}

const char *dsn_decode(const struct dsn_reader *r, struct piece piece, enum dsn_spaces spaces)
{
    const char *from = piece.at, *end = from + piece.len;
    char *value = arena_alloc(r->arena, piece.len + 1), *to = value;
    bool plus = spaces == DSN_SPACES_PLUS;

    if (!value) {
        dsn_fail(r, NULL, DSN_NO_MEMORY);
        return NULL;
    }
    while (!plus && from < end && *from == ' ')
        from++;
    while (!plus && end > from && end[-1] == ' ')
        end--;
    while (from < end) {
        int byte = *from == '%' ? decode_byte(r, from, end) : (unsigned char)*from;

        if (byte < 0)
            return NULL;
        if (!plus && *from != '%' && dsn_is_space(*from)) {
            dsn_fail(r, from, "a space in a URI; write it as %%20");
            return NULL;
        }
        *to++ = plus && *from == '+' ? ' ' : (char)byte;
        from += *from == '%' ? 3 : 1;
    }
    return value;
}
