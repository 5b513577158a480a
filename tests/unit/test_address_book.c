/* config/: what is known of hosts that are followed, several of them at a time. */
#include "address_book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct address_book book;

static bool set(const char *host, const char *address)
{
    return address_book_set(&book, host, &address, 1);
}

/* The first address known of a host; "" when it is not known. */
static const char *known(const char *host)
{
    const struct book_entry *entry = address_book_find(&book, host);

    assert_true(!entry || strcmp(entry->host, host) == 0);
    return entry ? entry->addresses[0] : "";
}

static int tear_down(void **state)
{
    (void)state;
    address_book_deinit(&book);
    book = (struct address_book){.n = 0};
    return 0;
}

/* In whatever order they come and go, none is taken for another. */
static void test_several_hosts(void **state)
{
    static const char *const hosts[] = {"m", "z", "a", "mm", "b", "y", "l"};
    enum { N = sizeof hosts / sizeof *hosts };

    (void)state;
    for (size_t i = 0; i < N; i++)
        assert_true(set(hosts[i], hosts[i]));
    for (size_t i = 0; i < N; i++)
        assert_string_equal(known(hosts[i]), hosts[i]);
    assert_string_equal(known("c"), "");
    assert_string_equal(known(""), "");
    assert_string_equal(known("zz"), "");

    address_book_drop(&book, "c");
    address_book_drop(&book, "zz");
    for (size_t i = 0; i < N; i++) {
        address_book_drop(&book, hosts[i]);
        for (size_t j = 0; j < N; j++)
            assert_string_equal(known(hosts[j]), j > i ? hosts[j] : "");
    }
    assert_int_equal(book.n, 0);
    address_book_drop(&book, "m");
    assert_null(address_book_find(NULL, "m"));
}

/* A resolver tells them in another order each time: that is no news. */
static void test_news(void **state)
{
    const char *first[] = {"192.0.2.9", "192.0.2.10"}, *turned[] = {"192.0.2.10", "192.0.2.9"};
    const char *other[] = {"192.0.2.9", "192.0.2.11"};

    (void)state;
    assert_true(set("b", "192.0.2.1"));
    assert_true(address_book_set(&book, "a", first, 2));
    assert_false(address_book_set(&book, "a", turned, 2));
    assert_true(address_book_set(&book, "a", other, 2));
    assert_true(address_book_set(&book, "a", other, 1));
    assert_true(address_book_set(&book, "a", other, 2));
    assert_string_equal(known("b"), "192.0.2.1");
}

/* An answer without addresses leaves what is known, one with too many is cut. */
static void test_bounds(void **state)
{
    static char texts[BOOK_MAX_ADDRESSES + 6][32];
    const char *many[BOOK_MAX_ADDRESSES + 6];

    (void)state;
    assert_false(address_book_set(&book, "a", NULL, 0));
    assert_null(address_book_find(&book, "a"));
    for (size_t i = 0; i < BOOK_MAX_ADDRESSES + 6; i++) {
        snprintf(texts[i], sizeof texts[i], "192.0.2.%03zu", i);
        many[i] = texts[i];
    }
    assert_true(address_book_set(&book, "a", many, BOOK_MAX_ADDRESSES + 6));
    assert_int_equal(address_book_find(&book, "a")->n, BOOK_MAX_ADDRESSES);
    assert_false(address_book_set(&book, "a", many, BOOK_MAX_ADDRESSES));
    assert_false(address_book_set(&book, "a", many, 0));
    assert_string_equal(known("a"), "192.0.2.000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_several_hosts, tear_down),
        cmocka_unit_test_teardown(test_news, tear_down),
        cmocka_unit_test_teardown(test_bounds, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
