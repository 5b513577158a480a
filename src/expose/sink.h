#pragma once
/* Writes samples, in any of the formats. The hot path of a scrape: no printf, no allocation beyond
 * the buffer, label values from closed vocabularies are copied as they are. */
#include "pgtls/base/buf.h"
#include "pgtls/expose/metrics.h"
#include "pgtls/model/server.h"
#include "protobuf.h"

#include <stdint.h>

/* Bucket bounds as label values: "0.005", "1.0", last "+Inf", each with what follows it in its line
 * up to the count: `0.005"} `. */
struct le_table {
    size_t n; /* bounds, without +Inf */
    double bounds[MAX_BUCKETS];
    char text[MAX_BUCKETS + 1][32];
    size_t len[MAX_BUCKETS + 1];
};
struct sink {
    struct buf *to;
    enum metrics_format format;
    struct protobuf *protobuf; /* NULL: lines of text */
    const char *name;          /* of the family, as its samples carry it */
    size_t name_len;
    const char *labels; /* that every sample of this item starts with; "" for none */
    size_t labels_len;
    bool open; /* this line's braces are */
    int64_t now_ns;
    const struct self *self;
    const struct settings *settings;
    const struct process_facts *process;
    struct le_table le;
};

/* Makes the table; without memory the sink's buffer fails. */
void sink_bounds(struct sink *k, const double *bounds, size_t n);

/* One sample: begin, labels, then exactly one value. Names and values of labels are borrowed. */
void sink_begin(struct sink *k);
void sink_label(struct sink *k, const char *name, const char *value); /* nothing to escape in it */
void sink_text(struct sink *k, const char *name, const char *value);  /* escaped */
void sink_u64(struct sink *k, uint64_t value);
void sink_i64(struct sink *k, int64_t value);
void sink_double(struct sink *k, double value);

/* Nanoseconds as decimal seconds, exactly. */
void sink_ns(struct sink *k, int64_t ns);

/* A sample without further labels, or with one. */
void sink_plain_u64(struct sink *k, uint64_t value);
void sink_one_u64(struct sink *k, const char *label, const char *label_value, uint64_t value);
void sink_one_ns(struct sink *k, const char *label, const char *label_value, int64_t ns);

/* One histogram; label NULL for none. counts are per bucket, le.n + 1 of them; the first `folded`
 * buckets are counted into the next one shown. Its native side is told in protobuf only; where that
 * is the only one, the lines of text are left with the bucket +Inf. */
struct sink_histogram {
    const char *label, *label_value;
    bool escape; /* there may be something to escape in the value */
    const uint64_t *counts;
    int64_t sum_ns;
    size_t folded;
    enum histograms kinds;
    const struct native_histogram *native; /* NULL: nothing is in it */
};
void sink_histogram(struct sink *k, const struct sink_histogram *h);
