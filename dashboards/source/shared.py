"""Panels and queries that more than one dashboard has."""

from .parts import (BY_ENDPOINT, CHOSEN, ENDPOINTS, EXPIRY, GREEN, NAMES, PHASES, RED, SELF, YELLOW, colored, column,
                    happened, only, quantile, queries, query, series, stat, table, thresholds, timeline, words)

UP = f"max by ({BY_ENDPOINT}) (pgtls_endpoint_up{{{ENDPOINTS}}})"
CONFIGURED = f"count by ({BY_ENDPOINT}) (pgtls_server_labels_info{{{CHOSEN}}})"
# Endpoints of which one exporter says that all servers are left alone on purpose.
PLANNED = (f"group by ({BY_ENDPOINT}) (count by ({BY_ENDPOINT}, instance) (pgtls_maintenance_info{{{CHOSEN}}}) >= "
           f"count by ({BY_ENDPOINT}, instance) (pgtls_server_labels_info{{{CHOSEN}}}))")
ALARM = thresholds(GREEN, (1, RED))
NOTICE = thresholds(GREEN, (1, YELLOW))
CLASSES = {"network": "dark-blue", "protocol": "purple", "ssl_close": "red", "certificate": "orange", "hba": "yellow",
           "auth": "light-blue", "capacity": "light-orange", "unavailable": "super-light-red", "expectation": "text"}
STATES = words(_0=("down", RED), _1=("up", GREEN))


def failing_now(more=""):
    """Every server that fails and why, with how long it was down. One that has just begun to fail has
    no increase yet, and must stand there all the same: with 0."""
    by = "pg_cluster, pg_endpoint, server, team, probe, phase, class, fault"
    team = (f"group by (job, instance, pg_cluster, pg_endpoint, server, team) "
            f"(pgtls_server_labels_info{{{CHOSEN}}})")
    active = (f"max by ({by}) (pgtls_fault_active{{{CHOSEN}{more}}} * on (job, instance, pg_cluster, pg_endpoint, "
              f"server) group_left (team) {team})")
    down = (f"max by (pg_cluster, pg_endpoint, server) (increase(pgtls_state_seconds_total"
            f"{{{CHOSEN}, state=\"down\"}}[$__range]))")
    return table(
        "Failing now", "Every server whose latest probe failed, why, and for how much of the time shown it was down. "
        "A click on the fault leads to what it means and what to do, on the server to its latest probes.",
        f"{active} * on (pg_cluster, pg_endpoint, server) group_left () {down} or {active} - 1",
        [*NAMES, column("team", "Team", width=110), column("probe", "Probe", width=90),
         column("phase", "Phase", width=110), column("class", "Class", width=110), column("fault", "Fault"),
         column("Value", "Down for", unit="dtdurations", decimals=0, width=110)], sort="Down for", descending=True)


def endpoints_over_time():
    up, by = f"pgtls_endpoint_up{{{ENDPOINTS}}}", "pg_cluster, pg_endpoint"
    return timeline("Endpoints over time", "Up if at least one exporter can get in, down if none can; "
                    "a gap where the state is not known. Of many, the 50 that were up least.",
                    only(f"bottomk(50, max by ({by}) (avg_over_time({up}[$__range] @ end())))", by,
                         f"max by ({by}) ({up})"), "{{pg_cluster}}/{{pg_endpoint}}", STATES)


def next_expiry():
    left = f"min(pgtls_certificate_not_after_timestamp_seconds{{{CHOSEN}}}) - time()"
    return stat("Next certificate expiry", "Until the first certificate on the way to any server expires; red from "
                "three days on, yellow from three weeks on.", left, "dtdurations", thresholds(*EXPIRY),
                "pgtls-certificates", noValue="none seen", decimals=1)


def failures_by_class():
    return colored(series("Failures by class", "Failed probes, by the class of their fault.",
                          [query(happened("pgtls_probe_failures_total", "class"), "{{class}}")], "short", bars=True),
                   **CLASSES)


def closes():
    return series("SSL closes by phase and how", "Connections that a server closed after TLS was up (or "
                  "during its handshake) without an error message: by close_notify, FIN or RST.",
                  [query(happened("pgtls_ssl_closes_total", "phase, how"), "{{phase}}: {{how}}")],
                  "short", bars=True)


def hba_rejections():
    return series("pg_hba rejections by kind", "no_entry: no line matches this client. rejected: a reject "
                  "line does. no_encryption: it came in plaintext. pooler: the pooler's own rules.",
                  [query(happened("pgtls_hba_rejections_total", "kind"), "{{kind}}")], "short", bars=True)


def phases_at(share, title):
    return colored(series(title, "What an otherwise idle client would have waited in each phase, over all servers "
                          "chosen; only phases that were completed.",
                          [query(quantile(share, "pgtls_phase_duration_seconds", "phase"), "{{phase}}")], "s"), **PHASES)


def probes_by_endpoint():
    family, by = "pgtls_probe_duration_seconds", "pg_cluster, pg_endpoint, probe"
    slowest = f"topk(20, {quantile(0.95, family, by, span='increase', after=' @ end()')})"
    return series("Probes, 95th percentile, by endpoint", "The whole probe, from name resolution to its "
                  "last phase, by endpoint and kind of probe. Of many, the 20 that were slowest.",
                  [query(only(slowest, by, quantile(0.95, family, by)), "{{pg_cluster}}/{{pg_endpoint}} {{probe}}")], "s")


def broken_promises():
    return table("Broken promises", "Endpoints that are not what they promise to be: standby, pooled, within a lag, at "
                 "these addresses, with this certificate. They are up all the same.",
                 f"min by (pg_cluster, pg_endpoint, promise) (pgtls_endpoint_promise_kept{{{ENDPOINTS}}}) == 0",
                 [*NAMES[:2], column("promise", "Promise"), column("Value", "State", mappings=words(
                     _0=("broken", RED)), width=90)])


def configuration():
    return stat("Configuration", "Whether the latest reload of every exporter succeeded.",
                f"min(pgtls_config_last_reload_successful{{{SELF}}})",
                limits=thresholds(RED, (1, GREEN)), noValue="unknown",
                mappings=words(_0=("old, reload failed", RED), _1=("loaded", GREEN)))


def exporters_down():
    return stat("Exporters down", "Exporters that Prometheus knows and cannot scrape.",
                f"count(up{{{SELF}}} == 0) or vector(0)", limits=ALARM, to="pgtls-exporter")


def probes_per_second():
    return series("Probes per second", "Finished probes, by kind.",
                  [query(f"sum by (probe) (rate(pgtls_probes_total{{{CHOSEN}}}[$__rate_interval]))",
                         "{{probe}}")], "ops")


def skipped_probes():
    return series("Skipped probes", "Due while the one before was running, or held back by a cap. More than "
                  "none: the exporter does not keep up.",
                  [query(happened("pgtls_probes_skipped_total", "instance", SELF), "{{instance}}")], "short", bars=True)


def scheduler_lag():
    return series("Scheduler lag", "How late probes start: half of them, and the latest of a hundred.", queries(
        (quantile(0.5, "pgtls_scheduler_lag_seconds", "instance", SELF), "{{instance}} median"),
        (quantile(0.99, "pgtls_scheduler_lag_seconds", "instance", SELF), "{{instance}} 99th")), "s")


def internal_errors():
    return series("Errors of the exporter's own side", "Probes that could not be carried out, by reason: "
                  "descriptors, memory, a local file, a secret.",
                  [query(happened("pgtls_probe_internal_errors_total", "instance, reason"),
                         "{{instance}} {{reason}}")], "short", bars=True)
