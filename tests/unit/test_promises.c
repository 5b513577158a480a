/* model/: promises, from one answer to the verdict on an endpoint. */
#include "fleet_fixture.h"

#include "pgtls/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define Y VERDICT_YES
#define N VERDICT_NO
#define U VERDICT_UNKNOWN

static void test_networks(void **state)
{
    static const struct {
        const char *network, *address;
        bool contains;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.77/24", "192.0.2.1", true}, /* bits behind the prefix do not count */
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/25", "192.0.2.128", false},
        {"192.0.2.128/25", "192.0.2.129", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::/0", "2001:db8::1", true},
        {"fe80::/10", "fe80::1%eth0", true},
        {"192.0.2.1", "", false},
        {"192.0.2.1", "db.example", false},
    };
    static const char *const wrong[] = {
        "",           "db.example",  "192.0.2",       "192.0.2.0/33",
        "::1/129",    "192.0.2.0/",  "192.0.2.0/-1",  "/24",
        "10.0.0.0/x", "1.2.3.4/8/9", "[2001:db8::1]", "fe80::1%eth0"};
    struct network network;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(network_from_text(rows[i].network, &network));
        if (network_contains(&network, rows[i].address) != rows[i].contains)
            fail_msg("%s in %s", rows[i].address, rows[i].network);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (network_from_text(wrong[i], &network))
            fail_msg("\"%s\" is taken", wrong[i]);
    }
}

static void test_roles(void **state)
{
    static const struct {
        enum verdict in_recovery, read_only;
        enum verdict read_write, read_only_role, primary, standby;
    } rows[] = {
        {N, N, Y, N, Y, N}, /* a primary */
        {N, Y, N, Y, Y, N}, /* a primary with default_transaction_read_only */
        {Y, Y, N, Y, N, Y}, /* a standby */
        {Y, U, N, Y, N, Y}, {N, U, U, U, Y, N}, {U, U, U, U, U, U},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum verdict r = rows[i].in_recovery, o = rows[i].read_only;

        assert_int_equal(role_played(ROLE_READ_WRITE, r, o), rows[i].read_write);
        assert_int_equal(role_played(ROLE_READ_ONLY, r, o), rows[i].read_only_role);
        assert_int_equal(role_played(ROLE_PRIMARY, r, o), rows[i].primary);
        assert_int_equal(role_played(ROLE_STANDBY, r, o), rows[i].standby);
        assert_int_equal(role_played(ROLE_ANY, r, o), U);
    }
}

static void test_endpoints(void **state)
{
    static const struct {
        struct promise_tally tally;
        enum verdict any, all, role;
    } rows[] = {
        {{.kept = 2}, Y, Y, Y},
        {{.broken = 2}, N, N, N},
        {{.kept = 1, .broken = 1}, Y, N, Y},
        {{.kept = 1, .unknown = 1}, Y, U, Y},
        {{.broken = 1, .unknown = 1}, U, N, U},
        {{.unknown = 1}, U, U, U},
        {{.kept = 0}, U, U, U}, /* all down */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct promise_tally *t = &rows[i].tally;

        assert_int_equal(promise_of_endpoint(PROMISE_POOLED, false, t), rows[i].any);
        assert_int_equal(promise_of_endpoint(PROMISE_POOLED, true, t), rows[i].all);
        assert_int_equal(promise_of_endpoint(PROMISE_READ_ONLY, true, t), rows[i].role);
        assert_int_equal(promise_of_endpoint(PROMISE_READ_ONLY, false, t), rows[i].role);
        assert_int_equal(promise_of_endpoint(PROMISE_CERTIFICATE_FILE, false, t), rows[i].all);
    }
}

/* --- one server ------------------------------------------------------------------------------- */

static const struct network net = {{[10] = 0xFF, 0xFF, 192, 0, 2, 0}, 120};

/* Watches `n` servers that promise everything: to be standbys. */
static struct fleet *watch(size_t n, enum require require)
{
    static const char *const names[] = {"a:1", "b:1", "c:1"};
    struct server servers[3];
    struct fleet *fleet = fleet_new();

