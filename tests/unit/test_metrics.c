/* expose/: the exposition in both formats, negotiation, the budget, the printed contract. */
#include "scrape.h"

/* Lines that are samples and contain `needle`. */
static size_t count_samples(const struct buf *body, const char *needle)
{
    const char *line = buf_text(body);
    size_t n = 0;

    while (*line) {
        const char *end = strchr(line, '\n'), *found = strstr(line, needle);

        n += *line != '#' && found && found < end;
        line = end + 1;
    }
    return n;
}

#define assert_has(body, text)                                                                     \
    do {                                                                                           \
        if (!strstr(buf_text(body), text))                                                         \
            fail_msg("missing: %s", text);                                                         \
    } while (0)
#define assert_has_not(body, text)                                                                 \
    do {                                                                                           \
        if (strstr(buf_text(body), text))                                                          \
            fail_msg("unexpected: %s", text);                                                      \
    } while (0)

static struct fleet *fleet_of(struct server server)
{
    struct fleet *fleet = fleet_new();

    assert_true(fixture_watch(fleet, fixture_set(&server, 1, REQUIRE_ALL)));
    return fleet;
}

static void apply(struct fleet *fleet, struct observation o)
{
    struct fleet_view *view = fleet_view(fleet);

    fixture_apply(view->servers[0], o);
    fleet_view_unref(view);
}

static void test_counters_are_born_at_0_and_gauges_are_not(void **state)
{
    struct fleet *fleet = fleet_of(fixture_server("c", "write", "db.example:5432"));
    struct buf body = scrape(fleet, METRICS_TEXT);

    (void)state;
    assert_has(&body, "pgtls_probes_total{pg_cluster=\"c\",pg_endpoint=\"write\","
                      "server=\"db.example:5432\",probe=\"inspect\"} 0\n");
    assert_has(&body, ",probe=\"login\",class=\"certificate\"} 0\n");
    assert_has(&body, ",phase=\"startup\",how=\"close_notify\"} 0\n");
    assert_has(&body, ",kind=\"no_entry\"} 0\n");
    assert_has(&body, ",phase=\"dns\",le=\"0.001\"} 0\n");
    assert_has(&body, ",phase=\"dns\",le=\"1.0\"} 0\n");
    assert_has(&body, ",phase=\"dns\",le=\"+Inf\"} 0\n");
    assert_int_equal(count_samples(&body, "pgtls_up{"), 0);
    assert_int_equal(count_samples(&body, "pgtls_endpoint_up{"), 0);
    assert_int_equal(count_samples(&body, "pgtls_probe_up{"), 0);
    assert_int_equal(count_samples(&body, "pgtls_chain_verified{"), 0);
    assert_int_equal(count_samples(&body, "pgtls_certificates_seen{"), 0);
    assert_int_equal(count_samples(&body, "pgtls_probe_internal_errors_total{"), 0);
    assert_int_equal(count_samples(&body, "pgtls_last_probe_timestamp_seconds{"), 0);
    assert_int_equal(count_samples(&body, "pgtls_server_labels_info{"), 1);
    buf_deinit(&body);
    fleet_free(fleet);
}

static void test_a_good_server(void **state)
{
    struct fleet *fleet = fleet_of(fixture_server("c", "write", "db.example:5432"));
    struct buf body;

    (void)state;
    apply(fleet, fixture_inspect());
    apply(fleet, fixture_login());
    body = scrape(fleet, METRICS_TEXT);
    assert_has(&body, "pgtls_up{pg_cluster=\"c\",pg_endpoint=\"write\","
                      "server=\"db.example:5432\"} 1\n");
    assert_has(&body, "pgtls_endpoint_up{pg_cluster=\"c\",pg_endpoint=\"write\"} 1\n");
    assert_has(&body, ",phase=\"tls\",le=\"0.005\"} 1\n");
    assert_has(&body, ",phase=\"tls\",le=\"+Inf\"} 1\n");
    assert_has(&body, ",phase=\"tls\"} 0.003\n"); /* the sum */
    assert_has(&body, ",probe=\"inspect\",le=\"0.01\"} 0\n");
    assert_has(&body, ",probe=\"inspect\",le=\"0.025\"} 1\n");
    assert_has(&body, ",probe=\"inspect\"} 1700000000.02\n");
    assert_has(&body, ",probe=\"inspect\"} 30\n"); /* the interval */
    assert_has(&body, "pgtls_in_recovery{pg_cluster=\"c\",pg_endpoint=\"write\","
                      "server=\"db.example:5432\"} 0\n");
    assert_has(&body, ",server_version=\"15.4\",pooler=\"false\",auth_method=\"scram-sha-256\","
                      "channel_binding=\"true\"} 1\n");
    assert_has(&body, ",version=\"TLSv1.3\",cipher=\"TLS_AES_256_GCM_SHA384\",group=\"X25519\","
                      "alpn=\"\"} 1\n");
    assert_has(&body, ",position=\"root\"} 1800000002\n");
    assert_has(&body, "# TYPE pgtls_tls_info gauge\n");
    assert_has(&body, "# TYPE pgtls_probes_total counter\n");
    assert_has_not(&body, "# UNIT");
    assert_has_not(&body, "# EOF");
    assert_int_equal(count_samples(&body, "pgtls_fault_active{"), 0);
    buf_deinit(&body);
    fleet_free(fleet);
}

