/* SRV records, how long answers hold, and questions asked by answers. */
#include "pgtls/net/resolver.h"

#include "dns_peer.h"
#include "dns_ttl.h"

#include "pgtls/base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define MAX_TURNS 100000

struct world {
    struct dns_peer peer;
    uv_loop_t loop;
    struct resolver *resolver;
};

/* What a callback saw. */
struct seen {
    struct srv_request request;
    unsigned calls;
    enum resolve_status status;
    size_t n, left_out;
    uint32_t ttl_seconds;
    struct srv first, second, last;
};

static void on_services(struct srv_request *request, const struct srv_answer *a)
{
    struct seen *seen = (struct seen *)request; /* its first member */

    assert_null(request->lookup);
    seen->calls++;
    seen->status = a->status;
    seen->n = a->n;
    seen->left_out = a->left_out;
    seen->ttl_seconds = a->ttl_seconds;
    if (a->n > 0) {
        seen->first = a->records[0];
        seen->second = a->records[a->n > 1];
        seen->last = a->records[a->n - 1];
    }
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    dns_peer_start(&w->peer);
    uv_loop_init(&w->loop);
    w->resolver = resolver_new(&w->loop);
    assert_non_null(w->resolver);
    assert_true(resolver_use(w->resolver, w->peer.servers));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    resolver_free(w->resolver);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    dns_peer_stop(&w->peer);
    free(w);
    return 0;
}

static void run_until(struct world *w, const unsigned *calls, unsigned wanted)
{
    for (unsigned turn = 0; *calls < wanted && turn < MAX_TURNS; turn++)
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(*calls, wanted);
}

static struct seen ask(struct world *w, const char *name)
{
    struct seen seen = {.request.done = on_services};

    resolver_ask_srv(w->resolver, &seen.request, name);
    run_until(w, &seen.calls, 1);
    return seen;
}

static void services_come_in_order(void **state)
{
    struct seen seen = ask(*state, "srv.test");

    assert_int_equal(seen.status, RESOLVE_OK);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.left_out, 0);
    assert_int_equal(seen.ttl_seconds, 30);
    assert_string_equal(seen.first.target, "large.test");
    assert_int_equal(seen.first.port, 5432);
    assert_int_equal(seen.first.priority, 10);
    assert_int_equal(seen.first.weight, 9);
    assert_string_equal(seen.second.target, "small.test");
    assert_int_equal(seen.second.port, 5433);
    assert_string_equal(seen.last.target, "spare.test");
}

static void a_long_list_is_cut_at_its_end(void **state)
{
    struct world *w = *state;
    struct seen seen = ask(w, "many.test");

    assert_int_equal(seen.status, RESOLVE_OK);
    assert_int_equal(seen.n, RESOLVER_MAX_SRV);
    assert_int_equal(seen.left_out, 200);
    assert_string_equal(seen.first.target, "db0001.test");
    assert_string_equal(seen.last.target, "db1000.test");
    assert_int_equal(w->peer.by_tcp, 1);
}

static void what_is_no_list_is_told(void **state)
{
    static const struct {
        const char *name;
        enum resolve_status status;
    } cases[] = {
        {"root.test", RESOLVE_NOT_FOUND},    {"nodata.test", RESOLVE_NOT_FOUND},
        {"missing.test", RESOLVE_NOT_FOUND}, {"a..test", RESOLVE_NOT_FOUND},
        {"garbage.test", RESOLVE_TEMPORARY},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct seen seen = ask(*state, cases[i].name);

        assert_int_equal(seen.status, cases[i].status);
        assert_int_equal(seen.n, 0);
    }
}

static void a_cancelled_question_is_not_answered(void **state)
{
    struct world *w = *state;
    struct seen silent = {.request.done = on_services}, early = silent, late = silent;

    resolver_ask_srv(w->resolver, &silent.request, "silent.test");
    resolver_ask_srv(w->resolver, &early.request, "srv.test");
    resolver_cancel_srv(&early.request);
    resolver_cancel_srv(&early.request); /* nothing waits: nothing happens */
    resolver_ask_srv(w->resolver, &late.request, "srv.test");
    run_until(w, &late.calls, 1);
    resolver_cancel_srv(&silent.request);
    resolver_cancel_srv(&late.request);
    assert_int_equal(early.calls, 0);
    assert_int_equal(silent.calls, 0);
}

