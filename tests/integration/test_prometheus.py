"""A real Prometheus scrapes it, in both formats and with the Operator's labels, without a warning."""

import json
import subprocess
import time
import urllib.request

import pytest

from lab.exporter import endpoint_of, one_cluster
from lab.servers import Haproxy, Prometheus

SECONDS = 60
# What the Prometheus Operator attaches to every target of a ServiceMonitor.
OPERATOR = {"namespace": "monitoring", "service": "pgtls-exporter", "pod": "pgtls-exporter-0",
            "container": "exporter", "endpoint": "http"}


@pytest.fixture(scope="module")
def scraped(lab, trust, shared_exporter):
    """A Prometheus after a minute: job "openmetrics" directly, job "text" through a proxy that asks
    for the old format."""
    endpoints = {
        "write": endpoint_of(lab.postgres(), user="u_trust"),
        "pooled": endpoint_of(lab.pgbouncer(), user="u_trust"),
        "refused": endpoint_of(lab.postgres(), user="u_noentry"),
        "closing": endpoint_of(lab.misbehave("notify_after_startup"), user="u"),
    }
    daemon = shared_exporter(one_cluster(endpoints, {
        "dbname": "app", "sslrootcert": str(trust.root_file), "interval": "500ms"}))
    daemon.settled()
    proxy = lab.keep(Haproxy(lab.directory("haproxy"), [
        "http-request set-header Accept text/plain;version=0.0.4", f"server one {daemon.addresses[0]}"],
        mode="http")).start()
    targets = {"openmetrics": daemon.addresses[0], "text": f"127.0.0.1:{proxy.port}"}
    prometheus = lab.keep(Prometheus(lab.directory("prometheus"), {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [target], "labels": OPERATOR}]}
                           for job, target in targets.items()]})).start()
    time.sleep(SECONDS)
    return prometheus, daemon


def test_every_scrape_succeeded(scraped):
    prometheus, _ = scraped
    for job in ("openmetrics", "text"):
        (result,) = prometheus.query(f'min_over_time(up{{job="{job}"}}[{SECONDS - 10}s])')
        assert result["value"][1] == "1"
        (scrapes,) = prometheus.query(f'count_over_time(up{{job="{job}"}}[{SECONDS - 10}s])')
        assert float(scrapes["value"][1]) >= (SECONDS - 10) * 0.8


def test_each_job_got_its_format(scraped):
    """Units are told in OpenMetrics only."""
    prometheus, _ = scraped
    metadata = {entry["target"]["job"]: entry["unit"] for entry in prometheus.get(
        "targets/metadata", metric="pgtls_phase_duration_seconds")}
    assert metadata == {"openmetrics": "seconds", "text": ""}


def test_prometheus_logged_no_warning(scraped):
    prometheus, _ = scraped
    assert [line for line in prometheus.log().splitlines()
            if "level=warn" in line or "level=error" in line] == []


def test_no_label_was_renamed(scraped):
    prometheus, _ = scraped
    assert [name for name in prometheus.get("labels") if name.startswith("exported_")] == []
    for job in ("openmetrics", "text"):
        series = prometheus.query(f'pgtls_up{{job="{job}"}}')
        assert len(series) == 4
        for one in series:
            assert OPERATOR.items() <= one["metric"].items()


def test_both_jobs_hold_the_same_series(scraped):
    prometheus, _ = scraped

    def series(job):
        return {tuple(sorted((k, v) for k, v in one["metric"].items() if k not in ("job", "instance")))
                for one in prometheus.query(f'{{job="{job}",__name__=~"pgtls_.*|process_.*"}}')}
    assert series("text") == series("openmetrics")


def test_what_alerts_need_can_be_computed(scraped):
    prometheus, _ = scraped
    (rate,) = prometheus.query('rate(pgtls_ssl_closes_total{job="text",phase="startup",how="close_notify",'
                               'pg_endpoint="closing"}[30s])')
    assert float(rate["value"][1]) > 0.2
    (quantile,) = prometheus.query('histogram_quantile(0.9, sum by (le) (rate(pgtls_phase_duration_seconds'
                                   '_bucket{job="text",phase="tls",pg_endpoint="write"}[30s])))')
    assert 0 < float(quantile["value"][1]) < 1


def test_the_shipped_rules_load(scraped):
    from lab.servers import ROOT
    result = subprocess.run(["promtool", "check", "rules", ROOT / "alerts" / "pgtls.rules.yml"],
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_targets_are_healthy(scraped):
    prometheus, _ = scraped
    with urllib.request.urlopen(f"{prometheus.url}/api/v1/targets", timeout=5) as answer:
        targets = json.load(answer)["data"]["activeTargets"]
    assert [(target["health"], target["lastError"]) for target in targets] == [("up", "")] * 2
