/* --config.show: where values come from, that no secret is in it, and that it loads again. */
#include "pgtls/base/buf.h"
#include "pgtls/config/source.h"
#include "pgtls/model/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/pgtls-show-XXXXXX";

static void put(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* What is shown of the file; "" if nothing. */
static const char *show(const char *which)
{
    static char shown[1 << 20];
    struct config_source *source = config_source_new();
    struct config_messages messages = {.n = 0};
    struct buf text = BUF_INIT(sizeof shown - 1);

    assert_true(config_source_add_path(source, path));
    config_source_read(source);
    shown[0] = '\0';
    if (config_source_show(source, which, &text, &messages))
        snprintf(shown, sizeof shown, "%s", buf_text(&text));
    config_messages_deinit(&messages);
    config_source_free(source);
    buf_deinit(&text);
    return shown;
}

/* Is there a line "key: value" and behind it this comment (without the file's name)? */
static void assert_line(const char *shown, const char *value, const char *comment)
{
    char line[512];
    const char *at = strstr(shown, value), *end;

    if (!at)
        fail_msg("no \"%s\" in\n%s", value, shown);
    end = strchr(at, '\n');
    snprintf(line, sizeof line, "%.*s", (int)(end - at), at);
    if (!strstr(line, comment))
        fail_msg("\"%s\", not \"%s\"", line, comment);
    assert_true(line[strlen(value)] == ' ');
}

static const char everything[] =
    "defaults: {interval: 9s, labels: {env: prod}, promise: {pooled: true}}\n"
    "templates:\n"
    "  t:\n"
    "    user: '{cluster}_x'\n"
    "    password_file: '/run/{user}'\n"
    "    endpoints:\n"
    "      write: {host: '{endpoint}.db', login: {interval: 90s}}\n"
    "      read: {dsn: 'postgresql://ro:hunter2@r1,r2:7/app?target_session_attrs=standby'}\n"
    "limits: {in_flight: 77}\n"
    "histogram_buckets: [0.1, 2]\n"
    "clusters:\n"
    "  - name: 'odd: name'\n"
    "    template: t\n"
    "    labels: {team: 'a {{b}} \"c\"'}\n"
    "    timeout: 2s\n"
    "  - name: plain\n"
    "    host: h\n"
    "    user: u\n"
    "    password: hunter2\n"
    "    sslpassword: hunter2\n"
    "    sslmode: require\n"
    "    policy: {interval: 2h}\n"
    "    allow_auth: [md5]\n"
    "    session: [{idle: 1m, name: '{cluster}'}]\n"
    "    options: '-c x={{y}}'\n"
    "    pin_sha256: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
    "    promise: {addresses: [192.0.2.1], max_lag: 3s}\n"
    "  - {name: told, host: h, user: u, maintenance: 'false', session: [{idle: 1m, name: '7'}]}\n"
    "  - {name: off, host: h, user: u, login: false, policy: false, promise: null}\n"
    "histograms: both\n"
    "modules:\n"
    "  odd.one: {allow_targets: ['*.x', '10.0.0.0/8:*'], user: '{u}', password: hunter2,\n"
    "            login: {enabled: false}, promise: {addresses: [192.0.2.1]}}\n";

static void test_where_values_come_from(void **state)
{
    const char *shown;

    (void)state;
    put(everything);
    shown = show("odd: name/write");
    assert_line(shown, "host: write.db", ":7");
    assert_line(shown, "user: \"odd: name_x\"", ":4");
    assert_line(shown, "interval: 9s", ":1");
    assert_line(shown, "timeout: 2s", ":15");
    assert_line(shown, "          interval: 1m30s", ":7");
    assert_line(shown, "port: 5432", "# default");
    assert_line(shown, "sslmode: verify-full", "# default");
    assert_line(shown, "team: \"a {{b}} \\\"c\\\"\"", ":14");
    assert_line(shown, "env: prod", ":1");
    assert_line(shown, "pooled: true", ":1");
    assert_null(strstr(shown, "read:"));
    assert_null(strstr(shown, "plain"));
    shown = show("odd: name/read");
    assert_line(shown, "host: \"r1,r2\"", ":8 (connection string)");
    assert_line(shown, "dsn: target_session_attrs=standby", ":8 (connection string)");
    assert_line(show("told"), "maintenance: \"false\"", ":28"); /* a text, not the word */
    assert_string_equal(show("nothing"), "");
    assert_string_equal(show("plain/nothing"), "");
}

/* As they were given: braces are braces there, and nothing is inherited. */
static void test_modules_are_shown(void **state)
{
    const char *shown;

    (void)state;
    put(everything);
    shown = strstr(show(NULL), "modules:\n");
    assert_non_null(shown);
    assert_line(shown, "  odd.one:", ":32");
    assert_line(shown, "    user: \"{u}\"", ":32");
    assert_line(shown, "    allow_targets: [\"*.x\", \"10.0.0.0/8:*\"]", ":32");
    assert_line(shown, "    # password: not shown", ":32");
    put("modules: {m: {allow_targets: [h]}}"); /* and nothing else */
    assert_line(show(NULL), "  m:", ":1");
}

static void test_secrets_are_not_shown(void **state)
{
    const char *shown;

    (void)state;
    put(everything);
    shown = show(NULL);
    assert_null(strstr(shown, "hunter2"));
    assert_line(shown, "# sslpassword: not shown", ":20");
    assert_line(shown, "# password: not shown", ":8 (connection string)");
    assert_line(show("plain"), "# password: not shown", ":19");
    assert_null(strstr(show("plain"), "modules"));
}

/* Without what is behind it on each line. */
static char *without_comments(const char *text)
{
    char *copy = calloc(1, strlen(text) + 1), *to = copy;

    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        size_t len = strcspn(line, "\n");
        const char *comment = memchr(line, '#', len);

        if (comment)
            len = (size_t)(comment - line);
        while (len > 0 && line[len - 1] == ' ')
            len--;
        if (len == 0)
            continue;
        memcpy(to, line, len);
        to += len;
        *to++ = '\n';
    }
    return copy;
}

