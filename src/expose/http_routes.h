#pragma once
/* What is answered where, without a word of HTTP's mechanics: a request in plain values, a reply in
 * plain values. */
#include "pgtls/base/buf.h"
#include "pgtls/expose/http.h"
#include "pgtls/expose/metrics.h"
#include "stream.h"

#include <stdatomic.h>

#define MAX_ARGUMENTS  16
#define TEXT_MAX_BYTES ((size_t)256 * 1024 * 1024)

struct argument {
    const char *key, *value; /* value NULL: no "=" */
};

struct request {
    const char *method, *path;  /* the path decoded, without the query */
    const char *accept;         /* NULL if not sent */
    const char *scrape_timeout; /* X-Prometheus-Scrape-Timeout-Seconds, likewise */
    struct argument arguments[MAX_ARGUMENTS];
    size_t n_arguments;
    bool too_many_arguments;
    bool body; /* it announces one: no request here has a body, and none is read */
};

/* What has to come to pass before there is anything to answer. */
enum awaited { AWAITS_NOTHING, AWAITS_PROBE, AWAITS_RELOAD };

struct reply {
    unsigned status;
    const char *type;        /* Content-Type */
    const char *vary;        /* NULL: nothing */
    const char *allow;       /* with 405 */
    const char *retry_after; /* seconds, with 503 and 429 */
    const char *challenge;   /* WWW-Authenticate, with 401 */
    const char *cache;       /* Cache-Control, NULL: no-store */
    bool html;
    struct buf text;
    struct stream stream; /* instead of text */
    atomic_uint *place;   /* one of these is taken until the answer is out; NULL: none */
    enum awaited awaits;
    struct probe_question question; /* AWAITS_PROBE */
};

/* What the handlers work with. */
struct site {
    const struct http_options *options;
    struct fleet *fleet;
    const struct self *self;
    atomic_uint scrapes, documents, pages, probes, reloads; /* in progress */
};

/* Answers. The reply's text, stream and place are the caller's. */
void route(struct site *site, const struct request *request, struct reply *reply);

/* A reply without anything yet. */
void reply_init(struct reply *reply);

/* A plain text answer. */
void reply_text(struct reply *reply, unsigned status, const char *text);

/* Takes one of `max` places until the answer is out; 0: there are always places. */
bool reply_take_place(struct reply *reply, atomic_uint *taken, unsigned max);

/* 413 */
void reply_no_body(struct reply *reply);

/* 503, come again. */
void reply_refuse(struct reply *reply, const char *why);

/* /probe (http_probe.c): what is to be asked, or what is wrong with the request; then what the
 * answer comes to. `answer` NULL: there was none to be had. */
void answer_probe(struct site *site, const struct request *request, struct reply *reply);
void answer_probed(const struct request *request, const struct probe_answer *answer,
                   struct reply *reply);

/* /-/reload: what its outcome comes to. `message` may be NULL. */
void answer_reloaded(bool done, const char *message, struct reply *reply);

/* The Content-Type of metrics for a client that accepts this. */
const char *metrics_type_for(enum metrics_format format, const char *accept);

/* The pages for people, and the files that belong to them (http_pages.c). */
#define ASSETS_PATH "/assets"
#define HEALTH_PATH "/health/database"
void answer_page(struct site *site, const struct request *request, struct reply *reply);
void answer_server(struct site *site, const struct request *request, struct reply *reply);
void answer_fault(struct site *site, const struct request *request, struct reply *reply);
void answer_asset(struct site *site, const struct request *request, struct reply *reply);
