/* model/: the fleet over reloads, and under concurrent use while it is told. */
#include "fleet_fixture.h"

#include "pgtls/base/buf.h"
#include "pgtls/expose/health.h"
#include "pgtls/expose/metrics.h"
#include "pgtls/model/self.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

static void test_reload_keeps_what_stays(void **state)
{
    struct server servers[] = {fixture_server("c", "write", "a:1"),
                               fixture_server("c", "write", "b:1"),
                               fixture_server("c", "read", "a:1")};
    struct fleet *fleet = fleet_new();
    struct fleet_view *before, *after;

    (void)state;
    assert_true(fixture_watch(fleet, fixture_set(servers, 3, REQUIRE_ALL)));
    before = fleet_view(fleet);
    fixture_apply(before->servers[0], fixture_inspect());
    fixture_apply(before->servers[2], fixture_inspect());

    /* b goes, d comes, the order changes, the first loses its login. */
    servers[1] = servers[0];
    servers[0] = fixture_server("c", "write", "d:1");
    servers[1].login = false;
    servers[1].interval_ns = NS_PER_S;
    assert_true(fixture_watch(fleet, fixture_set(servers, 3, REQUIRE_ALL)));
    after = fleet_view(fleet);
    assert_int_equal(after->n, 3);
    assert_ptr_equal(after->servers[1], before->servers[0]);
    assert_ptr_equal(after->servers[2], before->servers[2]);
    assert_int_equal(after->servers[0]->probes[PROBE_INSPECT].probes, 0);
    assert_int_equal(after->servers[1]->probes[PROBE_INSPECT].probes, 1);
    assert_int_equal(after->servers[1]->config->interval_ns, NS_PER_S);
    assert_ptr_equal(after->servers[1]->set, after->set);
    assert_false(after->servers[1]->probes[PROBE_LOGIN].configured);
    assert_int_equal(after->servers[1]->state, STATE_UP);         /* inspect alone decides now */
    assert_string_equal(before->servers[1]->config->name, "b:1"); /* readers keep what they hold */
    assert_int_equal(after->servers[1]->phases[PHASE_DNS].counts[1], 1);
    fleet_view_unref(before);
    fleet_view_unref(after);
    fleet_free(fleet);
}

static enum state endpoint_of(enum require require, enum state a, enum state b)
{
    struct server servers[] = {fixture_server("c", "e", "a:1"), fixture_server("c", "e", "b:1")};
    const enum state states[] = {a, b};
    enum state result;
    struct fleet *fleet = fleet_new();
    struct fleet_view *view;

