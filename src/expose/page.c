/* The status page: one table of everything that is watched, what fails first. It is made while it
 * is sent: beside a few words per endpoint nothing of it stands in memory. */
#include "page.h"

#include "endpoint_health.h"
#include "html.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <stdlib.h>
#include <string.h>

#define REFRESH_S     10
#define REFRESH_ALL_S 60  /* of a page without an end */
#define MAX_CHOICES   200 /* clusters to choose from; of more the name is to be typed */

enum part { PART_HEAD, PART_ROWS, PART_DONE };

struct row {
    size_t endpoint; /* in the set */
    enum row_kind kind;
    int64_t since_realtime_ns;
    bool same_broken; /* the promise that only servers together can break */
};

struct page {
    struct fleet_view *view;
    const struct page_site *site;
    char text[129], cluster[257];
    bool one_kind, all;
    enum row_kind kind;
    int64_t now_ns, realtime_ns;
    size_t counts[ROW_COUNT]; /* of what text and cluster select, whatever its kind */
    struct row *rows;         /* in the order of the page */
    size_t n_rows;
    enum part part;
    size_t at_row, at_server, shown;
};

/* --- what is selected ------------------------------------------------------------------------- */

static bool holds(const char *text, const char *part)
{
    return text && strcasestr(text, part);
}

/* Does anything that people see of this server hold the text? */
static bool server_matches(struct server_state *s, const char *text)
{
    const struct probe_state *culprit;
    const struct server *config;
    bool found;

    server_state_lock(s);
    config = s->config;
    culprit = server_state_culprit(s, NULL);
    found =
        holds(config->name, text) || holds(s->address, text) || holds(config->maintenance, text) ||
        (culprit && (holds(fault_row(culprit->fault)->id, text) || holds(culprit->error, text)));
    for (size_t i = 0; !found && i < config->n_labels; i++)
        found = holds(config->labels[i].value, text);
    server_state_unlock(s);
    return found;
}

static bool endpoint_matches(const struct page *p, const struct endpoint *e)
{
    if (p->cluster[0] && strcmp(p->cluster, e->cluster) != 0)
        return false;
    if (p->text[0] == '\0' || holds(e->cluster, p->text) || holds(e->name, p->text))
        return true;
    for (size_t i = 0; i < e->n_servers; i++) {
        if (server_matches(p->view->servers[e->first_server + i], p->text))
            return true;
    }
    return false;
}

static struct row row_of(const struct page *p, size_t i)
{
    const struct endpoint *e = &p->view->set->endpoints[i];
    struct endpoint_tally tally = {0};
    struct endpoint_health whole = endpoint_health(p->view, e, &tally, p->now_ns, p->realtime_ns);

    return (struct row){.endpoint = i,
                        .kind = row_kind_of(whole.status, whole.paused),
                        .since_realtime_ns = whole.since_realtime_ns,
                        .same_broken = whole.kept[PROMISE_SAME_CERTIFICATE] == VERDICT_NO};
}

static int by_kind(const void *left, const void *right)
{
    const struct row *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->endpoint < b->endpoint ? -1 : a->endpoint > b->endpoint;
}

/* Within a kind it stays the configuration's order: rows that change places cannot be read. */
static void select_rows(struct page *p)
{
    for (size_t i = 0; i < p->view->set->n_endpoints; i++) {
        struct row row;

        if (!endpoint_matches(p, &p->view->set->endpoints[i]))
            continue;
        row = row_of(p, i);
        p->counts[row.kind]++;
        if (!p->one_kind || row.kind == p->kind)
            p->rows[p->n_rows++] = row;
    }
    qsort(p->rows, p->n_rows, sizeof *p->rows, by_kind);
}

struct page *page_new(struct fleet_view *view, const struct page_site *site,
                      const struct page_query *query)
{
    struct page *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->rows = calloc(view->set->n_endpoints + 1, sizeof *p->rows);
    if (!p->rows) {
        free(p);
        return NULL;
    }
    __atomic_fetch_add(&view->references, 1, __ATOMIC_RELAXED);
    p->view = view;
    p->site = site;
    str_copy(p->text, sizeof p->text, query->text ? query->text : "");
    str_copy(p->cluster, sizeof p->cluster, query->cluster ? query->cluster : "");
    p->one_kind = query->one_kind;
    p->kind = query->kind;
    p->all = query->all;
    p->now_ns = clock_monotonic_ns();
    p->realtime_ns = clock_realtime_ns();
    select_rows(p);
    return p;
}

void page_free(void *page)
{
    struct page *p = page;

    if (!p)
        return;
    fleet_view_unref(p->view);
    free(p->rows);
    free(p);
}

/* --- head and filter -------------------------------------------------------------------------- */

static size_t selected(const struct page *p)
{
    size_t n = 0;

    for (size_t i = 0; i < ROW_COUNT; i++)
        n += p->counts[i];
    return n;
}

