/* expose/: the pages for people. What is shown, in which order, and that nothing in it is markup
 * but our own. */
#include "fleet_fixture.h"

#include "html.h"
#include "page.h"
#include "pgtls/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE_MAX ((size_t)64 * 1024 * 1024)

static struct fleet *fleet_of(const struct server *servers, size_t n)
{
    struct fleet *fleet = fleet_new();

    assert_true(fixture_watch(fleet, fixture_set(servers, n, REQUIRE_ALL)));
    return fleet;
}

static struct self self;
static const struct page_site site = {&self, "/metrics", "/health/database"};

/* The whole page; the largest piece in *largest. */
static struct buf page_text(struct fleet *fleet, struct page_query query, size_t *largest)
{
    struct fleet_view *view = fleet_view(fleet);
    struct page *page = page_new(view, &site, &query);
    struct buf text = BUF_INIT(PAGE_MAX);
    size_t before = 0;

    fleet_view_unref(view);
    assert_non_null(page);
    while (page_next(page, &text)) {
        if (largest && text.len - before > *largest)
            *largest = text.len - before;
        before = text.len;
    }
    assert_false(text.failed);
    assert_false(page_next(page, &text));
    page_free(page);
    return text;
}

static void apply(struct fleet *fleet, size_t i, struct observation o)
{
    struct fleet_view *view = fleet_view(fleet);

    fixture_apply(view->servers[i], o);
    fleet_view_unref(view);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

static void test_text_is_never_markup(void **state)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"plain", "plain"},
        {"<b a=\"x\" c='y'>&", "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;"},
        {"a\nb\x1b[1m\x7f", "a\\x0ab\\x1b[1m\\x7f"},
        {"\xff\xc3(", "\\xff\\xc3("},
        {"M\xc3\xbcller \xe6\x97\xa5", "M\xc3\xbcller \xe6\x97\xa5"},
        {"\xe2\x80\xae" /* NOLINT(misc-misleading-bidirectional) */
         "evil\xe2\x81\xa6",
         "\\u202eevil\\u2066"},
        {"a\xe2\x80\x8b"
         "b\xef\xbb\xbf",
         "a\\u200bb\\ufeff"},
        {"\xc2\x85", "\\u0085"},
        {"\xf3\xa0\x81\x81", "\\U000e0041"},
        {NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf text = BUF_INIT(1024);

        html_text(&text, rows[i].from);
        assert_string_equal(buf_text(&text), rows[i].to);
        buf_deinit(&text);
    }
}

static void test_templates_escape(void **state)
{
    struct buf text = BUF_INIT(1024), url = BUF_INIT(1024);

    (void)state;
    html_addf(&text, "<i a=\"%s\">%d %zu %lld %.1f %%</i>", "\"<", 1, (size_t)2, 3LL, 4.56);
    assert_string_equal(buf_text(&text), "<i a=\"&quot;&lt;\">1 2 3 4.6 %</i>");
    url_add(&url, "a b/c?d=e&f#\xff"
                  "[::1]:5432");
    assert_string_equal(buf_text(&url), "a%20b%2Fc%3Fd%3De%26f%23%FF%5B::1%5D:5432");
    buf_deinit(&text);
    buf_deinit(&url);
}

