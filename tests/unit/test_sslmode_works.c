/* model/sslmode_works: facts to verdicts, as a table; and what an ending says about its leg. */
#include "pgtls/model/sslmode_works.h"

#include "pgtls/model/observation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define Y VERDICT_YES
#define N VERDICT_NO
#define U VERDICT_UNKNOWN

#define IN                                                                                         \
    {                                                                                              \
        Y, ASKS_NOTHING, FAULT_NONE, false                                                         \
    }
#define ASKED                                                                                      \
    {                                                                                              \
        Y, ASKS_PASSWORD, FAULT_NONE, false                                                        \
    }
#define OTHER                                                                                      \
    {                                                                                              \
        Y, ASKS_OTHER, FAULT_NONE, false                                                           \
    }
#define HBA                                                                                        \
    {                                                                                              \
        N, ASKS_NOTHING, FAULT_HBA_NO_ENTRY_NOSSL, true                                            \
    }
#define NO_TLS                                                                                     \
    {                                                                                              \
        N, ASKS_NOTHING, FAULT_SSL_NOT_SUPPORTED, true                                             \
    }
#define SHUT                                                                                       \
    {                                                                                              \
        N, ASKS_NOTHING, FAULT_SSL_CLOSED_AFTER_HANDSHAKE, false                                   \
    }
#define UNSEEN                                                                                     \
    {                                                                                              \
        U, ASKS_NOTHING, FAULT_NONE, false                                                         \
    }

#define GOOD                                                                                       \
    {                                                                                              \
        Y, Y, Y, U, 0, 0                                                                           \
    }
#define SELF_SIGNED                                                                                \
    {                                                                                              \
        N, Y, Y, U, 18, 0                                                                          \
    }
#define UNTRUSTED                                                                                  \
    {                                                                                              \
        N, Y, N, U, 20, 0                                                                          \
    }
#define EXPIRED                                                                                    \
    {                                                                                              \
        Y, N, Y, U, 10, 0                                                                          \
    }
#define OTHER_NAME                                                                                 \
    {                                                                                              \
        Y, Y, N, U, 0, 0                                                                           \
    }
#define NOT_JUDGED                                                                                 \
    {                                                                                              \
        U, U, U, U, 0, 0                                                                           \
    }

enum login_of { NONE, WORKED, WRONG, UNKNOWN_YET, NOT_TO_COME };

