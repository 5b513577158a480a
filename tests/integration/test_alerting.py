"""Alerts all the way: six exporters as three shards of two replicas, a Prometheus with the shipped rules,
an Alertmanager with the example configuration, and the webhook it calls.

So that nobody waits, the rules' `for` and `keep_firing_for` are seconds here where they are minutes. Not so the
error budget's: its windows are hours and days, of which an outage of seconds would be a large part here."""

import json
import re
import subprocess
import time

import pytest

from lab import process, servers
from lab.exporter import Exporter
from lab.servers import Alertmanager, Prometheus
from lab.service import Service

RULES = servers.ROOT / "alerts" / "pgtls.rules.yml"
EXAMPLE = servers.ROOT / "docs" / "examples" / "alertmanager.yml"
SHARDS, CLUSTERS = 3, 30
# Of a machine that is busy, not of the databases.
NOISE = {"PgtlsProbesSkipped", "PgtlsPhaseSlow", "PgtlsProbesStale"}


class Webhook(Service):
    """Keeps what it is sent: (receiver, alert)."""

    def __init__(self):
        super().__init__(self._keep)
        self.received = []

    def _keep(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.received.extend((handler.path.strip("/"), alert) for alert in body["alerts"])
        return 200, {}, b""

    def about(self, **labels):
        return [(receiver, alert) for receiver, alert in list(self.received)
                if labels.items() <= alert["labels"].items()]


def quick_rules(directory):
    rules = re.split(r"(?m)^(?=      - alert: )", RULES.read_text())
    path = directory / "pgtls.rules.yml"
    path.write_text("".join(rule if rule.startswith("      - alert: PgtlsErrorBudgetBurn\n")
                            else re.sub(r"(for: \d+)[mh]$", r"\1s", rule, flags=re.MULTILINE) for rule in rules))
    return path


def example(port):
    """The shipped example, with the webhook of this test and without its patience."""
    text = EXAMPLE.read_text().replace("127.0.0.1:9095", f"127.0.0.1:{port}")
    return text.replace("group_wait: 30s", "group_wait: 1s").replace("group_interval: 5m", "group_interval: 2s")


class World:
    """Everything that runs."""

    def __init__(self, lab, trust, directory):
        self.fragile = lab.new_pgbouncer(lab.postgres())
        self.webhook = Webhook()
        self.exporters = {}
        self.directory, self.trust = directory, trust
        self.clusters = self._clusters([lab.postgres(), lab.postgres(17), lab.pgbouncer()])

    def _clusters(self, pool):
        clusters = [{"name": f"cluster-{i:02}", "endpoints": {
            "write": {"host": pool[i % 3].address, "port": pool[i % 3].port},
            **({"read": {"host": pool[i % 3].address, "port": pool[i % 3].port}} if i % 3 == 0 else {})}}
            for i in range(CLUSTERS - 1)]
        clusters.append({"name": "orders", "labels": {"team": "payments"}, "endpoints": {
            "write": {"host": self.fragile.address, "port": self.fragile.port}}})
        return clusters

    def configuration(self, **defaults):
        return {"defaults": {"interval": "1s", "timeout": "10s", "login": {"interval": "2s"}, "user": "u_trust",
                             "dbname": "app", "sslrootcert": str(self.trust.root_file), **defaults},
                "clusters": self.clusters}

    def start(self, stack, shard, replica):
        one = Exporter(self.directory / f"{shard}{replica}", self.configuration(), workers=1,
                       arguments=[f"--shard={shard}", f"--total-shards={SHARDS}"])
        stack.append(one)
        self.exporters[shard, replica] = one

    def change(self, shard, replica, **defaults):
        one = self.exporters[shard, replica]
        one.write(self.configuration(**defaults))
        one.reload()

    def firing(self):
        """(name, severity, instance or endpoint) of every alert that fires."""
        return {(labels["alertname"], labels["severity"],
                 labels.get("instance") or f"{labels.get('pg_cluster')}/{labels.get('pg_endpoint')}")
                for labels in (alert["labels"] for alert in self.prometheus.get("alerts")["alerts"]
                               if alert["state"] == "firing") if labels["alertname"] not in NOISE}


@pytest.fixture(scope="module")
def world(lab, trust, scratch):
    directory = scratch / "alerting"
    directory.mkdir()
    stack = []
    world = World(lab, trust, directory)
    try:
        for shard in range(SHARDS):
            world.start(stack, shard, "a")
            world.start(stack, shard, "b")
        world.alertmanager = lab.keep(Alertmanager(directory / "alertmanager", example(world.webhook.port))).start()
        world.prometheus = lab.keep(Prometheus(directory / "prometheus", {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(quick_rules(directory))],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [
                f"127.0.0.1:{world.alertmanager.port}"]}]}]},
            "scrape_configs": [{"job_name": "pgtls", "static_configs": [
                {"targets": [one.addresses[0] for one in world.exporters.values()]}]}]},
            arguments=["--rules.alert.resend-delay=2s"])).start()
        yield world
    finally:
        for one in stack:
            one.stop()
        world.webhook.close()


