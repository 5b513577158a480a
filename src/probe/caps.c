/* How much a worker does at once. */
#include "pgtls/probe/caps.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/model/server.h"

#include <stdlib.h>
#include <string.h>

unsigned caps_shares(const struct endpoint_set *set, unsigned workers)
{
    unsigned shares = (set->n_servers > 0 ? workers : 0) + (set->n_modules > 0);

    return shares > 0 ? shares : 1;
}

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

/* How many places those who are not prompt may take: one at least, and not the last one of several.
 */
static size_t places_of_others(size_t max)
{
    size_t kept = max / 4 > 0 ? max / 4 : 1;

    return max > 1 ? max - kept : max;
}

static bool is_full(const struct caps_count *count, size_t max)
{
    return max > 0 && count->all >= max;
}

static bool is_full_for(const struct caps_count *count, size_t max, enum pace pace)
{
    return is_full(count, max) ||
           (max > 0 && pace != PACE_PROMPT && count->others >= places_of_others(max));
}

static void add(struct caps_count *count, enum pace pace)
{
    count->all++;
    count->others += pace != PACE_PROMPT;
}

static void take(struct caps_count *count, enum pace pace)
{
    count->all--;
    count->others -= pace != PACE_PROMPT;
}

static struct caps_address **find(struct caps *caps, const char *address)
{
    struct caps_address **at = &caps->addresses[str_hash(STR_HASH_START, address) % CAPS_BUCKETS];

    while (*at && strcmp((*at)->text, address) != 0)
        at = &(*at)->next;
    return at;
}

/* Tokens drip in at the rate; a tenth of a second's worth may be saved up. */
static void drip(struct caps *caps, int64_t now_ns)
{
    double most = caps->per_second / 10 > 1 ? caps->per_second / 10 : 1;

    caps->tokens += caps->per_second * ns_to_seconds(now_ns - caps->filled_ns);
    caps->filled_ns = now_ns;
    if (caps->tokens > most)
        caps->tokens = most;
}

static bool take_token(struct caps *caps)
{
    if (caps_rate_full(caps))
        return false;
    caps->tokens -= caps->per_second > 0;
    return true;
}

/* Counted also without a cap: a reload may set one while somebody is in. */
static void add_address(struct caps_address **at, const char *address, enum pace pace)
{
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (*at)
            str_copy((*at)->text, sizeof(*at)->text, address);
    }
    if (*at)
        add(&(*at)->in_flight, pace);
}

enum cap caps_enter(struct caps *caps, const char *address, enum pace pace, int64_t now_ns)
{
    struct caps_address **at = *address != '\0' ? find(caps, address) : NULL;

    drip(caps, now_ns); /* whoever is refused, caps_full() is asked next */
    if (is_full(&caps->in_flight, caps->max_in_flight))
        return CAP_IN_FLIGHT;
    if (is_full_for(&caps->in_flight, caps->max_in_flight, pace))
        return CAP_IN_FLIGHT_SLOW;
    if (at && *at && is_full_for(&(*at)->in_flight, caps->max_per_address, pace))
        return CAP_ADDRESS;
    if (!take_token(caps))
        return CAP_RATE;
    add(&caps->in_flight, pace);
    if (at)
        add_address(at, address, pace);
    return CAP_NONE;
}

bool caps_connect_again(struct caps *caps, int64_t now_ns)
{
    drip(caps, now_ns);
    return take_token(caps);
}

bool caps_rate_full(const struct caps *caps)
{
    return caps->per_second > 0 && caps->tokens < 1;
}

bool caps_full(const struct caps *caps, enum pace pace)
{
    return is_full_for(&caps->in_flight, caps->max_in_flight, pace) || caps_rate_full(caps);
}

bool caps_leave(struct caps *caps, const char *address, enum pace pace)
{
    struct caps_address **at = find(caps, address), *gone;
    bool room = is_full_for(&caps->in_flight, caps->max_in_flight, pace);

    take(&caps->in_flight, pace);
    if (!*at)
        return room;
    room = room || is_full_for(&(*at)->in_flight, caps->max_per_address, pace);
    take(&(*at)->in_flight, pace);
    if ((*at)->in_flight.all > 0)
        return room;
    gone = *at;
    *at = gone->next;
    free(gone);
    return room;
}
