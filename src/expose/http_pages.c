/* Handlers of the pages for people, and of the files that belong to them. */
#include "assets.h"
#include "http_routes.h"
#include "page.h"

#include "pgtls/base/buf.h"

#include <stdlib.h>
#include <string.h>

/* Pages being sent at one time: each holds a few words per endpoint and one piece. */
#define MAX_PAGES 64

enum { OK = 200, BAD_REQUEST = 400, NOT_FOUND = 404 };

static struct page_site site_of(const struct site *site)
{
    return (struct page_site){site->self, site->options->telemetry_path, HEALTH_PATH};
}

static void be_page(struct reply *reply)
{
    reply->status = OK;
    reply->html = true;
    reply->type = "text/html; charset=utf-8";
    reply->vary = "Accept-Encoding";
}

/* A parameter by its name: its value, "" when it is not there, NULL when it is there twice. */
static const char *parameter(const struct request *request, const char *key)
{
    const char *value = "";
    bool seen = false;

    for (size_t i = 0; i < request->n_arguments; i++) {
        if (strcmp(request->arguments[i].key, key) != 0)
            continue;
        if (seen)
            return NULL;
        seen = true;
        value = request->arguments[i].value ? request->arguments[i].value : "";
    }
    return value;
}

/* What is wrong with the parameters; NULL if all of them are in the list, each once. */
static const char *wrong_parameters(const struct request *request, const char *const *keys,
                                    const char *list)
{
    if (request->too_many_arguments)
        return "too many parameters";
    for (size_t i = 0; i < request->n_arguments; i++) {
        size_t k = 0;

        while (keys[k] && strcmp(keys[k], request->arguments[i].key) != 0)
            k++;
        if (!keys[k])
            return list;
        if (!parameter(request, keys[k]))
            return "a parameter is there twice";
    }
    return NULL;
}

static const char *read_query(const struct request *request, struct page_query *query)
{
    static const char *const keys[] = {"q", "cluster", "state", "show", NULL};
    const char *wrong =
        wrong_parameters(request, keys, "the parameters are q, cluster, state and show");
    const char *state, *show;

    if (wrong)
        return wrong;
    query->text = parameter(request, "q");
    query->cluster = parameter(request, "cluster");
    state = parameter(request, "state");
    show = parameter(request, "show");
    query->one_kind = state[0] != '\0';
    if (query->one_kind && !row_kind_from_name(state, &query->kind))
        return "state must be down, degraded, unknown, ok or maintenance";
    query->all = strcmp(show, "all") == 0;
    return query->all || show[0] == '\0' ? NULL : "show must be all";
}

/* Whoever streams a page needs what it borrows as long: it stands beside it. */
struct streamed {
    struct page_site site;
    struct page *page;
};

static bool streamed_next(void *of, struct buf *to)
{
    struct streamed *streamed = of;

    return page_next(streamed->page, to);
}

static void streamed_free(void *of)
{
    struct streamed *streamed = of;

    page_free(streamed->page);
    free(streamed);
}

static struct streamed *streamed_new(struct site *site, const struct page_query *query)
{
    struct fleet_view *view = fleet_view(site->fleet);
    struct streamed *streamed = view ? calloc(1, sizeof *streamed) : NULL;

    if (streamed) {
        streamed->site = site_of(site);
        streamed->page = page_new(view, &streamed->site, query);
        if (!streamed->page) {
            free(streamed);
            streamed = NULL;
        }
    }
    fleet_view_unref(view);
    return streamed;
}

/* False with the reply: the request is wrong, or too many pages are on their way. */
static bool may_be_sent(struct site *site, struct reply *reply, const char *wrong)
{
    if (wrong)
        reply_text(reply, BAD_REQUEST, wrong);
    else if (!reply_take_place(reply, &site->pages, MAX_PAGES))
        reply_refuse(reply, "Too many pages are being sent.");
    else
        return true;
    return false;
}

void answer_page(struct site *site, const struct request *request, struct reply *reply)
{
    struct page_query query = {0};
    const char *wrong = read_query(request, &query);

    if (!may_be_sent(site, reply, wrong))
        return;
    reply->stream = (struct stream){streamed_next, streamed_free, streamed_new(site, &query)};
    if (reply->stream.of)
        be_page(reply);
    else
        reply_refuse(reply, "Nothing can be told at the moment.");
}

void answer_server(struct site *site, const struct request *request, struct reply *reply)
{
    static const char *const keys[] = {"cluster", "endpoint", "server", NULL};
    const char *wrong =
        wrong_parameters(request, keys, "the parameters are cluster, endpoint and server");
    struct page_site about = site_of(site);
    struct fleet_view *view;

    if (!may_be_sent(site, reply, wrong))
        return;
    view = fleet_view(site->fleet);
    if (view &&
        page_of_server(view, &about, parameter(request, "cluster"), parameter(request, "endpoint"),
                       parameter(request, "server"), &reply->text))
        be_page(reply);
    else
        reply_text(reply, NOT_FOUND, "No such server is watched.");
    fleet_view_unref(view);
}

void answer_fault(struct site *site, const struct request *request, struct reply *reply)
{
    static const char *const keys[] = {"id", NULL};
    const char *wrong = wrong_parameters(request, keys, "the parameter is id");
    struct page_site about = site_of(site);
    enum fault fault;

    if (wrong) {
        reply_text(reply, BAD_REQUEST, wrong);
    } else if (!fault_from_id(parameter(request, "id"), &fault) || fault == FAULT_NONE) {
        reply_text(reply, NOT_FOUND, "There is no such fault.");
    } else {
        be_page(reply);
        page_of_fault(&about, fault, &reply->text);
    }
}

/* Pages name an asset with its content's id: under that name it never changes. */
void answer_asset(struct site *site, const struct request *request, struct reply *reply)
{
    const char *name = request->path + strlen(ASSETS_PATH), *id = parameter(request, "v");
    const struct asset *asset = name[0] == '/' ? asset_find(name + 1) : NULL;

    (void)site;
    if (!asset) {
        reply_text(reply, NOT_FOUND, "Not found.");
        return;
    }
    reply->status = OK;
    reply->type = asset->type;
    reply->vary = "Accept-Encoding";
    if (id && strcmp(id, asset->id) == 0)
        reply->cache = "max-age=31536000, immutable";
    buf_add(&reply->text, asset->bytes, asset->len);
}
