#pragma once
/* One place that is looked at: the files of a file_sd, a URL, a name of SRV records, a host that is
 * followed. Shared inside discovery.c and look_*.c. */
#include "discovery.h"

#include "pgtls/net/http_client.h"
#include "pgtls/net/resolver.h"

#include <uv.h>

/* What was found at one place, and how it went: a file, an answer. */
struct document {
    char *place; /* a path, a URL as it may be shown, a name */
    char *name;  /* of its list and in metrics: the place, and a number if others have that too */
    bool failing;
    uint64_t error_hash; /* of what was said last */
    uint64_t content_hash;
    uint64_t failures;
    int64_t last_success_realtime_ns; /* 0: never */
    size_t targets;
    uint64_t read, seen; /* of a file: fingerprints as read last, and at the latest look */
    bool matched;        /* by the look at hand */
    struct document *next;
};

struct look;
struct look_kind {
    const char *name; /* label value `kind` */
    void (*start)(struct look *look);
    void (*on_timer)(struct look *look);
    /* No callback comes any more but the timer's close; may be NULL. */
    void (*stop)(struct look *look);
};
extern const struct look_kind look_files, look_http, look_dns, look_follow;

struct look {
    const struct look_kind *kind;
    struct discovery_hub *hub;
    struct endpoint_set *set;          /* what the next two stand in; a reference */
    const struct discovery *discovery; /* NULL: a host that is followed */
    const char *item;                  /* URL, name, host; the first pattern of files */
    bool wanted;                       /* by the set at hand */
    bool answered;                     /* once at least */
    struct document *documents;        /* one, but of files */
    uv_timer_t timer;
    struct http_fetch *fetch; /* in flight */
    struct srv_request srv;
    struct resolve_request resolve;
    struct look *next;
};

struct discovery_hub {
    uv_loop_t *loop;
    struct config_source *source;
    struct discovery_callbacks callbacks;
    struct http_client *http;
    struct resolver *resolver;
    uv_timer_t *settle; /* several news at once make one */
    bool quiet;         /* the caller asks for itself */
    bool changed;
    bool missing; /* some look, for want of memory: what it is to see is asked for again */
    struct look *looks;
};

/* The document of this place, made when there is none. NULL without memory. */
struct document *look_document(struct look *look, const char *place);

/* A document has come: parses it and hands its list on, unless it is what came before. False when
 * there was no memory for it. */
bool look_take(struct look *look, struct document *document, const char *text, size_t len);

/* It has not: counts, and says so once. */
void look_failed(struct look *look, struct document *document, const char *error);

/* It is good: what was wrong is said to be over. */
void look_good(struct look *look, struct document *document, size_t targets);

/* This look does not bring the document any more; its list goes, unless another look has come to
 * bring it. */
void look_drop(struct look *look, struct document *document);

/* The source has something new. */
void look_news(struct look *look);
void look_again(struct look *look, int64_t after_ns);
