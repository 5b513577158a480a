#pragma once
/* One worker: a thread, a loop, a resolver, its share of the servers. */
#include "pgtls/model/fleet.h"
#include "pgtls/model/self.h"

#include <stdbool.h>
#include <stddef.h>

struct worker;

/* Starts the thread. NULL with the reason in error. */
struct worker *worker_start(unsigned index, unsigned workers, const char *bundle_path,
                            struct self *self, char *error, size_t size);

/* From any thread: what to watch; from now on this worker's share of it is probed. */
void worker_watch(struct worker *worker, struct fleet_view *view);

/* From any thread: asks the loop for a sign of life; has it given none since? */
void worker_poke(struct worker *worker);
bool worker_silent(const struct worker *worker);

/* Asks the worker to end every probe and its loop; worker_join waits for it and frees. */
void worker_stop(struct worker *worker);
void worker_join(struct worker *worker);
