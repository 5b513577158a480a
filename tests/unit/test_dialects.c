/* config/dsn: the strings of other drivers mean here what they mean there, and what such a driver
 * refuses or ignores is said. What is expected was tried with the drivers themselves where they
 * could be had; see src/config/dsn_dialects.c. */
#include "pgtls/base/arena.h"
#include "pgtls/config/dsn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *text;
    const char *params; /* "key=value key=value", in the order of the string; NULL: refused */
    const char *told;   /* part of the only notice, or of the error; NULL: no notice */
};

static const char *read_string(const char *text, char *told, size_t size)
{
    static char params[4096];
    struct arena *arena = arena_new();
    struct dsn dsn;
    bool ok;

    told[0] = params[0] = '\0';
    ok = dsn_parse(text, arena, &dsn, told, size);
    for (size_t i = 0; ok && i < dsn.n; i++) {
        size_t n = strlen(params);

        snprintf(params + n, sizeof params - n, "%s%s=%s", i ? " " : "", dsn.params[i].key,
                 dsn.params[i].value);
    }
    for (size_t i = 0; ok && i < dsn.n_notices; i++) {
        size_t n = strlen(told);

        snprintf(told + n, size - n, "%s%s", i ? "\n" : "", dsn.notices[i]);
    }
    arena_free(arena);
    return ok ? params : NULL;
}

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char told[2048];
        const char *params = read_string(rows[i].text, told, sizeof told);

        if (!params != !rows[i].params)
            fail_msg("%s: %s, told \"%s\"", rows[i].text, params ? "taken" : "refused", told);
        if (params && strcmp(params, rows[i].params) != 0)
            fail_msg("%s:\n  is     %s\n  wanted %s", rows[i].text, params, rows[i].params);
        if (rows[i].told ? !strstr(told, rows[i].told) || strchr(told, '\n') : told[0] != '\0')
            fail_msg("%s: told \"%s\"", rows[i].text, told);
        assert_null(strstr(told, "hunter2"));
    }
}
#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

static void test_sqlalchemy_urls(void **state)
{
    static const struct row rows[] = {
        {"postgresql+psycopg2://u:p%40ss@h:5433/db?sslmode=require&application_name=a+b",
         "user=u password=p@ss host=h port=5433 dbname=db sslmode=require application_name=a b",
         NULL},
        {"postgresql+psycopg://u@[::1]:5433/db", "user=u host=::1 port=5433 dbname=db", NULL},
        {"postgresql+aiopg://u:a/b:c@h/db", "user=u password=a/b:c host=h dbname=db", NULL},
        {"postgresql+asyncpg://h", "host=h", NULL},
        {"postgresql+psycopg2:///db?host=/run/postgresql&port=5433",
         "dbname=db host=/run/postgresql port=5433", NULL},
        {"postgresql+psycopg2://u@old:1/db?host=new", "user=u dbname=db port=1 host=new", NULL},
        {"postgresql+psycopg2://u@/db?host=a:1&host=b:2", "user=u dbname=db host=a,b port=1,2",
         NULL},
        {"postgresql+asyncpg://u@/db?host=a:1,[::2]:2,c&port=7",
         "user=u dbname=db host=a,::2,c port=1,2,7", NULL},
        {"postgresql+psycopg2://u@h/d%20b?flag&sslmode=", "user=u host=h dbname=d%20b", NULL},
        {"postgresql+psycopg2://u:hunter2%zz@h/db", NULL, "at byte 32: \"%\" must be followed"},
        {"postgresql+psycopg2://u@[::1/db", NULL, "at byte 25: this \"[\" is never closed"},
        {"postgresql+psycopg2://u@[::1]x/db", NULL, "at byte 30: only"},
        {"postgresql+psycopg2://u@h/db?sslmod=hunter2", NULL, "did you mean \"sslmode\"?"},
        {"postgresql+psycopg2://u@h/db?h%20unter2=1", NULL,
         "at byte 30: unknown parameter; psycopg hands it to libpq, which refuses it"},
        {"postgresql+psycopg://u@h/db?ssl=true", "user=u host=h dbname=db sslmode=require",
         "write sslmode=require"},
    };

    (void)state;
    CHECK(rows);
}