/* "?cluster=…&q=…&state=…&show=…": the page as it is, but for what the caller says. */
static void add_link(struct buf *to, const struct page *p, const char *kind, bool all)
{
    struct buf url = BUF_INIT(8192);

    buf_add_str(&url, "./?");
    if (p->cluster[0]) {
        buf_add_str(&url, "cluster=");
        url_add(&url, p->cluster);
        buf_add_char(&url, '&');
    }
    if (p->text[0]) {
        buf_add_str(&url, "q=");
        url_add(&url, p->text);
        buf_add_char(&url, '&');
    }
    buf_addf(&url, "%s%s%s", kind ? "state=" : "", kind ? kind : "", all ? "&show=all" : "");
    html_text(to, buf_text(&url));
    buf_take_failure(to, &url);
    buf_deinit(&url);
}

/* Distinct clusters, in the configuration's order, in which each stands together. */
static size_t add_choices(struct buf *to, const struct page *p)
{
    const struct endpoint_set *set = p->view->set;
    size_t n = 0;

    for (size_t i = 0; i < set->n_endpoints; i++) {
        const char *cluster = set->endpoints[i].cluster;

        if (i > 0 && strcmp(cluster, set->endpoints[i - 1].cluster) == 0)
            continue;
        if (++n > MAX_CHOICES)
            break;
        html_addf(to, "<option value=\"%s\"%s>%s</option>", cluster,
                  strcmp(cluster, p->cluster) == 0 ? " selected" : "", cluster);
    }
    return n;
}

static void add_cluster_filter(struct buf *to, const struct page *p)
{
    struct buf choices = BUF_INIT((size_t)1 << 20);

    buf_add_str(to, "<label>Cluster ");
    if (add_choices(&choices, p) <= MAX_CHOICES) {
        buf_add_str(to, "<select name=\"cluster\"><option value=\"\">all</option>");
        buf_add(to, buf_text(&choices), choices.len);
        buf_add_str(to, "</select></label>\n");
    } else {
        html_addf(to, "<input name=\"cluster\" value=\"%s\" placeholder=\"all\"></label>\n",
                  p->cluster);
    }
    buf_take_failure(to, &choices);
    buf_deinit(&choices);
}

static void add_filter(struct buf *to, const struct page *p)
{
    html_addf(to,
              "<form id=\"filter\" role=\"search\" action=\"./\" method=\"get\">\n"
              "<label>Find <input type=\"search\" name=\"q\" value=\"%s\" maxlength=\"128\" "
              "placeholder=\"name, address, fault, label\"></label>\n",
              p->text);
    add_cluster_filter(to, p);
    if (p->one_kind)
        html_addf(to, "<input type=\"hidden\" name=\"state\" value=\"%s\">\n",
                  row_kind_name(p->kind));
    buf_add_str(to, "<button>Filter</button>\n</form>\n");
}

static void add_title(struct buf *to, const struct page *p)
{
    if (p->counts[ROW_DOWN] > 0)
        html_addf(to, "✕ %zu down · ", p->counts[ROW_DOWN]);
    else if (p->counts[ROW_DEGRADED] > 0)
        html_addf(to, "▲ %zu degraded · ", p->counts[ROW_DEGRADED]);
    buf_add_str(to, "pgtls_exporter");
}

/* How many there are of each kind: the first thing to look at, and the way to see only those. */
static void add_kinds(struct buf *to, const struct page *p)
{
    buf_add_str(to, "<nav class=\"kinds\" aria-label=\"Endpoints by state\"><ul>\n<li><a href=\"");
    add_link(to, p, NULL, false);
    html_addf(to, "\"%s><b>%zu</b> All</a></li>\n", p->one_kind ? "" : " aria-current=\"page\"",
              selected(p));
    for (size_t i = 0; i < ROW_COUNT; i++) {
        bool current = p->one_kind && p->kind == (enum row_kind)i;

        if (p->counts[i] == 0 && !current)
            continue;
        buf_add_str(to, "<li><a href=\"");
        add_link(to, p, row_kind_name((enum row_kind)i), false);
        html_addf(to, "\"%s><b>%zu</b> ", current ? " aria-current=\"page\"" : "", p->counts[i]);
        part_mark(to, (enum row_kind)i);
        buf_add_str(to, "</a></li>\n");
    }
    buf_add_str(to, "</ul></nav>\n");
}

static void add_legend(struct buf *to)
{
    buf_add_str(to, "<ul class=\"legend\" aria-label=\"Colours of the steps\">");
    for (size_t i = 0; i < PHASE_COUNT; i++)
        html_addf(to, "<li><span class=\"swatch p%d\"></span>%s</li>", (int)i,
                  phase_name((enum phase)i));
    buf_add_str(to, "</ul>\n");
}