def test_no_endpoint_is_lost_and_none_is_twice_in_a_replica_set(world):
    everything = {(c["name"], e) for c in world.clusters for e in c["endpoints"]}
    process.wait_for(lambda: len(world.prometheus.query('up{job="pgtls"} == 1')) == 6, 30, "six scrapes")
    for replica in "ab":
        instances = "|".join(re.escape(one.addresses[0]).replace("\\", "\\\\")
                             for (_, r), one in world.exporters.items() if r == replica)
        counts = {(s["metric"]["pg_cluster"], s["metric"]["pg_endpoint"]): s["value"][1]
                  for s in world.prometheus.query(
                      f'count by (pg_cluster, pg_endpoint) (pgtls_probes_total{{probe="inspect",instance=~"{instances}"}})')}
        assert set(counts) == everything and set(counts.values()) == {"1"}


def test_blinded_replicas_are_warnings_and_nothing_else_fires(world):
    # Once all six are known: where the first seconds of Prometheus show it the blind one alone, a cluster
    # counts as down, and the few samples that there are make that a large part of three days.
    def unknown():
        return 6 - len(world.prometheus.query(
            'min by (instance) (count_over_time(pgtls_state_seconds_total{state="up"}[1m])) > 3'))
    process.wait_for(lambda: not unknown(), 60, lambda: f"{unknown()} exporters to be scraped")
    assert world.firing() == set()
    world.change(1, "b", hostaddr="127.0.0.99")  # its way out is wrong
    world.change(2, "b", sslrootcert=str(world.directory / "missing.crt"))  # it has lost its CA file
    lost, fileless = (world.exporters[shard, "b"].addresses[0] for shard in (1, 2))
    expected = {("PgtlsVantageBroken", "warning", lost), ("PgtlsInternalErrors", "warning", fileless)}
    process.wait_for(lambda: world.firing() >= expected, 60, lambda: f"the two, of {world.firing()}")
    deadline = time.monotonic() + 15  # half as long again as the longest `for` that could follow
    while time.monotonic() < deadline:
        assert world.firing() == expected
        time.sleep(1)


def test_a_server_breaks_and_the_right_people_are_told_once(world):
    orders = {"pg_cluster": "orders", "pg_endpoint": "write"}
    assert world.webhook.about(**orders) == []
    world.fragile.program.stop()
    process.wait_for(lambda: world.webhook.about(alertname="PgtlsEndpointDown", **orders), 90, "the webhook's call")
    receiver, alert = world.webhook.about(alertname="PgtlsEndpointDown", **orders)[0]
    assert receiver == "payments-pager" and alert["status"] == "firing"
    assert alert["labels"] == {"alertname": "PgtlsEndpointDown", "job": "pgtls", "team": "payments",
                               "severity": "critical", **orders}
    assert "fails in tcp (inspect): tcp_refused (network)" in alert["annotations"]["description"]
    assert alert["annotations"]["runbook_url"].endswith("/PgtlsEndpointDown.md")
    assert alert["generatorURL"].startswith("http")

    world.fragile.start()

    def resolved():
        return [alert for _, alert in world.webhook.about(alertname="PgtlsEndpointDown", **orders)
                if alert["status"] == "resolved"]
    process.wait_for(resolved, 90, "the webhook to be told of the end")
    # The only ones who heard of it, and not of its consequences.
    assert {receiver for receiver, alert in world.webhook.about(**orders)} == {"payments-pager"}
    assert {alert["labels"]["alertname"] for _, alert in world.webhook.about(**orders)} == {"PgtlsEndpointDown"}


# --- the example configuration of Alertmanager ----------------------------------------------------

