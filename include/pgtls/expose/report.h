#pragma once
/* What one probe of a server saw, for people: as text to read or to paste into a ticket, as a line
 * of a table, as JSON (docs/probe.schema.json). Pure: observations in, text out. */
#include "pgtls/model/fleet.h"
#include "pgtls/model/observation.h"
#include "pgtls/model/server.h"

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* How it looks. */
struct report_style {
    bool color;   /* ANSI colours */
    bool unicode; /* marks and bars beyond ASCII */
    size_t width; /* columns; text is wrapped at them, 0: 80 */
};

/* One server after it was probed once. Everything is borrowed. */
#define REPORT_MAX_NOTES 3
struct report {
    const struct server *server;
    bool named;                           /* it has a cluster and an endpoint worth showing */
    const struct observation *inspect;    /* never NULL */
    const struct observation *login;      /* NULL: none ran */
    const struct sslmode_facts *sslmodes; /* NULL: nobody asked */
    const char *notes[REPORT_MAX_NOTES];  /* what the caller has to say, up to the first NULL */
};

/* Up: the inspect was good, and the login if one ran. Unknown: our own side failed. */
enum state report_state(const struct report *r);

/* The state, and whether what is up keeps its promises, as far as this once told. */
enum status report_status(const struct report *r);

/* The probe that explains the state when it is not up, else NULL. */
const struct observation *report_culprit(const struct report *r);

/* The probe that was refused as expected and is all the better for it, else NULL. */
const struct observation *report_refusal(const struct report *r);

/* The whole report, ending in a newline. */
void report_text(const struct report *r, const struct report_style *style, struct buf *to);

/* The table of several servers: widths of the two name columns are the caller's, who knows all of
 * them before the first line is due. */
struct report_columns {
    size_t endpoint, server;
};
void report_columns_add(struct report_columns *columns, const struct server *server);
void report_line_head(const struct report_columns *columns, const struct report_style *style,
                      struct buf *to);
void report_line(const struct report *r, const struct report_columns *columns,
                 const struct report_style *style, struct buf *to);
/* A server that is left alone on purpose. */
void report_line_left(const struct server *s, const struct report_columns *columns,
                      const struct report_style *style, struct buf *to);
/* "12 servers: 10 ok, 2 down" */
void report_line_sum(const size_t counts[STATUS_COUNT], size_t left,
                     const struct report_style *style, struct buf *to);

/* The servers of a configuration, as a table or (`json`) a document. No secret is in it. With
 * total_shards > 0 each of them is shown with the shard that it lives in. */
void report_list(const struct endpoint_set *set, unsigned total_shards,
                 const struct report_style *style, struct buf *to);
bool report_list_json(const struct endpoint_set *set, unsigned total_shards, struct buf *to);

/* The document, piece by piece, so that a large fleet's never stands in memory: begin, add each,
 * end. False when memory or the buffer's maximum forbade it. */
bool report_json_begin(struct buf *to);
bool report_json_add(const struct report *r, bool first, struct buf *to);
bool report_json_end(const size_t counts[STATUS_COUNT], const struct endpoint_set *left,
                     struct buf *to);
