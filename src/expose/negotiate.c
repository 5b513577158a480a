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

/* One element of the header: its name, what is behind the first semicolon, its weight. */
struct element {
    struct slice name, parameters;
    int weight;
};

/* The value of a parameter, without quotes; empty without it. */
static struct slice parameter(const struct element *e, const char *key)
{
    const char *rest = e->parameters.at, *end = rest + e->parameters.len;
    struct slice part;

    while (next_part(&rest, end, ';', &part)) {
        const char *equals = memchr(part.at, '=', part.len);
        struct slice value;

        if (!equals || !slice_is(trim((struct slice){part.at, (size_t)(equals - part.at)}), key))
            continue;
        value = trim((struct slice){equals + 1, (size_t)(part.at + part.len - equals - 1)});
        if (value.len >= 2 && value.at[0] == '"')
            value = (struct slice){value.at + 1, value.len - 2};
        return value;
    }
    return (struct slice){"", 0};
}

static bool read_element(struct slice text, struct element *e)
{
    const char *rest = text.at, *end = text.at + text.len;
    struct slice weight;

    *e = (struct element){.weight = 1000};
    if (!next_part(&rest, end, ';', &e->name) || e->name.len == 0)
        return false;
    e->parameters = (struct slice){rest, (size_t)(end - rest)};
    weight = parameter(e, "q");
    if (weight.len > 0)
        e->weight = read_weight(weight);
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

/* What there is to choose from; later ones are better where all are equally welcome. A parameter
 * that is named must have one of these values; `needed`: it must be named. */
#define MAX_PARAMETERS 2
static const struct offer {
    const char *type;
    struct {
        const char *key, *values[2];
        bool needed;
    } parameters[MAX_PARAMETERS];
} offers[] = {
    [METRICS_TEXT] = {"text/plain", {{"version", {"0.0.4"}, false}}},
    [METRICS_OPENMETRICS] = {"application/openmetrics-text",
                             {{"version", {"1.0.0", "0.0.1"}, false}}},
    [METRICS_PROTOBUF] = {"application/vnd.google.protobuf",
                          {{"proto", {"io.prometheus.client.MetricFamily"}, true},
                           {"encoding", {"delimited"}, true}}},
};
#define N_OFFERS (sizeof offers / sizeof *offers)

static bool offer_fits(const struct offer *offer, const struct element *e)
{
    if (!slice_is(e->name, offer->type))
        return false;
    for (size_t i = 0; i < MAX_PARAMETERS && offer->parameters[i].key; i++) {
        struct slice value = parameter(e, offer->parameters[i].key);
        const char *const *known = offer->parameters[i].values;

        if (value.len == 0 ? offer->parameters[i].needed
                           : !slice_is(value, known[0]) && !(known[1] && slice_is(value, known[1])))
            return false;
    }
    return true;
}

enum metrics_format metrics_negotiate(const char *accept)
{
    /* The most specific range that matches decides, so each is kept apart. */
    int weights[N_OFFERS], any_text = NOT_NAMED, any = NOT_NAMED;
    size_t best = METRICS_TEXT;
    const char *end;
    struct element e;

    if (!accept)
        return METRICS_TEXT;
    for (size_t i = 0; i < N_OFFERS; i++)
        weights[i] = NOT_NAMED;
    end = accept + strlen(accept);
    while (next_element(&accept, end, &e)) {
        if (slice_is(e.name, "text/*"))
            any_text = e.weight;
        if (slice_is(e.name, "*/*"))
            any = e.weight;
        for (size_t i = 0; i < N_OFFERS; i++) {
            if (offer_fits(&offers[i], &e) && e.weight > weights[i])
                weights[i] = e.weight;
        }
    }
    /* Whoever takes anything is not asking for a format of its own. */
    if (weights[METRICS_TEXT] == NOT_NAMED)
        weights[METRICS_TEXT] = any_text != NOT_NAMED ? any_text : any;
    for (size_t i = 0; i < N_OFFERS; i++) {
        if (weights[i] > 0 && weights[i] >= weights[best])
            best = i;
    }
    return (enum metrics_format)best;
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