static void test_why_it_is_down(void **state)
{
    struct fleet *fleet = fleet_of(fixture_server("c", "write", "db.example:5432"));
    struct observation closed =
        fixture_failure(PROBE_INSPECT, FAULT_SSL_CLOSED_AFTER_HANDSHAKE, PHASE_STARTUP);
    struct buf body;

    (void)state;
    closed.how = CLOSE_NOTIFY;
    apply(fleet, closed);
    body = scrape(fleet, METRICS_TEXT);
    assert_has(&body, ",probe=\"inspect\",phase=\"startup\",class=\"ssl_close\","
                      "fault=\"ssl_closed_after_handshake\"} 1\n");
    assert_has(&body, ",phase=\"startup\",how=\"close_notify\"} 1\n");
    assert_has(&body, ",probe=\"inspect\",class=\"ssl_close\"} 1\n");
    assert_has(&body, "pgtls_up{pg_cluster=\"c\",pg_endpoint=\"write\","
                      "server=\"db.example:5432\"} 0\n");
    buf_deinit(&body);

    /* Our own side fails: no verdict, no fault, one counter. */
    apply(fleet, fixture_failure(PROBE_INSPECT, FAULT_LOCAL_DESCRIPTORS, PHASE_TCP));
    body = scrape(fleet, METRICS_TEXT);
    assert_int_equal(count_samples(&body, "pgtls_up{"), 0);
    assert_int_equal(count_samples(&body, "pgtls_probe_up{"), 0);
    assert_int_equal(count_samples(&body, "pgtls_fault_active{"), 0);
    assert_has(&body, ",probe=\"inspect\",reason=\"descriptors\"} 1\n");
    buf_deinit(&body);
    fleet_free(fleet);
}

static void test_what_configuration_rules_out_does_not_appear(void **state)
{
    struct server plain = fixture_server("c", "write", "/run/.s.PGSQL.5432");
    struct fleet *fleet;
    struct buf body;

    (void)state;
    plain.unix_socket = true;
    plain.sslmode = SSLMODE_DISABLE;
    plain.login = false;
    fleet = fleet_of(plain);
    apply(fleet, fixture_inspect());
    body = scrape(fleet, METRICS_TEXT);
    assert_int_equal(count_samples(&body, "probe=\"login\""), 0);
    assert_int_equal(count_samples(&body, "phase=\"tls\""), 0);
    assert_int_equal(count_samples(&body, "phase=\"dns\""), 0);
    assert_int_equal(count_samples(&body, "phase=\"tcp\""), 0);
    assert_int_equal(count_samples(&body, "position="), 0);
    assert_int_equal(count_samples(&body, "pgtls_ssl_closes_total"), 0);
    assert_has(&body, ",phase=\"startup\",le=\"0.001\"} 0\n");
    assert_has(&body, ",kind=\"no_encryption\"} 0\n");
    buf_deinit(&body);
    fleet_free(fleet);

    fleet = fleet_of(fixture_server("c", "write", "a:1"));
    body = scrape(fleet, METRICS_TEXT);
    assert_has_not(&body, "kind=\"no_encryption\"");
    buf_deinit(&body);
    fleet_free(fleet);
}

