"""What dashboards are made of: queries, panels, rows, variables. Everything is plain JSON of Grafana's
schema; docs/dashboards.md says how it is checked."""

import re

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Who is asked. ENDPOINTS is for families without the label `server`, CHOSEN for the rest.
SELF = 'job=~"$job", instance=~"$instance"'
ENDPOINTS = SELF + ', pg_cluster=~"$pg_cluster", pg_endpoint=~"$pg_endpoint"'
CHOSEN = ENDPOINTS + ', server=~"$server"'
BY_ENDPOINT = "job, pg_cluster, pg_endpoint"
BY_SERVER = "pg_cluster, pg_endpoint, server"
GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"
SHARED = ("datasource", "job", "instance", "team", "pg_cluster", "pg_endpoint", "server")
DAY = 86400
# As the shipped alerts: three weeks to plan in, three days to act in.
EXPIRY = (RED, (3 * DAY, YELLOW), (21 * DAY, GREEN))
OBJECTIVES = (("99 %", "0.99"), ("99.5 %", "0.995"), ("99.9 %", "0.999"), ("99.95 %", "0.9995"), ("99.99 %", "0.9999"))


# ---- queries ---------------------------------------------------------------------------------

def query(expr, legend="", instant=False, form="time_series", ref="A"):
    return {
        "datasource": DATASOURCE, "refId": ref, "expr": expr, "legendFormat": legend,
        "instant": instant, "range": not instant, "format": form, "editorMode": "code",
    }


def queries(*pairs):
    """A query of each (expr, legend), named A, B, …"""
    return [query(expr, legend, ref=chr(ord("A") + at)) for at, (expr, legend) in enumerate(pairs)]


def happened(family, by, where=CHOSEN):
    """How often in each step, nothing where it did not."""
    return f"sum by ({by}) (increase({family}{{{where}}}[$__rate_interval])) > 0"


def in_range(family, by="", where=CHOSEN):
    """How often in the time shown."""
    return f"sum{f' by ({by}) ' if by else ''}(increase({family}{{{where}}}[$__range]))"


# Histograms are classic, or native if exporter and Prometheus agree on it: each query takes what is there.

def quantile(share, family, by, where=CHOSEN, span="rate", after="", among=""):
    """A quantile of each step, or of the time shown (`span` is increase). `after` follows the range, `among` the
    selection."""
    function, length = {"rate": ("rate", "$__rate_interval"), "increase": ("increase", "$__range")}[span]

    def of(labels, suffix):
        grouped = f" by ({labels})" if labels else ""
        return (f"histogram_quantile({share}, sum{grouped} "
                f"({function}({family}{suffix}{{{where}}}[{length}]{after}){among}))")
    return f"({of(f'le, {by}' if by else 'le', '_bucket')} or {of(by, '')})"


def mean_of(family, by, where=CHOSEN, after=""):
    """The mean of each step; nothing where nothing was measured."""
    def rate(suffix):
        return f"sum by ({by}) (rate({family}{suffix}{{{where}}}[$__rate_interval]{after}))"
    return (f"({rate('_sum')} / ({rate('_count')} > 0) or "
            f"histogram_sum({rate('')}) / (histogram_count({rate('')}) > 0))")


def spread_of(family, where=CHOSEN):
    """How many fell into each bucket in each step, for a heatmap."""
    classic = f"increase({family}_bucket{{{where}}}[$__rate_interval])"
    return (f"sum by (le) ({classic}) or (sum(increase({family}{{{where}}}[$__rate_interval])) "
            f"unless on () sum({classic}))")


def only(chosen, by, expr):
    """Of many series those that `chosen` names by these labels, the same ones from left to right: it should
    look at the end of the time shown (@ end())."""
    return f"{expr} and on ({by}) {chosen}"


def or_zero(expr):
    return f"({expr}) or vector(0)"


# ---- how values look -------------------------------------------------------------------------

def thresholds(*steps):
    """thresholds(GREEN, (1, RED)): green below 1, red from there on."""
    first, *rest = steps
    return {"mode": "absolute", "steps": [{"color": first, "value": None}]
            + [{"color": color, "value": value} for value, color in rest]}


