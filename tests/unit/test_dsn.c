/* config/dsn: the same answers as libpq, and errors that never show a password. */
#include "pgtls/base/arena.h"
#include "pgtls/config/dsn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libpq-fe.h>

/* Good and bad ones; what is expected of each is asked of libpq. */
static const char *const strings[] = {
    "",
    "   ",
    "host=localhost",
    "host=localhost port=5432 dbname=mydb connect_timeout=10",
    "  host = localhost   port\t=\n5432 ",
    "host=a host=b",
    "user='with space' password='it\\'s' dbname=x",
    "user='a'dbname=b",
    "user=a\\ b\\\\c",
    "user=a\\",
    "user='a\\",
    "user='never closed",
    "user='' host=x",
    "host= port=5",
    "host=",
    "host",
    "host localhost",
    "=x",
    "host=x=y",
    "host==y",
    "nonsense=1",
    "HOST=x",
    "requiressl=1",
    "requiressl=0",
    "options='-c geqo=off'",
    "options=-c\\ geqo=off",
    "hostaddr=1.2.3.4 sslmode=verify-full sslrootcert=/x sslsni=0",
    "password='; rm -rf'",
    "postgresql://",
    "postgres://",
    "postgresql:///",
    "postgresql:///mydb",
    "postgresql://localhost",
    "postgresql://localhost:5433",
    "postgresql://localhost/mydb",
    "postgresql://user@localhost",
    "postgresql://user:secret@localhost",
    "postgresql://user:@localhost",
    "postgresql://:secret@localhost",
    "postgresql://@localhost",
    "postgresql://:@",
    "postgresql://user:se:cret@localhost",
    "postgresql://user:secret@other@localhost/otherdb?connect_timeout=10",
    "postgresql://other@localhost/otherdb?application_name=myapp&connect_timeout=10",
    "postgresql://host1:123,host2:456/somedb?target_session_attrs=any&application_name=myapp",
    "postgresql://h1,h2,h3",
    "postgresql://h1,,h3:5",
    "postgresql://h1:,h2:",
    "postgresql://,",
    "postgresql://:5432",
    "postgresql://:1,:2/db",
    "postgresql://[2001:db8::1234]/database",
    "postgresql://[::1]:5432,[::2]:5433/db",
    "postgresql://[::1",
    "postgresql://[]",
    "postgresql://[::1]x",
    "postgresql://u@[::1]?user=other",
    "postgresql://[fe80::1%25eth0]:1",
    "postgresql:///dbname?host=/var/lib/postgresql",
    "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname",
    "postgresql://u%40ser:p%2Fa%3Ass%25@host/d%62",
    "postgresql://u%zz@h",
    "postgresql://u%2@h",
    "postgresql://u%",
    "postgresql://h%00",
    "postgresql://h/%00",
    "postgresql://h/d?sslmode=a%00b",
    "postgresql://h?ssl=true",
    "postgresql://h?ssl=false",
    "postgresql://h?ssl=TRUE",
    "postgresql://h?sslmode=require&sslmode=verify-ca",
    "postgresql://h?",
    "postgresql://h/?",
    "postgresql://h/db?user=x&",
    "postgresql://h/db?&user=x",
    "postgresql://h/db?user=x&&port=5",
    "postgresql://h/db?user",
    "postgresql://h/db?user=a=b",
    "postgresql://h/db?user=",
    "postgresql://h/db?=x",
    "postgresql://h/db?us%65r=x",
    "postgresql://h/db?nonsense=1",
    "postgresql://h/db?host=other&port=7",
    "postgresql://h/a/b/c",
    "postgresql://h/db#fragment",
    "postgresql://h?dbname=x/y",
    "postgresql://h/db?password=p@ss",
    "postgres://user@host:65536/x",
    "postgres://host:port/x",
    "postgresql://h:1:2/db",
};

/* libpq's answer, as "key=value\n" in its order; NULL when it refuses. */
static char *ask_libpq(const char *text)
{
    char *error = NULL, *answer = calloc(1, 4096);
    PQconninfoOption *options = PQconninfoParse(text, &error);

    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        size_t n = strlen(answer);

        if (o->val)
            snprintf(answer + n, 4096 - n, "%s=%s\n", o->keyword, o->val);
    }
    PQfreemem(error);
    PQconninfoFree(options);
    if (options)
        return answer;
    free(answer);
    return NULL;
}

/* Ours in the same shape and order. */
static char *ask_us(const char *text, char *error, size_t size)
{
    struct arena *arena = arena_new();
    struct dsn dsn;
    char *answer = calloc(1, 4096);
    PQconninfoOption *order = PQconndefaults();
    bool ok = dsn_parse(text, arena, &dsn, error, size);
    size_t found = 0;

    for (PQconninfoOption *o = order; ok && o->keyword; o++) {
        const char *value = dsn_get(&dsn, o->keyword);
        size_t n = strlen(answer);

        if (!value)
            continue;
        snprintf(answer + n, 4096 - n, "%s=%s\n", o->keyword, value);
        found++;
    }
    if (ok)
        assert_int_equal(found, dsn.n);
    PQconninfoFree(order);
    arena_free(arena);
    if (ok)
        return answer;
    free(answer);
    return NULL;
}

