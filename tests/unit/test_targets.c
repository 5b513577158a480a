/* config/: `discovery:` and the documents it brings, to endpoints. */
#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/config/discovery.h"

#include "slower.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct arena *arena;
    struct discovery discovery;
    struct config_target_list list;
    struct config_messages messages;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    w->arena = arena_new();
    w->discovery = (struct discovery){
        .kind = DISCOVERY_FILE, .cluster = "{pg_cluster}", .endpoint = "{pg_endpoint}"};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    arena_free(w->arena);
    config_messages_deinit(&w->messages);
    free(w);
    return 0;
}

static bool parse(struct world *w, const char *text)
{
    config_messages_deinit(&w->messages);
    return discovery_parse(&w->discovery, "targets.json", text, strlen(text), w->arena, &w->list,
                           &w->messages);
}

static const char *key_of(const struct config_target *t, const char *key)
{
    for (size_t i = 0; i < t->n_keys; i++) {
        if (strcmp(t->keys[i].key, key) == 0)
            return t->keys[i].value;
    }
    return "";
}

/* One error, at this place, that says so. */
static void assert_refused(struct world *w, const char *text, const char *error)
{
    if (parse(w, text))
        fail_msg("accepted: %s", text);
    assert_int_equal(w->messages.n, 1);
    if (!strstr(w->messages.items[0].text, error))
        fail_msg("%s\nsays: %s", text, w->messages.items[0].text);
}

static void test_targets_of_one_endpoint_are_its_servers(void **state)
{
    struct world *w = *state;

    assert_true(parse(w, "[{\"targets\": [\"a.example.com:6432\", \"[2001:db8::1]:5433\", \"b\"],"
                         "  \"labels\": {\"pg_cluster\": \"orders\", \"pg_endpoint\": \"write\","
                         "              \"team\": \"shop\", \"__meta\": \"x\", \"empty\": \"\"}},"
                         " {\"targets\": [\"c:1\"], \"labels\": {\"pg_cluster\": \"stock\"}}]"));
    assert_int_equal(w->list.n, 2);
    assert_string_equal(w->list.targets[0].cluster, "orders");
    assert_string_equal(w->list.targets[0].endpoint, "write");
    assert_string_equal(key_of(&w->list.targets[0], "host"), "a.example.com,2001:db8::1,b");
    assert_string_equal(key_of(&w->list.targets[0], "port"), "6432,5433,5432");
    assert_int_equal(w->list.targets[0].n_labels, 1);
    assert_string_equal(w->list.targets[0].labels[0].name, "team");
    assert_string_equal(w->list.targets[1].endpoint, "default");
    assert_int_equal(w->messages.n, 0);
}

static void test_yaml_is_read_like_json(void **state)
{
    struct world *w = *state;

    assert_true(parse(w, "- targets: ['a:1']\n  labels: {pg_cluster: x}\n"
                         "- targets: ['b:2']\n  labels: {pg_cluster: x}\n- targets: []\n"));
    assert_int_equal(w->list.n, 1);
    assert_string_equal(key_of(&w->list.targets[0], "host"), "a,b");
    assert_true(parse(w, "[]"));
    assert_int_equal(w->list.n, 0);
}

static void test_the_discovery_says_what_targets_are_called(void **state)
{
    struct world *w = *state;

    w->discovery.cluster = "{env}-{app}";
    w->discovery.endpoint = "read";
    assert_true(parse(w, "[{\"targets\":[\"a:1\"],\"labels\":{\"env\":\"eu\",\"app\":\"shop\"}}]"));
    assert_string_equal(w->list.targets[0].cluster, "eu-shop");
    assert_string_equal(w->list.targets[0].endpoint, "read");
    assert_int_equal(w->list.targets[0].n_labels, 2);
    assert_refused(w, "[{\"targets\":[\"a:1\"],\"labels\":{\"env\":\"eu\"}}]",
                   "targets.json:1:2: a target has no label for its cluster, which is "
                   "\"{env}-{app}\"");
}

