/* app/: what people type to name what they mean. */
#include "fleet_fixture.h"

#include "target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_addresses_are_told_from_names(void **state)
{
    static const struct {
        const char *target;
        bool address;
    } rows[] = {
        {"localhost:5432", true},
        {"db.example.com:1", true},
        {"192.0.2.1:65535", true},
        {"[::1]:5432", true},
        {"[2001:db8::1]:5432/app", true},
        {"user@host:5432", true},
        {"u:p:w@host:5432/d?a", true},
        {"host:5432/app", true},
        {"localhost", false},
        {"localhost:", false},
        {"localhost:54321a", false},
        {":5432", false},
        {"[::1]", false},
        {"[::1:5432", false},
        {"host:123456", false},
        {"orders/write", false},
        {"orders", false},
        {"a b:5432", false},
        {"host=x:5432", false},
        {"", false},
        {"postgresql://h:5432", false},
        {"orders/write:5432", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (target_is_address(rows[i].target) != rows[i].address)
            fail_msg("%s", rows[i].target);
    }
    assert_true(target_is_string("postgresql+asyncpg://h"));
    assert_true(target_is_string("host=x"));
    assert_false(target_is_string("host:5432"));
}

static void test_a_server_has_three_names(void **state)
{
    struct server s = fixture_server("orders", "write", "db.example:5432");

    (void)state;
    assert_true(target_means("orders", &s));
    assert_true(target_means("orders/write", &s));
    assert_true(target_means("db.example:5432", &s));
    assert_false(target_means("order", &s));
    assert_false(target_means("orders2", &s));
    assert_false(target_means("orders/", &s));
    assert_false(target_means("orders/wri", &s));
    assert_false(target_means("db.example", &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_told_from_names),
        cmocka_unit_test(test_a_server_has_three_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
