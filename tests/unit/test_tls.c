/* tls/: host names by libpq's rules, certificates as plain facts, chains judged in three facts.
 * Certificates are made on the spot. */
#include "tls.h"

#include "pgtls/base/clock.h"
#include "pgtls/tls/certificate_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define DAY INT64_C(86400)

struct recipe {
    const char *cn, *sans;   /* sans in openssl.cnf's syntax, NULL: none */
    int64_t from_s, until_s; /* relative to now */
    bool ca;
};

static EVP_PKEY *key;

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Signed by issuer, or by itself. All share one key: names and dates are what is tested. */
static X509 *make(const struct recipe *r, X509 *issuer)
{
    static long serial = 1000;
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), (long)r->from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), (long)r->until_s);
    if (r->cn)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)r->cn, -1, -1,
                                   0);
    X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : name);
    X509_set_pubkey(x, key);
    if (r->ca)
        add_extension(x, issuer ? issuer : x, NID_basic_constraints, "critical,CA:TRUE");
    if (r->sans)
        add_extension(x, issuer ? issuer : x, NID_subject_alt_name, r->sans);
    X509_sign(x, key, EVP_sha256());
    return x;
}

static int setup(void **state)
{
    (void)state;
    key = EVP_EC_gen("P-256");
    return key ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    return 0;
}

static void test_hostnames_by_libpqs_rules(void **state)
{
    static const struct {
        const char *cn, *sans, *host;
        bool matches;
    } rows[] = {
        {"db.example", NULL, "db.example", true},
        {"DB.Example", NULL, "db.exAMPLE", true},
        {"db.example", NULL, "db2.example", false},
        {"db.example", "DNS:other.example", "db.example", false}, /* a DNS SAN forbids the CN */
        {"db.example", "DNS:other.example", "other.example", true},
        {"x", "DNS:*.example", "db.example", true},
        {"x", "DNS:*.example", "a.db.example", false}, /* one label only */
        {"x", "DNS:*.example", ".example", false},
        {"x", "DNS:*.local", "db.local", true}, /* OpenSSL refuses this one, libpq does not */
        {"x", "DNS:d*.example", "db.example", false},
        {"x", "DNS:*", "db", false},
        {"*.example", NULL, "db.example", true},
        {"192.0.2.1", NULL, "192.0.2.1", true},
        {"192.0.2.1", "DNS:db.example", "192.0.2.1", true}, /* no IP SAN: the CN still counts */
        {"192.0.2.1", "IP:192.0.2.2", "192.0.2.1", false},
        {"x", "IP:192.0.2.1", "192.0.2.1", true},
        {"x", "IP:2001:db8::1", "2001:DB8:0::1", true},
        {"x", "IP:2001:db8::1", "2001:db8::2", false},
        {"x", "DNS:192.0.2.1", "192.0.2.1", true},
        {"x", "DNS:a.example,IP:192.0.2.1,DNS:b.example", "b.example", true},
        {NULL, "DNS:a.example", "a.example", true},
        {NULL, NULL, "a.example", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct recipe r = {.cn = rows[i].cn, .sans = rows[i].sans, .until_s = DAY};
        X509 *x = make(&r, NULL);

        if (hostname_matches(x, rows[i].host) != rows[i].matches)
            fail_msg("CN=%s SANs=%s host=%s", rows[i].cn ? rows[i].cn : "-",
                     rows[i].sans ? rows[i].sans : "-", rows[i].host);
        X509_free(x);
    }
}

static void test_a_name_with_nul_never_matches(void **state)
{
    const struct recipe r = {.until_s = DAY};
    X509 *x = make(&r, NULL);

    (void)state;
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               (const unsigned char *)"db.example\0.evil.example", 24, -1, 0);
    assert_false(hostname_matches(x, "db.example"));
    assert_false(hostname_matches(x, "db.example.evil.example"));
    X509_free(x);
}

static void test_facts_are_clean_and_bounded(void **state)
{
    const struct recipe r = {.cn = "line\nbreak \x1b[31m and a name that is much longer than what "
                                   "a label may hold, so that",
                             .from_s = -DAY,
                             .until_s = DAY};
    const struct recipe nobody = {.sans = "DNS:first.example,DNS:second.example", .until_s = DAY};
    X509 *x = make(&r, NULL);
    struct certificate c;

    (void)state;
    certificate_facts(x, &c);
    assert_null(strpbrk(c.subject, "\n\x1b"));
    assert_true(strlen(c.subject) <= 128);
    assert_string_equal(c.key, "EC-P-256");
    assert_string_equal(c.signature, "ecdsa-with-SHA256");
    assert_int_equal(strlen(c.fingerprint_sha256), 64);
    assert_int_equal(c.not_after - c.not_before, 2 * DAY);
    X509_free(x);
    x = make(&nobody, NULL);
    certificate_facts(x, &c);
    assert_string_equal(c.subject, "DNS:first.example"); /* an empty subject shows the first SAN */
    assert_string_equal(c.sans, "DNS:first.example, DNS:second.example");
    X509_free(x);
}

