/* model/shard: where a cluster lives, and a set without the others. */
#include "fleet_fixture.h"

#include "pgtls/model/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CLUSTERS 300

static const char *cluster_name(char to[32], unsigned i)
{
    snprintf(to, 32, "cluster-%03u", i);
    return to;
}

/* Computed apart from this program, in Python, from the two published algorithms: replicas of
 * different releases must agree for ever. */
static void test_values_that_must_never_change(void **state)
{
    static const struct {
        const char *cluster;
        unsigned of_2, of_3, of_4, of_8, of_1000;
    } known[] = {
        {"temporal-db", 0, 0, 0, 0, 794},     {"platform-db", 1, 2, 2, 2, 629},
        {"applications-db", 1, 2, 3, 3, 974}, {"legacy", 0, 0, 0, 6, 87},
        {"orders", 0, 0, 3, 7, 520},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_int_equal(shard_of(known[i].cluster, 1), 0);
        assert_int_equal(shard_of(known[i].cluster, 2), known[i].of_2);
        assert_int_equal(shard_of(known[i].cluster, 3), known[i].of_3);
        assert_int_equal(shard_of(known[i].cluster, 4), known[i].of_4);
        assert_int_equal(shard_of(known[i].cluster, 8), known[i].of_8);
        assert_int_equal(shard_of(known[i].cluster, SHARD_MAX_TOTAL), known[i].of_1000);
    }
}

/* One more shard takes its part from all others, and nothing moves between those. */
static void test_a_shard_more_moves_few_and_only_to_itself(void **state)
{
    char name[32];

    (void)state;
    for (unsigned total = 1; total < 12; total++) {
        unsigned moved = 0;

        for (unsigned i = 0; i < CLUSTERS; i++) {
            unsigned before = shard_of(cluster_name(name, i), total);
            unsigned after = shard_of(name, total + 1);

            assert_true(after == before || after == total);
            moved += after != before;
        }
        assert_in_range(moved, CLUSTERS / (total + 1) / 2, 2 * CLUSTERS / (total + 1));
    }
}

static void test_shards_are_of_one_size(void **state)
{
    unsigned counts[3] = {0};
    char name[32];

    (void)state;
    for (unsigned i = 0; i < CLUSTERS; i++)
        counts[shard_of(cluster_name(name, i), 3)]++;
    for (size_t i = 0; i < 3; i++)
        assert_in_range(counts[i], CLUSTERS / 3 * 3 / 4, CLUSTERS / 3 * 5 / 4);
}

static void test_the_ordinal_of_a_pod(void **state)
{
    static const char *const wrong[] = {
        "",         "pgtls",      "pgtls-", "-1",        "pgtls-1a",  "pgtls-+1",
        "pgtls- 1", "pgtls-1000", "pgtls1", "pgtls-1-a", "pgtls-0x1", "pgtls-99999999999999999999"};
    unsigned ordinal = 77;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(shard_ordinal_of(wrong[i], &ordinal));
    assert_int_equal(ordinal, 77);
    assert_true(shard_ordinal_of("pgtls-0", &ordinal));
    assert_int_equal(ordinal, 0);
    assert_true(shard_ordinal_of("pgtls-zone-2-999", &ordinal));
    assert_int_equal(ordinal, 999);
}

/* --- filtering -------------------------------------------------------------------------------- */

/* Clusters of one to three endpoints, each of one or two servers. */
static struct endpoint_set *whole_set(char names[][32])
{
    static const char *const endpoints[] = {"write", "read", "admin"};
    static const char *const servers[] = {"a:5432", "b:5432"};
    static struct server list[CLUSTERS * 6];
    size_t n = 0;

    for (unsigned i = 0; i < CLUSTERS; i++) {
        cluster_name(names[i], i);
        for (unsigned e = 0; e <= i % 3; e++) {
            for (unsigned s = 0; s <= (i + e) % 2; s++)
                list[n++] = fixture_server(names[i], endpoints[e], servers[s]);
        }
    }
    return fixture_set(list, n, REQUIRE_ALL);
}

static bool holds(const struct endpoint_set *set, const struct server *server)
{
    for (size_t i = 0; i < set->n_servers; i++) {
        if (server_same(&set->servers[i], server))
            return true;
    }
    return false;
}

/* Endpoints and servers still know each other. */
static void assert_sound(const struct endpoint_set *set)
{
    size_t next = 0;

    for (size_t i = 0; i < set->n_endpoints; i++) {
        const struct endpoint *e = &set->endpoints[i];

        assert_int_equal(e->first_server, next);
        assert_true(e->n_servers > 0);
        for (size_t s = next; s < next + e->n_servers; s++) {
            assert_int_equal(set->servers[s].endpoint_index, i);
            assert_string_equal(set->servers[s].cluster, e->cluster);
            assert_string_equal(set->servers[s].endpoint, e->name);
        }
        next += e->n_servers;
    }
    assert_int_equal(next, set->n_servers);
}

static void test_shards_share_a_set_without_loss_or_overlap(void **state)
{
    static char names[CLUSTERS][32];
    struct endpoint_set *whole = whole_set(names), *parts[3];
    size_t servers = 0, endpoints = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        parts[i] = whole_set(names);
        shard_keep(parts[i], (struct shard){i, 3});
        assert_sound(parts[i]);
        assert_int_equal(parts[i]->settings.n_buckets, whole->settings.n_buckets);
        servers += parts[i]->n_servers;
        endpoints += parts[i]->n_endpoints;
    }
    assert_int_equal(servers, whole->n_servers);
    assert_int_equal(endpoints, whole->n_endpoints);
    for (size_t i = 0; i < whole->n_servers; i++) {
        unsigned home = shard_of(whole->servers[i].cluster, 3);

        for (unsigned part = 0; part < 3; part++)
            assert_int_equal(holds(parts[part], &whole->servers[i]), part == home);
    }
    for (unsigned i = 0; i < 3; i++)
        endpoint_set_unref(parts[i]);
    endpoint_set_unref(whole);
}

static void test_one_shard_is_everything_and_a_shard_may_be_empty(void **state)
{
    struct server server = fixture_server("orders", "write", "db:5432"); /* lives in 0 of 3 */
    struct endpoint_set *set = fixture_set(&server, 1, REQUIRE_ANY);

    (void)state;
    shard_keep(set, (struct shard){0, 1});
    shard_keep(set, (struct shard){0, 3});
    assert_int_equal(set->n_servers, 1);
    assert_int_equal(set->endpoints[0].require, REQUIRE_ANY);
    assert_sound(set);
    shard_keep(set, (struct shard){1, 3});
    assert_int_equal(set->n_servers, 0);
    assert_int_equal(set->n_endpoints, 0);
    endpoint_set_unref(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_that_must_never_change),
        cmocka_unit_test(test_a_shard_more_moves_few_and_only_to_itself),
        cmocka_unit_test(test_shards_are_of_one_size),
        cmocka_unit_test(test_the_ordinal_of_a_pod),
        cmocka_unit_test(test_shards_share_a_set_without_loss_or_overlap),
        cmocka_unit_test(test_one_shard_is_everything_and_a_shard_may_be_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
