/* pg/wire: what is sent byte by byte, and messages of servers, well-formed and not. */
#include "pgtls/pg/wire.h"

#include "pgtls/model/evidence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A string literal with NULs inside as bytes, without the one the compiler adds. */
#define BYTES(literal) ((const unsigned char *)(literal)), sizeof(literal) - 1

static void test_fixed_requests(void **state)
{
    (void)state;
    assert_memory_equal(wire_ssl_request, "\x00\x00\x00\x08\x04\xd2\x16\x2f", 8);
    assert_memory_equal(wire_terminate, "X\x00\x00\x00\x04", 5);
}

static void test_startup_message(void **state)
{
    static const char expected[] = "\x00\x00\x00\x44\x00\x03\x00\x00"
                                   "user\0app\0database\0db\0"
                                   "application_name\0pgtls\0options\0-c a=b\0";
    unsigned char to[128];
    size_t n = wire_startup(to, sizeof to, "app", "db", "pgtls", "-c a=b");

    (void)state;
    assert_int_equal(n, sizeof expected); /* the literal's own NUL is the terminator */
    assert_memory_equal(to, expected, n);
    n = wire_startup(to, sizeof to, "app", NULL, NULL, NULL);
    assert_int_equal(n, 8 + 9 + 1);
    assert_memory_equal(to, "\x00\x00\x00\x12\x00\x03\x00\x00user\0app\0", n);
}

