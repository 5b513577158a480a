/* The workers as one. */
#include "pgtls/probe/scheduler.h"

#include "worker.h"

#include "pgtls/net/arrival.h"
#include "pgtls/tls/trust.h"

#include <stdlib.h>
#include <unistd.h>

#define MAX_WORKERS 64

struct scheduler {
    unsigned n;
    struct worker *workers[MAX_WORKERS];
};

static unsigned count_workers(unsigned wanted)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (wanted == 0)
        wanted = cores > 0 ? (unsigned)cores : 1;
    return wanted < MAX_WORKERS ? wanted : MAX_WORKERS;
}

struct scheduler *scheduler_start(const struct scheduler_options *options, struct self *self,
                                  char *error, size_t size)
{
    struct scheduler *s = calloc(1, sizeof *s);
    const char *bundle = options->bundle_path ? options->bundle_path : trust_find_bundle();
    unsigned n = count_workers(options->workers);

    atomic_store(&self->kernel_timestamps, arrival_start());
    while (s && s->n < n) {
        s->workers[s->n] = worker_start(s->n, n, bundle, self, error, size);
        if (!s->workers[s->n]) {
            scheduler_stop(s);
            return NULL;
        }
        s->n++;
    }
    return s;
}

unsigned scheduler_workers(const struct scheduler *s)
{
    return s->n;
}

void scheduler_poke(struct scheduler *s)
{
    for (unsigned i = 0; i < s->n; i++)
        worker_poke(s->workers[i]);
}

int scheduler_silent(const struct scheduler *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (worker_silent(s->workers[i]))
            return (int)i;
    }
    return -1;
}

void scheduler_watch(struct scheduler *s, struct fleet *fleet)
{
    for (unsigned i = 0; i < s->n; i++)
        worker_watch(s->workers[i], fleet_view(fleet));
}

void scheduler_end(struct scheduler *s)
{
    for (unsigned i = 0; i < s->n; i++)
        worker_stop(s->workers[i]);
}

void scheduler_stop(struct scheduler *s)
{
    scheduler_end(s);
    for (unsigned i = 0; i < s->n; i++)
        worker_join(s->workers[i]);
    free(s);
}