static void add_head(struct page *p, struct buf *to)
{
    struct buf title = BUF_INIT(256);
    char time[STR_TIME_SIZE];

    str_time(time, p->realtime_ns, false);
    add_title(&title, p);
    frame_head(to, buf_text(&title));
    buf_take_failure(to, &title);
    buf_deinit(&title);
    buf_add_str(to, "<header><h1>pgtls_exporter</h1><p>Can clients get in to PostgreSQL over TLS, "
                    "right now?</p></header>\n");
    add_filter(to, p);
    frame_begin(to, p->all ? REFRESH_ALL_S : REFRESH_S);
    add_kinds(to, p);
    html_addf(to,
              "<div class=\"about\">\n<p id=\"asof\">As of <time datetime=\"%s\">%s</time></p>\n",
              time, time);
    add_legend(to);
    buf_add_str(to, "</div>\n");
    if (p->n_rows == 0) {
        buf_add_str(to,
                    p->view->set->n_endpoints == 0
                        ? "<p class=\"empty\">Nothing is configured to be watched.</p>\n"
                        : "<p class=\"empty\">No endpoint is like that. <a href=\"./\">Show all "
                          "of them</a></p>\n");
        return;
    }
    buf_add_str(to, "<table>\n<caption>Endpoints and their servers, failing ones first</caption>\n"
                    "<thead><tr><th scope=\"col\">Endpoint</th><th scope=\"col\">Server</th>"
                    "<th scope=\"col\">Finding</th><th scope=\"col\">Steps</th>"
                    "<th scope=\"col\">Certificate</th></tr></thead>\n");
}

/* --- rows ------------------------------------------------------------------------------------- */

static void add_endpoint_cell(struct buf *to, const struct page *p, const struct row *row,
                              const struct endpoint *e)
{
    html_addf(to, "<tbody class=\"%s\">\n<tr><th scope=\"rowgroup\" rowspan=\"%zu\">",
              row_kind_name(row->kind), e->n_servers > 0 ? e->n_servers : 1);
    part_mark(to, row->kind);
    html_addf(to, "<span class=\"endpoint\"><bdi>%s</bdi>/<bdi>%s</bdi></span><span class=\"dim\">",
              e->cluster, e->name);
    part_since(to, row->since_realtime_ns, p->realtime_ns);
    buf_add_str(to, "</span>");
    if (row->same_broken)
        buf_add_str(to, "<span class=\"warn\">▲ servers show different certificates</span>");
    if (e->n_servers > 1)
        html_addf(to, "<span class=\"dim\">%zu servers, %s must be up</span>", e->n_servers,
                  e->require == REQUIRE_ANY ? "one" : "all");
    buf_add_str(to, "</th>\n");
}

static void add_cells(struct buf *to, const struct glance *g, bool marked)
{
    buf_add_str(to, "<td data-label=\"Server\">");
    if (marked)
        part_mark(to, g->kind);
    part_server_link(to, g->s->config);
    if (g->s->address[0] && strncmp(g->s->config->name, g->s->address, strlen(g->s->address)) != 0)
        html_addf(to, "<span class=\"dim\">%s</span>", g->s->address);
    buf_add_str(to, "</td>\n<td data-label=\"Finding\">");
    part_finding(to, g);
    part_promises(to, g);
    part_sessions(to, g);
    buf_add_str(to, "</td>\n<td data-label=\"Steps\">");
    part_steps(to, g);
    part_hour(to, g);
    buf_add_str(to, "</td>\n<td data-label=\"Certificate\">");
    part_certificate(to, g);
    buf_add_str(to, "</td></tr>\n");
}

/* The next server of the row at hand, and what stands around it. */
static void add_server(struct page *p, struct buf *to)
{
    const struct row *row = &p->rows[p->at_row];
    const struct endpoint *e = &p->view->set->endpoints[row->endpoint];

    if (p->at_server == 0)
        add_endpoint_cell(to, p, row, e);
    else
        buf_add_str(to, "<tr>\n");
    if (e->n_servers > 0) {
        struct server_state *s = p->view->servers[e->first_server + p->at_server];
        struct glance g;

        server_state_lock(s);
        g = glance_at(s, p->now_ns, p->realtime_ns);
        add_cells(to, &g, e->n_servers > 1);
        server_state_unlock(s);
    } else {
        buf_add_str(to, "<td colspan=\"4\">It has no server.</td></tr>\n");
    }
    p->shown++;
    if (++p->at_server < e->n_servers)
        return;
    buf_add_str(to, "</tbody>\n");
    p->at_server = 0;
    p->at_row++;
}

static void add_foot(struct page *p, struct buf *to)
{
    if (p->n_rows > 0)
        buf_add_str(to, "</table>\n");
    if (p->at_row < p->n_rows) {
        html_addf(to, "<p class=\"more\">These are the first %zu of %zu endpoints. <a href=\"",
                  p->at_row, p->n_rows);
        add_link(to, p, p->one_kind ? row_kind_name(p->kind) : NULL, true);
        buf_add_str(to, "\">Show all</a></p>\n");
    }
    frame_end(to);
    frame_foot(to, p->site);
}

bool page_next(void *page, struct buf *to)
{
    struct page *p = page;
    bool enough = !p->all && p->shown >= PAGE_SERVERS && p->at_server == 0;

    if (p->part == PART_DONE)
        return false;
    if (p->part == PART_HEAD) {
        add_head(p, to);
        p->part = PART_ROWS;
    } else if (p->at_row < p->n_rows && !enough) {
        add_server(p, to);
    } else {
        add_foot(p, to);
        p->part = PART_DONE;
    }
    return !to->failed;
}
