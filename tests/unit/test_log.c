/* The log's way out: nobody waits for its reader, and what is lost is counted to the line. */
#include "pgtls/base/log.h"

#include "pgtls/base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LINES 6000 /* of more than a KiB each: far beyond what waits and what a pipe holds */

static int saved;

static int keep_stderr(void **state)
{
    (void)state;
    saved = dup(STDERR_FILENO);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    return saved < 0;
}

static int restore_stderr(void **state)
{
    (void)state;
    dup2(saved, STDERR_FILENO);
    return close(saved);
}

static void send_stderr_to(int fd)
{
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
}

static void log_lines(int n)
{
    static char text[1024 + 1];

    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < n; i++)
        LOG(INFO, "A line", {"text", text});
}

struct reader {
    int fd;
    unsigned long lines, told; /* "A line"; what the notices say was lost */
};

static void take_line(struct reader *r, const char *line)
{
    const char *lost = strstr(line, "msg=\"Lines of the log were lost\" lines=");

    if (lost)
        r->told += strtoul(strrchr(lost, '=') + 1, NULL, 10);
    else if (strstr(line, "msg=\"A line\""))
        r->lines++;
    else
        fail_msg("what is this? %s", line);
}

static void *read_all(void *context)
{
    struct reader *r = context;
    FILE *file = fdopen(r->fd, "r");
    static char line[8192];

    while (file && fgets(line, sizeof line, file))
        take_line(r, line);
    if (file)
        fclose(file);
    return NULL;
}

static void test_a_reader_that_stops(void **state)
{
    struct reader reader = {0};
    uint64_t before = log_lost(), lost;
    pthread_t thread;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    send_stderr_to(fds[1]);
    reader.fd = fds[0];
    assert_true(log_start());
    log_lines(LINES); /* returns, though nobody reads */
    lost = log_lost() - before;
    assert_true(lost > LINES / 2 && lost < LINES);
    assert_false(log_stop(10 * NS_PER_MS)); /* does not wait for ever, either */

    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    assert_true(log_stop(60 * NS_PER_S));
    log_lines(1); /* as before log_start: at once */
    dup2(saved, STDERR_FILENO);
    pthread_join(thread, NULL);
    assert_int_equal(reader.lines, LINES - lost + 1);
    assert_int_equal(reader.told, lost);
}

static void test_a_full_disk(void **state)
{
    struct reader reader = {0};
    uint64_t before = log_lost();
    pthread_t thread;
    int fds[2];

    (void)state;
    send_stderr_to(open("/dev/full", O_WRONLY | O_CLOEXEC));
    assert_true(log_start());
    log_lines(5);
    assert_true(log_stop(60 * NS_PER_S));
    assert_int_equal(log_lost() - before, 5);

    assert_int_equal(pipe(fds), 0); /* there is room again */
    send_stderr_to(fds[1]);
    reader.fd = fds[0];
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    assert_true(log_start());
    log_lines(3);
    assert_true(log_stop(60 * NS_PER_S));
    dup2(saved, STDERR_FILENO);
    pthread_join(thread, NULL);
    assert_int_equal(reader.lines, 3);
    assert_int_equal(reader.told, 5);
    assert_int_equal(log_lost() - before, 5);
}

static void expect_line(int fd, const char *begin, const char *middle)
{
    char line[1024];
    ssize_t n = read(fd, line, sizeof line - 1);

    assert_true(n > 0);
    line[n] = '\0';
    assert_memory_equal(line, begin, strlen(begin));
    assert_non_null(strstr(line, middle));
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
}

/* What journald takes off is in front of the whole line, whatever its format. */
static void test_priorities(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    send_stderr_to(fds[1]);
    for (int format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
        bool json = format == LOG_FORMAT_JSON;

        log_setup(LOG_LEVEL_DEBUG, (enum log_format)format);
        log_show_priority(true);
        LOG(DEBUG, "d", {NULL, NULL});
        expect_line(fds[0], json ? "<7>{\"time\":\"" : "<7>time=", "DEBUG");
        LOG(INFO, "i", {NULL, NULL});
        expect_line(fds[0], json ? "<6>{\"time\":\"" : "<6>time=", "INFO");
        LOG(WARN, "w", {NULL, NULL});
        expect_line(fds[0], json ? "<4>{\"time\":\"" : "<4>time=", "WARN");
        LOG(ERROR, "e", {NULL, NULL});
        expect_line(fds[0], json ? "<3>{\"time\":\"" : "<3>time=", "ERROR");
        log_show_priority(false);
        LOG(ERROR, "e", {"of", "two"});
        expect_line(fds[0], json ? "{\"time\":\"" : "time=", json ? ",\"of\":\"two\"}" : " of=two");
    }
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_reader_that_stops, keep_stderr, restore_stderr),
        cmocka_unit_test_setup_teardown(test_a_full_disk, keep_stderr, restore_stderr),
        cmocka_unit_test_setup_teardown(test_priorities, keep_stderr, restore_stderr),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
