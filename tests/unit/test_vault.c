/* Secrets that stay: nobody else finds them, in no image of our memory, and they are not swapped.
 */
#include "pgtls/base/arena.h"
#include "pgtls/base/vault.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PIECES 500

/* Of every size, given back in another order, taken again: none overlaps another, each is zeroed.
 */
static void test_pieces(void **state)
{
    unsigned char *pieces[PIECES] = {0};
    size_t sizes[PIECES];

    (void)state;
    for (size_t round = 0; round < 10; round++) {
        for (size_t i = 0; i < PIECES; i++) {
            if (pieces[i])
                continue;
            sizes[i] = (i * 37 + round * 1001) % (i % 50 == 0 ? 100000 : 300);
            pieces[i] = vault_alloc(sizes[i]);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
            for (size_t at = 0; at < sizes[i]; at++)
                assert_int_equal(pieces[i][at], 0);
            memset(pieces[i], (int)(i % 255) + 1, sizes[i]);
        }
        for (size_t i = round % 3; i < PIECES; i += 1 + round % 4) {
            for (size_t at = 0; at < sizes[i]; at++)
                assert_int_equal(pieces[i][at], i % 255 + 1);
            vault_free(pieces[i]);
            pieces[i] = NULL;
        }
    }
    for (size_t i = 0; i < PIECES; i++)
        vault_free(pieces[i]);
    vault_free(NULL);
    assert_null(vault_alloc(SIZE_MAX));
    assert_null(vault_alloc(SIZE_MAX / 2));
}

static void test_wiped(void **state)
{
    char *keeps = vault_strdup("keeps the area"), *secret = vault_strdup("let go of");
    const volatile char *at = secret;

    (void)state;
    assert_string_equal(secret, "let go of");
    vault_free(secret);
    for (size_t i = 0; i < sizeof "let go of"; i++)
        assert_int_equal(at[i], 0);
    assert_string_equal(keeps, "keeps the area");
    vault_free(keeps);
}

/* An arena's secrets stand elsewhere than the rest, and go with it. */
static void test_arena(void **state)
{
    struct arena *arena = arena_new();
    char long_one[3000];
    const char *copies[100], *plain;

    (void)state;
    memset(long_one, 'L', sizeof long_one);
    for (size_t i = 0; i < 100; i++)
        copies[i] = arena_strndup_secret(arena, i % 10 ? "short" : long_one,
                                         i % 10 ? strlen("short") : sizeof long_one);
    plain = arena_strdup(arena, "plain");
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(strlen(copies[i]), i % 10 ? strlen("short") : sizeof long_one);
    assert_string_equal(plain, "plain");
    arena_free(arena);
}

#ifndef PGTLS_SANITIZED
/* --- what the kernel says of it --------------------------------------------------------------- */

/* The flags of the mapping that this is in: "rd wr mr mw me lo dd". */
static void flags_of(const void *memory, char *flags, size_t size)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    char line[512];
    bool here = false;

    assert_non_null(smaps);
    flags[0] = '\0';
    while (fgets(line, sizeof line, smaps)) {
        char *dash, *end = NULL;
        unsigned long long first = strtoull(line, &dash, 16), last = 0;

        if (dash > line && *dash == '-')
            last = strtoull(dash + 1, &end, 16);
        if (end && *end == ' ')
            here = (uintptr_t)memory >= first && (uintptr_t)memory < last;
        else if (here && strncmp(line, "VmFlags:", strlen("VmFlags:")) == 0)
            snprintf(flags, size, "%.200s", line + strlen("VmFlags:"));
    }
    fclose(smaps);
}

/* Through the kernel, as another process would have to. */
static bool can_be_read(void *memory)
{
    char to[1] = {0};
    struct iovec local = {to, 1}, remote = {memory, 1};

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1;
}

/* What goes wrong in a child ends it: cmocka would go on there with the next test. */
static void defuse(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    alarm(20);
}

/* In a process of its own, before this one has any such memory. `locked`: bytes that may be. */
static int in_child(void (*act)(void), rlim_t locked)
{
    const struct rlimit limit = {locked, locked};
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        defuse();
        /* Of root the limit does not hold. */
        if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (getuid() == 0 && setuid(65534) != 0))
            _exit(2);
        act();
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return status;
}

static void expect(bool holds, int code)
{
    if (!holds)
        _exit(code);
}

