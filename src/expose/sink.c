/* Sample lines, as both formats write them. */
#include "sink.h"

#include "pgtls/base/clock.h"

#include <string.h>

static void le_table_add(struct le_table *le, size_t i, const struct buf *value)
{
    static const char end[] = "\"} ";

    memcpy(le->text[i], buf_text(value), value->len);
    memcpy(le->text[i] + value->len, end, sizeof end - 1);
    le->len[i] = value->len + sizeof end - 1;
}

/* Both formats want a bound that is an integer written with its fraction. */
void sink_bounds(struct sink *k, const double *bounds, size_t n)
{
    struct buf value = BUF_INIT(sizeof k->le.text[0] - 8);
    struct le_table *le = &k->le;
    bool failed = false;

    *le = (struct le_table){.n = n};
    for (size_t i = 0; i < n; i++) {
        buf_reset(&value);
        buf_add_double(&value, bounds[i]);
        if (!strpbrk(buf_text(&value), ".e"))
            buf_add_str(&value, ".0");
        failed = failed || value.failed; /* which the next reset forgets */
        le->bounds[i] = bounds[i];
        le_table_add(le, i, &value);
    }
    buf_reset(&value);
    buf_add_str(&value, "+Inf");
    le_table_add(le, n, &value);
    if (failed || value.failed) {
        k->to->failed = true;
        le->n = 0; /* to be made anew */
    }
    buf_deinit(&value);
}

static void begin(struct sink *k, const char *suffix, size_t suffix_len)
{
    buf_add(k->to, k->name, k->name_len);
    if (suffix_len > 0)
        buf_add(k->to, suffix, suffix_len);
    k->open = k->labels_len > 0;
    if (k->open) {
        buf_add_char(k->to, '{');
        buf_add(k->to, k->labels, k->labels_len);
    }
}

void sink_begin(struct sink *k)
{
    if (k->protobuf)
        protobuf_begin(k->protobuf);
    else
        begin(k, NULL, 0);
}

static void label_name(struct sink *k, const char *name)
{
    buf_add_char(k->to, k->open ? ',' : '{');
    k->open = true;
    buf_add_str(k->to, name);
    buf_add(k->to, "=\"", 2);
}

void sink_label(struct sink *k, const char *name, const char *value)
{
    if (k->protobuf) {
        protobuf_label(k->protobuf, name, value);
        return;
    }
    label_name(k, name);
    buf_add_str(k->to, value);
    buf_add_char(k->to, '"');
}

void sink_text(struct sink *k, const char *name, const char *value)
{
    if (k->protobuf) {
        protobuf_label(k->protobuf, name, value);
        return;
    }
    label_name(k, name);
    while (*value) {
        size_t plain = strcspn(value, "\\\"\n");

        buf_add(k->to, value, plain);
        value += plain;
        if (*value) {
            buf_add_char(k->to, '\\');
            buf_add_char(k->to, *value == '\n' ? 'n' : *value);
            value++;
        }
    }
    buf_add_char(k->to, '"');
}

/* False: the value has gone where no line is. */
static bool value_begin(struct sink *k, double value)
{
    if (k->protobuf) {
        protobuf_value(k->protobuf, value);
        return false;
    }
    if (k->open)
        buf_add(k->to, "} ", 2);
    else
        buf_add_char(k->to, ' ');
    return true;
}

void sink_u64(struct sink *k, uint64_t value)
{
    if (!value_begin(k, (double)value))
        return;
    buf_add_u64(k->to, value);
    buf_add_char(k->to, '\n');
}

void sink_i64(struct sink *k, int64_t value)
{
    if (!value_begin(k, (double)value))
        return;
    if (value < 0)
        buf_add_char(k->to, '-');
    buf_add_u64(k->to, value < 0 ? -(uint64_t)value : (uint64_t)value);
    buf_add_char(k->to, '\n');
}

void sink_double(struct sink *k, double value)
{
    if (!value_begin(k, value))
        return;
    buf_add_double(k->to, value);
    buf_add_char(k->to, '\n');
}

