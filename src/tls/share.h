#pragma once
/* Facts that servers have in common, kept once: with ten thousand servers behind one certificate
 * they would take 25 MB. Each server's chain is judged for itself all the same. */
#include "pgtls/tls/conn.h"

#include <stddef.h>

#define SHARED_SLOTS 64

/* Zero-initialise; one thread. */
struct shared {
    struct chain *chains[SHARED_SLOTS]; /* by their id */
    struct pem *anchors[SHARED_SLOTS];  /* the latest ones */
    size_t next;
};

/* What the memory holds is from now on what others hold, if that is equal. */
void shared_take(struct shared *shared, struct chain_memory *memory);
void shared_deinit(struct shared *shared);
