/* config/: what is in force after inheritance, whole files, sizes, and how a set is shared. */
#include "config_world.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"

#include "slower.h"

#include <stdlib.h>

static void test_defaults(void **state)
{
    struct endpoint_set *set = load_keys("host: h");
    const struct server *s = set->servers;

    (void)state;
    assert_int_equal(set->n_servers, 1);
    assert_int_equal(set->n_endpoints, 1);
    assert_string_equal(s->cluster, "c");
    assert_string_equal(s->endpoint, "default");
    assert_string_equal(s->name, "h:5432");
    assert_string_equal(s->host, "h");
    assert_null(s->hostaddr);
    assert_int_equal(s->sslmode, SSLMODE_VERIFY_FULL);
    assert_string_equal(s->sslrootcert, "system");
    assert_int_equal(s->negotiation, NEGOTIATION_POSTGRES);
    assert_true(s->sslsni);
    assert_null(s->user);
    assert_null(s->dbname);
    assert_false(s->login);
    assert_string_equal(s->application_name, "pgtls_exporter");
    assert_int_equal(s->channel_binding, CHANNEL_BINDING_PREFER);
    assert_int_equal(s->allow_auth, 0);
    assert_int_equal(s->interval_ns, 30 * NS_PER_S);
    assert_int_equal(s->timeout_ns, 5 * NS_PER_S);
    assert_int_equal(s->login_interval_ns, 60 * NS_PER_S);
    assert_true(s->key_hash == server_key_hash("c", "default", "h:5432"));
    assert_int_equal(set->endpoints[0].require, REQUIRE_ANY);
    assert_int_equal(set->settings.n_buckets, 8);
    assert_int_equal(set->settings.histograms, HISTOGRAMS_CLASSIC);
    assert_int_equal(set->settings.max_in_flight, 1024);
    assert_int_equal(set->settings.max_in_flight_per_address, 100);
    assert_int_equal(set->settings.max_connections_per_second, 0);
    assert_int_equal(messages.n, 0);
    endpoint_set_unref(set);
}

static const char inherited[] =
    "defaults: {interval: 10s, timeout: 1s, user: all, labels: {env: prod, tier: x}}\n"
    "limits: {in_flight: 7, in_flight_per_address: 2, connections_per_second: 3}\n"
    "histogram_buckets: [0.1, 1, 2.5e0]\n"
    "histograms: native\n"
    "clusters:\n"
    "  - name: one\n"
    "    port: 6000\n"
    "    user: mine\n"
    "    password_file: secrets/pw\n"
    "    labels: {team: a}\n"
    "    login: {interval: 2m}\n"
    "    endpoints:\n"
    "      write: {host: w, labels: {env: dev}, password_env: PW}\n"
    "      read: {host: 'r1,::1', port: '7000,', login: false, require: all}\n"
    "  - name: two\n"
    "    dsn: postgres://app@s1:1,s2:2/db?sslmode=require\n"
    "    interval: 1m30s\n"
    "    allow_auth: [md5, password]\n"
    "    passfile: /etc/passfile\n";

static void test_inner_levels_win(void **state)
{
    struct endpoint_set *set;
    const struct server *s;

    (void)state;
    config_messages_deinit(&messages);
    set = config_load_text("dir/t.yml", inherited, sizeof inherited - 1, &messages);
    assert_non_null(set);
    assert_int_equal(messages.n, 0);
    assert_int_equal(set->n_endpoints, 3);
    assert_int_equal(set->n_servers, 5);

    s = &set->servers[0];
    assert_string_equal(s->name, "w:6000");
    assert_string_equal(s->user, "mine");
    assert_string_equal(s->dbname, "mine");
    assert_int_equal(s->password.source, SECRET_ENVIRONMENT);
    assert_string_equal(s->password.value, "PW");
    assert_int_equal(s->interval_ns, 10 * NS_PER_S);
    assert_true(s->login);
    assert_int_equal(s->login_interval_ns, 120 * NS_PER_S);
    assert_int_equal(s->n_labels, 3);
    assert_string_equal(s->labels[0].name, "env");
    assert_string_equal(s->labels[0].value, "dev");
    assert_string_equal(s->labels[2].name, "team");

    s = &set->servers[1];
    assert_string_equal(s[0].name, "r1:7000");
    assert_string_equal(s[1].name, "[::1]:5432");
    assert_false(s[0].login);
    assert_int_equal(s[0].password.source, SECRET_FILE);
    assert_string_equal(s[0].password.value, "dir/secrets/pw");
    assert_int_equal(s[1].endpoint_index, 1);
    assert_int_equal(set->endpoints[1].require, REQUIRE_ALL);
    assert_int_equal(set->endpoints[1].first_server, 1);
    assert_int_equal(set->endpoints[1].n_servers, 2);

    s = &set->servers[3];
    assert_string_equal(s[0].name, "s1:1");
    assert_string_equal(s[1].name, "s2:2");
    assert_int_equal(s->sslmode, SSLMODE_REQUIRE);
    assert_null(s->sslrootcert);
    assert_int_equal(s->allow_auth, ALLOW_AUTH_MD5 | ALLOW_AUTH_PASSWORD);
    assert_int_equal(s->password.source, SECRET_PASSFILE);
    assert_int_equal(s->interval_ns, 90 * NS_PER_S);

    assert_int_equal(set->settings.max_in_flight, 7);
    assert_int_equal(set->settings.max_in_flight_per_address, 2);
    assert_int_equal(set->settings.max_connections_per_second, 3);
    assert_int_equal(set->settings.n_buckets, 3);
    assert_int_equal(set->settings.histograms, HISTOGRAMS_NATIVE);
    assert_true(set->settings.buckets[2] == 2.5);
    endpoint_set_unref(set);
}

