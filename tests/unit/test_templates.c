/* config/: templates, placeholders and null: what is in force, and what is said of mistakes. */
#define CONFIG_FILE "dir/t.yml"
#include "config_world.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"

#include "slower.h"

#include <stdlib.h>

static const struct server *find(const struct endpoint_set *set, const char *cluster,
                                 const char *endpoint)
{
    for (size_t i = 0; i < set->n_servers; i++) {
        if (strcmp(set->servers[i].cluster, cluster) == 0 &&
            strcmp(set->servers[i].endpoint, endpoint) == 0)
            return &set->servers[i];
    }
    return NULL;
}

/* The configuration of the design, word for word but for its connection string's dialect. */
static const char design[] =
    "defaults:\n"
    "  interval: 30s\n"
    "  timeout: 5s\n"
    "  sslmode: verify-full\n"
    "  sslrootcert: system\n"
    "  login: {interval: 60s}\n"
    "templates:\n"
    "  pnats:\n"
    "    user: \"{dbname}\"\n"
    "    password_file: \"/run/secrets/{user}.{cluster}/password\"\n"
    "    endpoints:\n"
    "      write: {host: \"{cluster}-write.pnats.cloud\", promise: {read_only: false, pooled: "
    "true, "
    "addresses: [103.110.174.19]}}\n"
    "      read:  {host: \"{cluster}-read.pnats.cloud\",  promise: {read_only: true, pooled: true, "
    "max_lag: 30s}}\n"
    "      admin: {host: \"{cluster}-admin.pnats.cloud\", user: platform_admin, promise: {pooled: "
    "false},\n"
    "              session: [{idle: 60s}, {idle: 300s}]}\n"
    "clusters:\n"
    "  - {name: temporal-db,     template: pnats, port: 5432, dbname: temporal, labels: {team: "
    "platform}}\n"
    "  - {name: platform-db,     template: pnats, port: 5433, dbname: platform, endpoints: {read: "
    "null}}\n"
    "  - {name: applications-db, template: pnats, port: 5434, dbname: apps}\n"
    "  - name: legacy\n"
    "    endpoints:\n"
    "      write: {dsn: \"postgresql://app@legacy.example:5432/app?sslmode=require\", "
    "password_env: LEGACY_PW}\n"
    "modules:\n"
    "  verify_full: {sslmode: verify-full, allow_targets: [\"*.pnats.cloud:5432-5434\"]}\n";

static void test_the_design_loads(void **state)
{
    struct endpoint_set *set = load_good(design);
    const struct server *s;

    (void)state;
    assert_int_equal(set->n_endpoints, 9);
    s = find(set, "temporal-db", "write");
    assert_string_equal(s->name, "temporal-db-write.pnats.cloud:5432");
    assert_string_equal(s->user, "temporal");
    assert_int_equal(s->password.source, SECRET_FILE);
    assert_string_equal(s->password.value, "/run/secrets/temporal.temporal-db/password");
    assert_string_equal(s->labels[0].value, "platform");
    assert_int_equal(s->promises.n_addresses, 1);
    s = find(set, "platform-db", "admin");
    assert_string_equal(s->name, "platform-db-admin.pnats.cloud:5433");
    assert_string_equal(s->user, "platform_admin");
    assert_string_equal(s->dbname, "platform");
    assert_string_equal(s->password.value, "/run/secrets/platform_admin.platform-db/password");
    assert_int_equal(s->n_sessions, 2);
    assert_null(find(set, "platform-db", "read"));
    assert_string_equal(find(set, "legacy", "write")->user, "app");
    endpoint_set_unref(set);
}

