/* What is let go of is wiped. */
#include "pgtls/base/wipe.h"

#include "pgtls/base/str.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void wipe_environment(void)
{
    for (char **at = environ; at && *at; at++) {
        char *copy = strdup(*at);

        if (!copy)
            return; /* what is left stays where it is: no worse than before */
        str_wipe(*at, strlen(*at));
        *at = copy;
    }
}

char *wipe_argument(char *word)
{
    char *copy = strdup(word);

    if (copy)
        memset(word, 'x', strlen(word));
    return copy;
}

static _Thread_local bool paused;

void wipe_pause(bool pause)
{
    paused = pause;
}

#if defined(__GLIBC__) && !defined(PGTLS_SANITIZED)

/* Larger blocks hold no secrets but in their own right (a passfile, which its reader wipes); they
 * are often the kernel's, which gives out no page unwiped, and may never have been touched. */
#define MAX_WIPED ((size_t)64 * 1024)

/* glibc's own, behind the names that we take. */
extern void __libc_free(void *memory);
extern void *__libc_realloc(void *memory, size_t size);

void free(void *memory)
{
    size_t size = memory && !paused ? malloc_usable_size(memory) : 0;

    if (size > 0 && size <= MAX_WIPED)
        str_wipe(memory, size);
    __libc_free(memory);
}

/* One that moves leaves nothing behind, nor does what a smaller one gives back (all, at size 0). */
void *realloc(void *memory, size_t size)
{
    size_t old = memory && !paused ? malloc_usable_size(memory) : 0;
    void *moved;

    if (old == 0 || old > MAX_WIPED)
        return __libc_realloc(memory, size);
    if (size <= old) {
        str_wipe((char *)memory + size, old - size);
        return __libc_realloc(memory, size);
    }
    moved = malloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, memory, old);
    free(memory);
    return moved;
}

#endif
