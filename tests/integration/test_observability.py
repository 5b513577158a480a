"""The shipped alerts on the real thing: a Prometheus with the rules scrapes the exporter, which watches a
good server, one whose certificate is about to expire, and one that closes after TLS."""

import pytest

from lab import certs, process, servers
from lab.exporter import Exporter
from misbehave import Misbehaving

ALERTS = {("PgtlsEndpointDown", "closing"), ("PgtlsServerClosedConnection", "closing"),
          ("PgtlsErrorBudgetBurn", "closing"),
          ("PgtlsCertificateExpiringSoon", "expiring"), ("PgtlsCertificateExpiryImminent", "expiring")}


@pytest.fixture(scope="module")
def prometheus(scratch):
    directory = scratch / "observability"
    directory.mkdir()
    authority = certs.Authority("Observability CA")
    trust = authority.write_certificate(directory / "ca.crt")
    hba = "host all all 127.0.0.0/8 trust\n"
    with servers.Postgres(15, directory / "good", credentials=authority.issue(), hba=hba,
                          scratch=scratch) as good, \
            servers.Postgres(15, directory / "expiring", credentials=certs.expiring(authority, days=2),
                             hba=hba, scratch=scratch) as expiring, \
            Misbehaving("notify_after_startup", *authority.issue().write(directory, "closing")) as closing:
        endpoints = {"good": good.start(), "expiring": expiring.start(), "closing": closing}
        configuration = {
            "defaults": {"interval": "500ms", "timeout": "2s", "login": {"interval": "1s"},
                         "user": "postgres", "sslmode": "verify-full", "sslrootcert": str(trust)},
            "clusters": [{"name": "c", "endpoints": {name: {"host": server.address, "port": server.port}
                                                     for name, server in endpoints.items()}}]}
        with Exporter(directory / "exporter", configuration) as exporter, \
                servers.Prometheus(directory / "prometheus", {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(servers.ROOT / "alerts" / "pgtls.rules.yml")],
                    "scrape_configs": [{"job_name": "pgtls", "static_configs": [
                        {"targets": [exporter.addresses[0]]}]}]}) as watcher:
            watcher.start()
            process.wait_for(lambda: active(watcher) >= ALERTS, 120, "the alerts")
            yield watcher


def active(prometheus):
    """(alert, endpoint) of every alert about an endpoint that is pending or firing. (On a busy machine
    the exporter may well complain of skipped probes.)"""
    labels = [alert["labels"] for alert in prometheus.get("alerts")["alerts"]]
    return {(found["alertname"], found["pg_endpoint"]) for found in labels if "pg_endpoint" in found}


def test_the_alerts_that_hold_are_the_only_ones(prometheus):
    assert active(prometheus) == ALERTS


def test_an_alert_says_why(prometheus):
    described = {alert["labels"]["alertname"]: alert["annotations"]["description"]
                 for alert in prometheus.get("alerts")["alerts"]}
    assert "fails in startup (inspect): ssl_closed_after_handshake (ssl_close)" in described["PgtlsEndpointDown"]
    assert "in startup by close_notify" in described["PgtlsServerClosedConnection"]


def test_every_rule_evaluates(prometheus):
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert rules and [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
