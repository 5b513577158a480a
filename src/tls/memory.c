/* OpenSSL's allocations, which are the C library's, counted where they fail. */
#include "pgtls/tls/memory.h"

#include <openssl/crypto.h>
#include <stdlib.h>

static _Thread_local uint64_t failures;

static void *on_malloc(size_t size, const char *file, int line)
{
    void *memory = size > 0 ? malloc(size) : NULL;

    (void)file;
    (void)line;
    failures += size > 0 && !memory;
    return memory;
}

static void on_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

/* As CRYPTO_realloc() itself takes nothing, and a size of 0. */
static void *on_realloc(void *memory, size_t size, const char *file, int line)
{
    void *moved;

    if (!memory)
        return on_malloc(size, file, line);
    if (size == 0) {
        free(memory);
        return NULL;
    }
    moved = realloc(memory, size);
    failures += !moved;
    return moved;
}

void tls_memory_watch(void)
{
    CRYPTO_set_mem_functions(on_malloc, on_realloc, on_free);
}

uint64_t tls_memory_failures(void)
{
    return failures;
}
