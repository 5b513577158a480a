/* The library context of handshakes offers and reads what OpenSSL's own does. */
#include "pgtls/tls/library.h"

#include "slower.h"

#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#define HELLOS     16 /* how many of OpenSSL's own tell which bytes of a ClientHello are random */
#define HELLO_SIZE 1024

static struct library *library;

static int set_up(void **state)
{
    (void)state;
    library = library_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    library_free(library);
    return 0;
}

/* --- what is offered -------------------------------------------------------------------------- */

static size_t client_hello(OSSL_LIB_CTX *from, unsigned char hello[HELLO_SIZE])
{
    SSL_CTX *context = SSL_CTX_new_ex(from, NULL, TLS_client_method());
    BIO *out = BIO_new(BIO_s_mem());
    SSL *ssl;
    int n;

    assert_non_null(context);
    assert_non_null(out);
    ssl = SSL_new(context);
    assert_non_null(ssl);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    SSL_set_connect_state(ssl);
    assert_int_equal(SSL_do_handshake(ssl), -1);
    n = BIO_read(out, hello, HELLO_SIZE);
    assert_in_range(n, 100, HELLO_SIZE - 1);
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
    return (size_t)n;
}

/* Suites, groups, signature algorithms and the rest, in their order: every byte that is not random
 * (the nonce, the session id, the key share). */
static void test_offers_the_same(void **state)
{
    unsigned char first[HELLO_SIZE], other[HELLO_SIZE], ours[HELLO_SIZE];
    bool random[HELLO_SIZE] = {false};
    size_t n = client_hello(NULL, first), randoms = 0;

    (void)state;
    for (int i = 0; i < HELLOS; i++) {
        assert_int_equal(client_hello(NULL, other), n);
        for (size_t at = 0; at < n; at++)
            random[at] = random[at] || other[at] != first[at];
    }
    for (size_t at = 0; at < n; at++)
        randoms += random[at];
    assert_in_range(randoms, 32, 32 + 32 + 32);
    assert_int_equal(client_hello(library_context(library), ours), n);
    for (size_t at = 0; at < n; at++) {
        if (!random[at] && ours[at] != first[at])
            fail_msg("byte %zu of %zu is %02x, not %02x", at, n, ours[at], first[at]);
    }
}

/* --- what is read ----------------------------------------------------------------------------- */

/* A certificate with this key, signed with it, as DER. */
static int certificate(EVP_PKEY *key, const EVP_MD *digest, unsigned char **der)
{
    X509 *x = X509_new();
    int n;

    assert_non_null(key);
    assert_non_null(x);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 60);
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, digest) > 0);
    n = i2d_X509(x, der);
    X509_free(x);
    return n;
}

static void check_reads(EVP_PKEY *key, const EVP_MD *digest)
{
    unsigned char *der = NULL;
    const unsigned char *at;
    int n = certificate(key, digest, &der);
    X509 *x = X509_new_ex(library_context(library), NULL);

    at = der;
    assert_non_null(x);
    assert_non_null(d2i_X509(&x, &at, n));
    assert_non_null(X509_get0_pubkey(x));
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(x), key), 1);
    assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
    der[n - 1] ^= 1; /* of the signature */
    at = der;
    assert_non_null(d2i_X509(&x, &at, n));
    assert_int_not_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
    ERR_clear_error();
    X509_free(x);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

static void test_reads_every_kind_of_key(void **state)
{
    (void)state;
    check_reads(EVP_EC_gen("P-256"), EVP_sha256());
    check_reads(EVP_EC_gen("P-384"), EVP_sha384());
    check_reads(EVP_EC_gen("P-521"), EVP_sha512());
    check_reads(EVP_RSA_gen(slower() > 1 ? 1024 : 2048), EVP_sha256());
    check_reads(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL);
    check_reads(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), NULL);
}

/* --- that there is anything to it ------------------------------------------------------------- */

static void count(EVP_CIPHER *cipher, void *number)
{
    (void)cipher;
    ++*(int *)number;
}

static void count_decoder(OSSL_DECODER *decoder, void *number)
{
    (void)decoder;
    ++*(int *)number;
}

static void test_has_less_to_look_through(void **state)
{
    int all = 0, ours = 0;

    (void)state;
    if (OPENSSL_version_major() != 3 || OPENSSL_version_minor() != 0) {
        assert_null(library);
        skip();
    }
    assert_non_null(library);
    EVP_CIPHER_do_all_provided(NULL, count, &all);
    EVP_CIPHER_do_all_provided(library_context(library), count, &ours);
    assert_true(ours < all / 2);
    all = ours = 0;
    OSSL_DECODER_do_all_provided(NULL, count_decoder, &all);
    OSSL_DECODER_do_all_provided(library_context(library), count_decoder, &ours);
    assert_in_range(ours, 5, all / 4);
}

/* Its name is libpq's way to a digest: led into ours, it finds the code there at once. */
static void test_serves_who_knows_of_no_context(void **state)
{
    const unsigned char abc[] = {0xba, 0x78, 0x16, 0xbf}; /* FIPS 180-2, B.1 */
    const EVP_MD *ordinary = EVP_sha256();
    unsigned char digest[EVP_MAX_MD_SIZE];

    (void)state;
    if (!library)
        skip();
    assert_null(EVP_MD_get0_provider(ordinary));
    library_enter(library);
    assert_non_null(EVP_MD_get0_provider(EVP_sha256()));
    assert_int_equal(EVP_Digest("abc", 3, digest, NULL, EVP_sha256(), NULL), 1);
    assert_ptr_equal(OSSL_LIB_CTX_set0_default(NULL), library_context(library));
    library_leave();
    assert_memory_equal(digest, abc, sizeof abc);
    assert_ptr_equal(EVP_sha256(), ordinary);
    assert_ptr_not_equal(OSSL_LIB_CTX_set0_default(NULL), library_context(library));
    library_enter(NULL);
    assert_ptr_equal(EVP_sha256(), ordinary);
    library_leave();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offers_the_same),
        cmocka_unit_test(test_reads_every_kind_of_key),
        cmocka_unit_test(test_has_less_to_look_through),
        cmocka_unit_test(test_serves_who_knows_of_no_context),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
