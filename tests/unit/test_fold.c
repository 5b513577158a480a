/* model/: the fold: what observations, and a new configuration, do to the state of one server. */
#include "fleet_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* One fleet of one server with a login; s is borrowed from the view. */
struct one {
    struct fleet *fleet;
    struct fleet_view *view;
    struct server_state *s;
    int64_t start_ns;
};

static struct one one_server(bool login)
{
    struct server server = fixture_server("c", "write", "db.example:5432");
    struct one one = {.fleet = fleet_new()};

    server.login = login;
    assert_true(fixture_watch(one.fleet, fixture_set(&server, 1, REQUIRE_ALL)));
    one.view = fleet_view(one.fleet);
    one.s = one.view->servers[0];
    one.start_ns = one.s->state_entered_monotonic_ns;
    return one;
}

static void one_free(struct one *one)
{
    fleet_view_unref(one->view);
    fleet_free(one->fleet);
}

static void test_state_follows_every_configured_kind(void **state)
{
    struct one one = one_server(true);
    struct fleet_change change;

    (void)state;
    assert_int_equal(server_state_now(one.s), STATE_UNKNOWN);
    change = fixture_apply(one.s, fixture_inspect());
    assert_int_equal(change.after, STATE_UNKNOWN); /* the login has not run */
    assert_false(change.changed);
    change = fixture_apply(one.s, fixture_login());
    assert_int_equal(change.after, STATE_UP);
    assert_true(change.changed);

    /* A login outage alone keeps it down, whatever inspect says in between. */
    change = fixture_apply(one.s, fixture_failure(PROBE_LOGIN, FAULT_PASSWORD_FAILED, PHASE_AUTH));
    assert_int_equal(change.after, STATE_DOWN);
    assert_int_equal(change.fault_after, FAULT_PASSWORD_FAILED);
    change = fixture_apply(one.s, fixture_inspect());
    assert_int_equal(change.after, STATE_DOWN);
    assert_false(change.changed);

    /* Inspect's fault explains the state before login's does. */
    change = fixture_apply(one.s, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    assert_int_equal(change.before, STATE_DOWN);
    assert_int_equal(change.after, STATE_DOWN);
    assert_int_equal(change.fault_before, FAULT_PASSWORD_FAILED);
    assert_int_equal(change.fault_after, FAULT_TCP_REFUSED);
    assert_true(change.changed);
    assert_int_equal(change.failures_in_row, 1);
    one_free(&one);
}

static void test_inspect_alone_decides_without_login(void **state)
{
    struct one one = one_server(false);

    (void)state;
    assert_int_equal(fixture_apply(one.s, fixture_inspect()).after, STATE_UP);
    assert_int_equal(
        fixture_apply(one.s, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP)).after,
        STATE_DOWN);
    one_free(&one);
}

static void test_our_own_failures_count_against_nobody(void **state)
{
    struct one one = one_server(false);
    const struct probe_state *p = &one.s->probes[PROBE_INSPECT];
    struct fleet_change change;

    (void)state;
    fixture_apply(one.s, fixture_inspect());
    change = fixture_apply(one.s, fixture_failure(PROBE_INSPECT, FAULT_LOCAL_MEMORY, PHASE_TCP));
    assert_int_equal(change.after, STATE_UNKNOWN);
    assert_int_equal(change.fault_after, FAULT_LOCAL_MEMORY);
    assert_int_equal(p->probes, 1);
    assert_int_equal(p->failures_in_row, 0);
    assert_int_equal(p->failures[FAULT_CLASS_INTERNAL], 0);
    assert_int_equal(p->internal_errors[INTERNAL_MEMORY], 1);
    assert_int_equal(one.s->phases[PHASE_DNS].counts[0], 0);
    assert_true(one.s->phase_measured[PHASE_TLS]); /* nothing was measured, nothing is lost */
    assert_int_equal(fixture_apply(one.s, fixture_inspect()).after, STATE_UP);
    assert_int_equal(p->probes, 2);
    one_free(&one);
}

