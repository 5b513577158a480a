/* libpq's error texts, as libpq 15 and 18 print them, as evidence. */
#include "../../src/pg/login_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AT "connection to server at \"db.example\" (192.0.2.1), port 5432 failed: "

/* The evidence that a text makes, by the phase it comes in. */
static struct evidence explain(const char *text, enum phase phase)
{
    struct evidence e = EVIDENCE_INIT;

    e.phase = phase;
    login_explain(text, &e);
    return e;
}

static void test_ends(void **state)
{
    static const struct {
        const char *text;
        enum phase phase;
        enum end_kind end;
    } cases[] = {
        {"SSL error: certificate verify failed\n", PHASE_TLS, END_CERTIFICATE},
        {"SSL error: certificate verify failed: unable to get local issuer certificate\n",
         PHASE_TLS, END_CERTIFICATE},
        {"server certificate for \"a\" does not match host name \"b\"\n", PHASE_TLS,
         END_CERTIFICATE},
        {"server certificate for \"a\" (and 2 other names) does not match host name \"b\"\n",
         PHASE_TLS, END_CERTIFICATE},
        {"SSL error: tlsv1 alert unknown ca\n", PHASE_TLS, END_ALERT},
        {"SSL error: wrong version number\n", PHASE_TLS, END_TLS_ERROR},
        {"SSL error: something new\n", PHASE_TLS, END_TLS_ERROR},
        {"SSL error: unexpected eof while reading\n", PHASE_TLS, END_CLOSED},
        {"SSL SYSCALL error: EOF detected\n", PHASE_TLS, END_CLOSED},
        {"server closed the connection unexpectedly\n\tThis probably means\n", PHASE_AUTH,
         END_CLOSED},
        {"root certificate file \"/x\" does not exist\nEither provide the file\n", PHASE_TLS,
         END_LOCAL},
        {"could not load private key file \"/x\": key values mismatch\n", PHASE_TLS, END_LOCAL},
        {"out of memory\n", PHASE_AUTH, END_LOCAL},
        {"something new\n", PHASE_TLS, END_LOCAL},
        {"something new\n", PHASE_AUTH, END_AUTH_CLIENT},
        {"incorrect server signature\n", PHASE_AUTH, END_AUTH_CLIENT},
        {"invalid SCRAM response (nonce mismatch)\n", PHASE_AUTH, END_AUTH_CLIENT},
        {"none of the server's SASL authentication mechanisms are supported\n", PHASE_AUTH,
         END_AUTH_UNSUPPORTED},
        {"auth method \"md5\" requirement failed: server requested a hashed password\n", PHASE_AUTH,
         END_AUTH_REFUSED},
        {"expected authentication request from server, but received H\n", PHASE_STARTUP,
         END_BAD_BYTES},
        {"lost synchronization with server: got message type \"D\", length 70000\n", PHASE_QUERY,
         END_BAD_BYTES},
        {"Connection refused\n\tIs the server running on that host\n", PHASE_TCP, END_ERRNO},
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct evidence bare = explain(cases[i].text, cases[i].phase), prefixed;

        print_message("%s", cases[i].text);
        snprintf(text, sizeof text, "%s%s", AT, cases[i].text);
        assert_int_equal(bare.end, cases[i].end);
        prefixed = explain(text, cases[i].phase);
        assert_int_equal(prefixed.end, cases[i].end);
    }
}

static void test_details(void **state)
{
    struct evidence e;

    (void)state;
    e = explain(AT "SSL error: certificate verify failed\n", PHASE_TLS);
    assert_int_equal(e.verify_code, 20);
    assert_false(e.hostname_mismatch);
    e = explain(AT "server certificate for \"a\" does not match host name \"b\"\n", PHASE_TLS);
    assert_int_equal(e.verify_code, 0);
    assert_true(e.hostname_mismatch);

    e = explain(AT "SSL error: tlsv1 alert unknown ca\n", PHASE_TLS);
    assert_int_equal(e.tls_alert, 48);
    e = explain(AT "SSL error: tlsv13 alert certificate required\n", PHASE_STARTUP);
    assert_int_equal(e.tls_alert, 116);
    e = explain(AT "SSL error: tlsv1 alert protocol version\nThis may indicate that\n", PHASE_TLS);
    assert_int_equal(e.tls_alert, 70);
    e = explain(AT "SSL error: unsupported protocol\nThis may indicate that\n", PHASE_TLS);
    assert_int_equal(e.ssl_reason, TLS_REASON_VERSION);
    e = explain(AT "SSL error: wrong version number\n", PHASE_TLS);
    assert_int_equal(e.ssl_reason, TLS_REASON_NOT_TLS);

    e = explain(AT "SSL connection has been closed unexpectedly\n", PHASE_TLS);
    assert_int_equal(e.how, CLOSE_NOTIFY);
    e = explain(AT "SSL SYSCALL error: EOF detected\n", PHASE_TLS);
    assert_int_equal(e.how, CLOSE_NONE); /* the socket knows */

    e = explain(AT "private key file \"/x\" has group or world access; file must\n", PHASE_TLS);
    assert_int_equal(e.local, INTERNAL_LOCAL_FILE);
    e = explain("could not create socket: Too many open files\n", PHASE_TCP);
    assert_int_equal(e.end, END_LOCAL);
    assert_int_equal(e.local, INTERNAL_DESCRIPTORS);
    e = explain(AT "Network is unreachable\n\tIs the server running\n", PHASE_TCP);
    assert_int_equal(e.sys_errno, ENETUNREACH);

    e = explain(AT "channel binding required, but SSL not in use\n", PHASE_AUTH);
    assert_int_equal(e.auth_client, AUTH_CLIENT_CHANNEL_BINDING);
    e = explain(AT "incorrect server signature\n", PHASE_AUTH);
    assert_int_equal(e.auth_client, AUTH_CLIENT_SERVER_SIGNATURE);
    e = explain(AT "fe_sendauth: no password supplied\n", PHASE_AUTH);
    assert_int_equal(e.auth_client, AUTH_CLIENT_NO_PASSWORD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_details),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