static void test_it_loads_again(void **state)
{
    struct config_messages messages = {.n = 0};
    struct endpoint_set *first, *second;
    char *before, *after;

    (void)state;
    put(everything);
    first = config_load_file(path, &messages);
    assert_non_null(first);
    config_messages_deinit(&messages);
    before = without_comments(show(NULL));
    put(before);
    second = config_load_file(path, &messages);
    for (size_t i = 0; i < messages.n && !second; i++)
        print_error("%s\n", messages.items[i].text);
    assert_non_null(second);
    config_messages_deinit(&messages);
    after = without_comments(show(NULL));
    assert_string_equal(before, after);
    assert_int_equal(first->n_servers, second->n_servers);
    assert_int_equal(second->settings.max_in_flight, 77);
    assert_int_equal(second->settings.n_buckets, 2);
    assert_int_equal(second->settings.histograms, HISTOGRAMS_BOTH);
    for (size_t i = 0; i < first->n_servers; i++) {
        const struct server *a = &first->servers[i], *b = &second->servers[i];

        assert_true(server_same(a, b));
        assert_true(server_sessions_alike(a, b));
        assert_int_equal(a->interval_ns, b->interval_ns);
        assert_int_equal(a->login, b->login);
        assert_int_equal(a->login_interval_ns, b->login_interval_ns);
        assert_int_equal(a->policy_interval_ns, b->policy_interval_ns);
        assert_int_equal(a->sslmode, b->sslmode);
        assert_int_equal(a->promises.role, b->promises.role);
        assert_int_equal(a->promises.pooled, b->promises.pooled);
        assert_int_equal(a->promises.max_lag_ns, b->promises.max_lag_ns);
        assert_int_equal(a->promises.n_addresses, b->promises.n_addresses);
        assert_int_equal(a->n_labels, b->n_labels);
        assert_int_equal(a->n_pins, b->n_pins);
        assert_int_equal(a->allow_auth, b->allow_auth);
    }
    endpoint_set_unref(first);
    endpoint_set_unref(second);
    free(before);
    free(after);
}

static int setup(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd >= 0 ? close(fd) : -1;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_values_come_from),
        cmocka_unit_test(test_secrets_are_not_shown),
        cmocka_unit_test(test_it_loads_again),
        cmocka_unit_test(test_modules_are_shown),
    };

    return cmocka_run_group_tests_name("show", tests, setup, teardown);
}
