#pragma once
/* A set of names, to find duplicates among many without comparing all with all. */
#include <stdbool.h>
#include <stddef.h>

struct names {
    struct name {
        const char *text; /* borrowed */
        const void *owner;
    } * slots;
    size_t n, size; /* size is a power of two, at most half full */
};

/* Adds a name. Returns the owner under which it is already there, NULL when it is new (or when out
 * of memory: `failed` is then set). `owner` must not be NULL. */
const void *names_add(struct names *set, const char *text, const void *owner, bool *failed);

/* The owner under which a name is there, NULL when it is not. */
const void *names_find(const struct names *set, const char *text);

/* Forgets all names, keeps the memory; and frees it. */
void names_clear(struct names *set);
void names_deinit(struct names *set);
