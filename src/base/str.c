/* Small text helpers. */
#include "pgtls/base/str.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Units of durations, longest first: written in this order, read in any. */
static const struct {
    const char *name;
    int64_t ns;
} duration_units[] = {
    {"d", 86400 * NS_PER_S},
    {"h", 3600 * NS_PER_S},
    {"m", 60 * NS_PER_S},
    {"s", NS_PER_S},
    {"ms", NS_PER_MS},
    {"us", NS_PER_US},
    {"ns", 1},
};
#define N_UNITS (sizeof duration_units / sizeof *duration_units)

bool str_copy(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    bool fits = len < size;

    if (size == 0)
        return false;
    if (!fits) {
        len = size - 1;
        while (len > 0 && ((unsigned char)from[len] & 0xC0) == 0x80)
            len--;
    }
    memcpy(to, from, len);
    to[len] = '\0';
    return fits;
}

bool str_to_i64(const char *text, int64_t low, int64_t high, int64_t *value)
{
    char *end;
    long long number;

    /* strtoll would skip white space of any kind, and take a plus sign. */
    if (!isdigit((unsigned char)text[*text == '-']))
        return false;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < low || number > high)
        return false;
    *value = number;
    return true;
}

/* Length of the unit's name at text, and what it is worth; 0 when there is none. */
static size_t read_unit(const char *text, int64_t *ns)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz");

    for (size_t i = 0; i < N_UNITS; i++) {
        if (strlen(duration_units[i].name) == len &&
            strncmp(duration_units[i].name, text, len) == 0) {
            *ns = duration_units[i].ns;
            return len;
        }
    }
    return 0;
}

bool str_to_duration_ns(const char *text, int64_t *ns)
{
    int64_t sum = 0;

    if (strcmp(text, "0") == 0) {
        *ns = 0;
        return true;
    }
    if (*text == '\0')
        return false;
    while (*text) {
        int64_t number = 0, unit, part;
        size_t digits = strspn(text, "0123456789"), len;

        if (digits == 0 || digits > 18)
            return false;
        for (size_t i = 0; i < digits; i++)
            number = number * 10 + (text[i] - '0');
        text += digits;
        len = read_unit(text, &unit);
        if (len == 0 || __builtin_mul_overflow(number, unit, &part) ||
            __builtin_add_overflow(sum, part, &sum))
            return false;
        text += len;
    }
    *ns = sum;
    return true;
}

void str_add_duration(struct buf *to, int64_t ns)
{
    if (ns == 0)
        buf_add_str(to, "0s");
    for (size_t i = 0; i < N_UNITS && ns > 0; i++) {
        if (ns >= duration_units[i].ns) {
            buf_addf(to, "%lld%s", (long long)(ns / duration_units[i].ns), duration_units[i].name);
            ns %= duration_units[i].ns;
        }
    }
}

size_t str_utf8_sequence(const unsigned char *p, size_t len)
{
    size_t n;

    if (len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        n = 2;
    else if (p[0] >= 0xE0 && p[0] <= 0xEF)
        n = 3;
    else if (p[0] >= 0xF0 && p[0] <= 0xF4)
        n = 4;
    else
        return 0;
    if (len < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    /* overlong forms, surrogates, beyond U+10FFFF */
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

/* One piece of cleaned text: what the sequence at p becomes. Returns the bytes consumed. */
static size_t clean_one(const unsigned char *p, size_t len, char piece[8], size_t *piece_len)
{
    size_t n = str_utf8_sequence(p, len);
    bool c1_control = n == 2 && p[0] == 0xC2 && p[1] < 0xA0;

    if (n > 1 && !c1_control) {
        memcpy(piece, p, n);
        *piece_len = n;
        return n;
    }
    if (*p == '\\' || *p == '\n' || *p == '\t' || *p == '\r') {
        piece[0] = '\\';
        piece[1] = *p == '\n' ? 'n' : *p == '\t' ? 't' : *p == '\r' ? 'r' : '\\';
        *piece_len = 2;
    } else if (n == 1 && *p >= 0x20 && *p != 0x7F) {
        piece[0] = (char)*p;
        *piece_len = 1;
    } else {
        *piece_len = (size_t)snprintf(piece, 8, "\\x%02x", *p);
    }
    return 1;
}

size_t str_clean(char *to, size_t size, const void *from, size_t len)
{
    const unsigned char *p = from;
    size_t at = 0, out = 0;

    if (size == 0)
        return 0;
    while (at < len) {
        char piece[8];
        size_t piece_len, used = clean_one(p + at, len - at, piece, &piece_len);

        if (out + piece_len >= size)
            break;
        memcpy(to + out, piece, piece_len);
        out += piece_len;
        at += used;
    }
    to[out] = '\0';
    return out;
}

uint64_t str_hash(uint64_t start, const char *text)
{
    for (; *text; text++)
        start = (start ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return start;
}

const char *str_name(const char *const *names, size_t count, size_t value)
{
    return value < count ? names[value] : "";
}

/* Levenshtein distance, capped: words here are configuration keys. */
static size_t distance(const char *a, const char *b)
{
    size_t row[65], la = strlen(a), lb = strlen(b);

    if (la > 64 || lb > 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = corner + (a[i - 1] != b[j - 1]);

            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

const char *str_nearest(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t allowed = strlen(word) / 3 + 1;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, names[i]);

        if (d <= allowed) {
            best = names[i];
            allowed = d - (d > 0);
            if (d == 0)
                break;
        }
    }
    return best;
}

void str_time(char to[STR_TIME_SIZE], int64_t realtime_ns, bool with_ms)
{
    time_t seconds = (time_t)(realtime_ns / NS_PER_S);
    struct tm tm;
    size_t n;

    if (!gmtime_r(&seconds, &tm)) {
        str_copy(to, STR_TIME_SIZE, "1970-01-01T00:00:00Z");
        return;
    }
    n = strftime(to, STR_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    if (with_ms)
        snprintf(to + n, STR_TIME_SIZE - n, ".%03dZ", (int)(realtime_ns % NS_PER_S / NS_PER_MS));
    else
        snprintf(to + n, STR_TIME_SIZE - n, "Z");
}
