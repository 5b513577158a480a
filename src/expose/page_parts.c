/* Marks, spans of time, findings, promises and sessions. */
#include "page_parts.h"

#include "health_json.h"
#include "html.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "report_write.h"

#include <stdio.h>
#include <string.h>

/* Shape, word and colour say the same: no one of them alone is enough for everybody. */
static const struct {
    const char *name, *word, *shape;
} kinds[ROW_COUNT] = {
    [ROW_DOWN] = {"down", "Down", "✕"},
    [ROW_DEGRADED] = {"degraded", "Degraded", "▲"},
    [ROW_UNKNOWN] = {"unknown", "Unknown", "?"},
    [ROW_OK] = {"ok", "OK", "✓"},
    [ROW_MAINTENANCE] = {"maintenance", "Maintenance", "‖"},
};

const char *row_kind_name(enum row_kind kind)
{
    return kinds[kind].name;
}

bool row_kind_from_name(const char *name, enum row_kind *kind)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            *kind = (enum row_kind)i;
            return true;
        }
    }
    return false;
}

enum row_kind row_kind_of(enum status status, bool paused)
{
    static const enum row_kind of[STATUS_COUNT] = {[STATUS_DOWN] = ROW_DOWN,
                                                   [STATUS_DEGRADED] = ROW_DEGRADED,
                                                   [STATUS_UNKNOWN] = ROW_UNKNOWN,
                                                   [STATUS_OK] = ROW_OK};

    return paused ? ROW_MAINTENANCE : of[status];
}

struct glance glance_at(const struct server_state *s, int64_t now_ns, int64_t realtime_ns)
{
    struct glance g = {.s = s, .now_ns = now_ns, .realtime_ns = realtime_ns};

    g.pause = server_pause(s->config);
    g.silent = g.pause ? NULL : server_silent_probe(s, now_ns);
    g.culprit = g.pause || g.silent ? NULL : server_state_culprit(s, NULL);
    g.kind = row_kind_of(g.silent ? STATUS_UNKNOWN : server_status(s), g.pause != NULL);
    return g;
}

void part_mark(struct buf *to, enum row_kind kind)
{
    html_addf(to, "<span class=\"mark %s\"><span aria-hidden=\"true\">%s</span> %s</span>",
              kinds[kind].name, kinds[kind].shape, kinds[kind].word);
}

void span_text(char to[SPAN_SIZE], int64_t ns)
{
    long long s = (long long)(ns > 0 ? ns / NS_PER_S : 0);

    if (s < 90)
        snprintf(to, SPAN_SIZE, "%lld s", s);
    else if (s < 90 * 60)
        snprintf(to, SPAN_SIZE, "%lld min", s / 60);
    else if (s < 48 * 3600)
        snprintf(to, SPAN_SIZE, "%lld h", s / 3600);
    else
        snprintf(to, SPAN_SIZE, "%lld days", s / 86400);
}

/* A moment, machine-readable, around a text. */
static void add_moment(struct buf *to, int64_t realtime_ns, const char *before, const char *text,
                       const char *after)
{
    char moment[STR_TIME_SIZE];

    str_time(moment, realtime_ns, false);
    html_addf(to, "<time datetime=\"%s\" title=\"%s\">%s%s%s</time>", moment, moment, before, text,
              after);
}

void part_since(struct buf *to, int64_t since_realtime_ns, int64_t realtime_ns)
{
    char span[SPAN_SIZE];

    if (since_realtime_ns <= 0)
        return;
    span_text(span, realtime_ns - since_realtime_ns);
    add_moment(to, since_realtime_ns, "for ", span, "");
}

static void add_ago(struct buf *to, int64_t then_realtime_ns, int64_t realtime_ns)
{
    char span[SPAN_SIZE];

    span_text(span, realtime_ns - then_realtime_ns);
    add_moment(to, then_realtime_ns, "", span, " ago");
}

void part_duration(struct buf *to, int64_t ns)
{
    char text[DURATION_SIZE];

    duration_text(text, ns);
    html_text(to, text);
}