    for (size_t i = 0; i < n; i++) {
        servers[i] = fixture_server("c", "read", names[i]);
        servers[i].promises = (struct promises){.role = ROLE_READ_ONLY,
                                                .pooled = VERDICT_NO,
                                                .max_lag_ns = 10 * NS_PER_S,
                                                .addresses = &net,
                                                .n_addresses = 1};
    }
    assert_true(fixture_watch(fleet, fixture_set(servers, n, require)));
    return fleet;
}

static struct server_state *server(struct fleet *fleet, size_t i)
{
    struct fleet_view *view = fleet_view(fleet);
    struct server_state *s = view->servers[i];

    fleet_view_unref(view);
    return s;
}

static enum verdict endpoint_keeps(struct fleet *fleet, enum promise promise)
{
    struct fleet_view *view = fleet_view(fleet);
    enum verdict kept = fleet_endpoint_promise(view, &view->set->endpoints[0], promise);

    fleet_view_unref(view);
    return kept;
}

/* A login at a back end; lag below 0: a primary. */
static struct observation answer(const char *backend, int64_t lag_s)
{
    struct observation o = fixture_login();

    snprintf(o.backend, sizeof o.backend, "%s", backend);
    o.in_recovery = o.read_only = lag_s < 0 ? VERDICT_NO : VERDICT_YES;
    o.lag_known = lag_s >= 0;
    o.lag_ns = lag_s >= 0 ? lag_s * NS_PER_S : 0;
    return o;
}

static void assert_kept(const struct server_state *s, enum verdict read_only, enum verdict pooled,
                        enum verdict max_lag, enum verdict addresses)
{
    assert_int_equal(s->promises[PROMISE_READ_ONLY].kept, read_only);
    assert_int_equal(s->promises[PROMISE_POOLED].kept, pooled);
    assert_int_equal(s->promises[PROMISE_MAX_LAG].kept, max_lag);
    assert_int_equal(s->promises[PROMISE_ADDRESSES].kept, addresses);
}

