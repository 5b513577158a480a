/* A fleet without memory: a probe counts, a new generation is taken whole or not at all, and what
 * is told is whole or none. Nothing is left behind (under sanitizers leaks are errors). */
#include "fleet_fixture.h"
#include "no_memory.h"

#include "page.h"
#include "pgtls/base/buf.h"
#include "pgtls/config/config.h"
#include "pgtls/expose/health.h"
#include "pgtls/expose/metrics.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MAX_BYTES ((size_t)64 * 1024 * 1024)

static struct self self;
static const struct page_site site = {&self, "/metrics", "/health/database"};

static struct endpoint_set *load_set(void)
{
    struct config_messages messages = {0};
    const char *wrong = strstr(no_memory_config, NO_MEMORY_WRONG);
    struct buf text = BUF_INIT(MAX_BYTES);
    struct endpoint_set *set;

    buf_add(&text, no_memory_config, (size_t)(wrong - no_memory_config));
    buf_add_str(&text, wrong + strlen(NO_MEMORY_WRONG));
    set = config_load_text("t.yml", text.data, text.len, &messages);
    buf_deinit(&text);
    assert_non_null(set);
    config_messages_deinit(&messages);
    set->settings.histograms = HISTOGRAMS_BOTH;
    return set;
}

/* Some are up, some are down, some have broken promises and sessions. */
static struct fleet *make_fleet(struct endpoint_set *set)
{
    struct fleet *fleet = fleet_new();
    struct fleet_view *view;

    assert_true(fleet_set(fleet, set));
    view = fleet_view(fleet);
    for (size_t i = 0; i < view->n; i++) {
        fixture_apply(view->servers[i], fixture_inspect());
        if (i % 3 == 0)
            fixture_apply(view->servers[i], fixture_login());
        if (i % 4 == 1)
            fixture_apply(view->servers[i],
                          fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP));
        fleet_session_opened(view->servers[i], "long");
    }
    fleet_view_unref(view);
    return fleet;
}

struct telling {
    struct fleet_view *view;
    enum metrics_format format;
    struct buf whole; /* as it is with memory */
};

static bool scrape(const struct telling *t, struct buf *to)
{
    struct exposition *e = exposition_new(t->view, &self, t->format);
    bool made = e != NULL;

    while (e && exposition_next(e, to))
        ;
    exposition_free(e);
    return made && !to->failed;
}

static void scrape_again(void *of)
{
    const struct telling *t = of;
    struct buf body = BUF_INIT(MAX_BYTES);

    if (!scrape(t, &body))
        assert_true(no_memory_failed > 0);
    else if (t->format == METRICS_PROTOBUF)
        assert_int_equal(body.len, t->whole.len);
    else
        assert_true(no_memory_same_words(buf_text(&body), buf_text(&t->whole)) &&
                    !strstr(buf_text(&body), "le=\"\""));
    buf_deinit(&body);
}

static void test_a_scrape_is_whole_or_none(void **state)
{
    struct endpoint_set *set = load_set();
    struct fleet *fleet = make_fleet(set);
    struct telling t = {.view = fleet_view(fleet)};

    (void)state;
    for (t.format = METRICS_TEXT; t.format <= METRICS_PROTOBUF; t.format++) {
        t.whole = BUF_INIT(MAX_BYTES);
        assert_true(scrape(&t, &t.whole));
        no_memory_walk(scrape_again, &t);
        buf_deinit(&t.whole);
    }
    fleet_view_unref(t.view);
    fleet_free(fleet);
    endpoint_set_unref(set);
}

static void tell_health(void *of)
{
    const struct telling *t = of;
    const struct health_query query = {.require = REQUIRE_ALL};
    struct buf text = BUF_INIT(MAX_BYTES);
    int status = health_document(t->view, &query, &text);

    if (status == 500)
        assert_true(no_memory_failed > 0);
    else
        assert_true(status == 503 && no_memory_same_words(buf_text(&text), buf_text(&t->whole)));
    buf_deinit(&text);
}

static void test_a_health_document_is_whole_or_none(void **state)
{
    const struct health_query query = {.require = REQUIRE_ALL};
    struct endpoint_set *set = load_set();
    struct fleet *fleet = make_fleet(set);
    struct telling t = {.view = fleet_view(fleet), .whole = BUF_INIT(MAX_BYTES)};

    (void)state;
    json_set_alloc_funcs(no_memory_malloc, free);
    assert_int_equal(health_document(t.view, &query, &t.whole), 503);
    no_memory_walk(tell_health, &t);
    json_set_alloc_funcs(malloc, free);
    buf_deinit(&t.whole);
    fleet_view_unref(t.view);
    fleet_free(fleet);
    endpoint_set_unref(set);
}

static bool write_page(const struct telling *t, struct buf *to)
{
    struct page *page = page_new(t->view, &site, &(const struct page_query){.all = true});
    bool made = page != NULL;

    while (page && page_next(page, to))
        ;
    page_free(page);
    return made && !to->failed;
}