static void test_startup_message_that_does_not_fit(void **state)
{
    static char text[WIRE_MAX_STARTUP_BYTES + 1];
    static unsigned char to[2 * WIRE_MAX_STARTUP_BYTES];
    size_t most = WIRE_MAX_STARTUP_BYTES - 8 - sizeof "user" - 1 - 1;

    (void)state;
    assert_int_equal(wire_startup(to, 17, "app", NULL, NULL, NULL), 0);
    assert_int_equal(wire_startup(to, 18, "app", NULL, NULL, NULL), 18);
    assert_int_equal(wire_startup(to, 7, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(wire_startup(to, 8, NULL, NULL, NULL, NULL), 0);
    memset(text, 'u', most);
    assert_int_equal(wire_startup(to, sizeof to, text, NULL, NULL, NULL), WIRE_MAX_STARTUP_BYTES);
    text[most] = 'u';
    assert_int_equal(wire_startup(to, sizeof to, text, NULL, NULL, NULL), 0);
}

static void test_next_message(void **state)
{
    static const struct {
        const char *name;
        const unsigned char *bytes;
        size_t len;
        enum wire_status status;
        char type;
        size_t body_len;
    } rows[] = {
        {"nothing", BYTES(""), WIRE_MORE, 0, 0},
        {"half a header", BYTES("R\0\0\0"), WIRE_MORE, 0, 0},
        {"AuthenticationOk", BYTES("R\0\0\0\x08\0\0\0\0"), WIRE_OK, 'R', 4},
        {"AuthenticationOk, one byte short", BYTES("R\0\0\0\x08\0\0\0"), WIRE_MORE, 0, 0},
        {"with the next behind it", BYTES("R\0\0\0\x08\0\0\0\0S\0\0"), WIRE_OK, 'R', 4},
        {"empty body", BYTES("1\0\0\0\x04"), WIRE_OK, '1', 0},
        {"length below its own size", BYTES("E\0\0\0\x03"), WIRE_BAD, 0, 0},
        {"length zero", BYTES("E\0\0\0\0"), WIRE_BAD, 0, 0},
        {"negative length", BYTES("E\xff\xff\xff\xff"), WIRE_BAD, 0, 0},
        {"most negative length", BYTES("E\x80\0\0\0"), WIRE_BAD, 0, 0},
        {"64 KiB in all", BYTES("E\0\0\xff\xff"), WIRE_MORE, 0, 0},
        {"one more", BYTES("E\0\x01\0\0"), WIRE_BAD, 0, 0},
        {"HTTP", BYTES("HTTP/1.1 400 Bad Request\r\n"), WIRE_BAD, 0, 0},
        {"SSH", BYTES("SSH-2.0-OpenSSH_9.2"), WIRE_BAD, 0, 0},
        {"protocol 2", BYTES("EFATAL:  too old\n\0"), WIRE_BAD, 0, 0},
        {"MySQL", BYTES("J\0\0\0\n5.7.42\0"), WIRE_OK, 'J', 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wire_message message = {0};
        enum wire_status status = wire_next(rows[i].bytes, rows[i].len, &message);

        if (status != rows[i].status)
            fail_msg("%s: %d", rows[i].name, (int)status);
        if (status != WIRE_OK)
            continue;
        assert_int_equal(message.type, rows[i].type);
        assert_int_equal(message.body_len, rows[i].body_len);
        assert_int_equal(message.total, rows[i].body_len + 5);
        assert_ptr_equal(message.body, rows[i].bytes + 5);
    }
}

/* An ErrorResponse as PostgreSQL 15 sends it, byte by byte. */
static void test_error_of_postgresql_15(void **state)
{
    static const unsigned char bytes[] =
        "E\0\0\0\x92SFATAL\0VFATAL\0C28000\0"
        "Mno pg_hba.conf entry for host \"127.0.0.1\", user \"app\", database \"db\", no "
        "encryption\0Fauth.c\0L544\0RClientAuthentication\0";
    struct wire_message message;
    struct pg_error error;

    (void)state;
    assert_int_equal(wire_next(bytes, sizeof bytes, &message), WIRE_OK);
    assert_int_equal(message.total, sizeof bytes);
    wire_error_fields(message.body, message.body_len, &error);
    assert_true(error.present);
    assert_false(error.v2);
    assert_true(error.has_v);
    assert_string_equal(error.severity, "FATAL");
    assert_string_equal(error.sqlstate, "28000");
    assert_string_equal(error.message, "no pg_hba.conf entry for host \"127.0.0.1\", user "
                                       "\"app\", database \"db\", no encryption");
    assert_string_equal(error.file, "auth.c");
    assert_string_equal(error.line, "544");
    assert_string_equal(error.routine, "ClientAuthentication");
    assert_string_equal(error.detail, "");
}

/* Bodies of other products, and bodies that nobody should send. */
static void test_error_bodies(void **state)
{
    static const struct {
        const char *name;
        const unsigned char *body;
        size_t len;
        const char *severity, *sqlstate, *message, *detail, *routine;
    } rows[] = {
        {"PgBouncer", BYTES("SFATAL\0C08P01\0MSSL required\0\0"), "FATAL", "08P01", "SSL required",
         "", ""},
        {"Pgpool",
         BYTES("SFATAL\0CXX000\0Mclient authentication failed\0"
               "Dno pool_hba.conf entry\0Hsee log\0Fpool_hba.c\0L1215\0\0"),
         "FATAL", "XX000", "client authentication failed", "no pool_hba.conf entry", ""},
        {"CockroachDB",
         BYTES("SERROR\0C08P01\0Mnode is running secure mode, SSL connection required\0"
               "Fconn.go\0L1\0RserveImpl\0\0"),
         "ERROR", "08P01", "node is running secure mode, SSL connection required", "", "serveImpl"},
        {"German", BYTES("SFATAL\0VFATAL\0C28000\0Mkein pg_hba.conf-Eintrag f\xc3\xbcr\0\0"),
         "FATAL", "28000", "kein pg_hba.conf-Eintrag f\xc3\xbcr", "", ""},
        {"V before S", BYTES("VFATAL\0SSCHWERWIEGEND\0C28000\0Mx\0\0"), "FATAL", "28000", "x", "",
         ""},
        {"translated S, then V", BYTES("SSCHWERWIEGEND\0VPANIC\0\0"), "PANIC", "", "", "", ""},
        {"empty", BYTES(""), "", "", "", "", ""},
        {"only the terminator", BYTES("\0"), "", "", "", "", ""},
        {"no terminator", BYTES("SFATAL\0C28P01\0Mwrong"), "FATAL", "28P01", "wrong", "", ""},
        {"a type and nothing behind", BYTES("SFATAL\0C"), "FATAL", "", "", "", ""},
        {"bytes behind the terminator", BYTES("C28P01\0\0Mhidden\0\0"), "", "28P01", "", "", ""},
        {"unknown fields", BYTES("C28P01\0zwhat\0\x01odd\0Mtext\0\0"), "", "28P01", "text", "", ""},
        {"twice: the first counts", BYTES("C28P01\0C28000\0Ma\0Mb\0\0"), "", "28P01", "a", "", ""},
        {"SQLSTATE too long", BYTES("C28P012\0Ma\0\0"), "", "", "a", "", ""},
        {"SQLSTATE of control characters", BYTES("C28\n\"1\0Ma\0\0"), "", "", "a", "", ""},
        {"SQLSTATE in small letters", BYTES("C28p01\0Ma\0\0"), "", "", "a", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        /* A copy of exactly this size, so that a sanitizer sees the first byte too many. */
        unsigned char *body = malloc(rows[i].len + 1);
        struct pg_error error;

        assert_non_null(body);
        memcpy(body + 1, rows[i].body, rows[i].len);
        wire_error_fields(body + 1, rows[i].len, &error);
        free(body);
        if (strcmp(error.severity, rows[i].severity) != 0 ||
            strcmp(error.sqlstate, rows[i].sqlstate) != 0 ||
            strcmp(error.message, rows[i].message) != 0 ||
            strcmp(error.detail, rows[i].detail) != 0 ||
            strcmp(error.routine, rows[i].routine) != 0)
            fail_msg("%s: [%s] [%s] [%s] [%s] [%s]", rows[i].name, error.severity, error.sqlstate,
                     error.message, error.detail, error.routine);
        assert_true(error.present);
    }
}

/* Long texts are cut before a character, not in it. */
static void test_error_texts_are_cut(void **state)
{
    unsigned char body[2 * PG_MESSAGE_SIZE];
    struct pg_error error;

    (void)state;
    memset(body, 'x', sizeof body);
    body[0] = 'M';
    body[PG_MESSAGE_SIZE - 2] = 0xe2; /* € over the edge */
    body[PG_MESSAGE_SIZE - 1] = 0x82;
    body[PG_MESSAGE_SIZE] = 0xac;
    wire_error_fields(body, sizeof body, &error);
    assert_int_equal(strlen(error.message), PG_MESSAGE_SIZE - 3);
    memset(body + 1, 0x80, sizeof body - 1); /* no UTF-8 at all: still filled */
    wire_error_fields(body, sizeof body, &error);
    assert_int_equal(strlen(error.message), PG_MESSAGE_SIZE - 4);
    body[0] = 'R';
    wire_error_fields(body, sizeof body, &error);
    assert_true(strlen(error.routine) < sizeof error.routine);
}

static void test_error_of_protocol_2(void **state)
{
    struct pg_error error;

    (void)state;
    wire_error_v2(BYTES("could not fork new process for connection: out of memory\n\0rest"),
                  &error);
    assert_true(error.present);
    assert_true(error.v2);
    assert_string_equal(error.message,
                        "could not fork new process for connection: out of memory\n");
    assert_string_equal(error.sqlstate, "");
    wire_error_v2(BYTES("no NUL"), &error);
    assert_string_equal(error.message, "no NUL");
    wire_error_v2(BYTES(""), &error);
    assert_true(error.present);
    assert_string_equal(error.message, "");
}

static void test_authentication_requests(void **state)
{
    static const struct {
        const unsigned char *body;
        size_t len;
        bool ok;
        int32_t code;
        bool scram, plus;
        const char *method;
    } rows[] = {
        {BYTES("\0\0\0\0"), true, 0, false, false, "trust"},
        {BYTES("\0\0\0\x02"), true, 2, false, false, "kerberos"},
        {BYTES("\0\0\0\x03"), true, 3, false, false, "password"},
        {BYTES("\0\0\0\x05salt"), true, 5, false, false, "md5"},
        {BYTES("\0\0\0\x07"), true, 7, false, false, "gss"},
        {BYTES("\0\0\0\x09"), true, 9, false, false, "sspi"},
        {BYTES("\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"), true, 10, true, true,
         "scram-sha-256"},
        {BYTES("\0\0\0\x0aSCRAM-SHA-256\0\0"), true, 10, true, false, "scram-sha-256"},
        {BYTES("\0\0\0\x0aSCRAM-SHA-256"), true, 10, true, false, "scram-sha-256"},
        {BYTES("\0\0\0\x0aSCRAM-SHA-256-PLUSX\0\0"), true, 10, false, false, "sasl"},
        {BYTES("\0\0\0\x0aOAUTHBEARER\0\0"), true, 10, false, false, "sasl"},
        {BYTES("\0\0\0\x0a\0SCRAM-SHA-256\0"), true, 10, false, false, "sasl"},
        {BYTES("\0\0\0\x0a"), true, 10, false, false, "sasl"},
        {BYTES("\0\0\0\x63"), true, 99, false, false, "unknown"},
        {BYTES("\0\0\0"), false, -1, false, false, "unknown"},
        {BYTES(""), false, -1, false, false, "unknown"},
        {BYTES("\xff\xff\xff\xff"), false, -1, false, false, "unknown"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wire_auth auth;

        assert_int_equal(wire_auth(rows[i].body, rows[i].len, &auth), rows[i].ok);
        assert_int_equal(auth.code, rows[i].code);
        assert_int_equal(auth.scram, rows[i].scram);
        assert_int_equal(auth.scram_plus, rows[i].plus);
        assert_string_equal(wire_auth_method(&auth), rows[i].method);
    }
}

static void test_scram_first(void **state)
{
    static const struct {
        const unsigned char *body;
        size_t len;
        bool ok;
        uint32_t iterations;
        const char *salt;
    } rows[] = {
        {BYTES("\0\0\0\x0br=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), true, 4096,
         "W22ZaJ0SNY7soEsUEjb6gQ=="},
        {BYTES("\0\0\0\x0br=,s=AA==,i=1"), true, 1, "AA=="},
        {BYTES("\0\0\0\x0br=a=b,s=A=B,i=999999999"), true, 999999999, "A=B"},
        {BYTES("\0\0\0\x0br=a,s=AA==,i=1000000000"), false, 0, ""},
        {BYTES("\0\0\0\x0br=a,s=AA==,i=0"), false, 0, ""},
        {BYTES("\0\0\0\x0br=a,s=AA==,i=-1"), false, 0, ""},
        {BYTES("\0\0\0\x0br=a,s=AA==,i= 1"), false, 0, ""},
        {BYTES("\0\0\0\x0br=a,s=AA==,i="), false, 0, ""},
        {BYTES("\0\0\0\x0br=a,s=AA==,i=1,"), false, 0, ""},
        {BYTES("\0\0\0\x0br=a,s=AA==,i=1,x=extension"), false, 0, ""},
        {BYTES("\0\0\0\x0bm=x,r=a,s=AA==,i=1"), false, 0, ""},
        {BYTES("\0\0\0\x0br=a,s=,i=1"), false, 0, ""},
        {BYTES("\0\0\0\x0br=a,i=1,s=AA=="), false, 0, ""},
        {BYTES("\0\0\0\x0br=a,s=AA=="), false, 0, ""},
        {BYTES("\0\0\0\x0br=a"), false, 0, ""},
        {BYTES("\0\0\0\x0br"), false, 0, ""},
        {BYTES("\0\0\0\x0b"), false, 0, ""},
        {BYTES("\0\0\0\x0br=a,s=AA==,i=1\0"), false, 0, ""},
        {BYTES("\0\0\0\x0cr=a,s=AA==,i=1"), false, 0, ""},
        {BYTES("\0\0\0"), false, 0, ""},
    };
    struct wire_scram one, other;
    unsigned char longest[9 + WIRE_SCRAM_SALT_SIZE + 4];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(wire_scram(rows[i].body, rows[i].len, &one), rows[i].ok);
        if (rows[i].ok) {
            assert_int_equal(one.iterations, rows[i].iterations);
            assert_string_equal(one.salt, rows[i].salt);
        }
    }
    for (size_t salt = WIRE_SCRAM_SALT_SIZE - 1; salt <= WIRE_SCRAM_SALT_SIZE; salt++) {
        memcpy(longest, "\0\0\0\x0br=,s=", 9);
        memset(longest + 9, 'A', salt);
        memcpy(longest + 9 + salt, ",i=7", 4);
        assert_int_equal(wire_scram(longest, 9 + salt + 4, &one), salt < WIRE_SCRAM_SALT_SIZE);
    }
    assert_true(wire_scram(rows[0].body, rows[0].len, &one));
    other = one;
    assert_true(wire_scram_same(&one, &other));
    other.iterations++;
    assert_false(wire_scram_same(&one, &other));
    other = one;
    other.salt[0] = 'X';
    assert_false(wire_scram_same(&one, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_requests),
        cmocka_unit_test(test_startup_message),
        cmocka_unit_test(test_startup_message_that_does_not_fit),
        cmocka_unit_test(test_next_message),
        cmocka_unit_test(test_error_of_postgresql_15),
        cmocka_unit_test(test_error_bodies),
        cmocka_unit_test(test_error_texts_are_cut),
        cmocka_unit_test(test_error_of_protocol_2),
        cmocka_unit_test(test_authentication_requests),
        cmocka_unit_test(test_scram_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