static void test_a_server_is_judged_when_it_is_known(void **state)
{
    struct fleet *fleet = watch(1, REQUIRE_ANY);
    struct server_state *s = server(fleet, 0);
    struct observation o;

    (void)state;
    assert_kept(s, U, U, U, U);
    fixture_apply(s, fixture_inspect());
    assert_kept(s, U, U, U, Y);
    fixture_apply(s, answer("x 1", 10));
    assert_kept(s, Y, Y, Y, Y);
    assert_int_equal(server_state_now(s), STATE_UP);

    /* Broken, all of them: the server is up all the same. */
    o = answer("x 1", -1);
    o.pooler = VERDICT_YES;
    o.finished_realtime_ns = FIXTURE_REALTIME_NS + 5 * NS_PER_S;
    fixture_apply(s, o);
    assert_kept(s, N, N, Y, Y); /* a primary is not behind */
    assert_int_equal(s->promises[PROMISE_READ_ONLY].since_realtime_ns,
                     FIXTURE_REALTIME_NS + 5 * NS_PER_S);
    fixture_apply(s, answer("x 1", 11));
    assert_kept(s, Y, Y, N, Y);
    o = fixture_inspect();
    snprintf(o.address, sizeof o.address, "198.51.100.1");
    fixture_apply(s, o);
    assert_kept(s, Y, Y, N, N);
    assert_int_equal(server_state_now(s), STATE_UP);

    /* Down, or our own side fails: nothing is known of now. */
    fixture_apply(s, fixture_failure(PROBE_LOGIN, FAULT_PASSWORD_FAILED, PHASE_AUTH));
    assert_kept(s, U, U, U, N);
    fixture_apply(s, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    assert_kept(s, U, U, U, U);
    fleet_free(fleet);
}

static void assert_words(const struct promises *p, enum promise promise,
                         const struct promise_facts *facts, const char *promised, const char *found)
{
    struct buf text = BUF_INIT(1024);

    promise_add_promised(&text, p, promise);
    assert_string_equal(buf_text(&text), promised);
    buf_reset(&text);
    promise_add_found(&text, promise, facts);
    assert_string_equal(buf_text(&text), found);
    buf_deinit(&text);
}

static void test_in_words(void **state)
{
    static const struct network lists[10] = {
        {{[10] = 0xFF, 0xFF, 192, 0, 2, 1}, 128},
        {{[10] = 0xFF, 0xFF, 10, 0, 0, 0}, 104},
        {{0x20, 0x01, 0x0d, 0xb8}, 32},
        {{0x20, 0x01, [15] = 1}, 128},
        {{[15] = 0}, 0},
    };
    struct promises p = {.role = ROLE_READ_WRITE,
                         .pooled = VERDICT_NO,
                         .max_lag_ns = 90 * NS_PER_S,
                         .addresses = lists,
                         .n_addresses = 1};
    struct promise_facts f = {.in_recovery = VERDICT_NO, .read_only = VERDICT_YES};

    (void)state;
    assert_words(&p, PROMISE_READ_ONLY, &f, "takes writes", "a primary that takes no writes");
    assert_words(&p, PROMISE_POOLED, &f, "direct", "");
    assert_words(&p, PROMISE_MAX_LAG, &f, "at most 1m30s behind",
                 "a primary, which is never behind");
    assert_words(&p, PROMISE_ADDRESSES, &f, "192.0.2.1", "");
    p.role = ROLE_STANDBY;
    p.n_addresses = 5;
    f = (struct promise_facts){.address = "192.0.2.7",
                               .in_recovery = VERDICT_YES,
                               .pooler = VERDICT_YES,
                               .lag_known = true,
                               .lag_ns = 1250 * NS_PER_MS};
    assert_words(&p, PROMISE_READ_ONLY, &f, "a standby", "a standby");
    assert_words(&p, PROMISE_POOLED, &f, "direct", "through a pooler");
    assert_words(&p, PROMISE_MAX_LAG, &f, "at most 1m30s behind", "1.2s behind");
    assert_words(&p, PROMISE_ADDRESSES, &f, "192.0.2.1, 10.0.0.0/8, 2001:db8::/32, 2001::1 or ::/0",
                 "192.0.2.7");
    p.n_addresses = 10; /* the rest of them ::/0 */
    assert_words(&p, PROMISE_ADDRESSES, &f,
                 "192.0.2.1, 10.0.0.0/8, 2001:db8::/32, 2001::1, ::/0, ::/0, ::/0, ::/0 or 2 more",
                 "192.0.2.7");
}

/* What the log tells: once per change, whatever the server's state does meanwhile. */
static void test_news_come_once(void **state)
{
    struct fleet *fleet = watch(1, REQUIRE_ANY);
    struct server_state *s = server(fleet, 0);
    const struct {
        struct observation o;
        enum verdict news;
    } steps[] = {
        {fixture_inspect(), U},
        {answer("x 1", 3), U}, /* kept from the start */
        {answer("x 1", 11), N},
        {answer("x 1", 12), U}, /* still */
        {fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP), U},
        {fixture_inspect(), U},
        {answer("x 1", 13), U}, /* it was so before */
        {fixture_failure(PROBE_LOGIN, FAULT_PASSWORD_FAILED, PHASE_AUTH), U},
        {answer("x 1", 4), Y},
        {answer("x 1", 5), U},
        {answer("x 1", 14), N},
    };

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct fleet_change change = fixture_apply(s, steps[i].o);

        for (size_t p = 0; p < PROMISE_COUNT; p++)
            assert_int_equal(change.promises[p], p == PROMISE_MAX_LAG ? steps[i].news : U);
    }
    assert_int_equal(server_status(s), STATUS_DEGRADED);
    fleet_free(fleet);
}

/* Promised anew by a reload, and broken all the while. */
static void test_a_reload_brings_news(void **state)
{
    struct server plain = fixture_server("c", "read", "a:1"), promising = plain;
    struct fleet *fleet = fleet_new();
    struct server_state *s;

    (void)state;
    promising.promises.role = ROLE_STANDBY;
    assert_true(fixture_watch(fleet, fixture_set(&plain, 1, REQUIRE_ANY)));
    s = server(fleet, 0);
    fixture_apply(s, fixture_inspect());
    assert_int_equal(fixture_apply(s, answer("x 1", -1)).promises[PROMISE_READ_ONLY], U);
    for (int i = 0; i < 2; i++) { /* the promise is taken back and made again */
        assert_true(fixture_watch(fleet, fixture_set(&promising, 1, REQUIRE_ANY)));
        assert_int_equal(server_status(s), STATUS_DEGRADED);
        assert_int_equal(fixture_apply(s, fixture_inspect()).promises[PROMISE_READ_ONLY], N);
        assert_int_equal(fixture_apply(s, answer("x 1", -1)).promises[PROMISE_READ_ONLY], U);
        assert_true(fixture_watch(fleet, fixture_set(&plain, 1, REQUIRE_ANY)));
        assert_int_equal(server_status(s), STATUS_OK);
    }
    fleet_free(fleet);
}

