/* model/ and config/: which targets a request may name, and how they are written. */
#define CONFIG_FILE "dir/t.yml"
#include "config_world.h"

#include "pgtls/model/module.h"

/* --- targets ---------------------------------------------------------------------------------- */

static void test_targets_that_are_read(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *dbname;
        bool numeric;
    } rows[] = {
        {"db.example.com", "db.example.com", 0, "", false},
        {"db.example.com:5433", "db.example.com", 5433, "", false},
        {"db_1.example.com.:5433", "db_1.example.com.", 5433, "", false},
        {"192.0.2.7:65535", "192.0.2.7", 65535, "", true},
        {"[2001:db8::1]", "2001:db8::1", 0, "", true},
        {"[::ffff:192.0.2.7]:1", "::ffff:192.0.2.7", 1, "", true},
        {"postgresql://db:5433/app", "db", 5433, "app", false},
        {"postgres://[::1]:5433/", "::1", 5433, "", true},
        {"postgresql://db", "db", 0, "", false},
        {"postgresql://db/a%20b%C3%A4", "db", 0, "a b\xC3\xA4", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct probe_target t;
        const char *wrong = probe_target_parse(rows[i].text, &t);

        if (wrong)
            fail_msg("%s: %s", rows[i].text, wrong);
        assert_string_equal(t.host, rows[i].host);
        assert_int_equal(t.port, rows[i].port);
        assert_string_equal(t.dbname, rows[i].dbname);
        assert_int_equal(t.numeric, rows[i].numeric);
    }
}

/* What is wrong is said, and nothing of the target is. */
static void test_targets_that_are_not(void **state)
{
    static const char *const rows[][2] = {
        {"", "missing"},
        {"app:s3cret@db:5432", "credentials"},
        {"postgresql://app:s3cret@db/app", "credentials"},
        {"app@db", "credentials"},
        {"postgresql://db/app?user=app&password=s3cret", "no parameters"},
        {"postgresql://db/app#s3cret", "no parameters"},
        {"https://s3cret", "another kind"},
        {"jdbc:postgresql://s3cret/", "another kind"},
        {"host=db password=s3cret", "connection string"},
        {"db s3cret", "connection string"},
        {"db\n", "connection string"},
        {"/run/s3cret", "Unix sockets"},
        {"db/s3cret", "Unix sockets"},
        {"db1:5432,db2:s3cret", "one by one"},
        {"db:0", "port"},
        {"db:65536", "port"},
        {"db:", "port"},
        {"db:s3cret", "port"},
        {"db:-1", "port"},
        {":5432", "no host"},
        {"postgresql:///s3cret", "no host"},
        {"[::1", "without its ]"},
        {"[::1]x", "without its ]"},
        {"[s3cret]:5432", "no IPv6 address"},
        {"[192.0.2.7]", "no IPv6 address"},
        {"[fe80::1%eth0]", "no IPv6 address"},
        {"2001:db8::1", "[address]:port"},
        {"127.1", "looks like an address"},
        {"2130706433", "looks like an address"},
        {"0x7f000001", "looks like an address"},
        {"017700000001", "looks like an address"},
        {"127.0.0.0x1", "looks like an address"},
        {"127.0.0.1.", "looks like an address"},
        {"192.0.2.0/24", "host:port"},
        {"d\xC3\xA4:5432", "neither a name nor an address"},
        {"db%00:5432", "neither a name nor an address"},
        {"*", "neither a name nor an address"},
        {"postgresql://db/a%2", "hexadecimal"},
        {"postgresql://db/a%2Fb", "control character"},
        {"postgresql://db/a%00", "control character"},
        {"postgresql://db/a/b", "control character"},
        {"postgresql://db/"
         "1234567890123456789012345678901234567890123456789012345678901234",
         "63 bytes"},
    };
    char long_host[400];
    struct probe_target t;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *wrong = probe_target_parse(rows[i][0], &t);

        if (!wrong || !strstr(wrong, rows[i][1]) || strstr(wrong, "s3cret"))
            fail_msg("%s: %s, expected %s", rows[i][0], wrong ? wrong : "good", rows[i][1]);
    }
    memset(long_host, 'a', sizeof long_host);
    long_host[sizeof long_host - 1] = '\0';
    assert_non_null(strstr(probe_target_parse(long_host, &t), "too long"));
    long_host[254] = '\0';
    assert_non_null(strstr(probe_target_parse(long_host, &t), "too long"));
    long_host[253] = '\0';
    assert_null(probe_target_parse(long_host, &t));
}

