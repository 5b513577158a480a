/* Messages of metrics.proto, packed by protobuf-c and put together here: a message's fields may
 * stand one behind the other as they come, so neither a metric nor a family is ever a tree in
 * memory. */
#include "protobuf.h"

#include "metrics.pb-c.h"
#include "pgtls/model/server.h"

#include <endian.h>
#include <string.h>

#define MAX_BYTES ((size_t)8 * 1024 * 1024)

/* Buckets without anything in them between two with something: so many are cheaper told than a new
 * span, in bytes and in what Prometheus stores. */
#define MAX_GAP 2

enum wire { WIRE_64_BITS = 1, WIRE_BYTES = 2 }; /* the latter: length, then bytes */
#define MAX_VARINT 10
#define MAX_HEAD   (1 + MAX_VARINT)

typedef Io__Prometheus__Client__MetricFamily family_message;
typedef Io__Prometheus__Client__Histogram histogram_message;
typedef Io__Prometheus__Client__Bucket bucket_message;
typedef Io__Prometheus__Client__BucketSpan span_message;

/* Numbers of the fields that are written here, as in metrics.proto. */
enum field {
    METRIC_LABEL = 1,
    METRIC_GAUGE = 2,
    METRIC_COUNTER = 3,
    METRIC_HISTOGRAM = 7,
    FAMILY_METRIC = 4,
    LABEL_NAME = 1,
    LABEL_VALUE = 2,
    NUMBER_VALUE = 1 /* of a gauge, and of a counter */
};

void protobuf_init(struct protobuf *p)
{
    *p = (struct protobuf){.metrics = BUF_INIT(MAX_BYTES),
                           .common = BUF_INIT(MAX_BYTES),
                           .metric = BUF_INIT(MAX_BYTES)};
}

void protobuf_deinit(struct protobuf *p)
{
    buf_deinit(&p->metrics);
    buf_deinit(&p->common);
    buf_deinit(&p->metric);
}

/* What is put stands in room that was reserved before; the place behind it is returned. */
static char *put_varint(char *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (char)value;
    return at;
}

static char *put_tag(char *at, enum field field, enum wire wire)
{
    *at++ = (char)(field << 3 | wire); /* fields below 16 take one byte */
    return at;
}

static char *put_head(char *at, enum field field, size_t len)
{
    return put_varint(put_tag(at, field, WIRE_BYTES), len);
}

static char *put_text(char *at, enum field field, const char *text, size_t len)
{
    at = put_head(at, field, len);
    memcpy(at, text, len);
    return at + len;
}

static void ends_at(struct buf *to, char *at)
{
    to->len = (size_t)(at - to->data);
    *at = '\0';
}

static void add_varint(struct buf *to, uint64_t value)
{
    if (buf_reserve(to, MAX_VARINT))
        ends_at(to, put_varint(to->data + to->len, value));
}

static void add_head(struct buf *to, enum field field, size_t len)
{
    if (buf_reserve(to, MAX_HEAD))
        ends_at(to, put_head(to->data + to->len, field, len));
}

/* len: what protobuf_c_message_get_packed_size() says of it. */
static void add_packed(struct buf *to, const ProtobufCMessage *message, size_t len)
{
    if (!buf_reserve(to, len))
        return;
    to->len += protobuf_c_message_pack(message, (uint8_t *)to->data + to->len);
    to->data[to->len] = '\0';
}

static void add_message(struct buf *to, enum field field, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);

    add_head(to, field, len);
    add_packed(to, message, len);
}

static size_t varint_len(uint64_t value)
{
    size_t len = 1;

    while (value >= 0x80) {
        value >>= 7;
        len++;
    }
    return len;
}

/* Labels are most of a body, and no more than two texts each: without the help of protobuf-c, which
 * would take as long for them as for all the rest. So it is with a number, below. */
static void add_label(struct buf *to, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    size_t len = 2 + varint_len(name_len) + name_len + varint_len(value_len) + value_len;
    char *at;

    if (!buf_reserve(to, MAX_HEAD + len))
        return;
    at = put_head(to->data + to->len, METRIC_LABEL, len);
    at = put_text(at, LABEL_NAME, name, name_len);
    ends_at(to, put_text(at, LABEL_VALUE, value, value_len));
}

void protobuf_family(struct protobuf *p, enum protobuf_type type, const char *name,
                     const char *help)
{
    p->type = type;
    p->name = name;
    p->help = help;
    protobuf_common(p, NULL, 0);
}

void protobuf_common(struct protobuf *p, const struct protobuf_label *labels, size_t n)
{
    p->n_labels = n < MAX_COMMON_LABELS ? n : MAX_COMMON_LABELS;
    for (size_t i = 0; i < p->n_labels; i++)
        p->labels[i] = labels[i];
    buf_reset(&p->common);
}

/* Packed for the first metric: many an item has none. */
static void pack_common(struct protobuf *p)
{
    if (p->common.len > 0)
        return;
    for (size_t i = 0; i < p->n_labels; i++)
        add_label(&p->common, p->labels[i].name, p->labels[i].value);
}

void protobuf_begin(struct protobuf *p)
{
    pack_common(p);
    buf_reset(&p->metric);
    buf_add(&p->metric, buf_text(&p->common), p->common.len);
}

void protobuf_label(struct protobuf *p, const char *name, const char *value)
{
    add_label(&p->metric, name, value);
}

