/* Files that somebody else names. */
#include "pgtls/base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX 10000 /* more than is read at once */

static char directory[] = "/tmp/pgtls-file-XXXXXX", path[64];

static int make(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/file", directory);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void hold(size_t n)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    for (size_t i = 0; i < n; i++)
        fputc('a' + (int)(i % 26), file);
    assert_int_equal(fclose(file), 0);
}

static void all_of_it_is_read(void **state)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, MAX};
    char error[256] = "";

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf text = BUF_INIT(MAX);

        hold(sizes[i]);
        assert_true(file_append(path, &text, error, sizeof error));
        assert_int_equal(text.len, sizes[i]);
        for (size_t at = 0; at < text.len; at++)
            assert_int_equal(text.data[at], 'a' + (int)(at % 26));
        buf_deinit(&text);
    }
    assert_string_equal(error, "");
}

static void what_is_there_stays_and_counts(void **state)
{
    struct buf text = BUF_INIT(MAX);
    char error[256];

    (void)state;
    buf_add_str(&text, "before");
    hold(MAX - 6);
    assert_true(file_append(path, &text, error, sizeof error));
    assert_int_equal(text.len, MAX);
    assert_memory_equal(text.data, "beforeabc", 9);
    assert_false(file_append(path, &text, error, sizeof error)); /* there is no room any more */
    assert_non_null(strstr(error, ": longer than 0 bytes"));
    assert_false(text.failed);
    buf_deinit(&text);
}

static void assert_refused(const char *name, const char *why)
{
    struct buf text = BUF_INIT(MAX);
    char error[256];

    assert_false(file_append(name, &text, error, sizeof error));
    assert_memory_equal(error, name, strlen(name));
    assert_non_null(strstr(error, why));
    assert_int_equal(text.len, 0);
    assert_false(text.no_memory);
    buf_deinit(&text);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    hold(MAX + 1);
    assert_refused(path, ": longer than 10000 bytes");
    assert_refused(directory, ": a directory, not a regular file");
    assert_refused("/dev/zero", ": a character device, not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_refused(path, ": No such file or directory");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(path, ": a named pipe, not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_refused(path, ": a link to a file that does not exist");
    assert_int_equal(unlink(path), 0);
}

/* As those of /proc are: a size of 0 says nothing. */
static void a_file_longer_than_it_says(void **state)
{
    struct buf text = BUF_INIT(4);
    char error[256];

    (void)state;
    assert_false(file_append("/proc/self/status", &text, error, sizeof error));
    assert_string_equal(error, "/proc/self/status: longer than 4 bytes");
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_is_read),
        cmocka_unit_test(what_is_there_stays_and_counts),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(a_file_longer_than_it_says),
    };

    return cmocka_run_group_tests(tests, make, clear);
}
