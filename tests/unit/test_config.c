/* config/: what is in force after inheritance, and the messages people get. Paths given to the
 * loader begin with the source directory; messages are compared without it. */
#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config_messages messages;

static struct endpoint_set *load(const char *text)
{
    config_messages_deinit(&messages);
    return config_load_text("t.yml", text, strlen(text), &messages);
}

/* Loads what must load; NULL arena strings in the messages would be a bug of their own. */
static struct endpoint_set *load_good(const char *text)
{
    struct endpoint_set *set = load(text);

    for (size_t i = 0; i < messages.n && !set; i++)
        print_error("%s\n", messages.items[i].text);
    assert_non_null(set);
    return set;
}

/* A server of one cluster "c" with one endpoint from the keys given. */
static struct endpoint_set *load_keys(const char *keys)
{
    char text[1024];

    snprintf(text, sizeof text, "clusters: [{name: c, %s}]", keys);
    return load_good(text);
}

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
    assert_int_equal(set->settings.max_in_flight, 1024);
    assert_int_equal(messages.n, 0);
    endpoint_set_unref(set);
}

static const char inherited[] =
    "defaults: {interval: 10s, timeout: 1s, user: all, labels: {env: prod, tier: x}}\n"
    "limits: {in_flight: 7, in_flight_per_address: 2, connections_per_second: 3}\n"
    "histogram_buckets: [0.1, 1, 2.5e0]\n"
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
    assert_true(set->settings.buckets[2] == 2.5);
    endpoint_set_unref(set);
}

/* Which sslmode is in force, and what it is judged with. */
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
        {"dsn: host=h sslrootcert=/ca", SSLMODE_PREFER, "/ca", true, false, false},
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

