/* model/: the certificates that servers show, against the file that they are supposed to serve and
 * against each other. */
#include "fleet_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define Y VERDICT_YES
#define N VERDICT_NO
#define U VERDICT_UNKNOWN

static struct server_state *server(struct fleet *fleet, size_t i)
{
    struct fleet_view *view = fleet_view(fleet);
    struct server_state *s = view->servers[i];

    fleet_view_unref(view);
    return s;
}

/* An inspect that was shown the leaf numbered `id` at this second. */
static struct observation shown(unsigned char id, int64_t second)
{
    struct observation o = fixture_inspect();

    chain_unref(o.chain);
    o.chain = fixture_chain(id);
    o.finished_realtime_ns = FIXTURE_REALTIME_NS + second * NS_PER_S;
    return o;
}

static const char path[] = "/etc/server.crt";

/* The same while the file holds the leaf numbered `file`; 0: it cannot be read. */
static struct observation shown_beside(unsigned char id, unsigned char file, int64_t second)
{
    struct observation o = shown(id, second);

    o.certificate_file = certificate_file_new(path);
    if (file == 0)
        snprintf(o.certificate_file->error, sizeof o.certificate_file->error, "gone");
    else
        snprintf(o.certificate_file->leaf.fingerprint_sha256, 65, "%02x%062x", file, 0U);
    return o;
}

static struct fleet *watch_file(const char *certificate_file)
{
    struct fleet *fleet = fleet_new();
    struct server s = fixture_server("c", "write", "a:1");

    s.promises = (struct promises){.certificate_file = certificate_file};
    assert_true(fixture_watch(fleet, fixture_set(&s, 1, REQUIRE_ANY)));
    return fleet;
}

static void assert_file(const struct server_state *s, enum verdict kept, int64_t since_s)
{
    assert_int_equal(s->promises[PROMISE_CERTIFICATE_FILE].kept, kept);
    assert_int_equal(server_file_unserved_since(s),
                     since_s ? FIXTURE_REALTIME_NS + since_s * NS_PER_S : 0);
}

static void test_a_file_renewed_and_not_reloaded(void **state)
{
    struct fleet *fleet = watch_file(path);
    struct server_state *s = server(fleet, 0);
    struct observation o;

    (void)state;
    fixture_apply(s, shown_beside(1, 1, 1));
    assert_file(s, Y, 0);
    for (int i = 2; i <= 3; i++) { /* a reload may take a moment */
        fixture_apply(s, shown_beside(1, 2, i));
        assert_file(s, Y, 0);
    }
    for (int i = 4; i <= 40; i++) {
        fixture_apply(s, shown_beside(1, 2, i));
        assert_file(s, N, 2);
    }
    assert_int_equal(server_state_now(s), STATE_UNKNOWN); /* no login yet: no part in it */

    /* Our own side: nothing is found, and nothing forgotten. */
    fixture_apply(s, shown_beside(1, 0, 41));
    assert_file(s, U, 0);
    fixture_apply(s, shown_beside(1, 2, 42));
    assert_file(s, N, 2);

    /* A server that is down keeps and breaks no promise; the finding stays in sight. */
    o = shown_beside(1, 2, 43);
    o.fault = FAULT_SERVER_CERT_EXPIRED;
    o.phase = PHASE_TLS;
    fixture_apply(s, o);
    assert_file(s, U, 2);

    fixture_apply(s, shown_beside(2, 2, 44)); /* reloaded */
    assert_file(s, Y, 0);
    fleet_free(fleet);
}

static void test_a_server_that_goes_back_to_the_old_certificate(void **state)
{
    struct fleet *fleet = watch_file(path);
    struct server_state *s = server(fleet, 0);

    (void)state;
    fixture_apply(s, shown_beside(2, 2, 1));
    for (int i = 2; i < 1 + LEAF_LATELY; i++) {
        fixture_apply(s, shown_beside(1, 2, i));
        assert_file(s, Y, 0);
    }
    fixture_apply(s, shown_beside(1, 2, 1 + LEAF_LATELY));
    assert_file(s, N, 1); /* since it was last seen */
    fleet_free(fleet);
}

