/* Many servers show the same certificates: a wildcard's leaf, and nearly always the same roots. */
#include "share.h"

#include <string.h>

/* Equal in everything but who refers to them. */
static bool same_chain(const struct chain *a, const struct chain *b)
{
    return memcmp(a->id, b->id, sizeof a->id) == 0 && a->count == b->count &&
           a->served == b->served &&
           memcmp(a->by_position, b->by_position, sizeof a->by_position) == 0 &&
           memcmp(a->certificates, b->certificates, a->count * sizeof a->certificates[0]) == 0;
}

static bool same_pem(const struct pem *a, const struct pem *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static void share_chain(struct shared *shared, struct chain **chain)
{
    size_t slot = (*chain)->id[0] % SHARED_SLOTS; /* of a digest: evenly spread */
    struct chain *known = shared->chains[slot];

    if (known && same_chain(known, *chain)) {
        chain_unref(*chain);
        *chain = chain_ref(known);
        return;
    }
    chain_unref(known);
    shared->chains[slot] = chain_ref(*chain);
}

static void share_pem(struct shared *shared, struct pem **pem)
{
    for (size_t i = 0; i < SHARED_SLOTS; i++) {
        struct pem *known = shared->anchors[i];

        if (known && same_pem(known, *pem)) {
            pem_unref(*pem);
            *pem = pem_ref(known);
            return;
        }
    }
    pem_unref(shared->anchors[shared->next]);
    shared->anchors[shared->next] = pem_ref(*pem);
    shared->next = (shared->next + 1) % SHARED_SLOTS;
}

void shared_take(struct shared *shared, struct chain_memory *memory)
{
    if (memory->chain)
        share_chain(shared, &memory->chain);
    if (memory->anchors)
        share_pem(shared, &memory->anchors);
}

void shared_deinit(struct shared *shared)
{
    for (size_t i = 0; i < SHARED_SLOTS; i++) {
        chain_unref(shared->chains[i]);
        pem_unref(shared->anchors[i]);
    }
    *shared = (struct shared){0};
}
