/* The timeline: a line per phase, a bar where in the probe's time it lay. */
#include "report_text.h"

#include "pgtls/base/buf.h"

#include <stdio.h>
#include <string.h>

#define NAME_COLUMNS     12
#define DURATION_COLUMNS 10
#define BAR_MIN          6
#define BAR_MAX          32

static const char *const end_words[PHASE_END_COUNT] = {
    [PHASE_NOT_REACHED] = "not reached",
    [PHASE_NOT_NEEDED] = "not needed",
    [PHASE_NOT_TRIED] = "not tried",
};

/* Columns of the bar's area, and the time it stands for. */
struct scale {
    size_t columns;
    int64_t total_ns;
};

/* What ended the probe before its time; NULL when nothing did. */
static const char *ending_id(const struct report *r)
{
    const struct observation *culprit = report_culprit(r), *refusal = report_refusal(r);

    if (!culprit && !refusal)
        return NULL;
    return fault_row(culprit ? culprit->fault : refusal->expected)->id;
}

static struct scale scale_of(const struct writer *w, const struct report *r,
                             const struct phase_fact *phases)
{
    const char *fault = ending_id(r);
    size_t taken = REPORT_INDENT + 2 + NAME_COLUMNS + DURATION_COLUMNS + 2;
    struct scale scale = {.columns = BAR_MIN};

    if (fault) /* its name stands behind the bars */
        taken += 1 + strlen(fault);
    if (style_width(w->style) > taken + BAR_MIN)
        scale.columns = style_width(w->style) - taken;
    if (scale.columns > BAR_MAX)
        scale.columns = BAR_MAX;
    for (size_t i = 0; i < PHASE_COUNT; i++)
        scale.total_ns += phases[i].duration_ns;
    return scale;
}

static size_t column_at(const struct scale *scale, int64_t ns)
{
    if (scale->total_ns <= 0)
        return 0;
    return (size_t)((double)ns / (double)scale->total_ns * (double)scale->columns + 0.5);
}

/* The bar from `from_ns` on; short phases still show. Returns the columns used. */
static size_t write_bar(const struct writer *w, const struct scale *scale, int64_t from_ns,
                        int64_t duration_ns, enum tint tint)
{
    size_t from = column_at(scale, from_ns), to = column_at(scale, from_ns + duration_ns);
    const char *full = w->style->unicode ? "█" : "#", *thin = w->style->unicode ? "▏" : "|";
    struct buf bar = BUF_INIT(256);

    if (from >= scale->columns && from > 0)
        from = scale->columns - 1;
    if (to <= from)
        buf_add_str(&bar, thin);
    for (size_t i = from; i < to; i++)
        buf_add_str(&bar, full);
    write_spaces(w, from);
    write_text(w, tint, buf_text(&bar));
    buf_deinit(&bar);
    return to > from ? to : from + 1;
}

static void write_phase(const struct writer *w, const struct report *r, enum phase phase,
                        const struct phase_fact *fact, const struct scale *scale, int64_t from_ns)
{
    bool measured = fact->end == PHASE_COMPLETED || fact->end == PHASE_FAILED;
    enum mark mark = fact->end == PHASE_COMPLETED ? MARK_GOOD
                     : fact->end == PHASE_FAILED  ? (report_refusal(r) ? MARK_GOOD : MARK_BAD)
                                                  : MARK_NONE;
    char duration[DURATION_SIZE] = "";
    size_t used;

    write_spaces(w, REPORT_INDENT);
    write_mark(w, mark);
    write_spaces(w, 1);
    write_padded(w, measured ? TINT_NONE : TINT_DIM, phase_name(phase), NAME_COLUMNS);
    if (!measured) {
        write_spaces(w, DURATION_COLUMNS + 2);
        write_text(w, TINT_DIM, end_words[fact->end]);
        buf_add_char(w->to, '\n');
        return;
    }
    if (fact->duration_ns > 0)
        duration_text(duration, fact->duration_ns);
    write_format(w, TINT_NONE, "%*s  ", DURATION_COLUMNS, duration);
    used = write_bar(w, scale, from_ns, fact->duration_ns, mark_tint(mark));
    if (fact->end == PHASE_FAILED) {
        write_spaces(w, (used < scale->columns ? scale->columns - used : 0) + 1);
        write_text(w, mark_tint(mark), ending_id(r));
    }
    buf_add_char(w->to, '\n');
}

/* A login is a second connection: its dns to startup are in its time, but not in the phases. */
static void write_total(const struct writer *w, const struct report *r)
{
    char inspect[DURATION_SIZE], login[DURATION_SIZE];

    if (!r->login)
        return;
    duration_text(inspect, r->inspect->duration_ns);
    duration_text(login, r->login->duration_ns);
    write_spaces(w, REPORT_INDENT + 2);
    write_format(w, TINT_DIM, "two connections: %s to inspect, %s to log in\n", inspect, login);
}

void section_timeline(const struct writer *w, const struct report *r)
{
    struct phase_fact phases[PHASE_COUNT];
    struct scale scale;
    int64_t from_ns = 0;

    report_phases(r, phases);
    scale = scale_of(w, r, phases);
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        write_phase(w, r, (enum phase)i, &phases[i], &scale, from_ns);
        from_ns += phases[i].duration_ns;
    }
    write_total(w, r);
}