/* Which sslmode is in force, and what it is judged with. */
#define HEX    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define BASE64 "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8"

static void test_pins_in_every_form(void **state)
{
    static const char *const forms[] = {
        HEX,
        "'" HEX "'",
        "[" HEX "]",
        "'00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF'",
        "'00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
        "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff'",
        "['" BASE64 "=']",
        "'" BASE64 "'",
        "'sha256//" BASE64 "='",
        "'SHA256:" BASE64 "'",
        "['sha256:" HEX "']",
    };

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char keys[256];
        struct endpoint_set *set;

        snprintf(keys, sizeof keys, "host: h, pin_sha256: %s", forms[i]);
        set = load_keys(keys);
        assert_int_equal(set->servers->n_pins, 1);
        assert_string_equal(set->servers->pins[0].hex, HEX);
        endpoint_set_unref(set);
    }
}

static void test_side_attempts_only_where_asked_for(void **state)
{
    static const struct {
        const char *defaults, *own;
        int64_t hours;
    } rows[] = {
        {"", "", 0},
        {"", "policy: true, ", 24},
        {"", "policy: {}, ", 24},
        {"", "policy: {interval: 1h}, ", 1},
        {"policy: {interval: 2h}", "", 2},
        {"policy: {interval: 2h}", "policy: false, ", 0},
        {"policy: {interval: 2h}", "policy: true, ", 2},
        {"policy: {interval: 2h}", "policy: {interval: 3h}, ", 3},
        {"policy: false", "policy: {interval: 3h}, ", 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct endpoint_set *set;
        char text[256];

        snprintf(text, sizeof text, "defaults: {%s}\nclusters: [{name: c, %shost: h}]",
                 rows[i].defaults, rows[i].own);
        set = load_good(text);
        assert_int_equal(set->servers[0].policy_interval_ns, rows[i].hours * 3600 * NS_PER_S);
        endpoint_set_unref(set);
    }
}

static void test_promises_are_inherited_one_by_one(void **state)
{
    struct endpoint_set *set =
        load_good("defaults: {promise: {pooled: true, max_lag: 30s}, user: u}\n"
                  "clusters:\n"
                  "  - name: c\n"
                  "    promise: {max_lag: 10s, addresses: [192.0.2.1, '2001:db8::/32']}\n"
                  "    endpoints:\n"
                  "      write: {host: h, promise: {read_only: false}}\n"
                  "      read: {host: h, promise: {read_only: true, addresses: 198.51.100.0/24}}\n"
                  "      admin: {host: h, promise: {pooled: false}}\n"
                  "      dsn: {dsn: 'host=h user=u target_session_attrs=primary'}\n"
                  "      any: {dsn: 'host=h user=u target_session_attrs=prefer-standby'}\n");
    const struct promises *p[5];

    (void)state;
    assert_int_equal(messages.n, 0);
    for (size_t i = 0; i < 5; i++) {
        p[i] = &set->servers[i].promises;
        assert_int_equal(p[i]->pooled, i == 2 ? VERDICT_NO : VERDICT_YES);
        assert_int_equal(p[i]->max_lag_ns, 10 * NS_PER_S);
        assert_int_equal(p[i]->n_addresses, i == 1 ? 1 : 2);
    }
    assert_int_equal(p[0]->role, ROLE_READ_WRITE);
    assert_int_equal(p[1]->role, ROLE_READ_ONLY);
    assert_int_equal(p[2]->role, ROLE_ANY);
    assert_int_equal(p[3]->role, ROLE_PRIMARY);
    assert_int_equal(p[4]->role, ROLE_ANY);
    assert_int_equal(p[1]->addresses[0].bits, 96 + 24);
    assert_int_equal(p[0]->addresses[0].bits, 128);
    assert_int_equal(p[0]->addresses[1].bits, 32);
    endpoint_set_unref(set);
}

static void test_certificates_that_are_promised(void **state)
{
    struct endpoint_set *set = load_good(
        "defaults: {certificate_file: /etc/default.crt}\n"
        "clusters:\n"
        "  - name: c\n"
        "    promise: {same_certificate: cluster}\n"
        "    endpoints:\n"
        "      a: {host: h}\n"
        "      b: {host: h, certificate_file: b.crt, promise: {same_certificate: true}}\n"
        "      c: {host: h, promise: {same_certificate: endpoint, pooled: true}, user: u}\n"
        "      d: {host: h, promise: {same_certificate: false}}\n");
    static const enum same_certificate same[] = {SAME_CLUSTER, SAME_ENDPOINT, SAME_ENDPOINT,
                                                 SAME_NOBODY};

    (void)state;
    assert_int_equal(messages.n, 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(set->servers[i].promises.same_certificate, same[i]);
        assert_string_equal(set->servers[i].promises.certificate_file,
                            i == 1 ? "b.crt" : "/etc/default.crt");
    }
    endpoint_set_unref(set);
}

static void test_sslmode_in_force(void **state)
{
    static const struct {
        const char *keys;
        enum sslmode mode;
        const char *root;
        bool tls, chain, hostname;
    } rows[] = {
        {"host: h", SSLMODE_VERIFY_FULL, "system", true, true, true},
        {"dsn: host=h", SSLMODE_PREFER, NULL, true, false, false},
        {"dsn: host=h sslrootcert=system", SSLMODE_VERIFY_FULL, "system", true, true, true},
        {"dsn: host=h sslrootcert=/ca", SSLMODE_PREFER, "/ca", true, true, false},
        {"dsn: host=h sslmode=verify-full", SSLMODE_VERIFY_FULL, "system", true, true, true},
        {"dsn: user=u, host: h", SSLMODE_VERIFY_FULL, "system", true, true, true},
        {"dsn: host=h, sslmode: verify-full", SSLMODE_VERIFY_FULL, "system", true, true, true},
        {"dsn: 'postgres://h?ssl=true'", SSLMODE_REQUIRE, NULL, true, false, false},
        {"host: h, sslmode: require, sslrootcert: /ca", SSLMODE_REQUIRE, "/ca", true, true, false},
        {"host: h, sslmode: require, sslrootcert: system", SSLMODE_REQUIRE, NULL, true, false,
         false},
        {"host: h, sslmode: verify-ca, sslrootcert: /ca", SSLMODE_VERIFY_CA, "/ca", true, true,
         false},
        {"host: h, sslmode: allow", SSLMODE_ALLOW, NULL, true, false, false},
        {"host: h, sslmode: disable", SSLMODE_DISABLE, NULL, false, false, false},
        {"host: /run/pg", SSLMODE_VERIFY_FULL, "system", false, false, false},
        {"host: /run/pg, sslmode: verify-ca", SSLMODE_VERIFY_CA, NULL, false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct endpoint_set *set = load_keys(rows[i].keys);
        const struct server *s = set->servers;

        assert_string_equal(sslmode_name(s->sslmode), sslmode_name(rows[i].mode));
        if (rows[i].root)
            assert_string_equal(s->sslrootcert, rows[i].root);
        else
            assert_null(s->sslrootcert);
        assert_int_equal(server_uses_tls(s), rows[i].tls);
        assert_int_equal(server_demands_chain(s), rows[i].chain);
        assert_int_equal(server_demands_hostname(s), rows[i].hostname);
        endpoint_set_unref(set);
    }
}

static void test_names_of_servers(void **state)
{
    static const struct {
        const char *keys, *names;
    } rows[] = {
        {"host: a", "a:5432"},
        {"host: 'a,b', port: 1", "a:1 b:1"},
        {"host: 'a,b', port: '1,2'", "a:1 b:2"},
        {"host: 'a,a', port: '1,2'", "a:1 a:2"},
        {"host: '::1'", "[::1]:5432"},
        {"host: fe80::1%eth0", "[fe80::1%eth0]:5432"},
        {"host: /run/pg, port: 1", "/run/pg/.s.PGSQL.1"},
        {"dsn: 'postgres://[::1]:5,h/'", "[::1]:5 h:5432"},
        {"dsn: 'postgres://%2Frun%2Fpg/db'", "/run/pg/.s.PGSQL.5432"},
        {"hostaddr: '1.2.3.4', sslmode: require", "1.2.3.4:5432"},
        {"host: n, hostaddr: '::1'", "n:5432"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct endpoint_set *set = load_keys(rows[i].keys);
        struct buf names = BUF_INIT(256);

        for (size_t j = 0; j < set->n_servers; j++)
            buf_addf(&names, "%s%s", j ? " " : "", set->servers[j].name);
        assert_string_equal(buf_text(&names), rows[i].names);
        buf_deinit(&names);
        endpoint_set_unref(set);
    }
}

static void test_aliases_share_and_do_not_explode(void **state)
{
    struct endpoint_set *set = load_good("clusters:\n"
                                         "  - {name: a, host: h, labels: &l {x: y}}\n"
                                         "  - {name: b, host: h, labels: *l}\n");
    struct buf bomb = BUF_INIT(65536);

    (void)state;
    assert_string_equal(set->servers[1].labels[0].value, "y");
    endpoint_set_unref(set);

    buf_add_str(&bomb, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 30; i++) {
        buf_addf(&bomb, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            buf_addf(&bomb, "%s*a%d", j ? ", " : "", i - 1);
        buf_add_str(&bomb, "]\n");
    }
    assert_null(load(buf_text(&bomb)));
    assert_non_null(strstr(messages.items[0].text, "too much: with its aliases expanded"));
    buf_reset(&bomb);
    for (int i = 0; i < 5000; i++)
        buf_add_char(&bomb, '[');
    assert_null(load(buf_text(&bomb)));
    assert_non_null(strstr(messages.items[0].text, "too deeply nested"));
    buf_deinit(&bomb);
}

static void test_connection_string_alone(void **state)
{
    struct endpoint_set *set;

    (void)state;
    config_messages_deinit(&messages);
    set = config_load_dsn("DATABASE_URL", "postgres://u:hunter2@h1,h2:5/db", &messages);
    assert_non_null(set);
    assert_int_equal(messages.n, 0);
    assert_int_equal(set->n_servers, 2);
    assert_string_equal(set->servers[1].name, "h2:5");
    assert_string_equal(set->servers[1].cluster, "default");
    assert_int_equal(set->servers[0].password.source, SECRET_INLINE);
    assert_int_equal(set->servers[0].interval_ns, 30 * NS_PER_S);
    assert_true(set->servers[0].login);
    endpoint_set_unref(set);
    assert_null(config_load_dsn("DATABASE_URL", "postgres://h?sslmod=x", &messages));
    assert_string_equal(messages.items[0].text,
                        "DATABASE_URL: dsn: at byte 14: unknown parameter \"sslmod\"; "
                        "did you mean \"sslmode\"?");
    config_messages_deinit(&messages);
    assert_null(config_load_dsn("DATABASE_URL", "user=u", &messages));
    assert_int_equal(messages.errors, 1);
}

static void test_file_that_cannot_be_read(void **state)
{
    (void)state;
    config_messages_deinit(&messages);
    assert_null(config_load_file("/nonexistent/pgtls.yml", &messages));
    assert_string_equal(messages.items[0].text,
                        "/nonexistent/pgtls.yml: cannot be read: No such file or directory");
    config_messages_deinit(&messages);
    assert_null(config_load_file("/", &messages));
    config_messages_deinit(&messages);
    assert_null(config_load_file("/dev/zero", &messages));
    assert_string_equal(messages.items[0].text, "/dev/zero: larger than 16 MiB");
}

static void test_example_is_good(void **state)
{
    struct endpoint_set *set;

    (void)state;
    config_messages_deinit(&messages);
    set = config_load_file(PGTLS_SOURCE_DIR "/docs/examples/pgtls.yml", &messages);
    assert_non_null(set);
    assert_int_equal(messages.n, 0);
    assert_int_equal(set->n_endpoints, 6);
    assert_int_equal(set->n_servers, 8);
    endpoint_set_unref(set);
}

/* A page of docs/ is what the tables print: pgtls_docs <page> > docs/<page>.md */
static void check_page(const char *path, void (*print)(struct buf *to))
{
    struct buf page = BUF_INIT(1 << 20);
    char *shipped = read_source(path);

    print(&page);
    assert_false(page.failed);
    assert_string_equal(buf_text(&page), shipped);
    buf_deinit(&page);
    free(shipped);
}

/* Every key is API, as are the places where it stands and its words: docs/api-names.txt ends so. */
static void check_names(void)
{
    struct buf names = BUF_INIT(1 << 20);
    char *shipped = read_source("docs/api-names.txt");
    const char *ours = strstr(shipped, "\nconfig ");

    config_print_names(&names);
    assert_non_null(ours);
    assert_string_equal(buf_text(&names), ours + 1);
    buf_deinit(&names);
    free(shipped);
}

static void test_reference_is_up_to_date(void **state)
{
    (void)state;
    check_names();
    check_page("docs/configuration.md", config_print_reference);
    check_page("docs/connection-strings.md", config_print_connection_strings);
}

/* Quadratic work anywhere would take minutes here: one list of all, and one of each. */
static void test_a_hundred_thousand_servers(void **state)
{
    const int half = CONFIG_MAX_SERVERS / 2 / (int)slower();
    struct buf text = BUF_INIT(CONFIG_MAX_BYTES);
    struct endpoint_set *set;
    int64_t start = clock_monotonic_ns();

    (void)state;
    buf_add_str(&text, "clusters:\n");
    for (int i = 0; i < half; i++)
        buf_addf(&text, "- {name: c%d, host: db%d.example.com, user: monitor}\n", i, i);
    buf_add_str(&text, "- name: wide\n  user: monitor\n  endpoints:\n");
    for (int i = 0; i < half; i++)
        buf_addf(&text, "    e%d: {dsn: 'postgres://e%d.example.com/db'}\n", i, i);
    set = load_good(buf_text(&text));
    assert_int_equal(set->n_servers, 2 * half);
    endpoint_set_unref(set);
    print_message("%.1f s\n", ns_to_seconds(clock_monotonic_ns() - start));
    if (2 * half == CONFIG_MAX_SERVERS) {
        buf_add_str(&text, "    one-more: {host: h}\n");
        assert_null(load(buf_text(&text)));
        assert_non_null(strstr(messages.items[0].text, "more than 100000 servers in all"));
    }
    buf_deinit(&text);
}

static void test_set_is_shared_by_reference(void **state)
{
    struct endpoint_set *a = load_keys("host: h"), *b = load_keys("host: h");

    (void)state;
    assert_ptr_equal(endpoint_set_ref(a), a);
    endpoint_set_unref(a);
    assert_string_equal(a->servers[0].name, "h:5432");
    assert_true(server_same(a->servers, b->servers));
    assert_true(a->generation < b->generation);
    endpoint_set_unref(a);
    endpoint_set_unref(b);
    endpoint_set_unref(NULL);
    assert_true(server_key_hash("ab", "c", "d") != server_key_hash("a", "bc", "d"));
}

static void test_sessions(void **state)
{
    struct endpoint_set *set = load_keys(
        "host: h, user: u, session: [{idle: 60s}, {idle: 5m, name: pool, keepalives_idle: 30s}]");
    const struct server *s = set->servers;

    (void)state;
    assert_int_equal(s->n_sessions, 2);
    assert_string_equal(s->sessions[0].name, "60s");
    assert_int_equal(s->sessions[0].idle_ns, 60 * NS_PER_S);
    assert_int_equal(s->sessions[0].keepalives_idle_ns, 0);
    assert_string_equal(s->sessions[1].name, "pool");
    assert_int_equal(s->sessions[1].idle_ns, 300 * NS_PER_S);
    assert_int_equal(s->sessions[1].keepalives_idle_ns, 30 * NS_PER_S);
    endpoint_set_unref(set);

    set = load_keys("host: h, user: u, session: []");
    assert_int_equal(set->servers->n_sessions, 0);
    endpoint_set_unref(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_inner_levels_win),
        cmocka_unit_test(test_pins_in_every_form),
        cmocka_unit_test(test_side_attempts_only_where_asked_for),
        cmocka_unit_test(test_promises_are_inherited_one_by_one),
        cmocka_unit_test(test_certificates_that_are_promised),
        cmocka_unit_test(test_sslmode_in_force),
        cmocka_unit_test(test_names_of_servers),
        cmocka_unit_test(test_aliases_share_and_do_not_explode),
        cmocka_unit_test(test_connection_string_alone),
        cmocka_unit_test(test_file_that_cannot_be_read),
        cmocka_unit_test(test_example_is_good),
        cmocka_unit_test(test_reference_is_up_to_date),
        cmocka_unit_test(test_a_hundred_thousand_servers),
        cmocka_unit_test(test_set_is_shared_by_reference),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, forget_messages);
}
