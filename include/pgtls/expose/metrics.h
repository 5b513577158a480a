#pragma once
/* The metric contract and its exposition, in Prometheus text 0.0.4, OpenMetrics 1.0 and Prometheus
 * protobuf, which alone can tell native histograms.
 *
 * Family-major over a static catalogue: outer loop the families, inner loop the servers. The body
 * is produced piece by piece, never whole in memory; each server's lock is held only while one
 * family of it is written, so that no histogram is torn and no probe waits. */
#include "pgtls/model/fleet.h"
#include "pgtls/model/self.h"

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum metrics_format { METRICS_TEXT, METRICS_OPENMETRICS, METRICS_PROTOBUF };

/* The Content-Type of a format. */
const char *metrics_content_type(enum metrics_format format);

/* Chooses by an Accept header (q-values; NULL: text). OpenMetrics 1.0.0 and 0.0.1 are known, and
 * delimited protobuf of io.prometheus.client.MetricFamily. */
enum metrics_format metrics_negotiate(const char *accept);

/* One scrape in progress. Holds a reference on the view. */
struct exposition;
struct exposition *exposition_new(struct fleet_view *view, const struct self *self,
                                  enum metrics_format format);
void exposition_free(struct exposition *e);

/* Appends the next piece (some KiB, more where one server has many series) to `to`. False when the
 * body was already complete, with nothing appended, or when `to` failed (look at to->failed). */
bool exposition_next(struct exposition *e, struct buf *to);

/* The body of /probe: what a probe by request came to, as gauges. */
struct probe_answer;
void probe_metrics(const struct probe_answer *answer, enum metrics_format format, struct buf *to);

/* Prints the metrics reference (Markdown) from the catalogue. */
void metrics_print_reference(struct buf *to);

/* Prints every name that is API of this room, a line each: metric families with their labels, label
 * values, fault ids, JSON keys of the health document. docs/api-names.txt begins with it (test). */
void expose_print_names(struct buf *to);
