"""What is left alone on purpose: nothing connects to it, and everybody who asks is told why."""

import json
import time

import pytest

from lab import exporter as lab_exporter
from lab.exporter import endpoint_of, one_cluster

TEXT = "moving to new storage"
INFO = "pgtls_maintenance_info"


@pytest.fixture
def server(lab):
    """A server that writes a line for every connection."""
    return lab.new_postgres(settings={"log_connections": "on"})


def configuration(server, trust, **write):
    return one_cluster({
        "write": endpoint_of(server, session=[{"idle": "1s"}], policy={"interval": "60s"}, **write),
        "read": endpoint_of(server)},
        {"user": "u_trust", "dbname": "app", "sslrootcert": str(trust.root_file)})


def lines_of(server):
    return server.log().count("connection received")


def test_it_comes_and_goes_by_reload(lab, server, trust, exporter):
    spare = lab.new_postgres(settings={"log_connections": "on"})
    daemon = exporter(configuration(server, trust, host=spare.address, port=spare.port))
    daemon.until(lambda m: m.value("pgtls_session_up") == 1 and len(m.all("pgtls_up")) == 2)
    assert not daemon.scrape().all(INFO)

    daemon.write(configuration(server, trust, host=spare.address, port=spare.port, maintenance=TEXT))
    daemon.reload()
    before = daemon.until(lambda m: m.labels(INFO, pg_endpoint="write")["text"] == TEXT if m.all(INFO) else False)
    daemon.until(lambda m: not m.all("pgtls_session_up"))
    time.sleep(0.5)  # what was in flight is over
    connections, drops = lines_of(spare), before.sum("pgtls_session_drops_total")
    reads = before.value("pgtls_probes_total", pg_endpoint="read", probe="inspect")
    after = daemon.until(
        lambda m: m.value("pgtls_probes_total", pg_endpoint="read", probe="inspect") >= reads + 5)
    assert lines_of(spare) == connections
    assert "could not receive data" not in spare.log() and "unexpected EOF" not in spare.log()
    for name in ("pgtls_up", "pgtls_probe_up", "pgtls_endpoint_up", "pgtls_fault_active",
                 "pgtls_last_probe_timestamp_seconds", "pgtls_probe_interval_seconds", "pgtls_session_up"):
        assert not after.all(name, pg_endpoint="write"), name
    assert after.value("pgtls_up", pg_endpoint="read") == 1
    for name in ("pgtls_probes_total", "pgtls_probe_failures_total"):
        assert after.sum(name, pg_endpoint="write") == before.sum(name, pg_endpoint="write")
    assert after.sum("pgtls_session_drops_total") == drops == 0
    state = "pgtls_state_seconds_total"
    assert after.value(state, pg_endpoint="write", state="unknown") > before.value(
        state, pg_endpoint="write", state="unknown")
    assert after.value(state, pg_endpoint="write", state="up") == before.value(state, pg_endpoint="write", state="up")

    health = daemon.get("/health/database")
    assert (health.status, health.json()["status"]) == (200, "ok")
    assert health.json()["counts"] == {"ok": 1, "degraded": 0, "down": 0, "unknown": 1, "maintenance": 1}
    alone = daemon.get("/health/database/lab/write")
    assert (alone.status, alone.json()["status"]) == (200, "unknown")
    (endpoint,) = alone.json()["endpoints"]
    assert endpoint["maintenance"] == endpoint["servers"][0]["maintenance"] == TEXT
    assert endpoint["servers"][0]["connection"] == "Unknown" and endpoint["servers"][0]["fault"] is None
    (line,) = daemon.told("Server is left alone")
    assert f'maintenance="{TEXT}"' in line

    daemon.write(configuration(server, trust, host=spare.address, port=spare.port))
    daemon.reload()
    metrics = daemon.until(lambda m: m.value("pgtls_up", pg_endpoint="write") == 1 and m.value("pgtls_session_up") == 1)
    assert not metrics.all(INFO)
    assert metrics.value("pgtls_probes_total", pg_endpoint="write", probe="inspect") > before.value(
        "pgtls_probes_total", pg_endpoint="write", probe="inspect")
    assert daemon.log().count("Server is watched again") == 1


def test_from_the_start(lab, server, trust, exporter):
    spare = lab.new_postgres(roles=False, settings={"log_connections": "on"})
    daemon = exporter(configuration(server, trust, host=spare.address, port=spare.port, enabled=False))
    metrics = daemon.until(lambda m: m.value("pgtls_up", pg_endpoint="read") == 1
                           and m.value("pgtls_probes_total", pg_endpoint="read", probe="inspect") >= 5)
    assert lines_of(spare) == 0
    assert metrics.labels(INFO)["text"] == "disabled" and metrics.labels(INFO)["pg_endpoint"] == "write"
    assert metrics.value("pgtls_probes_total", pg_endpoint="write", probe="inspect") == 0
    assert daemon.get("/health/database").status == 200


def test_a_probe_that_hangs_when_it_begins_is_not_told_of(lab, trust, exporter):
    hanging = lab.misbehave("stall_after_handshake")
    endpoint = endpoint_of(hanging, user="u", timeout="2s", interval="30s", login=False)
    given = one_cluster({"write": endpoint}, {"sslrootcert": str(trust.root_file)})
    daemon = exporter(given)
    daemon.until(lambda m: m.value("pgtls_probes_in_flight") == 1)
    given["clusters"][0]["maintenance"] = TEXT
    daemon.write(given)
    daemon.reload()
    daemon.until(lambda m: m.all(INFO))
    metrics = daemon.until(lambda m: m.value("pgtls_probes_in_flight") == 0)
    assert metrics.value("pgtls_probes_total", probe="inspect") == 0 and not metrics.all("pgtls_fault_active")
    assert "Server is down" not in daemon.log()


def test_by_hand(server, trust, tmp_path):
    file = tmp_path / "pgtls.yml"
    given = configuration(server, trust, maintenance=TEXT)
    file.write_text(json.dumps(given))
    before = lines_of(server)
    done = lab_exporter.run("probe", f"--config.file={file}", "--all")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("lab/")}
    assert f"left alone: {TEXT}" in lines["lab/write"] and " ok " in lines["lab/read"]
    assert "2 servers: 1 ok, 1 left alone" in done.stdout
    assert lines_of(server) - before <= 2  # inspect and login of the one
    document = json.loads(lab_exporter.run("probe", "--json", f"--config.file={file}", "--all").stdout)
    assert [one["endpoint"] for one in document["servers"]] == ["read"]
    assert [(one["endpoint"], one["maintenance"]) for one in document["left_alone"]] == [("write", TEXT)]
    done = lab_exporter.run("probe", f"--config.file={file}", "lab/write")
    assert done.returncode == 0 and f"the daemon leaves it alone: {TEXT}" in " ".join(done.stdout.split())
    assert document["counts"]["ok"] == 1 and document["status"] == "ok"

    listed = lab_exporter.run("list", f"--config.file={file}").stdout
    assert f"left alone: {TEXT}" in listed
    shown = json.loads(lab_exporter.run("list", "--json", f"--config.file={file}").stdout)["servers"]
    assert {one["endpoint"]: one["maintenance"] for one in shown} == {"write": TEXT, "read": None}

    given["clusters"][0]["endpoints"]["read"]["enabled"] = False
    file.write_text(json.dumps(given))
    for argument in ("--all", "lab"):
        done = lab_exporter.run("probe", f"--config.file={file}", argument)
        assert done.returncode == 0 and "2 servers: 2 left alone" in done.stdout, done.stderr