static void test_asyncpg_has_words_of_its_own(void **state)
{
    static const struct row rows[] = {
        {"postgresql+asyncpg://u@h/d?ssl=require", "user=u host=h dbname=d sslmode=require", NULL},
        {"postgresql+asyncpg://u@h/d?ssl=verify-full", "user=u host=h dbname=d sslmode=verify-full",
         NULL},
        {"postgresql+asyncpg://u@h/d?ssl=verify_ca", "user=u host=h dbname=d sslmode=verify-ca",
         NULL},
        {"postgresql+asyncpg://u@h/d?sslmode=require", "user=u host=h dbname=d sslmode=require",
         "asyncpg: \"sslmode\": SQLAlchemy hands it to asyncpg.connect(), which has no such "
         "argument, so that the application cannot connect; write ssl= with the same value"},
        {"postgresql+asyncpg://u@h/d?ssl=true", "user=u host=h dbname=d sslmode=verify-full",
         "cannot connect; write ssl=verify-full"},
        {"postgresql+asyncpg://u@h/d?ssl=hunter2", NULL,
         "asyncpg: \"ssl\": takes only disable, allow, prefer, require, verify-ca or verify-full"},
        {"postgresql+asyncpg://u@h/d?sslrootcert=/ca", "user=u host=h dbname=d sslrootcert=/ca",
         "SSLContext in connect_args"},
        {"postgresql+asyncpg://u@h/d?channel_binding=require",
         "user=u host=h dbname=d channel_binding=require",
         "asyncpg: \"channel_binding\": libpq's; this driver refuses it: connect() has no such "
         "argument; here it is read as libpq reads it"},
        {"postgresql+asyncpg://u@h/d?prepared_statement_cache_size=0", "user=u host=h dbname=d",
         NULL},
        {"postgresql+asyncpg://u@h/d?timeout=5", "user=u host=h dbname=d", "in a URL this is text"},
        {"postgresql+asyncpg://u@h/d?foo=5", NULL,
         "at byte 28: unknown parameter \"foo\"; asyncpg"},
    };

    (void)state;
    CHECK(rows);
}

static void test_pg8000_takes_no_tls_in_a_url(void **state)
{
    static const struct row rows[] = {
        {"postgresql+pg8000://u@h/d?ssl_context=True", "user=u host=h dbname=d sslmode=require",
         "give it in connect_args"},
        {"postgresql+pg8000://u@h/d?sslmode=verify-full",
         "user=u host=h dbname=d sslmode=verify-full", "connect_args={\"ssl_context\": …}"},
        {"postgresql+pg8000://u@h/d?unix_sock=/tmp/.s.PGSQL.5432", NULL, "give its directory"},
        {"postgresql+pg8000://u@h/d?application_name=x",
         "user=u host=h dbname=d application_name=x", NULL},
    };

    (void)state;
    CHECK(rows);
}

static void test_jdbc_urls(void **state)
{
    static const struct row rows[] = {
        {"jdbc:postgresql://a:5433,b/db?user=u&password=p%40x+y&ApplicationName=app",
         "host=a,b dbname=db user=u password=p@x y application_name=app port=5433,", NULL},
        {"jdbc:postgresql://[::1]:5/d%62?user=u", "host=::1 dbname=db user=u port=5", NULL},
        {"jdbc:postgresql:db?user=u", "host=localhost dbname=db user=u", NULL},
        {"jdbc:postgresql:///db", "host=localhost dbname=db", NULL},
        {"jdbc:postgresql:/", "host=localhost", NULL},
        {"jdbc:postgresql://h/d?ssl=true", "host=h dbname=d sslmode=verify-full", NULL},
        {"jdbc:postgresql://h/d?ssl", "host=h dbname=d sslmode=verify-full", NULL},
        {"jdbc:postgresql://h/d?ssl=false", "host=h dbname=d", NULL},
        {"jdbc:postgresql://h/d?ssl=true&sslmode=REQUIRE", "host=h dbname=d sslmode=require", NULL},
        {"jdbc:postgresql://h/d?sslmode=require&ssl=true", "host=h dbname=d sslmode=require", NULL},
        {"jdbc:postgresql://h/d?sslmode=hunter2", NULL, "takes only disable"},
        {"jdbc:postgresql://h/d?sslmode=verify-ca&sslrootcert=/ca",
         "host=h dbname=d sslmode=verify-ca sslrootcert=/ca", NULL},
        {"jdbc:postgresql://h/d?sslmode=require&sslrootcert=/ca", "host=h dbname=d sslmode=require",
         "not looked at by this driver unless its SSL mode verifies"},
        {"jdbc:postgresql://h/d?targetServerType=primary",
         "host=h dbname=d target_session_attrs=read-write", NULL},
        {"jdbc:postgresql://h/d?targetServerType=preferSecondary",
         "host=h dbname=d target_session_attrs=prefer-standby", NULL},
        {"jdbc:postgresql://h/d?targetServerType=hunter2", NULL, "takes only any"},
        {"jdbc:postgresql://h/"
         "d?loginTimeout=5&prepareThreshold=0&socketTimeout=9&tcpKeepAlive=true",
         "host=h dbname=d", NULL},
        {"jdbc:postgresql://h/d?sslMode=require", "host=h dbname=d",
         "pgJDBC: at byte 23: unknown property \"sslMode\"; the driver ignores it; did you mean "
         "\"sslmode\" (case matters)?"},
        {"jdbc:postgresql://h/d?password=a&hunter2=1", "host=h dbname=d password=a",
         "at byte 34: unknown property; the driver ignores it"},
        {"jdbc:postgresql://u:hunter2@h/d", NULL, "takes no user and password before the host"},
        {"jdbc:postgresql://u:hun/ter2@h/d", NULL, "in the name of the database"},
        {"jdbc:postgresql://h/d?password=%zz", NULL, "must be followed by two hexadecimal"},
    };

    (void)state;
    CHECK(rows);
}