    servers[0].login = servers[1].login = false;
    assert_true(fixture_watch(fleet, fixture_set(servers, 2, require)));
    view = fleet_view(fleet);
    for (size_t i = 0; i < 2; i++) {
        if (states[i] == STATE_UP)
            fixture_apply(view->servers[i], fixture_inspect());
        if (states[i] == STATE_DOWN)
            fixture_apply(view->servers[i],
                          fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    }
    result = fleet_endpoint_state(view, &view->set->endpoints[0]);
    fleet_view_unref(view);
    fleet_free(fleet);
    return result;
}

static void test_endpoint_state_by_require(void **state)
{
    (void)state;
    assert_int_equal(endpoint_of(REQUIRE_ANY, STATE_UP, STATE_DOWN), STATE_UP);
    assert_int_equal(endpoint_of(REQUIRE_ANY, STATE_UP, STATE_UNKNOWN), STATE_UP);
    assert_int_equal(endpoint_of(REQUIRE_ANY, STATE_DOWN, STATE_UNKNOWN), STATE_UNKNOWN);
    assert_int_equal(endpoint_of(REQUIRE_ANY, STATE_DOWN, STATE_DOWN), STATE_DOWN);
    assert_int_equal(endpoint_of(REQUIRE_ALL, STATE_UP, STATE_DOWN), STATE_DOWN);
    assert_int_equal(endpoint_of(REQUIRE_ALL, STATE_UP, STATE_UNKNOWN), STATE_UNKNOWN);
    assert_int_equal(endpoint_of(REQUIRE_ALL, STATE_DOWN, STATE_UNKNOWN), STATE_DOWN);
    assert_int_equal(endpoint_of(REQUIRE_ALL, STATE_UP, STATE_UP), STATE_UP);
}

static void test_labels_are_escaped_once(void **state)
{
    struct server server = fixture_server("a\"b", "c\\d", "e\nf");
    struct fleet *fleet = fleet_new();
    struct fleet_view *view;

    (void)state;
    assert_true(fixture_watch(fleet, fixture_set(&server, 1, REQUIRE_ALL)));
    view = fleet_view(fleet);
    assert_string_equal(view->servers[0]->labels,
                        "pg_cluster=\"a\\\"b\",pg_endpoint=\"c\\\\d\",server=\"e\\nf\"");
    fleet_view_unref(view);
    fleet_free(fleet);
}

static void test_chain_counts_its_holders(void **state)
{
    struct chain *chain = chain_new(2);
    struct pem *pem = pem_new("text", 4);

    (void)state;
    assert_null(chain_new(MAX_CHAIN + 1));
    assert_int_equal(chain->by_position[POSITION_ROOT], -1);
    assert_ptr_equal(chain_ref(chain), chain);
    chain_unref(chain);
    assert_int_equal(chain->references, 1);
    chain_unref(chain);
    assert_null(chain_ref(NULL));
    chain_unref(NULL);
    assert_string_equal(pem_ref(pem)->text, "text");
    pem_unref(pem);
    pem_unref(pem);
    pem_unref(NULL);
}

static void test_lag_falls_into_its_bucket(void **state)
{
    struct self self;

    (void)state;
    self_init(&self);
    self_add_lag(&self, -5);
    self_add_lag(&self, NS_PER_MS);
    self_add_lag(&self, NS_PER_MS + 1);
    self_add_lag(&self, 3600 * NS_PER_S);
    assert_int_equal(self.lag_counts[0], 2);
    assert_int_equal(self.lag_counts[1], 1);
    assert_int_equal(self.lag_counts[LAG_BUCKETS], 1);
    assert_int_equal(self.lag_sum_ns, 2 * NS_PER_MS + 1 + 3600 * NS_PER_S);
}

/* Workers publish, readers read, the set changes: for the thread sanitizer above all. */
#define STORM_SERVERS 20
struct storm {
    struct fleet *fleet;
    struct self self;
    atomic_bool stop;
    atomic_size_t applied, read;
};

static void *storm_worker(void *context)
{
    struct storm *storm = context;

    for (unsigned i = 0; !atomic_load(&storm->stop); i++) {
        struct fleet_view *view = fleet_view(storm->fleet);

        fixture_apply(view->servers[i % view->n],
                      i % 3 ? fixture_inspect()
                            : fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
        fleet_view_unref(view);
        atomic_fetch_add(&storm->applied, 1);
    }
    return NULL;
}

static void storm_tell(struct storm *storm, struct fleet_view *view)
{
    struct exposition *e = exposition_new(view, &storm->self, METRICS_TEXT);
    struct health_query query = {.require = REQUIRE_ANY};
    struct buf text = BUF_INIT((size_t)1 << 24);

    while (exposition_next(e, &text))
        ;
    exposition_free(e);
    (void)health_document(view, &query, &text);
    assert_false(text.failed);
    buf_deinit(&text);
}

static void *storm_reader(void *context)
{
    struct storm *storm = context;

    while (!atomic_load(&storm->stop)) {
        struct fleet_view *view = fleet_view(storm->fleet);

        for (size_t i = 0; i < view->n; i++) {
            struct server_state *s = view->servers[i];
            uint64_t count = 0;

            server_state_lock(s);
            for (size_t b = 0; b <= MAX_BUCKETS; b++)
                count += s->probes[PROBE_INSPECT].duration.counts[b];
            assert_int_equal(count, s->probes[PROBE_INSPECT].probes); /* never torn */
            assert_non_null(s->config->name);
            server_state_unlock(s);
        }
        for (size_t i = 0; i < view->set->n_endpoints; i++)
            (void)fleet_endpoint_state(view, &view->set->endpoints[i]);
        storm_tell(storm, view);
        fleet_view_unref(view);
        atomic_fetch_add(&storm->read, 1);
    }
    return NULL;
}

static void test_concurrent_use(void **state)
{
    static char names[2 * STORM_SERVERS][32];
    struct server servers[STORM_SERVERS];
    struct storm storm = {.fleet = fleet_new()};
    pthread_t threads[4];

    (void)state;
    self_init(&storm.self);
    for (size_t i = 0; i < 2 * STORM_SERVERS; i++)
        snprintf(names[i], sizeof names[i], "s%zu:1", i);
    for (size_t i = 0; i < STORM_SERVERS; i++)
        servers[i] = fixture_server("c", "e", names[i]);
    assert_true(fixture_watch(storm.fleet, fixture_set(servers, STORM_SERVERS, REQUIRE_ANY)));
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, i % 2 ? storm_reader : storm_worker, &storm);
    for (size_t round = 0;
         round < 200 || atomic_load(&storm.applied) < 500 || atomic_load(&storm.read) < 50;
         round++) {
        for (size_t i = 0; i < STORM_SERVERS; i++) /* half stay, half come and go */
            servers[i] =
                fixture_server("c", "e", names[i + (i % 2 && round % 2 ? STORM_SERVERS : 0)]);
        assert_true(fixture_watch(storm.fleet, fixture_set(servers, STORM_SERVERS, REQUIRE_ANY)));
    }
    atomic_store(&storm.stop, true);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    fleet_free(storm.fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reload_keeps_what_stays),
        cmocka_unit_test(test_endpoint_state_by_require),
        cmocka_unit_test(test_labels_are_escaped_once),
        cmocka_unit_test(test_chain_counts_its_holders),
        cmocka_unit_test(test_lag_falls_into_its_bucket),
        cmocka_unit_test(test_concurrent_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