static const struct {
    const char *what;
    struct leg_seen plain, tls;
    struct judgement judgement;
    const char *root; /* sslrootcert */
    enum login_of login;
    enum leg login_leg;
    char want[SSLMODE_COUNT + 1]; /* y, n or ? for disable … verify-full */
} rows[] = {
    {"all open, file", IN, IN, GOOD, "f", NONE, LEG_TLS, "yyyyyy"},
    {"all open, no file", IN, IN, GOOD, NULL, NONE, LEG_TLS, "yyyyny"},
    {"all open, system", IN, IN, GOOD, "system", NONE, LEG_TLS, "yyyyny"},
    {"hostssl only", HBA, IN, GOOD, "f", NONE, LEG_TLS, "nyyyyy"},
    {"hostnossl only", IN, HBA, GOOD, "f", NONE, LEG_TLS, "yyynnn"},
    {"refused both ways", HBA, HBA, GOOD, "f", NONE, LEG_TLS, "nnnnnn"},
    {"no TLS", IN, NO_TLS, NOT_JUDGED, "f", NONE, LEG_PLAIN, "yyynnn"},
    {"no TLS, plaintext refused", HBA, NO_TLS, NOT_JUDGED, NULL, NONE, LEG_PLAIN, "nnnnnn"},
    {"closed after the handshake: no second try", IN, SHUT, GOOD, "f", NONE, LEG_TLS, "yynnnn"},
    {"plaintext closed: no second try", SHUT, IN, GOOD, "f", NONE, LEG_TLS, "nnyyyy"},
    {"scenario B", HBA, IN, SELF_SIGNED, NULL, NONE, LEG_TLS, "nyyynn"},
    {"scenario B, its certificate as file", HBA, IN, GOOD, "f", NONE, LEG_TLS, "nyyyyy"},
    {"self-signed, another file", IN, UNSEEN, SELF_SIGNED, "f", NONE, LEG_TLS, "yyynnn"},
    {"the same, plaintext refused", HBA, UNSEEN, SELF_SIGNED, "f", NONE, LEG_TLS, "nnnnnn"},
    {"the same, plaintext unseen", UNSEEN, UNSEEN, UNTRUSTED, "f", NONE, LEG_TLS, "???nnn"},
    {"self-signed, no file, TLS unseen", UNSEEN, UNSEEN, SELF_SIGNED, NULL, NONE, LEG_TLS,
     "????nn"},
    {"expired, file", HBA, UNSEEN, EXPIRED, "f", NONE, LEG_TLS, "nnnnnn"},
    {"expired, no file", HBA, IN, EXPIRED, NULL, NONE, LEG_TLS, "nyyynn"},
    {"another name", HBA, IN, OTHER_NAME, "f", NONE, LEG_TLS, "nyyyyn"},
    {"plaintext unseen", UNSEEN, IN, GOOD, "f", NONE, LEG_TLS, "??yyyy"},
    {"TLS unseen, plaintext in", IN, UNSEEN, NOT_JUDGED, "f", NONE, LEG_PLAIN, "yy????"},
    {"TLS unseen, plaintext refused", HBA, UNSEEN, NOT_JUDGED, "f", NONE, LEG_PLAIN, "n?????"},
    {"nothing seen", UNSEEN, UNSEEN, NOT_JUDGED, "f", NONE, LEG_TLS, "??????"},
    {"TLS in, not judged", IN, IN, NOT_JUDGED, NULL, NONE, LEG_TLS, "yyyyn?"},
    {"password, not tried", ASKED, ASKED, GOOD, "f", UNKNOWN_YET, LEG_TLS, "??????"},
    {"password, stopped before a login", HBA, ASKED, GOOD, "f", NOT_TO_COME, LEG_PLAIN, "nyyyyy"},
    {"password, good", ASKED, ASKED, GOOD, "f", WORKED, LEG_TLS, "yyyyyy"},
    {"password, wrong", ASKED, ASKED, GOOD, "f", WRONG, LEG_TLS, "nnnnnn"},
    {"password, wrong, trusted in plaintext", IN, ASKED, GOOD, "f", WRONG, LEG_TLS, "yyynnn"},
    {"trusted over TLS, asked in plaintext", ASKED, IN, GOOD, "f", WORKED, LEG_TLS, "??yyyy"},
    {"password, the other leg by other means", OTHER, ASKED, GOOD, "f", WORKED, LEG_TLS, "??yyyy"},
    {"password good, plaintext refused", HBA, ASKED, GOOD, "f", WORKED, LEG_TLS, "nyyyyy"},
    {"password good in plaintext", ASKED, ASKED, GOOD, NULL, WORKED, LEG_PLAIN, "yyyyny"},
    {"password wrong in plaintext", ASKED, HBA, GOOD, NULL, WRONG, LEG_PLAIN, "nnnnnn"},
};

static const char signs[] = {[VERDICT_UNKNOWN] = '?', [VERDICT_NO] = 'n', [VERDICT_YES] = 'y'};

static void decide(const struct server *s, const struct sslmode_facts *f,
                   char signs_of[SSLMODE_COUNT + 1])
{
    struct sslmode_verdict verdicts[SSLMODE_COUNT];

    sslmodes_decide(s, f, verdicts);
    for (size_t i = 0; i < SSLMODE_COUNT; i++)
        signs_of[i] = signs[verdicts[i].works];
    signs_of[SSLMODE_COUNT] = '\0';
}

static struct sslmode_facts facts_of(size_t i)
{
    struct sslmode_facts f = {.known = true,
                              .entered = rows[i].login != NOT_TO_COME,
                              .legs = {[LEG_PLAIN] = rows[i].plain, [LEG_TLS] = rows[i].tls},
                              .judgement = rows[i].judgement,
                              .login_leg = rows[i].login_leg};