static void look_at_good_one(void)
{
    char *secret = vault_strdup("secret"), flags[256];

    expect(secret && vault_kind() != VAULT_UNLOCKED, 3);
    flags_of(secret, flags, sizeof flags);
    expect(strstr(flags, " dd") && strstr(flags, " lo"), 4);
    expect(can_be_read(secret) == (vault_kind() == VAULT_LOCKED), 5);
}

static void test_locked(void **state)
{
    (void)state;
    assert_int_equal(in_child(look_at_good_one, (rlim_t)1024 * 1024), 0);
}

/* Nothing is refused to whoever may lock little: he is told. */
static void look_at_small_limit(void)
{
    char *first = vault_alloc(1000), *second = vault_alloc(100000), flags[256];

    expect(first && second && vault_kind() == VAULT_UNLOCKED, 3);
    flags_of(first, flags, sizeof flags);
    expect(strstr(flags, " lo") && strstr(flags, " dd"), 4);
    flags_of(second, flags, sizeof flags);
    expect(!strstr(flags, " lo") && strstr(flags, " dd"), 5);
}

static void test_small_limit(void **state)
{
    (void)state;
    assert_int_equal(in_child(look_at_small_limit, (rlim_t)64 * 1024), 0);
}

static void look_without(void)
{
    char *secret = vault_strdup("secret"), flags[256];

    expect(secret && vault_kind() == VAULT_UNLOCKED, 3);
    flags_of(secret, flags, sizeof flags);
    expect(strstr(flags, " dd") && !strstr(flags, " lo"), 4);
}

static void test_no_limit_left(void **state)
{
    (void)state;
    assert_int_equal(in_child(look_without, 0), 0);
}

/* --- a real core image ------------------------------------------------------------------------ */

static char directory[] = "/tmp/pgtls-vault-XXXXXX";

/* Not as they will be searched for. */
static void plant(char *to, const char *backwards)
{
    size_t n = strlen(backwards);

    for (size_t i = 0; i < n; i++)
        to[i] = backwards[n - 1 - i];
}

static void die(void)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    char *secret = vault_alloc(64), *witness = calloc(1, 64);

    expect(secret && witness && setrlimit(RLIMIT_CORE, &all) == 0 && chdir(directory) == 0, 3);
    plant(secret, "terces-eht-si-siht");
    plant(witness, "ssentiw-eht-si-siht");
    abort();
}

static bool holds(const char *image, size_t n, const char *text)
{
    return memmem(image, n, text, strlen(text)) != NULL;
}

/* The one file that is there; NULL when there is none. */
static char *read_image(size_t *n)
{
    DIR *listing = opendir(directory);
    char path[PATH_MAX] = "", *image = NULL;
    FILE *file;

    for (struct dirent *entry; (entry = readdir(listing));) {
        if (entry->d_name[0] != '.')
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    }
    closedir(listing);
    file = path[0] ? fopen(path, "re") : NULL;
    if (file && fseek(file, 0, SEEK_END) == 0) {
        *n = (size_t)ftell(file);
        image = malloc(*n);
        rewind(file);
        assert_non_null(image);
        assert_int_equal(fread(image, 1, *n, file), *n);
    }
    if (file)
        fclose(file);
    unlink(path);
    return image;
}

/* Limits and dumpability of the child are as they are of any program: what is left out is left out
 * because of the vault. Only where this machine writes images into the directory of who dies. */
static void test_core_image(void **state)
{
    char pattern[128] = "|", *image;
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
    size_t n = 0;
    pid_t child;
    int status;

    (void)state;
    if (file && !fgets(pattern, sizeof pattern, file))
        pattern[0] = '|';
    if (file)
        fclose(file);
    if (strpbrk(pattern, "|/"))
        skip();
    assert_non_null(mkdtemp(directory));
    child = fork();
    if (child == 0) {
        defuse();
        die();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    image = read_image(&n);
    rmdir(directory);
    if (!image)
        skip(); /* a limit that is not ours to lift */
    assert_true(holds(image, n, "this-is-the-witness"));
    assert_false(holds(image, n, "this-is-the-secret"));
    free(image);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifndef PGTLS_SANITIZED
        cmocka_unit_test(test_locked),        cmocka_unit_test(test_small_limit),
        cmocka_unit_test(test_no_limit_left), cmocka_unit_test(test_core_image),
#endif
        cmocka_unit_test(test_pieces),        cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
