#pragma once
/* What the pages are made of: small pieces of markup about one server. All of them append to a
 * buffer and read the server's state, so call them under its lock. */
#include "pgtls/base/buf.h"
#include "pgtls/model/fleet.h"

/* What a row is, for sorting, filtering and colour: the worst first. */
enum row_kind { ROW_DOWN, ROW_DEGRADED, ROW_UNKNOWN, ROW_OK, ROW_MAINTENANCE, ROW_COUNT };
const char *row_kind_name(enum row_kind kind); /* "down" …: class, and value of the parameter */
bool row_kind_from_name(const char *name, enum row_kind *kind);
enum row_kind row_kind_of(enum status status, bool paused);

/* A server at the moment somebody looks. */
struct glance {
    const struct server_state *s;
    int64_t now_ns, realtime_ns;
    const struct probe_state *silent, *culprit; /* as health has them; NULL: none */
    const char *pause;                          /* NULL: it is watched */
    enum row_kind kind;
};
struct glance glance_at(const struct server_state *s, int64_t now_ns, int64_t realtime_ns);

/* A mark of shape, word and colour. */
void part_mark(struct buf *to, enum row_kind kind);

/* "for 5 min" */
void part_since(struct buf *to, int64_t since_realtime_ns, int64_t realtime_ns);

/* "5 min", "3 h", "12 days": one figure is enough to look at. */
#define SPAN_SIZE 32
void span_text(char to[SPAN_SIZE], int64_t ns);

/* "0.42 ms", "1.30 s" */
void part_duration(struct buf *to, int64_t ns);

/* The link to the server's own page, around its name. */
void part_server_link(struct buf *to, const struct server *server);

/* What is wrong with it, what that means and what to do; or what it is. */
void part_finding(struct buf *to, const struct glance *g);

/* The steps of its latest probes as one bar, with their sum. */
void part_steps(struct buf *to, const struct glance *g);

/* Its last hour, a point per minute, those with failures marked; nothing before there is a result.
 */
void part_hour(struct buf *to, const struct glance *g);

/* Its latest probes, a bar each on one scale. */
void part_probes(struct buf *to, const struct glance *g);

/* How long its certificates are still good: a bar of the lifetime that is left. */
void part_certificate(struct buf *to, const struct glance *g);

/* Promises that it made, kept or not, and sessions that are watched. */
void part_promises(struct buf *to, const struct glance *g);
void part_sessions(struct buf *to, const struct glance *g);
