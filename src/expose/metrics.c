/* One scrape: family-major over the catalogue, a piece at a time. */
#include "pgtls/expose/metrics.h"

#include "catalogue.h"
#include "pgtls/base/clock.h"
#include "process.h"

#include <stdlib.h>
#include <string.h>

/* A piece ends with the first item that goes past this. */
#define PIECE_BYTES ((size_t)32 * 1024)

#define PROTOBUF_TYPE                                                                              \
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

struct exposition {
    struct fleet_view *view;
    struct process_facts process;
    struct sink sink;
    struct protobuf protobuf; /* of the sink, if that is its format */
    size_t family, item;      /* what comes next */
    bool complete;
};

static const char *const type_names[] = {
    [FAMILY_GAUGE] = "gauge",
    [FAMILY_COUNTER] = "counter",
    [FAMILY_HISTOGRAM] = "histogram",
    [FAMILY_INFO] = "info",
};

const char *metrics_content_type(enum metrics_format format)
{
    static const char *const types[] = {
        [METRICS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
        [METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
        [METRICS_PROTOBUF] = PROTOBUF_TYPE,
    };

    return types[format];
}

struct exposition *exposition_new(struct fleet_view *view, const struct self *self,
                                  enum metrics_format format)
{
    struct exposition *e = calloc(1, sizeof *e);

    if (!e)
        return NULL;
    e->view = view;
    __atomic_add_fetch(&view->references, 1, __ATOMIC_RELAXED);
    process_facts_read(&e->process);
    e->sink.format = format;
    e->sink.self = self;
    e->sink.settings = &view->set->settings;
    e->sink.process = &e->process;
    e->sink.now_ns = clock_monotonic_ns();
    protobuf_init(&e->protobuf);
    if (format == METRICS_PROTOBUF)
        e->sink.protobuf = &e->protobuf;
    return e;
}

void exposition_free(struct exposition *e)
{
    if (!e)
        return;
    fleet_view_unref(e->view);
    protobuf_deinit(&e->protobuf);
    free(e);
}

/* In OpenMetrics a family's name lacks the suffix that its samples carry. */
static size_t family_name_len(const struct family *f, enum metrics_format format)
{
    size_t len = strlen(f->name);

    if (format == METRICS_OPENMETRICS && f->type == FAMILY_COUNTER)
        return len - strlen("_total");
    if (format == METRICS_OPENMETRICS && f->type == FAMILY_INFO)
        return len - strlen("_info");
    return len;
}

static void write_comment(struct sink *k, const struct family *f, const char *what,
                          const char *text)
{
    buf_add_str(k->to, "# ");
    buf_add_str(k->to, what);
    buf_add_char(k->to, ' ');
    buf_add(k->to, f->name, family_name_len(f, k->format));
    buf_add_char(k->to, ' ');
    buf_add_str(k->to, text);
    buf_add_char(k->to, '\n');
}

static void write_comments(struct sink *k, const struct family *f)
{
    bool open_metrics = k->format == METRICS_OPENMETRICS;
    enum family_type type = f->type == FAMILY_INFO && !open_metrics ? FAMILY_GAUGE : f->type;

    write_comment(k, f, "HELP", f->help);
    write_comment(k, f, "TYPE", type_names[type]);
    if (open_metrics && f->unit[0])
        write_comment(k, f, "UNIT", f->unit);
}

void begin_family(struct sink *k, const struct family *f)
{
    static const enum protobuf_type types[] = {
        [FAMILY_GAUGE] = PROTOBUF_GAUGE,
        [FAMILY_COUNTER] = PROTOBUF_COUNTER,
        [FAMILY_HISTOGRAM] = PROTOBUF_HISTOGRAM,
        [FAMILY_INFO] = PROTOBUF_GAUGE,
    };

    k->name = f->name;
    k->name_len = strlen(f->name);
    k->labels = "";
    k->labels_len = 0;
    if (k->protobuf)
        protobuf_family(k->protobuf, types[f->type], f->name, f->help);
    else
        write_comments(k, f);
}

static void begin_server(struct sink *k, const struct server_state *s)
{
    const struct protobuf_label labels[MAX_COMMON_LABELS] = {{"pg_cluster", s->config->cluster},
                                                             {"pg_endpoint", s->config->endpoint},
                                                             {"server", s->config->name}};

    k->labels = s->labels;
    k->labels_len = strlen(s->labels);
    if (k->protobuf)
        protobuf_common(k->protobuf, labels, MAX_COMMON_LABELS);
}

static void emit_server(struct sink *k, const struct family *f, struct server_state *s)
{
    server_state_lock(s);
    begin_server(k, s);
    f->server(k, s);
    server_state_unlock(s);
}

/* One item of the present family; false when it has no more. */
static bool emit_item(struct exposition *e, const struct family *f)
{
    size_t i = e->item++;

    if (f->server && i < e->view->n)
        emit_server(&e->sink, f, e->view->servers[i]);
    else if (f->endpoint && i < e->view->set->n_endpoints)
        f->endpoint(&e->sink, e->view, &e->view->set->endpoints[i]);
    else if (f->self && i == 0)
        f->self(&e->sink);
    else
        return false;
    return true;
}

/* Bytes of the piece that began at `start`, those included that wait for their message. */
static size_t piece_size(const struct exposition *e, const struct buf *to, size_t start)
{
    return to->len - start + protobuf_waiting(&e->protobuf);
}

static void next_family(struct exposition *e, struct buf *to)
{
    protobuf_flush(&e->protobuf, to);
    e->family++;
    e->item = 0;
}

bool exposition_next(struct exposition *e, struct buf *to)
{
    size_t start = to->len;

    if (e->complete)
        return false;
    e->sink.to = to;
    while (e->family < family_count && piece_size(e, to, start) < PIECE_BYTES && !to->failed) {
        const struct family *f = &family_catalogue[e->family];

        if (e->item == 0)
            begin_family(&e->sink, f);
        if (!emit_item(e, f))
            next_family(e, to);
    }
    protobuf_flush(&e->protobuf, to);
    if (e->family == family_count) {
        if (e->sink.format == METRICS_OPENMETRICS)
            buf_add_str(to, "# EOF\n");
        e->complete = true;
    }
    return !to->failed;
}