static void test_failing_first_with_meaning_and_remedy(void **state)
{
    struct server servers[] = {
        fixture_server("a", "write", "good:5432"), fixture_server("b", "write", "paused:5432"),
        fixture_server("c", "write", "waiting:5432"), fixture_server("d", "write", "bad:5432")};
    struct fleet *fleet;
    struct buf text;
    const char *bad, *waiting, *good, *paused;

    (void)state;
    servers[0].login = servers[3].login = false;
    servers[1].maintenance = "new disks";
    fleet = fleet_of(servers, 4);
    apply(fleet, 0, fixture_inspect());
    apply(fleet, 3, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    text = page_text(fleet, (struct page_query){0}, NULL);
    bad = strstr(buf_text(&text), "<bdi>bad:5432");
    waiting = strstr(buf_text(&text), "<bdi>waiting:5432");
    good = strstr(buf_text(&text), "<bdi>good:5432");
    paused = strstr(buf_text(&text), "<bdi>paused:5432");
    assert_non_null(bad);
    assert_true(bad < waiting && waiting < good && good < paused);
    assert_non_null(strstr(bad, "Failed in <b>tcp</b>"));
    assert_non_null(strstr(bad, "href=\"fault?id=tcp_refused\">tcp_refused"));
    assert_non_null(strstr(bad, "nothing listens on this port"));
    assert_non_null(strstr(bad, "What to do:</b> Check that the server or pooler runs"));
    assert_non_null(strstr(bad, "something &quot;went&quot; wrong"));
    assert_non_null(strstr(bad, "1 failure in a row"));
    assert_non_null(strstr(waiting, "Not probed completely yet"));
    assert_non_null(strstr(good, "TLSv1.3"));
    assert_non_null(strstr(paused, "new disks"));
    assert_non_null(strstr(buf_text(&text), "<title>✕ 1 down · pgtls_exporter</title>"));
    assert_non_null(strstr(buf_text(&text), "aria-label=\"dns 3.00 ms, tcp 3.00 ms"));
    buf_deinit(&text);
    fleet_free(fleet);
}

static void test_selections(void **state)
{
    static const struct {
        struct page_query query;
        const char *shown;
    } rows[] = {
        {{.text = ""}, "abcd"},
        {{.text = "ALPHA"}, "a"},
        {{.text = "tcp_ref"}, "d"},
        {{.text = "went"}, "d"},
        {{.text = "192.0.2.1"}, "ab"},
        {{.text = "platform"}, "b"},
        {{.text = "nowhere"}, ""},
        {{.cluster = "two"}, "cd"},
        {{.cluster = "tw"}, ""},
        {{.one_kind = true, .kind = ROW_OK}, "ab"},
        {{.one_kind = true, .kind = ROW_DOWN}, "d"},
        {{.one_kind = true, .kind = ROW_DOWN, .cluster = "one"}, ""},
        {{.text = "db", .cluster = "two", .one_kind = true, .kind = ROW_UNKNOWN}, "c"},
    };
    static const struct label label = {"team", "platform"};
    struct server servers[] = {
        fixture_server("one", "alpha", "db-a"), fixture_server("one", "beta", "db-b"),
        fixture_server("two", "gamma", "db-c"), fixture_server("two", "delta", "db-d")};
    struct fleet *fleet;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        servers[i].login = false;
    servers[1].labels = &label;
    servers[1].n_labels = 1;
    fleet = fleet_of(servers, 4);
    apply(fleet, 0, fixture_inspect());
    apply(fleet, 1, fixture_inspect());
    apply(fleet, 3, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf text = page_text(fleet, rows[i].query, NULL);

        for (const char *name = "abcd"; *name; name++) {
            char link[] = "<bdi>db-?</bdi></a>";

            link[8] = *name;
            if ((strstr(buf_text(&text), link) != NULL) != (strchr(rows[i].shown, *name) != NULL))
                fail_msg("row %zu: %c", i, *name);
        }
        if (rows[i].shown[0] == '\0')
            assert_non_null(strstr(buf_text(&text), "No endpoint is like that"));
        buf_deinit(&text);
    }
    fleet_free(fleet);
}

/* Names come from a configuration that others may write; errors from whoever answers. */
static void test_hostile_text_stays_text(void **state)
{
    /* NOLINTNEXTLINE(misc-misleading-bidirectional): that is what must not get through */
    static const char evil[] = "\"><script>alert(1)</script>\xe2\x80\xae";
    struct server server = fixture_server(evil, evil, evil);
    struct observation o = fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP);
    struct label label = {"team", evil};
    struct promises promises = {.certificate_file = evil};
    struct fleet *fleet;
    struct fleet_view *view;
    struct buf text, one = BUF_INIT(PAGE_MAX);

    (void)state;
    server.labels = &label;
    server.n_labels = 1;
    server.promises = promises;
    server.user = evil;
    snprintf(o.error, sizeof o.error, "%s", evil);
    snprintf(o.address, sizeof o.address, "%s", evil);
    o.chain = fixture_chain(1);
    snprintf(o.chain->certificates[0].subject, sizeof o.chain->certificates[0].subject, "%s", evil);
    snprintf(o.chain->certificates[0].sans, sizeof o.chain->certificates[0].sans, "%s", evil);
    fleet = fleet_of(&server, 1);
    apply(fleet, 0, o);
    text = page_text(fleet, (struct page_query){.text = evil, .cluster = evil}, NULL);
    view = fleet_view(fleet);
    assert_true(page_of_server(view, &site, evil, evil, evil, &one));
    fleet_view_unref(view);
    for (size_t i = 0; i < 2; i++) {
        const char *page = buf_text(i == 0 ? &text : &one);

        assert_null(strstr(page, "<script>"));
        /* NOLINTNEXTLINE(misc-misleading-bidirectional) */
        assert_null(strstr(page, "\xe2\x80\xae"));
        assert_null(strstr(page, "style="));
        assert_non_null(strstr(page, "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e"));
    }
    buf_deinit(&text);
    buf_deinit(&one);
    fleet_free(fleet);
}

