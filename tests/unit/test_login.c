/* The login probe against a scripted server on loopback: what it lets libpq answer, what it keeps
 * from it, and what it calls the rest. */
#include "pgtls/pg/login.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/net/arrival.h"

#include "scripted_server.h"
#include "slower.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PASSWORD "hunter2"

/* --- the client ------------------------------------------------------------------------------- */

struct attempt {
    struct server server;
    struct secret password;
    struct login_params params;
    struct observation seen;
    int64_t timeout_ms;
    bool fell_back;
    int64_t longest_ns; /* call of login_advance, in CPU time: the machine may be busy */
};

static void attempt_init(struct attempt *a)
{
    memset(a, 0, sizeof *a);
    a->server.host = "db.example";
    a->server.user = "app";
    a->server.dbname = "app";
    a->server.channel_binding = CHANNEL_BINDING_PREFER;
    a->server.sslmode = SSLMODE_DISABLE;
    a->password.present = true;
    str_copy(a->password.text, sizeof a->password.text, PASSWORD);
    a->params.server = &a->server;
    a->params.address = "127.0.0.1";
    a->params.password = &a->password;
    a->timeout_ms = 5000;
}

static void log_in(struct attempt *a)
{
    int64_t deadline_ns = clock_monotonic_ns() + a->timeout_ms * NS_PER_MS;
    struct login *login = login_new(&a->params, clock_monotonic_ns());

    assert_non_null(login);
    observation_init(&a->seen, PROBE_LOGIN);
    for (;;) {
        int64_t begun_ns = clock_thread_cpu_ns(), took_ns;
        enum login_want want = login_advance(login);
        struct pollfd ready = {.fd = login_fd(login),
                               .events = want == LOGIN_WANT_READ ? POLLIN : POLLOUT};

        took_ns = clock_thread_cpu_ns() - begun_ns;
        if (took_ns > a->longest_ns)
            a->longest_ns = took_ns;
        if (want == LOGIN_DONE)
            break;
        if (want == LOGIN_WANT_WORK) {
            login_work(login);
            continue;
        }
        if (clock_monotonic_ns() >= deadline_ns || poll(&ready, 1, (int)a->timeout_ms) == 0)
            login_abort(login, INTERNAL_NONE);
    }
    login_result(login, &a->seen);
    a->fell_back = login_fell_back(login);
    login_free(login);
}

