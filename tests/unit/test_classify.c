/* model/classify: every row of the tables of evidence gets its name, every fault can be reached,
 * and the numbers written down for OpenSSL's constants are OpenSSL's. */
#include "pgtls/base/str.h"
#include "pgtls/model/evidence.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An evidence in short: what a row does not name is absent. */
struct row {
    enum fault fault;
    enum phase phase;
    enum end_kind end;
    enum close_how how;
    int sys_errno;
    enum resolve_status resolve;
    enum internal_reason local;
    unsigned char answer; /* to SSLRequest; 0 = none was seen */
    bool extra, tls, cert_asked, cert, name_mismatch, pin_mismatch, auth_ok, v2;
    int alert; /* 0 = none */
    enum tls_reason reason;
    int code, depth;
    int auth; /* 0 = none, unless auth_ok */
    enum auth_client_error auth_client;
    const char *c, *r, *f, *m, *d;
};

#define ERROR(name, ...) {.fault = FAULT_##name, .end = END_ERROR_RESPONSE, __VA_ARGS__},
#define PG(name, in_tls, state, routine, file, message)                                            \
    ERROR(name, .phase = PHASE_STARTUP, .tls = in_tls, .c = state, .r = routine, .f = file,        \
          .m = message)
#define POOLER(name, in_tls, state, message)                                                       \
    ERROR(name, .phase = PHASE_STARTUP, .tls = in_tls, .c = state, .m = message)

static const struct row rows[] = {
#include "data/classify_connection.inc"
#include "data/classify_errors.inc"
};
#define N_ROWS (sizeof rows / sizeof *rows)

static void copy(char *to, size_t size, const char *text)
{
    if (text)
        assert_true(str_copy(to, size, text));
}

static struct evidence evidence_of(const struct row *row)
{
    struct evidence e = EVIDENCE_INIT;

    e.phase = row->phase;
    e.end = row->end;
    e.how = row->how;
    e.sys_errno = row->sys_errno;
    e.resolve = row->resolve;
    e.local = row->local;
    e.ssl_answer_seen = row->answer != 0;
    e.ssl_answer = row->answer;
    e.extra_after_answer = row->extra;
    e.tls_in_use = row->tls;
    e.tls_alert = row->alert ? row->alert : -1;
    e.ssl_reason = row->reason;
    e.certificate_requested = row->cert_asked;
    e.client_certificate = row->cert;
    e.verify_code = row->code;
    e.verify_depth = row->depth;
    e.hostname_mismatch = row->name_mismatch;
    e.pin_mismatch = row->pin_mismatch;
    e.auth_request = row->auth_ok ? 0 : row->auth ? row->auth : -1;
    e.auth_ok = row->auth_ok;
    e.auth_client = row->auth_client;
    e.error.present = row->end == END_ERROR_RESPONSE;
    e.error.v2 = row->v2;
    copy(e.error.sqlstate, sizeof e.error.sqlstate, row->c);
    copy(e.error.routine, sizeof e.error.routine, row->r);
    copy(e.error.file, sizeof e.error.file, row->f);
    copy(e.error.message, sizeof e.error.message, row->m);
    copy(e.error.detail, sizeof e.error.detail, row->d);
    return e;
}

