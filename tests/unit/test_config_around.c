/* config/: the messages about what stands around servers, word for word: where targets are
 * discovered, settings of the whole exporter, templates, names and paths. Those about servers are
 * in test_config_messages.c. */
#include "config_world.h"

#include "pgtls/base/buf.h"

#define CLUSTERS "clusters: [{name: a, host: h}]\n"
#define HTTP_SD  "discovery: [{http_sd: "

/* One mistake each; the first message is compared. */
static const struct {
    const char *text, *message;
} mistakes[] = {
    /* Where targets come from. */
    {"discovery: {file_sd: {files: [x]}}",
     "t.yml:1:12: discovery: a mapping where a list is needed; each item begins with \"- \""},
    {"discovery: [targets.json]", "t.yml:1:13: discovery: a single value where a mapping is "
                                  "needed; each item has file_sd, http_sd or dns_sd"},
    {"discovery: [{cluster: c}]", "t.yml:1:13: discovery: file_sd, http_sd or dns_sd is needed"},
    {"discovery: [{file_sd: {files: [x]}, http_sd: {url: 'http://h/'}}]",
     "t.yml:1:46: http_sd: cannot stand beside file_sd; write two items"},
    {"discovery: [{file_sd: [x]}]", "t.yml:1:23: file_sd: a list where a mapping is needed; "
                                    "{files: [targets/*.json]}"},
    {"discovery: [{file_sd: {}}]",
     "t.yml:1:23: file_sd: write for example {files: [targets/*.json]}"},
    {"discovery: [{dns_sd: {names: [_postgresql._tcp.h]}}]",
     "t.yml:1:13: dns_sd: needs cluster beside it: an SRV record does not tell any"},
    {HTTP_SD "{url: 'ftp://h/'}}]", "t.yml:1:29: url: begins with http:// or https://"},
    {HTTP_SD "{url: 'https://'}}]", "t.yml:1:29: url: begins with http:// or https://"},
    {HTTP_SD "{url: 'http://u:hunter2@h/'}}]",
     "t.yml:1:29: url: holds a user or a password; give user, and password_file or "
     "password_env, beside it"},
    {HTTP_SD "{url: 'http://h/', user: u}}]",
     "t.yml:1:48: user: needs password_file or password_env beside it"},
    {HTTP_SD "{url: 'http://h/', password_file: /p}}]",
     "t.yml:1:57: password_file: needs user beside it"},
    {HTTP_SD "{url: 'http://h/', user: u, password_env: P, bearer_env: T}}]",
     "t.yml:1:80: bearer_env: cannot stand beside user; give one of them"},
    {HTTP_SD "{url: 'http://h/', cert_file: /c}}]",
     "t.yml:1:53: cert_file: needs key_file beside it"},
    {HTTP_SD "{url: 'http://h/', key_file: /k}}]",
     "t.yml:1:52: key_file: needs cert_file beside it"},

    /* Settings, defaults. */
    {CLUSTERS "limits: 100", "t.yml:2:9: limits: a single value where a mapping is needed; write "
                             "for example {in_flight: 1024}"},
    {CLUSTERS "histogram_buckets: 1", "t.yml:2:20: histogram_buckets: a single value where a "
                                      "list is needed; write for example [0.01, 0.1]"},
    {CLUSTERS "defaults: 30s", "t.yml:2:11: defaults: a single value where a mapping is needed; "
                               "write for example {interval: 30s}"},

    /* Clusters, endpoints, templates. */
    {"clusters: [a]", "t.yml:1:12: cluster: a single value where a mapping is needed; begin it "
                      "with \"name:\""},
    {"clusters: [{name: a, endpoints: [h]}]",
     "t.yml:1:33: endpoints: a list where a mapping is needed; write for example {write: {host: "
     "db.example}}"},
    {"clusters: [{name: a, endpoints: {e: h}}]",
     "t.yml:1:37: endpoint: a single value where a mapping is needed; write {} if nothing is its "
     "own, or null to remove an inherited one"},
    {CLUSTERS "templates: {t: x}", "t.yml:2:16: template: a single value where a mapping is "
                                   "needed; write for example {user: monitor}"},
    {CLUSTERS "templates: {t: {endpoints: [h]}}",
     "t.yml:2:28: endpoints: a list where a mapping is needed; write for example {write: {host: "
     "\"{cluster}.example\"}}"},
    {CLUSTERS "templates: {t: {endpoints: {e: h}}}",
     "t.yml:2:32: endpoint: a single value where a mapping is needed; write {} if nothing is its "
     "own, or null to remove an inherited one"},
    {"templates: {t: {endpoints: {e: {host: h}}}}\n"
     "clusters: [{name: a, template: t, endpoints: {e: null}}]",
     "t.yml:2:46: endpoints: none is left; there is nothing to watch in this cluster"},

    /* Names, paths, secrets. */
    {"clusters: [{name: a, host: '@abstract', sslmode: disable}]",
     "t.yml:1:28: host: abstract Unix sockets are not supported; give a directory"},
    {"clusters: [{name: a, host: db\xc3\xa9.example}]",
     "t.yml:1:28: host: not an ASCII name; write its xn-- form"},
    {"clusters: [{name: a, host: h, sslkey: /k}]",
     "t.yml:1:39: sslkey: needs its certificate; give sslcert beside it"},
    {"clusters: [{name: a, host: h, user: u, password: ''}]",
     "t.yml:1:50: password: a secret is 1 to 4096 bytes long and holds no NUL"},
    {"clusters: [{name: a, host: h, user: u, password: \"hunter2\\0\"}]",
     "t.yml:1:50: password: a secret is 1 to 4096 bytes long and holds no NUL"},
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

static void assert_says(const char *text, const char *message)
{
    assert_null(load(text));
    assert_true(messages.n > 0);
    assert_string_equal(messages.items[0].text, message);
}

/* What has a bound: the last that is within it loads. */
static void test_names_that_are_too_long(void **state)
{
    char name[512], directory[512], text[1024];
    struct endpoint_set *set;

    (void)state;
    memset(name, 'a', sizeof name);
    snprintf(text, sizeof text, "clusters: [{name: a, host: %.255s}]", name);
    set = load_good(text);
    endpoint_set_unref(set);
    snprintf(text, sizeof text, "clusters: [{name: a, host: %.256s}]", name);
    assert_says(text, "t.yml:1:28: host: a name of 256 bytes; at most 255 are allowed");

    snprintf(directory, sizeof directory, "/%.91s", name);
    snprintf(text, sizeof text, "clusters: [{name: a, host: %s, sslmode: disable}]", directory);
    set = load_good(text);
    endpoint_set_unref(set);
    snprintf(directory, sizeof directory, "/%.92s", name);
    snprintf(text, sizeof text, "clusters: [{name: a, host: %s, sslmode: disable}]", directory);
    assert_says(text, "t.yml:1:28: host: this directory is too long for a Unix socket: 93 bytes, "
                      "at most 92");
}

/* Each of `n` variables stands for the next, over two levels, because one has room for 32. */
static void chain(struct buf *text, int n)
{
    buf_reset(text);
    buf_add_str(text, "defaults: {vars: {");
    for (int i = 0; i < n; i++)
        buf_addf(text, "%sv%d: '{v%d}', ",
                 i == n / 2 ? "}}\nclusters: [{name: a, host: '{v0}', vars: {" : "", i, i + 1);
    buf_addf(text, "v%d: db}}]", n);
}

static void test_placeholders_that_go_on_and_on(void **state)
{
    struct buf text = BUF_INIT(4096);
    struct endpoint_set *set;

    (void)state;
    chain(&text, 7);
    set = load_good(buf_text(&text));
    assert_string_equal(set->servers[0].host, "db");
    endpoint_set_unref(set);
    chain(&text, 50);
    assert_null(load(buf_text(&text)));
    assert_non_null(
        strstr(messages.items[0].text, "placeholders stand for placeholders more than 32 deep"));
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mistake_has_its_message),
        cmocka_unit_test(test_names_that_are_too_long),
        cmocka_unit_test(test_placeholders_that_go_on_and_on),
    };

    return cmocka_run_group_tests_name("config_around", tests, NULL, forget_messages);
}
