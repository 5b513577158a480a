"""How long each step of getting in takes, where, and since when."""

from .parts import (BY_SERVER, CHOSEN, GREEN, NAMES, PHASES, RED, YELLOW, colored, column, dashboard, happened,
                    heatmap, in_range, mean_of, quantile, queries, query, row, series, spread_of, stat, table, thresholds)
from .shared import phases_at, probes_by_endpoint

PROBE, PHASE = "pgtls_probe_duration_seconds", "pgtls_phase_duration_seconds"
SAME = "job, instance, pg_cluster, pg_endpoint, server"
WAIT = thresholds(GREEN, (0.5, YELLOW), (1, RED))


def waits():
    def one(title, share, probe, what):
        return (4, 4, stat(title, what, quantile(share, PROBE, "", f'{CHOSEN}, probe="{probe}"', "increase"),
                           "s", WAIT, noValue="none", decimals=1, loud=False))
    before = "from name resolution to the server's first message, in the time shown."
    return (row("How long a client waits"), [
        one("Inspect, median", 0.5, "inspect", f"What half of the inspects take at most, {before}"),
        one("Inspect, 95th", 0.95, "inspect", f"What 95 of 100 inspects take at most, {before}"),
        one("Inspect, 99th", 0.99, "inspect", f"What 99 of 100 inspects take at most, {before}"),
        one("Login, 95th", 0.95, "login", "What 95 of 100 logins take at most, to the answer of one query; at an "
            "address that is known already."),
        (4, 4, stat("TLS round trips in vain", "How often, in the time shown, a server asked for another key share, "
                    "which costs a round trip: allow the curve that clients offer first (X25519 or P-256).",
                    f"round({in_range('pgtls_tls_hello_retries_total')})", "short", thresholds(GREEN, (1, YELLOW)),
                    loud=False)),
        (4, 4, stat("Phases over a second", "Phases of servers of which 95 of 100 take more than a second at most, "
                    "in the time shown.", "count(" + quantile(0.95, PHASE, f"{BY_SERVER}, phase", span="increase")
                    + " > 1) or vector(0)",
                    limits=thresholds(GREEN, (1, RED)), loud=False)),
    ])


def by_phase():
    waited = f'{CHOSEN}, phase=~"tls|auth"'
    own = (f"sum by (phase) (rate(pgtls_phase_client_cpu_seconds_total{{{CHOSEN}}}[$__rate_interval])) / "
           f"((sum by (phase) (rate({PHASE}_sum{{{waited}}}[$__rate_interval])) or "
           f"histogram_sum(sum by (phase) (rate({PHASE}{{{waited}}}[$__rate_interval])))) > 0)")
    return (row("Which step"), [
        (12, 9, colored(series("Phases, mean, stacked", "Where a connection's time goes on average: dns to startup of "
                               "an inspect, auth and query of a login.", [query(mean_of(PHASE, "phase"), "{{phase}}")],
                               "s", stacked=True), **PHASES)),
        (12, 9, phases_at(0.95, "Phases, 95th percentile")),
        (8, 9, phases_at(0.5, "Phases, median")),
        (8, 9, phases_at(0.99, "Phases, 99th percentile")),
        (8, 9, colored(series("The exporter's own share", "How much of the tls and auth phases is the exporter's own "
                              "computing, and not the server or the network.", [query(own, "{{phase}}")],
                              "percentunit", max=1), **PHASES)),
    ])


def where():
    slow = quantile(0.95, PHASE, f"{BY_SERVER}, phase", span="increase")

    def through(pooler):
        return quantile(0.95, PHASE, "", f'{CHOSEN}, phase=~"startup|auth|query"', among=(
            f' and on ({SAME}) pgtls_server_info{{{CHOSEN}, pooler="{pooler}"}}'))
    return (row("Where"), [
        (12, 10, table("Slowest steps", "The phases of servers that take longest at their 95th percentile, in the "
                       "time shown.", f"topk(30, {slow} > 0)",
                       [*NAMES, column("phase", "Phase", width=110),
                        column("Value", "95th", unit="s", limits=WAIT, decimals=1, width=120)],
                       sort="95th", descending=True)),
        (12, 10, probes_by_endpoint()),
        (12, 9, series("Through a pooler and directly, 95th percentile", "The phases startup, auth and query together, "
                       "by whether a pooler answers or PostgreSQL itself.", queries(
                           (through("false"), "directly"), (through("true"), "through a pooler")), "s")),
        (12, 9, series("TLS round trips in vain, by server", "Handshakes in which the server asked for another key "
                       "share.", [query(happened("pgtls_tls_hello_retries_total", "server"), "{{server}}")], "short",
                       bars=True)),
    ])


def spread():
    def one(phase, what):
        return (12, 8, heatmap(f"{phase}: how often how long", what,
                               spread_of(PHASE, f'{CHOSEN}, phase="{phase}"')))
    return (row("How it is spread"), [
        one("tcp", "Connections by how long they took to set up. Two bands: two paths, or two back ends."),
        one("tls", "Handshakes by how long they took."),
        one("startup", "Startups by how long they took: from the StartupMessage to the server's first answer."),
        one("auth", "Logins by how long authentication took."),
    ])


def then():
    def total(after):
        return quantile(0.95, PROBE, "", CHOSEN + ', probe="inspect"', after=after)
    before = mean_of(PHASE, "phase", after=" offset 1d")
    return (row("Now against then"), [
        (12, 9, series("Inspects, 95th percentile, against before", "Now, the same hour yesterday and a week ago.",
                       queries((total(""), "now"), (total(" offset 1d"), "a day ago"),
                               (total(" offset 1w"), "a week ago")), "s")),
        (12, 9, colored(series("Phases against yesterday", "The mean of each phase as a multiple of what it was a day "
                               "ago. Above the line: three times as slow, which the alert PgtlsLatencyRegression "
                               "tells of.", [query(f"{mean_of(PHASE, 'phase')} / {before}", "{{phase}}")], "short",
                               thresholds(GREEN, (3, RED)), noValue="nothing from yesterday"), **PHASES)),
    ])


def build():
    return dashboard(
        "pgtls-latency", "PostgreSQL over TLS: latency",
        """How long each step of connecting to PostgreSQL takes for a client that has nothing else to do, which
        step and which server is slow, and since when. Data: pgtls_exporter.""",
        [waits(), by_phase(), where(), spread(), then()])