static void tell_page(void *of)
{
    const struct telling *t = of;
    struct buf text = BUF_INIT(MAX_BYTES);

    if (!write_page(t, &text))
        assert_true(no_memory_failed > 0);
    else
        assert_true(no_memory_same_words(buf_text(&text), buf_text(&t->whole)));
    buf_deinit(&text);
}

static void tell_server(void *of)
{
    const struct telling *t = of;
    const struct server *s = &t->view->set->servers[0];
    struct buf text = BUF_INIT(MAX_BYTES);

    assert_true(page_of_server(t->view, &site, s->cluster, s->endpoint, s->name, &text));
    if (text.failed)
        assert_true(no_memory_failed > 0);
    else
        assert_true(no_memory_same_words(buf_text(&text), buf_text(&t->whole)));
    buf_deinit(&text);
}

static void test_a_page_is_whole_or_none(void **state)
{
    struct endpoint_set *set = load_set();
    struct fleet *fleet = make_fleet(set);
    struct telling t = {.view = fleet_view(fleet), .whole = BUF_INIT(MAX_BYTES)};
    const struct server *s = &set->servers[0];

    (void)state;
    assert_true(write_page(&t, &t.whole));
    no_memory_walk(tell_page, &t);
    buf_reset(&t.whole);
    assert_true(page_of_server(t.view, &site, s->cluster, s->endpoint, s->name, &t.whole));
    no_memory_walk(tell_server, &t);
    buf_deinit(&t.whole);
    fleet_view_unref(t.view);
    fleet_free(fleet);
    endpoint_set_unref(set);
}

/* A probe counts, whatever there is no memory to keep of it. */
static void watch_and_fold(void *of)
{
    struct endpoint_set *set = of;
    size_t fails_then = no_memory_countdown;
    struct observation good, login, bad;
    struct fleet *fleet;

    no_memory_countdown = 0; /* what was observed is given */
    good = fixture_inspect();
    login = fixture_login();
    bad = fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP);
    no_memory_countdown = fails_then;
    fleet = fleet_new();

    if (fleet && fleet_set(fleet, set)) {
        struct fleet_view *view = fleet_view(fleet);
        struct server_state *s = view->servers[0];

        fleet_apply(s, &good, NS_PER_S);
        fleet_apply(s, &login, NS_PER_S);
        fleet_apply(s, &bad, NS_PER_S);
        assert_int_equal(s->probes[PROBE_INSPECT].probes, 2);
        assert_int_equal(s->probes[PROBE_LOGIN].probes, 1);
        assert_int_equal(s->probes[PROBE_INSPECT].failures[FAULT_CLASS_NETWORK], 1);
        assert_int_equal(s->certificate_changes, 0);
        assert_int_equal(server_state_now(s), STATE_DOWN);
        fleet_view_unref(view);
    }
    fleet_free(fleet);
    observation_deinit(&good);
    observation_deinit(&login);
    observation_deinit(&bad);
}

static void test_probes_count(void **state)
{
    struct endpoint_set *set = load_set();

    (void)state;
    no_memory_walk(watch_and_fold, set);
    endpoint_set_unref(set);
}

/* A new generation is taken whole or not at all, and no counter goes. */
static void adopt(void *of)
{
    struct fleet *fleet = of;
    struct fleet_view *view = fleet_view(fleet), *after;
    bool taken = fleet_set(fleet, view->set);

    after = fleet_view(fleet);
    assert_true(taken || (no_memory_failed > 0 && after == view));
    for (size_t i = 0; i < after->n; i++) {
        const struct server_state *s = after->servers[i];

        assert_true(s->probes[PROBE_INSPECT].probes > 0 || server_pause(s->config));
        assert_int_equal(s->n_sessions, s->config->n_sessions);
        for (size_t j = 0; j < s->n_sessions; j++) {
            if (strcmp(s->sessions[j].config->name, "long") == 0)
                assert_true(s->sessions[j].up);
        }
    }
    fleet_view_unref(after);
    fleet_view_unref(view);
}

static void test_a_generation_is_taken_whole_or_not(void **state)
{
    struct endpoint_set *set = load_set();
    struct fleet *fleet = make_fleet(set);

    (void)state;
    no_memory_walk(adopt, fleet);
    fleet_free(fleet);
    endpoint_set_unref(set);
}

/* --- */

static int setup(void **state)
{
    (void)state;
    self_init(&self);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    self_deinit(&self);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_scrape_is_whole_or_none),
        cmocka_unit_test(test_a_health_document_is_whole_or_none),
        cmocka_unit_test(test_a_page_is_whole_or_none),
        cmocka_unit_test(test_probes_count),
        cmocka_unit_test(test_a_generation_is_taken_whole_or_not),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