static void freed_with_questions_in_flight(void **state)
{
    struct world *w = *state;
    struct seen seen = {.request.done = on_services}, cancelled = seen;

    resolver_ask_srv(w->resolver, &seen.request, "silent.test");
    resolver_ask_srv(w->resolver, &cancelled.request, "silent.test");
    resolver_cancel_srv(&cancelled.request);
    resolver_free(w->resolver);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.calls, 0);
    w->resolver = resolver_new(&w->loop);
}

static void servers_are_addresses(void **state)
{
    struct world *w = *state;

    assert_false(resolver_use(w->resolver, ""));
    assert_false(resolver_use(w->resolver, "not an address"));
    assert_int_equal(ask(w, "srv.test").status, RESOLVE_OK); /* still the ones before */
    assert_int_equal(w->peer.questions, 1);
}

/* --- addresses, and questions in the middle of an answer -------------------------------------- */

struct talk {
    struct resolve_request request;
    struct world *w;
    unsigned calls, left;
    struct resolution last;
};

/* Each answer retires the channel that is delivering it and asks on a new one. */
static void on_addresses(struct resolve_request *request, const struct resolution *answer)
{
    struct talk *talk = (struct talk *)request; /* its first member */

    talk->calls++;
    talk->last = *answer;
    if (talk->left-- == 0)
        return;
    assert_true(resolver_use(talk->w->resolver, talk->w->peer.servers));
    resolver_ask(talk->w->resolver, &talk->request, "a.test", 5432);
}

static void addresses_have_a_time_to_live(void **state)
{
    struct talk talk = {.request.done = on_addresses, .w = *state};
    char text[64];

    resolver_ask(talk.w->resolver, &talk.request, "a.test", 5432);
    run_until(talk.w, &talk.calls, 1);
    assert_int_equal(talk.last.status, RESOLVE_OK);
    assert_int_equal(talk.last.n, 1);
    address_text(&talk.last.addresses[0], text, sizeof text);
    assert_string_equal(text, "192.0.2.7");
    assert_int_equal(talk.last.ttl_seconds, 45);
    talk.last.ttl_seconds = 1;
    resolver_ask(talk.w->resolver, &talk.request, "localhost", 5432); /* the hosts file's */
    talk.left = 0;
    run_until(talk.w, &talk.calls, 2);
    assert_int_equal(talk.last.ttl_seconds, 0);
}

/* The alias may lead elsewhere before the address changes. */
static void an_alias_has_one_too(void **state)
{
    struct talk talk = {.request.done = on_addresses, .w = *state};

    resolver_ask(talk.w->resolver, &talk.request, "alias.test", 5432);
    run_until(talk.w, &talk.calls, 1);
    assert_int_equal(talk.last.n, 1);
    assert_int_equal(talk.last.ttl_seconds, 20);
}

static void more_addresses_than_there_is_room_for(void **state)
{
    struct talk talk = {.request.done = on_addresses, .w = *state};

    resolver_ask(talk.w->resolver, &talk.request, "crowd.test", 5432);
    run_until(talk.w, &talk.calls, 1);
    assert_int_equal(talk.last.status, RESOLVE_OK);
    assert_int_equal(talk.last.n, RESOLVER_MAX_ADDRESSES);
}

/* No name of the DNS is as long: it is asked nobody. */
static void a_name_that_is_too_long(void **state)
{
    struct talk talk = {.request.done = on_addresses, .w = *state};
    char name[RESOLVER_MAX_NAME + 1];

    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    resolver_ask(talk.w->resolver, &talk.request, name, 5432);
    assert_int_equal(talk.calls, 1);
    assert_int_equal(talk.last.status, RESOLVE_NOT_FOUND);
    assert_null(talk.request.lookup);
    assert_int_equal(talk.w->peer.questions, 0);
}

/* Who asks for the same name waits for the same answer; whoever leaves takes nobody along. */
static void names_in_flight_are_asked_for_once(void **state)
{
    struct world *w = *state;
    struct talk talks[4];

    for (size_t i = 0; i < 4; i++) {
        talks[i] = (struct talk){.request.done = on_addresses, .w = w};
        resolver_ask(w->resolver, &talks[i].request, "a.test", (uint16_t)(5432 + i));
    }
    resolver_cancel(&talks[0].request);
    resolver_cancel(&talks[2].request);
    run_until(w, &talks[1].calls, 1);
    run_until(w, &talks[3].calls, 1);
    assert_int_equal(talks[0].calls, 0);
    assert_int_equal(talks[2].calls, 0);
    assert_true(w->peer.questions <
                4 * 2); /* A and AAAA, and again of a machine that stood still */
    for (size_t i = 1; i < 4; i += 2) {
        const struct sockaddr_in *to =
            (const struct sockaddr_in *)(const void *)&talks[i].last.addresses[0].storage;

        assert_int_equal(ntohs(to->sin_port), 5432 + i);
    }
}