/* One server from a template's keys, a cluster's, a template endpoint's and an endpoint's. */
static const struct levels {
    const char *defaults, *template, *template_endpoint, *cluster, *endpoint;
    const char *user; /* in force */
} orders[] = {
    {"user: d", "user: t", "user: te", "user: c", "user: e", "e"},
    {"user: d", "user: t", "user: te", "user: c", "", "te"},
    {"user: d", "user: t", "", "user: c", "", "c"},
    {"user: d", "user: t", "", "", "", "t"},
    {"user: d", "", "", "", "", "d"},
    {"user: d", "user: t", "user: te", "user: c", "user: null", NULL},
    {"user: d", "user: t", "", "user: null", "", NULL},
    {"user: d", "user: null", "", "", "", NULL},
    {"user: d", "user: null", "", "user: ~", "user: e", "e"},
    /* What names itself means the outer level's. */
    {"user: d", "user: '{user}t'", "user: '{user}-te'", "user: '{user}c'", "user: '{user}-e'",
     "dtc-te-e"},
    {"dbname: x", "user: '{dbname}'", "", "dbname: '{dbname}y'", "", "xy"},
    {"", "vars: {v: t}", "user: '{v}{v}'", "vars: {v: c}", "", "cc"},
    {"vars: {v: d}", "vars: {v: '{v}t', w: 1}", "user: '{v}{w}'", "vars: {v: '{v}c'}", "", "dtc1"},
    {"vars: {v: d}", "", "user: 'x{v}'", "vars: {w: w}", "vars: {v: e}", "xe"},
    {"user: 'a{{b}}'", "", "", "", "", "a{b}"},
    {"user: '{{user}}{{{host}}}'", "", "", "", "", "{user}{h}"},
    {"user: '{cluster}/{endpoint}/{host}/{port}/{dbname}', dbname: n", "", "", "", "",
     "c/e/h/5432/n"},
    {"user: u, dbname: '{user}2'", "user: '{port}'", "", "port: 77", "", "77"},
};

static void test_inner_levels_win(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        const struct levels *o = &orders[i];
        struct buf text = BUF_INIT(4096);
        struct endpoint_set *set;

        buf_addf(&text,
                 "defaults: {%s}\n"
                 "templates: {t: {%s%sendpoints: {e: {%s}}}}\n"
                 "clusters: [{name: c, template: t, %s%sendpoints: {e: {host: h%s%s}}}]\n",
                 o->defaults, o->template, *o->template ? ", " : "", o->template_endpoint,
                 o->cluster, *o->cluster ? ", " : "", *o->endpoint ? ", " : "", o->endpoint);
        set = load_good(buf_text(&text));
        if (o->user)
            assert_string_equal(set->servers[0].user, o->user);
        else
            assert_null(set->servers[0].user);
        endpoint_set_unref(set);
        buf_deinit(&text);
    }
}

