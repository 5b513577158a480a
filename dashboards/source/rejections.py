"""Who keeps clients out, and how."""

from .parts import (BY_SERVER, CHOSEN, GREEN, NAMES, RED, YELLOW, colored, column, dashboard, happened, in_range,
                    or_zero, query, row, series, stat, table, words)
from .shared import ALARM, CLASSES, closes, endpoints_over_time, failing_now, failures_by_class, hba_rejections

ENDPOINT = "{{pg_cluster}}/{{pg_endpoint}}"


def now():
    def failing(title, what, classes):
        return stat(title, f"Servers whose latest probe failed because {what}", or_zero(
            f"count(group by ({BY_SERVER}) (pgtls_fault_active{{{CHOSEN}, class=~\"{classes}\"}}))"), limits=ALARM)
    return (row("What keeps clients out now"), [
        (4, 4, failing("Closing silently", "they closed the TLS connection without an error message.", "ssl_close")),
        (4, 4, failing("Refused by pg_hba", "pg_hba.conf, or a pooler's equivalent, refuses the exporter.", "hba")),
        (4, 4, failing("Login refused", "the server does not accept user, password or method.", "auth")),
        (4, 4, failing("Certificate", "a certificate keeps clients out: the server's, or the client's.",
                       "certificate")),
        (4, 4, failing("Not reached", "name, network or protocol do not lead to a PostgreSQL server.",
                       "network|protocol")),
        (4, 4, failing("Full or down", "the server says it is full, starting, stopping or not accepting connections.",
                       "capacity|unavailable|expectation")),
        (24, 8, failing_now()),
    ])


def silent():
    return (row("Closed without a word"), [
        (7, 9, closes()),
        (7, 9, series("SSL closes by endpoint", "The same closes, by who closed.",
                      [query(happened("pgtls_ssl_closes_total", "pg_cluster, pg_endpoint"), ENDPOINT)],
                      "short", bars=True)),
        (10, 9, table("Who closed, and how", "Closes in the time shown. In startup or auth it is a proxy or pooler "
                      "without a working back end, in tls a server that does not like this client's hello.",
                      f"round({in_range('pgtls_ssl_closes_total', BY_SERVER + ', phase, how')}) > 0",
                      [*NAMES, column("phase", "Phase", width=80), column("how", "How", width=110),
                       column("Value", "Closes", width=80)], "short", sort="Closes", descending=True)),
    ])


def refused():
    return (row("Refused with a word"), [
        (8, 9, hba_rejections()),
        (8, 9, series("pg_hba rejections by endpoint", "The same rejections, by who rejected.",
                      [query(happened("pgtls_hba_rejections_total", "pg_cluster, pg_endpoint"), ENDPOINT)],
                      "short", bars=True)),
        (8, 9, series("Logins refused by endpoint", "Failed probes of class auth: user, password, method.",
                      [query(happened("pgtls_probe_failures_total", "pg_cluster, pg_endpoint",
                                      CHOSEN + ', class="auth"'), ENDPOINT)], "short", bars=True)),
        (8, 8, series("Refused as expected", "Where a refusal is the good outcome (the setting expect): how often it "
                      "came. A gap means that the door may be open.",
                      [query(happened("pgtls_expected_refusals_total", "pg_cluster, pg_endpoint, probe"),
                             ENDPOINT + " {{probe}}")], "short", bars=True)),
        (16, 8, table("Refusals expected now", "Endpoints that refuse as they should.",
                      f"max by ({BY_SERVER}, fault) (pgtls_expected_fault_active{{{CHOSEN}}})",
                      [*NAMES, column("fault", "Fault")])),
    ])


def ways_in():
    return (row("What lets clients in"), [
        (16, 8, table("Which sslmode gets in", "What psql would meet with each sslmode and the settings otherwise "
                      "configured; only where the setting policy asks for it.",
                      [f'min by ({BY_SERVER}) (pgtls_sslmode_works{{{CHOSEN}, sslmode="{mode}"}})' for mode in MODES],
                      [*NAMES, *(column(f"Value #{chr(ord('A') + at)}", mode, width=95, mappings=words(
                          _0=("no", RED if at > 2 else "dark-yellow"), _1=("yes", GREEN)))
                          for at, mode in enumerate(MODES))])),
        (8, 8, table("Lets plaintext in", "Servers that let the user in without TLS as far as pg_hba.conf goes; only "
                     "where the setting policy asks for it.",
                     f"max by ({BY_SERVER}) (pgtls_plaintext_accepted{{{CHOSEN}}}) == 1",
                     [*NAMES, column("Value", "Plaintext", mappings=words(_1=("accepted", YELLOW)), width=90)])),
    ])


MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def over_time():
    def seconds(states):
        return (f"sum by (pg_cluster, pg_endpoint) (increase(pgtls_state_seconds_total{{{CHOSEN}, "
                f"state=~\"{states}\"}}[$__rate_interval]))")
    return (row("Over time"), [
        (12, 9, failures_by_class()),
        (12, 9, series("Faults", "Servers that fail with each fault, at each moment.",
                       [query(f"count by (fault) (group by ({BY_SERVER}, fault) (pgtls_fault_active{{{CHOSEN}}}))",
                              "{{fault}}")], "short", stacked=True)),
        (12, 9, endpoints_over_time()),
        (12, 9, series("Share of time down", "By endpoint, of the time in which the state was known.",
                       [query(f"{seconds('down')} / ({seconds('up|down')} > 0) > 0", ENDPOINT)], "percentunit",
                       max=1)),
        (24, 8, colored(series("Failures by class, share of probes", "Of all probes that ended with a result.",
                               [query(f"sum by (class) (rate(pgtls_probe_failures_total{{{CHOSEN}}}[$__rate_interval])) "
                                      f"/ scalar(sum(rate(pgtls_probes_total{{{CHOSEN}}}[$__rate_interval]))) > 0",
                                      "{{class}}")], "percentunit", stacked=True), **CLASSES)),
    ])


def build():
    return dashboard(
        "pgtls-rejections", "PostgreSQL over TLS: rejections and closes",
        """Who keeps clients out of PostgreSQL, with a word or without: closes during and after TLS, pg_hba
        rejections, refused logins, and which sslmodes get in. Data: pgtls_exporter.""",
        [now(), silent(), refused(), ways_in(), over_time()])
