/* Servers that show the same certificates share what is known of them, and only they. */
#include "share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* As judging leaves it: a chain of its own, anchors of its own. */
static struct chain_memory judged(unsigned char id, const char *subject, const char *anchors)
{
    struct chain_memory memory = {.chain = chain_new(1),
                                  .anchors = pem_new(anchors, strlen(anchors))};

    assert_non_null(memory.chain);
    assert_non_null(memory.anchors);
    memory.chain->id[0] = id;
    snprintf(memory.chain->certificates[0].subject, sizeof memory.chain->certificates[0].subject,
             "%s", subject);
    return memory;
}

static void test_the_same_is_kept_once(void **state)
{
    struct shared shared = {0};
    struct chain_memory a = judged(1, "CN=a", "root"), b = judged(1, "CN=a", "root");

    (void)state;
    shared_take(&shared, &a);
    shared_take(&shared, &b);
    assert_ptr_equal(a.chain, b.chain);
    assert_ptr_equal(a.anchors, b.anchors);
    shared_deinit(&shared); /* those who hold it keep it */
    assert_string_equal(b.chain->certificates[0].subject, "CN=a");
    chain_memory_deinit(&a);
    assert_string_equal(b.anchors->text, "root");
    chain_memory_deinit(&b);
}

/* The same bytes from the server, but another path, or the same slot for another chain. */
static void test_what_differs_stays_apart(void **state)
{
    struct shared shared = {0};
    struct chain_memory a = judged(1, "CN=a", "root"), b = judged(1, "CN=b", "Root"),
                        c = judged(1 + SHARED_SLOTS, "CN=a", "roots");

    (void)state;
    shared_take(&shared, &a);
    shared_take(&shared, &b);
    shared_take(&shared, &c);
    assert_string_equal(a.chain->certificates[0].subject, "CN=a");
    assert_string_equal(b.chain->certificates[0].subject, "CN=b");
    assert_int_equal(c.chain->id[0], 1 + SHARED_SLOTS);
    assert_string_equal(a.anchors->text, "root");
    assert_string_equal(b.anchors->text, "Root");
    assert_string_equal(c.anchors->text, "roots");
    chain_memory_deinit(&a);
    chain_memory_deinit(&b);
    chain_memory_deinit(&c);
    shared_deinit(&shared);
}

static void test_there_is_a_bound(void **state)
{
    struct shared shared = {0};
    int kept = 0;

    (void)state;
    for (unsigned i = 0; i < 4 * SHARED_SLOTS; i++) {
        char text[16];
        struct chain_memory memory;

        snprintf(text, sizeof text, "%u", i);
        memory = judged((unsigned char)i, text, text);
        shared_take(&shared, &memory);
        assert_string_equal(memory.chain->certificates[0].subject, text);
        assert_string_equal(memory.anchors->text, text);
        chain_memory_deinit(&memory);
    }
    for (int i = 0; i < SHARED_SLOTS; i++)
        kept += shared.chains[i] != NULL;
    assert_int_equal(kept, SHARED_SLOTS);
    shared_deinit(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_is_kept_once),
        cmocka_unit_test(test_what_differs_stays_apart),
        cmocka_unit_test(test_there_is_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