/* The one that turns verification off without saying so. */
static void test_jdbcs_factory_that_validates_nothing(void **state)
{
    static const struct row rows[] = {
        {"jdbc:postgresql://h/d?ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory",
         "host=h dbname=d sslmode=require", "verification is off in the application"},
        {"jdbc:postgresql://h/d?sslfactory=org.postgresql.ssl.NonValidatingFactory&"
         "sslmode=verify-ca&sslrootcert=/ca",
         "host=h dbname=d sslmode=require", "verification is off in the application"},
        {"jdbc:postgresql://h/d?sslfactory=org.postgresql.ssl.NonValidatingFactory",
         "host=h dbname=d", "verification is off in the application"},
        {"jdbc:postgresql://h/d?ssl=true&sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory",
         "host=h dbname=d sslmode=verify-full", NULL},
        {"jdbc:postgresql://h/d?ssl=true&sslfactory=com.example.Hunter2",
         "host=h dbname=d sslmode=verify-full", "what a factory of its own trusts"},
    };

    (void)state;
    CHECK(rows);
}

static void test_npgsql_strings(void **state)
{
    static const struct row rows[] = {
        {"Host=h;Port=5433;Database=d;Username=u;Password=p;SSL Mode=VerifyFull;Root "
         "Certificate=/ca;Pooling=true;Maximum Pool Size=9",
         "host=h port=5433 dbname=d user=u password=p sslmode=verify-full sslrootcert=/ca", NULL},
        {" server = a:1 ; user id = u ; ", "host=a user=u port=1", NULL},
        {"server=a:1,b;port=7;user id=u;sslmode=require;",
         "host=a,b port=1,7 user=u sslmode=require", NULL},
        {"Host=/run/postgresql;Username=u", "host=/run/postgresql user=u", NULL},
        {"Host=h;Password=\"a;b\"\"c\";Username='it''s'", "host=h password=a;b\"c user=it's", NULL},
        {"Host=h;Password=\"hunter2", NULL, "this quote is never closed"},
        {"Host=h;Password=\"hunter2\"\"", NULL, "this quote is never closed"},
        {"Host=h;Password=\"\";Username=u", "host=h user=u", NULL},
        {"Host=h;Password=\"x\"hunter2;", NULL, "only \";\" may follow what is quoted"},
        {"Host=h;hunter2;x=y", NULL, "at byte 8: no \"=\""},
        {"Host=h;Password=a;Hunter2=y", NULL, "at byte 19: unknown parameter; Npgsql refuses it"},
        {"Host=h;SSL Mode=hunter2", NULL, "takes only Disable"},
        {"Host=h;Trust Server Certificate=true", "host=h", "Npgsql 8 and later ignore it"},
        {"Host=h;Root Certificate=/ca;SSL Mode=Require", "host=h sslmode=require",
         "write SSL Mode=VerifyFull"},
        /* libpq's, with a ";" in it */
        {"host=h password=a;b", "host=h password=a;b", NULL},
        {"password=a;port=5 host=h", "password=a;port=5 host=h", NULL},
        {"host=h;x", NULL, "at byte 8: no \"=\""},
    };

    (void)state;
    CHECK(rows);
}

static void test_words_of_drivers_that_read_plain_strings(void **state)
{
    static const struct row rows[] = {
        {"postgres://h/d?sslmode=no-verify", "host=h dbname=d sslmode=require",
         "node-postgres's word"},
        {"postgres://h/d?sslmode=require&pool_max_conns=5&connection_limit=1",
         "host=h dbname=d sslmode=require", NULL},
        {"postgres://h/d?sslaccept=strict", "host=h dbname=d", "sslmode=verify-full here"},
    };

    (void)state;
    CHECK(rows);
}

/* Every rule leads somewhere, and what is warned of or refused is explained. */
static void test_the_table_is_whole(void **state)
{
    const struct dsn_rule *rules;
    size_t n = dsn_rules(&rules);

    (void)state;
    assert_true(n > 50);
    for (size_t i = 0; i < n; i++) {
        const struct dsn_rule *rule = &rules[i];

        if (rule->key)
            assert_non_null(dsn_keyword(rule->key));
        if (rule->as)
            assert_non_null(rule->key);
        if (rule->fate != DSN_TAKEN && rule->fate != DSN_HOSTS)
            assert_non_null(rule->note);
        if (rule->fate == DSN_UNLESS || rule->fate == DSN_UNVERIFIED)
            assert_non_null(rule->as);
        assert_true(rule->dialects > 0 && rule->dialects < DSN_BIT(DSN_DIALECT_COUNT));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlalchemy_urls),
        cmocka_unit_test(test_asyncpg_has_words_of_its_own),
        cmocka_unit_test(test_pg8000_takes_no_tls_in_a_url),
        cmocka_unit_test(test_jdbc_urls),
        cmocka_unit_test(test_jdbcs_factory_that_validates_nothing),
        cmocka_unit_test(test_npgsql_strings),
        cmocka_unit_test(test_words_of_drivers_that_read_plain_strings),
        cmocka_unit_test(test_the_table_is_whole),
    };

    return cmocka_run_group_tests_name("dialects", tests, NULL, NULL);
}
