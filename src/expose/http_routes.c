/* The routing table and its handlers. */
#include "http_routes.h"

#include "pgtls/expose/health.h"
#include "pgtls/expose/metrics.h"

#include <string.h>
#include <strings.h>

/* Health documents held in memory at one time: each can be a few MB for a large fleet. */
#define MAX_DOCUMENTS 64

/* Requests that wait for a reload: one answers all that were there when it began. */
#define MAX_RELOADS 64

enum {
    OK = 200,
    BAD_REQUEST = 400,
    NOT_FOUND = 404,
    NOT_ALLOWED = 405,
    TOO_LARGE = 413,
    ERROR = 500,
    UNAVAILABLE = 503
};

typedef void handler(struct site *site, const struct request *request, struct reply *reply);

void reply_init(struct reply *reply)
{
    *reply = (struct reply){.type = "text/plain; charset=utf-8", .text = BUF_INIT(TEXT_MAX_BYTES)};
}

void reply_text(struct reply *reply, unsigned status, const char *text)
{
    reply->status = status;
    buf_add_str(&reply->text, text);
    buf_add_char(&reply->text, '\n');
}

static void healthy(struct site *site, const struct request *request, struct reply *reply)
{
    (void)site;
    (void)request;
    reply_text(reply, OK, "pgtls_exporter is healthy.");
}

static void ready(struct site *site, const struct request *request, struct reply *reply)
{
    (void)request;
    if (atomic_load(&site->self->ready))
        reply_text(reply, OK, "pgtls_exporter is ready.");
    else
        reply_text(reply, UNAVAILABLE, "pgtls_exporter is not ready.");
}

static void reload(struct site *site, const struct request *request, struct reply *reply)
{
    (void)request;
    if (!reply_take_place(reply, &site->reloads, MAX_RELOADS))
        reply_refuse(reply, "Too many requests wait for a reload.");
    else
        reply->awaits = AWAITS_RELOAD;
}

void answer_reloaded(bool done, const char *message, struct reply *reply)
{
    if (!message || !message[0])
        message = done ? "reloaded" : "the reload failed";
    reply_text(reply, done ? OK : ERROR, message);
}

bool reply_take_place(struct reply *reply, atomic_uint *taken, unsigned max)
{
    if (atomic_fetch_add(taken, 1) < max || max == 0) {
        reply->place = taken;
        return true;
    }
    atomic_fetch_sub(taken, 1);
    return false;
}

void reply_no_body(struct reply *reply)
{
    reply_text(reply, TOO_LARGE, "A request here has no body.");
}

void reply_refuse(struct reply *reply, const char *why)
{
    reply->retry_after = "5";
    reply_text(reply, UNAVAILABLE, why);
}

const char *metrics_type_for(enum metrics_format format, const char *accept)
{
    /* Prometheus 3 asks how names are escaped; ours never need it. */
    if (format == METRICS_OPENMETRICS && accept && strcasestr(accept, "escaping="))
        return "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
    return metrics_content_type(format);
}

static bool next_of_scrape(void *exposition, struct buf *to)
{
    return exposition_next(exposition, to);
}

static void free_scrape(void *exposition)
{
    exposition_free(exposition);
}

static void metrics(struct site *site, const struct request *request, struct reply *reply)
{
    enum metrics_format format = metrics_negotiate(request->accept);
    struct fleet_view *view;

    if (!reply_take_place(reply, &site->scrapes, site->options->max_requests)) {
        reply_refuse(reply, "Too many scrapes are in progress.");
        return;
    }
    view = fleet_view(site->fleet);
    reply->stream = (struct stream){next_of_scrape, free_scrape,
                                    view ? exposition_new(view, site->self, format) : NULL};
    fleet_view_unref(view);
    if (!reply->stream.of) {
        reply_refuse(reply, "Nothing can be told at the moment.");
        return;
    }
    reply->status = OK;
    reply->vary = "Accept, Accept-Encoding";
    reply->type = metrics_type_for(format, request->accept);
}

/* Parameters of the health document: what each may be, and where it goes. */
static const char *set_cluster(struct health_query *query, const char *value)
{
    if (query->cluster)
        return "cluster is named twice";
    query->cluster = value;
    return NULL;
}

static const char *set_endpoint(struct health_query *query, const char *value)
{
    if (query->endpoint)
        return "endpoint is named twice";
    query->endpoint = value;
    return NULL;
}

static const char *set_require(struct health_query *query, const char *value)
{
    query->require = strcmp(value, "any") == 0 ? REQUIRE_ANY : REQUIRE_ALL;
    return strcmp(value, "any") == 0 || strcmp(value, "all") == 0 ? NULL
                                                                  : "require must be any or all";
}

static const char *set_fail_on(struct health_query *query, const char *value)
{
    query->fail_on_degraded = strcmp(value, "degraded") == 0;
    return query->fail_on_degraded || strcmp(value, "down") == 0
               ? NULL
               : "fail_on must be degraded or down";
}