static void test_some_keys_may_be_set_and_no_secret(void **state)
{
    struct world *w = *state;
    static const char *const refused[] = {"password",   "password_file",   "sslmode", "sslrootcert",
                                          "sslkey",     "passfile",        "dsn",     "pin_sha256",
                                          "allow_auth", "dsn_file",        "options", "host",
                                          "user_file",  "certificate_file"};

    assert_true(parse(w, "[{\"targets\":[\"a:1\"],\"labels\":{\"pg_cluster\":\"x\","
                         "\"__pgtls_dbname\":\"app\",\"__pgtls_user\":\"monitor\"}}]"));
    assert_string_equal(key_of(&w->list.targets[0], "dbname"), "app");
    assert_string_equal(key_of(&w->list.targets[0], "user"), "monitor");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char text[256];

        snprintf(text, sizeof text,
                 "[{\"targets\":[\"a:1\"],\"labels\":{\"pg_cluster\":\"x\",\"__pgtls_%s\":\"y\"}}]",
                 refused[i]);
        assert_refused(w, text, "sets nothing that a discovery may set");
    }
}

static void test_names_lead_to_no_other_path(void **state)
{
    struct world *w = *state;

    assert_refused(w, "[{\"targets\":[\"a:1\"],\"labels\":{\"pg_cluster\":\"../../etc\"}}]",
                   "holds a \"/\"");
    assert_refused(w, "[{\"targets\":[\"a:1\"],\"labels\":{\"pg_cluster\":\"..\"}}]", "is . or ..");
    assert_refused(
        w, "[{\"targets\":[\"a:1\"],\"labels\":{\"pg_cluster\":\"x\",\"__pgtls_user\":\"a/b\"}}]",
        "holds a \"/\"");
}

static void test_what_is_no_list_of_targets_is_refused(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"<html><body>Not found</body></html>", "targets: a single value where a list is needed"},
        {"", "empty; a list of no targets is written []"},
        {"{\"targets\": []}", "where a list is needed"},
        {"[1]", "a group of targets"},
        {"[{\"labels\": {}}]", "without \"targets\""},
        {"[{\"targets\": \"a:1\"}]", "targets: "},
        {"[{\"targets\": [\"a:1\"], \"labels\": [1]}]", "labels: "},
        {"[{\"targets\": [\"a:1\"], \"label\": {}}]", "key \"label\" is neither"},
        {"[{\"targets\": [\"a:1\"], \"labels\": {\"pg_cluster\": [1]}}]", "a label: "},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (parse(w, rows[i].text))
            fail_msg("accepted: %s", rows[i].text);
        if (!strstr(w->messages.items[0].text, rows[i].error))
            fail_msg("%s\nsays: %s", rows[i].text, w->messages.items[0].text);
    }
}

static void test_what_is_no_server_is_refused(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *target, *error;
    } rows[] = {
        {"postgresql://a:1", "is a URL"},
        {"", "is no server"},
        {"a:0", "has no port"},
        {"a:65536", "has no port"},
        {"a:b", "has no port"},
        {"2001:db8::1", "an IPv6 address is written"},
        {"[2001:db8::1", "an IPv6 address"},
        {"[::1]5432", "an IPv6 address"},
        {"a,b:1", "is no server"},
        {"/run/postgresql:5432", "is no server"},
        {":5432", "has no host"},
        {"user@a:1", "is no server"},
        {"{cluster}:1", "is no server"},
        {"a b:1", "is no server"},
        {"a\\u0000b:1", "is no server"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];

        snprintf(text, sizeof text, "[{\"targets\":[\"%s\"],\"labels\":{\"pg_cluster\":\"x\"}}]",
                 rows[i].target);
        assert_refused(w, text, rows[i].error);
    }
}

