/* base/: buffers with a maximum, durations, cleaning, hashing, nearest names, the stopwatch. */
#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/stopwatch.h"
#include "pgtls/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_buf_stops_at_its_maximum(void **state)
{
    struct buf b = BUF_INIT(8);

    (void)state;
    buf_add_str(&b, "12345678");
    assert_false(b.failed);
    buf_add_char(&b, '9');
    assert_true(b.failed);
    assert_string_equal(buf_text(&b), "12345678");
    buf_reset(&b);
    buf_addf(&b, "%d-%s", 42, "x");
    assert_string_equal(buf_text(&b), "42-x");
    buf_addf(&b, "%s", "too long for it");
    assert_true(b.failed);
    buf_deinit(&b);
}

static void test_buf_doubles_read_back(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {1, "1"},
        {-3, "-3"},
        {0.1, "0.1"},
        {0.005, "0.005"},
        {1e300, "1e+300"},
        {1700000000, "1700000000"},
        {1700000000.125, "1700000000.125"},
        {0.1 + 0.2, "0.30000000000000004"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = BUF_INIT(64);

        buf_add_double(&b, rows[i].value);
        assert_string_equal(buf_text(&b), rows[i].text);
        buf_deinit(&b);
    }
}

static void test_durations_both_ways(void **state)
{
    static const struct {
        const char *text;
        int64_t ns; /* -1: refused */
    } rows[] = {
        {"0", 0},
        {"30s", 30 * NS_PER_S},
        {"1m30s", 90 * NS_PER_S},
        {"500ms", 500 * NS_PER_MS},
        {"1d", 86400 * NS_PER_S},
        {"", -1},
        {"30", -1},
        {"s", -1},
        {"-1s", -1},
        {"1.5s", -1},
        {"10y", -1},
        {"99999999999999999d", -1},
        {" 1s", -1},
        {"1s ", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ns = -1;
        bool ok = str_to_duration_ns(rows[i].text, &ns);

        assert_int_equal(ok, rows[i].ns >= 0);
        if (ok) {
            struct buf b = BUF_INIT(64);
            int64_t again;

            assert_int_equal(ns, rows[i].ns);
            str_add_duration(&b, ns);
            assert_true(str_to_duration_ns(buf_text(&b), &again));
            assert_int_equal(again, ns);
            buf_deinit(&b);
        }
    }
}

static void test_clean_makes_any_bytes_fit_to_show(void **state)
{
    char to[64];

    (void)state;
    str_clean(to, sizeof to, "caf\xc3\xa9\x00\x01\xff\n\\", 10);
    assert_string_equal(to, "caf\xc3\xa9\\x00\\x01\\xff\\n\\\\");
    str_clean(to, 6, "abcd\xc3\xa9", 6);
    assert_string_equal(to, "abcd"); /* never half a character */
    str_clean(to, sizeof to, "\xed\xa0\x80\xc0\xaf", 5);
    assert_string_equal(to, "\\xed\\xa0\\x80\\xc0\\xaf"); /* surrogate, overlong */
    str_clean(to, sizeof to, "\xc2\x9b", 2);
    assert_string_equal(to, "\\xc2\\x9b"); /* C1 control: a terminal would obey it */
}

static void test_copy_never_splits_a_character(void **state)
{
    char to[6];

    (void)state;
    assert_true(str_copy(to, sizeof to, "abcde"));
    assert_false(str_copy(to, sizeof to, "abcd\xc3\xa9"));
    assert_string_equal(to, "abcd");
}

static void test_nearest(void **state)
{
    static const char *const names[] = {"interval", "timeout", "sslmode", "sslrootcert"};

    (void)state;
    assert_string_equal(str_nearest("intervall", names, 4), "interval");
    assert_string_equal(str_nearest("ssl_mode", names, 4), "sslmode");
    assert_null(str_nearest("banana", names, 4));
}

static void test_hash_is_stable_across_releases(void **state)
{
    (void)state;
    assert_true(str_hash(STR_HASH_START, "foobar") == UINT64_C(0x85944171f73967e8));
}

static void test_integers_have_bounds(void **state)
{
    int64_t v;

    (void)state;
    assert_true(str_to_i64("65535", 1, 65535, &v));
    assert_false(str_to_i64("65536", 1, 65535, &v));
    assert_false(str_to_i64("12x", 0, 99, &v));
    assert_false(str_to_i64("", 0, 99, &v));
    assert_false(str_to_i64(" 1", 0, 99, &v));
    assert_false(str_to_i64("\t1", 0, 99, &v));
    assert_false(str_to_i64("+1", 0, 99, &v));
    assert_false(str_to_i64("- 1", -9, 99, &v));
    assert_true(str_to_i64("-1", -9, 99, &v));
    assert_false(str_to_i64("99999999999999999999", 0, INT64_MAX, &v));
}

static void test_stopwatch_leaves_out_the_time_we_were_busy(void **state)
{
    struct stopwatch w;

    (void)state;
    stopwatch_start(&w, 100);
    stopwatch_worked(&w, 5, 106); /* sent at 106 */
    stopwatch_arrived(&w, 206);   /* answered after 100 */
    stopwatch_worked(&w, 7, 900); /* noticed late, worked 7 */
    assert_int_equal(stopwatch_total_ns(&w), 112);
    stopwatch_arrived(&w, 500); /* older than our send: counts nothing */
    assert_int_equal(stopwatch_total_ns(&w), 112);
    stopwatch_cpu(&w, 3);
    stopwatch_sent(&w, 1000);
    stopwatch_arrived(&w, 1010); /* a first part, read without sending anything */
    stopwatch_arrived(&w, 1050);
    stopwatch_arrived(&w, 1040);
    assert_int_equal(stopwatch_total_ns(&w), 165);
}

static void test_arena(void **state)
{
    struct arena *a = arena_new();
    char *big;

    (void)state;
    assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
    big = arena_alloc(a, 100000);
    assert_non_null(big);
    assert_int_equal(big[99999], 0);
    assert_null(arena_strdup(a, NULL));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_stops_at_its_maximum),
        cmocka_unit_test(test_buf_doubles_read_back),
        cmocka_unit_test(test_durations_both_ways),
        cmocka_unit_test(test_clean_makes_any_bytes_fit_to_show),
        cmocka_unit_test(test_copy_never_splits_a_character),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_hash_is_stable_across_releases),
        cmocka_unit_test(test_integers_have_bounds),
        cmocka_unit_test(test_stopwatch_leaves_out_the_time_we_were_busy),
        cmocka_unit_test(test_arena),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
