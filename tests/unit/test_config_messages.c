/* config/: the messages people get, word for word: they are the product here. */
#include "config_world.h"

#include "pgtls/base/buf.h"
#include "pgtls/config/dsn.h"

#include <stdlib.h>

/* One mistake each; the first message is compared. */
static const struct mistake mistakes[] = {
    {"", "t.yml:1:1: configuration: nothing where a mapping is needed; it begins with a key, such "
         "as \"clusters:\""},
    {"a", "t.yml:1:1: configuration: a single value where a mapping is needed; it begins with a "
          "key, such as \"clusters:\""},
    {"defaults: {}", "t.yml:1:1: no clusters: there is nothing to watch; give \"clusters\", "
                     "\"discovery\" or \"modules\""},
    {"clusters: []", "t.yml:1:11: clusters: empty; there is nothing to watch"},
    {"clusters: {a: {host: h}}",
     "t.yml:1:11: clusters: a mapping where a list is needed; begin each cluster with \"- name:\""},
    {"clusters:", "t.yml:1:1: clusters: no value; leave the key out or give one"},
    {"cluster: []", "t.yml:1:1: unknown key \"cluster\"; did you mean \"clusters\"?"},
    {"interval: 3s", "t.yml:1:1: \"interval\" does not belong into the top of the file; it belongs "
                     "into defaults, a template, a cluster or an endpoint"},
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
    {"clusters: [{name: a, host: h, enabled: 'false'}]",
     "t.yml:1:40: enabled: \"false\" in quotes is text; write it without them"},
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
    {"clusters: [{name: a, host: h, password_fle: /x}]",
     "t.yml:1:31: unknown key \"password_fle\"; did you mean \"password_file\"?"},
    {"clusters: [{name: a, host: h, <<: {}}]", "t.yml:1:31: merge keys (\"<<\") are not read; what "
                                               "several share belongs under \"defaults\", "
                                               "into a template or into their cluster"},
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
    {"clusters: [{name: a, host: h, policy: {interval: 59s}}]",
     "t.yml:1:50: interval: 59s is out of bounds; it must be between 1m and 30d"},
    {"clusters: [{name: a, host: h, policy: {interval: 31d}}]",
     "t.yml:1:50: interval: 31d is out of bounds; it must be between 1m and 30d"},
    {"clusters: [{name: a, host: h, policy: [1h]}]",
     "t.yml:1:39: policy: a list where true, false or a mapping is needed"},
    {"clusters: [{name: a, host: h, policy: 1h}]",
     "t.yml:1:39: policy: \"1h\" is neither true nor false"},
    {"clusters: [{name: a, host: h, promise: true}]",
     "t.yml:1:40: promise: a mapping is needed; write for example {read_only: true}"},
    {"clusters: [{name: a, host: h, promise: {readonly: true}}]",
     "t.yml:1:41: unknown key \"readonly\"; did you mean \"read_only\"?"},
    {"clusters: [{name: a, host: h, promises: {}}]",
     "t.yml:1:31: unknown key \"promises\"; did you mean \"promise\"?"},
    {"clusters: [{name: a, host: h, target_session_attrs: any}]",
     "t.yml:1:31: unknown key \"target_session_attrs\"; did you mean \"promise\"?"},
    {"clusters: [{name: a, host: h, promise: {max_lag: 30}}]",
     "t.yml:1:50: max_lag: 30 has no unit; write 30s for seconds, 30ms for milliseconds"},
    {"clusters: [{name: a, host: h, promise: {addresses: [db.example]}}]",
     "t.yml:1:53: addresses: \"db.example\" is neither a numeric address nor a block of them; "
     "write "
     "for example 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"},
    {"clusters: [{name: a, host: h, promise: {addresses: []}}]",
     "t.yml:1:52: addresses: an empty list; leave the key out"},
    {"clusters: [{name: a, host: h, promise: {same_certificate: everybody}}]",
     "t.yml:1:59: same_certificate: \"everybody\" is not one of false, endpoint, cluster or true"},
    {"clusters: [{name: a, host: h, promise: {certificate_file: /x}}]",
     "t.yml:1:41: \"certificate_file\" does not belong into promise; it belongs into defaults, a "
     "template, a cluster or an endpoint"},
    {"clusters: [{name: a, host: h, certificate_file: ~/server.crt}]",
     "t.yml:1:49: certificate_file: \"~\" is not expanded; write the path out"},
    {"clusters: [{name: a, host: h, promise: {addresses: [[]]}}]",
     "t.yml:1:53: addresses: a list where a text is needed"},
    {"clusters: [{name: a, dsn: 'host=h target_session_attrs=standby', promise: {read_only: "
     "true}}]",
     "t.yml:1:87: read_only: the connection string on line 1 says it, too; give it in one place"},
    {"clusters: [{name: a, dsn: 'host=h target_session_attrs=slave'}]",
     "t.yml:1:27: dsn: target_session_attrs: \"…\" is not one of any, read-write, read-only, "
     "primary, standby or prefer-standby"},
    {"clusters: [{name: a, host: h, pin_sha256: abc}]",
     "t.yml:1:43: pin_sha256: not a SHA-256: 64 hexadecimal digits, or 44 characters of base64"},
    {"clusters: [{name: a, host: h, pin_sha256: {a: b}}]",
     "t.yml:1:43: pin_sha256: a list is needed"},
    {"clusters: [{name: a, host: h, sslmode: prefer, pin_sha256: "
     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}]",
     "t.yml:1:60: pin_sha256: needs sslmode require, verify-ca or verify-full, or a connection "
     "without TLS would pass; prefer is in force"},
    {"clusters: [{name: a, host: h, user: u, session: 60s}]",
     "t.yml:1:49: session: a list is needed; write for example [{idle: 60s}, {idle: 5m}]"},
    {"clusters: [{name: a, host: h, user: u, session: [60s]}]",
     "t.yml:1:50: session: a single value where a mapping is needed; write for example {idle: 5m}"},
    {"clusters: [{name: a, host: h, user: u, session: [{name: x}]}]",
     "t.yml:1:50: session: no idle time; write for example {idle: 5m}"},
    {"clusters: [{name: a, host: h, user: u, session: [{idle: 10ms}]}]",
     "t.yml:1:57: idle: 10ms is out of bounds; it must be between 1s and 7d"},
    {"clusters: [{name: a, host: h, user: u, session: [{idle: 1m, keepalives_idle: 10h}]}]",
     "t.yml:1:78: keepalives_idle: 10h is out of bounds; it must be between 1s and 9h"},
    {"clusters: [{name: a, host: h, user: u, session: [{idle: 1m}, {idle: 1m}]}]",
     "t.yml:1:62: session: two are called \"1m\"; give one of them a name of its own"},
    {"clusters: [{name: a, host: h, user: u, session: [{idle: 1s}, {idle: 2s}, {idle: 3s}, {idle: "
     "4s}, {idle: 5s}]}]",
     "t.yml:1:49: session: 5 of them; at most 4 are allowed"},
    {"clusters: [{name: a, host: h, user: u, session: [{idel: 1s}]}]",
     "t.yml:1:51: unknown key \"idel\"; did you mean \"idle\"?"},
    {"clusters: [{name: a, host: h, session: [{idle: 1s}]}]",
     "t.yml:1:40: session: needs a login; give a user, or `session: []` here"},
    {"clusters: [{name: a, host: h, allow_auth: md5}]",
     "t.yml:1:43: allow_auth: a list is needed; write it in brackets: [md5]"},
    {"clusters: [{name: a, host: h, login: {interval: 0}}]",
     "t.yml:1:49: interval: 0 is out of bounds; it must be between 1s and 1d"},
    {"clusters: [{name: a, host: h}]\nlimits: {in_flight: 0}",
     "t.yml:2:21: in_flight: \"0\" is not a whole number between 1 and 100000"},
    {"clusters: [{name: a, host: h}]\nhistogram_buckets: [1, 1]",
     "t.yml:2:24: histogram_buckets: bounds must ascend; 1 comes after 1"},
    {"clusters: [{name: a, host: h}]\nhistograms: exponential",
     "t.yml:2:13: histograms: \"exponential\" is not one of classic, both or native"},
    {"clusters: [{name: a, host: h}]\nhistograms: '{cluster}'",
     "t.yml:2:13: histograms: \"{cluster}\" is not one of classic, both or native"},
    {"clusters: [{name: a, host: h}]\nlimits: {in_flight: '{port}'}",
     "t.yml:2:21: in_flight: \"{port}\" is not a whole number between 1 and 100000"},
    {"clusters: [{name: a, host: h}]\nhistogram_buckets: [0]",
     "t.yml:2:21: histogram_buckets: a bound is a number of seconds above 0, at most 3600"},
    {"clusters: [{name: a, host: h}]\nhistogram_buckets: []",
     "t.yml:2:20: histogram_buckets: 0 bounds; 1 to 16 are allowed"},
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
    (void)state;
    assert_mistakes(mistakes, sizeof mistakes / sizeof *mistakes);
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
         "t.yml:1:27: promise: read_only is measured by the login, and endpoint \"default\" of "
         "cluster \"c\" has none; give a user"},
        {"host: h, login: true",
         "t.yml:1:38: endpoint \"default\" of cluster \"c\" has no user: its probe ends after TLS, "
         "and nothing logs in; give a user"},
        {"host: h, login: {interval: 90s}", NULL}, /* as in defaults: for those that have one */
        {"host: h, login: false", NULL},
        {"host: h, user: u, interval: 2m, login: {interval: 90s}",
         "t.yml:1:72: login: endpoint \"default\" of cluster \"c\" logs in every 1m30s and is "
         "inspected every 2m only: a login goes by an inspect that may be that old; give login an "
         "interval of 2m or more"},
        {"host: h, user: u, interval: 2m", NULL},
        {"host: h, interval: 2m, login: {interval: 90s}", NULL},
        {"host: h, promise: {max_lag: 3s, addresses: [192.0.2.1]}",
         "t.yml:1:50: promise: max_lag is measured by the login, and endpoint \"default\" of "
         "cluster \"c\" has none; give a user"},
        {"dsn: 'host=h user=u target_session_attrs=standby'", NULL},
        {"host: h, certificate_file: /x, promise: {same_certificate: true}", NULL},
        {"host: h, sslmode: disable, certificate_file: /x",
         "t.yml:1:67: certificate_file: endpoint \"default\" of cluster \"c\" has sslmode disable "
         "and shows no certificate to compare it with"},
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

