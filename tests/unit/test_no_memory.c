/* What loads a configuration, a connection string or a list of targets without memory comes to the
 * same as ever or says that it does not, and leaves nothing behind (under sanitizers leaks are
 * errors). */
#include "no_memory.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/config/discovery.h"
#include "pgtls/config/source.h"
#include "pgtls/config/web_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_BYTES ((size_t)64 * 1024 * 1024)

/* --- configuration ---------------------------------------------------------------------------- */

/* The same without what is wrong with it. */
static void write_config(const char *path, bool good)
{
    FILE *file = fopen(path, "w");
    const char *wrong = strstr(no_memory_config, NO_MEMORY_WRONG), *rest;

    assert_non_null(file);
    assert_non_null(wrong);
    rest = wrong + strlen(NO_MEMORY_WRONG);
    fwrite(no_memory_config, 1, (size_t)(wrong - no_memory_config), file);
    fputs(good ? rest : wrong, file);
    fclose(file);
}

static struct {
    char path[64];
    struct config_source *source;
    struct buf shown;
} world;

static bool load_and_show(struct buf *to, struct config_messages *messages)
{
    struct config_source *source = config_source_new();
    bool good = source && config_source_add_path(source, world.path) &&
                config_source_read(source) && config_source_show(source, NULL, to, messages);

    config_source_free(source);
    return good && !to->failed;
}

static void show_config(void *unused)
{
    struct config_messages messages = {0};
    struct buf text = BUF_INIT(MAX_BYTES);
    bool good = load_and_show(&text, &messages);

    (void)unused;
    if (good)
        assert_true(no_memory_same_words(buf_text(&text), buf_text(&world.shown)));
    else
        assert_true(no_memory_failed > 0);
    buf_deinit(&text);
    config_messages_deinit(&messages);
}

static void test_a_configuration_is_loaded_as_it_is_or_not(void **state)
{
    struct config_messages messages = {0};

    (void)state;
    write_config(world.path, true);
    world.shown = BUF_INIT(MAX_BYTES);
    if (!load_and_show(&world.shown, &messages))
        fail_msg("%s", messages.n > 0 ? messages.items[0].text : "?");
    no_memory_walk(show_config, NULL);
    buf_deinit(&world.shown);
}

/* What is wrong is an error in any case. */
static void load_wrong(void *unused)
{
    struct config_messages messages = {0};
    struct config_source *source = config_source_new();
    struct endpoint_set *set = NULL;

    (void)unused;
    if (source && config_source_add_path(source, world.path) && config_source_read(source)) {
        set = config_source_build(source, &messages);
        assert_null(set);
        assert_true(messages.errors > 0);
    }
    config_source_free(source);
    config_messages_deinit(&messages);
}

static void test_an_error_is_one_without_memory_too(void **state)
{
    (void)state;
    write_config(world.path, false);
    no_memory_walk(load_wrong, NULL);
}

/* Without memory what was in force stays there, to the last server. */
static void reload(void *unused)
{
    struct config_messages messages = {0};
    bool read = config_source_read(world.source);
    struct endpoint_set *set = config_source_build(world.source, &messages);

    (void)unused;
    if (set)
        assert_int_equal(set->n_servers, 11);
    if (!read || !set || messages.errors > 0)
        assert_true(no_memory_failed > 0);
    endpoint_set_unref(set);
    config_messages_deinit(&messages);
}

static void test_a_reload_drops_nothing(void **state)
{
    struct config_messages messages = {0};
    struct endpoint_set *set;

    (void)state;
    write_config(world.path, true);
    world.source = config_source_new();
    assert_true(config_source_add_path(world.source, world.path));
    assert_true(config_source_read(world.source));
    set = config_source_build(world.source, &messages);
    assert_non_null(set);
    assert_int_equal(set->n_servers, 11);
    endpoint_set_unref(set);
    no_memory_walk(reload, NULL);
    config_source_free(world.source);
    config_messages_deinit(&messages);
}

static const char *const dsns[] = {
    "postgresql://me:pw@a.example:5432,b.example/app?sslmode=verify-full&application_name=a%20b",
    "postgresql+asyncpg://me:pw@[2001:db8::1]:6432/app?ssl=require",
    "jdbc:postgresql://a.example:5433/app?user=me&password=pw&sslmode=require",
    "host=a.example,b.example port=1,2 user='me too' password='p\\'w' sslmode=require",
};

static void load_dsn(void *dsn)
{
    struct config_messages messages = {0};
    struct endpoint_set *set = config_load_dsn("DATABASE_URL", dsn, &messages);

    if (!set)
        assert_true(messages.errors > 0 && no_memory_failed > 0);
    for (size_t i = 0; set && i < set->n_servers; i++) {
        assert_non_null(set->servers[i].user);
        assert_true(strncmp(set->servers[i].user, "me", 2) == 0);
        assert_non_null(set->servers[i].password.value);
        assert_true(set->servers[i].sslmode >= SSLMODE_REQUIRE);
    }
    endpoint_set_unref(set);
    config_messages_deinit(&messages);
}