static void test_every_row_gets_its_name(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        struct evidence e = evidence_of(&rows[i]);
        enum fault got = fault_classify(&e);

        if (got != rows[i].fault) {
            print_error("row %zu (phase %s, end %d, message \"%s\"): %s instead of %s\n", i,
                        phase_name(e.phase), (int)e.end, e.error.message, fault_row(got)->id,
                        fault_row(rows[i].fault)->id);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    assert_true(N_ROWS >= 90);
}

static void test_every_fault_can_be_reached(void **state)
{
    size_t missing = 0;

    (void)state;
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        size_t i = 0;

        if (fault_row((enum fault)fault)->class == FAULT_CLASS_EXPECTATION)
            continue; /* by what is configured, see test_expect.c */
        while (i < N_ROWS && (int)rows[i].fault != fault)
            i++;
        if (i == N_ROWS) {
            print_error("no evidence leads to %s\n", fault_row((enum fault)fault)->id);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}

/* A reader looks a fault up by the phase label beside it. */
static void test_the_catalogue_names_the_phase_of_every_row(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const char *phases = fault_row(rows[i].fault)->phases;

        if (strcmp(phases, "any") != 0 && !strstr(phases, phase_name(rows[i].phase))) {
            print_error("%s: phase %s is not among \"%s\"\n", fault_row(rows[i].fault)->id,
                        phase_name(rows[i].phase), phases);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* SSL closes are those of TLS connections; everything else that closes is unavailable. */
static void test_closes_by_tls(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &rows[i];
        bool tls = row->tls || row->phase == PHASE_TLS;

        if (row->end == END_CLOSED && row->phase >= PHASE_SSL_REQUEST)
            assert_int_equal(fault_row(row->fault)->class,
                             tls ? FAULT_CLASS_SSL_CLOSE : FAULT_CLASS_UNAVAILABLE);
    }
}

static void test_plaintext_rejections_are_of_their_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        enum hba_kind kind = fault_row(rows[i].fault)->hba;

        if (kind == HBA_NO_ENTRY || kind == HBA_REJECTED || kind == HBA_UNSPECIFIED)
            assert_true(rows[i].tls);
        if (kind == HBA_NO_ENCRYPTION)
            assert_false(rows[i].tls);
    }
}

/* The tables write OpenSSL's numbers down; here they meet its headers. */
static void test_numbers_are_openssl_s(void **state)
{
    static const struct {
        int alert;
        enum fault fault;
    } alerts[] = {
        {SSL3_AD_HANDSHAKE_FAILURE, FAULT_TLS_NO_SHARED_PARAMETERS},
        {SSL3_AD_BAD_CERTIFICATE, FAULT_CLIENT_CERT_REJECTED},
        {SSL3_AD_UNSUPPORTED_CERTIFICATE, FAULT_CLIENT_CERT_REJECTED},
        {SSL3_AD_CERTIFICATE_REVOKED, FAULT_CLIENT_CERT_REJECTED},
        {SSL3_AD_CERTIFICATE_EXPIRED, FAULT_CLIENT_CERT_REJECTED},
        {SSL3_AD_CERTIFICATE_UNKNOWN, FAULT_CLIENT_CERT_REJECTED},
        {TLS1_AD_UNKNOWN_CA, FAULT_CLIENT_CERT_UNTRUSTED},
        {TLS1_AD_PROTOCOL_VERSION, FAULT_TLS_VERSION_MISMATCH},
        {TLS1_AD_INSUFFICIENT_SECURITY, FAULT_TLS_NO_SHARED_PARAMETERS},
        {TLS1_AD_INTERNAL_ERROR, FAULT_TLS_SERVER_INTERNAL_ERROR},
        {TLS1_AD_INAPPROPRIATE_FALLBACK, FAULT_TLS_VERSION_MISMATCH},
        {TLS1_AD_UNRECOGNIZED_NAME, FAULT_TLS_SNI_UNRECOGNIZED},
        {TLS13_AD_CERTIFICATE_REQUIRED, FAULT_CLIENT_CERT_REQUIRED},
        {TLS1_AD_NO_APPLICATION_PROTOCOL, FAULT_TLS_ALPN_REJECTED},
    };
    static const struct {
        int code;
        enum fault fault;
    } codes[] = {
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, FAULT_SERVER_CERT_UNTRUSTED},
        {X509_V_ERR_UNABLE_TO_GET_CRL, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_CRL_SIGNATURE_FAILURE, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_CERT_NOT_YET_VALID, FAULT_SERVER_CERT_NOT_YET_VALID},
        {X509_V_ERR_CERT_HAS_EXPIRED, FAULT_SERVER_CERT_EXPIRED},
        {X509_V_ERR_CRL_NOT_YET_VALID, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_CRL_HAS_EXPIRED, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_OUT_OF_MEM, FAULT_LOCAL_MEMORY},
        {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, FAULT_SERVER_CERT_SELF_SIGNED},
        {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, FAULT_SERVER_CERT_UNTRUSTED},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, FAULT_SERVER_CERT_UNTRUSTED},
        {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, FAULT_SERVER_CERT_UNTRUSTED},
        {X509_V_ERR_CERT_REVOKED, FAULT_SERVER_CERT_REVOKED},
        {X509_V_ERR_INVALID_PURPOSE, FAULT_SERVER_CERT_WRONG_PURPOSE},
        {X509_V_ERR_CERT_UNTRUSTED, FAULT_SERVER_CERT_UNTRUSTED},
        {X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_DIFFERENT_CRL_SCOPE, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_CRL_PATH_VALIDATION_ERROR, FAULT_CRL_UNUSABLE},
        {X509_V_ERR_HOSTNAME_MISMATCH, FAULT_SERVER_CERT_NAME_MISMATCH},
        {X509_V_ERR_IP_ADDRESS_MISMATCH, FAULT_SERVER_CERT_NAME_MISMATCH},
        {X509_V_ERR_EE_KEY_TOO_SMALL, FAULT_SERVER_CERT_WEAK_KEY},
        {X509_V_ERR_CA_KEY_TOO_SMALL, FAULT_SERVER_CERT_WEAK_KEY},
        {X509_V_ERR_CA_MD_TOO_WEAK, FAULT_SERVER_CERT_WEAK_SIGNATURE},
        {X509_V_ERR_INVALID_CA, FAULT_SERVER_CERT_INVALID},
    };
    struct evidence e = EVIDENCE_INIT;

    (void)state;
    e.phase = PHASE_TLS;
    e.end = END_ALERT;
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++) {
        e.tls_alert = alerts[i].alert;
        assert_int_equal(fault_classify(&e), alerts[i].fault);
    }
    e.end = END_CERTIFICATE;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        e.verify_code = codes[i].code;
        assert_int_equal(fault_classify(&e), codes[i].fault);
    }
}

/* Every end in every phase has a name, and only END_NONE has none. */
static void test_nothing_stays_unnamed(void **state)
{
    (void)state;
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        for (int end = END_NONE; end < END_KIND_COUNT; end++) {
            struct evidence e = EVIDENCE_INIT;
            enum fault fault;

            e.phase = (enum phase)phase;
            e.end = (enum end_kind)end;
            fault = fault_classify(&e);
            assert_true((fault == FAULT_NONE) == (end == END_NONE));
            assert_true(fault < FAULT_COUNT);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_gets_its_name),
        cmocka_unit_test(test_every_fault_can_be_reached),
        cmocka_unit_test(test_the_catalogue_names_the_phase_of_every_row),
        cmocka_unit_test(test_closes_by_tls),
        cmocka_unit_test(test_plaintext_rejections_are_of_their_kind),
        cmocka_unit_test(test_numbers_are_openssl_s),
        cmocka_unit_test(test_nothing_stays_unnamed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
