/* Tables: a line per probed server, a line per configured server. */
#include "pgtls/expose/report.h"

#include "report_facts.h"
#include "report_write.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"
#include "pgtls/model/shard.h"

#include <stdio.h>
#include <string.h>

#define GAP              2
#define STATUS_COLUMNS   10
#define TOTAL_COLUMNS    9
#define NAME_MAX_COLUMNS 60 /* longer names push their own line out, not all lines */

static const struct {
    const char *word;
    enum tint tint;
} statuses[STATUS_COUNT] = {
    [STATUS_DOWN] = {"DOWN", TINT_BAD},
    [STATUS_DEGRADED] = {"degraded", TINT_WARN},
    [STATUS_UNKNOWN] = {"unknown", TINT_WARN},
    [STATUS_OK] = {"ok", TINT_GOOD},
};

/* "cluster/endpoint", cleaned. */
static void endpoint_text(const struct server *s, char *to, size_t size)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s/%s", s->cluster, s->endpoint);

    str_clean(to, size, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static void server_text(const struct server *s, char *to, size_t size)
{
    str_clean(to, size, s->name, strlen(s->name));
}

static void widen(size_t *columns, const char *text)
{
    size_t needed = text_columns(text);

    if (needed > *columns && needed <= NAME_MAX_COLUMNS)
        *columns = needed;
}

void report_columns_add(struct report_columns *columns, const struct server *server)
{
    char text[512];

    widen(&columns->endpoint, "cluster/endpoint");
    widen(&columns->server, "server");
    endpoint_text(server, text, sizeof text);
    widen(&columns->endpoint, text);
    server_text(server, text, sizeof text);
    widen(&columns->server, text);
}

void report_line_head(const struct report_columns *columns, const struct report_style *style,
                      struct buf *to)
{
    const struct writer w = {to, style};

    write_padded(&w, TINT_DIM, "cluster/endpoint", columns->endpoint + GAP);
    write_padded(&w, TINT_DIM, "server", columns->server + GAP);
    write_padded(&w, TINT_DIM, "status", STATUS_COLUMNS);
    write_format(&w, TINT_DIM, "%*s", TOTAL_COLUMNS, "took");
    write_spaces(&w, GAP);
    write_text(&w, TINT_DIM, "details");
    buf_add_char(to, '\n');
}

static void line_certificate(const struct writer *w, const struct report *r)
{
    const struct chain *chain = r->inspect->chain;
    int64_t soonest = INT64_MAX;
    char text[DAYS_LEFT_SIZE];
    double days;

    if (!chain || chain->count == 0) {
        write_text(w, TINT_DIM, server_uses_tls(r->server) ? "no certificate" : "no TLS");
        return;
    }
    for (size_t i = 0; i < POSITION_COUNT; i++) {
        int at = chain->by_position[i];

        if (at >= 0 && chain->certificates[at].not_after < soonest)
            soonest = chain->certificates[at].not_after;
    }
    if (soonest == INT64_MAX)
        soonest = chain->certificates[0].not_after;
    days = days_left(r, soonest);
    days_left_text(text, days);
    write_format(w, days < FEW_DAYS ? TINT_WARN : TINT_NONE, "certificate %s", text);
}

void report_line(const struct report *r, const struct report_columns *columns,
                 const struct report_style *style, struct buf *to)
{
    const struct observation *culprit = report_culprit(r), *refusal = report_refusal(r);
    const struct writer w = {to, style};
    enum status status = report_status(r);
    char text[512], duration[DURATION_SIZE], where[WHERE_SIZE], broken[BROKEN_SIZE];

    endpoint_text(r->server, text, sizeof text);
    write_padded(&w, TINT_NONE, text, columns->endpoint + GAP);
    server_text(r->server, text, sizeof text);
    write_padded(&w, TINT_NONE, text, columns->server + GAP);
    write_padded(&w, statuses[status].tint, statuses[status].word, STATUS_COLUMNS);
    duration_text(duration, report_duration_ns(r));
    write_format(&w, TINT_NONE, "%*s", TOTAL_COLUMNS, duration);
    write_spaces(&w, GAP);
    if (culprit) {
        report_where(r, where);
        write_format(&w, statuses[status].tint, "%s: %s", where, fault_row(culprit->fault)->id);
    } else if (status == STATUS_DEGRADED) {
        report_broken(r, broken);
        write_text(&w, statuses[status].tint, broken);
    } else if (refusal) {
        report_where(r, where);
        write_format(&w, TINT_NONE, "refused %s as expected: %s", where,
                     fault_row(refusal->expected)->id);
    } else {
        line_certificate(&w, r);
    }
    buf_add_char(to, '\n');
}

void report_line_left(const struct server *s, const struct report_columns *columns,
                      const struct report_style *style, struct buf *to)
{
    const struct writer w = {to, style};
    char text[512];

    endpoint_text(s, text, sizeof text);
    write_padded(&w, TINT_NONE, text, columns->endpoint + GAP);
    server_text(s, text, sizeof text);
    write_padded(&w, TINT_NONE, text, columns->server + GAP);
    write_padded(&w, TINT_DIM, status_name(STATUS_UNKNOWN), STATUS_COLUMNS);
    write_format(&w, TINT_DIM, "%*s", TOTAL_COLUMNS, "-");
    write_spaces(&w, GAP);
    write_text(&w, TINT_DIM, "left alone: ");
    write_config(&w, TINT_NONE, server_pause(s));
    buf_add_char(to, '\n');
}

void report_line_sum(const size_t counts[STATUS_COUNT], size_t left,
                     const struct report_style *style, struct buf *to)
{
    static const enum status order[] = {STATUS_OK, STATUS_DEGRADED, STATUS_DOWN, STATUS_UNKNOWN};
    const struct writer w = {to, style};
    const char *separator = ": ";
    size_t n = left;

    for (size_t i = 0; i < STATUS_COUNT; i++)
        n += counts[i];
    write_format(&w, TINT_NONE, "\n%zu server%s", n, n == 1 ? "" : "s");
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (counts[order[i]] == 0)
            continue;
        buf_add_str(to, separator);
        write_format(&w, statuses[order[i]].tint, "%zu %s", counts[order[i]],
                     status_name(order[i]));
        separator = ", ";
    }
    if (left > 0)
        write_format(&w, TINT_NONE, "%s%zu left alone", separator, left);
    buf_add_char(to, '\n');
}

