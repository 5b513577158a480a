/* What is in force. */
#include "in_force.h"

const struct setting *in_force_at(const struct endpoint_source *source, enum slot slot,
                                  size_t *layer)
{
    bool dsn_removed = false;

    for (size_t i = source->n_layers; i-- > 0;) {
        const struct setting *s = &source->layers[i]->slots[slot];

        if (s->key && !(s->from_dsn && dsn_removed)) {
            *layer = i;
            return s->none ? NULL : s;
        }
        if (source->layers[i]->slots[SLOT_DSN].none)
            dsn_removed = true;
    }
    return NULL;
}

const struct setting *in_force(const struct endpoint_source *source, enum slot slot)
{
    size_t layer;

    return in_force_at(source, slot, &layer);
}

const char *text_in_force(const struct endpoint_source *source, enum slot slot)
{
    const struct setting *s = in_force(source, slot);

    return s ? s->text : NULL;
}

int64_t number_in_force(const struct endpoint_source *source, enum slot slot, int64_t fallback)
{
    const struct setting *s = in_force(source, slot);

    return s ? s->number : fallback;
}

struct place place_in_force(const struct endpoint_source *source, enum slot slot)
{
    const struct setting *s = in_force(source, slot);

    return s ? s->at : source->at;
}
