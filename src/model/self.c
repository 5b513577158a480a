/* The exporter's own counters. */
#include "pgtls/model/self.h"

#include "histogram.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <stdlib.h>

/* A healthy loop starts a probe within a millisecond of its time; seconds mean it is overloaded. */
const double self_lag_bounds[LAG_BUCKETS] = {0.001, 0.005, 0.01, 0.02, 0.1, 0.25, 1, 5};

static const char *const cap_names[CAP_COUNT] = {
    [CAP_NONE] = "",
    [CAP_IN_FLIGHT] = "in_flight",
    [CAP_IN_FLIGHT_SLOW] = "in_flight_slow",
    [CAP_ADDRESS] = "in_flight_per_address",
    [CAP_RATE] = "connections_per_second",
};

static const char *const refusal_names[WEB_REFUSAL_COUNT] = {
    [WEB_REFUSED_PASSWORD] = "password",
    [WEB_REFUSED_BUSY] = "busy",
    [WEB_REFUSED_RATE] = "rate_limit",
};

const char *web_refusal_name(enum web_refusal why)
{
    return str_name(refusal_names, WEB_REFUSAL_COUNT, (size_t)why);
}

const char *cap_name(enum cap cap)
{
    return str_name(cap_names, CAP_COUNT, (size_t)cap);
}

void self_init(struct self *self)
{
    atomic_init(&self->probes_skipped, 0);
    atomic_init(&self->probes_in_flight, 0);
    atomic_init(&self->probes_waiting, 0);
    for (size_t i = 0; i < CAP_COUNT; i++)
        atomic_init(&self->probes_held_back[i], 0);
    for (size_t i = 0; i <= LAG_BUCKETS; i++)
        atomic_init(&self->lag_counts[i], 0);
    atomic_init(&self->lag_sum_ns, 0);
    atomic_init(&self->kernel_timestamps, false);
    atomic_init(&self->missing_timestamps, 0);
    atomic_init(&self->reload_successful, false);
    atomic_init(&self->reload_success_realtime_ns, 0);
    atomic_init(&self->ready, false);
    self->shard = (struct shard){0, 1};
    self->start_realtime_ns = clock_realtime_ns();
    pthread_mutex_init(&self->own_board.lock, NULL);
    self->own_board.files = NULL;
    self->board = &self->own_board;
}

static void inputs_unref(struct self_inputs *files)
{
    if (!files || --files->references > 0)
        return;
    for (size_t i = 0; i < files->n; i++)
        free(files->items[i].name);
    free(files);
}

void self_deinit(struct self *self)
{
    inputs_unref(self->board->files);
    pthread_mutex_destroy(&self->board->lock);
}

struct self_inputs *self_inputs_new(size_t n)
{
    struct self_inputs *files = calloc(1, sizeof *files + n * sizeof files->items[0]);

    if (files) {
        files->references = 1;
        files->n = n;
    }
    return files;
}

void self_show_inputs(struct self *self, struct self_inputs *files)
{
    pthread_mutex_lock(&self->board->lock);
    inputs_unref(self->board->files);
    self->board->files = files;
    pthread_mutex_unlock(&self->board->lock);
}

struct self_inputs *self_take_inputs(const struct self *self)
{
    struct self_inputs *files;

    pthread_mutex_lock(&self->board->lock);
    files = self->board->files;
    if (files)
        files->references++;
    pthread_mutex_unlock(&self->board->lock);
    return files;
}

void self_return_inputs(const struct self *self, struct self_inputs *files)
{
    pthread_mutex_lock(&self->board->lock);
    inputs_unref(files);
    pthread_mutex_unlock(&self->board->lock);
}

void self_add_lag(struct self *self, int64_t lag_ns)
{
    uint64_t lag = lag_ns > 0 ? (uint64_t)lag_ns : 0;
    size_t bucket = histogram_bucket(self_lag_bounds, LAG_BUCKETS, ns_to_seconds((int64_t)lag));

    atomic_fetch_add_explicit(&self->lag_counts[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->lag_sum_ns, lag, memory_order_relaxed);
}
