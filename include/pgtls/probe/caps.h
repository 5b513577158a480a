#pragma once
/* How much a worker does at once: probes in flight, probes per resolved address, new connections
 * per second. Time is injected; one worker's thread only. A cap of the configuration is for the
 * whole exporter, so each of N workers holds a share of it (rounded up). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings;

#define CAPS_BUCKETS 1024
struct caps_address {
    struct caps_address *next;
    size_t in_flight;
    char text[64];
};
struct caps {
    size_t max_in_flight, max_per_address; /* 0: no cap */
    double per_second, tokens;             /* per_second 0: no cap */
    int64_t filled_ns;
    size_t in_flight;
    struct caps_address *addresses[CAPS_BUCKETS];
};

/* Sets this worker's share; what is in flight stays counted. */
void caps_set(struct caps *caps, const struct settings *settings, unsigned workers, int64_t now_ns);
void caps_deinit(struct caps *caps);

/* May a probe of this address ("" = not known yet: only the other caps hold it) start now? If so it
 * is counted, until caps_leave with the same address. */
bool caps_enter(struct caps *caps, const char *address, int64_t now_ns);

/* After a refusal: would any other address be refused as well? */
bool caps_full(const struct caps *caps);

/* True when it made room where there was none: somebody who was refused may enter now. */
bool caps_leave(struct caps *caps, const char *address);
