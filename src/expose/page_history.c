/* What a server was like lately: its last hour as a line, its latest probes as bars. */
#include "html.h"
#include "page_parts.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

/* The line's own coordinates: a step per minute, the newest on the right. */
#define STEP   10
#define HEIGHT 100
#define BAR    1000

struct hour {
    struct history_minute minutes[HISTORY_MINUTES]; /* oldest first */
    double slowest_s;
    size_t measured, failing; /* minutes */
};

static struct hour hour_of(const struct glance *g)
{
    struct hour hour = {.slowest_s = 0};

    for (size_t i = 0; i < HISTORY_MINUTES; i++) {
        struct history_minute *m = &hour.minutes[i];

        *m = history_minute(g->s->history, HISTORY_MINUTES - 1 - i, g->now_ns);
        hour.measured += m->slowest_s > 0;
        hour.failing += m->failures > 0;
        if ((double)m->slowest_s > hour.slowest_s)
            hour.slowest_s = (double)m->slowest_s;
    }
    return hour;
}

/* A minute alone is drawn as a short line, so that it can be seen. */
static void add_line(struct buf *to, const struct hour *hour)
{
    bool open = false;

    buf_add_str(to, "<path class=\"line\" d=\"");
    for (size_t i = 0; i < HISTORY_MINUTES; i++) {
        double y = HEIGHT - 4 - (double)hour->minutes[i].slowest_s / hour->slowest_s * (HEIGHT - 8);

        if (hour->minutes[i].slowest_s > 0 && !open)
            buf_addf(to, "M%zu %.0fh5", i * STEP, y);
        if (hour->minutes[i].slowest_s > 0)
            buf_addf(to, "L%zu %.0f", i * STEP + 5, y);
        open = hour->minutes[i].slowest_s > 0;
    }
    buf_add_str(to, "\"/>");
}

static void add_failures(struct buf *to, const struct hour *hour)
{
    for (size_t i = 0; i < HISTORY_MINUTES; i++) {
        if (hour->minutes[i].failures > 0)
            html_addf(to, "<rect class=\"failed\" x=\"%zu\" y=\"0\" width=\"8\" height=\"100\"/>",
                      i * STEP + 1);
    }
}

void part_hour(struct buf *to, const struct glance *g)
{
    struct hour hour;

    if (!g->s->history || g->pause)
        return;
    hour = hour_of(g);
    if (hour.measured == 0 && hour.failing == 0)
        return;
    buf_add_str(to, "<svg class=\"hour\" aria-hidden=\"true\" viewBox=\"0 0 600 100\" "
                    "preserveAspectRatio=\"none\">");
    add_failures(to, &hour);
    if (hour.measured > 0)
        add_line(to, &hour);
    buf_add_str(to, "</svg><span class=\"figure dim\">last hour ");
    if (hour.measured > 0) {
        buf_add_str(to, "≤ ");
        part_duration(to, (int64_t)(hour.slowest_s * 1e9));
    }
    if (hour.failing > 0)
        html_addf(to, "%sfailures in %zu %s", hour.measured > 0 ? ", " : "", hour.failing,
                  hour.failing == 1 ? "minute" : "minutes");
    buf_add_str(to, "</span>");
}

static uint64_t sum_us(const struct history_probe *p)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < PHASE_COUNT; i++)
        sum += p->phases_us[i];
    return sum;
}

/* On one scale, so that the slow ones stand out. */
static void add_bar(struct buf *to, const struct history_probe *p, uint64_t longest_us)
{
    double x = 0;

    buf_add_str(to, "<svg class=\"bar\" aria-hidden=\"true\" viewBox=\"0 0 1000 10\" "
                    "preserveAspectRatio=\"none\"><rect class=\"track\" width=\"1000\" "
                    "height=\"10\"/>");
    for (size_t i = 0; i < PHASE_COUNT && longest_us > 0; i++) {
        double width = (double)p->phases_us[i] / (double)longest_us * BAR;

        if (width > 0)
            html_addf(to, "<rect class=\"p%d\" x=\"%.1f\" width=\"%.1f\" height=\"10\"/>", (int)i,
                      x, width);
        x += width;
    }
    buf_add_str(to, "</svg>");
}

static void add_probe(struct buf *to, const struct history_probe *p, uint64_t longest_us)
{
    const struct fault_row *row = fault_row((enum fault)p->fault);
    char time[STR_TIME_SIZE];

    str_time(time, p->finished_realtime_ns, false);
    html_addf(to, "<tr><th scope=\"row\"><time datetime=\"%s\">%s</time> %s</th><td>", time, time,
              probe_kind_name((enum probe_kind)p->kind));
    add_bar(to, p, longest_us);
    buf_add_str(to, "</td><td>");
    if (p->fault != FAULT_NONE)
        html_addf(to, "✕ <a class=\"fault\" href=\"fault?id=%s\">%s</a> in %s", row->id, row->id,
                  phase_name((enum phase)p->failed_in));
    else
        part_duration(to, (int64_t)sum_us(p) * NS_PER_US);
    buf_add_str(to, "</td></tr>\n");
}

void part_probes(struct buf *to, const struct glance *g)
{
    const struct history_probe *p;
    uint64_t longest_us = 0;

    for (size_t i = 0; (p = history_probe(g->s->history, i)); i++)
        longest_us = sum_us(p) > longest_us ? sum_us(p) : longest_us;
    buf_add_str(to, "<table class=\"facts probes\">\n");
    for (size_t i = 0; (p = history_probe(g->s->history, i)); i++)
        add_probe(to, p, longest_us);
    buf_add_str(to, "</table>\n");
}
