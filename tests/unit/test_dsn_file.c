/* config/values_file: a connection string or a user's name that stands elsewhere. */
#include "pgtls/config/config.h"
#include "pgtls/config/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/pgtls-dsn-file-XXXXXX";
static struct config_messages messages;

static void write_file(const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A configuration that stands beside the files. */
static struct endpoint_set *load(const char *text)
{
    char name[256];

    snprintf(name, sizeof name, "%s/pgtls.yml", directory);
    config_messages_deinit(&messages);
    return config_load_text(name, text, strlen(text), &messages);
}

static bool told(const char *part)
{
    for (size_t i = 0; i < messages.n; i++) {
        assert_null(strstr(messages.items[i].text, "hunter2"));
        if (strstr(messages.items[i].text, part))
            return true;
    }
    return false;
}

static void refuses(const char *text, const char *why)
{
    struct endpoint_set *set = load(text);

    if (set || !told(why))
        fail_msg("%s: %s", text, messages.n ? messages.items[0].text : "taken");
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = {"dsn", "user", "a.dsn", "b c.dsn", "pgtls.yml"};

    (void)state;
    config_messages_deinit(&messages);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256];

        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

static void test_a_string_in_a_file(void **state)
{
    struct endpoint_set *set;
    char path[256];

    (void)state;
    write_file("dsn", "postgresql+asyncpg://app:hunter2@db.example:5433/x?ssl=require\n");
    set = load("clusters: [{name: a, dsn_file: dsn}]");
    assert_non_null(set);
    assert_string_equal(set->servers[0].name, "db.example:5433");
    assert_string_equal(set->servers[0].user, "app");
    assert_int_equal(set->servers[0].sslmode, SSLMODE_REQUIRE);
    assert_int_equal(set->servers[0].password.source, SECRET_INLINE);
    assert_string_equal(set->servers[0].password.value, "hunter2");
    assert_int_equal(messages.n, 0); /* a password there stands in no configuration file */
    snprintf(path, sizeof path, "%s/dsn", directory);
    assert_non_null(set->depends_on);
    assert_string_equal(set->depends_on->path, path);
    assert_null(set->depends_on->next);
    endpoint_set_unref(set);
}

static void test_a_string_in_the_environment(void **state)
{
    struct endpoint_set *set;

    (void)state;
    setenv("PGTLS_TEST_DSN", "host=db.example user=app password=hunter2", 1);
    set = load("clusters: [{name: a, dsn_env: PGTLS_TEST_DSN}]");
    assert_non_null(set);
    assert_string_equal(set->servers[0].host, "db.example");
    assert_int_equal(messages.n, 0);
    assert_null(set->depends_on);
    endpoint_set_unref(set);
    unsetenv("PGTLS_TEST_DSN");
    refuses("clusters: [{name: a, dsn_env: PGTLS_TEST_DSN}]",
            "dsn_env: environment variable PGTLS_TEST_DSN is not set");
    refuses("clusters: [{name: a, dsn_env: $X}]", "write it without \"$\"");
}

static void test_a_user_in_a_file(void **state)
{
    struct endpoint_set *set;

    (void)state;
    write_file("user", "monitor\n");
    set = load("clusters: [{name: a, host: h, user_file: user}]");
    assert_non_null(set);
    assert_string_equal(set->servers[0].user, "monitor");
    assert_string_equal(set->servers[0].dbname, "monitor");
    assert_non_null(set->depends_on);
    endpoint_set_unref(set);
    write_file("user", "two\nlines\n");
    refuses("clusters: [{name: a, host: h, user_file: user}]", "more than one line");
}

static void test_each_endpoint_of_a_template_has_its_own(void **state)
{
    struct endpoint_set *set;

    (void)state;
    write_file("a.dsn", "postgresql://u@one.example/x");
    write_file("b c.dsn", "postgresql://u@two.example/x"); /* a path, not a part of a URL */
    set = load("templates: {t: {dsn_file: '{cluster}.dsn'}}\n"
               "clusters: [{name: a, template: t}, {name: b c, template: t}]");
    assert_non_null(set);
    assert_string_equal(set->servers[0].host, "one.example");
    assert_string_equal(set->servers[1].host, "two.example");
    endpoint_set_unref(set);
}

static void test_what_is_wrong_is_said_without_the_string(void **state)
{
    (void)state;
    write_file("dsn", "postgresql://app:hunter2@h/db?hunter2");
    refuses("clusters: [{name: a, dsn_file: dsn}]", "dsn_file: at byte 31: no \"=\"");
    write_file("dsn", "");
    refuses("clusters: [{name: a, dsn_file: dsn}]", "dsn: empty");
    refuses("clusters: [{name: a, dsn_file: nowhere}]", "nowhere: No such file or directory");
    refuses("clusters: [{name: a, dsn_file: /}]", "dsn_file: /");
    refuses("clusters: [{name: a, dsn: 'host=h', dsn_file: dsn}]", "say");
    write_file("dsn", "host=h user=u");
    refuses("clusters: [{name: a, user: x, dsn_file: dsn}]", "says it, too");
}

static void test_a_change_shows(void **state)
{
    struct config_source *source = config_source_new();
    struct endpoint_set *set;
    uint64_t before;
    char path[256];

    (void)state;
    write_file("dsn", "host=h user=u");
    write_file("pgtls.yml", "clusters: [{name: a, dsn_file: dsn}]");
    snprintf(path, sizeof path, "%s/pgtls.yml", directory);
    assert_true(config_source_add_path(source, path));
    config_source_read(source);
    config_messages_deinit(&messages);
    set = config_source_build(source, &messages);
    assert_non_null(set);
    endpoint_set_unref(set);
    before = config_source_fingerprint(source);
    assert_true(before == config_source_fingerprint(source));
    write_file("dsn", "host=other user=u");
    assert_true(before != config_source_fingerprint(source));
    config_messages_deinit(&messages);
    set = config_source_build(source, &messages);
    assert_non_null(set);
    assert_string_equal(set->servers[0].host, "other");
    endpoint_set_unref(set);
    config_source_free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_string_in_a_file),
        cmocka_unit_test(test_a_string_in_the_environment),
        cmocka_unit_test(test_a_user_in_a_file),
        cmocka_unit_test(test_each_endpoint_of_a_template_has_its_own),
        cmocka_unit_test(test_what_is_wrong_is_said_without_the_string),
        cmocka_unit_test(test_a_change_shows),
    };

    return cmocka_run_group_tests_name("dsn_file", tests, setup, teardown);
}
