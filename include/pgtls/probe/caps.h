#pragma once
/* How much a worker does at once: probes in flight, probes per resolved address, new connections
 * per second. Time is injected; one worker's thread only. A cap of the configuration is for the
 * whole exporter, so each of N workers holds a share of it (rounded up).
 *
 * Servers that hang take a place for their whole timeout, those that answer for some milliseconds:
 * left to themselves, the first fill every place there is. So a quarter of the places, in all and
 * per address, is kept for servers that answered promptly the last time. */
#include "pgtls/model/self.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint_set;
struct settings;

/* How a server's latest probe of this kind went; one that has had none is no prompt one. */
enum pace { PACE_PROMPT, PACE_OTHER, PACE_COUNT };

/* What one side of a cap has given away. */
struct caps_count {
    size_t all, others; /* others: of the ones that are not prompt */
};

#define CAPS_BUCKETS 1024
struct caps_address {
    struct caps_address *next;
    struct caps_count in_flight;
    char text[64];
};
struct caps {
    size_t max_in_flight, max_per_address; /* 0: no cap */
    double per_second, tokens;             /* per_second 0: no cap */
    int64_t filled_ns;
    struct caps_count in_flight;
    struct caps_address *addresses[CAPS_BUCKETS];
};

/* How many there are to share the caps: the workers, if they have anything to watch, and who probes
 * by request, if there are modules. */
unsigned caps_shares(const struct endpoint_set *set, unsigned workers);

/* Sets this worker's share; what is in flight stays counted. */
void caps_set(struct caps *caps, const struct settings *settings, unsigned workers, int64_t now_ns);
void caps_deinit(struct caps *caps);

/* May a probe of this address ("" = not known yet: only the other caps hold it) start now?
 * CAP_NONE: yes, and it is counted until caps_leave with the same address and pace. Else which cap
 * says no. */
enum cap caps_enter(struct caps *caps, const char *address, enum pace pace, int64_t now_ns);

/* One that has entered makes a further connection at its place: only the rate has a say. False: it
 * has to wait. */
bool caps_connect_again(struct caps *caps, int64_t now_ns);

/* After a refusal: would a further connection of anybody be one too many for this moment? */
bool caps_rate_full(const struct caps *caps);

/* After a refusal: would anybody else of this pace be refused as well, whatever the address? */
bool caps_full(const struct caps *caps, enum pace pace);

/* True when it made room where there was none: somebody who was refused may enter now. */
bool caps_leave(struct caps *caps, const char *address, enum pace pace);
