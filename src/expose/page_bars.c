/* The bars: drawings in SVG, whose attributes need no inline style, with the same said in words. */
#include "html.h"
#include "page_parts.h"
#include "pgtls/base/clock.h"
#include "report_write.h"

#include <stdio.h>

#define BAR_COLUMNS 1000 /* of a bar's own coordinates */
#define DAY_S       86400

/* The whole of it: what was measured, and for a failure a last piece without a length. */
struct steps {
    int64_t total_ns;
    bool failed;
    enum phase failed_in;
};

static struct steps steps_of(const struct glance *g)
{
    struct steps steps = {.failed = g->culprit != NULL};

    for (size_t i = 0; i < PHASE_COUNT; i++) {
        if (g->s->phase_measured[i])
            steps.total_ns += g->s->phase_last_ns[i];
    }
    if (g->culprit)
        steps.failed_in = g->culprit->phase;
    return steps;
}

/* "dns 0.30 ms, tcp 0.10 ms": what the drawing shows, for whoever does not see it. */
static void add_words(struct buf *to, const struct glance *g, const struct steps *steps)
{
    bool any = false;

    for (size_t i = 0; i < PHASE_COUNT; i++) {
        char text[DURATION_SIZE];

        if (!g->s->phase_measured[i])
            continue;
        duration_text(text, g->s->phase_last_ns[i]);
        html_addf(to, "%s%s %s", any ? ", " : "", phase_name((enum phase)i), text);
        any = true;
    }
    if (steps->failed)
        html_addf(to, "%sfailed in %s", any ? ", " : "", phase_name(steps->failed_in));
}

static void add_pieces(struct buf *to, const struct glance *g, const struct steps *steps)
{
    const double room = steps->failed ? BAR_COLUMNS * 0.88 : BAR_COLUMNS;
    double x = 0;

    for (size_t i = 0; i < PHASE_COUNT; i++) {
        double width;
        char text[DURATION_SIZE];

        if (!g->s->phase_measured[i] || steps->total_ns <= 0)
            continue;
        width = (double)g->s->phase_last_ns[i] / (double)steps->total_ns * room;
        duration_text(text, g->s->phase_last_ns[i]);
        html_addf(to,
                  "<rect class=\"p%d\" x=\"%.1f\" width=\"%.1f\" height=\"10\"><title>%s %s"
                  "</title></rect>",
                  (int)i, x, width, phase_name((enum phase)i), text);
        x += width;
    }
    if (steps->failed)
        html_addf(to,
                  "<rect class=\"failed\" x=\"%.1f\" width=\"%.1f\" height=\"10\"><title>failed in "
                  "%s</title></rect>",
                  x, BAR_COLUMNS - x, phase_name(steps->failed_in));
}

void part_steps(struct buf *to, const struct glance *g)
{
    struct steps steps = steps_of(g);

    if (g->pause || g->silent || (steps.total_ns == 0 && !steps.failed)) {
        buf_add_str(to, "<span class=\"dim\">–</span>");
        return;
    }
    buf_add_str(to, "<svg class=\"bar\" role=\"img\" viewBox=\"0 0 1000 10\" "
                    "preserveAspectRatio=\"none\" aria-label=\"");
    add_words(to, g, &steps);
    buf_add_str(to, "\">");
    add_pieces(to, g, &steps);
    buf_add_str(to, "</svg><span class=\"figure\">");
    if (steps.failed)
        html_addf(to, "failed in %s", phase_name(steps.failed_in));
    else
        part_duration(to, steps.total_ns);
    buf_add_str(to, "</span>");
}

/* The certificate on the way that expires first. */
static const struct certificate *first_to_expire(const struct server_state *s)
{
    const struct certificate *first = NULL;

    for (size_t i = 0; s->chain && i < POSITION_COUNT; i++) {
        int at = s->chain->by_position[i];
        const struct certificate *c = at >= 0 ? &s->chain->certificates[at] : NULL;

        if (c && (!first || c->not_after < first->not_after))
            first = c;
    }
    if (s->client_certificate && first && s->client_certificate->not_after < first->not_after)
        first = s->client_certificate;
    return first;
}

/* The same bounds as the shipped alerts have: days, and a share of the lifetime. */
static const char *urgency(int64_t left_s, double share)
{
    if (left_s <= 0 || (left_s < 3 * DAY_S && share < 0.1))
        return "bad";
    return left_s < 21 * DAY_S && share < 0.25 ? "warn" : "good";
}

void part_certificate(struct buf *to, const struct glance *g)
{
    const struct certificate *c = server_uses_tls(g->s->config) ? first_to_expire(g->s) : NULL;
    int64_t left_s;
    double share, lifetime;
    char span[SPAN_SIZE];
    const char *class;

    if (!c) {
        buf_add_str(to, "<span class=\"dim\">–</span>");
        return;
    }
    left_s = c->not_after - g->realtime_ns / NS_PER_S;
    lifetime = (double)c->not_after - (double)c->not_before;
    share = lifetime > 0 ? (double)left_s / lifetime : 0;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    class = urgency(left_s, share);
    span_text(span, (left_s < 0 ? -left_s : left_s) > INT64_MAX / NS_PER_S
                        ? INT64_MAX
                        : (left_s < 0 ? -left_s : left_s) * NS_PER_S);
    html_addf(to,
              "<svg class=\"bar life\" aria-hidden=\"true\" viewBox=\"0 0 1000 10\" "
              "preserveAspectRatio=\"none\"><rect class=\"track\" width=\"1000\" height=\"10\"/>"
              "<rect class=\"%s\" width=\"%.1f\" height=\"10\"/></svg>",
              class, left_s <= 0 ? (double)BAR_COLUMNS : share * BAR_COLUMNS);
    html_addf(to, "<span class=\"figure %s\" title=\"%s\">%s%s%s%s%s</span>", class, c->subject,
              class[0] == 'g' ? "" : "▲ ",
              c->position == POSITION_LEAF ? "" : position_name(c->position),
              c->position == POSITION_LEAF ? "" : ": ", left_s < 0 ? "expired " : "", span);
    buf_add_str(to, left_s < 0 ? "<span class=\"figure\"> ago</span>"
                               : "<span class=\"figure\"> left</span>");
    if (g->s->judgement.hostname == VERDICT_NO)
        buf_add_str(to, "<p class=\"dim\">names another host</p>");
    if (g->s->judgement.chain == VERDICT_NO)
        buf_add_str(to, "<p class=\"dim\">not trusted</p>");
}
