/* What is let go of is wiped. */
#include "pgtls/base/wipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

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

/* Every function may have changed them, so nobody who calls us keeps anything there; on ARM that is
 * true of all but half of the eight in the middle. */
__attribute__((noinline)) void wipe_registers(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        __asm__ volatile("vpxord %zmm16, %zmm16, %zmm16\n\tvpxord %zmm17, %zmm17, %zmm17\n\t"
                         "vpxord %zmm18, %zmm18, %zmm18\n\tvpxord %zmm19, %zmm19, %zmm19\n\t"
                         "vpxord %zmm20, %zmm20, %zmm20\n\tvpxord %zmm21, %zmm21, %zmm21\n\t"
                         "vpxord %zmm22, %zmm22, %zmm22\n\tvpxord %zmm23, %zmm23, %zmm23\n\t"
                         "vpxord %zmm24, %zmm24, %zmm24\n\tvpxord %zmm25, %zmm25, %zmm25\n\t"
                         "vpxord %zmm26, %zmm26, %zmm26\n\tvpxord %zmm27, %zmm27, %zmm27\n\t"
                         "vpxord %zmm28, %zmm28, %zmm28\n\tvpxord %zmm29, %zmm29, %zmm29\n\t"
                         "vpxord %zmm30, %zmm30, %zmm30\n\tvpxord %zmm31, %zmm31, %zmm31");
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall" ::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                               "xmm15");
#elif defined(__aarch64__)
    __asm__ volatile("movi v0.2d, #0\n\tmovi v1.2d, #0\n\tmovi v2.2d, #0\n\tmovi v3.2d, #0\n\t"
                     "movi v4.2d, #0\n\tmovi v5.2d, #0\n\tmovi v6.2d, #0\n\tmovi v7.2d, #0\n\t"
                     "movi v16.2d, #0\n\tmovi v17.2d, #0\n\tmovi v18.2d, #0\n\tmovi v19.2d, #0" ::
                         : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18",
                           "v19");
#endif
}

/* Deeper than a library goes that reads a key or answers a server. */
#define STACK_BYTES ((size_t)32 * 1024)

__attribute__((noinline)) void wipe_stack(void)
{
    char below[STACK_BYTES];

    explicit_bzero(below, sizeof below);
    wipe_registers();
}

void wipe_memory(void *memory, size_t n)
{
    explicit_bzero(memory, n);
    wipe_registers();
}

#if defined(__GLIBC__) && !defined(PGTLS_SANITIZED)

/* Larger blocks hold no secrets but in their own right (a passfile, which its reader wipes); they
 * are often the kernel's, which gives out no page unwiped, and may never have been touched. */
#define MAX_WIPED ((size_t)64 * 1024)

/* glibc's own, behind the names that we take. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl*): glibc's names */
extern void __libc_free(void *memory);
extern void *__libc_realloc(void *memory, size_t size);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl*) */

void free(void *memory)
{
    size_t size = memory && !paused ? malloc_usable_size(memory) : 0;

    if (size > 0 && size <= MAX_WIPED)
        explicit_bzero(memory, size); /* not wipe_memory: a probe frees a thousand times */
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
        explicit_bzero((char *)memory + size, old - size);
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
