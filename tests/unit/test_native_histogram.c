/* model/: native histograms: which bucket, sparse, bounded, coarser rather than larger. */
#include "pgtls/model/native_histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct native_histogram *of(const double *values, size_t n)
{
    struct native_histogram *h = NULL;

    for (size_t i = 0; i < n; i++)
        assert_true(native_histogram_add(&h, values[i]));
    return h;
}

static uint64_t total(const struct native_histogram *h)
{
    uint64_t sum = h->zero_count;

    for (size_t i = 0; i < h->n; i++)
        sum += h->buckets[i].count;
    return sum;
}

static void assert_well_formed(const struct native_histogram *h)
{
    assert_non_null(h);
    assert_in_range(h->n, 0, NATIVE_MAX_BUCKETS);
    assert_true(h->n <= h->room);
    assert_in_range(h->schema, 0, NATIVE_SCHEMA);
    for (size_t i = 0; i < h->n; i++) {
        assert_true(h->buckets[i].count > 0);
        assert_true(i == 0 || h->buckets[i - 1].index < h->buckets[i].index);
    }
}

static int32_t index_of(double value)
{
    struct native_histogram *h = of(&value, 1);
    int32_t index;

    assert_int_equal(h->n, 1);
    assert_int_equal(h->buckets[0].count, 1);
    index = h->buckets[0].index;
    free(h);
    return index;
}

/* 2^(i/8), rounded as the table of the first schema has it. */
static double bound(int32_t i)
{
    return ldexp(exp2((double)(((i % 8) + 8) % 8) / 8), (i - (((i % 8) + 8) % 8)) / 8);
}

static void test_a_bound_belongs_to_its_bucket(void **state)
{
    (void)state;
    assert_int_equal(index_of(1), 0);
    assert_int_equal(index_of(nextafter(1, 2)), 1);
    assert_int_equal(index_of(2), 8);
    assert_int_equal(index_of(0.5), -8);
    assert_int_equal(index_of(0.25), -16);
    assert_int_equal(index_of(0x1.0p-19), -152);
    for (int32_t i = -150; i < 100; i++) {
        double middle = sqrt(bound(i - 1) * bound(i));

        assert_int_equal(index_of(middle), i);
    }
}

static void test_what_is_too_small_is_zero(void **state)
{
    const double values[] = {0, 1e-9, NATIVE_ZERO_THRESHOLD, 0x1.00001p-20};
    struct native_histogram *h = of(values, 4);

    (void)state;
    assert_int_equal(h->zero_count, 3);
    assert_int_equal(h->n, 1);
    assert_int_equal(h->buckets[0].index, -159);
    free(h);
}

static void test_it_takes_no_more_room_than_it_needs(void **state)
{
    struct native_histogram *h = NULL;

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(native_histogram_add(&h, 0.001 + i % 3 * 0.001));
    assert_int_equal(h->n, 3);
    assert_int_equal(h->room, 8);
    assert_int_equal(h->schema, NATIVE_SCHEMA);
    assert_int_equal(total(h), 1000);
    free(h);
}

static void test_full_it_becomes_coarser(void **state)
{
    struct native_histogram *h = NULL;

    (void)state;
    for (int32_t i = 0; i < NATIVE_MAX_BUCKETS; i++)
        assert_true(native_histogram_add(&h, bound(i - 40) * 0.999));
    assert_int_equal(h->schema, NATIVE_SCHEMA);
    assert_int_equal(h->n, NATIVE_MAX_BUCKETS);
    assert_int_equal(h->buckets[0].index, -40);
    assert_true(native_histogram_add(&h, 1000));
    assert_well_formed(h);
    assert_int_equal(h->schema, NATIVE_SCHEMA - 1);
    assert_int_equal(total(h), NATIVE_MAX_BUCKETS + 1);
    /* -40 alone goes up to 2^-5: half of it, rounded up; then two and two. */
    assert_int_equal(h->buckets[0].index, -20);
    assert_int_equal(h->buckets[0].count, 1);
    assert_int_equal(h->buckets[1].index, -19);
    assert_int_equal(h->buckets[1].count, 2);
    assert_int_equal(h->buckets[h->n - 1].index, 40); /* 1000 <= 2^(40/4) */
    free(h);
}

/* Whatever comes, from a nanosecond to a century. */
static void test_nothing_is_too_much(void **state)
{
    struct native_histogram *h = NULL;
    uint64_t n = 0;

    (void)state;
    /* NOLINTNEXTLINE(clang-analyzer-security.FloatLoopCounter): no step is missed by rounding */
    for (double value = 1e-9; value < 4e9; value *= 1.01, n++)
        assert_true(native_histogram_add(&h, value));
    assert_well_formed(h);
    assert_int_equal(total(h), n);
    assert_int_equal(h->schema, 0);
    assert_int_equal(h->room, NATIVE_MAX_BUCKETS);
    free(h);
}

/* A coarser histogram is what it would have been from the beginning: sums over servers are exact.
 */
static void test_merging_keeps_values_in_their_bounds(void **state)
{
    struct native_histogram *h = NULL;
    double values[200];

    (void)state;
    for (int i = 0; i < 200; i++) {
        values[i] = 2e-6 * pow(1.12, i);
        assert_true(native_histogram_add(&h, values[i]));
    }
    assert_well_formed(h);
    for (size_t b = 0; b < h->n; b++) {
        double high = exp2(ldexp(h->buckets[b].index, -h->schema));
        double low = exp2(ldexp(h->buckets[b].index - 1, -h->schema));
        uint32_t inside = 0;

        for (int i = 0; i < 200; i++)
            inside += values[i] > low && values[i] <= high;
        assert_int_equal(h->buckets[b].count, inside);
    }
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bound_belongs_to_its_bucket),
        cmocka_unit_test(test_what_is_too_small_is_zero),
        cmocka_unit_test(test_it_takes_no_more_room_than_it_needs),
        cmocka_unit_test(test_full_it_becomes_coarser),
        cmocka_unit_test(test_nothing_is_too_much),
        cmocka_unit_test(test_merging_keeps_values_in_their_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