static void test_a_failure_counts_once_in_one_class(void **state)
{
    struct one one = one_server(true);
    const struct probe_state *p = &one.s->probes[PROBE_INSPECT];
    struct observation o =
        fixture_failure(PROBE_INSPECT, FAULT_SSL_CLOSED_AFTER_HANDSHAKE, PHASE_STARTUP);
    uint64_t failures = 0, closes = 0;

    (void)state;
    o.how = CLOSE_NOTIFY;
    fixture_apply(one.s, o);
    fixture_apply(one.s, fixture_failure(PROBE_INSPECT, FAULT_HBA_NO_ENTRY_SSL, PHASE_STARTUP));
    assert_int_equal(p->failures[FAULT_CLASS_SSL_CLOSE], 1);
    assert_int_equal(p->failures[FAULT_CLASS_HBA], 1);
    for (size_t i = 0; i < FAULT_CLASS_COUNT; i++)
        failures += p->failures[i];
    assert_int_equal(failures, 2);
    assert_int_equal(p->probes, 2);
    assert_int_equal(one.s->ssl_closes[PHASE_STARTUP][CLOSE_NOTIFY], 1);
    for (size_t i = 0; i < PHASE_COUNT; i++)
        for (size_t j = 0; j < CLOSE_COUNT; j++)
            closes += one.s->ssl_closes[i][j];
    assert_int_equal(closes, 1);
    assert_int_equal(one.s->hba_rejections[HBA_NO_ENTRY], 1);

    /* A close of another class is no SSL close. */
    o = fixture_failure(PROBE_INSPECT, FAULT_SSLREQ_CLOSED, PHASE_SSL_REQUEST);
    o.how = CLOSE_FIN;
    fixture_apply(one.s, o);
    assert_int_equal(one.s->ssl_closes[PHASE_SSL_REQUEST][CLOSE_FIN], 0);
    assert_int_equal(p->failures[FAULT_CLASS_UNAVAILABLE], 1);
    one_free(&one);
}

static void test_each_phase_is_measured_by_its_own_probe(void **state)
{
    struct one one = one_server(true);
    struct observation o = fixture_inspect(); /* 3 ms each: bucket 1 of .001 .005 */

    (void)state;
    o.phases[PHASE_QUERY] = (struct phase_time){true, NS_PER_S, 0}; /* not for inspect to tell */
    fixture_apply(one.s, o);
    assert_float_equal(one.s->phases[PHASE_QUERY].sum, 0, 0);
    fixture_apply(one.s, fixture_login());
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        assert_int_equal(one.s->phases[i].counts[1], 1);
        assert_true(one.s->phase_measured[i]);
    }
    assert_int_equal(one.s->phase_last_ns[PHASE_TLS], 3 * NS_PER_MS);
    assert_int_equal(one.s->phase_last_ns[PHASE_AUTH], 4 * NS_PER_MS);
    assert_int_equal(one.s->phase_cpu_ns[PHASE_TLS], NS_PER_MS);
    assert_int_equal(one.s->probes[PROBE_INSPECT].duration.counts[3], 1); /* 20 ms */

    /* Only completed phases count; a phase not reached is not measured now. */
    fixture_apply(one.s, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    assert_int_equal(one.s->phases[PHASE_DNS].counts[0], 1);
    assert_int_equal(one.s->phases[PHASE_TCP].counts[0] + one.s->phases[PHASE_TCP].counts[1], 1);
    assert_true(one.s->phase_measured[PHASE_DNS]);
    assert_false(one.s->phase_measured[PHASE_TLS]);
    assert_false(one.s->phase_measured[PHASE_QUERY]);
    assert_int_equal(one.s->probes[PROBE_INSPECT].duration.counts[2], 1); /* 10 ms: le .01 */
    one_free(&one);
}