/* The metric is complete. */
static void end(struct protobuf *p)
{
    if (p->common.failed || p->metric.failed)
        p->metrics.failed = true;
    add_head(&p->metrics, FAMILY_METRIC, p->metric.len);
    buf_add(&p->metrics, buf_text(&p->metric), p->metric.len);
}

void protobuf_value(struct protobuf *p, double value)
{
    struct buf *to = &p->metric;
    uint64_t bits;
    char *at;

    memcpy(&bits, &value, sizeof bits);
    bits = htole64(bits);
    if (buf_reserve(to, MAX_HEAD + 1 + sizeof bits)) {
        at = put_head(to->data + to->len,
                      p->type == PROTOBUF_COUNTER ? METRIC_COUNTER : METRIC_GAUGE, 1 + sizeof bits);
        at = put_tag(at, NUMBER_VALUE, WIRE_64_BITS);
        memcpy(at, &bits, sizeof bits);
        ends_at(to, at + sizeof bits);
    }
    end(p);
}

/* Room for the parts of a histogram, in which the message's pointers go. */
struct parts {
    bucket_message buckets[MAX_BUCKETS], *bucket_at[MAX_BUCKETS];
    span_message spans[NATIVE_MAX_BUCKETS], *span_at[NATIVE_MAX_BUCKETS];
    int64_t deltas[NATIVE_MAX_BUCKETS * (1 + MAX_GAP)];
};

static void fill_classic(histogram_message *m, struct parts *parts,
                         const struct protobuf_histogram *h)
{
    uint64_t sum = 0;

    m->bucket = parts->bucket_at;
    for (size_t i = 0; i < h->n_bounds; i++) {
        bucket_message *bucket = &parts->buckets[m->n_bucket];

        sum += h->counts[i];
        if (i < h->folded)
            continue;
        *bucket = (bucket_message)IO__PROMETHEUS__CLIENT__BUCKET__INIT;
        bucket->has_cumulative_count = bucket->has_upper_bound = true;
        bucket->cumulative_count = sum;
        bucket->upper_bound = h->bounds[i];
        parts->bucket_at[m->n_bucket++] = bucket;
    }
}

/* One bucket of the present span, the last one. */
static void add_bucket(histogram_message *m, int64_t count, int64_t *before)
{
    m->positive_span[m->n_positive_span - 1]->length++;
    m->positive_delta[m->n_positive_delta++] = count - *before;
    *before = count;
}

static void begin_span(histogram_message *m, struct parts *parts, int32_t offset)
{
    span_message *span = &parts->spans[m->n_positive_span];

    *span = (span_message)IO__PROMETHEUS__CLIENT__BUCKET_SPAN__INIT;
    span->has_offset = span->has_length = true;
    span->offset = offset;
    parts->span_at[m->n_positive_span++] = span;
}

static void fill_native(histogram_message *m, struct parts *parts,
                        const struct native_histogram *native)
{
    int32_t next = 0; /* the index behind the bucket before */
    int64_t before = 0;

    m->has_schema = m->has_zero_threshold = m->has_zero_count = true;
    m->schema = native ? native->schema : NATIVE_SCHEMA;
    m->zero_threshold = NATIVE_ZERO_THRESHOLD;
    m->zero_count = native ? native->zero_count : 0;
    m->positive_span = parts->span_at;
    m->positive_delta = parts->deltas;
    for (size_t i = 0; native && i < native->n; i++) {
        int32_t gap = native->buckets[i].index - next;

        if (i == 0 || gap > MAX_GAP) {
            begin_span(m, parts, gap);
        } else {
            for (; gap > 0; gap--)
                add_bucket(m, 0, &before);
        }
        add_bucket(m, native->buckets[i].count, &before);
        next = native->buckets[i].index + 1;
    }
}

void protobuf_histogram(struct protobuf *p, const struct protobuf_histogram *h)
{
    histogram_message message = IO__PROMETHEUS__CLIENT__HISTOGRAM__INIT;
    struct parts parts;

    message.has_sample_count = message.has_sample_sum = true;
    message.sample_count = h->count;
    message.sample_sum = h->sum;
    if (h->bounds)
        fill_classic(&message, &parts, h);
    if (h->with_native)
        fill_native(&message, &parts, h->native);
    add_message(&p->metric, METRIC_HISTOGRAM, &message.base);
    end(p);
}

void protobuf_flush(struct protobuf *p, struct buf *to)
{
    static const Io__Prometheus__Client__MetricType types[] = {
        [PROTOBUF_COUNTER] = IO__PROMETHEUS__CLIENT__METRIC_TYPE__COUNTER,
        [PROTOBUF_GAUGE] = IO__PROMETHEUS__CLIENT__METRIC_TYPE__GAUGE,
        [PROTOBUF_HISTOGRAM] = IO__PROMETHEUS__CLIENT__METRIC_TYPE__HISTOGRAM,
    };
    family_message family = IO__PROMETHEUS__CLIENT__METRIC_FAMILY__INIT;
    size_t len;

    to->failed = to->failed || p->metrics.failed;
    if (p->metrics.len == 0)
        return;
    family.name = (char *)(uintptr_t)p->name; /* only read */
    family.help = (char *)(uintptr_t)p->help;
    family.has_type = true;
    family.type = types[p->type];
    len = protobuf_c_message_get_packed_size(&family.base);
    add_varint(to, len + p->metrics.len);
    add_packed(to, &family.base, len);
    buf_add(to, buf_text(&p->metrics), p->metrics.len);
    buf_reset(&p->metrics);
}
