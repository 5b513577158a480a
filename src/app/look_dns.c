/* dns_sd: SRV records; and hosts whose every address is a server (`resolve: all`). */
#include "look.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"

#include <string.h>

#define ANSWER_NS     (5 * NS_PER_S) /* an answer that takes longer does not come */
#define FOLLOW_NS     (30 * NS_PER_S)
#define FOLLOW_MIN_NS (5 * NS_PER_S)
#define FOLLOW_MAX_NS (300 * NS_PER_S)

static const char *why(enum resolve_status status)
{
    if (status == RESOLVE_MEMORY)
        return "out of memory";
    return status == RESOLVE_NOT_FOUND ? "there is no such name, or it has no such records"
                                       : "the name could not be resolved";
}

/* --- SRV records ------------------------------------------------------------------------------ */

/* A host name and nothing else: it goes into a document. */
static bool is_host_name(const char *text)
{
    return text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789-_.") == strlen(text);
}

/* The answer as the document that a file or service would have held. */
static bool write_document(struct buf *to, const char *name, const struct srv_answer *answer)
{
    bool good = is_host_name(name);

    buf_add_str(to, "[{\"targets\":[");
    for (size_t i = 0; i < answer->n && good; i++) {
        const struct srv *srv = &answer->records[i];

        good = is_host_name(srv->target);
        buf_addf(to, "%s\"%s:%u\"", i > 0 ? "," : "", srv->target, srv->port);
    }
    buf_addf(to, "],\"labels\":{\"__meta_dns_name\":\"%s\"}}]", name);
    return good && !to->failed;
}

static void on_srv(struct srv_request *request, const struct srv_answer *answer)
{
    struct look *look = (struct look *)((char *)request - offsetof(struct look, srv));
    struct document *document = look_document(look, look->item);
    struct buf text = BUF_INIT(CONFIG_MAX_BYTES);

    look_again(look, look->discovery->refresh_interval_ns);
    if (!document)
        return;
    if (answer->status != RESOLVE_OK || answer->n == 0)
        look_failed(look, document, why(answer->status));
    else if (!write_document(&text, look->item, answer))
        look_failed(look, document,
                    text.failed ? "out of memory" : "an SRV record's target is no host name");
    else
        look_take(look, document, buf_text(&text), text.len);
    buf_deinit(&text);
}

static void ask_srv(struct look *look)
{
    look_again(look, ANSWER_NS);
    resolver_ask_srv(look->hub->resolver, &look->srv, look->item);
}

static void start_srv(struct look *look)
{
    look->srv.done = on_srv;
    look_document(look, look->item); /* an earlier look's list is this one's now */
    ask_srv(look);
}

static void on_srv_timer(struct look *look)
{
    struct document *document = look_document(look, look->item);

    if (!look->srv.lookup) {
        ask_srv(look);
        return;
    }
    resolver_cancel_srv(&look->srv);
    if (document)
        look_failed(look, document, "the DNS did not answer in time");
    look_again(look, look->discovery->refresh_interval_ns);
}

static void stop_srv(struct look *look)
{
    if (look->srv.lookup)
        resolver_cancel_srv(&look->srv);
}

/* --- hosts that are followed ------------------------------------------------------------------ */

static int64_t next_follow(const struct resolution *answer)
{
    int64_t ttl = (int64_t)answer->ttl_seconds * NS_PER_S;

    if (ttl == 0)
        return FOLLOW_NS;
    return ttl < FOLLOW_MIN_NS ? FOLLOW_MIN_NS : ttl > FOLLOW_MAX_NS ? FOLLOW_MAX_NS : ttl;
}

static void on_addresses(struct resolve_request *request, const struct resolution *answer)
{
    struct look *look = (struct look *)((char *)request - offsetof(struct look, resolve));
    struct document *document = look_document(look, look->item);
    char texts[RESOLVER_MAX_ADDRESSES][64];
    const char *addresses[RESOLVER_MAX_ADDRESSES];

    look_again(look, next_follow(answer));
    if (!document)
        return;
    if (answer->status != RESOLVE_OK || answer->n == 0) {
        look_failed(look, document, why(answer->status));
        return;
    }
    for (size_t i = 0; i < answer->n; i++) {
        address_text(&answer->addresses[i], texts[i], sizeof texts[i]);
        addresses[i] = texts[i];
    }
    look_good(look, document, answer->n);
    if (config_source_set_addresses(look->hub->source, look->item, addresses, answer->n))
        look_news(look);
}

static void ask_addresses(struct look *look)
{
    look_again(look, ANSWER_NS);
    resolver_ask(look->hub->resolver, &look->resolve, look->item, 0);
}

static void start_follow(struct look *look)
{
    look->resolve.done = on_addresses;
    ask_addresses(look);
}

static void on_follow_timer(struct look *look)
{
    struct document *document = look_document(look, look->item);

    if (!look->resolve.lookup) {
        ask_addresses(look);
        return;
    }
    resolver_cancel(&look->resolve);
    if (document)
        look_failed(look, document, "the DNS did not answer in time");
    look_again(look, FOLLOW_NS);
}

static void stop_follow(struct look *look)
{
    if (look->resolve.lookup)
        resolver_cancel(&look->resolve);
}

const struct look_kind look_dns = {"dns_sd", start_srv, on_srv_timer, stop_srv};
const struct look_kind look_follow = {"resolve", start_follow, on_follow_timer, stop_follow};
