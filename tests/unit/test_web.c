/* The parts of the web configuration that need no network: hashes, who waits for one, policies. */
#include "pgtls/base/buf.h"
#include "pgtls/config/web_config.h"
#include "web_auth.h"
#include "web_bcrypt.h"
#include "web_priority.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Of the reference implementation's own tests (crypt_blowfish). */
static const struct {
    const char *hash, *password;
} vectors[] = {
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*"},
    {"$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U"},
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", ""},
    {"$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e", "\xff\xff\xa3"},
    {"$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
     "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
     "chars after 72 are ignored"},
};

static void test_bcrypt(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char other[128];

        assert_int_equal(bcrypt_check(vectors[i].hash, vectors[i].password), BCRYPT_RIGHT);
        assert_int_equal(bcrypt_check(vectors[i].hash, "U*V"), BCRYPT_WRONG);
        snprintf(other, sizeof other, "%s", vectors[i].hash);
        other[2] = 'z'; /* any letter means the same */
        assert_int_equal(bcrypt_check(other, vectors[i].password), BCRYPT_RIGHT);
        snprintf(other, sizeof other, "$2%s", vectors[i].hash + 3); /* and none */
        assert_int_equal(bcrypt_check(other, vectors[i].password), BCRYPT_RIGHT);
        snprintf(other, sizeof other, "%s", vectors[i].hash);
        other[strlen(other) - 2] ^= 1;
        assert_int_equal(bcrypt_check(other, vectors[i].password), BCRYPT_WRONG);
    }
}

static void test_hashes_that_are_none(void **state)
{
    static const char *const hashes[] = {
        "",
        "$2",
        "$2$",
        "$2y$05",
        "$2y$05$",
        "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
        "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWx",
        "$2y$05$!!!!!!!!!!!!!!!!!!!!!!E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2y$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    };

    (void)state;
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        assert_int_equal(bcrypt_check(hashes[i], "U*U"), BCRYPT_NO_HASH);
}

/* --- who waits -------------------------------------------------------------------------------- */

#define MANY 100

struct asker {
    sem_t told;
    enum web_verdict verdict;
    _Atomic unsigned times;
};

static void on_verdict(void *context, enum web_verdict verdict)
{
    struct asker *asker = context;

    asker->verdict = verdict;
    asker->times++;
    sem_post(&asker->told);
}

static enum web_verdict wait_for(struct asker *asker)
{
    while (sem_wait(&asker->told) != 0)
        ;
    return asker->verdict;
}

static struct asker *askers_new(void)
{
    struct asker *askers = calloc(MANY, sizeof *askers);

    for (size_t i = 0; i < MANY; i++)
        sem_init(&askers[i].told, 0, 0);
    return askers;
}

static const struct auth_hash known = {
    "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", true};
static const struct auth_hash unknown = {
    "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", false};

static void test_what_came_out_is_remembered(void **state)
{
    _Atomic uint64_t computed = 0;
    struct auth *auth = auth_new(&computed);
    struct web_visitor right = {"a", "U*U", 1}, wrong = {"a", "U*V", 1};
    struct asker *askers = askers_new();

    (void)state;
    assert_int_equal(auth_recall(auth, &known, &right), WEB_UNDECIDED);
    auth_ask(auth, &known, &right, on_verdict, &askers[0]);
    assert_int_equal(wait_for(&askers[0]), WEB_WELCOME);
    assert_int_equal(auth_recall(auth, &known, &right), WEB_WELCOME);
    auth_ask(auth, &known, &wrong, on_verdict, &askers[1]);
    assert_int_equal(wait_for(&askers[1]), WEB_WRONG);
    assert_int_equal(auth_recall(auth, &known, &wrong), WEB_WRONG);
    assert_int_equal(computed, 2);
    /* The right password of somebody else is no reason to let in who does not exist. */
    assert_int_equal(auth_recall(auth, &unknown, &right), WEB_UNDECIDED);
    auth_ask(auth, &unknown, &right, on_verdict, &askers[2]);
    assert_int_equal(wait_for(&askers[2]), WEB_WRONG);
    assert_int_equal(computed, 3);
    /* Names, hashes and passwords are told apart, also where one ends and the next begins. */
    assert_int_equal(auth_recall(auth, &known, &(struct web_visitor){"aU", "*U", 1}),
                     WEB_UNDECIDED);
    assert_int_equal(auth_recall(auth, &known, &(struct web_visitor){"b", "U*U", 1}),
                     WEB_UNDECIDED);
    auth_close(auth);
    auth_free(auth);
    free(askers);
}

static void test_wrong_ones_do_not_push_out_the_right_one(void **state)
{
    _Atomic uint64_t computed = 0;
    struct auth *auth = auth_new(&computed);
    struct web_visitor right = {"a", "U*U", 1};
    struct asker *askers = askers_new();

    (void)state;
    auth_ask(auth, &known, &right, on_verdict, &askers[0]);
    assert_int_equal(wait_for(&askers[0]), WEB_WELCOME);
    for (unsigned i = 0; i < 300; i++) {
        char password[16];

        snprintf(password, sizeof password, "%u", i);
        auth_ask(auth, &known, &(struct web_visitor){"a", password, 1}, on_verdict, &askers[1]);
        assert_int_equal(wait_for(&askers[1]), WEB_WRONG);
    }
    assert_int_equal(auth_recall(auth, &known, &right), WEB_WELCOME);
    assert_int_equal(auth_recall(auth, &known, &(struct web_visitor){"a", "0", 1}), WEB_UNDECIDED);
    assert_int_equal(auth_recall(auth, &known, &(struct web_visitor){"a", "299", 1}), WEB_WRONG);
    auth_close(auth);
    auth_free(auth);
    free(askers);
}

/* A hash that is never done holds the thread, so that everybody else waits. */
static const struct auth_hash endless = {
    "$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", true};

static unsigned ask_many(struct auth *auth, struct asker *askers, unsigned from, unsigned n,
                         unsigned places)
{
    unsigned refused = 0;

    for (unsigned i = from; i < from + n; i++) {
        char password[16];

        snprintf(password, sizeof password, "%u", i);
        auth_ask(auth, &endless, &(struct web_visitor){"a", password, i % places}, on_verdict,
                 &askers[i]);
        refused += askers[i].times > 0;
    }
    return refused;
}

static void test_only_so_many_wait(void **state)
{
    static _Atomic uint64_t computed; /* the thread outlives this */
    struct auth *auth = auth_new(&computed);
    struct asker *askers = askers_new();

    (void)state;
    assert_int_equal(ask_many(auth, askers, 0, 20, 1), 20 - 8); /* of one place */
    assert_int_equal(ask_many(auth, askers, 20, 80, 80), 80 - (64 - 8));
    for (unsigned i = 0; i < MANY; i++)
        assert_true(askers[i].times == 0 || askers[i].verdict == WEB_BUSY);
    auth_close(auth);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(askers[i].times, 1);
        assert_int_equal(askers[i].verdict, WEB_BUSY);
    }
    auth_ask(auth, &known, &(struct web_visitor){"a", "U*U", 7}, on_verdict, &askers[0]);
    assert_int_equal(askers[0].times, 2);
    assert_int_equal(askers[0].verdict, WEB_BUSY);
    auth_free(auth);
    free(askers);
}