def below(value, text, color):
    """A word for everything below a value."""
    return [{"type": "range", "options": {"from": None, "to": value, "result": {
        "text": text, "color": color, "index": 0}}}]


def words(**texts):
    """words(_0=("down", RED)): the text and colour shown for a value."""
    return [{"type": "value", "options": {
        name.lstrip("_"): {"text": text, "color": color, "index": index}
        for index, (name, (text, color)) in enumerate(texts.items())}}]


def link(title, url, blank=False):
    return {"title": title, "url": url, "targetBlank": blank}


def field(heading):
    return "${__data.fields[\"" + heading + "\"]:percentencode}"


def narrowed(uid, **chosen):
    """The address of a dashboard with these variables set to what a row says, the others as they are."""
    kept = [f"${{{name}:queryparam}}" for name in SHARED if name not in chosen]
    return "&".join([f"/d/{uid}?" + "&".join(kept), *(f"var-{name}={value}" for name, value in chosen.items()),
                     "${__url_time_range}"])


STATUS_PAGE = "http://${page:raw}"
LINKS = {
    "Cluster": [link("Only this cluster", narrowed("pgtls-overview", pg_cluster=field("Cluster")))],
    "Endpoint": [
        link("Only this endpoint", narrowed("pgtls-overview", pg_cluster=field("Cluster"),
                                            pg_endpoint=field("Endpoint"))),
        link("Its rejections and closes", narrowed("pgtls-rejections", pg_cluster=field("Cluster"),
                                                   pg_endpoint=field("Endpoint"))),
        link("Its latency", narrowed("pgtls-latency", pg_cluster=field("Cluster"),
                                     pg_endpoint=field("Endpoint")))],
    "Server": [
        link("Its status page", f"{STATUS_PAGE}/server?cluster={field('Cluster')}&endpoint={field('Endpoint')}"
                                f"&server={field('Server')}", blank=True),
        link("Its certificates", narrowed("pgtls-certificates", server=field("Server")))],
    "Fault": [link("What it means, what to do", f"{STATUS_PAGE}/fault?id={field('Fault')}", blank=True)],
    "Exporter": [link("Only this exporter", narrowed("pgtls-exporter", instance=field("Exporter"))),
                 link("Its status page", f"http://{field('Exporter')}/", blank=True)],
}


# ---- panels ----------------------------------------------------------------------------------

def panel(kind, title, description, targets, unit, options, limits=None, custom=None, **defaults):
    color = {"mode": "thresholds" if limits else "palette-classic"}
    fields = {"unit": unit, "color": color, "mappings": [], "thresholds": limits or thresholds(GREEN),
              "custom": custom or {}, **defaults}
    return {"type": kind, "title": title, "description": description, "datasource": DATASOURCE,
            "targets": targets, "fieldConfig": {"defaults": fields, "overrides": []},
            "options": options, "transparent": False, "repeatDirection": "h"}


def reduced():
    return {"calcs": ["lastNotNull"], "fields": "", "values": False}


def stat(title, description, expr, unit="none", limits=None, to=None, loud=True, **defaults):
    """One number: what is broken now is loud, how it went is not. `to` is where more is told."""
    options = {"reduceOptions": reduced(), "colorMode": "background_solid" if loud else "value",
               "graphMode": "none", "justifyMode": "auto",
               "orientation": "auto", "textMode": "auto", "wideLayout": True,
               "showPercentChange": False, "percentChangeColorMode": "standard"}
    if to:
        defaults["links"] = [link("More", narrowed(to))]
    return panel("stat", title, description, [query(expr, instant=True)], unit, options,
                 limits or thresholds(GREY), **defaults)


def bars_of(title, description, expr, legend, unit="none", limits=None, **defaults):
    """How much of each, now: horizontal bars."""
    options = {"reduceOptions": reduced(), "orientation": "horizontal", "displayMode": "basic",
               "valueMode": "color", "namePlacement": "auto", "showUnfilled": True, "sizing": "auto",
               "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 40,
               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []}}
    return panel("bargauge", title, description, [query(expr, legend, instant=True)], unit, options,
                 limits or thresholds(BLUE), min=0, **defaults)


