"""What whoever was woken up opens first."""

from .parts import (BY_SERVER, CHOSEN, ENDPOINTS, EXPIRY, GREEN, GREY, NAMES, RED, YELLOW, alert_list, below,
                    column, dashboard, in_range, objective, or_zero, quantile, query, row, series, stat, table, thresholds)
from .shared import (ALARM, CONFIGURED, NOTICE, PLANNED, UP, broken_promises, closes, configuration, endpoints_over_time,
                     exporters_down, failing_now, failures_by_class, hba_rejections, internal_errors, next_expiry,
                     phases_at, probes_by_endpoint, probes_per_second, scheduler_lag, skipped_probes)


def states():
    """The first line: what is up."""
    broken = f"min by (pg_cluster, pg_endpoint) (pgtls_endpoint_promise_kept{{{ENDPOINTS}}}) == 0"
    return [
        (4, 4, stat("Endpoints down", "Endpoints that no exporter can get in to.",
                    or_zero(f"count({UP} == 0)"), limits=ALARM, to="pgtls-rejections")),
        (4, 4, stat("Endpoints degraded", "Endpoints that break a promise: clients get in, but not to what they "
                    "expect.", or_zero(f"count({broken})"), limits=NOTICE, to="pgtls-promises")),
        (4, 4, stat("Endpoints unknown", "Configured, but not measured: the exporter has just started, or "
                    "fails on its own side (see the row Exporter).",
                    or_zero(f"count({CONFIGURED} unless {UP} unless {PLANNED})"),
                    limits=thresholds(GREEN, (1, YELLOW)))),
        (4, 4, stat("Endpoints up", "Endpoints that at least one exporter can get in to.",
                    or_zero(f"count({UP} == 1)"), limits=thresholds(RED, (1, GREEN)))),
        (4, 4, stat("Left alone", "Endpoints that nobody probes on purpose: maintenance, or enabled: false.",
                    or_zero(f"count({PLANNED})"), limits=thresholds(GREY, (1, "blue")))),
        (4, 4, exporters_down()),
    ]


def budget():
    """The second line: how it went in the time shown, and what comes next."""
    def seconds(states):
        return f"sum(increase(pgtls_state_seconds_total{{{CHOSEN}, state=~\"{states}\"}}[$__range]))"
    up = f"{seconds('up')} / ({seconds('up|down')} > 0)"
    return [
        (4, 4, stat("Availability", "Share of the time shown in which servers were up, of the time in "
                    "which their state was known; the mean over servers.",
                    up, "percentunit", thresholds(RED, (0.99, YELLOW), (0.999, GREEN)), decimals=2,
                    noValue="unknown", loud=False)),
        (4, 4, stat("Error budget left", "What is left of the time that servers may be down by the objective chosen "
                    "above, were the time shown the period it is agreed for.",
                    f"1 - (1 - {up}) / (1 - $objective)", "percentunit",
                    thresholds(RED, (0, YELLOW), (0.25, GREEN)), decimals=1, noValue="unknown", loud=False,
                    mappings=below(0, "overspent", RED))),
        (4, 4, stat("SSL closes", "How often, in the time shown, a server closed a TLS connection without "
                    "an error message.", f"round({in_range('pgtls_ssl_closes_total')})", "short", ALARM,
                    "pgtls-rejections", loud=False)),
        (4, 4, stat("pg_hba rejections", "How often, in the time shown, client authentication rules "
                    "rejected the exporter.", f"round({in_range('pgtls_hba_rejections_total')})", "short", NOTICE,
                    "pgtls-rejections", loud=False)),
        (4, 4, stat("Time to get in", "What 95 of 100 good and bad inspects take at most, from name resolution to the "
                    "server's first message, in the time shown.",
                    quantile(0.95, "pgtls_probe_duration_seconds", "", CHOSEN + ', probe="inspect"', "increase"), "s",
                    thresholds(GREEN, (0.5, YELLOW), (1, RED)), "pgtls-latency", noValue="unknown", decimals=1,
                    loud=False)),
        (4, 4, next_expiry()),
    ]


def broken_now():
    return (row("Is it broken now"), [
        *states(), *budget(),
        (24, 8, failing_now()),
        (16, 9, endpoints_over_time()),
        (8, 9, alert_list("Alerts", "What fires, or is about to, of the alerts that come with the exporter.")),
    ])


def needs_attention():
    left = (f"min by ({BY_SERVER}, position) "
            f"(pgtls_certificate_not_after_timestamp_seconds{{{CHOSEN}}}) - time()")
    return (row("What needs attention"), [
        (14, 9, table("Certificates by time left", "The certificate that expires first per server and position, "
                      "as last seen. Negative: expired.", left,
                      [*NAMES, column("position", "Position", width=120),
                       column("Value", "Time left", unit="dtdurations", limits=thresholds(*EXPIRY), decimals=1,
                              width=160)],
                      sort="Time left")),
        (10, 9, broken_promises()),
        (8, 9, failures_by_class()),
        (8, 9, closes()),
        (8, 9, hba_rejections()),
    ])


def latency():
    return (row("How long it takes"), [
        (12, 9, phases_at(0.95, "Phases, 95th percentile")),
        (12, 9, probes_by_endpoint()),
    ])


def exporter():
    return (row("Exporter", collapsed=True), [
        (4, 7, configuration()),
        (10, 7, probes_per_second()),
        (10, 7, series("Probes in flight", "Running at the moment of the scrape.",
                       [query(_self("pgtls_probes_in_flight"), "{{instance}}")], "short")),
        (8, 7, skipped_probes()),
        (8, 7, scheduler_lag()),
        (8, 7, internal_errors()),
    ])


def _self(family):
    return f'{family}{{job=~"$job", instance=~"$instance"}}'


def build():
    return dashboard(
        "pgtls-overview", "PostgreSQL over TLS",
        """Can clients get in to PostgreSQL over TLS right now; if not, in which phase it fails and why;
        which certificates expire next; how long each phase takes. Data: pgtls_exporter.""",
        [broken_now(), needs_attention(), latency(), exporter()], [objective()])
