#pragma once
/* Prometheus's protobuf exposition (metrics.proto), a metric at a time: its labels, then its value.
 *
 * A MetricFamily stands behind its length, so it can be written only when it is complete. That a
 * large one never stands whole in memory, it is written as several messages of one name, each of
 * which is a family of its own to whoever reads it. */
#include "pgtls/base/buf.h"
#include "pgtls/model/native_histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum protobuf_type { PROTOBUF_COUNTER, PROTOBUF_GAUGE, PROTOBUF_HISTOGRAM };

#define MAX_COMMON_LABELS 3
struct protobuf_label {
    const char *name, *value;
};

struct protobuf {
    const char *name, *help; /* of the family */
    enum protobuf_type type;
    struct buf metrics; /* complete ones, as fields of the message to be */
    struct protobuf_label labels[MAX_COMMON_LABELS]; /* that each metric of this item begins with */
    size_t n_labels;
    struct buf common; /* they packed, once one was needed */
    struct buf metric; /* the labels of the present one */
};

/* A histogram's two sides. */
struct protobuf_histogram {
    const double *bounds;   /* NULL: no classic buckets */
    const uint64_t *counts; /* of each bucket, n_bounds + 1 of them */
    size_t n_bounds;
    size_t folded; /* the first so many bounds are left out */
    bool with_native;
    const struct native_histogram *native; /* NULL: nothing is in it */
    uint64_t count;
    double sum;
};

void protobuf_init(struct protobuf *p);
void protobuf_deinit(struct protobuf *p);

/* What comes belongs to this family. */
void protobuf_family(struct protobuf *p, enum protobuf_type type, const char *name,
                     const char *help);

/* Metrics from here on begin with these n labels, at most MAX_COMMON_LABELS. Borrowed. */
void protobuf_common(struct protobuf *p, const struct protobuf_label *labels, size_t n);

/* One metric: begin, labels, then exactly one value. */
void protobuf_begin(struct protobuf *p);
void protobuf_label(struct protobuf *p, const char *name, const char *value);
void protobuf_value(struct protobuf *p, double value); /* of a counter or gauge */
void protobuf_histogram(struct protobuf *p, const struct protobuf_histogram *h);

/* Bytes that wait for their message. */
static inline size_t protobuf_waiting(const struct protobuf *p)
{
    return p->metrics.len;
}

/* Writes what waits as one message, if anything does. */
void protobuf_flush(struct protobuf *p, struct buf *to);
