/* Any request, as the HTTP server hands it on: it has one answer, with a status that is documented;
 * a document is JSON, a page shows what was asked for as text and never as markup. Lines: the
 * method, the path, the query, Accept, X-Prometheus-Scrape-Timeout-Seconds. What a "<" stands in
 * front of, MARK, is nowhere in our own markup. */
#include "http_routes.h"

#include "../unit/fleet_fixture.h"
#include "target.h"

#include <jansson.h>
#include <stdio.h>

#define MARK      "<~"
#define MOST_TEXT ((size_t)16 * 1024 * 1024)

static struct site site;
static struct http_options options;
static struct self self;

static bool on_reload(void *context, void (*told)(void *asker, bool done, const char *message),
                      void *asker)
{
    (void)context, (void)told, (void)asker;
    return false;
}

static bool on_probe(void *context, const struct probe_question *question,
                     void (*answered)(void *asker, struct probe_answer *answer), void *asker)
{
    (void)context, (void)question, (void)answered, (void)asker;
    return false;
}

/* A fleet with names that want to be markup, one server up and one down with such an error. */
static void build_site(void)
{
    const struct server servers[] = {
        fixture_server("c", "write", "db0:5432"),
        fixture_server("c", "write", "db1:5432"),
        fixture_server("<~c \"&' ", "<~e", "<~s:1"),
    };
    struct fleet *fleet = fleet_new();
    struct observation failed = fixture_failure(PROBE_INSPECT, FAULT_TCP_REFUSED, PHASE_TCP);
    struct fleet_view *view;

    self_init(&self);
    atomic_store(&self.ready, true);
    require(fleet && fixture_watch(fleet, fixture_set(servers, 3, REQUIRE_ALL)));
    view = fleet_view(fleet);
    fixture_apply(view->servers[0], fixture_inspect());
    /* NOLINTNEXTLINE(misc-misleading-bidirectional): it is to be escaped */
    snprintf(failed.error, sizeof failed.error, "<~script> \xE2\x80\xAE \x01");
    fixture_apply(view->servers[2], failed);
    fleet_view_unref(view);
    options = (struct http_options){.telemetry_path = "/metrics",
                                    .max_requests = 4,
                                    .reload = on_reload,
                                    .probe = on_probe,
                                    .timeout_offset_ns = NS_PER_S / 2};
    site = (struct site){.options = &options, .fleet = fleet, .self = &self};
}

/* "a=1&b" in place. */
static void take_query(struct request *request, char *query)
{
    char *rest = query;

    while (*rest) {
        char *argument = rest, *end = rest + strcspn(rest, "&"), *equals;

        rest = *end ? end + 1 : end;
        *end = '\0';
        equals = strchr(argument, '=');
        if (equals)
            *equals++ = '\0';
        if (request->n_arguments == MAX_ARGUMENTS)
            request->too_many_arguments = true;
        else
            request->arguments[request->n_arguments++] = (struct argument){argument, equals};
    }
}

static void drain(struct reply *reply)
{
    reply->text.max = MOST_TEXT;
    while (reply->stream.of && reply->stream.next(reply->stream.of, &reply->text))
        ;
    require(!reply->text.failed);
}

static void check_body(const struct reply *reply)
{
    const char *text = buf_text(&reply->text);

    require(reply->type != NULL);
    if (reply->html)
        require(!strstr(text, MARK) && strlen(text) == reply->text.len);
    if (strcmp(reply->type, "application/json") == 0 && reply->status != 500) {
        json_t *document = json_loadb(text, reply->text.len, JSON_REJECT_DUPLICATES, NULL);

        require(json_is_object(document) && json_object_get(document, "status"));
        json_decref(document);
    }
}

static void check_status(const struct request *request, const struct reply *reply)
{
    static const unsigned known[] = {200, 400, 404, 405, 413, 503};
    size_t i = 0;

    while (i < sizeof known / sizeof *known && known[i] != reply->status)
        i++;
    require(i < sizeof known / sizeof *known);
    require((reply->status == 405) == (reply->allow != NULL));
    require(reply->status != 413 || request->body);
}

static void check_question(const struct reply *reply)
{
    if (reply->awaits == AWAITS_PROBE) {
        require(reply->question.target && reply->question.target[0]);
        require(reply->question.timeout_ns >= 0 && reply->question.timeout_ns <= 120 * NS_PER_S);
    }
    require(reply->status == 0 && reply->text.len == 0);
}

static void check(const struct request *request)
{
    struct reply reply;

    route(&site, request, &reply);
    if (reply.awaits == AWAITS_NOTHING) {
        drain(&reply);
        check_status(request, &reply);
        check_body(&reply);
    } else {
        check_question(&reply);
    }
    stream_free(&reply.stream);
    buf_deinit(&reply.text);
    if (reply.place)
        atomic_fetch_sub(reply.place, 1);
    require(atomic_load(&site.scrapes) + atomic_load(&site.documents) + atomic_load(&site.pages) +
                atomic_load(&site.probes) + atomic_load(&site.reloads) ==
            0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size), *rest = text;
    struct request request = {0};

    if (!site.fleet)
        build_site();
    request.method = next_line(&rest);
    request.path = next_line(&rest);
    take_query(&request, next_line(&rest));
    request.accept = *rest ? next_line(&rest) : NULL;
    request.scrape_timeout = *rest ? next_line(&rest) : NULL;
    request.body = *rest != '\0';
    check(&request);
    free(text);
    return 0;
}