static void test_reads_what_libpq_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        char error[256] = "";
        char *theirs = ask_libpq(strings[i]), *ours = ask_us(strings[i], error, sizeof error);

        if (!theirs != !ours)
            fail_msg("%s: libpq %s, we %s %s", strings[i], theirs ? "accepts" : "refuses",
                     ours ? "accept" : "refuse", error);
        if (theirs && ours)
            assert_string_equal(ours, theirs);
        assert_true(ours || error[0] != '\0');
        free(theirs);
        free(ours);
    }
}

/* Deviations on purpose. */
static void test_is_stricter_where_a_password_would_show(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"postgresql://user:pa/ss@host/db",
         "at byte 21: an \"@\" comes after this \"/\"; in a password \"/\" is written %2F, in the "
         "name of a database \"@\" is written %40"},
        {"postgresql://h/a b", "at byte 17: a space in a URI; write it as %20"},
        {"postgresql://a b/c", "a space in a URI; write it as %20"},
        {"postgresql+nodriver://h/db",
         "at byte 1: unknown kind of URI; it starts with postgresql://, postgres://, "
         "jdbc:postgresql:// or SQLAlchemy's postgresql+driver:// (asyncpg, psycopg, psycopg2, "
         "aiopg, pg8000)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char error[256] = "";

        assert_null(ask_us(rows[i].text, error, sizeof error));
        assert_string_equal(error, rows[i].error);
    }
}

static void test_errors_name_the_place_and_never_a_secret(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"host=a sslmod=require",
         "at byte 8: unknown parameter \"sslmod\"; did you mean \"sslmode\"?"},
        {"postgres://u@h/d?sslmode=require&nonsense=3",
         "at byte 34: unknown parameter \"nonsense\"; libpq has none of this name"},
        {"postgres://u:x@h?a%20b=1", "at byte 18: unknown parameter; libpq has none of this name"},
        {"postgres://h?password=x&hunter2=z",
         "at byte 25: unknown parameter; libpq has none of this name"},
        {"password=hunter2 hunter2 host=x",
         "at byte 18: no \"=\" after this word; a value that holds spaces is written 'in quotes'"},
        {"password=a hunter2=b", "at byte 12: unknown parameter; libpq has none of this name"},
        {"password='hunter2", "at byte 10: this quote is never closed"},
        {"postgres://u:hunter2%zz@h",
         "at byte 21: \"%\" must be followed by two hexadecimal digits; a percent sign itself is "
         "written %25"},
        {"postgres://u:x@y?hunter2@h/db",
         "at byte 18: no \"=\" in this parameter; \"?\" and \"&\" in a user name or password are "
         "written %3F and %26"},
        {"postgres://u:x@y?hunter2=z@h/db",
         "at byte 18: unknown parameter; libpq has none of this name"},
        {"postgres://u:x@y?user=hunter2=z",
         "at byte 30: a second \"=\" in one parameter; write it as %3D"},
        {"postgres://u:x@[::1", "at byte 16: this \"[\" is never closed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char error[256] = "";

        assert_null(ask_us(rows[i].text, error, sizeof error));
        assert_string_equal(error, rows[i].error);
        assert_null(strstr(error, "hunter2"));
    }
}

static void test_long_strings_are_refused(void **state)
{
    char *text = malloc(DSN_MAX_BYTES + 2), error[64];

    (void)state;
    memset(text, ' ', DSN_MAX_BYTES + 1);
    text[DSN_MAX_BYTES + 1] = '\0';
    assert_null(ask_us(text, error, sizeof error));
    assert_string_equal(error, "8193 bytes long; at most 8192 are read");
    text[DSN_MAX_BYTES] = '\0';
    free(ask_us(text, error, sizeof error));
    free(text);
}

/* A keyword that this libpq knows and we do not would be "unknown" here and fine there. */
static void test_every_keyword_of_libpq_has_a_fate(void **state)
{
    PQconninfoOption *all = PQconndefaults();

    (void)state;
    for (PQconninfoOption *o = all; o->keyword; o++) {
        const struct dsn_keyword *keyword = dsn_keyword(o->keyword);

        if (!keyword)
            fail_msg("no fate for %s", o->keyword);
        assert_int_equal(keyword->fate == DSN_USED, keyword->note == NULL);
    }
    PQconninfoFree(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_libpq_reads),
        cmocka_unit_test(test_is_stricter_where_a_password_would_show),
        cmocka_unit_test(test_errors_name_the_place_and_never_a_secret),
        cmocka_unit_test(test_long_strings_are_refused),
        cmocka_unit_test(test_every_keyword_of_libpq_has_a_fate),
    };

    return cmocka_run_group_tests_name("dsn", tests, NULL, NULL);
}