static void test_doubles_are_one_and_said(void **state)
{
    struct world *w = *state;

    assert_true(parse(w, "[{\"targets\":[\"a:1\",\"a:1\"],\"labels\":{\"pg_cluster\":\"x\"}},"
                         "{\"targets\":[\"b:1\"],\"labels\":{\"pg_cluster\":\"x\",\"t\":\"2\"}}]"));
    assert_string_equal(key_of(&w->list.targets[0], "host"), "a,b");
    assert_int_equal(w->messages.warnings, 2);
    assert_non_null(strstr(w->messages.items[0].text, "\"a:1\" is there twice"));
    assert_non_null(strstr(w->messages.items[1].text, "other labels than before"));
}

static void test_a_million_targets_are_too_many(void **state)
{
    struct world *w = *state;
    const int more = slower() > 1 ? CONFIG_MAX_SERVERS : 1000000;
    struct buf text = BUF_INIT(CONFIG_MAX_BYTES);

    buf_add_str(&text, "[{\"targets\":[\"a:1\"");
    for (int i = 0; i < more; i++)
        buf_add_str(&text, ",\"a:1\"");
    buf_add_str(&text, "],\"labels\":{\"pg_cluster\":\"x\"}}]");
    assert_false(text.failed);
    assert_false(parse(w, buf_text(&text)));
    assert_non_null(strstr(w->messages.items[0].text, "at most 100000 are allowed"));
    buf_deinit(&text);
}

/* --- the configuration's side ----------------------------------------------------------------- */

static struct endpoint_set *load(struct world *w, const char *text)
{
    config_messages_deinit(&w->messages);
    return config_load_text("/etc/pgtls.yml", text, strlen(text), &w->messages);
}

static void test_discoveries_are_read(void **state)
{
    struct world *w = *state;
    struct endpoint_set *set =
        load(w, "templates: {pg: {user: monitor}}\n"
                "discovery:\n"
                "  - file_sd: {files: [a.json, 'b/*.yml']}\n"
                "    template: pg\n"
                "  - http_sd: {url: 'https://inventory.example.com/pg', user: u, password_env: P,\n"
                "              refresh_interval: 10s, ca_file: ca.pem}\n"
                "    cluster: '{app}'\n"
                "  - dns_sd: {names: [_postgresql._tcp.db.example.com]}\n"
                "    cluster: db\n");

    if (!set)
        fail_msg("%s", w->messages.items[0].text);
    assert_int_equal(set->n_discoveries, 3);
    assert_string_equal(set->discoveries[0].items[0], "/etc/a.json");
    assert_string_equal(set->discoveries[0].items[1], "/etc/b/*.yml");
    assert_string_equal(set->discoveries[0].template, "pg");
    assert_string_equal(set->discoveries[0].cluster, "{pg_cluster}");
    assert_string_equal(set->discoveries[1].items[0], "https://inventory.example.com/pg");
    assert_int_equal(set->discoveries[1].refresh_interval_ns, 10000000000);
    assert_string_equal(set->discoveries[1].ca_file, "/etc/ca.pem");
    assert_int_equal(set->discoveries[1].password.source, SECRET_ENVIRONMENT);
    assert_string_equal(set->discoveries[2].cluster, "db");
    assert_true(discovery_same(&set->discoveries[0], &set->discoveries[0]));
    assert_false(discovery_same(&set->discoveries[0], &set->discoveries[1]));
    endpoint_set_unref(set);
}

