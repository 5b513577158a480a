/* Lookup in a libpq password file (fe-connect.c: passwordFromFile, pwdfMatchesString). */
#include "passfile.h"

#include <string.h>

#define N_FIELDS 4

/* What remains of a line behind a field that matches `token`, or NULL. A lone `*` matches all. */
static const char *match_field(const char *at, const char *end, const char *token)
{
    if (end - at >= 2 && at[0] == '*' && at[1] == ':')
        return at + 2;
    for (; at < end; at++, token++) {
        if (*at == ':' && *token == '\0')
            return at + 1;
        if (*at == '\\')
            at++;
        if (at == end || *token == '\0' || *at != *token)
            return NULL;
    }
    return NULL;
}

/* The password ends at a ":" that is not escaped, or with the line. */
static bool copy_password(const char *at, const char *end, char *password, size_t size)
{
    size_t n = 0;

    for (; at < end && *at != ':'; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
        if (n + 1 >= size)
            return false;
        password[n++] = *at;
    }
    password[n] = '\0';
    return true;
}

bool passfile_find(const char *bytes, size_t len, const char *const fields[4], char *password,
                   size_t size, bool *too_long)
{
    const char *at = bytes, *stop = bytes + len;

    *too_long = false;
    password[0] = '\0';
    while (at < stop) {
        const char *newline = memchr(at, '\n', (size_t)(stop - at));
        const char *next = newline ? newline + 1 : stop, *end = newline ? newline : stop;
        const char *rest = *at == '#' ? NULL : at;

        while (end > at && end[-1] == '\r')
            end--;
        for (size_t i = 0; i < N_FIELDS && rest; i++)
            rest = match_field(rest, end, fields[i]);
        if (rest) {
            *too_long = !copy_password(rest, end, password, size);
            if (*too_long)
                password[0] = '\0';
            return password[0] != '\0';
        }
        at = next;
    }
    return false;
}
