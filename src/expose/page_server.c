/* The pages of one server and of one fault. */
#include "html.h"
#include "page.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <string.h>
#include <time.h>

#define REFRESH_S 5

static void section(struct buf *to, const char *title)
{
    html_addf(to, "<section><h2>%s</h2>\n", title);
}

static void section_end(struct buf *to)
{
    buf_add_str(to, "</section>\n");
}

static void row(struct buf *to, const char *name)
{
    html_addf(to, "<tr><th scope=\"row\">%s</th><td>", name);
}

static void row_end(struct buf *to)
{
    buf_add_str(to, "</td></tr>\n");
}

/* A row of plain text; nothing when there is none. */
static void text_row(struct buf *to, const char *name, const char *text)
{
    if (!text || text[0] == '\0')
        return;
    row(to, name);
    html_addf(to, "<bdi>%s</bdi>", text);
    row_end(to);
}

static void date_row(struct buf *to, const char *name, int64_t when)
{
    time_t time = (time_t)when;
    char text[64];
    struct tm tm;

    if (gmtime_r(&time, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm) > 0)
        text_row(to, name, text);
}

static void verdict_row(struct buf *to, const char *name, enum verdict verdict)
{
    if (verdict != VERDICT_UNKNOWN)
        text_row(to, name, verdict == VERDICT_YES ? "✓ yes" : "✕ no");
}

/* --- sections --------------------------------------------------------------------------------- */

static void section_steps(struct buf *to, const struct glance *g)
{
    section(to, "Steps of the latest probes");
    part_steps(to, g);
    buf_add_str(to, "<table class=\"facts\">\n");
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        bool failed = g->culprit && g->culprit->phase == (enum phase)i;

        html_addf(to, "<tr><th scope=\"row\"><span class=\"swatch p%d\"></span>%s</th><td>", (int)i,
                  phase_name((enum phase)i));
        if (g->s->phase_measured[i])
            part_duration(to, g->s->phase_last_ns[i]);
        else
            buf_add_str(to, failed ? "<b class=\"bad\">✕ failed here</b>" : "–");
        row_end(to);
    }
    buf_add_str(to, "</table>\n");
    section_end(to);
}

static void section_lately(struct buf *to, const struct glance *g)
{
    if (!g->s->history)
        return;
    section(to, "Last hour");
    part_hour(to, g);
    section_end(to);
    section(to, "Latest probes");
    part_probes(to, g);
    section_end(to);
}

static void section_connection(struct buf *to, const struct glance *g)
{
    const struct server_state *s = g->s;
    const struct server *config = s->config;

    section(to, "Connection");
    buf_add_str(to, "<table class=\"facts\">\n");
    text_row(to, "address", s->address);
    text_row(to, "sslmode", sslmode_name(config->sslmode));
    text_row(to, "negotiation", negotiation_name(config->negotiation));
    if (s->tls && server_uses_tls(config)) {
        text_row(to, "TLS version", s->tls_version);
        text_row(to, "cipher", s->tls_cipher);
        text_row(to, "group", s->tls_group);
        text_row(to, "ALPN", s->tls_alpn);
    }
    text_row(to, "authentication", s->auth_method);
    text_row(to, "server version", s->server_version);
    text_row(to, "user", config->user);
    text_row(to, "database", config->dbname);
    for (size_t i = 0; i < config->n_labels; i++)
        text_row(to, config->labels[i].name, config->labels[i].value);
    buf_add_str(to, "</table>\n");
    section_end(to);
}

static void add_certificate(struct buf *to, const struct certificate *c)
{
    html_addf(to, "<h3>%s%s</h3><table class=\"facts\">\n", position_name(c->position),
              c->served ? "" : ", from the trust store");
    text_row(to, "subject", c->subject);
    text_row(to, "issuer", c->issuer);
    text_row(to, "names", c->sans);
    date_row(to, "valid from", c->not_before);
    date_row(to, "valid until", c->not_after);
    text_row(to, "key", c->key);
    text_row(to, "signature", c->signature);
    text_row(to, "serial", c->serial);
    text_row(to, "SHA-256", c->fingerprint_sha256);
    buf_add_str(to, "</table>\n");
}

static void section_certificates(struct buf *to, const struct glance *g)
{
    const struct server_state *s = g->s;
    char wrong[VERIFY_TEXT_SIZE];

    if (!s->chain || !server_uses_tls(s->config))
        return;
    section(to, "Certificates");
    part_certificate(to, g);
    buf_add_str(to, "<table class=\"facts\">\n");
    verdict_row(to, "trusted", s->judgement.chain);
    verdict_row(to, "within its dates", s->judgement.dates);
    verdict_row(to, "names this host", s->judgement.hostname);
    verdict_row(to, "pin matched", s->judgement.pin);
    text_row(to, "what is wrong", verify_text(s->judgement.verify_code, wrong));
    buf_add_str(to, "</table>\n");
    for (size_t i = 0; i < s->chain->count; i++)
        add_certificate(to, &s->chain->certificates[i]);
    section_end(to);
}