/* Other servers are for other questions. */
static void what_is_in_flight_stays_where_it_was_asked(void **state)
{
    struct talk talk = {.request.done = on_addresses, .w = *state}, other = talk;
    struct dns_peer second;

    dns_peer_start(&second);
    resolver_ask(talk.w->resolver, &talk.request, "later.test", 5432);
    assert_true(resolver_use(talk.w->resolver, second.servers));
    resolver_ask(talk.w->resolver, &other.request, "a.test", 5432);
    run_until(talk.w, &other.calls, 1);
    assert_int_equal(talk.calls, 0);
    talk.w->peer.later = true; /* the next try is after a second */
    run_until(talk.w, &talk.calls, 1);
    assert_int_equal(talk.last.status, RESOLVE_OK);
    dns_peer_stop(&second);
}

static void an_answer_may_ask_and_retire_its_channel(void **state)
{
    struct talk talk = {.request.done = on_addresses, .w = *state, .left = 20};

    resolver_ask(talk.w->resolver, &talk.request, "a.test", 5432);
    run_until(talk.w, &talk.calls, 21);
    assert_int_equal(talk.last.status, RESOLVE_OK);
}

/* --- the time to live, from the bytes -------------------------------------------------------- */

#define MESSAGE_HEAD(answers) "\0\1\x85\x80\0\1\0" answers "\0\0\0\0\1a\0\0\x21\0\1"
#define RECORD(ttl)           "\xc0\x0c\0\x21\0\1" ttl "\0\2xx"

static uint32_t ttl_of(const char *bytes, size_t len)
{
    /* Exactly as long, so that sanitizers see a step too far. */
    unsigned char *copy = malloc(len > 0 ? len : 1);
    uint32_t ttl;

    memcpy(copy, bytes, len);
    ttl = dns_smallest_ttl(copy, len);
    free(copy);
    return ttl;
}

static void the_smallest_time_to_live_counts(void **state)
{
    static const char two[] = MESSAGE_HEAD("\2") RECORD("\0\0\1\0") RECORD("\0\0\0\x99");
    static const char none[] = MESSAGE_HEAD("\0");
    static const char huge[] = MESSAGE_HEAD("\1") RECORD("\x80\0\0\1");
    /* No label is as long as 64: these two bits mean something else. */
    static const char label[] =
        MESSAGE_HEAD("\1") "\x40"
                           "0123456789abcdef0123456789abcdef"
                           "0123456789abcdef0123456789abcdef" RECORD("\0\0\0\1");

    (void)state;
    assert_int_equal(ttl_of(two, sizeof two - 1), 0x99);
    assert_int_equal(ttl_of(none, sizeof none - 1), 0);
    assert_int_equal(ttl_of(huge, sizeof huge - 1), 0);
    assert_int_equal(ttl_of(label, sizeof label - 1), 0);
    for (size_t len = 0; len < sizeof two - 1; len++)
        assert_int_equal(ttl_of(two, len), 0);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(services_come_in_order),
        IN_A_WORLD(a_long_list_is_cut_at_its_end),
        IN_A_WORLD(what_is_no_list_is_told),
        IN_A_WORLD(a_cancelled_question_is_not_answered),
        IN_A_WORLD(freed_with_questions_in_flight),
        IN_A_WORLD(servers_are_addresses),
        IN_A_WORLD(addresses_have_a_time_to_live),
        IN_A_WORLD(an_alias_has_one_too),
        IN_A_WORLD(more_addresses_than_there_is_room_for),
        IN_A_WORLD(a_name_that_is_too_long),
        IN_A_WORLD(names_in_flight_are_asked_for_once),
        IN_A_WORLD(what_is_in_flight_stays_where_it_was_asked),
        IN_A_WORLD(an_answer_may_ask_and_retire_its_channel),
        cmocka_unit_test(the_smallest_time_to_live_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
