/* How much a worker does at once. */
#include "pgtls/probe/caps.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/model/server.h"

#include <stdlib.h>
#include <string.h>

static size_t share(size_t whole, unsigned workers)
{
    return (whole + workers - 1) / workers;
}

void caps_set(struct caps *caps, const struct settings *settings, unsigned workers, int64_t now_ns)
{
    caps->max_in_flight = share(settings->max_in_flight, workers);
    caps->max_per_address = share(settings->max_in_flight_per_address, workers);
    caps->per_second = (double)settings->max_connections_per_second / workers;
    caps->tokens = caps->per_second > 1 ? caps->per_second / 10 : 1;
    caps->filled_ns = now_ns;
}

void caps_deinit(struct caps *caps)
{
    for (size_t i = 0; i < CAPS_BUCKETS; i++) {
        while (caps->addresses[i]) {
            struct caps_address *next = caps->addresses[i]->next;

            free(caps->addresses[i]);
            caps->addresses[i] = next;
        }
    }
}

static struct caps_address **find(struct caps *caps, const char *address)
{
    struct caps_address **at = &caps->addresses[str_hash(STR_HASH_START, address) % CAPS_BUCKETS];

    while (*at && strcmp((*at)->text, address) != 0)
        at = &(*at)->next;
    return at;
}

/* Tokens drip in at the rate; a tenth of a second's worth may be saved up. */
static bool take_token(struct caps *caps, int64_t now_ns)
{
    double most = caps->per_second / 10 > 1 ? caps->per_second / 10 : 1;

    if (caps->per_second <= 0)
        return true;
    caps->tokens += caps->per_second * ns_to_seconds(now_ns - caps->filled_ns);
    caps->filled_ns = now_ns;
    if (caps->tokens > most)
        caps->tokens = most;
    if (caps->tokens < 1)
        return false;
    caps->tokens -= 1;
    return true;
}

bool caps_enter(struct caps *caps, const char *address, int64_t now_ns)
{
    struct caps_address **at = NULL;

    if (caps->max_in_flight > 0 && caps->in_flight >= caps->max_in_flight)
        return false;
    if (*address != '\0' && caps->max_per_address > 0) {
        at = find(caps, address);
        if (*at && (*at)->in_flight >= caps->max_per_address)
            return false;
    }
    if (!take_token(caps, now_ns))
        return false;
    caps->in_flight++;
    if (at && !*at) {
        *at = calloc(1, sizeof **at);
        if (*at)
            str_copy((*at)->text, sizeof(*at)->text, address);
    }
    if (at && *at)
        (*at)->in_flight++;
    return true;
}

bool caps_full(const struct caps *caps)
{
    return (caps->max_in_flight > 0 && caps->in_flight >= caps->max_in_flight) ||
           (caps->per_second > 0 && caps->tokens < 1);
}

bool caps_leave(struct caps *caps, const char *address)
{
    struct caps_address **at = find(caps, address), *gone;
    bool room = caps->max_in_flight > 0 && caps->in_flight >= caps->max_in_flight;

    caps->in_flight--;
    if (!*at)
        return room;
    room = room || (*at)->in_flight >= caps->max_per_address;
    if (--(*at)->in_flight > 0)
        return room;
    gone = *at;
    *at = gone->next;
    free(gone);
    return room;
}