static void section_sslmodes(struct buf *to, const struct glance *g)
{
    struct sslmode_verdict verdicts[SSLMODE_COUNT];

    sslmodes_decide(g->s->config, &g->s->sslmodes, verdicts);
    section(to, "Which sslmode works");
    buf_add_str(to, "<table class=\"facts\">\n");
    for (size_t i = 0; i < SSLMODE_COUNT; i++) {
        const char *why = sslmode_reason(g->s->config, (enum sslmode)i, &verdicts[i]);

        row(to, sslmode_name((enum sslmode)i));
        html_addf(to, "%s%s%s",
                  verdicts[i].works == VERDICT_YES  ? "✓ works"
                  : verdicts[i].works == VERDICT_NO ? "✕ does not work"
                                                    : "? not known",
                  why[0] ? ": " : "", why);
        row_end(to);
    }
    buf_add_str(to, "</table>\n");
    section_end(to);
}

static void section_promises(struct buf *to, const struct glance *g)
{
    struct buf lists = BUF_INIT((size_t)1 << 20);

    part_promises(&lists, g);
    part_sessions(&lists, g);
    if (lists.len > 0) {
        section(to, "Promises and sessions");
        buf_add(to, buf_text(&lists), lists.len);
        section_end(to);
    }
    buf_take_failure(to, &lists);
    buf_deinit(&lists);
}

static void section_counts(struct buf *to, const struct glance *g)
{
    section(to, "Since the exporter started");
    buf_add_str(to, "<table class=\"facts\">\n");
    for (size_t k = 0; k < PROBE_COUNT; k++) {
        const struct probe_state *p = &g->s->probes[k];
        long long failures = 0;

        if (!p->configured)
            continue;
        for (size_t i = 0; i < FAULT_CLASS_COUNT; i++)
            failures += (long long)p->failures[i];
        row(to, probe_kind_name((enum probe_kind)k));
        html_addf(to, "%lld probes, %lld failed, every %.1f s", (long long)p->probes, failures,
                  ns_to_seconds(p->interval_ns));
        row_end(to);
    }
    buf_add_str(to, "</table>\n");
    section_end(to);
}

/* --- pages ------------------------------------------------------------------------------------ */

static void add_page(struct buf *to, const struct glance *g)
{
    const struct server *config = g->s->config;
    char time[STR_TIME_SIZE];

    str_time(time, g->realtime_ns, false);
    frame_begin(to, REFRESH_S);
    html_addf(to, "<h1 class=\"server\"><bdi>%s</bdi></h1><p class=\"standing %s\">", config->name,
              row_kind_name(g->kind));
    html_addf(to, "<bdi>%s</bdi>/<bdi>%s</bdi> ", config->cluster, config->endpoint);
    part_mark(to, g->kind);
    buf_add_char(to, ' ');
    part_since(to, g->s->since_realtime_ns, g->realtime_ns);
    buf_add_str(to, "</p>\n");
    html_addf(to, "<p id=\"asof\">As of <time datetime=\"%s\">%s</time></p>\n", time, time);
    section(to, "Finding");
    part_finding(to, g);
    section_end(to);
    section_steps(to, g);
    section_lately(to, g);
    section_promises(to, g);
    section_connection(to, g);
    section_certificates(to, g);
    section_sslmodes(to, g);
    section_counts(to, g);
    frame_end(to);
}

static struct server_state *find(const struct fleet_view *view, const char *cluster,
                                 const char *endpoint, const char *server)
{
    for (size_t i = 0; i < view->n; i++) {
        const struct server *s = &view->set->servers[i];

        if (strcmp(s->name, server) == 0 && strcmp(s->endpoint, endpoint) == 0 &&
            strcmp(s->cluster, cluster) == 0)
            return view->servers[i];
    }
    return NULL;
}

static void add_way_back(struct buf *to)
{
    buf_add_str(to, "<header><p><a href=\"./\">← All endpoints</a></p></header>\n");
}

bool page_of_server(const struct fleet_view *view, const struct page_site *site,
                    const char *cluster, const char *endpoint, const char *server, struct buf *to)
{
    struct server_state *s = find(view, cluster, endpoint, server);
    struct glance g;

    if (!s)
        return false;
    frame_head(to, server);
    add_way_back(to);
    server_state_lock(s);
    g = glance_at(s, clock_monotonic_ns(), clock_realtime_ns());
    add_page(to, &g);
    server_state_unlock(s);
    frame_foot(to, site);
    return true;
}

void page_of_fault(const struct page_site *site, enum fault fault, struct buf *to)
{
    const struct fault_row *row = fault_row(fault);

    frame_head(to, row->id);
    add_way_back(to);
    frame_begin(to, 0);
    html_addf(to,
              "<h1 class=\"server\">%s</h1>\n<section><h2>What it means</h2><p>%s</p></section>\n",
              row->id, row->meaning);
    html_addf(to, "<section><h2>What to do</h2><p>%s</p></section>\n", row->remedy);
    buf_add_str(to, "<table class=\"facts\">\n");
    text_row(to, "class", fault_class_name(row->class));
    text_row(to, "found in", row->phases);
    buf_add_str(to, "</table>\n<p>More, with examples: docs/faults/");
    html_addf(to, "%s.md in this version's documentation.</p>\n", row->id);
    html_addf(to, "<p><a href=\"./?q=%s\">Servers that fail with it now</a></p>\n", row->id);
    frame_end(to);
    frame_foot(to, site);
}
