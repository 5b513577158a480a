#pragma once
/* What is answered where, without a word of HTTP's mechanics: a request in plain values, a reply in
 * plain values. */
#include "pgtls/base/buf.h"
#include "pgtls/expose/http.h"
#include "pgtls/expose/metrics.h"

#include <stdatomic.h>

#define MAX_ARGUMENTS  16
#define TEXT_MAX_BYTES ((size_t)256 * 1024 * 1024)

struct argument {
    const char *key, *value; /* value NULL: no "=" */
};

struct request {
    const char *method, *path; /* the path decoded, without the query */
    const char *accept;        /* NULL if not sent */
    struct argument arguments[MAX_ARGUMENTS];
    size_t n_arguments;
    bool too_many_arguments;
    bool body; /* it announces one: no request here has a body, and none is read */
};

struct reply {
    unsigned status;
    const char *type;        /* Content-Type */
    const char *vary;        /* NULL: nothing */
    const char *allow;       /* with 405 */
    const char *retry_after; /* seconds, with 503 */
    bool html;
    struct buf text;
    struct exposition *stream; /* instead of text: a scrape to stream */
    atomic_uint *place;        /* one of these is taken until the answer is out; NULL: none */
};

/* What the handlers work with. */
struct site {
    const struct http_options *options;
    struct fleet *fleet;
    const struct self *self;
    atomic_uint scrapes, documents; /* in progress */
};

/* Answers. The reply's text, stream and place are the caller's. */
void route(struct site *site, const struct request *request, struct reply *reply);

/* A plain text answer. */
void reply_text(struct reply *reply, unsigned status, const char *text);
