/* Discovery: which places are looked at, and what becomes of what they bring. */
#include "discovery.h"

#include "look.h"
#include "pgtls/base/arena.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"
#include "pgtls/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_MS 50
#define AGAIN_MS  5000 /* where there was no memory */

/* --- news ------------------------------------------------------------------------------------- */

static void on_settled(uv_timer_t *timer)
{
    struct discovery_hub *hub = timer->data;

    hub->changed = false;
    if (!hub->callbacks.news(hub->callbacks.context))
        uv_timer_start(timer, on_settled, AGAIN_MS, 0);
}

void look_news(struct look *look)
{
    struct discovery_hub *hub = look->hub;

    hub->changed = true;
    if (!hub->quiet && !uv_is_active((uv_handle_t *)hub->settle))
        uv_timer_start(hub->settle, on_settled, SETTLE_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct look *look = timer->data;

    look->kind->on_timer(look);
}

void look_again(struct look *look, int64_t after_ns)
{
    uv_timer_start(&look->timer, on_timer, (uint64_t)(after_ns / NS_PER_MS), 0);
}

/* --- documents -------------------------------------------------------------------------------- */

/* Does a look that goes on, other than this one, bring a list of this name? */
static bool is_brought(const struct look *but, const char *name)
{
    for (const struct look *l = but->hub->looks; l; l = l->next) {
        if (l == but || !l->wanted)
            continue;
        for (const struct document *d = l->documents; d; d = d->next) {
            if (strcmp(d->name, name) == 0)
                return true;
        }
    }
    return false;
}

/* Two looks may share a place: one file with two templates, URLs that differ in what is not shown.
 * Each has a list of its own. NULL without memory. */
static char *name_for(const struct look *look, const char *place)
{
    size_t size = strlen(place) + sizeof " (18446744073709551615)";
    char *name = malloc(size);

    if (name)
        str_copy(name, size, place);
    for (size_t i = 2; name && is_brought(look, name); i++)
        snprintf(name, size, "%s (%zu)", place, i);
    return name;
}

static void free_document(struct document *document)
{
    free(document->place);
    free(document->name);
    free(document);
}

struct document *look_document(struct look *look, const char *place)
{
    struct document **at = &look->documents;

    while (*at && strcmp((*at)->place, place) != 0)
        at = &(*at)->next;
    if (*at)
        return *at;
    *at = calloc(1, sizeof **at);
    if (!*at)
        return NULL;
    (*at)->place = strdup(place);
    (*at)->name = name_for(look, place);
    if (!(*at)->place || !(*at)->name) {
        free_document(*at);
        *at = NULL;
    }
    return *at;
}

static void tell_fared(const struct look *look)
{
    if (!look->hub->quiet)
        look->hub->callbacks.fared(look->hub->callbacks.context);
}

void look_failed(struct look *look, struct document *document, const char *error)
{
    uint64_t hash = str_hash(STR_HASH_START, error);

    look->answered = true;
    document->failures++;
    if (!document->failing || hash != document->error_hash)
        LOG(ERROR, "Discovery failed; the list before stays in force", {"kind", look->kind->name},
            {"source", document->name}, {"error", error});
    document->failing = true;
    document->error_hash = hash;
    tell_fared(look);
}

void look_good(struct look *look, struct document *document, size_t targets)
{
    char n[24];

    snprintf(n, sizeof n, "%zu", targets);
    if (document->failing)
        LOG(INFO, "Discovery works again", {"kind", look->kind->name}, {"source", document->name},
            {"endpoints", n});
    look->answered = true;
    document->failing = false;
    document->targets = targets;
    document->last_success_realtime_ns = clock_realtime_ns();
    tell_fared(look);
}

static uint64_t hash_of(const char *bytes, size_t len)
{
    uint64_t hash = STR_HASH_START;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void log_warnings(const struct config_messages *messages)
{
    for (size_t i = 0; i < messages->n; i++) {
        if (messages->items[i].severity == CONFIG_WARNING)
            LOG(WARN, "Discovery warning", {"warning", messages->items[i].text});
    }
}

static const char *first_error(const struct config_messages *messages)
{
    for (size_t i = 0; i < messages->n; i++) {
        if (messages->items[i].severity == CONFIG_ERROR)
            return messages->items[i].text;
    }
    return "out of memory";
}

bool look_take(struct look *look, struct document *document, const char *text, size_t len)
{
    uint64_t hash = hash_of(text, len);
    struct config_messages messages = {0};
    struct config_target_list list;
    struct arena *arena;
    bool had_memory;

    if (hash == document->content_hash && !document->failing) {
        look_good(look, document, document->targets);
        return true;
    }
    arena = arena_new();
    if (!arena) {
        look_failed(look, document, "out of memory");
        return false;
    }
    if (!discovery_parse(look->discovery, document->name, text, len, arena, &list, &messages)) {
        look_failed(look, document, first_error(&messages));
    } else if (!config_source_set_targets(look->hub->source, &list)) {
        messages.no_memory = true;
        look_failed(look, document, "out of memory");
    } else {
        log_warnings(&messages);
        document->content_hash = hash;
        look_good(look, document, list.n);
        look_news(look);
    }
    had_memory = !messages.no_memory;
    config_messages_deinit(&messages);
    arena_free(arena);
    return had_memory;
}

void look_drop(struct look *look, struct document *document)
{
    struct document **at = &look->documents;

    while (*at != document)
        at = &(*at)->next;
    *at = document->next;
    if (look->discovery && !is_brought(look, document->name)) {
        config_source_drop_targets(look->hub->source, document->name);
        look_news(look);
    }
    free_document(document);
}

/* --- looks ------------------------------------------------------------------------------------ */

static const struct look_kind *const kinds[DISCOVERY_KIND_COUNT] = {
    [DISCOVERY_FILE] = &look_files, [DISCOVERY_HTTP] = &look_http, [DISCOVERY_DNS] = &look_dns};

static void on_look_closed(uv_handle_t *timer)
{
    struct look *look = timer->data;

    endpoint_set_unref(look->set);
    free(look);
}

/* Ends one that is out of the hub's list. What it has brought goes, unless another one has come to
 * bring it, whose answer may still be on its way. */
static void end_look(struct look *look, bool keep)
{
    if (look->kind->stop)
        look->kind->stop(look);
    if (keep)
        look->discovery = NULL; /* nothing is dropped */
    else if (!look->discovery)
        config_source_drop_addresses(look->hub->source, look->item);
    while (look->documents)
        look_drop(look, look->documents);
    uv_close((uv_handle_t *)&look->timer, on_look_closed);
}

static struct look *find_look(const struct discovery_hub *hub, const struct look_kind *kind,
                              const struct discovery *d, const char *item)
{
    for (struct look *l = hub->looks; l; l = l->next) {
        if (l->kind == kind && strcmp(l->item, item) == 0 &&
            (d == l->discovery || (d && l->discovery && discovery_same(d, l->discovery))))
            return l;
    }
    return NULL;
}

static void want(struct discovery_hub *hub, const struct look_kind *kind, struct endpoint_set *set,
                 const struct discovery *d, const char *item)
{
    struct look *look = find_look(hub, kind, d, item), **at = &hub->looks;

    if (look) {
        look->wanted = true;
        return;
    }
    look = calloc(1, sizeof *look);
    if (!look) {
        LOG(ERROR, "Out of memory; not looked at yet", {"source", item});
        hub->missing = true;
        return;
    }
    *look = (struct look){.kind = kind,
                          .hub = hub,
                          .set = endpoint_set_ref(set),
                          .discovery = d,
                          .item = item,
                          .wanted = true};
    uv_timer_init(hub->loop, &look->timer);
    look->timer.data = look;
    while (*at)
        at = &(*at)->next;
    *at = look;
}

static void end_unwanted(struct discovery_hub *hub)
{
    struct look **at = &hub->looks;

    while (*at) {
        struct look *look = *at;

        if (look->wanted) {
            at = &look->next;
            continue;
        }
        *at = look->next;
        end_look(look, false);
    }
}

bool discovery_hub_watch(struct discovery_hub *hub, struct endpoint_set *set)
{
    struct look *last = hub->looks;

    while (last && last->next)
        last = last->next;
    for (struct look *l = hub->looks; l; l = l->next)
        l->wanted = false;
    hub->missing = false;
    for (size_t i = 0; i < set->n_discoveries; i++) {
        const struct discovery *d = &set->discoveries[i];

        for (size_t j = 0; j < (d->kind == DISCOVERY_FILE ? 1 : d->n_items); j++)
            want(hub, kinds[d->kind], set, d, d->items[j]);
    }
    for (const struct follow *f = set->follows; f; f = f->next)
        want(hub, &look_follow, set, NULL, f->host);
    hub->quiet = true;
    hub->changed = false;
    if (hub->missing)
        uv_timer_start(hub->settle, on_settled, AGAIN_MS, 0);
    for (struct look *l = last ? last->next : hub->looks; l; l = l->next)
        l->kind->start(l);
    end_unwanted(hub);
    hub->quiet = false;
    return hub->changed;
}

bool discovery_hub_waiting(const struct discovery_hub *hub)
{
    for (const struct look *l = hub->looks; l; l = l->next) {
        if (!l->answered)
            return true;
    }
    return false;
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_settle_closed(uv_handle_t *timer)
{
    free(timer);
}

struct discovery_hub *discovery_hub_new(uv_loop_t *loop, struct config_source *source,
                                        const struct discovery_callbacks *callbacks)
{
    struct discovery_hub *hub = calloc(1, sizeof *hub);

    if (!hub)
        return NULL;
    *hub = (struct discovery_hub){.loop = loop, .source = source, .callbacks = *callbacks};
    hub->settle = calloc(1, sizeof *hub->settle);
    hub->resolver = hub->settle ? resolver_new(loop) : NULL;
    hub->http = hub->resolver ? http_client_new(loop) : NULL;
    if (hub->settle)
        uv_timer_init(loop, hub->settle);
    if (hub->http) {
        hub->settle->data = hub;
        return hub;
    }
    discovery_hub_free(hub);
    return NULL;
}

void discovery_hub_free(struct discovery_hub *hub)
{
    if (!hub)
        return;
    hub->quiet = true;
    while (hub->looks) {
        struct look *look = hub->looks;

        hub->looks = look->next;
        end_look(look, true);
    }
    if (hub->http)
        http_client_free(hub->http);
    if (hub->resolver)
        resolver_free(hub->resolver);
    if (hub->settle)
        uv_close((uv_handle_t *)hub->settle, on_settle_closed);
    free(hub);
}

/* --- metrics ---------------------------------------------------------------------------------- */

/* Is the latest list of this document in force? */
static bool in_force(const struct discovery_hub *hub, const struct document *document)
{
    struct config_input_state state;

    for (size_t i = 0; config_source_input(hub->source, i, &state); i++) {
        if (!state.is_file && strcmp(state.name, document->name) == 0)
            return state.valid;
    }
    return true;
}

size_t discovery_hub_count(const struct discovery_hub *hub)
{
    size_t n = 0;

    for (const struct look *l = hub->looks; l; l = l->next) {
        for (const struct document *d = l->documents; d; d = d->next)
            n++;
    }
    return n;
}

void discovery_hub_tell(const struct discovery_hub *hub, struct self_inputs *inputs)
{
    for (const struct look *l = hub->looks; l; l = l->next) {
        for (const struct document *d = l->documents; d; d = d->next) {
            struct self_input input = {.name = strdup(d->name),
                                       .valid = !d->failing && in_force(hub, d),
                                       .kind = l->kind->name,
                                       .targets = d->targets,
                                       .failures = d->failures,
                                       .last_success_realtime_ns = d->last_success_realtime_ns};

            if (input.name)
                inputs->items[inputs->n++] = input;
        }
    }
}
