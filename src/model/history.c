/* The last hour of a server, and its latest probes. */
#include "pgtls/model/history.h"

#include "pgtls/base/clock.h"

#define MINUTE_NS (60 * NS_PER_S)

/* Minutes that passed without a result tell of none. */
static void advance(struct history *h, int64_t minute)
{
    int64_t n = minute - h->minute;

    if (n > HISTORY_MINUTES)
        n = HISTORY_MINUTES;
    for (int64_t i = 0; i < n; i++) {
        h->slowest_s[(minute - i) % HISTORY_MINUTES] = 0;
        h->failures[(minute - i) % HISTORY_MINUTES] = 0;
    }
    if (n > 0)
        h->minute = minute;
}

static uint32_t microseconds(int64_t ns)
{
    if (ns <= 0)
        return 0;
    return ns / NS_PER_US > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / NS_PER_US);
}

static int64_t add_probe(struct history *h, const struct observation *o)
{
    struct history_probe *p = &h->probes[h->next];
    int64_t sum_ns = 0;

    *p = (struct history_probe){.finished_realtime_ns = o->finished_realtime_ns,
                                .fault = (uint16_t)o->fault,
                                .kind = (uint8_t)o->probe,
                                .failed_in = (uint8_t)o->phase};
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        if (!o->phases[i].completed)
            continue;
        p->completed = (uint8_t)(p->completed | 1u << i);
        p->phases_us[i] = microseconds(o->phases[i].duration_ns);
        sum_ns += o->phases[i].duration_ns;
    }
    h->next = (uint8_t)((h->next + 1) % HISTORY_PROBES);
    return sum_ns;
}

void history_add(struct history *h, const struct observation *o, int64_t now_ns)
{
    int64_t minute = now_ns / MINUTE_NS, sum_ns = add_probe(h, o);
    size_t at = (size_t)(minute % HISTORY_MINUTES);
    float sum_s = (float)ns_to_seconds(sum_ns);

    advance(h, minute);
    if (o->fault != FAULT_NONE && h->failures[at] < UINT8_MAX)
        h->failures[at]++;
    if (o->fault == FAULT_NONE && o->probe == PROBE_INSPECT && sum_s > h->slowest_s[at])
        h->slowest_s[at] = sum_s;
}

struct history_minute history_minute(const struct history *h, size_t ago, int64_t now_ns)
{
    int64_t minute = now_ns / MINUTE_NS - (int64_t)ago;
    size_t at = (size_t)(minute % HISTORY_MINUTES);

    if (minute < 0 || minute > h->minute || minute <= h->minute - HISTORY_MINUTES)
        return (struct history_minute){0};
    return (struct history_minute){h->slowest_s[at], h->failures[at]};
}

const struct history_probe *history_probe(const struct history *h, size_t ago)
{
    const struct history_probe *p;

    if (ago >= HISTORY_PROBES)
        return NULL;
    p = &h->probes[((size_t)h->next + 2 * HISTORY_PROBES - 1 - ago) % HISTORY_PROBES];
    return p->finished_realtime_ns != 0 ? p : NULL;
}