/* --- the configuration ------------------------------------------------------------------------ */

#define MODE_COLUMNS     13
#define INTERVAL_COLUMNS 10
#define SHARD_COLUMNS    7

static void interval(const struct writer *w, bool there, int64_t ns)
{
    struct buf text = BUF_INIT(64);

    if (there)
        str_add_duration(&text, ns);
    else
        buf_add_char(&text, '-');
    write_padded(w, TINT_NONE, buf_text(&text), INTERVAL_COLUMNS);
    buf_deinit(&text);
}

static void list_line(const struct writer *w, const struct server *s, unsigned total_shards,
                      const struct report_columns *columns)
{
    char text[512];

    if (total_shards > 0) {
        snprintf(text, sizeof text, "%u", shard_of(s->cluster, total_shards));
        write_padded(w, TINT_NONE, text, SHARD_COLUMNS);
    }
    endpoint_text(s, text, sizeof text);
    write_padded(w, TINT_STRONG, text, columns->endpoint + GAP);
    server_text(s, text, sizeof text);
    write_padded(w, TINT_NONE, text, columns->server + GAP);
    write_padded(w, TINT_NONE, s->unix_socket ? "-" : sslmode_name(s->sslmode), MODE_COLUMNS);
    interval(w, true, s->interval_ns);
    interval(w, s->login, s->login_interval_ns);
    write_config(w, s->user ? TINT_NONE : TINT_DIM, s->user ? s->user : "-");
    if (server_pause(s)) {
        write_text(w, TINT_WARN, "  left alone: ");
        write_config(w, TINT_WARN, server_pause(s));
    }
    buf_add_char(w->to, '\n');
}

void report_list(const struct endpoint_set *set, unsigned total_shards,
                 const struct report_style *style, struct buf *to)
{
    const struct writer w = {to, style};
    struct report_columns columns = {0};

    for (size_t i = 0; i < set->n_servers; i++)
        report_columns_add(&columns, &set->servers[i]);
    if (total_shards > 0)
        write_padded(&w, TINT_DIM, "shard", SHARD_COLUMNS);
    write_padded(&w, TINT_DIM, "cluster/endpoint", columns.endpoint + GAP);
    write_padded(&w, TINT_DIM, "server", columns.server + GAP);
    write_padded(&w, TINT_DIM, "sslmode", MODE_COLUMNS);
    write_padded(&w, TINT_DIM, "inspect", INTERVAL_COLUMNS);
    write_padded(&w, TINT_DIM, "login", INTERVAL_COLUMNS);
    write_text(&w, TINT_DIM, "user");
    buf_add_char(to, '\n');
    for (size_t i = 0; i < set->n_servers; i++)
        list_line(&w, &set->servers[i], total_shards, &columns);
}