/* A host under a wrong name is not missed as well; one that is not there at all is. */
static void test_a_misspelt_host_is_one_mistake(void **state)
{
    static const char *const rows[] = {"hots: h", "hostname: h", "endpoints: {e: {dns: 'host=h'}}",
                                       "defaults: {}, host: h", "server: h, prot: 1"};
    static const size_t errors[] = {1, 1, 1, 1, 2};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];

        snprintf(text, sizeof text, "clusters: [{name: c, %s}]", rows[i]);
        assert_null(load(text));
        assert_int_equal(messages.errors, errors[i]);
    }
    assert_null(load("clusters: [{name: c, prot: 1}]"));
    assert_int_equal(messages.errors, 2);
}

/* What many endpoints inherit is wrong once. */
static void test_inherited_mistake_is_said_once(void **state)
{
    (void)state;
    assert_null(load("defaults: {sslmode: verify-ca}\n"
                     "clusters: [{name: a, host: h}, {name: b, host: h}, {name: c, host: h}]"));
    assert_int_equal(messages.errors, 1);
    assert_null(load("clusters: [{name: a, host: h, user: u, user: v}]"));
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

/* layer.c relies on it. */
static void test_every_used_keyword_of_libpq_has_a_key(void **state)
{
    const struct dsn_keyword *all;
    size_t n = dsn_keywords(&all);
    char text[128];

    (void)state;
    for (size_t i = 0; i < n; i++) {
        if (all[i].fate != DSN_USED)
            continue;
        snprintf(text, sizeof text, "clusters: [{name: c, dsn: \"host=h %s=1\"}]", all[i].name);
        endpoint_set_unref(load(text)); /* good or not, it is judged as a value */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mistake_has_its_message),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_every_used_keyword_of_libpq_has_a_key),
        cmocka_unit_test(test_a_misspelt_host_is_one_mistake),
        cmocka_unit_test(test_inherited_mistake_is_said_once),
        cmocka_unit_test(test_messages_are_bounded_and_counted),
        cmocka_unit_test(test_all_errors_of_a_file_at_once),
    };

    return cmocka_run_group_tests_name("config_messages", tests, NULL, forget_messages);
}