static void test_certificates_are_kept_while_down(void **state)
{
    struct one one = one_server(false);
    struct observation o;

    (void)state;
    fixture_apply(one.s, fixture_inspect());
    fixture_apply(one.s, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    assert_non_null(one.s->chain);
    assert_true(one.s->tls);
    assert_int_equal(one.s->judgement.chain, VERDICT_YES);

    /* A certificate that came before the handshake broke off still tells its facts. */
    o = fixture_inspect();
    o.fault = FAULT_CLIENT_CERT_REQUIRED;
    o.phase = PHASE_TLS;
    o.tls = false;
    o.tls_version[0] = '\0';
    o.chain->certificates[0].not_after = 42;
    o.judgement.chain = VERDICT_NO;
    fixture_apply(one.s, o);
    assert_int_equal(one.s->chain->certificates[0].not_after, 42);
    assert_int_equal(one.s->judgement.chain, VERDICT_NO);
    assert_string_equal(one.s->tls_version, "TLSv1.3");
    one_free(&one);
}

static void apply_leaf(struct one *one, unsigned char id, int64_t seconds)
{
    struct observation o = fixture_inspect();

    chain_unref(o.chain);
    o.chain = fixture_chain(id);
    o.finished_realtime_ns += seconds * NS_PER_S;
    fixture_apply_at(one->s, o, one->start_ns + seconds * NS_PER_S);
}

static void test_only_new_leaves_are_changes(void **state)
{
    struct one one = one_server(false);

    (void)state;
    apply_leaf(&one, 1, 1);
    assert_int_equal(one.s->certificate_changes, 0);
    apply_leaf(&one, 2, 2); /* a second back end */
    apply_leaf(&one, 1, 3);
    apply_leaf(&one, 2, 4);
    assert_int_equal(one.s->n_leaves, 2);
    assert_int_equal(one.s->certificate_changes, 1);
    for (unsigned char id = 3; id <= MAX_LEAVES; id++)
        apply_leaf(&one, id, id + 10);
    assert_int_equal(one.s->n_leaves, MAX_LEAVES);
    assert_int_equal(one.s->certificate_changes, 7);
    apply_leaf(&one, 1, 29);
    apply_leaf(&one, 2, 30);
    assert_int_equal(one.s->certificate_changes, 7); /* still remembered */
    apply_leaf(&one, 99, 31);                        /* replaces 3, seen longest ago */
    assert_int_equal(one.s->n_leaves, MAX_LEAVES);
    assert_int_equal(one.s->certificate_changes, 8);
    apply_leaf(&one, 1, 32);
    apply_leaf(&one, 2, 33);
    assert_int_equal(one.s->certificate_changes, 8);
    apply_leaf(&one, 3, 34);
    assert_int_equal(one.s->certificate_changes, 9);
    one_free(&one);
}

static void test_shown_chain_changes_at_most_every_five_minutes(void **state)
{
    struct one one = one_server(false);

    (void)state;
    apply_leaf(&one, 1, 1);
    assert_int_equal(one.s->shown_chain->id[0], 1);
    apply_leaf(&one, 2, 300);
    assert_int_equal(one.s->shown_chain->id[0], 1);
    assert_int_equal(one.s->chain->id[0], 2);
    apply_leaf(&one, 3, 301);
    assert_int_equal(one.s->shown_chain->id[0], 3);
    apply_leaf(&one, 4, 302);
    assert_int_equal(one.s->shown_chain->id[0], 3);
    one_free(&one);
}

static void apply_version(struct one *one, const char *version, int64_t seconds)
{
    struct observation o = fixture_login();

    snprintf(o.server_version, sizeof o.server_version, "%s", version);
    o.finished_realtime_ns += seconds * NS_PER_S;
    fixture_apply_at(one->s, o, one->start_ns + seconds * NS_PER_S);
}

static void test_shown_version_changes_at_most_every_five_minutes(void **state)
{
    struct one one = one_server(true);

    (void)state;
    apply_version(&one, "15.4", 1);
    apply_version(&one, "16.0", 300);
    assert_string_equal(one.s->server_version, "16.0");
    assert_string_equal(one.s->shown_version, "15.4");
    apply_version(&one, "17.0", 301);
    assert_string_equal(one.s->shown_version, "17.0");
    one_free(&one);
}

static void assert_seconds(const struct one *one, int64_t at, double unknown, double up,
                           double down)
{
    int64_t now_ns = one->start_ns + at * NS_PER_S;

    assert_float_equal(server_state_seconds(one->s, STATE_UNKNOWN, now_ns), unknown, 1e-9);
    assert_float_equal(server_state_seconds(one->s, STATE_UP, now_ns), up, 1e-9);
    assert_float_equal(server_state_seconds(one->s, STATE_DOWN, now_ns), down, 1e-9);
}

static void test_time_in_each_state_adds_up(void **state)
{
    struct one one = one_server(false);
    struct observation o = fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP);

    (void)state;
    assert_seconds(&one, 10, 10, 0, 0);
    fixture_apply_at(one.s, fixture_inspect(), one.start_ns + 20 * NS_PER_S);
    fixture_apply_at(one.s, fixture_inspect(), one.start_ns + 25 * NS_PER_S);
    assert_seconds(&one, 50, 20, 30, 0);
    o.finished_realtime_ns = 77;
    fixture_apply_at(one.s, o, one.start_ns + 50 * NS_PER_S);
    assert_int_equal(one.s->since_realtime_ns, 77);
    o.finished_realtime_ns = 78;
    fixture_apply_at(one.s, o, one.start_ns + 55 * NS_PER_S);
    assert_int_equal(one.s->since_realtime_ns, 77);
    assert_seconds(&one, 60, 20, 30, 10);
    one_free(&one);
}