/* --- who is let through ----------------------------------------------------------------------- */

/* The verdict on a target that leads to this address: "" if it may be probed. */
static const char *verdict(const struct module *m, const char *target, const char *address)
{
    struct probe_target t;
    const char *wrong = probe_target_parse(target, &t);
    uint16_t port;

    if (wrong)
        fail_msg("%s: %s", target, wrong);
    port = t.port ? t.port : m->server.port;
    wrong = module_refuses(m, &t, port);
    if (wrong)
        return wrong;
    return module_admits_address(m, &t, port, address) ? "" : "address";
}

static void test_rules(void **state)
{
    static const struct {
        const char *allow, *deny, *target, *address, *verdict;
    } rows[] = {
        /* names, in any case, dots at the end or not */
        {"db.example.com", "", "db.example.com", "192.0.2.7", ""},
        {"db.example.com", "", "DB.Example.COM.", "192.0.2.7", ""},
        {"Db.example.com.", "", "db.example.com", "192.0.2.7", ""},
        {"db.example.com", "", "db.example.com.evil.org", "192.0.2.7", "no name"},
        {"db.example.com", "", "xdb.example.com", "192.0.2.7", "no name"},
        {"'*.example.com'", "", "a.b.example.com", "192.0.2.7", ""},
        {"'*.example.com'", "", "example.com", "192.0.2.7", "no name"},
        {"'db-*-rw.*.example.com'", "", "db-7-rw.eu.example.com", "192.0.2.7", ""},
        {"'db-*-rw.*.example.com'", "", "db-7-ro.eu.example.com", "192.0.2.7", "no name"},
        {"'*'", "", "anything", "10.0.0.1", ""},
        {"'*'", "", "10.0.0.1", "10.0.0.1", "no block"},
        /* ports: the module's, one, a range, any */
        {"db", "", "db:5432", "192.0.2.7", ""},
        {"db", "", "db:22", "192.0.2.7", "not at this port"},
        {"'db:6432'", "", "db:6432", "192.0.2.7", ""},
        {"'db:6432'", "", "db", "192.0.2.7", "not at this port"},
        {"'db:6000-6999'", "", "db:6000", "192.0.2.7", ""},
        {"'db:6000-6999'", "", "db:6999", "192.0.2.7", ""},
        {"'db:6000-6999'", "", "db:7000", "192.0.2.7", "not at this port"},
        {"'db:*'", "", "db:1", "192.0.2.7", ""},
        /* blocks: of the address itself, and of what a name leads to */
        {"192.0.2.0/24", "", "192.0.2.7", "192.0.2.7", ""},
        {"192.0.2.0/24", "", "[::ffff:192.0.2.7]", "::ffff:192.0.2.7", ""},
        {"192.0.2.0/24", "", "192.0.3.7", "192.0.3.7", "no block"},
        {"192.0.2.0/24", "", "192.0.2.7:22", "192.0.2.7", "not at this port"},
        {"'192.0.2.0/24:22'", "", "192.0.2.7:22", "192.0.2.7", ""},
        {"'[2001:db8::/32]:5432-5433'", "", "[2001:db8::7]:5433", "2001:db8::7", ""},
        {"'2001:db8::/32'", "", "[2001:db8::7]", "2001:db8::7", ""},
        {"192.0.2.7", "", "192.0.2.8", "192.0.2.8", "no block"},
        {"192.0.2.0/24", "", "whatever.org", "192.0.2.7", ""},
        {"192.0.2.0/24", "", "whatever.org", "127.0.0.1", "address"},
        {"192.0.2.0/24", "", "whatever.org:22", "192.0.2.7", "not at this port"},
        /* a name alone leads to ordinary addresses */
        {"db", "", "db", "10.0.0.1", ""},
        {"db", "", "db", "2001:db8::1", ""},
        {"db", "", "db", "127.0.0.1", "address"},
        {"db", "", "db", "127.8.8.8", "address"},
        {"db", "", "db", "0.0.0.0", "address"},
        {"db", "", "db", "169.254.169.254", "address"},
        {"db", "", "db", "224.0.0.1", "address"},
        {"db", "", "db", "255.255.255.255", "address"},
        {"db", "", "db", "::1", "address"},
        {"db", "", "db", "::", "address"},
        {"db", "", "db", "::ffff:127.0.0.1", "address"},
        {"db", "", "db", "::127.0.0.1", "address"},
        {"db", "", "db", "64:ff9b::7f00:1", "address"},
        {"db", "", "db", "64:ff9b:1::7f00:1", "address"},
        {"db", "", "db", "2002:7f00:1::", "address"},
        {"db", "", "db", "2001:0:7f00:1::", "address"},
        {"db", "", "db", "::ffff:0:127.0.0.1", "address"},
        {"db", "", "db", "fe80::1", "address"},
        {"db", "", "db", "fe80::1%lo", "address"},
        {"db", "", "db", "ff02::1", "address"},
        {"db, 127.0.0.0/8", "", "db", "127.0.0.1", ""},
        /* what is denied is denied, by name and by address */
        {"'*.example.com'", "x.example.com", "X.example.com", "192.0.2.7", "deny_targets"},
        {"'*.example.com'", "x.example.com", "y.example.com", "192.0.2.7", ""},
        {"'*.example.com'", "192.0.2.7", "y.example.com", "192.0.2.7", "address"},
        {"192.0.2.0/24", "192.0.2.7", "192.0.2.7", "192.0.2.7", "deny_targets"},
        {"192.0.2.0/24", "'192.0.2.7:22'", "192.0.2.7", "192.0.2.7", ""},
        {"192.0.2.0/24", "192.0.2.7", "192.0.2.8", "192.0.2.8", ""},
        /* at every port, unless it says which */
        {"'192.0.2.0/24:*'", "192.0.2.7", "192.0.2.7:22", "192.0.2.7", "deny_targets"},
        {"'*:*'", "db", "db:22", "192.0.2.7", "deny_targets"},
        {"'*:*'", "192.0.2.7", "db:22", "192.0.2.7", "address"},
        /* of IPv6 as a whole IPv4 is no part, in whatever clothes */
        {"'::/0'", "", "[2001:db8::7]", "2001:db8::7", ""},
        {"'::/0'", "", "192.0.2.7", "192.0.2.7", "no block"},
        {"'::/0'", "", "[::ffff:192.0.2.7]", "::ffff:192.0.2.7", "no block"},
        {"'::ffff:0:0/96'", "", "192.0.2.7", "192.0.2.7", ""},
        {"'::/0'", "", "db", "127.0.0.1", "address"},
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct endpoint_set *set;
        const char *got;

        snprintf(text, sizeof text, "modules: {m: {allow_targets: [%s]%s%s%s}}", rows[i].allow,
                 rows[i].deny[0] ? ", deny_targets: [" : "", rows[i].deny,
                 rows[i].deny[0] ? "]" : "");
        set = load_good(text);
        got = verdict(&set->modules[0], rows[i].target, rows[i].address);
        if (rows[i].verdict[0] ? !strstr(got, rows[i].verdict) : got[0] != '\0')
            fail_msg("%s %s: \"%s\", expected \"%s\"", text, rows[i].target, got, rows[i].verdict);
        endpoint_set_unref(set);
    }
}

