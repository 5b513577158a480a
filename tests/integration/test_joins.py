"""docs/joins.md: every query of the page in a Prometheus that scrapes the exporter, and what
postgres_exporter, pgbouncer_exporter and kube-state-metrics show, in the shape they show it."""

import re

import pytest

from lab import process, servers
from lab.exporter import Exporter, endpoint_of, one_cluster
from lab.service import Service

PAGE = (servers.ROOT / "docs" / "joins.md").read_text()
POD = "orders-0.orders.db.svc.cluster.local"
THEIRS = {
    "postgres": """# TYPE pg_stat_activity_count gauge
pg_stat_activity_count{datname="orders",state="active",usename="app",application_name="",backend_type="client backend",wait_event="",wait_event_type=""} 3
pg_stat_activity_count{datname="orders",state="idle",usename="app",application_name="",backend_type="client backend",wait_event="",wait_event_type=""} 4
pg_up 1
""",
    "pgbouncer": """# TYPE pgbouncer_pools_client_waiting_connections gauge
pgbouncer_pools_client_waiting_connections{database="orders",user="app"} 5
pgbouncer_pools_client_waiting_connections{database="orders",user="reporting"} 1
pgbouncer_up 1
""",
    "kubernetes": """# TYPE kube_pod_labels gauge
kube_pod_labels{namespace="db",pod="orders-0",uid="6f0e",label_app_kubernetes_io_name="postgresql",label_app_kubernetes_io_version="15.4"} 1
kube_pod_labels{namespace="other",pod="orders-0",uid="70aa",label_app_kubernetes_io_name="postgresql",label_app_kubernetes_io_version="14.1"} 1
""",
}


def queries():
    """Heading → its query, as the page has them."""
    found = {}
    for part in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        for query in re.findall(r"^```promql\n(.*?)^```$", part, re.M | re.S):
            found[part.splitlines()[0]] = query
    return found


@pytest.fixture(scope="module")
def others():
    """An HTTP server with a path for each of them."""
    def answer(handler):
        return 200, {"Content-Type": "text/plain; version=0.0.4"}, THEIRS[handler.path.strip("/")].encode()

    with Service(answer) as service:
        yield service.port


@pytest.fixture(scope="module")
def prometheus(lab, trust, others, scratch):
    database = lab.new_postgres()
    given = one_cluster({}, {"user": "u_trust", "dbname": "app", "sslmode": "require"}, name="orders")
    given["clusters"][0] |= {"labels": {"team": "payments"}, "endpoints": {
        "write": {**endpoint_of(database), "host": POD, "hostaddr": database.address},
        "admin": {**endpoint_of(database), "host": POD, "hostaddr": database.address, "labels": {"team": "dba"}},
        "pooled": {**endpoint_of(database), "host": "pgb1.example.com", "hostaddr": database.address}}}

    def job(name, instance, path):
        return {"job_name": name, "metrics_path": f"/{path}", "static_configs": [
            {"targets": [f"127.0.0.1:{others}"], "labels": {"instance": instance}}]}

    directory = scratch / "joins"
    with Exporter(directory / "one", given) as one, Exporter(directory / "two", given) as two, \
            servers.Prometheus(directory / "prometheus", {
                "global": {"scrape_interval": "1s"},
                "scrape_configs": [
                    {"job_name": "pgtls", "static_configs": [
                        {"targets": [one.addresses[0]], "labels": {"pod": "pgtls-0", "namespace": "monitoring"}},
                        {"targets": [two.addresses[0]], "labels": {"pod": "pgtls-1", "namespace": "monitoring"}}]},
                    job("postgres", f"{POD}:{database.port}", "postgres"),
                    job("pgbouncer", "pgb1.example.com:9127", "pgbouncer"),
                    job("kube-state-metrics", "ksm:8080", "kubernetes")]}) as watcher:
        watcher.start()
        process.wait_for(lambda: len(watcher.query("up == 1")) == 5 and len(watcher.query("pgtls_up == 1")) == 6,
                         60, "five targets")
        yield watcher


def answer(prometheus, heading, *names):
    return {tuple(one["metric"].get(name) for name in ("pg_endpoint", "team", *names)): float(one["value"][1])
            for one in prometheus.query(queries()[heading])}


def test_every_section_has_a_query():
    assert set(queries()) == {"postgres_exporter", "pgbouncer_exporter", "kube_pod_labels", "Any metric of ours"}


def test_postgres_exporter(prometheus):
    assert answer(prometheus, "postgres_exporter") == {("write", "payments"): 7, ("admin", "dba"): 7}


def test_pgbouncer_exporter(prometheus):
    assert answer(prometheus, "pgbouncer_exporter") == {("pooled", "payments"): 6}


def test_kube_pod_labels(prometheus):
    version = "label_app_kubernetes_io_version"
    assert answer(prometheus, "kube_pod_labels", "namespace", "pod", version) == {
        ("write", "payments", "db", "orders-0", "15.4"): 1, ("admin", "dba", "db", "orders-0", "15.4"): 1}


def test_any_metric_of_ours(prometheus):
    assert answer(prometheus, "Any metric of ours", "pod") == {
        (endpoint, team, pod): 1 for pod in ("pgtls-0", "pgtls-1")
        for endpoint, team in (("write", "payments"), ("admin", "dba"), ("pooled", "payments"))}