static void test_back_ends_take_turns_without_flapping(void **state)
{
    struct fleet *fleet = watch(1, REQUIRE_ANY);
    struct server_state *s = server(fleet, 0);
    int64_t now_ns = clock_monotonic_ns(), interval_ns = s->config->login_interval_ns;

    (void)state;
    fixture_apply(s, fixture_inspect());
    for (int i = 0; i < 20; i++) {
        fixture_apply_at(s, answer("x 1", 3), now_ns += interval_ns);
        assert_int_equal(s->promises[PROMISE_READ_ONLY].kept, i == 0 ? Y : N);
        fixture_apply_at(s, answer("y 1", -1), now_ns += interval_ns);
        assert_int_equal(s->promises[PROMISE_READ_ONLY].kept, N);
        assert_int_equal(s->in_recovery, VERDICT_YES);
        assert_true(s->lag_known);
        assert_int_equal(s->lag_ns, 3 * NS_PER_S);
    }
    /* One is promoted, and the other one goes. */
    for (int i = 0; i < 11; i++)
        fixture_apply_at(s, answer("y 1", 2), now_ns += interval_ns);
    assert_int_equal(s->n_backends, 1);
    assert_int_equal(s->promises[PROMISE_READ_ONLY].kept, Y);
    assert_int_equal(s->lag_ns, 2 * NS_PER_S);
    fleet_free(fleet);
}

/* The read address of an endpoint that promises a standby: logins in turn, an interval apart, each
 * met by the back end of that letter. Capitals are primaries. Says of each whether it was kept. */
static void assert_turns(const char *met, const char *kept)
{
    struct server reading = fixture_server("c", "read", "a:1");
    struct fleet *fleet = fleet_new();
    int64_t now_ns = clock_monotonic_ns();
    char got[64] = "";
    struct server_state *s;

    reading.promises.role = ROLE_READ_ONLY;
    assert_true(fixture_watch(fleet, fixture_set(&reading, 1, REQUIRE_ANY)));
    s = server(fleet, 0);
    fixture_apply(s, fixture_inspect());
    for (size_t i = 0; met[i]; i++) {
        char name[] = {(char)(met[i] | 0x20), '\0'};

        /* No interval is exact: a tenth more, a tenth less. */
        now_ns += s->config->login_interval_ns / 10 * (i % 2 ? 11 : 9);
        fixture_apply_at(s, answer(name, met[i] & 0x20 ? 1 : -1), now_ns);
        got[i] = s->promises[PROMISE_READ_ONLY].kept == Y ? '+' : '-';
    }
    assert_string_equal(got, kept);
    fleet_free(fleet);
}

static void test_a_role_met_in_passing_is_soon_forgotten(void **state)
{
    (void)state;
    assert_turns("aaaaaaaaaa", "++++++++++");
    /* b was promoted, and reached this way once more, or twice; PgtlsPromiseBroken waits for the
     * sixth in a row. */
    assert_turns("ababaBaaaaaaaaa", "+++++---+++++++");
    assert_turns("ababBBaaaaaaaaa", "++++----+++++++");
    /* Nobody else is there: each answer is the news. */
    assert_turns("aaAAaa", "++--++");
    /* Met for longer, it is told of for about as long again, never for more than ten. */
    assert_turns("aBBBBBaaaaaaaaa", "+---------+++++");
    assert_turns("BBBBBBBBBBBBBBBBaaaaaaaaaaaa", "--------------------------++");
}

