/* probe/probe.h: what one probe leaves to the next ones. */
#include "probe.h"

#include "login_state.h"

#include "pgtls/base/str.h"
#include "pgtls/tls/trust.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* An inspect of `server` that was good. */
static void inspect(struct learned *learned, const struct server *server, enum verdict pin,
                    enum verdict dates)
{
    struct probe p = {.server = server, .learned = learned, .tls = true};

    observation_init(&p.observation, PROBE_INSPECT);
    str_copy(p.observation.address, sizeof p.observation.address, "127.0.0.1");
    p.observation.judgement = (struct judgement){.pin = pin, .dates = dates};
    p.observation.anchors = pem_new("a certificate\n", 14);
    assert_non_null(p.observation.anchors);
    learned_take(learned, &p);
    observation_deinit(&p.observation);
}

/* What libpq would be told of verification, by what has been learned. */
static void assert_sslmode(const struct learned *learned, const struct server *server,
                           const char *expected)
{
    struct probe_host host = {.trusts = trust_cache_new("/dev/null")};
    struct login_start start = {.server = server, .learned = learned, .host = &host};
    enum internal_reason reason;
    char text[256];
    struct login *login = login_start(&start, &reason, text, sizeof text);
    PQconninfoOption *options, *option;

    assert_non_null(login);
    options = PQconninfo(login->conn);
    assert_non_null(options);
    for (option = options; strcmp(option->keyword, "sslmode") != 0; option++)
        assert_non_null(option->keyword);
    assert_string_equal(option->val, expected);
    PQconninfoFree(options);
    login_free(login);
    trust_cache_free(host.trusts);
}

static const struct pin one;
static const struct server pinned = {.host = "db.example",
                                     .user = "app",
                                     .dbname = "app",
                                     .sslmode = SSLMODE_REQUIRE,
                                     .pins = &one,
                                     .n_pins = 1};

static void test_a_login_is_held_to_the_pin_that_was_seen(void **state)
{
    struct learned learned = {0};

    (void)state;
    inspect(&learned, &pinned, VERDICT_YES, VERDICT_YES);
    assert_sslmode(&learned, &pinned, "verify-ca");
    inspect(&learned, &pinned, VERDICT_YES, VERDICT_NO); /* libpq would not verify it */
    assert_sslmode(&learned, &pinned, "require");
    learned_forget(&learned);
    assert_false(learned.pinned);
}

/* Sessions are opened when it is their time: an inspect may be under way, and have seen somebody
 * else by now. */
static void test_an_inspect_under_way_loosens_nothing(void **state)
{
    struct learned learned = {0};

    (void)state;
    inspect(&learned, &pinned, VERDICT_YES, VERDICT_YES);
    learned.memory.judgement = (struct judgement){.pin = VERDICT_NO, .dates = VERDICT_YES};
    assert_sslmode(&learned, &pinned, "verify-ca");
    learned.memory.judgement = (struct judgement){0};
    assert_sslmode(&learned, &pinned, "verify-ca");
    learned_forget(&learned);
}

static void test_of_several_pins_a_login_is_held_to_none(void **state)
{
    struct server two = pinned;
    struct learned learned = {0};

    (void)state;
    two.n_pins = 2;
    inspect(&learned, &two, VERDICT_YES, VERDICT_YES);
    assert_sslmode(&learned, &two, "require");
    learned_forget(&learned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_login_is_held_to_the_pin_that_was_seen),
        cmocka_unit_test(test_an_inspect_under_way_loosens_nothing),
        cmocka_unit_test(test_of_several_pins_a_login_is_held_to_none),
    };

    return login_setup() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