static void test_openmetrics(void **state)
{
    struct fleet *fleet = fleet_of(fixture_server("c", "write", "db.example:5432"));
    struct buf body;

    (void)state;
    apply(fleet, fixture_inspect());
    body = scrape(fleet, METRICS_OPENMETRICS);
    assert_has(&body, "# TYPE pgtls_probes counter\n");
    assert_has(&body, "pgtls_probes_total{");
    assert_has(&body, "# TYPE pgtls_tls info\n");
    assert_has(&body, "pgtls_tls_info{");
    assert_has(&body, "# UNIT pgtls_state_seconds seconds\n");
    assert_has(&body, "le=\"5.0\"");
    assert_has_not(&body, "_created");
    assert_true(body.len > 6 && strcmp(body.data + body.len - 6, "# EOF\n") == 0);
    buf_deinit(&body);
    fleet_free(fleet);
}

static void test_roles_lag_and_promises(void **state)
{
    static const struct network somewhere = {.bits = 128};
    static const struct pin pin = {"00"};
    struct server server = fixture_server("c", "read", "db.example:5432");
    struct observation login = fixture_login(), inspect = fixture_inspect();
    struct fleet *fleet;
    struct buf body;

    (void)state;
    server.pins = &pin;
    server.n_pins = 1;
    server.promises = (struct promises){
        .role = ROLE_READ_ONLY, .max_lag_ns = NS_PER_S, .addresses = &somewhere, .n_addresses = 1};
    fleet = fleet_of(server);
    body = scrape(fleet, METRICS_TEXT);
    assert_int_equal(count_samples(&body, "_promise_kept{"), 0);
    assert_int_equal(count_samples(&body, "pgtls_certificate_pin_matched{"), 0);
    buf_deinit(&body);
    inspect.judgement.pin = VERDICT_NO;
    login.in_recovery = VERDICT_YES;
    login.lag_known = true;
    login.lag_ns = 2500 * NS_PER_MS + 7;
    apply(fleet, inspect);
    apply(fleet, login);
    body = scrape(fleet, METRICS_TEXT);
    assert_has(&body, "pgtls_in_recovery{pg_cluster=\"c\",pg_endpoint=\"read\","
                      "server=\"db.example:5432\"} 1\n");
    assert_has(&body, "pgtls_replication_lag_seconds{pg_cluster=\"c\",pg_endpoint=\"read\","
                      "server=\"db.example:5432\"} 2.5\n");
    assert_has(&body, "pgtls_certificate_pin_matched{pg_cluster=\"c\",pg_endpoint=\"read\","
                      "server=\"db.example:5432\"} 0\n");
    assert_has(&body, "\",promise=\"read_only\"} 1\n");
    assert_has(&body, "\",promise=\"max_lag\"} 0\n");
    assert_has(&body, "\",promise=\"addresses\"} 0\n");
    assert_has(&body, "pgtls_endpoint_promise_kept{pg_cluster=\"c\",pg_endpoint=\"read\","
                      "promise=\"max_lag\"} 0\n");
    assert_int_equal(count_samples(&body, "pgtls_promise_kept{"), 3); /* pooled is not promised */
    assert_int_equal(count_samples(&body, "pgtls_endpoint_promise_kept{"), 3);
    buf_deinit(&body);
    fleet_free(fleet);
}

/* A server known by name, with everything on and two faults active; see docs/metrics.md. */
static void fill_worst_case(struct fleet *fleet)
{
    struct observation o = fixture_failure(PROBE_LOGIN, FAULT_PASSWORD_FAILED, PHASE_AUTH);

    apply(fleet, fixture_inspect());
    apply(fleet, fixture_login()); /* so that everything about the server is known */
    apply(fleet, o);
    o = fixture_inspect();
    o.fault = FAULT_SSL_CLOSED_AFTER_HANDSHAKE;
    o.how = CLOSE_NOTIFY;
    apply(fleet, o);
}

static void test_at_most_160_series_per_server(void **state)
{
    struct fleet *fleet = fleet_of(fixture_server("c", "write", "db.example:5432"));
    struct buf body;
    size_t n;

    (void)state;
    fill_worst_case(fleet);
    body = scrape(fleet, METRICS_TEXT);
    n = count_samples(&body, "pg_cluster=");
    print_message("worst case: %zu series of one server\n", n);
    assert_true(n <= 160);
    assert_int_equal(count_samples(&body, "pgtls_fault_active{"), 2);     /* it is the worst case */
    assert_int_equal(count_samples(&body, "pgtls_certificate_info{"), 2); /* without the root */
    buf_deinit(&body);
    fleet_free(fleet);
}

