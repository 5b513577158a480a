#pragma once
/* The pages for people: the status of everything that is watched, one server, one fault. They work
 * without a script; with one the first two keep themselves up to date. */
#include "page_parts.h"
#include "pgtls/model/fleet.h"
#include "pgtls/model/self.h"

#include <stdbool.h>

/* Endpoints are shown until so many servers are: "show all" shows the rest. */
#define PAGE_SERVERS 250

/* What pages tell beside the fleet; borrowed. */
struct page_site {
    const struct self *self;
    const char *telemetry_path, *health_path;
};

struct page_query {
    const char *text, *cluster; /* NULL or "": all; borrowed until page_new() returns */
    bool one_kind;
    enum row_kind kind; /* if one_kind */
    bool all;           /* of however many servers */
};

/* One page in progress. Holds a reference on the view. NULL when out of memory. */
struct page;
struct page *page_new(struct fleet_view *view, const struct page_site *site,
                      const struct page_query *query);
void page_free(void *page);

/* Appends the next piece, at most one server's; false when the page was complete before. */
bool page_next(void *page, struct buf *to);

/* The page of one server; false if there is none of these names. */
bool page_of_server(const struct fleet_view *view, const struct page_site *site,
                    const char *cluster, const char *endpoint, const char *server, struct buf *to);

/* The page of a fault: what it means and what to do. */
void page_of_fault(const struct page_site *site, enum fault fault, struct buf *to);

/* What all pages begin and end with. The live part, between "begin" and "end", is asked for again
 * every `refresh_s` seconds; 0: never. */
void frame_head(struct buf *to, const char *title);
void frame_begin(struct buf *to, int refresh_s);
void frame_end(struct buf *to);
void frame_foot(struct buf *to, const struct page_site *site);
