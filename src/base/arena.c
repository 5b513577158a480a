/* Memory that lives and dies together. Blocks are wiped when freed. */
#include "pgtls/base/arena.h"

#include "pgtls/base/vault.h"
#include "pgtls/base/wipe.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES  ((size_t)16 * 1024)
#define SECRET_BYTES ((size_t)1024) /* locked memory is scarce */

struct block {
    struct block *next;
    size_t used, size;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *blocks;
    struct block *secrets; /* in the vault, which wipes */
};

struct arena *arena_new(void)
{
    return calloc(1, sizeof(struct arena));
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    while (a->blocks) {
        struct block *next = a->blocks->next;

        wipe_memory(a->blocks->bytes, a->blocks->used);
        free(a->blocks);
        a->blocks = next;
    }
    while (a->secrets) {
        struct block *next = a->secrets->next;

        vault_free(a->secrets);
        a->secrets = next;
    }
    free(a);
}

/* Room for a further block, zeroed; NULL when out of memory. */
static struct block *add_block(struct block **first, size_t room, bool secret)
{
    struct block *b = secret ? vault_alloc(sizeof *b + room) : calloc(1, sizeof *b + room);

    if (!b)
        return NULL;
    b->size = room;
    b->next = *first;
    return *first = b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    struct block *b = a->blocks;
    void *at;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + align - 1) / align * align;
    if (!b || b->size - b->used < size) {
        b = add_block(&a->blocks, size > BLOCK_BYTES ? size : BLOCK_BYTES, false);
        if (!b)
            return NULL;
    }
    at = b->bytes + b->used;
    b->used += size;
    return at;
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
    char *copy = text ? arena_alloc(a, len + 1) : NULL;

    if (copy)
        memcpy(copy, text, len);
    return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
    return text ? arena_strndup(a, text, strlen(text)) : NULL;
}

char *arena_strndup_secret(struct arena *a, const char *text, size_t len)
{
    struct block *b = a->secrets;
    char *copy;

    if (len > SIZE_MAX / 2)
        return NULL;
    if (!b || b->size - b->used < len + 1)
        b = add_block(&a->secrets, len >= SECRET_BYTES ? len + 1 : SECRET_BYTES, true);
    if (!b)
        return NULL;
    copy = memcpy(b->bytes + b->used, text, len);
    b->used += len + 1;
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    char *text = NULL;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0)
        text = arena_alloc(a, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}