static void test_folded_buckets_lose_nothing(void **state)
{
    struct server server = fixture_server("c", "write", "db.example:5432");
    struct endpoint_set *set = fixture_set(&server, 1, REQUIRE_ALL);
    struct fleet *fleet = fleet_of(server);
    struct observation o = fixture_inspect();
    struct buf body;

    (void)state;
    o.phases[PHASE_TLS].duration_ns = o.duration_ns = NS_PER_MS / 2;
    apply(fleet, o);
    body = scrape(fleet, METRICS_TEXT);
    assert_has_not(&body, ",phase=\"tls\",le=\"0.001\"}");
    assert_has(&body, ",phase=\"tls\",le=\"0.005\"} 1\n");
    assert_has_not(&body, ",probe=\"inspect\",le=\"0.005\"}");
    assert_has(&body, ",probe=\"inspect\",le=\"0.01\"} 1\n");
    buf_deinit(&body);

    set->settings.buckets[0] = 0.0005; /* bounds that somebody chose are all shown */
    assert_true(fixture_watch(fleet, set));
    body = scrape(fleet, METRICS_TEXT);
    assert_has(&body, ",phase=\"tls\",le=\"0.0005\"} 0\n");
    assert_has(&body, ",probe=\"inspect\",le=\"0.0005\"} 0\n");
    buf_deinit(&body);
    fleet_free(fleet);
}

static void test_hostile_label_values(void **state)
{
    static const struct label labels[] = {{"team", "a\"b\\c\nd"}};
    struct server server = fixture_server("c", "write", "db.example:5432");
    struct observation o = fixture_inspect();
    struct fleet *fleet;
    struct buf body;

    (void)state;
    server.labels = labels;
    server.n_labels = 1;
    fleet = fleet_of(server);
    snprintf(o.chain->certificates[0].subject, 129, "CN=\"\\\n# EOF");
    apply(fleet, o);
    body = scrape(fleet, METRICS_OPENMETRICS);
    assert_has(&body,
               ",team=\"a\\\"b\\\\c\\nd\",sslmode=\"verify-full\",negotiation=\"postgres\"}");
    assert_has(&body, ",subject=\"CN=\\\"\\\\\\n# EOF\",");
    assert_int_equal(count_samples(&body, "\n"), 0);
    buf_deinit(&body);
    fleet_free(fleet);
}

static void test_self(void **state)
{
    struct fleet *fleet = fleet_of(fixture_server("c", "write", "a:1"));
    struct buf body;

    (void)state;
    self_add_lag(&self, 2 * NS_PER_MS);
    atomic_store(&self.probes_in_flight, -1);
    body = scrape(fleet, METRICS_TEXT);
    assert_has(&body, "pgtls_scheduler_lag_seconds_bucket{le=\"0.001\"} 0\n");
    assert_has(&body, "pgtls_scheduler_lag_seconds_bucket{le=\"0.005\"} 1\n");
    assert_has(&body, "pgtls_scheduler_lag_seconds_sum 0.002\n");
    assert_has(&body, "pgtls_scheduler_lag_seconds_count 1\n");
    assert_has(&body, "\npgtls_probes_in_flight -1\n");
    assert_has(&body, "\npgtls_build_info{version=\"");
    assert_has(&body, "\nprocess_cpu_seconds_total ");
    assert_has(&body, "\nprocess_open_fds ");
    assert_has(&body, "\nprocess_threads ");
    assert_int_equal(count_samples(&body, "pgtls_config_last_reload_success_timestamp_seconds"), 0);
    buf_deinit(&body);
    atomic_store(&self.probes_in_flight, 0);
    fleet_free(fleet);
}

/* Two families that share a name prefix must not be torn apart, nor any be there twice. */
static void test_every_family_once_and_together(void **state)
{
    struct server servers[] = {fixture_server("c", "a", "a:1"), fixture_server("c", "b", "b:1")};
    struct fleet *fleet = fleet_new();
    struct buf body;
    const char *line;
    char name[128] = "";

    (void)state;
    assert_true(fixture_watch(fleet, fixture_set(servers, 2, REQUIRE_ALL)));
    body = scrape(fleet, METRICS_TEXT);
    for (line = buf_text(&body); *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, "# TYPE ", 7) == 0) {
            char type[140];

            snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            snprintf(type, sizeof type, "# TYPE %s ", name);
            assert_null(strstr(line + 1, type));
        } else if (*line != '#') {
            assert_int_equal(strncmp(line, name, strlen(name)), 0);
        }
    }
    buf_deinit(&body);
    fleet_free(fleet);
}