#define MANY 3000

static void test_a_large_fleet_comes_in_pieces_and_stops(void **state)
{
    struct server *servers = calloc(MANY, sizeof *servers);
    char(*names)[32] = calloc(MANY, sizeof *names);
    struct fleet *fleet;
    struct buf text;
    size_t largest = 0;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "db%zu", i);
        servers[i] = fixture_server(names[i], "write", names[i]);
        servers[i].login = false;
    }
    fleet = fleet_of(servers, MANY);
    for (size_t i = 0; i < MANY; i++)
        apply(fleet, i,
              i == MANY - 1 ? fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP)
                            : fixture_inspect());
    text = page_text(fleet, (struct page_query){0}, NULL);
    assert_int_equal(count(buf_text(&text), "<tbody"), PAGE_SERVERS);
    assert_non_null(strstr(buf_text(&text), "<bdi>db2999</bdi></a>"));
    assert_non_null(
        strstr(buf_text(&text), "first 250 of 3000 endpoints. <a href=\"./?&amp;show=all\">"));
    assert_non_null(strstr(buf_text(&text), "<input name=\"cluster\""));
    buf_deinit(&text);
    text = page_text(fleet, (struct page_query){.all = true}, &largest);
    assert_int_equal(count(buf_text(&text), "<tbody"), MANY);
    assert_null(strstr(buf_text(&text), "Show all</a>"));
    assert_in_range(largest, 1, 16384);
    buf_deinit(&text);
    fleet_free(fleet);
    free(servers);
    free(names);
}

static void test_empty(void **state)
{
    struct server none = {0};
    struct fleet *fleet = fleet_of(&none, 0);
    struct buf text = page_text(fleet, (struct page_query){0}, NULL);

    (void)state;
    assert_non_null(strstr(buf_text(&text), "Nothing is configured"));
    buf_deinit(&text);
    fleet_free(fleet);
}

static void test_the_last_hour_and_the_latest_probes(void **state)
{
    struct server server = fixture_server("c", "write", "db:5432");
    struct fleet *fleet;
    struct fleet_view *view;
    struct buf one = BUF_INIT(PAGE_MAX), text;

    (void)state;
    server.login = false;
    fleet = fleet_of(&server, 1);
    text = page_text(fleet, (struct page_query){0}, NULL);
    assert_null(strstr(buf_text(&text), "last hour"));
    buf_deinit(&text);
    apply(fleet, 0, fixture_inspect());
    text = page_text(fleet, (struct page_query){0}, NULL);
    assert_non_null(strstr(buf_text(&text), "last hour ≤ 15.00 ms</span>"));
    buf_deinit(&text);
    apply(fleet, 0, fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
    view = fleet_view(fleet);
    assert_true(page_of_server(view, &site, "c", "write", "db:5432", &one));
    fleet_view_unref(view);
    assert_non_null(strstr(buf_text(&one), ", failures in 1 minute</span>"));
    assert_non_null(strstr(buf_text(&one), "inspect</th>"));
    assert_non_null(strstr(buf_text(&one), "✕ <a class=\"fault\" href=\"fault?id=tcp_refused\">"));
    buf_deinit(&one);
    fleet_free(fleet);
}

static void test_every_fault_has_a_page(void **state)
{
    (void)state;
    for (int i = 1; i < FAULT_COUNT; i++) {
        const struct fault_row *row = fault_row((enum fault)i);
        struct buf text = BUF_INIT(PAGE_MAX), meaning = BUF_INIT(4096);

        html_text(&meaning, row->meaning);
        page_of_fault(&site, (enum fault)i, &text);
        assert_non_null(strstr(buf_text(&text), buf_text(&meaning)));
        assert_non_null(strstr(buf_text(&text), row->id));
        buf_deinit(&meaning);
        buf_deinit(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_never_markup),
        cmocka_unit_test(test_templates_escape),
        cmocka_unit_test(test_failing_first_with_meaning_and_remedy),
        cmocka_unit_test(test_selections),
        cmocka_unit_test(test_hostile_text_stays_text),
        cmocka_unit_test(test_a_large_fleet_comes_in_pieces_and_stops),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_the_last_hour_and_the_latest_probes),
        cmocka_unit_test(test_every_fault_has_a_page),
    };

    self_init(&self);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