static void test_what_was_seen_before_the_file_held_it_does_not_count(void **state)
{
    struct fleet *fleet = watch_file(path);
    struct server_state *s = server(fleet, 0);

    (void)state;
    fixture_apply(s, shown_beside(1, 0, 1));
    fixture_apply(s, shown_beside(2, 0, 2));
    fixture_apply(s, shown_beside(2, 1, 3));
    assert_file(s, U, 0);
    fixture_apply(s, shown_beside(1, 1, 4));
    assert_file(s, Y, 0);
    fleet_free(fleet);
}

static void test_back_ends_with_certificates_of_their_own(void **state)
{
    struct fleet *fleet = watch_file(path);
    struct server_state *s = server(fleet, 0);

    (void)state;
    for (int i = 1; i <= 100; i++) { /* the one in question seldom, and late */
        fixture_apply(s, shown_beside((unsigned char)(i % 20 == 19 ? 3 : 1 + i % 2), 3, i));
        assert_file(s, i < 19 ? U : Y, 0);
    }
    for (int i = 101; i <= 200; i++) /* and never more */
        fixture_apply(s, shown_beside((unsigned char)(1 + i % 2), 3, i));
    assert_file(s, N, 99);
    fleet_free(fleet);
}

static void test_another_file_is_another_promise(void **state)
{
    struct fleet *fleet = watch_file(path), *none = watch_file(NULL);
    struct server_state *s = server(fleet, 0);
    struct server other = fixture_server("c", "write", "a:1");

    (void)state;
    for (int i = 0; i < 5; i++)
        fixture_apply(s, shown_beside(1, 2, i));
    assert_int_equal(s->promises[PROMISE_CERTIFICATE_FILE].kept, N);
    other.promises.certificate_file = "/etc/other.crt";
    assert_true(fixture_watch(fleet, fixture_set(&other, 1, REQUIRE_ANY)));
    assert_null(s->certificate_file.file);
    assert_file(s, U, 0);
    fixture_apply(s, shown_beside(1, 1, 9)); /* was on its way */
    assert_null(s->certificate_file.file);
    fixture_apply(server(none, 0), shown_beside(1, 1, 9));
    assert_null(server(none, 0)->certificate_file.file);
    fleet_free(fleet);
    fleet_free(none);
}

/* Two endpoints of one cluster, two servers each. */
static struct fleet *watch_legs(enum same_certificate first, enum same_certificate second)
{
    static const char *const names[] = {"a:1", "b:1", "c:1", "d:1"};
    struct server servers[5];
    struct fleet *fleet = fleet_new();

    for (size_t i = 0; i < 4; i++) {
        servers[i] = fixture_server("c", i < 2 ? "pooled" : "direct", names[i]);
        servers[i].login = false;
        servers[i].promises.same_certificate = i < 2 ? first : second;
    }
    servers[4] = fixture_server("other", "pooled", "e:1");
    servers[4].promises.same_certificate = SAME_CLUSTER;
    assert_true(fixture_watch(fleet, fixture_set(servers, 5, REQUIRE_ALL)));
    return fleet;
}

static void show(struct fleet *fleet, size_t i, unsigned char id, int times)
{
    for (int n = 0; n < times; n++)
        fixture_apply(server(fleet, i), shown(id, 10 * id + n));
}

static struct agreement agreement_of(struct fleet *fleet, size_t endpoint,
                                     enum same_certificate among)
{
    struct fleet_view *view = fleet_view(fleet);
    struct agreement a = fleet_agreement(view, &view->set->endpoints[endpoint], among);
    enum verdict kept =
        fleet_endpoint_promise(view, &view->set->endpoints[endpoint], PROMISE_SAME_CERTIFICATE);

    if (view->set->servers[2 * endpoint].promises.same_certificate == among)
        assert_int_equal(kept, a.same);
    fleet_view_unref(view);
    return a;
}