static void test_connection_strings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dsns / sizeof *dsns; i++)
        no_memory_walk(load_dsn, (void *)(uintptr_t)dsns[i]);
}

static const char web_text[] =
    "tls_server_config: {cert_file: c.pem, key_file: k.pem, client_auth_type: "
    "RequireAndVerifyClientCert, client_ca_file: ca.pem, cipher_suites: "
    "[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], client_allowed_sans: [a, b]}\n"
    "http_server_config: {headers: {X-Frame-Options: deny}}\n"
    "basic_auth_users: {a: $2y$10$0123456789012345678901234567890123456789012345678901a, "
    "b: $2y$10$0123456789012345678901234567890123456789012345678901b}\n";

static void load_web(void *unused)
{
    struct config_messages messages = {0};
    struct web_config *config =
        web_config_load_text("web.yml", web_text, strlen(web_text), &messages);

    (void)unused;
    if (!config) {
        assert_true(messages.errors > 0);
    } else { /* nobody gets in who might not else */
        assert_true(config->tls);
        assert_int_equal(config->client_auth, WEB_CLIENT_REQUIRE_AND_VERIFY);
        assert_int_equal(config->n_users, 2);
        assert_int_equal(config->n_allowed_sans, 2);
        assert_int_equal(config->n_suites, 1);
        assert_non_null(config->client_ca.path);
    }
    web_config_free(config);
    config_messages_deinit(&messages);
}

static void test_a_web_configuration(void **state)
{
    struct config_messages messages = {0};
    struct web_config *config =
        web_config_load_text("web.yml", web_text, strlen(web_text), &messages);

    (void)state;
    if (!config)
        fail_msg("%s", messages.n > 0 ? messages.items[0].text : "?");
    web_config_free(config);
    config_messages_deinit(&messages);
    no_memory_walk(load_web, NULL);
}

/* --- discovery -------------------------------------------------------------------------------- */

static const char targets_text[] =
    "[{\"targets\": [\"a.example:6432\", \"[2001:db8::1]:5433\", \"b\"],"
    "  \"labels\": {\"pg_cluster\": \"orders\", \"pg_endpoint\": \"write\", \"team\": \"shop\","
    "              \"__pgtls_interval\": \"9s\", \"__meta\": \"x\"}},"
    " {\"targets\": [\"c:1\"], \"labels\": {\"pg_cluster\": \"stock\", \"pg_endpoint\": \"r\"}}]";

static void take_targets(void *unused)
{
    const struct discovery discovery = {
        .kind = DISCOVERY_FILE, .cluster = "{pg_cluster}", .endpoint = "{pg_endpoint}"};
    struct config_messages messages = {0};
    struct config_target_list list = {.n = 0};
    struct config_source *source = config_source_new();
    struct arena *arena = arena_new();
    bool good = arena && discovery_parse(&discovery, "t.json", targets_text, strlen(targets_text),
                                         arena, &list, &messages);
    bool set = good && source && config_source_set_targets(source, &list);

    (void)unused;
    if (good) {
        assert_int_equal(list.n, 2);
        assert_string_equal(list.targets[0].cluster, "orders");
        assert_string_equal(list.targets[1].endpoint, "r");
        assert_int_equal(list.targets[0].n_labels, 1);
    } else if (no_memory_failed == 0) {
        fail_msg("%s", messages.n > 0 ? messages.items[0].text : "?");
    }
    config_messages_deinit(&messages);
    if (set) {
        struct endpoint_set *built = config_source_build(source, &messages);

        if (built)
            assert_int_equal(built->n_servers, 4);
        else
            assert_true(no_memory_failed > 0 && messages.errors > 0);
        endpoint_set_unref(built);
    }
    config_messages_deinit(&messages);
    config_source_free(source);
    arena_free(arena);
}

static void test_targets(void **state)
{
    (void)state;
    no_memory_walk(take_targets, NULL);
}

/* --- */

static int setup(void **state)
{
    int fd;

    (void)state;
    snprintf(world.path, sizeof world.path, "/tmp/pgtls-no-memory-XXXXXX");
    fd = mkstemp(world.path);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(world.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_configuration_is_loaded_as_it_is_or_not),
        cmocka_unit_test(test_an_error_is_one_without_memory_too),
        cmocka_unit_test(test_a_reload_drops_nothing),
        cmocka_unit_test(test_connection_strings),
        cmocka_unit_test(test_a_web_configuration),
        cmocka_unit_test(test_targets),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