static bool revocation; /* is looked at, with no list to look at */

/* Judges leaf (and what was served with it) against a store of one root. */
static void judge(X509 *root, X509 *leaf, STACK_OF(X509) * served, const char *host,
                  struct chain_memory *memory)
{
    const struct server server = {.host = host};
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    unsigned char id[32];

    if (root)
        X509_STORE_add_cert(store, root);
    if (revocation)
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    X509_STORE_CTX_init(ctx, store, leaf, served);
    judge_chain_id(leaf, served, id);
    assert_true(judge_chain(ctx, &server, id, memory));
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
}

static void test_three_facts_are_judged_apart(void **state)
{
    static const struct recipe root_recipe = {
        .cn = "root", .from_s = -DAY, .until_s = 99 * DAY, .ca = true};
    static const struct {
        struct recipe leaf;
        bool trusted;
        const char *host;
        enum verdict chain, dates, hostname;
        int code;
    } rows[] = {
        {{"a", "DNS:a", -DAY, DAY, 0}, true, "a", VERDICT_YES, VERDICT_YES, VERDICT_YES, 0},
        {{"a", "DNS:a", -DAY, DAY, 0}, true, "b", VERDICT_YES, VERDICT_YES, VERDICT_NO, 0},
        {{"a", "DNS:a", -2 * DAY, -DAY, 0},
         true,
         "b",
         VERDICT_YES,
         VERDICT_NO,
         VERDICT_NO,
         X509_V_ERR_CERT_HAS_EXPIRED},
        {{"a", "DNS:a", DAY, 2 * DAY, 0},
         true,
         "a",
         VERDICT_YES,
         VERDICT_NO,
         VERDICT_YES,
         X509_V_ERR_CERT_NOT_YET_VALID},
        {{"a", "DNS:a", -2 * DAY, -DAY, 0},
         false,
         "a",
         VERDICT_NO,
         VERDICT_NO,
         VERDICT_YES,
         X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
    };
    X509 *root = make(&root_recipe, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        X509 *leaf = make(&rows[i].leaf, root);
        struct chain_memory m = {0};

        judge(rows[i].trusted ? root : NULL, leaf, NULL, rows[i].host, &m);
        assert_int_equal(m.judgement.chain, rows[i].chain);
        assert_int_equal(m.judgement.dates, rows[i].dates);
        assert_int_equal(m.judgement.hostname, rows[i].hostname);
        assert_int_equal(m.judgement.verify_code, rows[i].code);
        assert_int_equal(m.chain->count, rows[i].trusted ? 2 : 1);
        assert_int_equal(m.chain->by_position[POSITION_LEAF], 0);
        assert_int_equal(m.anchors != NULL, rows[i].trusted);
        chain_memory_deinit(&m);
        X509_free(leaf);
    }
    X509_free(root);
}

static void test_the_path_that_verified_is_what_counts(void **state)
{
    static const struct recipe root_r = {"root", NULL, -DAY, 90 * DAY, true};
    static const struct recipe good_r = {"middle", NULL, -DAY, 50 * DAY, true};
    static const struct recipe stray_r = {"stray", NULL, -DAY, DAY, true};
    static const struct recipe leaf_r = {"a", "DNS:a", -DAY, 30 * DAY, false};
    X509 *root = make(&root_r, NULL), *middle = make(&good_r, root);
    X509 *stray = make(&stray_r, root), *leaf = make(&leaf_r, middle);
    STACK_OF(X509) *served = sk_X509_new_null();
    struct chain_memory m = {0};
    const struct certificate *intermediate;

    (void)state;
    sk_X509_push(served, leaf);
    sk_X509_push(served, stray);
    sk_X509_push(served, middle);
    judge(root, leaf, served, "a", &m);
    assert_int_equal(m.judgement.chain, VERDICT_YES);
    assert_int_equal(m.chain->served, 3);
    assert_int_equal(m.chain->count, 4);
    intermediate = &m.chain->certificates[m.chain->by_position[POSITION_INTERMEDIATE]];
    assert_string_equal(intermediate->subject, "CN=middle"); /* not the one that expires first */
    assert_false(m.chain->certificates[m.chain->by_position[POSITION_ROOT]].served);
    chain_memory_deinit(&m);

    judge(NULL, leaf, served, "a", &m); /* none verifies: the served chain counts */
    intermediate = &m.chain->certificates[m.chain->by_position[POSITION_INTERMEDIATE]];
    assert_string_equal(intermediate->subject, "CN=stray");
    assert_int_equal(m.chain->by_position[POSITION_ROOT], -1);
    chain_memory_deinit(&m);
    sk_X509_free(served);
    X509_free(root);
    X509_free(middle);
    X509_free(stray);
    X509_free(leaf);
}

static void test_a_verdict_lasts_until_a_date_changes_it(void **state)
{
    static const struct recipe soon = {"a", "DNS:a", -DAY, 5, false};
    X509 *leaf = make(&soon, NULL);
    struct chain_memory m = {0};
    int64_t now_s = clock_realtime_ns() / NS_PER_S;

    (void)state;
    judge(leaf, leaf, NULL, "a", &m);
    assert_int_equal(m.judgement.dates, VERDICT_YES);
    assert_in_range(m.valid_until_s, now_s, now_s + 7);
    chain_memory_deinit(&m);
    X509_free(leaf);
}

/* What a login may be held to: the way to a trusted root, or a leaf that vouches for itself and has
 * no other fault. */
static void test_anchors_of_a_self_signed_leaf(void **state)
{
    static const struct recipe leaf_r = {"a", "DNS:a", -DAY, DAY, false};
    static const struct recipe root_r = {"root", NULL, -DAY, DAY, true};
    X509 *root = make(&root_r, NULL), *leaf = make(&leaf_r, NULL), *issued = make(&leaf_r, root);
    struct chain_memory m = {0};

    (void)state;
    judge(root, leaf, NULL, "a", &m);
    assert_int_equal(m.judgement.chain, VERDICT_NO);
    assert_int_equal(m.judgement.verify_code, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
    assert_non_null(m.anchors);
    assert_memory_equal(m.anchors->text, "-----BEGIN CERTIFICATE", 22);
    assert_null(strstr(m.anchors->text + 1, "-----BEGIN"));
    chain_memory_deinit(&m);
    revocation = true; /* a second fault, which libpq would find, too */
    judge(root, leaf, NULL, "a", &m);
    revocation = false;
    assert_int_equal(m.judgement.verify_code, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
    assert_null(m.anchors);
    chain_memory_deinit(&m);
    judge(NULL, issued, NULL, "a", &m); /* somebody else's word, and he is not known */
    assert_int_equal(m.judgement.chain, VERDICT_NO);
    assert_null(m.anchors);
    chain_memory_deinit(&m);
    X509_free(root);
    X509_free(leaf);
    X509_free(issued);
}

static void test_pins(void **state)
{
    static const struct recipe leaf_r = {"a", "DNS:a", -DAY, DAY, false};
    X509 *leaf = make(&leaf_r, NULL);
    struct pin pins[2] = {{""}, {""}};
    struct server server = {.host = "a"};
    struct chain_memory m = {0};
    unsigned char *der = NULL, digest[32];
    const struct certificate *c;
    int len;

    (void)state;
    judge(leaf, leaf, NULL, "a", &m);
    c = &m.chain->certificates[0];
    assert_int_equal(judge_pin(&server, m.chain), VERDICT_UNKNOWN);
    server.pins = pins;
    server.n_pins = 2;
    memset(pins[0].hex, '0', 64);
    memset(pins[1].hex, '1', 64);
    assert_int_equal(judge_pin(&server, m.chain), VERDICT_NO);
    memcpy(pins[1].hex, c->fingerprint_sha256, sizeof pins[1].hex);
    assert_int_equal(judge_pin(&server, m.chain), VERDICT_YES);
    memcpy(pins[1].hex, c->public_key_sha256, sizeof pins[1].hex);
    assert_int_equal(judge_pin(&server, m.chain), VERDICT_YES);
    server.n_pins = 1;
    assert_int_equal(judge_pin(&server, m.chain), VERDICT_NO);

    len = i2d_PUBKEY(key, &der); /* the SPKI, as `openssl pkey -pubout -outform DER` writes it */
    assert_true(len > 0);
    assert_int_equal(EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < sizeof digest; i++) {
        char two[3];

        snprintf(two, sizeof two, "%02x", digest[i]);
        assert_memory_equal(c->public_key_sha256 + 2 * i, two, 2);
    }
    OPENSSL_free(der);
    chain_memory_deinit(&m);
    X509_free(leaf);
}

/* --- files ------------------------------------------------------------------------------------ */

/* Writes the file anew: with the key, if wanted, and the certificates up to the first NULL. */
static void write_pem(const char *path, bool with_key, X509 *first, X509 *second)
{
    FILE *to = fopen(path, "w");

    assert_non_null(to);
    if (with_key) /* encrypted: nobody may be asked for its passphrase */
        assert_int_equal(PEM_write_PrivateKey(to, key, EVP_aes_128_cbc(),
                                              (const unsigned char *)"secret", 6, NULL, NULL),
                         1);
    if (first)
        assert_int_equal(PEM_write_X509(to, first), 1);
    if (second)
        assert_int_equal(PEM_write_X509(to, second), 1);
    assert_int_equal(fclose(to), 0);
}

static void test_a_certificate_file_is_read_when_it_changes(void **state)
{
    static const struct recipe one_r = {"one", "DNS:a", -DAY, DAY, false},
                               two_r = {"two", "DNS:a", -DAY, 2 * DAY, false};
    X509 *one = make(&one_r, NULL), *two = make(&two_r, NULL);
    char directory[] = "/tmp/pgtls-test-XXXXXX", path[64], other[64];
    struct certificate_file *file, *before;
    struct certificate facts;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/server.crt", directory);
    snprintf(other, sizeof other, "%s/other", directory);
    certificate_facts(one, &facts);

    file = certificate_file_look(NULL, path);
    assert_string_equal(file->error, "No such file or directory");
    assert_string_equal(file->path, path);
    write_pem(path, true, one, two);
    file = certificate_file_look(file, path);
    assert_string_equal(file->error, "");
    assert_string_equal(file->leaf.subject, "CN=one"); /* the first is the one that is served */
    assert_string_equal(file->leaf.fingerprint_sha256, facts.fingerprint_sha256);
    assert_true(file->modified_realtime_ns > clock_realtime_ns() - 60 * NS_PER_S);
    before = file;
    file = certificate_file_look(file, path);
    assert_ptr_equal(file, before);

    write_pem(other, false, two, one); /* renewed as cert-manager and certbot do: by a rename */
    assert_int_equal(rename(other, path), 0);
    file = certificate_file_look(file, path);
    assert_string_equal(file->leaf.subject, "CN=two");
    write_pem(path, false, one, NULL); /* and in place */
    file = certificate_file_look(file, path);
    assert_string_equal(file->leaf.subject, "CN=one");
    file = certificate_file_look(file, other); /* another file altogether */
    assert_string_equal(file->error, "No such file or directory");

    certificate_file_unref(file);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
    X509_free(one);
    X509_free(two);
}

static void test_what_is_no_certificate_file(void **state)
{
    char directory[] = "/tmp/pgtls-test-XXXXXX", path[64];
    struct certificate_file *file = NULL;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
    file = certificate_file_look(file, directory);
    assert_string_equal(file->error, "not a regular file");
    file = certificate_file_look(file, "/dev/zero");
    assert_string_equal(file->error, "not a regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    file = certificate_file_look(file, path); /* nobody writes to it: this must not wait */
    assert_string_equal(file->error, "not a regular file");
    assert_int_equal(unlink(path), 0);
    write_pem(path, true, NULL, NULL);
    file = certificate_file_look(file, path);
    assert_string_equal(file->error, "no certificate in PEM format is in it");
    write_pem(path, false, NULL, NULL); /* emptied, to be written next */
    file = certificate_file_look(file, path);
    assert_string_equal(file->error, "no certificate in PEM format is in it");
    assert_int_equal(truncate(path, (off_t)CERTIFICATE_FILE_MAX_BYTES + 1), 0);
    file = certificate_file_look(file, path);
    assert_string_equal(file->error, "larger than 1048576 bytes: not a certificate file");
    certificate_file_unref(file);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostnames_by_libpqs_rules),
        cmocka_unit_test(test_a_name_with_nul_never_matches),
        cmocka_unit_test(test_facts_are_clean_and_bounded),
        cmocka_unit_test(test_three_facts_are_judged_apart),
        cmocka_unit_test(test_the_path_that_verified_is_what_counts),
        cmocka_unit_test(test_a_verdict_lasts_until_a_date_changes_it),
        cmocka_unit_test(test_anchors_of_a_self_signed_leaf),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_a_certificate_file_is_read_when_it_changes),
        cmocka_unit_test(test_what_is_no_certificate_file),
    };

    return cmocka_run_group_tests_name("tls", tests, setup, teardown);
}