    f.login = rows[i].login == WORKED  ? VERDICT_YES
              : rows[i].login == WRONG ? VERDICT_NO
                                       : VERDICT_UNKNOWN;
    f.login_fault = rows[i].login == WRONG ? FAULT_PASSWORD_FAILED : FAULT_NONE;
    f.login_error = rows[i].login == WRONG;
    return f;
}

static void test_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server s = {
            .sslrootcert = rows[i].root, .user = "u", .login = rows[i].login != NONE};
        struct sslmode_facts f = facts_of(i);
        char found[SSLMODE_COUNT + 1];

        decide(&s, &f, found);
        if (strcmp(found, rows[i].want) != 0)
            fail_msg("%s: %s instead of %s", rows[i].what, found, rows[i].want);
        f.known = false; /* the latest inspect told nothing that lasts */
        decide(&s, &f, found);
        assert_string_equal(found, "??????");
    }
}

static void test_unix_sockets_and_direct_tls(void **state)
{
    struct server s = {.unix_socket = true, .user = "u"};
    struct sslmode_facts f = {.known = true, .legs = {[LEG_PLAIN] = IN}};
    char found[SSLMODE_COUNT + 1];

    (void)state;
    decide(&s, &f, found);
    assert_string_equal(found, "yyyyyy");
    s = (struct server){.negotiation = NEGOTIATION_DIRECT, .user = "u", .sslrootcert = "f"};
    f = (struct sslmode_facts){
        .known = true, .legs = {[LEG_PLAIN] = IN, [LEG_TLS] = IN}, .judgement = GOOD};
    decide(&s, &f, found);
    assert_string_equal(found, "nnnyyy");
}

static void test_an_address_alone_has_no_name_to_compare(void **state)
{
    struct server s = {.user = "u", .sslrootcert = "f", .nameless = true};
    struct sslmode_facts f = {
        .known = true, .legs = {[LEG_PLAIN] = IN, [LEG_TLS] = IN}, .judgement = GOOD};
    struct sslmode_verdict verdicts[SSLMODE_COUNT];
    char found[SSLMODE_COUNT + 1];

    (void)state;
    decide(&s, &f, found);
    assert_string_equal(found, "yyyyyn");
    sslmodes_decide(&s, &f, verdicts);
    assert_string_equal(sslmode_reason(&s, SSLMODE_VERIFY_FULL, &verdicts[SSLMODE_VERIFY_FULL]),
                        "needs a host name beside hostaddr");
}

/* channel_binding=require: libpq stops by itself where there is no TLS to bind to, and where nobody
 * asks for a password; what it says about one leg is nothing about the other. */
