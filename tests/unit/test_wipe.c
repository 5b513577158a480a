/* What free() and realloc() give back holds nothing any more. */
#include "pgtls/base/wipe.h"

#include "pgtls/base/vault.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE  1024
#define INNER 256 /* the allocator's own notes stand at both ends of what it got back */

#if defined(__GLIBC__) && !defined(PGTLS_SANITIZED)

static char *secrets(void)
{
    char *memory = malloc(SIZE);

    assert_non_null(memory);
    memset(memory, 'S', SIZE);
    return memory;
}

/* How much of a secret is left in memory that is nobody's; volatile, for the compiler knows that.
 */
static size_t left(uintptr_t at, size_t from)
{
    const volatile char *memory = (const volatile char *)at; // NOLINT(performance-no-int-to-ptr)
    size_t n = 0;

    for (size_t i = from + INNER / 4; i < SIZE - INNER; i++)
        n += memory[i] == 'S'; // NOLINT(clang-analyzer-unix.Malloc): that is the question
    return n;
}

static void test_freed(void **state)
{
    char *memory = secrets();
    volatile uintptr_t at = (uintptr_t)memory;

    (void)state;
    free(memory);
    assert_int_equal(left(at, 0), 0);
}

static void test_reallocated(void **state)
{
    static const size_t sizes[] = {100, 64 * SIZE};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *memory = secrets(), *neighbour = secrets(), *moved;
        volatile uintptr_t at = (uintptr_t)memory;

        moved = realloc(memory, sizes[i]);
        assert_non_null(moved);
        assert_true(moved[0] == 'S' && moved[99] == 'S');
        assert_int_equal(left(at, sizes[i] < SIZE ? sizes[i] : 0), 0);
        free(moved);
        free(neighbour);
    }
}

/* A pause is this thread's, and ends. */
static void *free_elsewhere(void *memory)
{
    free(memory);
    return NULL;
}

static void test_paused(void **state)
{
    char *here = secrets(), *there = secrets(), *after = secrets();
    volatile uintptr_t at_here = (uintptr_t)here, at_there = (uintptr_t)there,
                       at_after = (uintptr_t)after;
    pthread_t other;

    (void)state;
    wipe_pause(true);
    assert_int_equal(pthread_create(&other, NULL, free_elsewhere, there), 0);
    pthread_join(other, NULL);
    free(here);
    wipe_pause(false);
    free(after);
    assert_true(left(at_here, 0) > 0);
    assert_int_equal(left(at_there, 0), 0);
    assert_int_equal(left(at_after, 0), 0);
}

#endif

static void test_environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("PGTLS_TEST_WIPE", "kept", 1), 0);
    vault_environment();
    assert_string_equal(getenv("PGTLS_TEST_WIPE"), "kept");
}

#if defined(__x86_64__) && !defined(PGTLS_SANITIZED)
/* Nothing is left of it in a register, and what the compiler keeps there for us is not lost. */
static void test_registers(void **state)
{
    unsigned char left[16] = {0}, none[16] = {0};
    volatile double kept = 1.5;

    (void)state;
    __asm__ volatile("pcmpeqd %%xmm7, %%xmm7" ::: "xmm7");
    wipe_registers();
    __asm__ volatile("movdqu %%xmm7, %0" : "=m"(left));
    if (__builtin_cpu_supports("avx"))
        assert_memory_equal(left, none, sizeof none);
    assert_true(kept * 2 == 3.0);
}
#endif

#if defined(__GLIBC__) && !defined(PGTLS_SANITIZED)
#define DEEP_BYTES ((size_t)24 * 1024)

static volatile uintptr_t deep_at;

/* As a library does that forgets what it had on its stack: at the far end of it. */
static __attribute__((noinline)) void leave_deep(void)
{
    volatile char deep[DEEP_BYTES];

    for (size_t i = 0; i < SIZE; i++)
        deep[i] = 'S';
    deep_at = (uintptr_t)deep;
}

static void test_stack(void **state)
{
    (void)state;
    leave_deep();
    assert_true(left(deep_at, 0) > 0);
    leave_deep();
    wipe_stack();
    assert_int_equal(left(deep_at, 0), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__GLIBC__) && !defined(PGTLS_SANITIZED)
        cmocka_unit_test(test_freed),
        cmocka_unit_test(test_reallocated),
        cmocka_unit_test(test_paused),
#endif
#if defined(__x86_64__) && !defined(PGTLS_SANITIZED)
        cmocka_unit_test(test_registers),
#endif
#if defined(__GLIBC__) && !defined(PGTLS_SANITIZED)
        cmocka_unit_test(test_stack),
#endif
        cmocka_unit_test(test_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