static const char *set_brief(struct health_query *query, const char *value)
{
    query->brief = strcmp(value, "1") == 0;
    return query->brief || strcmp(value, "0") == 0 ? NULL : "brief must be 1 or 0";
}

static const struct {
    const char *key;
    const char *(*set)(struct health_query *query, const char *value);
} parameters[] = {
    {"cluster", set_cluster}, {"endpoint", set_endpoint}, {"require", set_require},
    {"fail_on", set_fail_on}, {"brief", set_brief},
};
#define N_PARAMETERS (sizeof parameters / sizeof *parameters)

static const char *set_parameter(struct health_query *query, const struct argument *argument)
{
    for (size_t i = 0; i < N_PARAMETERS; i++) {
        if (strcmp(parameters[i].key, argument->key) == 0)
            return parameters[i].set(query, argument->value ? argument->value : "");
    }
    return "the parameters are cluster, endpoint, require, fail_on and brief";
}

/* "/cluster/endpoint" behind the route's own path, cut into two in `names`; false if it is more. */
#define NAMES_MAX 1024
static bool split_names(const char *rest, char names[NAMES_MAX], struct health_query *query)
{
    size_t len = strlen(rest);
    char *slash;

    if (len >= NAMES_MAX)
        return false;
    memcpy(names, rest, len + 1);
    if (len > 0 && names[len - 1] == '/')
        names[len - 1] = '\0';
    if (names[0] == '\0')
        return true;
    query->cluster = names + 1;
    slash = strchr(names + 1, '/');
    if (!slash)
        return true;
    *slash = '\0';
    query->endpoint = slash + 1;
    return strchr(slash + 1, '/') == NULL;
}

static void health(struct site *site, const struct request *request, struct reply *reply)
{
    struct health_query query = {.require = REQUIRE_ALL, .shard = site->self->shard};
    struct fleet_view *view;
    char names[NAMES_MAX];
    const char *wrong = request->too_many_arguments ? "too many parameters" : NULL;

    if (!split_names(request->path + strlen(HEALTH_PATH), names, &query)) {
        reply_text(reply, NOT_FOUND, "Not found.");
        return;
    }
    for (size_t i = 0; i < request->n_arguments && !wrong; i++)
        wrong = set_parameter(&query, &request->arguments[i]);
    if (wrong) {
        reply_text(reply, BAD_REQUEST, wrong);
        return;
    }
    view = fleet_view(site->fleet);
    if (!view || !reply_take_place(reply, &site->documents, MAX_DOCUMENTS)) {
        reply_refuse(reply, "Nothing can be told at the moment.");
    } else {
        reply->type = "application/json";
        reply->vary = "Accept-Encoding";
        reply->status = (unsigned)health_document(view, &query, &reply->text);
    }
    fleet_view_unref(view);
}

#define READ_METHODS   "GET, HEAD"
#define RELOAD_METHODS "POST, PUT"

static const struct {
    const char *path; /* NULL: the telemetry path */
    bool below;       /* and everything below it */
    const char *methods;
    handler *handle;
} routes[] = {
    {NULL, false, READ_METHODS, metrics},
    {"/", false, READ_METHODS, answer_page},
    {"/server", false, READ_METHODS, answer_server},
    {"/fault", false, READ_METHODS, answer_fault},
    {ASSETS_PATH, true, READ_METHODS, answer_asset},
    {HEALTH_PATH, true, READ_METHODS, health},
    {"/probe", false, READ_METHODS, answer_probe},
    {"/-/healthy", false, READ_METHODS, healthy},
    {"/-/ready", false, READ_METHODS, ready},
    {"/-/reload", false, RELOAD_METHODS, reload},
};
#define N_ROUTES (sizeof routes / sizeof *routes)

static bool route_matches(const struct site *site, size_t i, const char *path)
{
    const char *own = routes[i].path ? routes[i].path : site->options->telemetry_path;
    size_t len = strlen(own);

    if (routes[i].handle == reload && !site->options->reload)
        return false;
    if (routes[i].handle == answer_probe && !site->options->probe)
        return false;
    return strncmp(path, own, len) == 0 &&
           (path[len] == '\0' || (routes[i].below && path[len] == '/'));
}

/* Is `method` a word of the list? */
static bool allows(const char *methods, const char *method)
{
    const char *found = strstr(methods, method);
    size_t len = strlen(method);

    return len > 0 && found && (found[len] == '\0' || found[len] == ',') &&
           (found == methods || found[-1] == ' ');
}

void route(struct site *site, const struct request *request, struct reply *reply)
{
    reply_init(reply);
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (!route_matches(site, i, request->path))
            continue;
        if (!allows(routes[i].methods, request->method)) {
            reply->allow = routes[i].methods;
            reply_text(reply, NOT_ALLOWED, "Method not allowed.");
        } else if (request->body) {
            reply_no_body(reply);
        } else {
            routes[i].handle(site, request, reply);
        }
        return;
    }
    reply_text(reply, NOT_FOUND, "Not found.");
}
