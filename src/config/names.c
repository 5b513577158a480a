/* A set of names: open addressing, linear probing. */
#include "names.h"

#include "pgtls/base/str.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 64

/* Where the name is, or would be. The set is never full. */
static struct name *find(const struct names *set, const char *text)
{
    size_t at = (size_t)str_hash(STR_HASH_START, text) & (set->size - 1);

    while (set->slots[at].text && strcmp(set->slots[at].text, text) != 0)
        at = (at + 1) & (set->size - 1);
    return &set->slots[at];
}

static bool grow(struct names *set)
{
    struct names bigger = {.n = set->n, .size = set->size ? set->size * 2 : FIRST_SIZE};

    bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < set->size; i++) {
        if (set->slots[i].text)
            *find(&bigger, set->slots[i].text) = set->slots[i];
    }
    free(set->slots);
    *set = bigger;
    return true;
}

const void *names_add(struct names *set, const char *text, const void *owner, bool *failed)
{
    struct name *name;

    if (set->n + 1 > set->size / 2 && !grow(set)) {
        *failed = true;
        return NULL;
    }
    name = find(set, text);
    if (name->text)
        return name->owner;
    *name = (struct name){text, owner};
    set->n++;
    return NULL;
}

const void *names_find(const struct names *set, const char *text)
{
    return set->size > 0 ? find(set, text)->owner : NULL;
}

void names_clear(struct names *set)
{
    /* One huge list must not make clearing dear for all the short ones after it. */
    if (set->n * 16 < set->size && set->size > FIRST_SIZE)
        names_deinit(set);
    else if (set->n > 0)
        memset(set->slots, 0, set->size * sizeof *set->slots);
    set->n = 0;
}

void names_deinit(struct names *set)
{
    free(set->slots);
    *set = (struct names){0};
}