static void test_wrong_discoveries_are_told(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"discovery: {}", "discovery: a mapping where a list is needed"},
        {"discovery: [{}]", "file_sd, http_sd or dns_sd is needed"},
        {"discovery: [{file_sd: {files: [a]}, http_sd: {url: 'http://a'}}]", "cannot stand beside"},
        {"discovery: [{file_sd: {}}]", "file_sd: write for example"},
        {"discovery: [{file_sd: {files: []}}]", "an empty list"},
        {"discovery: [{file_sd: {file: [a]}}]", "did you mean \"files\"?"},
        {"discovery: [{http_sd: {url: 'ftp://a'}}]", "url: begins with http:// or https://"},
        {"discovery: [{http_sd: {url: 'http://u:p@a/'}}]", "url: holds a user or a password"},
        {"discovery: [{http_sd: {url: 'http://a', user: u}}]", "needs password_file"},
        {"discovery: [{http_sd: {url: 'http://a', password_env: P}}]", "needs user"},
        {"discovery: [{http_sd: {url: 'http://a', sslrootcert: x}}]", "does not belong into"},
        {"discovery: [{dns_sd: {names: [x]}}]", "dns_sd: needs cluster"},
        {"discovery: [{file_sd: {files: [a]}, template: nosuch}]", "nosuch"},
        {"clusters: [{name: a, host: b, resolve: some}]", "resolve: "},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct endpoint_set *set = load(w, rows[i].text);

        if (set)
            fail_msg("accepted: %s", rows[i].text);
        if (!strstr(w->messages.items[0].text, rows[i].error))
            fail_msg("%s\nsays: %s", rows[i].text, w->messages.items[0].text);
    }
}

/* --- every address of a name ------------------------------------------------------------------ */

static struct endpoint_set *build(struct world *w, struct config_source *source)
{
    config_messages_deinit(&w->messages);
    return config_source_build(source, &w->messages);
}

static void test_every_address_becomes_a_server(void **state)
{
    static const char *const two[] = {"192.0.2.2", "192.0.2.1"}, *const six[] = {"2001:db8::1"};
    struct world *w = *state;
    struct config_source *source = config_source_new();
    struct endpoint_set *set;

    assert_true(config_source_add_dsn(source, "DATABASE_URL",
                                      "postgresql://db.example.com:6432/app?sslmode=require"));
    set = build(w, source);
    assert_int_equal(set->n_servers, 1);
    assert_null(set->follows);
    endpoint_set_unref(set);
    config_source_free(source);

    source = config_source_new();
    FILE *f = fopen("targets-resolve.yml", "w");
    fputs("clusters: [{name: a, host: db.example.com, port: 6432, resolve: all}]\n", f);
    fclose(f);
    assert_true(config_source_add_path(source, "targets-resolve.yml"));
    config_source_read(source);
    set = build(w, source);
    assert_string_equal(set->follows->host, "db.example.com");
    assert_int_equal(set->n_servers, 1);
    assert_string_equal(set->servers[0].name, "db.example.com:6432");
    assert_int_equal(set->endpoints[0].require, REQUIRE_ALL);
    endpoint_set_unref(set);

    assert_true(config_source_set_addresses(source, "db.example.com", two, 2));
    assert_false(config_source_set_addresses(source, "db.example.com", two, 2));
    set = build(w, source);
    assert_int_equal(set->n_servers, 2);
    assert_string_equal(set->servers[0].name, "192.0.2.1:6432");
    assert_string_equal(set->servers[0].host, "db.example.com");
    assert_string_equal(set->servers[0].hostaddr, "192.0.2.1");
    assert_string_equal(set->servers[1].name, "192.0.2.2:6432");
    endpoint_set_unref(set);

    assert_true(config_source_set_addresses(source, "db.example.com", six, 1));
    assert_false(config_source_set_addresses(source, "db.example.com", six, 0));
    set = build(w, source);
    assert_int_equal(set->n_servers, 1);
    assert_string_equal(set->servers[0].name, "[2001:db8::1]:6432");
    endpoint_set_unref(set);
    config_source_free(source);
    assert_int_equal(remove("targets-resolve.yml"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_targets_of_one_endpoint_are_its_servers),
        TEST(test_yaml_is_read_like_json),
        TEST(test_the_discovery_says_what_targets_are_called),
        TEST(test_some_keys_may_be_set_and_no_secret),
        TEST(test_names_lead_to_no_other_path),
        TEST(test_what_is_no_list_of_targets_is_refused),
        TEST(test_what_is_no_server_is_refused),
        TEST(test_doubles_are_one_and_said),
        TEST(test_a_million_targets_are_too_many),
        TEST(test_discoveries_are_read),
        TEST(test_wrong_discoveries_are_told),
        TEST(test_every_address_becomes_a_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