static void test_a_login_that_comes_back_must_run_again(void **state)
{
    struct server server = fixture_server("c", "write", "a:1");
    struct one one = one_server(true);

    (void)state;
    fixture_apply(one.s, fixture_inspect());
    fixture_apply(one.s, fixture_login());
    server.name = one.s->config->name;
    server.key_hash = one.s->config->key_hash;
    server.login = false;
    assert_true(fixture_watch(one.fleet, fixture_set(&server, 1, REQUIRE_ALL)));
    assert_int_equal(one.s->state, STATE_UP);
    server.login = true;
    assert_true(fixture_watch(one.fleet, fixture_set(&server, 1, REQUIRE_ALL)));
    assert_int_equal(one.s->state, STATE_UNKNOWN);
    assert_int_equal(one.s->probes[PROBE_LOGIN].probes, 1); /* counters never go back */
    one_free(&one);
}

static void test_new_bounds_restart_the_histograms(void **state)
{
    struct server server = fixture_server("c", "write", "db.example:5432");
    struct endpoint_set *set = fixture_set(&server, 1, REQUIRE_ALL);
    struct one one = one_server(true);

    (void)state;
    fixture_apply(one.s, fixture_inspect());
    set->settings.buckets[0] = 0.002;
    assert_true(fixture_watch(one.fleet, set));
    for (size_t i = 0; i <= MAX_BUCKETS; i++)
        assert_int_equal(one.s->phases[PHASE_TLS].counts[i], 0);
    assert_float_equal(one.s->probes[PROBE_INSPECT].duration.sum, 0, 0);
    assert_int_equal(one.s->probes[PROBE_INSPECT].probes, 1);
    one_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_follows_every_configured_kind),
        cmocka_unit_test(test_inspect_alone_decides_without_login),
        cmocka_unit_test(test_our_own_failures_count_against_nobody),
        cmocka_unit_test(test_a_failure_counts_once_in_one_class),
        cmocka_unit_test(test_each_phase_is_measured_by_its_own_probe),
        cmocka_unit_test(test_certificates_are_kept_while_down),
        cmocka_unit_test(test_only_new_leaves_are_changes),
        cmocka_unit_test(test_shown_chain_changes_at_most_every_five_minutes),
        cmocka_unit_test(test_shown_version_changes_at_most_every_five_minutes),
        cmocka_unit_test(test_time_in_each_state_adds_up),
        cmocka_unit_test(test_a_login_that_comes_back_must_run_again),
        cmocka_unit_test(test_new_bounds_restart_the_histograms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