static void test_demanded_channel_binding(void **state)
{
    static const struct {
        struct leg_seen plain, tls;
        enum login_of login;
        enum leg login_leg;
        const char *want;
    } cases[] = {
        {ASKED, ASKED, WORKED, LEG_TLS, "nnyyyy"},
        {ASKED, ASKED, WRONG, LEG_PLAIN, "nn????"},
        {IN, IN, NONE, LEG_TLS, "nnnnnn"},
        {HBA, ASKED, WORKED, LEG_TLS, "nyyyyy"},
        {ASKED, HBA, UNKNOWN_YET, LEG_TLS, "nnnnnn"},
        {UNSEEN, ASKED, WORKED, LEG_TLS, "??yyyy"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server s = {.user = "u",
                           .sslrootcert = "f",
                           .login = cases[i].login != NONE,
                           .channel_binding = CHANNEL_BINDING_REQUIRE};
        struct sslmode_facts f = {.known = true,
                                  .entered = true,
                                  .legs = {cases[i].plain, cases[i].tls},
                                  .judgement = GOOD,
                                  .login_leg = cases[i].login_leg,
                                  .login = cases[i].login == WORKED  ? Y
                                           : cases[i].login == WRONG ? N
                                                                     : U,
                                  .login_fault = FAULT_SCRAM_CHANNEL_BINDING};
        char found[SSLMODE_COUNT + 1];

        decide(&s, &f, found);
        if (strcmp(found, cases[i].want) != 0)
            fail_msg("case %zu: %s instead of %s", i, found, cases[i].want);
    }
}

static void test_reasons(void **state)
{
    static const struct {
        const char *row, *reasons[SSLMODE_COUNT];
    } cases[] = {
        {"scenario B",
         {"hba_no_entry_nossl", "with TLS, nothing checked", "with TLS, nothing checked",
          "with TLS, nothing checked", "needs an sslrootcert file", "server_cert_self_signed"}},
        {"hostssl only",
         {"hba_no_entry_nossl", "with TLS, chain checked", "with TLS, chain checked",
          "with TLS, chain checked", "with TLS, chain checked",
          "with TLS, chain and host name checked"}},
        {"self-signed, another file",
         {"in plaintext", "in plaintext", "in plaintext", "server_cert_self_signed",
          "server_cert_self_signed", "server_cert_self_signed"}},
        {"another name",
         {"hba_no_entry_nossl", "with TLS, chain checked", "with TLS, chain checked",
          "with TLS, chain checked", "with TLS, chain checked", "server_cert_name_mismatch"}},
        {"no TLS, plaintext refused",
         {"hba_no_entry_nossl", "ssl_not_supported", "ssl_not_supported", "ssl_not_supported",
          "needs an sslrootcert file", "ssl_not_supported"}},
    };

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        size_t i = 0;
        struct sslmode_verdict verdicts[SSLMODE_COUNT];
        struct sslmode_facts f;
        struct server s = {.user = "u"};

        while (strcmp(rows[i].what, cases[c].row) != 0)
            i++;
        f = facts_of(i);
        s.sslrootcert = rows[i].root;
        sslmodes_decide(&s, &f, verdicts);
        for (size_t m = 0; m < SSLMODE_COUNT; m++)
            assert_string_equal(sslmode_reason(&s, (enum sslmode)m, &verdicts[m]),
                                cases[c].reasons[m]);
    }
}

static void test_what_an_ending_says(void **state)
{
    (void)state;
    assert_int_equal(leg_failed(FAULT_TCP_REFUSED, PHASE_TCP, false).in, VERDICT_UNKNOWN);
    assert_int_equal(leg_failed(FAULT_TOO_MANY_CONNECTIONS, PHASE_STARTUP, true).in,
                     VERDICT_UNKNOWN);
    assert_int_equal(leg_failed(FAULT_LOCAL_FILE, PHASE_TLS, false).in, VERDICT_UNKNOWN);
    assert_true(leg_failed(FAULT_HBA_REJECTED, PHASE_STARTUP, true).falls_back);
    assert_true(leg_failed(FAULT_TLS_CLOSED, PHASE_TLS, false).falls_back);
    assert_true(leg_failed(FAULT_SSL_NOT_SUPPORTED, PHASE_SSL_REQUEST, false).falls_back);
    assert_false(leg_failed(FAULT_SSL_CLOSED_AFTER_HANDSHAKE, PHASE_STARTUP, false).falls_back);
    assert_int_equal(leg_entered("trust").asks, ASKS_NOTHING);
    assert_int_equal(leg_entered("md5").asks, ASKS_PASSWORD);
    assert_int_equal(leg_entered("gss").asks, ASKS_OTHER);
}

