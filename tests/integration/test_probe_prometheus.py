"""/probe under real Prometheus servers: the configuration of the documentation, with a fixed list and
with http_sd, and two servers that share out many targets."""

import json
import re

import pytest
import yaml

from lab.process import wait_for
from lab.servers import ROOT, Prometheus
from lab.service import Inventory

TARGETS = 200
DOCS = ROOT / "docs"


def example():
    """docs/examples/probe-prometheus.yml, which is blackbox_exporter's README with other names."""
    return yaml.safe_load((DOCS / "examples" / "probe-prometheus.yml").read_text())


def documented_blocks():
    """The YAML of docs/probe-endpoint.md."""
    return [yaml.safe_load(text)
            for text in re.findall(r"```yaml\n(.*?)```", (DOCS / "probe-endpoint.md").read_text(), re.DOTALL)]


def aimed(jobs, exporter, interval="3s"):
    """Those jobs, at this exporter instead of the one of the examples."""
    text = json.dumps({"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": jobs})
    return json.loads(text.replace("127.0.0.1:10432", exporter))


@pytest.fixture(scope="module")
def everywhere(lab):
    """One PostgreSQL at every address of 127/8: as many targets as are wanted."""
    return lab.new_postgres(address="0.0.0.0")


@pytest.fixture(scope="module")
def daemon(shared_exporter):
    tls = {"sslmode": "require", "allow_targets": ["127.0.0.0/8:*"], "timeout": "15s"}
    return shared_exporter({"modules": {"tls": tls, "login": {**tls, "user": "u_trust", "dbname": "app"}}})


def targets_of(server, n):
    return [f"127.0.{77 + i // 200}.{1 + i % 200}:{server.port}" for i in range(n)]


def success(prometheus):
    """instance -> value of probe_success now."""
    return {each["metric"]["instance"]: float(each["value"][1]) for each in prometheus.query("probe_success")}


def complaints(prometheus):
    return [line for line in prometheus.log().splitlines() if "level=warn" in line or "level=error" in line]


def rules():
    return yaml.safe_load((DOCS / "examples" / "probe.rules.yml").read_text())


def test_the_examples_are_what_the_page_shows():
    assert example() in documented_blocks()
    assert rules() in documented_blocks()


def test_the_configuration_of_the_documentation(lab, everywhere, daemon):
    configuration = aimed(example()["scrape_configs"], daemon.addresses[0])
    up, down = targets_of(everywhere, 2)[0], "127.0.0.1:1"
    configuration["scrape_configs"][0]["static_configs"][0]["targets"] = [up, down]
    with Prometheus(lab.directory("prometheus-probe"), configuration) as prometheus:
        prometheus.start()
        wait_for(lambda: len(success(prometheus)) == 2, 60, lambda: f"both: {prometheus.log()}")
        assert success(prometheus) == {up: 1, down: 0}
        assert {each["value"][1] for each in prometheus.query("up")} == {"1"}  # the scrapes are good
        phases = {each["metric"]["phase"] for each in
                  prometheus.query(f'pgtls_probe_phase_seconds{{instance="{up}", job="pgtls-probe"}}')}
        assert {"tcp", "tls", "startup", "query"} <= phases
        (fault,) = prometheus.query(f'pgtls_fault_active{{instance="{down}"}}')
        assert fault["metric"]["fault"] == "tcp_refused"
        alerts = {rule["alert"]: rule["expr"] for group in rules()["groups"] for rule in group["rules"]}
        fires = {name: [each["metric"]["instance"] for each in prometheus.query(expression)]
                 for name, expression in alerts.items()}
        assert fires == {"PgtlsTargetDown": [down], "PgtlsTargetNotProbed": [],
                         "PgtlsTargetCertificateExpiresSoon": []}
        units = prometheus.get("metadata", metric="pgtls_probe_phase_seconds")
        assert units["pgtls_probe_phase_seconds"][0]["type"] == "gauge"
        assert not complaints(prometheus)


def test_targets_of_a_service(lab, everywhere, daemon):
    one, two = targets_of(everywhere, 2)
    groups = [{"targets": [one], "labels": {"pg_cluster": "orders"}},
              {"targets": [two], "labels": {"pg_cluster": "stock"}}]
    (documented,) = [block["http_sd_configs"] for block in documented_blocks() if "http_sd_configs" in block]
    with Inventory(groups) as inventory:
        (job,) = example()["scrape_configs"]
        del job["static_configs"]
        job["http_sd_configs"] = [{**documented[0], "url": inventory.url}]
        with Prometheus(lab.directory("prometheus-sd"), aimed([job], daemon.addresses[0])) as prometheus:
            prometheus.start()
            wait_for(lambda: len(success(prometheus)) == 2, 60, lambda: f"both: {prometheus.log()}")
            clusters = {each["metric"]["instance"]: each["metric"]["pg_cluster"]
                        for each in prometheus.query("probe_success == 1")}
            assert clusters == {one: "orders", two: "stock"}
            assert not complaints(prometheus)


def test_two_servers_share_out_many_targets(lab, everywhere, daemon):
    """By the hash of the target: none is lost, none is probed twice. An interval that a busy machine can
    keep."""
    targets = targets_of(everywhere, TARGETS)
    (relabelling,) = [block["relabel_configs"] for block in documented_blocks() if "relabel_configs" in block]
    found = []
    servers = []
    try:
        for number in range(2):
            rules = json.loads(json.dumps(relabelling))
            (kept,) = [rule for rule in rules if rule.get("action") == "keep"]
            kept["regex"] = str(number)
            job = {"job_name": "pgtls-probe", "metrics_path": "/probe", "params": {"module": ["tls"]},
                   "static_configs": [{"targets": targets}], "relabel_configs": rules}
            servers.append(Prometheus(lab.directory(f"prometheus-shard-{number}"),
                                      aimed([job], daemon.addresses[0], "15s")).start())
        wait_for(lambda: sum(len(success(each)) for each in servers) >= TARGETS, 120,
                 lambda: f"all targets: {[len(success(each)) for each in servers]}")
        found = [success(each) for each in servers]
        assert all(not complaints(each) for each in servers)
    finally:
        for each in servers:
            each.close()
    assert sorted([*found[0], *found[1]]) == sorted(targets)
    assert {*found[0].values(), *found[1].values()} == {1}
    assert min(map(len, found)) > TARGETS / 4