/* --- policies --------------------------------------------------------------------------------- */

static struct web_config *config_of(const char *tls)
{
    struct config_messages messages = {0};
    struct buf text = BUF_INIT(4096);
    struct web_config *config;

    buf_addf(&text, "tls_server_config: {cert_file: a, key_file: b%s}", tls);
    config = web_config_load_text("web.yml", buf_text(&text), text.len, &messages);
    assert_non_null(config);
    buf_deinit(&text);
    config_messages_deinit(&messages);
    return config;
}

static void assert_policy(const char *tls, bool rsa, enum web_tls_version low,
                          enum web_tls_version high, const char *expected)
{
    struct web_config *config = config_of(tls);
    struct buf policy = BUF_INIT(4096);

    assert_int_equal(web_priority(config, rsa, low, high, &policy), *expected != '\0');
    if (*expected)
        assert_string_equal(buf_text(&policy), expected);
    buf_deinit(&policy);
    web_config_free(config);
}

#define HEAD "NORMAL:-VERS-ALL:-KX-ALL:-CIPHER-ALL:-MAC-ALL:-GROUP-ALL"

static void test_policies(void **state)
{
    (void)state;
    assert_policy("", false, WEB_TLS12, WEB_TLS12,
                  HEAD
                  ":+VERS-TLS1.2:+ECDHE-ECDSA:+AES-128-GCM:+AEAD:+AES-256-GCM:+CHACHA20-POLY1305"
                  ":+AES-128-CBC:+SHA1:+AES-256-CBC:+GROUP-X25519:+GROUP-SECP256R1"
                  ":+GROUP-SECP384R1:+GROUP-SECP521R1:%SERVER_PRECEDENCE");
    assert_policy(", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384], curve_preferences: "
                  "[CurveP384], prefer_server_cipher_suites: false",
                  true, WEB_TLS12, WEB_TLS12,
                  HEAD ":+VERS-TLS1.2:+ECDHE-RSA:+AES-256-GCM:+AEAD:+GROUP-SECP384R1");
    /* The same suite is of no use with another key, and nothing is left. */
    assert_policy(", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]", false, WEB_TLS12,
                  WEB_TLS12, "");
    /* Suites of TLS 1.3 are not chosen, as in Go. */
    assert_policy(", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384], curve_preferences: "
                  "[X25519]",
                  true, WEB_TLS13, WEB_TLS13,
                  HEAD ":+VERS-TLS1.3:+ECDHE-RSA:+AES-128-GCM:+AEAD:+AES-256-GCM"
                       ":+CHACHA20-POLY1305:+GROUP-X25519:%SERVER_PRECEDENCE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bcrypt),
        cmocka_unit_test(test_hashes_that_are_none),
        cmocka_unit_test(test_what_came_out_is_remembered),
        cmocka_unit_test(test_wrong_ones_do_not_push_out_the_right_one),
        cmocka_unit_test(test_only_so_many_wait),
        cmocka_unit_test(test_policies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