static void test_a_full_buffer_ends_the_scrape(void **state)
{
    struct fleet *fleet = fleet_of(fixture_server("c", "write", "a:1"));

    (void)state;
    assert_a_full_buffer_ends_the_scrape(fleet, METRICS_TEXT);
    fleet_free(fleet);
}

static void test_negotiation(void **state)
{
    static const struct {
        const char *accept;
        enum metrics_format format;
    } rows[] = {
        {NULL, METRICS_TEXT},
        {"", METRICS_TEXT},
        {"*/*", METRICS_TEXT},
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         METRICS_OPENMETRICS},
        {"application/openmetrics-text", METRICS_OPENMETRICS},
        {"Application/OpenMetrics-Text ; Version=\"1.0.0\" ; q=1", METRICS_OPENMETRICS},
        {"application/openmetrics-text;version=0.0.1", METRICS_OPENMETRICS},
        {"application/openmetrics-text;version=2.0.0", METRICS_TEXT},
        {"application/openmetrics-text;q=0", METRICS_TEXT},
        {"application/openmetrics-text;q=0,*/*", METRICS_TEXT},
        {"application/openmetrics-text;q=0.4,text/plain;q=0.5", METRICS_TEXT},
        {"application/openmetrics-text;q=0.5,text/plain;q=0.4", METRICS_OPENMETRICS},
        {"text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.9", METRICS_TEXT},
        {"text/html,*/*;q=0.8,application/openmetrics-text;q=0.7", METRICS_TEXT},
        {"application/openmetrics-text;q=0.5,text/*;q=0.9", METRICS_TEXT},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
         "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5",
         METRICS_OPENMETRICS},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
         "encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,"
         "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
         "*/*;q=0.1",
         METRICS_PROTOBUF},
        {"application/openmetrics-text;version=1.0.0;q=0.6,application/vnd.google.protobuf;"
         "proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,*/*;q=0.1",
         METRICS_OPENMETRICS},
        {"application/openmetrics-text, application/vnd.google.protobuf ; encoding = \"delimited\""
         " ; proto=io.prometheus.client.MetricFamily",
         METRICS_PROTOBUF},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
         METRICS_TEXT},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", METRICS_TEXT},
        {"application/vnd.google.protobuf;proto=other;encoding=delimited", METRICS_TEXT},
        {"application/vnd.google.protobuf", METRICS_TEXT},
        {"application/*", METRICS_TEXT},
        {"application/openmetrics-text;q=nonsense", METRICS_TEXT},
        {",;=,;;q=,\"", METRICS_TEXT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (metrics_negotiate(rows[i].accept) != rows[i].format)
            fail_msg("%s", rows[i].accept);
    }
}

/* The names in the tree are the names in the code: both are API. What other rooms print follows. */
static void assert_file_begins(const char *path, void (*print)(struct buf *to))
{
    struct buf page = BUF_INIT(BODY_MAX), stored = BUF_INIT(BODY_MAX);
    char piece[4096];
    size_t n;
    FILE *file = fopen(path, "r");

    if (!file)
        fail_msg("%s is missing", path);
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        buf_add(&stored, piece, n);
    fclose(file);
    print(&page);
    if (strncmp(buf_text(&page), buf_text(&stored), page.len) != 0)
        fail_msg("%s is not what the code prints; print it again with pgtls_docs", path);
    buf_deinit(&page);
    buf_deinit(&stored);
}

static void test_printed_contract_is_in_the_tree(void **state)
{
    (void)state;
    assert_file_begins(PGTLS_SOURCE_DIR "/docs/metrics.md", metrics_print_reference);
    assert_file_begins(PGTLS_SOURCE_DIR "/docs/api-names.txt", expose_print_names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self),
        cmocka_unit_test(test_counters_are_born_at_0_and_gauges_are_not),
        cmocka_unit_test(test_a_good_server),
        cmocka_unit_test(test_why_it_is_down),
        cmocka_unit_test(test_what_configuration_rules_out_does_not_appear),
        cmocka_unit_test(test_openmetrics),
        cmocka_unit_test(test_roles_lag_and_promises),
        cmocka_unit_test(test_at_most_160_series_per_server),
        cmocka_unit_test(test_folded_buckets_lose_nothing),
        cmocka_unit_test(test_hostile_label_values),
        cmocka_unit_test(test_every_family_once_and_together),
        cmocka_unit_test(test_a_full_buffer_ends_the_scrape),
        cmocka_unit_test(test_negotiation),
        cmocka_unit_test(test_printed_contract_is_in_the_tree),
    };

    self_init(&self);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