/* One mistake each; the first message is compared. */
static const struct {
    const char *text, *message;
} mistakes[] = {
    {"", "t.yml:1:1: configuration: nothing where a mapping is needed; it begins with a key, such "
         "as \"clusters:\""},
    {"a", "t.yml:1:1: configuration: a single value where a mapping is needed; it begins with a "
          "key, such as \"clusters:\""},
    {"defaults: {}", "t.yml:1:1: no clusters: there is nothing to watch; give \"clusters\""},
    {"clusters: []", "t.yml:1:11: clusters: empty; there is nothing to watch"},
    {"clusters: {a: {host: h}}",
     "t.yml:1:11: clusters: a mapping where a list is needed; begin each cluster with \"- name:\""},
    {"clusters:", "t.yml:1:1: clusters: no value; leave the key out or give one"},
    {"cluster: []", "t.yml:1:1: unknown key \"cluster\"; did you mean \"clusters\"?"},
    {"interval: 3s", "t.yml:1:1: \"interval\" does not belong into the top of the file; it belongs "
                     "into defaults, a cluster or an endpoint"},
    {"clusters: [{host: h}]", "t.yml:1:12: this cluster has no name; give \"name\""},
    {"clusters: [{name: '', host: h}]", "t.yml:1:19: name: empty; leave it out or give a value"},
    {"clusters: [{name: \"a\\x07\", host: h}]", "t.yml:1:19: name: a control character at byte 2"},
    {"clusters: [{name: a, host: h}, {name: a, host: h}]",
     "t.yml:1:39: name: a cluster of this name is already on line 1"},
    {"clusters: [{name: a, endpoints: {}}]",
     "t.yml:1:33: endpoints: empty; without the key the cluster itself is one endpoint"},
    {"clusters: [{name: a, endpoints: {'': {host: h}}}]",
     "t.yml:1:34: the name of an endpoint is 1 to 63 bytes long"},
    {"clusters: [{name: a, endpoints: {e: {}}}]",
     "t.yml:1:34: endpoint \"e\" of cluster \"a\" has no host; give \"host\" or \"dsn\" (for a "
     "Unix "
     "socket its directory: libpq's default one is not assumed)"},
    {"clusters: [{name: a, endpoints: {e: {host: h}, e: {host: i}}}]",
     "t.yml:1:48: \"e\" stands here a second time; first on line 1"},
    {"clusters: [{name: a, host: 'h:1'}]",
     "t.yml:1:28: host: \":\" does not belong into a name; the port is given as \"port\""},
    {"clusters: [{name: a, host: 'postgres://u:hunter2@h/d'}]",
     "t.yml:1:28: host: this looks like a connection string; give it as \"dsn\""},
    {"clusters: [{name: a, host: 'h,'}]",
     "t.yml:1:28: host: a host is empty; libpq would take its default Unix socket there, here the "
     "socket's directory must be named"},
    {"clusters: [{name: a, host: '[::1]'}]",
     "t.yml:1:28: host: an IPv6 address is written without brackets here"},
    {"clusters: [{name: a, host: 'h,h'}]", "t.yml:1:28: host: \"h:5432\" is there twice"},
    {"clusters: [{name: a, host: 'h,i', port: '1,2,3'}]",
     "t.yml:1:41: port: 3 ports for 2 hosts; give one for all or one for each"},
    {"clusters: [{name: a, host: 'h,i', hostaddr: '::1'}]",
     "t.yml:1:45: hostaddr: 1 addresses for 2 hosts; as many are needed"},
    {"clusters: [{name: a, host: h, hostaddr: i}]",
     "t.yml:1:41: hostaddr: not a numeric address; names belong under \"host\""},
    {"clusters: [{name: a, hostaddr: '::1'}]",
     "t.yml:1:32: hostaddr: sslmode verify-full compares the certificate with a name; give host, "
     "too"},
    {"clusters: [{name: a, host: h, port: 65536}]",
     "t.yml:1:37: port: \"65536\" is not a number between 1 and 65535"},
    {"clusters: [{name: a, host: h, port: 0}]",
     "t.yml:1:37: port: \"0\" is not a number between 1 and 65535"},
    {"clusters: [{name: a, host: h, interval: 30}]",
     "t.yml:1:41: interval: 30 has no unit; write 30s for seconds, 30ms for milliseconds"},
    {"clusters: [{name: a, host: h, interval: 99ms}]",
     "t.yml:1:41: interval: 99ms is out of bounds; it must be between 100ms and 1h"},
    {"clusters: [{name: a, host: h, interval: soon}]",
     "t.yml:1:41: interval: \"soon\" is not a duration; write for example 500ms, 30s or 1m30s"},
    {"clusters: [{name: a, host: h, interval: [1s]}]",
     "t.yml:1:41: interval: a list where a single value is needed"},
    {"clusters: [{name: a, host: h, sslsni: yes}]",
     "t.yml:1:39: sslsni: \"yes\" is neither true nor false"},
    {"clusters: [{name: a, host: h, sslmode: verify_full}]",
     "t.yml:1:40: sslmode: \"verify_full\" is not one of disable, allow, prefer, require, "
     "verify-ca "
     "or verify-full; did you mean \"verify-full\"?"},
    {"clusters: [{name: a, host: h, sslmode: verify-ca}]",
     "t.yml:1:40: sslmode: verify-ca needs sslrootcert: the file of the certificates to trust "
     "(~/.postgresql/root.crt is not read)"},
    {"clusters: [{name: a, host: h, sslmode: verify-ca, sslrootcert: system}]",
     "t.yml:1:64: sslrootcert: system may not be used with sslmode verify-ca, which would accept "
     "any public certificate; use verify-full, or name a file"},
    {"clusters: [{name: a, host: h, sslmode: prefer, negotiation: direct}]",
     "t.yml:1:61: negotiation: direct needs sslmode require, verify-ca or verify-full; prefer is "
     "in force"},
    {"clusters: [{name: a, host: h, sslcert: /c}]",
     "t.yml:1:40: sslcert: needs its private key; give sslkey beside it"},
    {"clusters: [{name: a, host: h, sslkey: ~/k}]",
     "t.yml:1:39: sslkey: \"~\" is not expanded; write the path out"},
    {"clusters: [{name: a, host: h, ssl_min_protocol_version: TLSv1.3, ssl_max_protocol_version: "
     "TLSv1.2}]",
     "t.yml:1:57: ssl_min_protocol_version: TLSv1.3 is newer than ssl_max_protocol_version "
     "TLSv1.2"},
    {"clusters: [{name: a, host: h, password_file: /p, password_env: P}]",
     "t.yml:1:64: password_env: \"password_file\" on line 1 says it, too; give one of them"},
    {"clusters: [{name: a, host: h, password_env: $P}]",
     "t.yml:1:45: password_env: not the name of an environment variable; write it without \"$\""},
    {"clusters: [{name: a, dsn: 'host=h port=1', port: 1}]",
     "t.yml:1:50: port: the connection string on line 1 says it, too; give it in one place"},
    {"clusters: [{name: a, dsn: 'service=x'}]",
     "t.yml:1:27: dsn: service: service files are not read; write out what the service stands "
     "for"},
    {"clusters: [{name: a, dsn: 'host=h port=hunter2'}]",
     "t.yml:1:27: dsn: port: not a number between 1 and 65535; in a password \"/\", \":\", \"@\" "
     "and "
     "\"?\" are written %2F, %3A, %40 and %3F"},
    {"clusters: [{name: a, dsn: 'host=h sslmode=hunter2'}]",
     "t.yml:1:27: dsn: sslmode: \"…\" is not one of disable, allow, prefer, require, verify-ca or "
     "verify-full"},
    {"clusters: [{name: a, host: h, sslnegotiation: direct}]",
     "t.yml:1:31: unknown key \"sslnegotiation\"; did you mean \"negotiation\"?"},
    {"clusters: [{name: a, host: h, <<: {}}]", "t.yml:1:31: merge keys (\"<<\") are not read; what "
                                               "several share belongs under \"defaults\" or "
                                               "into their cluster"},
    {"clusters: [{name: a, host: h, labels: {server: x}}]",
     "t.yml:1:40: labels: \"server\" is a label of the exporter's own; choose another name"},
    {"clusters: [{name: a, host: h, labels: {__a: x}}]",
     "t.yml:1:40: labels: \"__a\": names that begin with \"__\" are Prometheus's own"},
    {"clusters: [{name: a, host: h, labels: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: "
     "1, j: 1, k: 1}}]",
     "t.yml:1:39: labels: 11 labels; at most 10 are allowed"},
    {"defaults: {labels: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1}}\n"
     "clusters: [{name: a, host: h, labels: {g: 1, h: 1, i: 1, j: 1, k: 1}}]",
     "t.yml:2:39: labels: 11 with those of the outer levels; at most 10 are allowed"},
    {"clusters: [{name: a, host: h, allow_auth: md5}]",
     "t.yml:1:43: allow_auth: a list is needed; write it in brackets: [password]"},
    {"clusters: [{name: a, host: h, login: {interval: 0}}]",
     "t.yml:1:49: interval: 0 is out of bounds; it must be between 1s and 1d"},
    {"clusters: [{name: a, host: h}]\nlimits: {in_flight: 0}",
     "t.yml:2:21: in_flight: \"0\" is not a whole number between 1 and 100000"},
    {"clusters: [{name: a, host: h}]\nhistogram_buckets: [1, 1]",
     "t.yml:2:24: histogram_buckets: bounds must ascend; 1 comes after 1"},
    {"clusters: [{name: a, host: h}]\nhistogram_buckets: [0]",
     "t.yml:2:21: histogram_buckets: a bound is a number of seconds above 0, at most 3600"},
    {"clusters: [{name: a, host: h}]\nhistogram_buckets: []",
     "t.yml:2:20: histogram_buckets: 0 bounds; 1 to 32 are allowed"},
    {"clusters: \"x", "t.yml:1:12: not YAML: double-quoted scalar without closing quote"},
    {"clusters: \"\xff\"", "t.yml:1:12: byte 0xff is not UTF-8; the file must be UTF-8 text"},
    {"clusters: []\n---\nclusters: []", "t.yml:2:1: a second document; one file holds one"},
    {"clusters: *c", "t.yml:1:12: no anchor (&name) of this name before this alias"},
    {"clusters: &c [*c]", "t.yml:1:16: an alias inside what it stands for"},
    {"clusters: !!seq []",
     "t.yml:1:11: tags (words that begin with \"!\") are not read; leave it out"},
    {"? [a]\n: b", "t.yml:1:3: a key must be a single value"},
};