static void test_a_role_met_again_and_again_never_flaps(void **state)
{
    (void)state;
    assert_turns("aBaBaBaBaBaB", "+-----------");
    assert_turns("abCabCabCabC", "++----------");
    assert_turns("abcDabcDabcDabcD", "+++---+---------");
    assert_turns("abcdefgHabcdefgHabcdefgHabcdefgH", "+++++++---+++++-----------------");
}

static void test_a_ninth_back_end_takes_the_oldest_place(void **state)
{
    struct fleet *fleet = watch(1, REQUIRE_ANY);
    struct server_state *s = server(fleet, 0);
    int64_t now_ns = clock_monotonic_ns();
    char name[8];

    (void)state;
    fixture_apply(s, fixture_inspect());
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "%d", i);
        fixture_apply_at(s, answer(name, i == 0 ? 99 : 1), now_ns += NS_PER_S);
        assert_int_equal(s->lag_ns, (i < 8 ? 99 : 1) * NS_PER_S);
    }
    assert_int_equal(s->n_backends, MAX_BACKENDS);
    fleet_free(fleet);
}

static void test_a_lag_that_is_not_known(void **state)
{
    struct fleet *fleet = watch(1, REQUIRE_ANY);
    struct server_state *s = server(fleet, 0);
    struct observation o = answer("x 1", 0);

    (void)state;
    fixture_apply(s, fixture_inspect());
    o.lag_known = false;
    fixture_apply(s, o);
    assert_kept(s, Y, Y, U, Y);
    fleet_free(fleet);
}

static void test_a_role_needs_one_fit_server(void **state)
{
    struct fleet *fleet = watch(2, REQUIRE_ALL);
    struct server_state *a = server(fleet, 0), *b = server(fleet, 1);

    (void)state;
    assert_int_equal(endpoint_keeps(fleet, PROMISE_READ_ONLY), U);
    fixture_apply(a, fixture_inspect());
    fixture_apply(a, answer("a", -1));
    assert_int_equal(endpoint_keeps(fleet, PROMISE_READ_ONLY), U); /* b may be fit */
    fixture_apply(b, fixture_inspect());
    fixture_apply(b, answer("b", 0));
    assert_int_equal(endpoint_keeps(fleet, PROMISE_READ_ONLY), Y);
    fixture_apply(b, answer("b", 60));
    assert_int_equal(endpoint_keeps(fleet, PROMISE_MAX_LAG), N);
    /* The fit one goes down: the other one does not keep the promise for it. */
    fixture_apply(b, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    assert_int_equal(endpoint_keeps(fleet, PROMISE_READ_ONLY), N);
    fixture_apply(a, answer("a", 0)); /* roles swap */
    assert_int_equal(endpoint_keeps(fleet, PROMISE_READ_ONLY), Y);
    fleet_free(fleet);
}

static void test_a_reload_judges_anew(void **state)
{
    struct fleet *fleet = watch(1, REQUIRE_ANY);
    struct server_state *s = server(fleet, 0);
    struct server other = fixture_server("c", "read", "a:1");

    (void)state;
    fixture_apply(s, fixture_inspect());
    fixture_apply(s, answer("x 1", 0));
    assert_kept(s, Y, Y, Y, Y);
    other.promises = (struct promises){.role = ROLE_PRIMARY};
    assert_true(fixture_watch(fleet, fixture_set(&other, 1, REQUIRE_ANY)));
    assert_kept(s, N, U, U, U);
    assert_int_equal(endpoint_keeps(fleet, PROMISE_POOLED), U);
    fleet_free(fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_a_server_is_judged_when_it_is_known),
        cmocka_unit_test(test_back_ends_take_turns_without_flapping),
        cmocka_unit_test(test_a_role_met_in_passing_is_soon_forgotten),
        cmocka_unit_test(test_a_role_met_again_and_again_never_flaps),
        cmocka_unit_test(test_in_words),
        cmocka_unit_test(test_news_come_once),
        cmocka_unit_test(test_a_reload_brings_news),
        cmocka_unit_test(test_a_ninth_back_end_takes_the_oldest_place),
        cmocka_unit_test(test_a_lag_that_is_not_known),
        cmocka_unit_test(test_a_role_needs_one_fit_server),
        cmocka_unit_test(test_a_reload_judges_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
