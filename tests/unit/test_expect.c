/* model/expect: what an outcome means where a refusal is expected, what is counted of it, and what
 * a configuration may expect. */
#include "config_world.h"
#include "fleet_fixture.h"

static struct server expecting(bool login, enum fault fault, enum fault_class class)
{
    struct server s = fixture_server("c", "admin", "db.example:5432");

    s.login = login;
    s.expect.text = "what is written";
    if (fault != FAULT_NONE)
        expect_fault(&s.expect, fault);
    if (class != FAULT_CLASS_NONE)
        expect_class(&s.expect, class);
    return s;
}

static struct observation judged(const struct server *s, enum probe_kind kind, enum fault fault)
{
    struct observation o = fixture_failure(kind, fault, PHASE_STARTUP);

    if (fault == FAULT_NONE)
        o.error[0] = '\0';
    expect_judge(s, &o);
    return o;
}

static void test_what_an_outcome_means(void **state)
{
    static const struct {
        bool login;
        enum probe_kind kind;
        enum fault outcome, fault, expected;
    } rows[] = {
        /* hba_no_entry_ssl is expected */
        {false, PROBE_INSPECT, FAULT_HBA_NO_ENTRY_SSL, FAULT_NONE, FAULT_HBA_NO_ENTRY_SSL},
        {true, PROBE_INSPECT, FAULT_HBA_NO_ENTRY_SSL, FAULT_NONE, FAULT_HBA_NO_ENTRY_SSL},
        {true, PROBE_LOGIN, FAULT_HBA_NO_ENTRY_SSL, FAULT_NONE, FAULT_HBA_NO_ENTRY_SSL},
        {false, PROBE_INSPECT, FAULT_NONE, FAULT_EXPECTED_REFUSAL_MISSING, FAULT_NONE},
        {true, PROBE_INSPECT, FAULT_NONE, FAULT_NONE, FAULT_NONE}, /* the login will tell */
        {true, PROBE_LOGIN, FAULT_NONE, FAULT_EXPECTED_REFUSAL_MISSING, FAULT_NONE},
        {true, PROBE_LOGIN, FAULT_PASSWORD_MISSING, FAULT_EXPECTED_REFUSAL_MISSING, FAULT_NONE},
        {false, PROBE_INSPECT, FAULT_HBA_REJECTED, FAULT_HBA_REJECTED, FAULT_NONE},
        {false, PROBE_INSPECT, FAULT_TCP_TIMEOUT, FAULT_TCP_TIMEOUT, FAULT_NONE},
        {false, PROBE_INSPECT, FAULT_LOCAL_FILE, FAULT_LOCAL_FILE, FAULT_NONE},
        {true, PROBE_LOGIN, FAULT_STARTING_UP, FAULT_STARTING_UP, FAULT_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server s = expecting(rows[i].login, FAULT_HBA_NO_ENTRY_SSL, FAULT_CLASS_NONE);
        struct observation o = judged(&s, rows[i].kind, rows[i].outcome);

        if (o.fault != rows[i].fault || o.expected != rows[i].expected)
            fail_msg("row %zu: %s, expected %s", i, fault_row(o.fault)->id,
                     fault_row(o.expected)->id);
        assert_int_equal(expect_outcome(&o), rows[i].outcome);
        assert_int_equal(observation_entered(&o), o.fault == FAULT_NONE && !o.expected);
    }
}

static void test_without_an_expectation_nothing_changes(void **state)
{
    struct server s = fixture_server("c", "admin", "db.example:5432");
    struct observation good = judged(&s, PROBE_LOGIN, FAULT_NONE);
    struct observation bad = judged(&s, PROBE_LOGIN, FAULT_PASSWORD_FAILED);

    (void)state;
    assert_int_equal(good.fault, FAULT_NONE);
    assert_int_equal(bad.fault, FAULT_PASSWORD_FAILED);
    assert_int_equal(expect_outcome(&bad), FAULT_PASSWORD_FAILED);
}

/* Where a refusal by password is good as well, a wrong password is one fault among others. */
static void test_classes_and_what_is_of_their_kind(void **state)
{
    struct server hba = expecting(true, FAULT_NONE, FAULT_CLASS_HBA);
    struct server both = expecting(true, FAULT_PASSWORD_FAILED, FAULT_CLASS_HBA);
    struct observation o = judged(&hba, PROBE_INSPECT, FAULT_IP_NOT_ALLOWED);

    (void)state;
    assert_int_equal(o.expected, FAULT_IP_NOT_ALLOWED);
    o = judged(&both, PROBE_LOGIN, FAULT_PASSWORD_FAILED);
    assert_int_equal(o.expected, FAULT_PASSWORD_FAILED);
    o = judged(&both, PROBE_LOGIN, FAULT_ROLE_MISSING);
    assert_int_equal(o.fault, FAULT_ROLE_MISSING);
    o = judged(&hba, PROBE_LOGIN, FAULT_ROLE_MISSING);
    assert_int_equal(o.fault, FAULT_EXPECTED_REFUSAL_MISSING);
    assert_string_equal(
        o.error, "expected what is written, and it came to role_missing: something \"went\" wrong");
    o = judged(&hba, PROBE_LOGIN, FAULT_NONE);
    assert_string_equal(o.error, "expected what is written, and it lets us in");
}

static void test_what_can_be_seen(void **state)
{
    struct server s = expecting(false, FAULT_HBA_NO_ENTRY_SSL, FAULT_CLASS_NONE);

    (void)state;
    assert_true(expect_reachable(&s));
    s.user = NULL;
    assert_false(expect_reachable(&s));
    expect_fault(&s.expect, FAULT_TCP_TIMEOUT);
    assert_true(expect_reachable(&s));
    s = expecting(false, FAULT_PASSWORD_MISSING, FAULT_CLASS_NONE);
    assert_false(expect_reachable(&s));
    s.login = true;
    assert_true(expect_reachable(&s));
}

/* --- the fold --------------------------------------------------------------------------------- */

struct one {
    struct fleet *fleet;
    struct fleet_view *view;
    struct server_state *state;
};

static struct one watch(const struct server *s)
{
    struct one one = {.fleet = fleet_new()};

    assert_true(fixture_watch(one.fleet, fixture_set(s, 1, REQUIRE_ANY)));
    one.view = fleet_view(one.fleet);
    one.state = one.view->servers[0];
    return one;
}

static void end(struct one *one)
{
    fleet_view_unref(one->view);
    fleet_free(one->fleet);
}

static void test_an_expected_refusal_is_good_and_no_rejection(void **state)
{
    struct server s = expecting(true, FAULT_HBA_NO_ENTRY_SSL, FAULT_CLASS_NONE);
    struct one one = watch(&s);
    const struct probe_state *inspect = &one.state->probes[PROBE_INSPECT];
    struct fleet_change change;

    (void)state;
    change = fixture_apply(one.state, judged(&s, PROBE_INSPECT, FAULT_HBA_NO_ENTRY_SSL));
    assert_int_equal(change.after, STATE_UP); /* although no login has run: none will */
    assert_int_equal(inspect->probes, 1);
    assert_int_equal(inspect->expected_refusals, 1);
    assert_int_equal(inspect->failures[FAULT_CLASS_HBA], 0);
    assert_int_equal(inspect->failures_in_row, 0);
    assert_int_equal(one.state->hba_rejections[HBA_NO_ENTRY], 0);
    assert_null(server_state_culprit(one.state, NULL));
    end(&one);
}

static void test_a_login_that_got_in_is_forgotten_once_the_refusal_is_back(void **state)
{
    struct server s = expecting(true, FAULT_HBA_NO_ENTRY_SSL, FAULT_CLASS_NONE);
    struct one one = watch(&s);
    const struct probe_state *login = &one.state->probes[PROBE_LOGIN];

    (void)state;
    fixture_apply(one.state, judged(&s, PROBE_INSPECT, FAULT_NONE));
    assert_int_equal(server_state_now(one.state), STATE_UNKNOWN);
    fixture_apply(one.state, judged(&s, PROBE_LOGIN, FAULT_NONE));
    assert_int_equal(server_state_now(one.state), STATE_DOWN);
    assert_int_equal(login->failures[FAULT_CLASS_EXPECTATION], 1);
    fixture_apply(one.state, judged(&s, PROBE_INSPECT, FAULT_HBA_NO_ENTRY_SSL));
    assert_int_equal(server_state_now(one.state), STATE_UP);
    assert_null(server_state_culprit(one.state, NULL));
    assert_false(login->ran);
    assert_int_equal(login->last_realtime_ns, 0); /* or it would seem to be late for ever */
    assert_int_equal(login->probes, 1);
    end(&one);
}

static void test_another_expectation_begins_anew(void **state)
{
    struct server s = expecting(false, FAULT_HBA_NO_ENTRY_SSL, FAULT_CLASS_NONE), plain = s;
    struct one one = watch(&s);

    (void)state;
    fixture_apply(one.state, judged(&s, PROBE_INSPECT, FAULT_HBA_NO_ENTRY_SSL));
    assert_true(fixture_watch(one.fleet, fixture_set(&s, 1, REQUIRE_ANY)));
    assert_int_equal(server_state_now(one.state), STATE_UP);
    plain.expect = (struct expect){.text = NULL};
    assert_true(fixture_watch(one.fleet, fixture_set(&plain, 1, REQUIRE_ANY)));
    assert_int_equal(server_state_now(one.state), STATE_UNKNOWN);
    assert_int_equal(one.state->state, STATE_UNKNOWN);
    assert_int_equal(one.state->probes[PROBE_INSPECT].expected_refusals, 1);
    end(&one);
}

/* --- the configuration ------------------------------------------------------------------------ */

static const char *one_server(const char *keys)
{
    static char text[1024];

    snprintf(text, sizeof text, "clusters: [{name: c, host: h, %s}]", keys);
    return text;
}

static void test_right_values(void **state)
{
    static const struct {
        const char *keys, *text;
        enum fault has, has_not;
    } rows[] = {
        {"user: u, expect: {fault: hba_no_entry_ssl}", "hba_no_entry_ssl", FAULT_HBA_NO_ENTRY_SSL,
         FAULT_HBA_REJECTED},
        {"user: u, expect: {fault: [tcp_timeout, tcp_refused]}", "tcp_timeout, tcp_refused",
         FAULT_TCP_REFUSED, FAULT_TCP_RESET},
        {"user: u, expect: {class: hba}", "class hba", FAULT_IP_NOT_ALLOWED, FAULT_TCP_TIMEOUT},
        {"user: u, expect: {class: [network, hba], fault: password_failed}",
         "password_failed, class network, class hba", FAULT_PASSWORD_FAILED, FAULT_ROLE_MISSING},
        {"expect: {fault: server_cert_expired}", "server_cert_expired", FAULT_SERVER_CERT_EXPIRED,
         FAULT_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct endpoint_set *set = load_good(one_server(rows[i].keys));

        assert_string_equal(set->servers[0].expect.text, rows[i].text);
        assert_true(expect_has(&set->servers[0].expect, rows[i].has));
        assert_false(expect_has(&set->servers[0].expect, rows[i].has_not));
        endpoint_set_unref(set);
    }
}

static void test_an_inner_expectation_replaces_an_outer_one(void **state)
{
    const char *text = "defaults: {user: u, expect: {class: hba}}\n"
                       "clusters: [{name: c, host: h, expect: {fault: tcp_timeout}}]";
    struct endpoint_set *set = load_good(text);

    (void)state;
    assert_true(expect_has(&set->servers[0].expect, FAULT_TCP_TIMEOUT));
    assert_false(expect_has(&set->servers[0].expect, FAULT_HBA_REJECTED));
    endpoint_set_unref(set);
}

static void test_wrong_values(void **state)
{
    static const struct {
        const char *keys, *message;
    } rows[] = {
        {"expect: hba", "expect: a mapping is needed; write for example {fault: hba_no_entry_ssl}"},
        {"expect: {}", "expect: nothing is named; write for example {fault: hba_no_entry_ssl}"},
        {"expect: {fault: hba_no_entry_tls}", "fault: \"hba_no_entry_tls\" is no fault of the "
                                              "catalogue (docs/faults.md); did you mean "
                                              "\"hba_no_entry_ssl\"?"},
        {"expect: {fault: local_file}", "fault: \"local_file\" cannot be expected: it tells of the "
                                        "exporter's own side"},
        {"expect: {fault: expected_refusal_missing}",
         "fault: \"expected_refusal_missing\" cannot be expected: it is what an expectation that "
         "fails is called"},
        {"expect: {fault: []}",
         "fault: an empty list; name what is expected, or leave the key out"},
        {"expect: {fault: [{a: b}]}", "fault: a mapping where a word is needed"},
        {"expect: {class: pg_hba}",
         "class: \"pg_hba\" is no class of faults that can be expected: network, protocol, "
         "ssl_close, certificate, hba, auth, capacity, unavailable"},
        {"expect: {class: internal}",
         "class: \"internal\" is no class of faults that can be expected: network, protocol, "
         "ssl_close, certificate, hba, auth, capacity, unavailable"},
        {"expect: {faults: hba_rejected}", "unknown key \"faults\"; did you mean \"fault\"?"},
        {"expect: {fault: hba_no_entry_ssl}",
         "expect: hba_no_entry_ssl comes later than this probe goes at endpoint \"default\" of "
         "cluster \"c\"; give a user"},
        {"user: u, login: false, expect: {fault: password_missing}",
         "expect: password_missing comes later than this probe goes at endpoint \"default\" of "
         "cluster \"c\"; give it a login"},
        {"user: u, expect: {class: hba}, session: [{idle: 5m}]",
         "session: endpoint \"default\" of cluster \"c\" expects to be refused, so none can be "
         "kept open; write `session: []` there"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct endpoint_set *set = load(one_server(rows[i].keys));
        const char *said = messages.errors > 0 ? messages.items[0].text : "nothing";

        if (set || !strstr(said, rows[i].message))
            fail_msg("%s:\n  %s\n  wanted: %s", rows[i].keys, said, rows[i].message);
    }
    config_messages_deinit(&messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_an_outcome_means),
        cmocka_unit_test(test_without_an_expectation_nothing_changes),
        cmocka_unit_test(test_classes_and_what_is_of_their_kind),
        cmocka_unit_test(test_what_can_be_seen),
        cmocka_unit_test(test_an_expected_refusal_is_good_and_no_rejection),
        cmocka_unit_test(test_a_login_that_got_in_is_forgotten_once_the_refusal_is_back),
        cmocka_unit_test(test_another_expectation_begins_anew),
        cmocka_unit_test(test_right_values),
        cmocka_unit_test(test_an_inner_expectation_replaces_an_outer_one),
        cmocka_unit_test(test_wrong_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
