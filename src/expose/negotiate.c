/* Content negotiation. Weights are thousandths; what cannot be read is left out, never an error: a
 * client that sends nonsense gets the default. */
#include "negotiate.h"

#include "pgtls/expose/metrics.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define NOT_NAMED (-1)

struct slice {
    const char *at;
    size_t len;
};

static struct slice trim(struct slice s)
{
    while (s.len > 0 && isspace((unsigned char)s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && isspace((unsigned char)s.at[s.len - 1]))
        s.len--;
    return s;
}

/* Cuts the next part off `rest` at an unquoted separator; false when nothing is left. */
static bool next_part(const char **rest, const char *end, char separator, struct slice *part)
{
    const char *start = *rest, *at = start;
    bool quoted = false;

    if (start >= end)
        return false;
    for (; at < end && (quoted || *at != separator); at++) {
        if (*at == '"')
            quoted = !quoted;
    }
    *part = trim((struct slice){start, (size_t)(at - start)});
    *rest = at < end ? at + 1 : end;
    return true;
}

static bool slice_is(struct slice s, const char *text)
{
    return strlen(text) == s.len && strncasecmp(s.at, text, s.len) == 0;
}

/* "0.75" in thousandths; NOT_NAMED when it is no weight. */
static int read_weight(struct slice s)
{
    int value = 0, unit = 1000;

    if (s.len == 0 || s.len > 5 || (s.at[0] != '0' && s.at[0] != '1') ||
        (s.len > 1 && s.at[1] != '.'))
        return NOT_NAMED;
    value = (s.at[0] - '0') * unit;
    for (size_t i = 2; i < s.len; i++) {
        if (!isdigit((unsigned char)s.at[i]))
            return NOT_NAMED;
        unit /= 10;
        value += (s.at[i] - '0') * unit;
    }
    return value <= 1000 ? value : NOT_NAMED;
}

/* One element of the header: its name, its weight, its version parameter ("" if none). */
struct element {
    struct slice name, version;
    int weight;
};

static bool read_element(struct slice text, struct element *e)
{
    const char *rest = text.at, *end = text.at + text.len;
    struct slice part;

    *e = (struct element){.version = {"", 0}, .weight = 1000};
    if (!next_part(&rest, end, ';', &e->name) || e->name.len == 0)
        return false;
    while (next_part(&rest, end, ';', &part)) {
        const char *equals = memchr(part.at, '=', part.len);
        struct slice key, value;

        if (!equals)
            continue;
        key = trim((struct slice){part.at, (size_t)(equals - part.at)});
        value = trim((struct slice){equals + 1, (size_t)(part.at + part.len - equals - 1)});
        if (value.len >= 2 && value.at[0] == '"')
            value = (struct slice){value.at + 1, value.len - 2};
        if (slice_is(key, "q"))
            e->weight = read_weight(value);
        else if (slice_is(key, "version"))
            e->version = value;
    }
    return e->weight != NOT_NAMED;
}

static bool next_element(const char **rest, const char *end, struct element *e)
{
    struct slice part;

    while (next_part(rest, end, ',', &part)) {
        if (read_element(part, e))
            return true;
    }
    return false;
}

static bool known_version(struct slice version, const char *const *known, size_t n)
{
    if (version.len == 0)
        return true;
    for (size_t i = 0; i < n; i++) {
        if (slice_is(version, known[i]))
            return true;
    }
    return false;
}

enum metrics_format metrics_negotiate(const char *accept)
{
    static const char *const open_versions[] = {"1.0.0", "0.0.1"}, *const text_versions[] = {
                                                                       "0.0.4"};
    /* The most specific range that matches decides, so each is kept apart. */
    int open = NOT_NAMED, text = NOT_NAMED, any_text = NOT_NAMED, any = NOT_NAMED;
    const char *end;
    struct element e;

    if (!accept)
        return METRICS_TEXT;
    end = accept + strlen(accept);
    while (next_element(&accept, end, &e)) {
        if (slice_is(e.name, "application/openmetrics-text")) {
            if (known_version(e.version, open_versions, 2) && e.weight > open)
                open = e.weight;
        } else if (slice_is(e.name, "text/plain")) {
            if (known_version(e.version, text_versions, 1) && e.weight > text)
                text = e.weight;
        } else if (slice_is(e.name, "text/*")) {
            any_text = e.weight;
        } else if (slice_is(e.name, "*/*")) {
            any = e.weight;
        }
    }
    if (text == NOT_NAMED)
        text = any_text != NOT_NAMED ? any_text : any;
    return open > 0 && open >= text ? METRICS_OPENMETRICS : METRICS_TEXT;
}

bool negotiate_gzip(const char *accept_encoding)
{
    int gzip = NOT_NAMED, identity = NOT_NAMED, any = NOT_NAMED;
    const char *end;
    struct element e;

    if (!accept_encoding)
        return false;
    end = accept_encoding + strlen(accept_encoding);
    while (next_element(&accept_encoding, end, &e)) {
        if (slice_is(e.name, "gzip") || slice_is(e.name, "x-gzip"))
            gzip = e.weight;
        else if (slice_is(e.name, "identity"))
            identity = e.weight;
        else if (slice_is(e.name, "*"))
            any = e.weight;
    }
    if (gzip == NOT_NAMED)
        gzip = any;
    return gzip > 0 && gzip >= identity;
}