static void run_script(struct attempt *a, struct server_thread *s, const struct script *script)
{
    *s = (struct server_thread){.script = script};
    a->server.port = listen_on_loopback(&s->listener);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    log_in(a);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static bool contains(const struct server_thread *s, const char *text)
{
    return memmem(s->got, s->got_len, text, strlen(text)) != NULL;
}

/* Fault ids are compared as text, so that a failure names them. */
static void assert_fault(const struct attempt *a, enum fault fault)
{
    assert_string_equal(fault_row(a->seen.fault)->id, fault_row(fault)->id);
}

/* --- messages --------------------------------------------------------------------------------- */

#define AUTH_OK        "R\0\0\0\x08\0\0\0\0"
#define AUTH_CLEARTEXT "R\0\0\0\x08\0\0\0\x03"
#define AUTH_MD5       "R\0\0\0\x0c\0\0\0\x05salt"
#define AUTH_GSS       "R\0\0\0\x08\0\0\0\x07"
#define AUTH_SCRAM     "R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"
#define VERSION                                                                                    \
    "S\0\0\0\x18server_version\x00"                                                                \
    "15.1\0"
#define KEY          "K\0\0\0\x0c\0\0\0\x07\0\0\0\x09" /* of backend 7 */
#define READY        "Z\0\0\0\x05I"
#define COLUMN(name) name "\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
#define PLAIN_SHAPE  "T\0\0\0\x56\0\x04" COLUMN("a") COLUMN("b") COLUMN("c") COLUMN("d")
#define WHOLE_SHAPE                                                                                \
    "T\0\0\0\x7e\0\x06" COLUMN("a") COLUMN("b") COLUMN("c") COLUMN("d") COLUMN("e") COLUMN("f")
#define PLAIN_VALUES(pid)                                                                          \
    "\0\0\0\x01" pid "\0\0\0\x04"                                                                  \
    "15.1\0\0\0\x01"                                                                               \
    "t\0\0\0\x02"                                                                                  \
    "on"
#define SELECTED          "C\0\0\0\x0dSELECT 1\0"
#define PLAIN_ANSWER(pid) PLAIN_SHAPE "D\0\0\0\x1e\0\x04" PLAIN_VALUES(pid) SELECTED READY
#define ANSWER(pid)                                                                                \
    WHOLE_SHAPE "D\0\0\0\x36\0\x06" PLAIN_VALUES(pid) "\0\0\0\x09"                                 \
                                                      "10.0.0.1 \0\0\0\x07"                        \
                                                      "1500000" SELECTED READY
#define NOT_HERE "E\0\0\0\x29SERROR\0VERROR\0C0A000\0Mnot supported\0\0"
#define TOO_MANY "E\0\0\0\x39SFATAL\0VFATAL\0C53300\0Mtoo many clients\0RInitProcess\0\0"
#define NOTICE   "N\0\0\0\x14SNOTICE\0Mhello\0\0"

/* --- what goes well --------------------------------------------------------------------------- */

static void test_good(void **state)
{
    static const struct script trust = {
        "trust",
        {{SEND, BYTES(AUTH_OK VERSION KEY READY)}, {AWAIT, NULL, 0}, {SEND, BYTES(ANSWER("7"))}},
        false};
    static const struct script dripped = {"everything in single bytes",
                                          {{DRIP, BYTES(AUTH_OK VERSION KEY NOTICE READY)},
                                           {AWAIT, NULL, 0},
                                           {DRIP, BYTES(NOTICE ANSWER("8"))}},
                                          false};
    struct attempt a;
    struct server_thread s;

    (void)state;
    attempt_init(&a);
    run_script(&a, &s, &trust);
    assert_fault(&a, FAULT_NONE);
    assert_string_equal(a.seen.auth_method, "trust");
    assert_string_equal(a.seen.server_version, "15.1");
    assert_int_equal(a.seen.pooler, VERDICT_NO);
    assert_int_equal(a.seen.in_recovery, VERDICT_YES);
    assert_int_equal(a.seen.read_only, VERDICT_YES);
    assert_string_equal(a.seen.backend, "10.0.0.1 ");
    assert_true(a.seen.lag_known);
    assert_int_equal(a.seen.lag_ns, 1500 * NS_PER_MS);
    assert_int_equal(a.seen.phase, PHASE_QUERY);
    assert_true(a.seen.phases[PHASE_AUTH].completed);
    assert_true(a.seen.phases[PHASE_QUERY].completed);
    assert_true(a.seen.phases[PHASE_QUERY].duration_ns >= a.seen.phases[PHASE_QUERY].cpu_ns);
    assert_true(s.got_len > 5);
    assert_memory_equal(s.got + s.got_len - 5, "X\0\0\0\x04", 5); /* Terminate, and */
    assert_true(s.clean_end);                                     /* no reset */

    attempt_init(&a);
    run_script(&a, &s, &dripped);
    assert_fault(&a, FAULT_NONE);
    assert_int_equal(a.seen.pooler, VERDICT_YES); /* answered by another backend */
}

/* A server that lacks a function of the query is asked the one that every server knows. */
static void test_a_refused_query(void **state)
{
    static const struct script lacking = {"lacks a function",
                                          {{SEND, BYTES(AUTH_OK VERSION KEY READY)},
                                           {AWAIT, NULL, 0},
                                           {SEND, BYTES(NOT_HERE READY)},
                                           {AWAIT, NULL, 0},
                                           {SEND, BYTES(PLAIN_ANSWER("7"))}},
                                          false};
    static const struct script refusing = {"refuses both",
                                           {{SEND, BYTES(AUTH_OK VERSION KEY READY)},
                                            {AWAIT, NULL, 0},
                                            {SEND, BYTES(NOT_HERE READY)},
                                            {AWAIT, NULL, 0},
                                            {SEND, BYTES(NOT_HERE READY)}},
                                           false};
    static const struct script known = {"known to lack it",
                                        {{SEND, BYTES(AUTH_OK VERSION KEY READY)},
                                         {AWAIT, NULL, 0},
                                         {SEND, BYTES(PLAIN_ANSWER("7"))}},
                                        false};
    struct attempt a;
    struct server_thread s;

    (void)state;
    attempt_init(&a);
    run_script(&a, &s, &lacking);
    assert_fault(&a, FAULT_NONE);
    assert_true(a.fell_back);
    assert_int_equal(a.seen.in_recovery, VERDICT_YES);
    assert_int_equal(a.seen.read_only, VERDICT_YES);
    assert_int_equal(a.seen.pooler, VERDICT_NO);
    assert_false(a.seen.lag_known);
    assert_string_equal(a.seen.backend, "");
    assert_string_equal(a.seen.sqlstate, "");
    assert_true(a.seen.phases[PHASE_QUERY].completed);

    attempt_init(&a);
    run_script(&a, &s, &refusing);
    assert_int_not_equal(a.seen.fault, FAULT_NONE);
    assert_string_equal(a.seen.sqlstate, "0A000");
    assert_false(a.fell_back);

    attempt_init(&a);
    a.params.plain_query = true;
    run_script(&a, &s, &known);
    assert_fault(&a, FAULT_NONE);
    assert_false(a.fell_back);
}

static void test_allowed_password(void **state)
{
    static const struct script script = {"password",
                                         {{SEND, BYTES(AUTH_CLEARTEXT)},
                                          {AWAIT, NULL, 0},
                                          {SEND, BYTES(AUTH_OK KEY READY)},
                                          {AWAIT, NULL, 0},
                                          {SEND, BYTES(ANSWER("7"))}},
                                         false};
    struct attempt a;
    struct server_thread s;

    (void)state;
    attempt_init(&a);
    a.server.allow_auth = ALLOW_AUTH_PASSWORD;
    run_script(&a, &s, &script);
    assert_fault(&a, FAULT_NONE);
    assert_string_equal(a.seen.auth_method, "password");
    assert_true(contains(&s, PASSWORD)); /* so its absence elsewhere means something */
}

/* --- what libpq must not answer --------------------------------------------------------------- */

static void test_refused(void **state)
{
    static const struct {
        struct script script;
        enum fault fault;
    } cases[] = {
        {{"clear", {{SEND, BYTES(AUTH_CLEARTEXT)}}, false}, FAULT_AUTH_METHOD_REFUSED},
        {{"clear, dripped", {{DRIP, BYTES(AUTH_CLEARTEXT)}}, false}, FAULT_AUTH_METHOD_REFUSED},
        {{"clear behind SCRAM", {{SEND, BYTES(AUTH_SCRAM AUTH_CLEARTEXT)}}, false},
         FAULT_AUTH_METHOD_REFUSED},
        {{"clear after SCRAM began",
          {{SEND, BYTES(AUTH_SCRAM)}, {AWAIT, NULL, 0}, {SEND, BYTES(AUTH_CLEARTEXT)}},
          false},
         FAULT_AUTH_METHOD_REFUSED},
        {{"md5", {{SEND, BYTES(AUTH_MD5)}}, false}, FAULT_AUTH_METHOD_REFUSED},
        {{"GSSAPI", {{SEND, BYTES(AUTH_GSS)}}, false}, FAULT_AUTH_METHOD_UNSUPPORTED},
        {{"hours of PBKDF2",
          {{SEND, BYTES(AUTH_SCRAM)},
           {AWAIT, NULL, 0},
           {SEND, BYTES("R\0\0\0\x20\0\0\0\x0br=x,s=AAAA,i= 2000000000")}},
          false},
         FAULT_AUTH_METHOD_UNSUPPORTED},
        {{"clear after AuthenticationOk", {{SEND, BYTES(AUTH_OK AUTH_CLEARTEXT)}}, false},
         FAULT_PROTOCOL_VIOLATION},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct attempt a;
        struct server_thread s;

        attempt_init(&a);
        run_script(&a, &s, &cases[i].script);
        print_message("%s\n", cases[i].script.name);
        assert_fault(&a, cases[i].fault);
        if (cases[i].fault != FAULT_PROTOCOL_VIOLATION)
            assert_non_null(strstr(a.seen.error, "the server asks for")); /* ours, not libpq's */
        assert_false(contains(&s, PASSWORD));
        assert_true(s.clean_end);
        assert_null(strstr(a.seen.error, PASSWORD));
    }
}

/* Bytes that nobody has read when the login leaves must not turn its leaving into a reset, which
 * servers log. */
static void test_unread(void **state)
{
    static char bytes[20000];
    const struct script script = {"clear, and more", {{SEND, bytes, sizeof bytes}}, false};
    struct attempt a;
    struct server_thread s;

    (void)state;
    memcpy(bytes, BYTES(AUTH_CLEARTEXT));
    attempt_init(&a);
    run_script(&a, &s, &script);
    assert_fault(&a, FAULT_AUTH_METHOD_REFUSED);
    assert_true(s.clean_end);
}

/* Nothing configured: the login ends before libpq looks for a password elsewhere. */
static void test_no_password(void **state)
{
    static const struct script script = {"SCRAM", {{SEND, BYTES(AUTH_SCRAM)}}, false};
    struct attempt a;
    struct server_thread s;

    (void)state;
    attempt_init(&a);
    a.params.password = NULL;
    run_script(&a, &s, &script);
    assert_fault(&a, FAULT_PASSWORD_MISSING);
    assert_string_equal(a.seen.auth_method, "scram-sha-256");
    assert_int_equal(s.got_len, 0);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void test_failures(void **state)
{
    static const struct {
        struct script script;
        enum fault fault;
        enum phase phase;
        enum close_how how;
    } cases[] = {
        {{"ErrorResponse", {{SEND, BYTES(TOO_MANY)}, {CLOSE, NULL, 0}}, false},
         FAULT_TOO_MANY_CONNECTIONS,
         PHASE_STARTUP,
         CLOSE_NONE},
        {{"ErrorResponse, dripped", {{DRIP, BYTES(TOO_MANY)}}, false},
         FAULT_TOO_MANY_CONNECTIONS,
         PHASE_STARTUP,
         CLOSE_NONE},
        {{"ErrorResponse after Ok", {{SEND, BYTES(AUTH_OK TOO_MANY)}}, false},
         FAULT_TOO_MANY_CONNECTIONS,
         PHASE_AUTH,
         CLOSE_NONE},
        {{"ErrorResponse and reset", {{SEND, BYTES(TOO_MANY)}, {RESET, NULL, 0}}, false},
         FAULT_TOO_MANY_CONNECTIONS,
         PHASE_STARTUP,
         CLOSE_NONE},
        {{"protocol 2", {{SEND, BYTES("Eno more room\n\0")}, {CLOSE, NULL, 0}}, false},
         FAULT_ERROR_RESPONSE_V2,
         PHASE_STARTUP,
         CLOSE_NONE},
        {{"protocol 2, empty", {{SEND, BYTES("E")}, {CLOSE, NULL, 0}}, false},
         FAULT_ERROR_RESPONSE_V2,
         PHASE_STARTUP,
         CLOSE_NONE},
        {{"closed", {{CLOSE, NULL, 0}}, false}, FAULT_STARTUP_CLOSED, PHASE_STARTUP, CLOSE_FIN},
        {{"reset", {{RESET, NULL, 0}}, false}, FAULT_STARTUP_CLOSED, PHASE_STARTUP, CLOSE_RST},
        {{"closed in auth", {{SEND, BYTES(AUTH_SCRAM)}, {AWAIT, NULL, 0}, {CLOSE, NULL, 0}}, false},
         FAULT_AUTH_CLOSED,
         PHASE_AUTH,
         CLOSE_FIN},
        {{"reset in auth", {{SEND, BYTES(AUTH_SCRAM)}, {AWAIT, NULL, 0}, {RESET, NULL, 0}}, false},
         FAULT_AUTH_CLOSED,
         PHASE_AUTH,
         CLOSE_RST},
        {{"closed in the query",
          {{SEND, BYTES(AUTH_OK READY)}, {AWAIT, NULL, 0}, {CLOSE, NULL, 0}},
          false},
         FAULT_SESSION_CLOSED,
         PHASE_QUERY,
         CLOSE_FIN},
        {{"HTTP", {{SEND, BYTES("HTTP/1.1 400 Bad Request\r\n\r\n")}}, false},
         FAULT_STARTUP_GARBAGE,
         PHASE_STARTUP,
         CLOSE_NONE},
        {{"NUL", {{SEND, BYTES("\0")}}, false}, FAULT_STARTUP_GARBAGE, PHASE_STARTUP, CLOSE_NONE},
        {{"negative length", {{SEND, BYTES("R\xff\xff\xff\xff")}}, false},
         FAULT_STARTUP_GARBAGE,
         PHASE_STARTUP,
         CLOSE_NONE},
        {{"oversized message", {{SEND, BYTES(AUTH_OK "S\x7f\xff\xff\xff")}}, false},
         FAULT_PROTOCOL_VIOLATION,
         PHASE_AUTH,
         CLOSE_NONE},
        {{"oversized notice",
          {{SEND, BYTES(AUTH_OK "N\0\0\xff\0SNOTICE\0M")}, {FLOOD, BYTES("xxxxxxxxxxxxxxxx")}},
          false},
         FAULT_PROTOCOL_VIOLATION,
         PHASE_AUTH,
         CLOSE_NONE},
        {{"no answer to the query",
          {{SEND, BYTES(AUTH_OK READY)}, {AWAIT, NULL, 0}, {SEND, BYTES(SELECTED READY)}},
          false},
         FAULT_PROTOCOL_VIOLATION,
         PHASE_QUERY,
         CLOSE_NONE},
        {{"garbage for the query",
          {{SEND, BYTES(AUTH_OK READY)}, {AWAIT, NULL, 0}, {SEND, BYTES("\0\0\0\0\0\0\0")}},
          false},
         FAULT_PROTOCOL_VIOLATION,
         PHASE_QUERY,
         CLOSE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct attempt a;
        struct server_thread s;

        attempt_init(&a);
        run_script(&a, &s, &cases[i].script);
        print_message("%s\n", cases[i].script.name);
        assert_fault(&a, cases[i].fault);
        assert_int_equal(a.seen.phase, cases[i].phase);
        assert_int_equal(a.seen.how, cases[i].how);
        assert_false(a.seen.phases[PHASE_QUERY].completed);
        if (cases[i].fault == FAULT_TOO_MANY_CONNECTIONS) {
            assert_string_equal(a.seen.sqlstate, "53300");
            assert_string_equal(a.seen.error, "too many clients");
        }
    }
}

/* What a server answers to SSLRequest, which libpq would not tell. */
static void test_ssl_request(void **state)
{
    static const struct {
        struct script script;
        enum fault fault;
    } cases[] = {
        {{"no TLS", {{SEND, BYTES("N")}}, true}, FAULT_SSL_NOT_SUPPORTED},
        {{"error", {{DRIP, BYTES(TOO_MANY)}}, true}, FAULT_TOO_MANY_CONNECTIONS},
        {{"text", {{SEND, BYTES("Ecould not fork\n\0")}, {CLOSE, NULL, 0}}, true},
         FAULT_SSLREQ_ERROR_V2},
        {{"more than a byte", {{SEND, BYTES("SSH-2.0-OpenSSH\r\n")}}, true},
         FAULT_SSLREQ_EXTRA_BYTES},
        {{"alert", {{SEND, BYTES("\x15\x03\x03")}}, true}, FAULT_SSLREQ_PEER_SPEAKS_TLS},
        {{"HTTP", {{SEND, BYTES("HTTP/1.1 400")}}, true}, FAULT_SSLREQ_GARBAGE},
        {{"closed", {{CLOSE, NULL, 0}}, true}, FAULT_SSLREQ_CLOSED},
        {{"reset", {{RESET, NULL, 0}}, true}, FAULT_SSLREQ_RESET},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct attempt a;
        struct server_thread s;

        attempt_init(&a);
        a.server.sslmode = SSLMODE_REQUIRE;
        a.params.tls = true;
        run_script(&a, &s, &cases[i].script);
        print_message("%s\n", cases[i].script.name);
        assert_fault(&a, cases[i].fault);
        assert_int_equal(a.seen.phase, PHASE_SSL_REQUEST);
    }
}

/* --- bounds ----------------------------------------------------------------------------------- */

static void test_deadline(void **state)
{
    static char notices[200 * (sizeof NOTICE - 1)];
    const struct {
        struct script script;
        enum fault fault;
    } cases[] = {
        {{"silence", {{END, NULL, 0}}, false}, FAULT_STARTUP_TIMEOUT},
        {{"silence in auth", {{SEND, BYTES(AUTH_SCRAM)}}, false}, FAULT_AUTH_STALLED},
        {{"notices for ever", {{SEND, BYTES(AUTH_OK)}, {FLOOD, notices, sizeof notices}}, false},
         FAULT_SESSION_STALLED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof notices; i++)
        notices[i] = NOTICE[i % (sizeof NOTICE - 1)];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct attempt a;
        struct server_thread s;

        attempt_init(&a);
        a.timeout_ms = 300;
        run_script(&a, &s, &cases[i].script);
        print_message("%s\n", cases[i].script.name);
        assert_fault(&a, cases[i].fault);
        assert_true(a.longest_ns <
                    200 * NS_PER_MS * slower()); /* never the whole stream in one call */
    }
}

/* --- our own side ----------------------------------------------------------------------------- */

static void test_local(void **state)
{
    struct attempt a;
    int listener;

    (void)state;
    attempt_init(&a);
    a.server.port = listen_on_loopback(&listener);
    close(listener); /* nobody listens there now */
    log_in(&a);
    assert_fault(&a, FAULT_TCP_REFUSED);
    assert_int_equal(a.seen.phase, PHASE_TCP);

    attempt_init(&a);
    a.params.address = NULL; /* libpq would resolve the name, and wait */
    log_in(&a);
    assert_fault(&a, FAULT_LOCAL_OTHER);
    assert_string_equal(a.seen.error, "no address to log in at");

    attempt_init(&a);
    a.server.sslmode = SSLMODE_REQUIRE;
    a.server.sslrootcert = "/nonexistent/ca.pem"; /* libpq would not verify, and not say so */
    a.params.tls = true;
    log_in(&a);
    assert_fault(&a, FAULT_LOCAL_FILE);
    assert_non_null(strstr(a.seen.error, "/nonexistent/ca.pem"));

    attempt_init(&a);
    a.server.host = "/nonexistent";
    a.server.unix_socket = true;
    a.server.port = 5432;
    log_in(&a);
    assert_fault(&a, FAULT_UNIX_SOCKET_MISSING);
    login_free(NULL);
}

static void test_environment(void **state)
{
    (void)state;
    setenv("PGHOSTADDR", "192.0.2.1", 1);
    setenv("PGOPTIONS", "-c nosuch=1", 1);
    setenv("PGTZ", "UTC", 1);
    setenv("KRB5CCNAME", "/tmp/cc", 1);
    setenv("PGPASSWORD", "kept", 1);
    setenv("PGTLS_APP_PASSWORD", "kept", 1);
    login_setup();
    assert_null(getenv("PGHOSTADDR"));
    assert_null(getenv("PGOPTIONS"));
    assert_null(getenv("PGTZ"));
    assert_null(getenv("KRB5CCNAME"));
    assert_string_equal(getenv("HOME"), "/nonexistent");
    assert_non_null(getenv("PGPASSWORD")); /* a configuration may name them */
    assert_non_null(getenv("PGTLS_APP_PASSWORD"));
    assert_true(login_features()->version >= 150000);
    /* Even so libpq never takes it. */
    test_no_password(state);
    unsetenv("PGPASSWORD");
}

static void test_supported(void **state)
{
    struct server server = {
        .host = "db.example", .sslmode = SSLMODE_VERIFY_FULL, .negotiation = NEGOTIATION_DIRECT};
    char reason[128] = "";

    (void)state;
    assert_int_equal(login_supported(&server, reason, sizeof reason), login_features()->direct);
    assert_int_equal(*reason == '\0', login_features()->direct);
    server.negotiation = NEGOTIATION_POSTGRES;
    assert_true(login_supported(&server, reason, sizeof reason));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),     cmocka_unit_test(test_good),
        cmocka_unit_test(test_a_refused_query), cmocka_unit_test(test_allowed_password),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_unread),
        cmocka_unit_test(test_no_password),     cmocka_unit_test(test_failures),
        cmocka_unit_test(test_ssl_request),     cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_local),           cmocka_unit_test(test_supported),
    };

    arrival_start();
    login_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
