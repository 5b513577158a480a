/* config/secret: files, environment and passfiles, read as libpq would and never more. */
#include "pgtls/config/secret.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>

static char directory[] = "/tmp/pgtls-test-secret-XXXXXX";
static char path[64];

static void write_bytes(const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static const struct server server = {
    .host = "db.example", .port = 5432, .dbname = "orders", .user = "monitor"};

static bool read_file_with(const void *bytes, size_t len, struct secret *secret, char error[256])
{
    struct secret_ref ref = {SECRET_FILE, path};

    write_bytes(bytes, len);
    return secret_read(&ref, &server, secret, error, 256);
}

static void test_file_loses_one_newline(void **state)
{
    static const struct {
        const char *bytes, *secret;
    } rows[] = {
        {"hunter2", "hunter2"}, {"hunter2\n", "hunter2"},   {"hunter2\r\n", "hunter2"},
        {" a b \n", " a b "},   {"hunter2\r", "hunter2\r"}, {"caf\xc3\xa9\n", "caf\xc3\xa9"},
    };
    struct secret secret;
    char error[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(read_file_with(rows[i].bytes, strlen(rows[i].bytes), &secret, error));
        assert_true(secret.present);
        assert_string_equal(secret.text, rows[i].secret);
    }
}

static void test_file_that_is_no_secret(void **state)
{
    static char big[SECRET_MAX_BYTES + 64];
    struct secret_ref ref = {SECRET_FILE, "/nonexistent/password"};
    struct secret secret;
    char error[256];

    (void)state;
    memset(big, 'x', sizeof big);
    assert_true(read_file_with(big, SECRET_MAX_BYTES, &secret, error));
    assert_int_equal(strlen(secret.text), SECRET_MAX_BYTES);
    big[SECRET_MAX_BYTES] = '\n';
    assert_true(read_file_with(big, SECRET_MAX_BYTES + 1, &secret, error));
    big[SECRET_MAX_BYTES] = 'x';
    assert_false(read_file_with(big, SECRET_MAX_BYTES + 1, &secret, error));
    assert_non_null(strstr(error, "longer than 4096 bytes"));
    assert_false(secret.present);
    assert_false(read_file_with(big, sizeof big, &secret, error));
    assert_false(read_file_with("hunter2\0x", 9, &secret, error));
    assert_non_null(strstr(error, "holds a NUL byte"));
    assert_null(strstr(error, "hunter2"));
    assert_false(read_file_with("", 0, &secret, error));
    assert_non_null(strstr(error, "empty"));
    assert_false(read_file_with("\n", 1, &secret, error));
    assert_false(read_file_with("hunter2\n\n", 9, &secret, error));
    assert_non_null(strstr(error, "more than one line"));
    assert_false(read_file_with("hunter2\nsecond", 14, &secret, error));
    assert_null(strstr(error, "hunter2"));
    assert_false(secret.present);
    assert_false(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_string_equal(error, "/nonexistent/password: No such file or directory");
}

/* None of them may block, nor be read to its end, and each is named. */
static void test_what_is_no_file(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct secret_ref ref = {SECRET_FILE, directory};
    struct secret secret;
    char error[256];
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    alarm(5);
    assert_false(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_non_null(strstr(error, ": a directory, not a regular file"));
    ref.value = "/dev/zero";
    assert_false(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_string_equal(error, "/dev/zero: a character device, not a regular file");
    ref.value = path;
    unlink(path);
    assert_int_equal(symlink("/nonexistent/password", path), 0);
    assert_false(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_non_null(strstr(error, ": a link to a file that does not exist"));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_non_null(strstr(error, ": a named pipe, not a regular file"));
    unlink(path);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
    assert_false(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_non_null(strstr(error, ": a socket, not a regular file"));
    alarm(0);
    close(sock);
    unlink(path);
}

static void test_environment(void **state)
{
    struct secret_ref ref = {SECRET_ENVIRONMENT, "PGTLS_TEST_SECRET"};
    struct secret secret;
    char error[256];

    (void)state;
    unsetenv("PGTLS_TEST_SECRET");
    assert_false(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_string_equal(error, "environment variable PGTLS_TEST_SECRET is not set");
    setenv("PGTLS_TEST_SECRET", "", 1);
    assert_false(secret_read(&ref, &server, &secret, error, sizeof error));
    setenv("PGTLS_TEST_SECRET", "hunter2", 1);
    assert_true(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_string_equal(secret.text, "hunter2");
    secret_wipe(&secret);
    assert_false(secret.present);
    assert_int_equal(secret.text[0], 0);
    setenv("PGTLS_TEST_SECRET", "hunter2\n", 1);
    assert_false(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_string_equal(error,
                        "environment variable PGTLS_TEST_SECRET has more than one line; a secret "
                        "is one");
    ref = (struct secret_ref){SECRET_NONE, NULL};
    assert_true(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_false(secret.present);
}

/* What libpq itself finds in the passfile; NULL when nothing. It looks when a connection begins,
 * before a packet has come back. */
static char *ask_libpq(const struct server *s)
{
    const char *const names[] = {"host", "hostaddr", "port",    "dbname",
                                 "user", "passfile", "sslmode", NULL};
    const char *const values[] = {s->host, "127.0.0.1", "5432",    s->dbname,
                                  s->user, path,        "disable", NULL};
    PGconn *conn = PQconnectStartParams(names, values, 0);
    const char *password = PQpass(conn);
    char *copy = password && password[0] != '\0' ? strdup(password) : NULL;

    PQfinish(conn);
    return copy;
}

static void test_passfile_is_matched_as_libpq_does(void **state)
{
    static const struct {
        const char *lines, *host, *database, *user;
        const char *secret; /* NULL: no line for us */
    } rows[] = {
        {"db:5432:orders:monitor:pw\n", "db", "orders", "monitor", "pw"},
        {"db:5432:orders:monitor:pw", "db", "orders", "monitor", "pw"},
        {"db:5432:orders:monitor:pw\r\n", "db", "orders", "monitor", "pw"},
        {"db:5433:orders:monitor:pw\n", "db", "orders", "monitor", NULL},
        {"*:*:*:*:pw\n", "db", "orders", "monitor", "pw"},
        {"*:*:*:other:no\ndb:*:*:monitor:yes\n*:*:*:*:no\n", "db", "orders", "monitor", "yes"},
        {"d*:5432:orders:monitor:pw\n", "db", "orders", "monitor", NULL},
        {"*x:*:*:*:pw\n", "*x", "orders", "monitor", "pw"},
        {"#db:5432:orders:monitor:no\n\ndb:*:*:*:yes\n", "db", "orders", "monitor", "yes"},
        {"\\:\\:1:*:*:*:pw\n", "::1", "orders", "monitor", "pw"},
        {"::1:*:*:*:pw\n", "::1", "orders", "monitor", "pw"},
        {"db:*:or\\:ders:*:pw\n", "db", "or:ders", "monitor", "pw"},
        {"db:*:a\\\\b:*:pw\n", "db", "a\\b", "monitor", "pw"},
        {"db:*:*:*:p\\:w\\\\x\n", "db", "orders", "monitor", "p:w\\x"},
        {"db:*:*:*:pw:rest\n", "db", "orders", "monitor", "pw"},
        {"db:*:*:*:pw\\\n", "db", "orders", "monitor", "pw\\"},
        {"db:*:*:*:\n", "db", "orders", "monitor", NULL},
        {"localhost:*:*:*:pw\n", "/var/run/postgresql", "orders", "monitor", "pw"},
        {"localhost:*:*:*:pw\n", "/srv/socket", "orders", "monitor", NULL},
        {"/srv/socket:*:*:*:pw\n", "/srv/socket", "orders", "monitor", "pw"},
        {"db:5432:orders\n", "db", "orders", "monitor", NULL},
        {"db:5432:orders:monitor", "db", "orders", "monitor", NULL},
        {"db:5432:orders:monitor\\", "db", "orders", "monitor", NULL},
        {"dbx:*:*:*:pw\n", "db", "orders", "monitor", NULL},
        {"d:*:*:*:pw\n", "db", "orders", "monitor", NULL},
        {"", "db", "orders", "monitor", NULL},
        {"*:*:*:*:pw\n", "db", "orders", NULL, NULL},
    };
    struct secret_ref ref = {SECRET_PASSFILE, path};
    struct secret secret;
    char error[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server s = {
            .host = rows[i].host, .port = 5432, .dbname = rows[i].database, .user = rows[i].user};

        write_bytes(rows[i].lines, strlen(rows[i].lines));
        assert_true(secret_read(&ref, &s, &secret, error, sizeof error));
        if (secret.present != (rows[i].secret != NULL))
            fail_msg("row %zu: %s", i, rows[i].lines);
        assert_string_equal(secret.text, rows[i].secret ? rows[i].secret : "");
        if (rows[i].user) {
            char *theirs = ask_libpq(&s);

            assert_string_equal(secret.text, theirs ? theirs : "");
            free(theirs);
        }
    }
}

static void test_passfile_password_too_long(void **state)
{
    static char line[SECRET_MAX_BYTES + 32];
    struct secret_ref ref = {SECRET_PASSFILE, path};
    struct secret secret;
    char error[256];

    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "*:*:*:*:", 8);
    write_bytes(line, sizeof line);
    assert_false(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_non_null(strstr(error, "longer than 4096 bytes"));
    assert_false(secret.present);
    write_bytes(line, 8 + SECRET_MAX_BYTES);
    assert_true(secret_read(&ref, &server, &secret, error, sizeof error));
    assert_int_equal(strlen(secret.text), SECRET_MAX_BYTES);
}

static void test_generation_follows_the_files(void **state)
{
    const struct timespec times[2] = {{1700000000, 0}, {1700000000, 0}};
    char other[80], link_path[80];
    struct server s = {.password = {SECRET_FILE, path}};
    struct server linked = {.sslpassword = {SECRET_FILE, link_path}};
    const struct server with_key = {.sslkey = path};
    uint64_t before, key_before, linked_before, none;

    (void)state;
    snprintf(other, sizeof other, "%s/other", directory);
    snprintf(link_path, sizeof link_path, "%s/link", directory);
    write_bytes("one", 3);
    before = secret_generation(&s);
    key_before = secret_generation(&with_key);
    assert_true(before == secret_generation(&s));
    assert_int_equal(symlink(path, link_path), 0);
    write_bytes("other", 5);
    assert_true(before != secret_generation(&s));
    assert_true(key_before != secret_generation(&with_key));
    /* A link that is swapped, as Kubernetes does with ..data, to a file that looks the same. */
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    linked_before = secret_generation(&linked);
    before = secret_generation(&s);
    assert_int_equal(rename(path, other), 0);
    none = secret_generation(&s);
    assert_true(none != before);
    write_bytes("three", 5);
    assert_true(none != secret_generation(&s));
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(symlink(path, link_path), 0);
    assert_true(linked_before != secret_generation(&linked));
    /* What is in no file cannot change. */
    s.password = (struct secret_ref){SECRET_ENVIRONMENT, "PGTLS_TEST_SECRET"};
    before = secret_generation(&s);
    assert_true(before == secret_generation(&s));
    unlink(link_path);
    unlink(other);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/secret", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_loses_one_newline),
        cmocka_unit_test(test_file_that_is_no_secret),
        cmocka_unit_test(test_what_is_no_file),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_passfile_is_matched_as_libpq_does),
        cmocka_unit_test(test_passfile_password_too_long),
        cmocka_unit_test(test_generation_follows_the_files),
    };

    return cmocka_run_group_tests_name("secret", tests, setup, teardown);
}