/* The double nearest to what sink_ns() writes: of moments, which come in whole milliseconds, too.
 */
static double seconds_of(int64_t ns)
{
    return ns % NS_PER_MS == 0 ? (double)(ns / NS_PER_MS) / 1e3 : (double)ns / 1e9;
}

void sink_ns(struct sink *k, int64_t ns)
{
    uint64_t rest = ns < 0 ? -(uint64_t)ns : (uint64_t)ns, fraction = rest % (uint64_t)NS_PER_S;
    char digits[10] = ".";
    size_t n = 10;

    if (!value_begin(k, seconds_of(ns)))
        return;
    if (ns < 0)
        buf_add_char(k->to, '-');
    buf_add_u64(k->to, rest / (uint64_t)NS_PER_S);
    for (size_t i = 9; i > 0; i--) {
        digits[i] = (char)('0' + fraction % 10);
        fraction /= 10;
    }
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (n > 1)
        buf_add(k->to, digits, n);
    buf_add_char(k->to, '\n');
}

void sink_plain_u64(struct sink *k, uint64_t value)
{
    sink_begin(k);
    sink_u64(k, value);
}

void sink_one_u64(struct sink *k, const char *label, const char *label_value, uint64_t value)
{
    sink_begin(k);
    sink_label(k, label, label_value);
    sink_u64(k, value);
}

void sink_one_ns(struct sink *k, const char *label, const char *label_value, int64_t ns)
{
    sink_begin(k);
    sink_label(k, label, label_value);
    sink_ns(k, ns);
}

static void histogram_label(struct sink *k, const struct sink_histogram *h)
{
    if (h->label && h->escape)
        sink_text(k, h->label, h->label_value);
    else if (h->label)
        sink_label(k, h->label, h->label_value);
}

/* The bucket lines differ in their last few bytes only: the first one's beginning is copied. */
static uint64_t bucket_lines(struct sink *k, const struct sink_histogram *h)
{
    size_t first = h->kinds == HISTOGRAMS_NATIVE ? k->le.n : h->folded;
    size_t start = k->to->len, prefix;
    uint64_t sum = 0;

    begin(k, "_bucket", 7);
    histogram_label(k, h);
    label_name(k, "le");
    prefix = k->to->len - start;
    for (size_t i = 0; i <= k->le.n; i++) {
        sum += h->counts[i];
        if (i < first)
            continue;
        if (i > first && buf_reserve(k->to, prefix))
            buf_add(k->to, k->to->data + start, prefix);
        buf_add(k->to, k->le.text[i], k->le.len[i]);
        buf_add_u64(k->to, sum);
        buf_add_char(k->to, '\n');
    }
    return sum;
}

static void histogram_lines(struct sink *k, const struct sink_histogram *h)
{
    uint64_t count = bucket_lines(k, h);

    begin(k, "_sum", 4);
    histogram_label(k, h);
    sink_ns(k, h->sum_ns);
    begin(k, "_count", 6);
    histogram_label(k, h);
    sink_u64(k, count);
}

static void histogram_message(struct sink *k, const struct sink_histogram *h)
{
    struct protobuf_histogram message = {.bounds =
                                             h->kinds == HISTOGRAMS_NATIVE ? NULL : k->le.bounds,
                                         .counts = h->counts,
                                         .n_bounds = k->le.n,
                                         .folded = h->folded,
                                         .with_native = h->kinds != HISTOGRAMS_CLASSIC,
                                         .native = h->native,
                                         .sum = seconds_of(h->sum_ns)};

    for (size_t i = 0; i <= k->le.n; i++)
        message.count += h->counts[i];
    protobuf_begin(k->protobuf);
    if (h->label)
        protobuf_label(k->protobuf, h->label, h->label_value);
    protobuf_histogram(k->protobuf, &message);
}

void sink_histogram(struct sink *k, const struct sink_histogram *h)
{
    if (k->protobuf)
        histogram_message(k, h);
    else
        histogram_lines(k, h);
}