static void test_servers_of_an_endpoint_that_differ(void **state)
{
    struct fleet *fleet = watch_legs(SAME_ENDPOINT, SAME_NOBODY);
    struct agreement a;

    (void)state;
    show(fleet, 0, 1, 5);
    assert_int_equal(agreement_of(fleet, 0, SAME_ENDPOINT).same, U);
    show(fleet, 1, 1, 2);
    assert_int_equal(agreement_of(fleet, 0, SAME_ENDPOINT).same, U); /* seen too little of */
    show(fleet, 1, 1, 1);
    assert_int_equal(agreement_of(fleet, 0, SAME_ENDPOINT).same, Y);

    /* One after the other is renewed: no news as long as it takes no longer than lately. */
    show(fleet, 0, 2, LEAF_LATELY - 1);
    assert_int_equal(agreement_of(fleet, 0, SAME_ENDPOINT).same, Y);
    show(fleet, 0, 2, 1);
    a = agreement_of(fleet, 0, SAME_ENDPOINT);
    assert_int_equal(a.same, N);
    assert_int_equal(a.between[0], 0);
    assert_int_equal(a.between[1], 1);
    assert_int_equal(a.since_realtime_ns, FIXTURE_REALTIME_NS + 20 * NS_PER_S);
    show(fleet, 1, 2, 1);
    a = agreement_of(fleet, 0, SAME_ENDPOINT);
    assert_int_equal(a.same, Y);
    assert_int_equal(a.since_realtime_ns, 0);

    /* One that is down is left out, and a comparison needs two. */
    fixture_apply(server(fleet, 1), fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    assert_int_equal(agreement_of(fleet, 0, SAME_ENDPOINT).same, U);
    /* What is not promised is told all the same, and is no promise. */
    show(fleet, 2, 1, 3);
    show(fleet, 3, 2, 3);
    assert_int_equal(agreement_of(fleet, 1, SAME_ENDPOINT).same, N);
    assert_int_equal(agreement_of(fleet, 1, SAME_CLUSTER).same, U); /* nobody takes part */
    fleet_free(fleet);
}

static void test_one_that_is_not_known_yet_is_waited_for(void **state)
{
    struct fleet *fleet = watch_legs(SAME_CLUSTER, SAME_CLUSTER);

    (void)state;
    show(fleet, 0, 1, 3);
    show(fleet, 1, 1, 3);
    show(fleet, 2, 1, 3);
    assert_int_equal(agreement_of(fleet, 0, SAME_CLUSTER).same, U); /* the fourth never ran */
    show(fleet, 3, 1, 2);
    assert_int_equal(agreement_of(fleet, 0, SAME_CLUSTER).same, U);
    show(fleet, 2, 2, LEAF_LATELY);
    assert_int_equal(agreement_of(fleet, 0, SAME_CLUSTER).same, N); /* it cannot mend that */
    fleet_free(fleet);
}

static void test_balancers_over_the_same_back_ends_agree(void **state)
{
    struct fleet *fleet = watch_legs(SAME_ENDPOINT, SAME_ENDPOINT);

    (void)state;
    for (int i = 0; i < 60; i++) {
        show(fleet, 0, (unsigned char)(1 + i % 3), 1);
        show(fleet, 1, (unsigned char)(1 + (i + 1) % 3), 1);
        assert_int_equal(agreement_of(fleet, 0, SAME_ENDPOINT).same, i < 2 ? U : Y);
    }
    fleet_free(fleet);
}

static void test_legs_of_a_cluster_that_differ(void **state)
{
    struct fleet *fleet = watch_legs(SAME_CLUSTER, SAME_CLUSTER),
                 *apart = watch_legs(SAME_CLUSTER, SAME_NOBODY);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        show(fleet, i, i < 2 ? 1 : 2, 3);
        show(apart, i, i < 2 ? 1 : 2, 3);
    }
    show(fleet, 4, 7, 3); /* another cluster */
    for (size_t e = 0; e < 2; e++) {
        struct agreement a = agreement_of(fleet, e, SAME_CLUSTER);

        assert_int_equal(a.same, N);
        assert_int_equal(a.compared, 4);
        assert_int_equal(a.between[0], 0);
        assert_int_equal(a.between[1], 2);
        assert_int_equal(agreement_of(fleet, e, SAME_ENDPOINT).same, Y);
    }
    assert_int_equal(agreement_of(apart, 0, SAME_CLUSTER).same, Y); /* the two that promise it */
    fleet_free(fleet);
    fleet_free(apart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_renewed_and_not_reloaded),
        cmocka_unit_test(test_a_server_that_goes_back_to_the_old_certificate),
        cmocka_unit_test(test_what_was_seen_before_the_file_held_it_does_not_count),
        cmocka_unit_test(test_back_ends_with_certificates_of_their_own),
        cmocka_unit_test(test_another_file_is_another_promise),
        cmocka_unit_test(test_servers_of_an_endpoint_that_differ),
        cmocka_unit_test(test_one_that_is_not_known_yet_is_waited_for),
        cmocka_unit_test(test_balancers_over_the_same_back_ends_agree),
        cmocka_unit_test(test_legs_of_a_cluster_that_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
