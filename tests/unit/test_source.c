/* config/: several files and lists of targets, what of them is good, and what is in force. */
#include "pgtls/base/buf.h"
#include "pgtls/config/source.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A directory of files, and the source that reads it. */
struct world {
    char dir[64];
    struct config_source *source;
    struct endpoint_set *set;
    struct config_messages messages;
    struct buf names; /* of what is in force: "a/default b/write" */
};

static char *path_of(const struct world *w, const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    return path;
}

static void put(const struct world *w, const char *name, const char *text)
{
    FILE *f = fopen(path_of(w, name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void gone(const struct world *w, const char *name)
{
    assert_int_equal(unlink(path_of(w, name)), 0);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    snprintf(w->dir, sizeof w->dir, "/tmp/pgtls-source-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->source = config_source_new();
    w->names.max = 65536;
    *state = w;
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static int teardown(void **state)
{
    struct world *w = *state;
    config_source_free(w->source);
    endpoint_set_unref(w->set);
    config_messages_deinit(&w->messages);
    buf_deinit(&w->names);
    assert_int_equal(nftw(w->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(w);
    return 0;
}

/* Builds without reading; what is in force, or "none". */
static const char *rebuild(struct world *w)
{
    config_messages_deinit(&w->messages);
    endpoint_set_unref(w->set);
    w->set = config_source_build(w->source, &w->messages);
    buf_reset(&w->names);
    for (size_t i = 0; w->set && i < w->set->n_servers; i++)
        buf_addf(&w->names, "%s%s/%s", i ? " " : "", w->set->servers[i].cluster,
                 w->set->servers[i].endpoint);
    return w->set ? buf_text(&w->names) : "none";
}

static const char *reload(struct world *w)
{
    config_source_read(w->source);
    return rebuild(w);
}

/* "a.yml=1 b.yml=0" */
static const char *validity(struct world *w)
{
    struct config_input_state state;

    buf_reset(&w->names);
    for (size_t i = 0; config_source_input(w->source, i, &state); i++) {
        const char *slash = strrchr(state.name, '/');

        buf_addf(&w->names, "%s%s=%d", i ? " " : "", slash ? slash + 1 : state.name, state.valid);
    }
    return buf_text(&w->names);
}

static size_t count_new(const struct world *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->messages.n; i++)
        n += !w->messages.items[i].repeated;
    return n;
}

static const char *first_message(const struct world *w)
{
    size_t len = strlen(w->dir);

    if (w->messages.n == 0)
        return "";
    return strncmp(w->messages.items[0].text, w->dir, len) == 0 ? w->messages.items[0].text + len
                                                                : w->messages.items[0].text;
}

/* No input fell back at the latest build. */
static bool all_good(const struct world *w)
{
    struct config_input_state input;
    bool good = true;

    for (size_t i = 0; config_source_input(w->source, i, &input); i++)
        good = good && input.valid;
    return good;
}

static void watch(struct world *w, const char *name)
{
    assert_true(config_source_add_path(w->source, *name ? path_of(w, name) : w->dir));
}

#define A "clusters: [{name: a, host: h}]"
#define B "clusters: [{name: b, host: h}]"

static void test_files_of_a_directory(void **state)
{
    struct world *w = *state;

    put(w, "20-b.yaml", B);
    put(w, "10-a.yml", A);
    put(w, ".hidden.yml", "nonsense");
    put(w, "notes.txt", "nonsense");
    put(w, "30-c.yml.bak", "nonsense");
    assert_int_equal(mkdir(path_of(w, "sub.yml"), 0700), 0);
    watch(w, "");
    assert_string_equal(reload(w), "a/default b/default");
    assert_true(all_good(w));
    put(w, "15-z.yml", "clusters: [{name: z, host: h}]");
    gone(w, "20-b.yaml");
    assert_string_equal(reload(w), "a/default z/default");
    assert_string_equal(strchr(validity(w), ' ') + 1, "10-a.yml=1 15-z.yml=1");
}

static void test_what_files_share(void **state)
{
    struct world *w = *state;
    const struct server *s;

    put(w, "1.yml",
        "defaults: {interval: 10s, timeout: 2s, vars: {zone: z}}\nclusters: [{name: a, host: h}]");
    assert_int_equal(mkdir(path_of(w, "d"), 0700), 0);
    put(w, "d/t.yml",
        "templates: {t: {sslrootcert: ca.pem, endpoints: {e: {host: '{cluster}.{zone}'}}}}\n"
        "limits: {in_flight: 7}");
    put(w, "2.yml", "defaults: {interval: 20s}\nclusters: [{name: b, template: t}]");
    watch(w, "1.yml");
    watch(w, "2.yml");
    watch(w, "d");
    assert_string_equal(reload(w), "a/default b/e");
    s = w->set->servers;
    assert_int_equal(s[0].interval_ns / 1000000000, 10);
    assert_int_equal(s[1].interval_ns / 1000000000, 20);
    assert_int_equal(s[1].timeout_ns / 1000000000, 2);
    assert_string_equal(s[1].host, "b.z");
    assert_string_equal(s[1].sslrootcert + strlen(w->dir), "/d/ca.pem");
    assert_int_equal(w->set->settings.max_in_flight, 7);
}

/* Second file, message. The first has cluster a, template t, limits and buckets. */
static const char *const clashes[][2] = {
    {"clusters: [{name: a, host: h}]", "/2.yml:1:19: name: a cluster of this name is already in "
                                       "%s/1.yml on line 1"},
    {"templates: {t: {}}", "/2.yml:1:13: a template \"t\" is already in %s/1.yml on line 2"},
    {"limits: {in_flight: 3}", "/2.yml:1:9: limits: already given in %s/1.yml on line 3; it holds "
                               "for the whole exporter"},
    {"histogram_buckets: [1]", "/2.yml:1:20: histogram_buckets: already given in %s/1.yml on line "
                               "4; it holds for the whole exporter"},
    {"histograms: native", "/2.yml:1:13: histograms: already given in %s/1.yml on line 5; it holds "
                           "for the whole exporter"},
    {"clusters: [{name: b, host: '{x}'}]",
     "/2.yml:1:28: host: unknown placeholder {x}; known here: {cluster}, {endpoint}, {host}, "
     "{port}, {dbname}, {user}; a brace itself is written \"{{\" or \"}}\" (endpoint \"default\" "
     "of cluster \"b\")"},
    {"", "/2.yml:1:1: configuration: nothing where a mapping is needed; it begins with a key, such "
         "as \"clusters:\""},
};

static void test_twice_over_files(void **state)
{
    struct world *w = *state;

    put(w, "1.yml",
        "clusters: [{name: a, host: h}]\ntemplates: {t: {}}\nlimits: {}\n"
        "histogram_buckets: [1]\nhistograms: both\n");
    for (size_t i = 0; i < sizeof clashes / sizeof *clashes; i++) {
        char expected[512];

        put(w, "2.yml", clashes[i][0]);
        config_source_free(w->source);
        w->source = config_source_new();
        watch(w, "");
        assert_string_equal(reload(w), "none");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(expected, sizeof expected, clashes[i][1], w->dir);
#pragma GCC diagnostic pop
        assert_string_equal(first_message(w), expected);
        assert_int_equal(w->messages.errors, 1);
    }
}

static void test_start_wants_all_good(void **state)
{
    struct world *w = *state;

    put(w, "1.yml", A);
    put(w, "2.yml", "clusters: 3");
    watch(w, "");
    assert_string_equal(reload(w), "none");
    assert_false(all_good(w));
    put(w, "2.yml", "defaults: {interval: 9s}");
    assert_string_equal(reload(w), "a/default");
    assert_true(all_good(w));
}

static void test_nothing_to_read(void **state)
{
    struct world *w = *state;

    watch(w, "");
    assert_string_equal(reload(w), "none");
    assert_string_equal(first_message(w),
                        ": no *.yml or *.yaml in this directory; hidden files and "
                        "subdirectories are not looked at");
    put(w, "1.yml", "templates: {t: {}}");
    assert_string_equal(reload(w), "none");
    put(w, "2.yml", "templates: {u: {}}");
    assert_string_equal(reload(w), "none");
    assert_string_equal(first_message(w), "configuration: no clusters: there is nothing to watch; "
                                          "give \"clusters\", \"discovery\" or \"modules\"");
    watch(w, "missing.yml");
    assert_string_equal(reload(w), "none");
    assert_string_equal(first_message(w),
                        "/missing.yml: cannot be read: No such file or directory");
}

static void test_a_bad_file_keeps_its_last_good_content(void **state)
{
    struct world *w = *state;

    put(w, "1.yml", A);
    put(w, "2.yml", B);
    watch(w, "");
    assert_string_equal(reload(w), "a/default b/default");
    /* One breaks while the other grows. */
    put(w, "1.yml", "clusters: [{name: a2, host: h}, {name: c, host: h}]");
    put(w, "2.yml", "clusters: [{name: b, hots: h}]");
    assert_string_equal(reload(w), "a2/default c/default b/default");
    assert_false(all_good(w));
    assert_non_null(strstr(validity(w), "1.yml=1 2.yml=0"));
    assert_int_equal(w->messages.errors, 1);
    assert_int_equal(count_new(w), 1);
    assert_non_null(strstr(first_message(w), "2.yml:1:22: unknown key \"hots\""));
    /* The same bytes again are told, but not as new. */
    assert_string_equal(reload(w), "a2/default c/default b/default");
    assert_int_equal(w->messages.errors, 1);
    assert_int_equal(count_new(w), 0);
    /* Bad in another way: new. */
    put(w, "2.yml", "clusters: [{name: b, hots: h, x: 1}]");
    reload(w);
    assert_int_equal(count_new(w), 2);
    put(w, "2.yml", "clusters: [{name: b2, host: h}]");
    assert_string_equal(reload(w), "a2/default c/default b2/default");
    assert_true(all_good(w));
    assert_non_null(strstr(validity(w), "1.yml=1 2.yml=1"));
    assert_int_equal(w->messages.n, 0);
    /* And what came back broken is said again. */
    put(w, "2.yml", "clusters: [{name: b, hots: h, x: 1}]");
    reload(w);
    assert_int_equal(count_new(w), 2);
}

static void test_a_change_that_breaks_others_does_not_apply(void **state)
{
    struct world *w = *state;

    put(w, "1.yml", "templates: {t: {host: h}}");
    put(w, "2.yml", "clusters: [{name: a, template: t}]");
    put(w, "3.yml", B);
    watch(w, "");
    assert_string_equal(reload(w), "a/default b/default");
    put(w, "1.yml", "templates: {u: {host: h}}");
    assert_string_equal(reload(w), "a/default b/default");
    assert_non_null(strstr(validity(w), "1.yml=0 2.yml=1 3.yml=1"));
    assert_non_null(strstr(first_message(w), "2.yml:1:32: template: unknown template \"t\""));
    reload(w);
    assert_int_equal(count_new(w), 0);
    /* Mended, and broken again: the file that has the error did not change, and it is told anew. */
    put(w, "1.yml", "templates: {t: {host: h}}");
    reload(w);
    assert_true(all_good(w));
    put(w, "1.yml", "templates: {u: {host: h}}");
    reload(w);
    assert_int_equal(count_new(w), 1);
    gone(w, "1.yml");
    assert_string_equal(reload(w), "a/default b/default");
    assert_non_null(strstr(validity(w), "1.yml=0 2.yml=1 3.yml=1"));
    /* Together they are good. */
    put(w, "2.yml", "clusters: [{name: a2, host: h}]");
    assert_string_equal(reload(w), "a2/default b/default");
    assert_null(strstr(validity(w), "1.yml"));
    assert_true(all_good(w));
}

/* What cannot be parsed at all falls back first: others only miss what is in it. */
static void test_who_only_misses_a_broken_file_applies(void **state)
{
    struct world *w = *state;

    put(w, "1.yml", "templates: {t: {host: h}}");
    put(w, "2.yml", "clusters: [{name: a, template: t}]");
    watch(w, "");
    assert_string_equal(reload(w), "a/default");
    put(w, "1.yml", "templates: {t: {host: ");
    put(w, "2.yml", "clusters: [{name: a, template: t}, {name: b, template: t}]");
    assert_string_equal(reload(w), "a/default b/default");
    assert_non_null(strstr(validity(w), "1.yml=0 2.yml=1"));
}

static void test_files_that_vanish(void **state)
{
    struct world *w = *state;

    assert_int_equal(mkdir(path_of(w, "d"), 0700), 0);
    put(w, "d/1.yml", A);
    put(w, "d/2.yml", B);
    put(w, "named.yml", "clusters: [{name: n, host: h}]");
    watch(w, "d");
    watch(w, "named.yml");
    assert_string_equal(reload(w), "a/default b/default n/default");
    gone(w, "d/1.yml");
    assert_string_equal(reload(w), "b/default n/default");
    assert_true(all_good(w));
    gone(w, "named.yml");
    assert_string_equal(reload(w), "b/default n/default");
    assert_string_equal(validity(w), "d=1 2.yml=1 named.yml=0");
    gone(w, "d/2.yml");
    assert_string_equal(reload(w), "b/default n/default");
    assert_string_equal(validity(w), "d=0 2.yml=1 named.yml=0");
    assert_int_equal(rmdir(path_of(w, "d")), 0);
    assert_string_equal(reload(w), "b/default n/default");
    assert_int_equal(mkdir(path_of(w, "d"), 0700), 0);
    put(w, "d/3.yml", A);
    put(w, "named.yml", "clusters: [{name: m, host: h}]");
    assert_string_equal(reload(w), "a/default m/default");
    assert_string_equal(validity(w), "d=1 3.yml=1 named.yml=1");
}

static void test_fingerprint_tells_of_changes(void **state)
{
    struct world *w = *state;
    uint64_t before;

    put(w, "1.yml", A);
    watch(w, "");
    reload(w);
    before = config_source_fingerprint(w->source);
    assert_true(before == config_source_fingerprint(w->source));
    put(w, "2.yml", B);
    assert_false(before == config_source_fingerprint(w->source));
    before = config_source_fingerprint(w->source);
    put(w, "2.yml", B " ");
    assert_false(before == config_source_fingerprint(w->source));
    before = config_source_fingerprint(w->source);
    gone(w, "1.yml");
    assert_false(before == config_source_fingerprint(w->source));
}

/* --- targets ---------------------------------------------------------------------------------- */

static void test_targets_join(void **state)
{
    struct world *w = *state;
    const struct config_pair keys[] = {{"host", "x,y"}, {"port", "7"}, {"user", "{me}"}};
    const struct label labels[] = {{"team", "t"}};
    const struct config_target targets[] = {
        {"a", "write", keys, 3, labels, 1, 3, 5},
        {"new", "read", keys, 2, NULL, 0, 4, 5},
        {"a", "default", keys, 1, NULL, 0, 5, 5},
        {"a", "write", keys, 1, NULL, 0, 6, 5},
    };
    struct config_target_list list = {"sd.json", "t", targets, 4};
    const struct server *s;

    put(w, "1.yml",
        "defaults: {interval: 9s}\n"
        "templates: {t: {dbname: '{cluster}', user: u, endpoints: {read: {port: 8}}}}\n"
        "clusters: [{name: a, host: h, timeout: 3s}]");
    watch(w, "");
    config_source_read(w->source);
    assert_true(config_source_set_targets(w->source, &list));
    assert_string_equal(rebuild(w), "a/default a/write a/write new/read new/read");
    assert_int_equal(w->messages.errors, 0);
    assert_int_equal(w->messages.warnings, 2);
    assert_string_equal(first_message(w), "sd.json:5:5: left out: endpoint \"default\" of cluster "
                                          "\"a\" is there already");
    s = &w->set->servers[1];
    assert_string_equal(s->name, "x:7");
    assert_string_equal(s->user, "{me}");
    assert_int_equal(s->timeout_ns / 1000000000, 3);
    assert_string_equal(s->labels[0].value, "t");
    s = &w->set->servers[3];
    assert_string_equal(s->name, "x:7");
    assert_string_equal(s->user, "u");
    assert_string_equal(s->dbname, "new");
    assert_int_equal(s->interval_ns / 1000000000, 9);

    list.n = 1;
    assert_true(config_source_set_targets(w->source, &list));
    assert_string_equal(rebuild(w), "a/default a/write a/write");
    config_source_drop_targets(w->source, "sd.json");
    assert_string_equal(rebuild(w), "a/default");
    assert_true(all_good(w));
}

static void test_a_bad_list_keeps_its_last_good_one(void **state)
{
    struct world *w = *state;
    const struct config_pair good[] = {{"host", "x"}}, bad[] = {{"host", "x y"}, {"foo", "1"}};
    const struct config_target targets[] = {{"s", "e", good, 1, NULL, 0, 2, 1}};
    const struct config_target bad_targets[] = {{"s", "e", bad, 2, NULL, 0, 2, 1},
                                                {"t", "e", good, 1, NULL, 0, 3, 1}};
    struct config_target_list list = {"sd.json", NULL, targets, 1};

    put(w, "1.yml", A);
    watch(w, "");
    config_source_read(w->source);
    assert_true(config_source_set_targets(w->source, &list));
    assert_string_equal(rebuild(w), "a/default s/e");
    list.targets = bad_targets;
    list.n = 2;
    assert_true(config_source_set_targets(w->source, &list));
    put(w, "1.yml", B);
    assert_string_equal(reload(w), "b/default s/e");
    assert_int_equal(w->messages.errors, 2);
    assert_non_null(strstr(first_message(w), "sd.json:2:1: "));
    assert_non_null(strstr(validity(w), "1.yml=1 sd.json=0"));
    assert_true(config_source_set_targets(w->source, &list));
    rebuild(w);
    assert_int_equal(count_new(w), 0);
}

static void test_a_connection_string(void **state)
{
    struct world *w = *state;

    assert_true(config_source_add_dsn(w->source, "DATABASE_URL", "postgres://u:{x}@h/d"));
    assert_string_equal(reload(w), "default/default");
    assert_string_equal(w->set->servers[0].password.value, "{x}");
    assert_string_equal(reload(w), "default/default");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_of_a_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_files_share, setup, teardown),
        cmocka_unit_test_setup_teardown(test_twice_over_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_wants_all_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_to_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_bad_file_keeps_its_last_good_content, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_change_that_breaks_others_does_not_apply, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_who_only_misses_a_broken_file_applies, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_files_that_vanish, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fingerprint_tells_of_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_targets_join, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_bad_list_keeps_its_last_good_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_connection_string, setup, teardown),
    };

    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