static void test_closed_unless_opened(void **state)
{
    struct endpoint_set *set = load_good("modules: {m: {sslmode: require}}");

    (void)state;
    assert_non_null(strstr(verdict(&set->modules[0], "db", "192.0.2.7"), "no allow_targets"));
    assert_int_equal(messages.warnings, 1);
    assert_non_null(strstr(messages.items[0].text, "allows no target"));
    endpoint_set_unref(set);
}

/* --- the configuration ------------------------------------------------------------------------ */

static void test_a_module_is_read_as_an_endpoint_is(void **state)
{
    struct endpoint_set *set = load_good(
        "defaults: {user: inherited, timeout: 1s}\n"
        "modules:\n"
        "  plain: {allow_targets: db}\n"
        "  login: {allow_targets: [db], user: \"{me}\", dbname: d, password_file: p, port: 6432,\n"
        "          sslrootcert: ca.pem, timeout: 3s, promise: {read_only: true}, pin_sha256: "
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}\n"
        "clusters: [{name: c, host: h}]\n");
    const struct module *plain = module_find(set, "plain"), *login = module_find(set, "login");

    (void)state;
    assert_int_equal(set->n_modules, 2);
    assert_null(module_find(set, "other"));
    assert_null(plain->server.user); /* nothing is inherited */
    assert_false(plain->server.login);
    assert_int_equal(plain->server.timeout_ns / 1000000, 5000);
    assert_int_equal(plain->server.port, 5432);
    assert_int_equal(plain->server.sslmode, SSLMODE_VERIFY_FULL);
    assert_string_equal(plain->server.sslrootcert, "system");
    assert_true(login->server.login);
    assert_string_equal(login->server.user, "{me}"); /* braces are braces */
    assert_string_equal(login->server.password.value, "dir/p");
    assert_string_equal(login->server.sslrootcert, "dir/ca.pem");
    assert_int_equal(login->server.port, 6432);
    assert_int_equal(login->server.timeout_ns / 1000000, 3000);
    assert_int_equal(login->server.promises.role, ROLE_READ_ONLY);
    assert_int_equal(login->server.n_pins, 1);
    assert_int_equal(messages.n, 0);
    endpoint_set_unref(set);
    set = load_good("modules: {m: {allow_targets: [db]}}"); /* is enough to begin with */
    assert_int_equal(set->n_servers, 0);
    endpoint_set_unref(set);
}

