"""/metrics: valid to promtool and to the strict OpenMetrics parser, the same in both formats,
negotiated as HTTP says, and of bounded size."""

import gzip
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from lab.exporter import endpoint_of, one_cluster

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
MAX_SERIES_PER_SERVER = 160
RESERVED = {"cluster", "endpoint", "service", "namespace", "pod", "container", "job", "instance"}


@pytest.fixture(scope="module")
def daemon(lab, trust, password_file, shared_exporter):
    """Watches what is healthy, what fails in every way, and what is named to need escaping."""
    endpoints = {
        "good": endpoint_of(lab.postgres(), user="u_scram"),
        "client-cert": endpoint_of(lab.postgres(18), user="u_cert", sslcert=str(trust.client_cert),
                                   sslkey=str(trust.client_key)),
        "pooled": endpoint_of(lab.pgbouncer(), user="u_trust"),
        "refused": endpoint_of(lab.postgres(), user="u_noentry"),
        "closing": endpoint_of(lab.misbehave("notify_after_startup"), user="u"),
        "nasty": endpoint_of(lab.misbehave("nasty_error"), user="u"),
        "nobody": {"host": "127.0.0.1", "port": 1},
        'odd "name" \\ é': endpoint_of(lab.postgres(), user="u_trust", labels={"team": 'a "b" \\ c'}),
    }
    started = shared_exporter(one_cluster(endpoints, {
        "dbname": "app", "password_file": str(password_file), "sslrootcert": str(trust.root_file)}))
    started.settled(30)
    return started


def test_promtool_has_nothing_to_say(daemon):
    result = subprocess.run(["promtool", "check", "metrics"], input=daemon.get("/metrics").body,
                            capture_output=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, b"")


def test_the_strict_parser_accepts_openmetrics(daemon):
    answer = daemon.get("/metrics", Accept=OPENMETRICS)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = list(parse_openmetrics(answer.text))
    assert answer.text.endswith("# EOF\n")
    assert {family.name for family in families} >= {"pgtls_up", "pgtls_probes", "pgtls_phase_duration_seconds"}
    assert all(family.documentation for family in families)


def test_both_formats_hold_the_same_series(daemon):
    def series(families):
        return {(sample.name, tuple(sorted(sample.labels.items())))
                for family in families for sample in family.samples}
    text = series(parse_text(daemon.get("/metrics").text))
    openmetrics = series(parse_openmetrics(daemon.get("/metrics", Accept=OPENMETRICS).text))
    # Probes go on between two scrapes; what comes and goes with the latest fault may differ.
    differ = {name for name, _ in text ^ openmetrics}
    assert differ <= {"pgtls_fault_active"}


@pytest.mark.parametrize("accept, kind", [
    (None, "text/plain; version=0.0.4"), ("*/*", "text/plain; version=0.0.4"),
    ("text/html", "text/plain; version=0.0.4"), (OPENMETRICS, "application/openmetrics-text"),
    ("application/openmetrics-text; version=1.0.0; q=0.2, text/plain; q=0.9", "text/plain; version=0.0.4")])
def test_the_format_is_negotiated(daemon, accept, kind):
    answer = daemon.get("/metrics", **({"Accept": accept} if accept else {}))
    assert answer.status == 200 and answer.headers["Content-Type"].startswith(kind)
    assert "Accept" in answer.headers["Vary"]


@pytest.mark.parametrize("wish, packed", [("gzip", True), ("gzip, deflate", True), ("identity", False),
                                          ("gzip;q=0", False), (None, False)])
def test_gzip_where_it_is_wanted(daemon, wish, packed):
    answer = daemon.get("/metrics", **({"Accept_Encoding": wish} if wish else {}))
    assert (answer.headers.get("Content-Encoding") == "gzip") == packed
    text = gzip.decompress(answer.body) if packed else answer.body
    assert b"pgtls_up{" in text


def test_head_is_get_without_a_body(daemon):
    answer = daemon.request("HEAD", "/metrics")
    assert answer.status == 200 and answer.body == b""
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_a_server_is_at_most_so_many_series(daemon):
    per_server = {}
    for _, labels, _ in daemon.scrape().samples:
        if "server" in labels:
            key = (labels["pg_endpoint"], labels["server"])
            per_server[key] = per_server.get(key, 0) + 1
    assert len(per_server) == 8
    assert max(per_server.values()) <= MAX_SERIES_PER_SERVER, per_server


def test_no_label_is_one_of_prometheus_own(daemon):
    used = {label for _, labels, _ in daemon.scrape().samples for label in labels}
    assert used & RESERVED == set()
    assert {"pg_cluster", "pg_endpoint", "server"} <= used


def test_names_survive_escaping(daemon):
    odd = 'odd "name" \\ é'
    metrics = daemon.scrape()
    assert metrics.value("pgtls_up", pg_endpoint=odd) == 1
    assert metrics.labels("pgtls_server_labels_info", pg_endpoint=odd)["team"] == 'a "b" \\ c'


def test_counters_are_born_at_zero(daemon):
    metrics = daemon.scrape()
    for name in ("pgtls_ssl_closes_total", "pgtls_hba_rejections_total", "pgtls_probe_failures_total"):
        assert metrics.all(name, pg_endpoint="good"), name
        assert metrics.sum(name, pg_endpoint="good") == 0, name


def test_nothing_a_server_says_becomes_a_label(daemon):
    """The nasty server's text is in no series at all; in the health document it is escaped."""
    text = daemon.get("/metrics").text
    assert "quoted" not in text and "\x1b" not in text
    error = daemon.server_health("lab", "nasty")["error"]
    assert "quoted" in error and "\x1b" not in error and "\n" not in error


def test_gauges_are_absent_until_measured(lab, trust, exporter):
    """A restart must fire no alert: before the first probe there is no verdict."""
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(), user="u_trust", sslrootcert=str(trust.root_file), interval="3600s")}))
    metrics = daemon.scrape()
    for name in ("pgtls_up", "pgtls_probe_up", "pgtls_endpoint_up", "pgtls_chain_verified",
                 "pgtls_certificate_not_after_timestamp_seconds", "pgtls_last_probe_timestamp_seconds"):
        assert metrics.all(name) == [], name
    assert metrics.value("pgtls_probes_total", probe="inspect") == 0
    assert daemon.health()["status"] == "unknown"
