#!/usr/bin/python3
"""Writes dashboards/*.json. The JSON is what is shipped; this is where it is edited.

    dashboards/generate.py            write the files
    dashboards/generate.py --check    exit 1 if a file is not what this would write

tests/lint/dashboard_lint.py holds the rules that every dashboard keeps.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SELF = 'job=~"$job", instance=~"$instance"'
SERVERS = SELF + ', pg_cluster=~"$pg_cluster", pg_endpoint=~"$pg_endpoint"'
GREEN, YELLOW, RED, GREY = "green", "yellow", "red", "text"
CLUSTER_LINK = {
    "title": "Show only ${__data.fields.Cluster}",
    "url": "/d/pgtls-overview?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
           "&var-pg_cluster=${__data.fields.Cluster}&${__url_time_range}",
    "targetBlank": False,
}


# ---- parts -----------------------------------------------------------------------------------

def query(expr, legend="", instant=False, table=False, ref="A"):
    return {
        "datasource": DATASOURCE, "refId": ref, "expr": expr, "legendFormat": legend,
        "instant": instant, "range": not instant, "format": "table" if table else "time_series",
        "editorMode": "code",
    }


def thresholds(*steps):
    """thresholds(GREEN, (1, RED)): green below 1, red from there on."""
    first, *rest = steps
    return {"mode": "absolute", "steps": [{"color": first, "value": None}]
            + [{"color": color, "value": value} for value, color in rest]}


def panel(kind, title, description, targets, unit, options, limits=None, custom=None, **defaults):
    color = {"mode": "thresholds" if limits else "palette-classic"}
    fields = {"unit": unit, "color": color, "mappings": [], "thresholds": limits or thresholds(GREEN),
              "custom": custom or {}, **defaults}
    return {"type": kind, "title": title, "description": description, "datasource": DATASOURCE,
            "targets": targets, "fieldConfig": {"defaults": fields, "overrides": []},
            "options": options, "transparent": False, "repeatDirection": "h"}


def stat(title, description, expr, unit="none", limits=None, **defaults):
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
               "colorMode": "background", "graphMode": "none", "justifyMode": "auto",
               "orientation": "auto", "textMode": "auto", "wideLayout": True,
               "showPercentChange": False, "percentChangeColorMode": "standard"}
    return panel("stat", title, description, [query(expr, instant=True)], unit, options,
                 limits or thresholds(GREEN), **defaults)


def series(title, description, targets, unit, limits=None, bars=False, stacked=False, **defaults):
    custom = {
        "drawStyle": "bars" if bars else "line", "fillOpacity": 60 if bars or stacked else 8,
        "lineWidth": 1, "showPoints": "never", "spanNulls": False, "axisSoftMin": 0,
        "stacking": {"mode": "normal" if bars or stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if limits else "off"},
    }
    options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True,
                          "calcs": ["lastNotNull", "max"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    made = panel("timeseries", title, description, targets, unit, options, limits, custom, **defaults)
    made["fieldConfig"]["defaults"]["color"] = {"mode": "palette-classic"}
    return made


def table(title, description, expr, columns, unit="none", value=None, limits=None):
    """`columns` are (label, heading) in order; `value` is the heading of the value, None hides it."""
    order = {label: position for position, (label, _) in enumerate(columns)}
    hidden = {"Time": True}
    names = dict(columns)
    if value:
        order["Value"], names["Value"] = len(columns), value
    else:
        hidden["Value"] = True
    options = {"showHeader": True, "cellHeight": "sm",
               "footer": {"show": False, "reducer": ["sum"], "countRows": False, "fields": ""},
               "sortBy": [{"displayName": value, "desc": False}] if value else []}
    made = panel("table", title, description, [query(expr, instant=True, table=True)], unit, options,
                 limits, {"align": "left", "filterable": True, "inspect": False,
                          "cellOptions": {"type": "auto"}}, noValue="none")
    made["transformations"] = [{"id": "organize", "options": {
        "excludeByName": hidden, "includeByName": {}, "indexByName": order, "renameByName": names}}]
    made["fieldConfig"]["overrides"] = [
        {"matcher": {"id": "byName", "options": "Cluster"},
         "properties": [{"id": "links", "value": [CLUSTER_LINK]}]}]
    if value:
        made["fieldConfig"]["overrides"].append(
            {"matcher": {"id": "byName", "options": value},
             "properties": [{"id": "custom.cellOptions",
                             "value": {"type": "color-background", "mode": "basic"}}]})
    return made


def timeline(title, description, expr, legend, mappings):
    made = panel("state-timeline", title, description, [query(expr, legend)], "none", {
        "mergeValues": True, "showValue": "never", "alignValue": "left", "rowHeight": 0.85,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"}},
        thresholds(RED, (1, GREEN)), {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False})
    made["fieldConfig"]["defaults"]["mappings"] = [{"type": "value", "options": {
        value: {"text": text, "color": color, "index": index}
        for index, (value, text, color) in enumerate(mappings)}}]
    return made


def row(title, collapsed=False):
    return {"type": "row", "title": title, "collapsed": collapsed, "panels": []}


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
            number += 1
            made.update(id=number, gridPos={"h": tall, "w": width, "x": x, "y": y})
            (header["panels"] if header["collapsed"] else placed).append(made)
            x, height = x + width, max(height, tall)
        y += height
    return placed


def variable(name, label, expr):
    return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE,
            "definition": expr, "query": {"qryType": 1, "query": expr, "refId": name},
            "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".+",
            "current": {"text": ["All"], "value": ["$__all"]}, "options": [], "regex": "",
            "hide": 0, "skipUrlSync": False}


def annotation(name, expr, color, title, text):
    return {"name": name, "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": color,
            "expr": expr, "step": "1m", "titleFormat": title, "textFormat": text, "target": {
                "expr": expr, "refId": "annotation"}}


def dashboard(uid, title, description, variables, annotations, rows):
    return {
        "uid": uid, "title": title, "description": description,
        "tags": ["pgtls", "postgresql", "tls"], "schemaVersion": 39, "editable": False,
        "graphTooltip": 1, "refresh": "1m", "time": {"from": "now-6h", "to": "now"},
        "timepicker": {}, "timezone": "browser", "weekStart": "", "fiscalYearStartMonth": 0,
        "liveNow": False,
        "links": [{"type": "dashboards", "title": "pgtls dashboards", "tags": ["pgtls"], "url": "",
                   "icon": "external link", "tooltip": "", "asDropdown": True, "includeVars": True,
                   "keepTime": True, "targetBlank": False}],
        "annotations": {"list": annotations},
        "templating": {"list": [{
            "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
            "current": {"text": "default", "value": "default"}, "hide": 0, "includeAll": False,
            "multi": False, "options": [], "refresh": 1, "regex": "", "skipUrlSync": False},
            *variables]},
        "panels": lay_out(rows),
    }


# ---- the overview ----------------------------------------------------------------------------

def broken_now():
    endpoint_up = f"max by (job, pg_cluster, pg_endpoint) (pgtls_endpoint_up{{{SERVERS}}})"
    configured = f"count by (job, pg_cluster, pg_endpoint) (pgtls_server_labels_info{{{SERVERS}}})"
    up_seconds = f'sum(increase(pgtls_state_seconds_total{{{SERVERS}, state="up"}}[$__range]))'
    known_seconds = f'sum(increase(pgtls_state_seconds_total{{{SERVERS}, state=~"up|down"}}[$__range]))'
    left = f"min(pgtls_certificate_not_after_timestamp_seconds{{{SERVERS}}}) - time()"
    alarm = thresholds(GREEN, (1, RED))
    return (row("Is it broken now"), [
        (3, 4, stat("Endpoints down", "Endpoints that no exporter can get in to.",
                    f"count({endpoint_up} == 0) or vector(0)", limits=alarm)),
        (3, 4, stat("Endpoints up", "Endpoints that at least one exporter can get in to.",
                    f"count({endpoint_up} == 1) or vector(0)", limits=thresholds(RED, (1, GREEN)))),
        (3, 4, stat("Endpoints unknown", "Configured, but not measured: the exporter has just started, or "
                    "fails on its own side (see the row Exporter).",
                    f"count({configured} unless {endpoint_up}) or vector(0)",
                    limits=thresholds(GREEN, (1, YELLOW)))),
        (3, 4, stat("Availability", "Share of the time shown above in which servers were up, of the time in "
                    "which their state was known; the mean over servers.",
                    f"{up_seconds} / {known_seconds}", "percentunit",
                    thresholds(RED, (0.99, YELLOW), (0.999, GREEN)), decimals=3, noValue="unknown")),
        (3, 4, stat("SSL closes", "How often, in the time shown above, a server closed a TLS connection without "
                    "an error message.",
                    f"ceil(sum(increase(pgtls_ssl_closes_total{{{SERVERS}}}[$__range])))", limits=alarm)),
        (3, 4, stat("pg_hba rejections", "How often, in the time shown above, client authentication rules "
                    "rejected the exporter.",
                    f"ceil(sum(increase(pgtls_hba_rejections_total{{{SERVERS}}}[$__range])))",
                    limits=thresholds(GREEN, (1, YELLOW)))),
        (3, 4, stat("Next certificate expiry", "Until the first certificate on the way to any server "
                    "expires; red from three days on, yellow from three weeks on.", left, "dtdurations",
                    thresholds(RED, (259200, YELLOW), (1814400, GREEN)), noValue="none seen")),
        (3, 4, stat("Exporters down", "Exporters that Prometheus knows and cannot scrape.",
                    f"count(up{{{SELF}}} == 0) or vector(0)", limits=alarm)),
        (24, 7, table("Failing now", "Every server whose latest probe failed, and why. The fault catalogue says "
                      "what each fault means and what to do.",
                      "max by (pg_cluster, pg_endpoint, server, probe, phase, class, fault) "
                      f"(pgtls_fault_active{{{SERVERS}}})",
                      [("pg_cluster", "Cluster"), ("pg_endpoint", "Endpoint"), ("server", "Server"),
                       ("probe", "Probe"), ("phase", "Phase"), ("class", "Class"),
                       ("fault", "Fault")])),
        (24, 8, timeline("Endpoints over time", "Up if at least one exporter can get in, down if none can; "
                         "a gap where the state is not known.",
                         f"max by (pg_cluster, pg_endpoint) (pgtls_endpoint_up{{{SERVERS}}})",
                         "{{pg_cluster}}/{{pg_endpoint}}", [("0", "down", RED), ("1", "up", GREEN)])),
    ])


def needs_attention():
    left = ("min by (pg_cluster, pg_endpoint, server, position) "
            f"(pgtls_certificate_not_after_timestamp_seconds{{{SERVERS}}}) - time()")
    return (row("What needs attention"), [
        (12, 9, table("Certificates by time left", "The certificate that expires first per server and position, "
                      "as last seen. Negative: expired.", left,
                      [("pg_cluster", "Cluster"), ("pg_endpoint", "Endpoint"), ("server", "Server"),
                       ("position", "Position")], "dtdurations", "Time left",
                      thresholds(RED, (259200, YELLOW), (1814400, GREEN)))),
        (12, 9, series("Failures by class", "Failed probes, by the class of their fault.",
                       [query(f"sum by (class) (increase(pgtls_probe_failures_total{{{SERVERS}}}"
                              "[$__rate_interval])) > 0", "{{class}}")], "short", bars=True)),
        (12, 8, series("SSL closes by phase and how", "Connections that a server closed after TLS was up (or "
                       "during its handshake) without an error message: by close_notify, FIN or RST.",
                       [query(f"sum by (phase, how) (increase(pgtls_ssl_closes_total{{{SERVERS}}}"
                              "[$__rate_interval])) > 0", "{{phase}}: {{how}}")], "short", bars=True)),
        (12, 8, series("pg_hba rejections by kind", "no_entry: no line matches this client. rejected: a reject "
                       "line does. no_encryption: it came in plaintext. pooler: the pooler's own rules.",
                       [query(f"sum by (kind) (increase(pgtls_hba_rejections_total{{{SERVERS}}}"
                              "[$__rate_interval])) > 0", "{{kind}}")], "short", bars=True)),
    ])


def latency():
    buckets = f"rate(pgtls_phase_duration_seconds_bucket{{{SERVERS}}}[$__rate_interval])"
    total = f"rate(pgtls_probe_duration_seconds_bucket{{{SERVERS}}}[$__rate_interval])"
    mean = (f"sum by (phase) (rate(pgtls_phase_duration_seconds_sum{{{SERVERS}}}[$__rate_interval])) / "
            f"sum by (phase) (rate(pgtls_phase_duration_seconds_count{{{SERVERS}}}[$__rate_interval]))")
    return (row("How long it takes"), [
        (12, 9, series("Phases, 95th percentile", "What an otherwise idle client would have waited in each "
                       "phase, over all servers chosen; only phases that were completed.",
                       [query(f"histogram_quantile(0.95, sum by (le, phase) ({buckets}))", "{{phase}}")],
                       "s")),
        (12, 9, series("Phases, mean, stacked", "Where a connection's time goes on average.",
                       [query(mean, "{{phase}}")], "s", stacked=True)),
        (12, 9, series("Probes, 95th percentile, by endpoint", "The whole probe, from name resolution to its "
                       "last phase, by endpoint and kind of probe.",
                       [query("histogram_quantile(0.95, sum by (le, pg_cluster, pg_endpoint, probe) "
                              f"({total}))", "{{pg_cluster}}/{{pg_endpoint}} {{probe}}")], "s")),
        (12, 9, series("The exporter's own share", "CPU time the exporter itself spends per second on the TLS "
                       "and authentication phases: part of the durations beside, and not the server's.",
                       [query(f"sum by (phase) (rate(pgtls_phase_client_cpu_seconds_total{{{SERVERS}}}"
                              "[$__rate_interval]))", "{{phase}}")], "s")),
    ])


def exporter():
    lag = f"sum by (le, instance) (rate(pgtls_scheduler_lag_seconds_bucket{{{SELF}}}[$__rate_interval]))"
    return (row("Exporter", collapsed=True), [
        (6, 7, stat("Configuration", "Whether the latest reload of every exporter succeeded.",
                    f"min(pgtls_config_last_reload_successful{{{SELF}}})",
                    limits=thresholds(RED, (1, GREEN)), noValue="unknown", mappings=[
                        {"type": "value", "options": {
                            "0": {"text": "old, reload failed", "color": RED, "index": 0},
                            "1": {"text": "loaded", "color": GREEN, "index": 1}}}])),
        (6, 7, series("Probes per second", "Finished probes, by kind.",
                      [query(f"sum by (probe) (rate(pgtls_probes_total{{{SERVERS}}}[$__rate_interval]))",
                             "{{probe}}")], "ops")),
        (6, 7, series("Probes in flight", "Running at the moment of the scrape.",
                      [query(f"pgtls_probes_in_flight{{{SELF}}}", "{{instance}}")], "short")),
        (6, 7, series("Skipped probes", "Due while the one before was running, or held back by a cap. More than "
                      "none: the exporter does not keep up.",
                      [query(f"increase(pgtls_probes_skipped_total{{{SELF}}}[$__rate_interval])",
                             "{{instance}}")], "short", bars=True)),
        (12, 7, series("Scheduler lag, 99th percentile", "How late probes start.",
                       [query(f"histogram_quantile(0.99, {lag})", "{{instance}}")], "s")),
        (12, 7, series("Errors of the exporter's own side", "Probes that could not be carried out, by reason: "
                       "descriptors, memory, a local file, a secret.",
                       [query("sum by (instance, reason) (increase(pgtls_probe_internal_errors_total"
                              f"{{{SERVERS}}}[$__rate_interval])) > 0", "{{instance}} {{reason}}")],
                       "short", bars=True)),
        (8, 7, series("CPU", "Cores used.",
                      [query(f"rate(process_cpu_seconds_total{{{SELF}}}[$__rate_interval])",
                             "{{instance}}")], "short")),
        (8, 7, series("Memory", "Resident memory.",
                      [query(f"process_resident_memory_bytes{{{SELF}}}", "{{instance}}")], "bytes")),
        (8, 7, series("File descriptors", "Open, of those allowed.",
                      [query(f"process_open_fds{{{SELF}}} / process_max_fds{{{SELF}}}", "{{instance}}")],
                      "percentunit", thresholds(GREEN, (0.8, RED)))),
    ])


def overview():
    return dashboard(
        "pgtls-overview", "PostgreSQL over TLS",
        "Can clients get in to PostgreSQL over TLS right now; if not, in which phase it fails and why; "
        "which certificates expire next; how long each phase takes. Data: pgtls_exporter.",
        [variable("job", "Job", "label_values(pgtls_build_info, job)"),
         variable("instance", "Instance", 'label_values(pgtls_build_info{job=~"$job"}, instance)'),
         variable("pg_cluster", "Cluster", f"label_values(pgtls_server_labels_info{{{SELF}}}, pg_cluster)"),
         variable("pg_endpoint", "Endpoint",
                  f'label_values(pgtls_server_labels_info{{{SELF}, pg_cluster=~"$pg_cluster"}}, pg_endpoint)')],
        [annotation("New certificates",
                    "sum by (pg_cluster, pg_endpoint, server) (increase(pgtls_certificate_changes_total"
                    f"{{{SERVERS}}}[$__rate_interval])) > 0", "blue", "New certificate",
                    "{{server}} ({{pg_cluster}}/{{pg_endpoint}})"),
         annotation("Reloads",
                    f"changes(pgtls_config_last_reload_success_timestamp_seconds{{{SELF}}}"
                    "[$__rate_interval]) > 0", "purple", "Configuration loaded", "{{instance}}"),
         annotation("Restarts", f"changes(process_start_time_seconds{{{SELF}}}[$__rate_interval]) > 0",
                    "orange", "Exporter restarted", "{{instance}}")],
        [broken_now(), needs_attention(), latency(), exporter()])


def render(content):
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main():
    check, stale = "--check" in sys.argv[1:], False
    for name, build in {"overview.json": overview}.items():
        path, text = HERE / name, render(build())
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"dashboards/{name}: not what dashboards/generate.py writes; run it")
            stale = True
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