void part_server_link(struct buf *to, const struct server *server)
{
    struct buf url = BUF_INIT(16384);

    buf_add_str(&url, "server?cluster=");
    url_add(&url, server->cluster);
    buf_add_str(&url, "&endpoint=");
    url_add(&url, server->endpoint);
    buf_add_str(&url, "&server=");
    url_add(&url, server->name);
    html_addf(to, "<a class=\"name\" href=\"%s\"><bdi>%s</bdi></a>", buf_text(&url), server->name);
    buf_take_failure(to, &url);
    buf_deinit(&url);
}

/* --- what was found --------------------------------------------------------------------------- */

static void add_fault_link(struct buf *to, const struct fault_row *row)
{
    html_addf(to, "<a class=\"fault\" href=\"fault?id=%s\">%s</a>", row->id, row->id);
}

static void add_history(struct buf *to, const struct glance *g)
{
    const struct probe_state *p = g->culprit;

    buf_add_str(to, "<p class=\"dim\">");
    if (p->failures_in_row > 0)
        html_addf(to, "%lld %s in a row, ", (long long)p->failures_in_row,
                  p->failures_in_row == 1 ? "failure" : "failures");
    if (p->last_success_realtime_ns > 0) {
        buf_add_str(to, "last success ");
        add_ago(to, p->last_success_realtime_ns, g->realtime_ns);
    } else {
        buf_add_str(to, "no success since the exporter started");
    }
    buf_add_str(to, "</p>");
}

static void add_failure(struct buf *to, const struct glance *g)
{
    const struct probe_state *p = g->culprit;
    const struct fault_row *row = fault_row(p->fault);

    if (row->class == FAULT_CLASS_INTERNAL)
        buf_add_str(to, "<p class=\"what\">Our own side, in ");
    else
        buf_add_str(to, "<p class=\"what\">Failed in ");
    html_addf(to, "<b>%s</b>: ", phase_name(p->phase));
    add_fault_link(to, row);
    html_addf(to, "</p><p>%s</p><p class=\"remedy\"><b>What to do:</b> %s</p>", row->meaning,
              row->remedy);
    if (p->error)
        html_addf(to, "<p class=\"said\"><bdi>%s</bdi>%s%s</p>", p->error,
                  p->sqlstate[0] ? " · SQLSTATE " : "", p->sqlstate);
    add_history(to, g);
}

/* Adds a separator before all but the first of several facts. */
static void add_fact(struct buf *to, bool *any, const char *before, const char *fact)
{
    if (fact[0] == '\0')
        return;
    html_addf(to, "%s%s%s", *any ? " · " : "", before, fact);
    *any = true;
}

/* What it is, when nothing is wrong with it. */
static void add_facts(struct buf *to, const struct glance *g)
{
    const struct server_state *s = g->s;
    bool login_good = s->probes[PROBE_LOGIN].configured && s->probes[PROBE_LOGIN].good;
    bool any = false;

    buf_add_str(to, "<p>");
    if (s->tls && server_uses_tls(s->config))
        add_fact(to, &any, "", s->tls_version);
    else if (!server_uses_tls(s->config))
        add_fact(to, &any, "", "without TLS");
    add_fact(to, &any, "PostgreSQL ", s->server_version);
    if (login_good && s->in_recovery != VERDICT_UNKNOWN)
        add_fact(to, &any, "", s->in_recovery == VERDICT_YES ? "standby" : "primary");
    if (login_good && s->pooler == VERDICT_YES)
        add_fact(to, &any, "", "through a pooler");
    add_fact(to, &any, "", s->auth_method);
    if (login_good && s->lag_known && s->lag_ns > 0) {
        buf_add_str(to, any ? " · lag " : "lag ");
        part_duration(to, s->lag_ns);
    } else if (login_good && s->lag_known) {
        add_fact(to, &any, "", "no lag");
    }
    buf_add_str(to, "</p>");
}

static void add_expected(struct buf *to, const struct glance *g)
{
    const struct probe_state *inspect = &g->s->probes[PROBE_INSPECT];
    const struct probe_state *login = &g->s->probes[PROBE_LOGIN];
    enum fault expected = inspect->expected != FAULT_NONE ? inspect->expected : login->expected;

    if (expected == FAULT_NONE)
        return;
    buf_add_str(to, "<p>Refused, as expected: ");
    add_fault_link(to, fault_row(expected));
    buf_add_str(to, "</p>");
}