static void test_templates_upon_templates(void **state)
{
    struct endpoint_set *set = load_good(
        "templates:\n"
        "  top: {template: middle, timeout: 3s, endpoints: {b: null, c: {port: 3}, d: "
        "{host: d}}}\n"
        "  middle: {template: base, timeout: 2s, interval: 20s, endpoints: {c: {port: 2}}}\n"
        "  base: {interval: 10s, timeout: 1s, user: u, endpoints: {a: {host: a}, b: {host: "
        "b}, c: {host: c, port: 1}}}\n"
        "clusters:\n"
        "  - {name: x, template: top, endpoints: {z: {host: z}, a: {port: 9}}}\n"
        "  - {name: y, template: base, endpoints: null, host: own}\n");
    static const char *const names[] = {"a:9", "c:3", "d:5432", "z:5432", "own:5432"};

    (void)state;
    assert_int_equal(messages.n, 0);
    assert_int_equal(set->n_servers, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(set->servers[i].name, names[i]);
    assert_int_equal(set->servers[1].interval_ns, 20 * NS_PER_S);
    assert_int_equal(set->servers[1].timeout_ns, 3 * NS_PER_S);
    assert_string_equal(set->servers[4].endpoint, "default");
    assert_int_equal(set->servers[4].timeout_ns, 1 * NS_PER_S);
    endpoint_set_unref(set);
}

static void test_every_type_takes_placeholders(void **state)
{
    struct endpoint_set *set =
        load_good("defaults: {vars: {secs: 7s, yes: 'true', mode: require, addr: 192.0.2.7, who: "
                  "md5, n: s1}}\n"
                  "clusters:\n"
                  "  - name: c\n"
                  "    host: h\n"
                  "    user: u\n"
                  "    interval: '{secs}'\n"
                  "    sslsni: '{yes}'\n"
                  "    sslmode: '{mode}'\n"
                  "    allow_auth: ['{who}']\n"
                  "    promise: {addresses: ['{addr}'], pooled: '{yes}'}\n"
                  "    login: {interval: '1{secs}'}\n"
                  "    session: [{idle: '{secs}', name: '{n}-{{x}}'}]\n"
                  "    labels: {team: '{cluster}-{n}', plain: x, brace: '{{'}\n"
                  "    sslrootcert: 'ca/{cluster}.pem'\n"
                  "    password_env: 'PW_{user}'\n"
                  "    options: '-c x={{1}}'\n");
    const struct server *s = set->servers;

    (void)state;
    assert_int_equal(messages.n, 0);
    assert_int_equal(s->interval_ns, 7 * NS_PER_S);
    assert_int_equal(s->login_interval_ns, 17 * NS_PER_S);
    assert_int_equal(s->sslmode, SSLMODE_REQUIRE);
    assert_int_equal(s->allow_auth, ALLOW_AUTH_MD5);
    assert_int_equal(s->promises.n_addresses, 1);
    assert_int_equal(s->promises.pooled, VERDICT_YES);
    assert_int_equal(s->sessions[0].idle_ns, 7 * NS_PER_S);
    assert_string_equal(s->sessions[0].name, "s1-{x}");
    assert_string_equal(s->labels[0].value, "c-s1");
    assert_string_equal(s->labels[2].value, "{");
    assert_string_equal(s->sslrootcert, "dir/ca/c.pem");
    assert_string_equal(s->password.value, "PW_u");
    assert_string_equal(s->options, "-c x={1}");
    endpoint_set_unref(set);
}

static void test_connection_strings(void **state)
{
    struct endpoint_set *set = load_good(
        "templates:\n"
        "  t:\n"
        "    user: 'a b/@:{{'\n"
        "    endpoints:\n"
        "      uri: {dsn: 'postgresql://{user}@{cluster}.db:{port}/{dbname}?sslmode=require'}\n"
        "      words: {dsn: 'host={cluster} user={user} dbname={dbname} port=7'}\n"
        "      twice: {dsn: 'postgresql://{endpoint}.{cluster}/{port}'}\n"
        "      gone: {dsn: null, host: h}\n"
        "clusters:\n"
        "  - {name: c, template: t, port: 6432, dbname: \"it's\\\\\"}\n"
        "  - {name: d, template: t, dsn: 'host=x port=1 user=y', dbname: z}\n");
    const struct server *s;

    (void)state;
    assert_int_equal(messages.n, 0);
    s = find(set, "c", "uri");
    assert_string_equal(s->user, "a b/@:{");
    assert_string_equal(s->dbname, "it's\\");
    assert_string_equal(s->name, "c.db:6432");
    s = find(set, "c", "words");
    assert_string_equal(s->user, "a b/@:{");
    assert_string_equal(s->dbname, "it's\\");
    assert_string_equal(s->name, "c:7");
    s = find(set, "d", "twice");
    assert_string_equal(s->name, "twice.d:1");
    assert_string_equal(s->dbname, "1");
    assert_string_equal(s->user, "y");
    /* Taken away with all that the string said; the template's own user is below it. */
    s = find(set, "d", "gone");
    assert_string_equal(s->name, "h:5432");
    assert_string_equal(s->user, "a b/@:{");
    endpoint_set_unref(set);
}

static void test_null_takes_away(void **state)
{
    struct endpoint_set *set = load_good(
        "defaults: {user: u, password_file: /p, login: {interval: 90s}, labels: {a: 1, b: "
        "2}, session: [{idle: 1m}], promise: {pooled: true, max_lag: 3s}, policy: true}\n"
        "clusters:\n"
        "  - name: c\n"
        "    host: h\n"
        "    endpoints:\n"
        "      all: {}\n"
        "      some: {password_env: null, login: null, labels: {a: null, c: 3}, session: "
        "null, promise: {pooled: null}, policy: null}\n"
        "      none: {labels: null, promise: null}\n");
    const struct server *s = &set->servers[0];

    (void)state;
    assert_int_equal(messages.n, 0);
    assert_int_equal(s->n_labels, 2);
    assert_int_equal(s->n_sessions, 1);
    s = &set->servers[1];
    assert_int_equal(s->password.source, SECRET_NONE);
    assert_int_equal(s->login_interval_ns, 60 * NS_PER_S);
    assert_true(s->login);
    assert_int_equal(s->n_labels, 2);
    assert_string_equal(s->labels[0].name, "b");
    assert_string_equal(s->labels[1].name, "c");
    assert_int_equal(s->n_sessions, 0);
    assert_int_equal(s->promises.pooled, VERDICT_UNKNOWN);
    assert_int_equal(s->promises.max_lag_ns, 3 * NS_PER_S);
    assert_int_equal(s->policy_interval_ns, 0);
    s = &set->servers[2];
    assert_int_equal(s->n_labels, 0);
    assert_int_equal(s->promises.max_lag_ns, 0);
    endpoint_set_unref(set);
}

#define HERE  " (endpoint \"default\" of cluster \"c\")"
#define KNOWN "known here: {cluster}, {endpoint}, {host}, {port}, {dbname}, {user}"

/* The first message of each. */
static const struct mistake mistakes[] = {
    {"clusters: [{name: c, template: t, host: h}]",
     "dir/t.yml:1:32: template: unknown template \"t\"; there are none, give \"templates\""},
    {"templates: {pnats: {}, other: {}}\nclusters: [{name: c, template: pnts, host: h}]",
     "dir/t.yml:2:32: template: unknown template \"pnts\"; did you mean \"pnats\"?"},
    {"templates: {pnats: {}, other: {}}\nclusters: [{name: c, template: zzzzzzzz, host: h}]",
     "dir/t.yml:2:32: template: unknown template \"zzzzzzzz\"; there are pnats, other"},
    {"templates:\n  a: {template: b}\n  b: {template: a}\nclusters: [{name: c, template: a, host: "
     "h}]",
     "dir/t.yml:3:17: template: these use each other: a (on line 2) -> b (on line 3) -> a"},
    {"templates: {a: {template: a}}\nclusters: [{name: c, host: h}]",
     "dir/t.yml:1:27: template: these use each other: a (on line 1) -> a"},
    {"templates: {a: {host: h}, a: {host: i}}\nclusters: [{name: c, template: a}]",
     "dir/t.yml:1:27: \"a\" stands here a second time; first on line 1"},
    {"templates: {a: {interval: 3}}\nclusters: [{name: c, template: a, host: h}]",
     "dir/t.yml:1:27: interval: 3 has no unit; write 3s for seconds, 3ms for milliseconds"},
    {"templates: {a: {name: x}}\nclusters: [{name: c, template: a, host: h}]",
     "dir/t.yml:1:17: \"name\" does not belong into a template; it belongs into a cluster"},
    {"templates: []\nclusters: [{name: c, host: h}]",
     "dir/t.yml:1:12: templates: a list where a mapping is needed; write for example {pooled: "
     "{port: 6432}}"},
    {"templates: {a: {endpoints: {r: {host: h}}}}\n"
     "clusters: [{name: c, template: a, endpoints: {r: null}}]",
     "dir/t.yml:2:46: endpoints: none is left; there is nothing to watch in this cluster"},
    {"clusters: [{name: c, host: '{clutser}'}]",
     "dir/t.yml:1:28: host: unknown placeholder {clutser}; did you mean {cluster}? " KNOWN
     "; a brace itself is written \"{{\" or \"}}\"" HERE},
    {"clusters: [{name: c, host: h, vars: {zone: x}, user: '{region}'}]",
     "dir/t.yml:1:54: user: unknown placeholder {region}; " KNOWN
     ", {zone}; a brace itself is written \"{{\" or \"}}\"" HERE},
    {"clusters: [{name: c, host: h, user: '{dbname}', dbname: '{user}'}]",
     "dir/t.yml:1:37: user: these need each other: dbname (on line 1) -> user (on line 1) -> "
     "dbname" HERE},
    {"clusters: [{name: c, host: h, user: '{a}', vars: {a: '{b}', b: '{user}'}}]",
     "dir/t.yml:1:64: b: these need each other: user (on line 1) -> a (on line 1) -> b (on line "
     "1) -> user" HERE},
    {"clusters: [{name: c, dsn: 'host=h user={user}'}]",
     "dir/t.yml:1:27: dsn: {user}: no user is set" HERE},
    {"clusters: [{name: c, host: h, dbname: '{host}', user: '{user}x'}]",
     "dir/t.yml:1:55: user: {user}: it stands in itself, and at the outer levels no user is "
     "set" HERE},
    {"clusters: [{name: c, host: h, user: '{dbname}'}]",
     "dir/t.yml:1:37: user: {dbname}: no dbname is set" HERE},
    {"clusters: [{name: c, host: 'a{b'}]",
     "dir/t.yml:1:28: host: a \"{\" is not closed; the brace itself is written \"{{\""},
    {"clusters: [{name: c, host: 'a}b'}]",
     "dir/t.yml:1:28: host: a \"}\" without \"{\"; the brace itself is written \"}}\""},
    {"clusters: [{name: c, host: '{}'}]",
     "dir/t.yml:1:28: host: no name between \"{\" and \"}\"; the braces themselves are written "
     "\"{{\" and \"}}\""},
    {"clusters: [{name: c, host: '{cluster} x'}]",
     "dir/t.yml:1:28: host: a space does not belong into a name; several hosts are separated by "
     "\",\" alone" HERE},
    {"clusters: [{name: c, host: h, interval: '3{user}', user: w}]",
     "dir/t.yml:1:41: interval: \"3w\" is not a duration; write for example 500ms, 30s or "
     "1m30s" HERE},
    {"clusters: [{name: ../x, host: h, user: u, password_file: '/run/{cluster}/p'}]",
     "dir/t.yml:1:58: password_file: {cluster} stands for a name with a \"/\" or \"..\", which a "
     "path must not take (endpoint \"default\" of cluster \"../x\")"},
    {"clusters: [{name: c, dsn: 'host=h user=u password=x{hunter2}'}]",
     "dir/t.yml:1:27: dsn: a placeholder in it is unknown; " KNOWN
     "; a brace itself is written \"{{\" or \"}}\"" HERE},
    {"clusters: [{name: c, dsn: 'host={cluster} user=u', user: v}]",
     "dir/t.yml:1:27: dsn: user: \"user\" on line 1 says it, too; give one of them" HERE},
    {"clusters: [{name: c, host: h, vars: {user: x}}]",
     "dir/t.yml:1:38: vars: {user} means what is in force at the endpoint; choose another name"},
    {"clusters: [{name: c, host: h, vars: {'a-b': x}}]",
     "dir/t.yml:1:38: vars: \"a-b\" is not a name for a placeholder; letters, digits and \"_\" "
     "make one, and no digit begins it"},
    {"clusters: [{name: c, host: h, labels: {team: '{nope}'}}]",
     "dir/t.yml:1:46: team: unknown placeholder {nope}; " KNOWN
     "; a brace itself is written \"{{\" or \"}}\"" HERE},
    {"clusters: [{name: c, host: h, labels: {'9a': x}}]",
     "dir/t.yml:1:40: labels: \"9a\" is not a label name; letters, digits and \"_\" make one, and "
     "no digit begins it"},
    {"clusters: [{name: c, host: h, vars: {a: x}, user: '{a}'}, {name: d, host: h, user: '{a}'}]",
     "dir/t.yml:1:84: user: unknown placeholder {a}; " KNOWN
     "; a brace itself is written \"{{\" or \"}}\" (endpoint \"default\" of cluster \"d\")"},
};

static void test_every_mistake_has_its_message(void **state)
{
    (void)state;
    assert_mistakes(mistakes, sizeof mistakes / sizeof *mistakes);
}

static void test_warnings(void **state)
{
    struct endpoint_set *set =
        load_good("templates: {t: {endpoints: {read: {host: r}, write: {host: w}}}}\n"
                  "clusters: [{name: c, template: t, endpoints: {raed: null}}]");

    (void)state;
    assert_int_equal(messages.warnings, 1);
    assert_string_equal(messages.items[0].text,
                        "dir/t.yml:2:47: endpoint: no template brings one called \"raed\" that "
                        "could be removed; did you mean \"read\"?");
    assert_int_equal(set->n_servers, 2);
    endpoint_set_unref(set);
}

/* What doubles at every step must stop, in time and in size. */
static void test_placeholders_do_not_explode(void **state)
{
    struct buf text = BUF_INIT(65536);

    (void)state;
    buf_add_str(&text, "defaults: {vars: {v0: xxxxxxxxxxxxxxxx");
    for (int i = 1; i < 30; i++)
        buf_addf(&text, ", v%d: '{v%d}{v%d}{v%d}'", i, i - 1, i - 1, i - 1);
    buf_add_str(&text, "}}\nclusters: [{name: c, host: h, user: '{v29}'}]");
    assert_null(load(buf_text(&text)));
    assert_non_null(strstr(messages.items[0].text, "more than 1000 placeholders in all"));
    buf_reset(&text);
    buf_add_str(&text, "clusters: [{name: c, host: h, vars: {v: '");
    for (int i = 0; i < 1000; i++)
        buf_add_char(&text, 'x');
    buf_add_str(&text, "'}, options: '");
    for (int i = 0; i < 100; i++)
        buf_add_str(&text, "{v}");
    buf_add_str(&text, "'}]");
    assert_null(load(buf_text(&text)));
    assert_non_null(strstr(messages.items[0].text, "stand for more than 16384 bytes"));
    buf_reset(&text);
    buf_add_str(&text, "templates:\n  t0: {host: h}\n");
    for (int i = 1; i < 10; i++)
        buf_addf(&text, "  t%d: {template: t%d}\n", i, i - 1);
    buf_add_str(&text, "clusters: [{name: c, template: t9}]");
    assert_null(load(buf_text(&text)));
    assert_string_equal(messages.items[0].text,
                        "dir/t.yml:10:18: template: more than 8 of them, one upon another");
    buf_deinit(&text);
}

/* Ten thousand clusters through a template: 0.7 s in a release build on a small machine. The bound
 * is for what is quadratic, which would take minutes. */
static void test_ten_thousand_clusters(void **state)
{
    const int n = 10000 / (int)slower();
    struct buf text = BUF_INIT(CONFIG_MAX_BYTES);
    struct endpoint_set *set;
    int64_t start = clock_monotonic_ns();
    char last[16], server[32];

    (void)state;
    buf_add_str(&text, "templates: {t: {user: '{dbname}', endpoints: {w: {host: '{cluster}-w'}, r: "
                       "{host: '{cluster}-r'}, a: {dsn: 'postgres://a@{cluster}-a:{port}'}}}}\n"
                       "clusters:\n");
    for (int i = 0; i < n; i++)
        buf_addf(&text, "  - {name: c%d, template: t, port: %d, dbname: d%d}\n", i, 5000 + i % 9,
                 i);
    set = load_good(buf_text(&text));
    assert_int_equal(set->n_servers, 3 * n);
    snprintf(last, sizeof last, "c%d", n - 1);
    snprintf(server, sizeof server, "%s-a:%d", last, 5000 + (n - 1) % 9);
    assert_string_equal(find(set, last, "a")->name, server);
    assert_true(clock_monotonic_ns() - start < 30 * NS_PER_S);
    endpoint_set_unref(set);
    buf_deinit(&text);
}

static void test_deep_and_large_files(void **state)
{
    struct buf text = BUF_INIT(CONFIG_MAX_BYTES + 64);

    (void)state;
    buf_add_str(&text, "templates: ");
    for (int i = 0; i < 300; i++)
        buf_add_str(&text, "{a: ");
    assert_null(load(buf_text(&text)));
    assert_non_null(strstr(messages.items[0].text, "too deeply nested"));
    buf_reset(&text);
    buf_add_str(&text, "clusters: [{name: c, host: h}]\n#");
    while (text.len <= CONFIG_MAX_BYTES)
        buf_add_str(&text, "xxxxxxxxxxxxxxx\n#");
    assert_null(load(buf_text(&text)));
    assert_string_equal(messages.items[0].text, "dir/t.yml: larger than 16 MiB");
    assert_int_equal(messages.n, 1);
    buf_deinit(&text);
}

/* Three hundred clusters in as many lines and a few. */
static void test_three_hundred_clusters(void **state)
{
    struct endpoint_set *set;
    struct config_messages *m = &messages;

    (void)state;
    config_messages_deinit(m);
    set = config_load_file(PGTLS_SOURCE_DIR "/docs/examples/templates.yml", m);
    assert_non_null(set);
    assert_int_equal(m->n, 0);
    assert_int_equal(set->n_endpoints, 8);
    assert_string_equal(set->servers[4].name, "platform-db-admin.example.com:5433");
    endpoint_set_unref(set);
    set = config_load_file(PGTLS_SOURCE_DIR "/tests/unit/data/config/300-clusters.yml", m);
    assert_non_null(set);
    assert_int_equal(m->n, 0);
    assert_int_equal(set->n_endpoints, 900 - 30);
    endpoint_set_unref(set);
}

static size_t count_lines(const char *path)
{
    FILE *f = fopen(path, "r");
    size_t n = 0;
    int c;

    assert_non_null(f);
    while ((c = fgetc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

static void test_examples_are_short(void **state)
{
    (void)state;
    assert_in_range(count_lines(PGTLS_SOURCE_DIR "/docs/examples/templates.yml"), 1, 15);
    assert_in_range(count_lines(PGTLS_SOURCE_DIR "/tests/unit/data/config/300-clusters.yml"), 301,
                    320);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_design_loads),
        cmocka_unit_test(test_inner_levels_win),
        cmocka_unit_test(test_templates_upon_templates),
        cmocka_unit_test(test_every_type_takes_placeholders),
        cmocka_unit_test(test_connection_strings),
        cmocka_unit_test(test_null_takes_away),
        cmocka_unit_test(test_every_mistake_has_its_message),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_placeholders_do_not_explode),
        cmocka_unit_test(test_ten_thousand_clusters),
        cmocka_unit_test(test_deep_and_large_files),
        cmocka_unit_test(test_three_hundred_clusters),
        cmocka_unit_test(test_examples_are_short),
    };

    return cmocka_run_group_tests_name("templates", tests, NULL, forget_messages);
}
