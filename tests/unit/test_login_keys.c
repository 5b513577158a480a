/* pg/login_keys: the keys of RFC 7677's example, for what there are none, and when keeping pays. */
#include "pgtls/pg/login_keys.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* RFC 7677 section 3. */
#define PASSWORD "pencil"
#define SIGNED                                                                                     \
    "n=user,r=rOprNGfwEbeRWgbNEkqO,"                                                               \
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"      \
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define PROOF     "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SIGNATURE "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static const struct wire_scram example = {.salt = "W22ZaJ0SNY7soEsUEjb6gQ==", .iterations = 4096};

static void sign(const unsigned char key[32], unsigned char to[32])
{
    unsigned len = 32;

    assert_non_null(
        HMAC(EVP_sha256(), key, 32, (const unsigned char *)SIGNED, strlen(SIGNED), to, &len));
}

static void assert_base64(const unsigned char bytes[32], const char *expected)
{
    char text[SCRAM_KEY_TEXT];

    EVP_EncodeBlock((unsigned char *)text, bytes, 32);
    assert_string_equal(text, expected);
}

static void decode(const char *text, unsigned char to[33])
{
    assert_int_equal(strlen(text), 44);
    assert_int_equal(EVP_DecodeBlock(to, (const unsigned char *)text, 44), 33);
}

/* As a client and a server of the example use them. */
static void test_the_example(void **state)
{
    struct scram_keys keys;
    unsigned char client[33], server[33], stored[32], proof[32], signature[32];

    (void)state;
    assert_true(scram_keys_derive(&keys, PASSWORD, &example));
    assert_true(wire_scram_same(&keys.offer, &example));
    decode(keys.client_key, client);
    decode(keys.server_key, server);
    SHA256(client, 32, stored);
    sign(stored, proof);
    for (size_t i = 0; i < 32; i++)
        proof[i] ^= client[i];
    assert_base64(proof, PROOF);
    sign(server, signature);
    assert_base64(signature, SIGNATURE);
}

static void test_salts(void **state)
{
    static const struct {
        const char *salt;
        bool good;
    } rows[] = {{"QQ==", true},  {"QUI=", true},   {"QUJD", true},  {"QUJDRA==", true},
                {"", false},     {"QQ", false},    {"Q===", false}, {"====", false},
                {"Q?==", false}, {"QUJ\n", false}, {" UJD", false}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wire_scram offer = {.iterations = 1};
        struct scram_keys keys;

        memcpy(offer.salt, rows[i].salt, strlen(rows[i].salt));
        assert_int_equal(scram_keys_derive(&keys, PASSWORD, &offer), rows[i].good);
        if (!rows[i].good)
            assert_string_equal(keys.client_key, "");
    }
}

/* libpq normalises what is not ASCII. */
static void test_no_keys_but_of_ascii(void **state)
{
    struct scram_keys keys;

    (void)state;
    assert_false(scram_keys_derive(&keys, "p\xc3\xa9ncil", &example));
    assert_false(scram_keys_derive(&keys, "pencil\x80", &example));
    assert_string_equal(keys.client_key, "");
    assert_true(scram_keys_derive(&keys, "pen\tcil \x7f", &example));
}

static void test_another_secret_has_other_keys(void **state)
{
    struct login_keys *k = login_keys_new();
    struct scram_keys keys;

    (void)state;
    assert_non_null(k);
    assert_true(scram_keys_derive(&keys, PASSWORD, &example));
    assert_null(login_keys_begin(k, 1));
    assert_true(login_keys_wanted(k));
    login_keys_take(k, &keys, 1);
    assert_false(login_keys_wanted(k));
    assert_non_null(login_keys_begin(k, 1));
    assert_string_equal(login_keys_begin(k, 1)->client_key, keys.client_key);
    assert_null(login_keys_begin(k, 2));
    assert_null(login_keys_begin(k, 1)); /* gone, not only passed over */
    assert_true(login_keys_wanted(k));
    login_keys_free(k);
    login_keys_free(NULL);
}

/* Logins against a server whose keys fit `good` times and then no more: how many go by password
 * before keys are wanted again. */
static unsigned rests(struct login_keys *k, const struct scram_keys *keys, unsigned good)
{
    unsigned by_password = 0;

    login_keys_take(k, keys, 1);
    for (unsigned i = 0; i < good; i++) {
        assert_non_null(login_keys_begin(k, 1));
        login_keys_fitted(k);
    }
    assert_non_null(login_keys_begin(k, 1));
    login_keys_failed(k);
    while (!login_keys_wanted(k)) {
        assert_null(login_keys_begin(k, 1));
        by_password++;
    }
    return by_password;
}

static void test_when_it_pays(void **state)
{
    struct login_keys *k = login_keys_new();
    struct scram_keys keys = {.offer = example};
    unsigned rest = LOGIN_KEYS_PAY;

    (void)state;
    assert_non_null(k);
    assert_int_equal(rests(k, &keys, LOGIN_KEYS_PAY), 0);
    assert_int_equal(rests(k, &keys, LOGIN_KEYS_PAY), 0);
    for (; rest <= LOGIN_KEYS_MAX_REST; rest *= 2)
        assert_int_equal(rests(k, &keys, LOGIN_KEYS_PAY - 1), rest);
    assert_int_equal(rests(k, &keys, 0), LOGIN_KEYS_MAX_REST);
    assert_int_equal(rests(k, &keys, LOGIN_KEYS_PAY), 0);
    assert_int_equal(rests(k, &keys, 0), LOGIN_KEYS_PAY);
    login_keys_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example),
        cmocka_unit_test(test_salts),
        cmocka_unit_test(test_no_keys_but_of_ascii),
        cmocka_unit_test(test_another_secret_has_other_keys),
        cmocka_unit_test(test_when_it_pays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