static void test_every_mistake_has_its_message(void **state)
{
    static const char *const rows[][2] = {
        {"modules: []", "modules: a list where a mapping is needed"},
        {"modules: {m: 1}", "module: a single value where a mapping is needed"},
        {"modules: {'a b': {}}", "the name of a module is 1 to 63 letters"},
        {"modules: {m: {host: h}}", "\"host\" does not belong into a module"},
        {"modules: {m: {dsn: 'host=h'}}", "\"dsn\" does not belong into a module"},
        {"modules: {m: {interval: 1s}}", "\"interval\" does not belong into a module"},
        {"modules: {m: {session: []}}", "\"session\" does not belong into a module"},
        {"modules: {m: {allow_target: [h]}}", "did you mean \"allow_targets\"?"},
        {"clusters: [{name: c, host: h, allow_targets: [h]}]",
         "\"allow_targets\" does not belong into a cluster; it belongs into a module"},
        {"modules: {m: {allow_targets: []}}", "allow_targets: an empty list"},
        {"modules: {m: {allow_targets: [{a: b}]}}", "a mapping where a text is needed"},
        {"modules: {m: {allow_targets: ['h:0']}}", "has no port between 1 and 65535"},
        {"modules: {m: {allow_targets: ['h:9-8']}}", "has no port between 1 and 65535"},
        {"modules: {m: {allow_targets: ['h:1-65536']}}", "has no port between 1 and 65535"},
        {"modules: {m: {allow_targets: ['h:']}}", "has no port between 1 and 65535"},
        {"modules: {m: {allow_targets: [':1']}}", "has no host"},
        {"modules: {m: {allow_targets: ['[::1']}}", "has a [ without its ]"},
        {"modules: {m: {allow_targets: [10.0.0.0/33]}}", "is neither a host's name"},
        {"modules: {m: {allow_targets: ['10.0.0.*']}}", "looks like an address and is none"},
        {"modules: {m: {allow_targets: [10.0.0]}}", "looks like an address and is none"},
        {"modules: {m: {allow_targets: ['h/x']}}", "is neither a host's name"},
        {"modules: {m: {allow_targets: [h], port: '1,2'}}", "port: a module has one"},
        {"modules: {m: {allow_targets: [h], port: 0}}", "is not a number between 1 and 65535"},
        {"modules: {m: {allow_targets: [h], user: null}}", "user: no value"},
        {"modules: {m: {allow_targets: [h], sslmode: verify-ca}}", "verify-ca needs sslrootcert"},
        {"modules: {m: {allow_targets: [h], sslcert: c}}", "needs its private key"},
        {"modules: {m: {allow_targets: [h]}, m: {allow_targets: [h]}}",
         "stands here a second time"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct endpoint_set *set = load(rows[i][0]);
        bool found = false;

        for (size_t j = 0; j < messages.n; j++)
            found = found || strstr(messages.items[j].text, rows[i][1]);
        if (set || !found)
            fail_msg("%s: %s", rows[i][0],
                     messages.n > 0 ? messages.items[0].text : "loaded without a word");
    }
}

static void test_a_password_asks_for_verify_full(void **state)
{
    static const char format[] =
        "modules: {m: {allow_targets: [h], user: u, password_file: p, sslmode: %s}}";
    static const char *const modes[] = {"require", "verify-full", "disable"};
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct endpoint_set *set;

        snprintf(text, sizeof text, format, modes[i]);
        set = load_good(text);
        assert_int_equal(messages.warnings, strcmp(modes[i], "verify-full") != 0);
        endpoint_set_unref(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets_that_are_read),
        cmocka_unit_test(test_targets_that_are_not),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_closed_unless_opened),
        cmocka_unit_test(test_a_module_is_read_as_an_endpoint_is),
        cmocka_unit_test(test_every_mistake_has_its_message),
        cmocka_unit_test(test_a_password_asks_for_verify_full),
    };

    return cmocka_run_group_tests(tests, NULL, forget_messages);
}