def test_the_example_is_valid():
    result = subprocess.run(["amtool", "check-config", EXAMPLE], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("labels, receiver", [
    ("alertname=PgtlsEndpointDown severity=critical team=payments", "payments-pager"),
    ("alertname=PgtlsPromiseBroken severity=warning team=payments", "payments"),
    ("alertname=PgtlsEndpointDown severity=critical team=unheard-of", "monitoring-pager"),
    ("alertname=PgtlsExporterDown severity=critical", "monitoring-pager"),
    ("alertname=PgtlsVantageBroken severity=warning", "monitoring"),
    ("alertname=PgtlsCertificateChanged severity=info team=payments", "news"),
    ("alertname=PgtlsVantageInhibitor severity=info", "nobody")])
def test_routes(labels, receiver):
    result = subprocess.run(["amtool", "config", "routes", "test", f"--config.file={EXAMPLE}", *labels.split()],
                            capture_output=True, text=True, check=False)
    assert result.stdout.strip() == receiver, result.stderr


HERE = {"job": "pgtls", "pg_cluster": "c1", "pg_endpoint": "write"}
SERVER = {**HERE, "server": "db:5432"}
LEAF = {**SERVER, "position": "leaf"}
# What is silent while the first fires, and what is not.
INHIBITED = [
    ({"alertname": "PgtlsVantageInhibitor", "job": "pgtls", "pg_cluster": "c1"},
     [{"alertname": "PgtlsClusterDown", "job": "pgtls", "pg_cluster": "c1"}, {"alertname": "PgtlsEndpointDown", **HERE},
      {"alertname": "PgtlsServerDown", **SERVER}],
     [{"alertname": "PgtlsVantageBroken", "job": "pgtls", "instance": "a"}, {"alertname": "PgtlsEndpointDown", **HERE,
      "pg_cluster": "other"}, {"alertname": "PgtlsCertificateExpired", **LEAF}]),
    ({"alertname": "PgtlsClusterDown", "job": "pgtls", "pg_cluster": "c1"},
     [{"alertname": "PgtlsEndpointDown", **HERE}],
     [{"alertname": "PgtlsEndpointDown", **HERE, "pg_cluster": "other"}, {"alertname": "PgtlsCertificateExpired", **LEAF}]),
    ({"alertname": "PgtlsEndpointDown", **HERE},
     [{"alertname": name, **SERVER} for name in (
         "PgtlsServerClosedConnection", "PgtlsHbaRejection", "PgtlsAuthenticationFailing", "PgtlsCertificateRejected",
         "PgtlsPhaseSlow", "PgtlsReplicaLagging", "PgtlsSessionsDropping")]
     + [{"alertname": name, **HERE} for name in ("PgtlsPromiseBroken", "PgtlsErrorBudgetBurn", "PgtlsEndpointFlapping")],
     [{"alertname": "PgtlsHbaRejection", **SERVER, "pg_endpoint": "read"}, {"alertname": "PgtlsCertificateExpired", **LEAF},
      {"alertname": "PgtlsBlind", **SERVER}]),
    ({"alertname": "PgtlsCertificateExpired", **LEAF}, [{"alertname": "PgtlsCertificateExpiryImminent", **LEAF}],
     [{"alertname": "PgtlsCertificateExpiringSoon", **LEAF, "server": "other:5432"}]),
    ({"alertname": "PgtlsCertificateExpiryImminent", **LEAF}, [{"alertname": "PgtlsCertificateExpiringSoon", **LEAF}],
     [{"alertname": "PgtlsCertificateExpiringSoon", **LEAF, "position": "root"}]),
    ({"alertname": "PgtlsErrorBudgetBurn", **HERE, "severity": "critical", "long": "1h"},
     [{"alertname": "PgtlsErrorBudgetBurn", **HERE, "severity": "warning", "long": "3d"}],
     [{"alertname": "PgtlsErrorBudgetBurn", **HERE, "severity": "critical", "long": "6h"}]),
    ({"alertname": "PgtlsExporterDown", "job": "pgtls", "instance": "a"},
     [{"alertname": "PgtlsInternalErrors", "job": "pgtls", "instance": "a", "reason": "secret"}],
     [{"alertname": "PgtlsInternalErrors", "job": "pgtls", "instance": "b", "reason": "secret"}]),
]


@pytest.mark.parametrize("case", range(len(INHIBITED)))
def test_inhibition(lab, case):
    """Told to a real Alertmanager, together with alerts of other endpoints that must go on."""
    source, silent, heard = INHIBITED[case]
    webhook = Webhook()
    try:
        manager = lab.keep(Alertmanager(lab.directory("inhibition"), example(webhook.port))).start()
        for labels in (source, *silent, *heard):
            manager.amtool("alert", "add", *(f"{name}={value}" for name, value in labels.items()))
        found = process.wait_for(lambda: (alerts := manager.alerts()) and len(alerts) == 1 + len(silent) + len(heard)
                                 and alerts, 15, "all of them")
        inhibited = [sorted(alert["labels"].items()) for alert in found if alert["status"]["inhibitedBy"]]
        assert sorted(inhibited) == sorted(sorted(labels.items()) for labels in silent)
        manager.close()
    finally:
        webhook.close()