static void test_side_attempts_where_they_tell_something(void **state)
{
    struct server s = {.user = "u", .sslmode = SSLMODE_VERIFY_FULL, .sslrootcert = "system"};
    struct sslmode_facts f = {.known = true, .by_inspect = {[LEG_TLS] = true}};
    struct server side;

    (void)state;
    assert_true(sslmode_wants_side(&s, &f, LEG_PLAIN));
    assert_false(sslmode_wants_side(&s, &f, LEG_TLS));
    f.by_inspect[LEG_TLS] = false; /* stopped at the certificate */
    assert_true(sslmode_wants_side(&s, &f, LEG_TLS));
    s.sslrootcert = "f";
    f.judgement.chain = VERDICT_NO; /* where it would stop, too */
    assert_false(sslmode_wants_side(&s, &f, LEG_TLS));
    f.known = false; /* down */
    assert_false(sslmode_wants_side(&s, &f, LEG_PLAIN));
    f.known = true;
    s.user = NULL;
    assert_false(sslmode_wants_side(&s, &f, LEG_PLAIN));
    s.unix_socket = true;
    s.user = "u";
    assert_false(sslmode_wants_side(&s, &f, LEG_TLS));

    s = (struct server){.user = "u",
                        .sslmode = SSLMODE_REQUIRE,
                        .sslrootcert = "f",
                        .negotiation = NEGOTIATION_DIRECT,
                        .n_pins = 1,
                        .login = true};
    side = sslmode_side_server(&s, LEG_PLAIN);
    assert_int_equal(side.sslmode, SSLMODE_DISABLE);
    assert_int_equal(side.negotiation, NEGOTIATION_POSTGRES);
    side = sslmode_side_server(&s, LEG_TLS);
    assert_int_equal(side.sslmode, SSLMODE_REQUIRE);
    assert_int_equal(side.negotiation, NEGOTIATION_DIRECT);
    assert_string_equal(side.sslrootcert, "f");
    assert_int_equal(side.n_pins, 0);
    assert_false(side.login);
}

/* A side attempt decides its leg, keeps what it did not decide, and is not asked for the other. */
static void test_folding(void **state)
{
    struct sslmode_facts f = {.known = false};
    struct observation o;

    (void)state;
    observation_init(&o, PROBE_INSPECT);
    o.leg = LEG_TLS;
    o.legs[LEG_TLS] = leg_entered("trust");
    sslmode_facts_inspect(&f, &o);
    assert_true(f.known && f.by_inspect[LEG_TLS] && !f.by_inspect[LEG_PLAIN]);
    assert_int_equal(f.login_leg, LEG_TLS);

    observation_init(&o, PROBE_INSPECT);
    o.fault = FAULT_HBA_NO_ENTRY_NOSSL;
    o.legs[LEG_PLAIN] = leg_failed(o.fault, PHASE_STARTUP, true);
    sslmode_facts_side(&f, LEG_PLAIN, &o);
    assert_int_equal(f.legs[LEG_PLAIN].in, VERDICT_NO);
    assert_false(f.by_inspect[LEG_PLAIN]);

    observation_init(&o, PROBE_INSPECT);
    o.fault = FAULT_TCP_REFUSED;
    sslmode_facts_side(&f, LEG_PLAIN, &o);
    assert_int_equal(f.legs[LEG_PLAIN].in, VERDICT_NO);
    sslmode_facts_inspect(&f, &o);
    assert_false(f.known);
    assert_int_equal(f.legs[LEG_TLS].in, VERDICT_YES);

    observation_init(&o, PROBE_LOGIN);
    o.fault = FAULT_AUTH_METHOD_REFUSED; /* by us alone */
    sslmode_facts_login(&f, &o);
    assert_int_equal(f.login, VERDICT_UNKNOWN);
    o.fault = FAULT_PASSWORD_FAILED;
    snprintf(o.sqlstate, sizeof o.sqlstate, "28P01");
    sslmode_facts_login(&f, &o);
    assert_true(f.login == VERDICT_NO && f.login_error);
    o.fault = FAULT_NONE;
    sslmode_facts_login(&f, &o);
    assert_int_equal(f.login, VERDICT_YES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_unix_sockets_and_direct_tls),
        cmocka_unit_test(test_an_address_alone_has_no_name_to_compare),
        cmocka_unit_test(test_demanded_channel_binding),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_what_an_ending_says),
        cmocka_unit_test(test_side_attempts_where_they_tell_something),
        cmocka_unit_test(test_folding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