void part_finding(struct buf *to, const struct glance *g)
{
    if (g->pause) {
        html_addf(to, "<p>Left alone on purpose: <bdi>%s</bdi></p>", g->pause);
        return;
    }
    if (g->silent) {
        char span[SPAN_SIZE];

        span_text(span, g->now_ns - g->silent->last_monotonic_ns);
        html_addf(to, "<p>No result for %s: what was known is too old.</p>", span);
        return;
    }
    if (g->culprit) {
        add_failure(to, g);
        return;
    }
    if (g->kind == ROW_UNKNOWN) {
        buf_add_str(to, "<p>Not probed completely yet.</p>");
        return;
    }
    add_expected(to, g);
    add_facts(to, g);
}

/* --- promises and sessions -------------------------------------------------------------------- */

static void add_promise(struct buf *to, const struct glance *g, enum promise promise)
{
    const struct promises *promises = &g->s->config->promises;
    enum verdict kept = g->s->promises[promise].kept;
    struct buf promised = BUF_INIT(512), found = BUF_INIT(512);
    struct promise_facts facts;

    promise_add_promised(&promised, promises, promise);
    server_promise_facts(g->s, promise, &facts);
    if (kept == VERDICT_NO)
        promise_add_found(&found, promise, &facts);
    html_addf(to, "<li class=\"%s\"><span aria-hidden=\"true\">%s</span> <bdi>%s</bdi>",
              kept == VERDICT_NO    ? "bad"
              : kept == VERDICT_YES ? "good"
                                    : "open",
              kept == VERDICT_NO    ? "▲"
              : kept == VERDICT_YES ? "✓"
                                    : "?",
              buf_text(&promised));
    if (kept == VERDICT_NO && found.len > 0)
        html_addf(to, ": broken, found <bdi>%s</bdi>", buf_text(&found));
    else
        html_addf(to, "%s",
                  kept == VERDICT_NO    ? ": broken"
                  : kept == VERDICT_YES ? ": kept"
                                        : ": not known");
    buf_add_str(to, "</li>");
    buf_take_failure(to, &promised);
    buf_take_failure(to, &found);
    buf_deinit(&promised);
    buf_deinit(&found);
}

void part_promises(struct buf *to, const struct glance *g)
{
    bool any = false;

    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        if (i == PROMISE_SAME_CERTIFICATE || g->pause ||
            !promise_made(&g->s->config->promises, (enum promise)i))
            continue;
        if (!any)
            buf_add_str(to, "<ul class=\"promises\" aria-label=\"Promises\">");
        any = true;
        add_promise(to, g, (enum promise)i);
    }
    if (any)
        buf_add_str(to, "</ul>");
}

static void add_session(struct buf *to, const struct glance *g, const struct session_state *session)
{
    const char *class = !session->known ? "open" : session->up ? "good" : "bad";
    uint64_t drops = 0;

    for (size_t i = 0; i < SESSION_END_COUNT; i++)
        drops += session->drops[i];
    html_addf(
        to, "<li class=\"%s\"><span aria-hidden=\"true\">%s</span> session <bdi>%s</bdi>: ", class,
        !session->known ? "?"
        : session->up   ? "✓"
                        : "✕",
        session->config->name);
    if (session->up) {
        buf_add_str(to, "up ");
        part_since(to, session->started_realtime_ns, g->realtime_ns);
    } else {
        buf_add_str(to, session->known ? "not open" : "not opened yet");
    }
    if (drops > 0) {
        char idle[SPAN_SIZE];

        span_text(idle, session->last.idle_ns);
        html_addf(to, "; dropped %lld %s, last by %s after %s idle, ", (long long)drops,
                  drops == 1 ? "time" : "times", session_end_name(session->last.how), idle);
        add_ago(to, session->last_realtime_ns, g->realtime_ns);
    }
    buf_add_str(to, "</li>");
}

void part_sessions(struct buf *to, const struct glance *g)
{
    if (g->s->n_sessions == 0 || g->pause)
        return;
    buf_add_str(to, "<ul class=\"sessions\" aria-label=\"Watched sessions\">");
    for (size_t i = 0; i < g->s->n_sessions; i++)
        add_session(to, g, &g->s->sessions[i]);
    buf_add_str(to, "</ul>");
}