static void test_every_mistake_has_its_message(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const char *got;

        assert_null(load(mistakes[i].text));
        got = messages.n > 0 ? messages.items[0].text : "nothing";
        if (strcmp(got, mistakes[i].message) != 0) {
            print_error("%s\n  expected %s\n  got      %s\n", mistakes[i].text, mistakes[i].message,
                        got);
            wrong++;
        }
        for (size_t j = 0; j < messages.n; j++)
            assert_null(strstr(messages.items[j].text, "hunter2"));
    }
    assert_int_equal(wrong, 0);
}

static void test_warnings(void **state)
{
    static const struct {
        const char *keys, *message;
    } rows[] = {
        {"host: h, user: u, password: hunter2",
         "t.yml:1:50: password: a secret stands in the file itself; keep it in a file or the "
         "environment: password_file, password_env"},
        {"dsn: 'postgres://u:hunter2@h'",
         "t.yml:1:27: dsn: password: a secret stands in the file itself; keep it in a file or the "
         "environment: password_file, password_env"},
        {"dsn: 'host=h connect_timeout=3'",
         "t.yml:1:27: dsn: connect_timeout: ignored; \"timeout\" bounds a probe"},
        {"dsn: 'host=h target_session_attrs=read-write'",
         "t.yml:1:27: dsn: target_session_attrs: ignored; every host is probed, whatever its role; "
         "\"require\" decides the endpoint"},
        {"dsn: 'host=h target_session_attrs=any gssencmode=disable'", NULL},
        {"host: h, interval: 1s",
         "t.yml:1:41: timeout: 5s is longer than the interval of 1s; a slow server will be probed "
         "less often than asked"},
        {"dsn: 'host=h user=u password=hunter2 passfile=/x'",
         "t.yml:1:27: dsn: password: a secret stands in the file itself; keep it in a file or the "
         "environment: password_file, password_env"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct endpoint_set *set = load_keys(rows[i].keys);

        assert_int_equal(messages.warnings, rows[i].message ? 1 : 0);
        if (rows[i].message)
            assert_string_equal(messages.items[0].text, rows[i].message);
        endpoint_set_unref(set);
    }
}

/* What many endpoints inherit is wrong once. */
static void test_inherited_mistake_is_said_once(void **state)
{
    (void)state;
    assert_null(load("defaults: {sslmode: verify-ca}\n"
                     "clusters: [{name: a, host: h}, {name: b, host: h}, {name: c, host: h}]"));
    assert_int_equal(messages.errors, 1);
}

static void test_messages_are_bounded_and_counted(void **state)
{
    struct buf text = BUF_INIT(65536);

    (void)state;
    for (size_t i = 0; i < CONFIG_MAX_MESSAGES + 50; i++)
        buf_addf(&text, "x%zu: 1\n", i);
    assert_null(load(buf_text(&text)));
    assert_int_equal(messages.n, CONFIG_MAX_MESSAGES);
    assert_int_equal(messages.errors, CONFIG_MAX_MESSAGES + 51);
    buf_deinit(&text);
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
    assert_string_equal(messages.items[0].text, "DATABASE_URL: dsn: at byte 14: unknown parameter; "
                                                "did you mean \"sslmode\"?");
    config_messages_deinit(&messages);
    assert_null(config_load_dsn("DATABASE_URL", "user=u", &messages));
    assert_int_equal(messages.errors, 1);
}

static char *read_source(const char *path)
{
    char full[4096], *text = calloc(1, 1 << 20);
    FILE *f;

    snprintf(full, sizeof full, "%s/%s", PGTLS_SOURCE_DIR, path);
    f = fopen(full, "r");
    assert_non_null(f);
    text[fread(text, 1, (1 << 20) - 1, f)] = '\0';
    fclose(f);
    return text;
}

static void test_all_errors_of_a_file_at_once(void **state)
{
    const size_t prefix = strlen(PGTLS_SOURCE_DIR "/tests/unit/data/config/");
    struct buf all = BUF_INIT(65536);
    char *expected = read_source("tests/unit/data/config/many-errors.expected");

    (void)state;
    config_messages_deinit(&messages);
    assert_null(
        config_load_file(PGTLS_SOURCE_DIR "/tests/unit/data/config/many-errors.yml", &messages));
    for (size_t i = 0; i < messages.n; i++)
        buf_addf(&all, "%s: %s\n", messages.items[i].severity == CONFIG_ERROR ? "error" : "warning",
                 messages.items[i].text + prefix);
    assert_string_equal(buf_text(&all), expected);
    assert_null(strstr(buf_text(&all), "hunter2"));
    buf_deinit(&all);
    free(expected);
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

/* docs/configuration.md is what the tables print: pgtls_docs configuration > docs/configuration.md
 */
static void test_reference_is_up_to_date(void **state)
{
    struct buf page = BUF_INIT(1 << 20);
    char *shipped = read_source("docs/configuration.md");

    (void)state;
    config_print_reference(&page);
    assert_false(page.failed);
    assert_string_equal(buf_text(&page), shipped);
    buf_deinit(&page);
    free(shipped);
}

/* Quadratic work anywhere would take minutes here: one list of all, and one of each. */
static void test_a_hundred_thousand_servers(void **state)
{
    struct buf text = BUF_INIT(CONFIG_MAX_BYTES);
    struct endpoint_set *set;
    int64_t start = clock_monotonic_ns();

    (void)state;
    buf_add_str(&text, "clusters:\n");
    for (int i = 0; i < 50000; i++)
        buf_addf(&text, "- {name: c%d, host: db%d.example.com, user: monitor}\n", i, i);
    buf_add_str(&text, "- name: wide\n  user: monitor\n  endpoints:\n");
    for (int i = 0; i < 50000; i++)
        buf_addf(&text, "    e%d: {dsn: 'postgres://e%d.example.com/db'}\n", i, i);
    set = load_good(buf_text(&text));
    assert_int_equal(set->n_servers, CONFIG_MAX_SERVERS);
    endpoint_set_unref(set);
    print_message("%.1f s\n", ns_to_seconds(clock_monotonic_ns() - start));
    buf_add_str(&text, "    one-more: {host: h}\n");
    assert_null(load(buf_text(&text)));
    assert_non_null(strstr(messages.items[0].text, "more than 100000 servers in all"));
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

static int forget_messages(void **state)
{
    (void)state;
    config_messages_deinit(&messages);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_inner_levels_win),
        cmocka_unit_test(test_sslmode_in_force),
        cmocka_unit_test(test_names_of_servers),
        cmocka_unit_test(test_every_mistake_has_its_message),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_inherited_mistake_is_said_once),
        cmocka_unit_test(test_messages_are_bounded_and_counted),
        cmocka_unit_test(test_aliases_share_and_do_not_explode),
        cmocka_unit_test(test_connection_string_alone),
        cmocka_unit_test(test_all_errors_of_a_file_at_once),
        cmocka_unit_test(test_file_that_cannot_be_read),
        cmocka_unit_test(test_example_is_good),
        cmocka_unit_test(test_reference_is_up_to_date),
        cmocka_unit_test(test_a_hundred_thousand_servers),
        cmocka_unit_test(test_set_is_shared_by_reference),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, forget_messages);
}