def series(title, description, targets, unit, limits=None, bars=False, stacked=False, soft_max=None, **defaults):
    """Lines; or bars of what happened in each step, of which windows overlap, so that they have no sum."""
    custom = {
        "drawStyle": "bars" if bars else "line", "fillOpacity": 60 if bars or stacked else 0,
        "lineWidth": 1, "showPoints": "never", "spanNulls": False, "axisSoftMin": 0,
        "stacking": {"mode": "normal" if bars or stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if limits else "off"},
    }
    options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True,
                          "calcs": ["max"] if bars else ["lastNotNull", "max"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    if soft_max is not None:
        custom["axisSoftMax"] = soft_max
    if bars:
        defaults = {"noValue": "none", **defaults}
    made = panel("timeseries", title, description, targets, unit, options, limits, custom, **defaults)
    made["fieldConfig"]["defaults"]["color"] = {"mode": "palette-classic"}
    return made


def colored(made, **colors):
    """Fixed colours for series of these names: a phase, a class looks the same everywhere."""
    made["fieldConfig"]["overrides"] += [
        {"matcher": {"id": "byName", "options": name},
         "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}]}
        for name, color in colors.items()]
    return made


PHASES = {"dns": "light-purple", "tcp": "blue", "ssl_request": "light-blue", "tls": "green", "startup": "yellow",
          "auth": "orange", "query": "dark-purple"}


def heatmap(title, description, expr, unit="s"):
    scale = {"type": "linear"}
    options = {
        "calculate": False, "cellGap": 1, "cellValues": {"unit": "short"}, "showValue": "never",
        "color": {"mode": "scheme", "scheme": "Blues", "fill": "dark-blue", "scale": "exponential",
                  "exponent": 0.5, "steps": 64, "reverse": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9},
        "legend": {"show": True}, "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit}}
    made = panel("heatmap", title, description, [query(expr, "{{le}}", form="heatmap")], unit, options,
                 custom={"scaleDistribution": scale, "hideFrom": {"legend": False, "tooltip": False, "viz": False}})
    del made["fieldConfig"]["defaults"]["color"]
    return made


def column(label, heading, **looks):
    """A column of a table: `looks` are unit, limits, mappings, width, decimals, bar."""
    return {"label": label, "heading": heading, **looks}


NAMES = (column("pg_cluster", "Cluster", width=130), column("pg_endpoint", "Endpoint", width=110),
         column("server", "Server"))


def _overrides(columns):
    for one in columns:
        properties = []
        if one["heading"] in LINKS:
            properties.append({"id": "links", "value": LINKS[one["heading"]]})
        for key in ("unit", "decimals", "mappings"):
            if key in one:
                properties.append({"id": key, "value": one[key]})
        if "width" in one:
            properties.append({"id": "custom.width", "value": one["width"]})
        if "limits" in one:
            properties.append({"id": "thresholds", "value": one["limits"]})
            properties.append({"id": "color", "value": {"mode": "thresholds"}})
        if "limits" in one or "mappings" in one:
            look = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"} if one.get("bar") else {
                "type": "color-background", "mode": "basic"}
            properties.append({"id": "custom.cellOptions", "value": look})
        if one.get("bar"):
            properties += [{"id": "min", "value": 0}, {"id": "max", "value": 1}]
        if properties:
            yield {"matcher": {"id": "byName", "options": one["heading"]}, "properties": properties}


def table(title, description, targets, columns, unit="none", sort=None, descending=False):
    """`targets` is an expression or one per column of values, in which case columns named "Value #A" …
    are theirs. What no column names is hidden."""
    several = not isinstance(targets, str)
    exprs = targets if several else [targets]
    asked = [query(expr, instant=True, form="table", ref=chr(ord("A") + at)) for at, expr in enumerate(exprs)]
    options = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0,
               "sortBy": [{"displayName": sort, "desc": descending}] if sort else []}
    made = panel("table", title, description, asked, unit, options, None, {
        "align": "left", "filterable": True, "inspect": False, "cellOptions": {"type": "auto"}}, noValue="none")
    shown = {one["label"]: at for at, one in enumerate(columns)}
    values = {f"Value #{target['refId']}" for target in asked} if several else {"Value"}
    organize = {"id": "organize", "options": {
        "excludeByName": {name: True for name in sorted(({"Time"} | values) - shown.keys())},
        "includeByName": {}, "indexByName": shown,
        "renameByName": {one["label"]: one["heading"] for one in columns}}}
    made["transformations"] = ([{"id": "merge", "options": {}}] if several else []) + [organize]
    empty = [{"matcher": {"id": "byType", "options": kind}, "properties": [{"id": "noValue", "value": "–"}]}
             for kind in ("string", "number")]
    made["fieldConfig"]["overrides"] = empty + list(_overrides(columns))
    return made


def timeline(title, description, expr, legend, mappings, **defaults):
    made = panel("state-timeline", title, description, [query(expr, legend)], "none", {
        "mergeValues": True, "showValue": "never", "alignValue": "left", "rowHeight": 0.85,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"}},
        thresholds(GREY), {"fillOpacity": 80, "lineWidth": 0}, **defaults)
    made["fieldConfig"]["defaults"]["mappings"] = mappings
    return made


def alert_list(title, description):
    """What fires or is about to, as Grafana's own panel lists it; it asks no query."""
    return {"type": "alertlist", "title": title, "description": description, "transparent": False,
            "repeatDirection": "h", "fieldConfig": {"defaults": {}, "overrides": []}, "options": {
                "viewMode": "list", "groupMode": "default", "groupBy": [], "maxItems": 20, "sortOrder": 3,
                "dashboardAlerts": False, "alertName": "Pgtls", "alertInstanceLabelFilter": "",
                "stateFilter": {"firing": True, "pending": True, "noData": False, "normal": False,
                                "error": True, "recovering": False}}}


# ---- the page --------------------------------------------------------------------------------

def row(title, collapsed=False):
    return {"type": "row", "title": title, "collapsed": collapsed, "panels": []}


def legend_beside(made):
    """Where there is room, the legend stands beside the lines and not on them."""
    if made["type"] == "timeseries":
        made["options"]["legend"]["placement"] = "right"


def lay_out(rows):
    """[(row, [(width, height, panel)…])…] on Grafana's grid of 24 columns, ids in order."""
    placed, number, y = [], 0, 0
    for header, panels in rows:
        number += 1
        header.update(id=number, gridPos={"h": 1, "w": 24, "x": 0, "y": y})
        placed.append(header)
        y, x, height = y + 1, 0, 0
        for width, tall, made in panels:
            if x + width > 24:
                x, y, height = 0, y + height, 0
            if width >= 12:
                legend_beside(made)
            number += 1
            made.update(id=number, gridPos={"h": tall, "w": width, "x": x, "y": y})
            (header["panels"] if header["collapsed"] else placed).append(made)
            x, height = x + width, max(height, tall)
        y += height
    return placed


def variable(name, label, metric, selector, everything=".+"):
    """A choice among the values of a label; `everything` is what All asks for, None for each of them."""
    expr = f"label_values({metric}{{{selector}}}, {name})" if selector else f"label_values({metric}, {name})"
    made = {"name": name, "label": label, "type": "query", "datasource": DATASOURCE,
            "definition": expr, "query": {"qryType": 1, "query": expr, "refId": name},
            "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
            "current": {"text": ["All"], "value": ["$__all"]}, "options": [], "regex": "",
            "hide": 0, "skipUrlSync": False}
    return {**made, "allValue": everything} if everything else made


def status_page():
    """The exporter whose pages links lead to: the first of those chosen."""
    made = variable("page", "Status page", "pgtls_build_info", SELF, None)
    expr = f"label_values(pgtls_build_info{{{SELF}}}, instance)"
    return {**made, "definition": expr, "query": {"qryType": 1, "query": expr, "refId": "page"},
            "multi": False, "includeAll": False, "current": {"text": "", "value": ""}}


def objective():
    """What availability is compared with. The rules have the same number in pgtls:error_budget:ratio."""
    return {"name": "objective", "label": "Objective", "type": "custom", "hide": 0, "skipUrlSync": False,
            "query": ", ".join(f"{text} : {value}" for text, value in OBJECTIVES),
            "current": {"text": "99.9 %", "value": "0.999"}, "includeAll": False, "multi": False,
            "options": [{"text": text, "value": value, "selected": value == "0.999"} for text, value in OBJECTIVES]}


def choices():
    """The variables that every dashboard has. Your label `team` narrows the clusters to choose from, and
    All of them is each of these, so that it narrows what is shown too."""
    labels = "pgtls_server_labels_info"
    return [variable("job", "Job", "pgtls_build_info", ""),
            variable("instance", "Instance", "pgtls_build_info", 'job=~"$job"'),
            variable("team", "Team", labels, SELF, ".*"),
            variable("pg_cluster", "Cluster", labels, SELF + ', team=~"$team"', None),
            variable("pg_endpoint", "Endpoint", labels, SELF + ', team=~"$team", pg_cluster=~"$pg_cluster"'),
            variable("server", "Server", labels, ENDPOINTS + ', team=~"$team"')]


def annotation(name, expr, color, title, text):
    return {"name": name, "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": color,
            "expr": expr, "step": "1m", "titleFormat": title, "textFormat": text, "target": {
                "expr": expr, "refId": "annotation"}}


def annotations():
    before = f"pgtls_server_info{{{CHOSEN}}} offset $__rate_interval"
    return [
        annotation("New certificates", happened("pgtls_certificate_changes_total", BY_SERVER), BLUE,
                   "New certificate", "{{server}} ({{pg_cluster}}/{{pg_endpoint}})"),
        annotation("Server versions",
                   f"max by ({BY_SERVER}, server_version) (pgtls_server_info{{{CHOSEN}, server_version!=\"\"}}) unless "
                   f"max by ({BY_SERVER}, server_version) ({before}) and on ({BY_SERVER}) {before}", "green",
                   "Another version", "{{server}} ({{pg_cluster}}/{{pg_endpoint}}): {{server_version}}"),
        annotation("Reloads", f"changes(pgtls_config_last_reload_success_timestamp_seconds{{{SELF}}}"
                   "[$__rate_interval]) > 0", "purple", "Configuration loaded", "{{instance}}"),
        annotation("Restarts", f"changes(process_start_time_seconds{{{SELF}}}[$__rate_interval]) > 0",
                   ORANGE, "Exporter restarted", "{{instance}}")]


def dashboard(uid, title, description, rows, more=()):
    """`more` are variables of this one alone."""
    return {
        "uid": uid, "title": title, "description": re.sub(r"\s+", " ", description),
        "tags": ["pgtls", "postgresql", "tls"], "schemaVersion": 39, "editable": False,
        "graphTooltip": 1, "refresh": "1m", "time": {"from": "now-6h", "to": "now"},
        "timepicker": {}, "timezone": "browser", "weekStart": "", "fiscalYearStartMonth": 0,
        "liveNow": False,
        "links": [{"type": "dashboards", "title": "pgtls dashboards", "tags": ["pgtls"], "url": "",
                   "icon": "external link", "tooltip": "", "asDropdown": False, "includeVars": True,
                   "keepTime": True, "targetBlank": False},
                  {"type": "link", "title": "Status page", "tags": [], "url": STATUS_PAGE + "/",
                   "icon": "external link", "tooltip": "What the exporter itself shows now", "asDropdown": False,
                   "includeVars": False, "keepTime": False, "targetBlank": True}],
        "annotations": {"list": annotations()},
        "templating": {"list": [{
            "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
            "current": {"text": "default", "value": "default"}, "hide": 0, "includeAll": False,
            "multi": False, "options": [], "refresh": 1, "regex": "", "skipUrlSync": False},
            *choices(), *more, status_page()]},
        "panels": lay_out(rows),
    }
