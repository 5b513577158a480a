"""Allocations that fail and a wall clock that steps, in the program that ships (tests/tools/chaos.c)."""

import contextlib
import http.client
import json
import socket
import ssl
import time

import pytest

from lab.chaos import Chaos
from lab.exporter import endpoint_of, one_cluster
from lab.exposition import Metrics
from lab.process import wait_for
from lab.service import Inventory
from test_web_security import hashed

YEAR = 365 * 86400
DAY = 86400
ENDPOINTS = 4
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


def everything(trust, server):
    """Inspects, logins and sessions at a good server, by address and by name, and a module for requests."""
    more = {"user": "u_trust", "dbname": "app", "login": {"interval": "1s"}, "session": [{"idle": "1s"}]}
    endpoints = {f"e{i}": endpoint_of(server, **more) for i in range(ENDPOINTS - 1)}
    endpoints["named"] = {**endpoints["e0"], "host": "localhost", "sslmode": "verify-ca"}
    configuration = one_cluster(endpoints, {"sslrootcert": str(trust.root_file), "interval": "200ms"})
    configuration["modules"] = {"default": {"sslmode": "verify-full", "sslrootcert": str(trust.root_file),
                                            "allow_targets": ["127.0.0.0/8:*"]}}
    return configuration


@pytest.fixture
def watch(lab, trust, exporter, tmp_path):
    """A function that starts an exporter with a Chaos, at a good server."""
    def start(**more):
        chaos = Chaos(tmp_path / "chaos")
        server = lab.postgres()
        daemon = exporter(everything(trust, server), environment=chaos.environment, **more)
        daemon.target = f"{server.address}:{server.port}"
        daemon.until(well, 30)
        assert by_request(daemon) == 1
        return chaos, daemon
    return start


def well(metrics):
    return metrics.sum("pgtls_up") == ENDPOINTS and metrics.sum("pgtls_session_up") == ENDPOINTS


def by_request(daemon):
    """What a probe that a scrape asks for comes to."""
    return Metrics(daemon.get(f"/probe?target={daemon.target}").text).value("probe_success")


def visit(daemon):
    """Everything that allocates for a visitor."""
    for path, accept in (("/metrics", "text/plain"), ("/metrics", OPENMETRICS), ("/metrics", PROTOBUF),
                         ("/health/database", "*/*"), ("/", "*/*"), ("/server?cluster=lab&endpoint=e1", "*/*"),
                         ("/fault?id=tcp_refused", "*/*"), (f"/probe?target={daemon.target}", "*/*")):
        with contextlib.suppress(OSError, http.client.HTTPException):
            daemon.get(path, Accept=accept, Accept_Encoding="gzip")


def settled(chaos):
    """How much is allocated when nothing much goes on: the least of some looks."""
    looks = []
    for _ in range(20):
        looks.append(chaos.get("live"))
        time.sleep(0.05)
    return min(looks)


@pytest.mark.parametrize("which", [
    {"fail_every": 1},
    {"fail_odds": 7, "seed": 1},
    {"fail_odds": 47, "seed": 2},
    {"fail_odds": 1009, "seed": 3},
    {"fail_bytes": 4096},
], ids=lambda which: "-".join(f"{name}-{value}" for name, value in which.items()))
def test_allocations_that_fail(watch, which):
    """All of them, some, or large ones, in probes, logins, sessions and answers: it goes on, blames nobody, and is well when
    there is memory again."""
    chaos, daemon = watch()
    chaos.set(**which)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        visit(daemon)
        time.sleep(0.02)
    chaos.set(**dict.fromkeys(which, 0))
    assert daemon.program.running(), daemon.log()[-6000:]
    assert chaos.get("failed") > 20
    assert daemon.request("POST", "/-/reload", timeout=30).status == 200
    after = daemon.until(well, 60, "all to be up again")
    # A name in /etc/hosts that the C library has no memory to look up there is asked of the DNS, which does not know it.
    blamed = [(labels, value) for labels, value in after.all("pgtls_probe_failures_total")
              if value and (labels["pg_endpoint"], labels["class"]) != ("named", "network")]
    assert not blamed, (blamed, daemon.log()[-3000:])
    for counted in ("pgtls_session_drops_total", "pgtls_certificate_changes_total", "pgtls_ssl_closes_total",
                    "pgtls_hba_rejections_total"):
        assert after.sum(counted) == 0, counted
    # What the C library has no memory to open, libpq says it cannot read.
    reasons = {labels["reason"] for labels, _ in after.all("pgtls_probe_internal_errors_total")}
    assert reasons <= {"memory", "local_file"}, daemon.log()[-3000:]
    assert after.sum("pgtls_chain_verified") == ENDPOINTS
    assert by_request(daemon) == 1


def test_nothing_is_left_behind(watch):
    """What a step without memory had already, it gives back."""
    chaos, daemon = watch()
    live = []
    for seed in range(2):  # the first time round everything is made that stays
        chaos.set(fail_odds=61, seed=seed)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            visit(daemon)
        chaos.set(fail_odds=0)
        daemon.until(well, 60, "all to be up again")
        live.append(settled(chaos))
    assert chaos.get("failed") > 1000
    assert live[1] < live[0] + 500, (live, chaos.get("failed"))


def test_descriptors_that_a_loop_has_no_room_for(watch):
    """A loop keeps a pointer per descriptor; there is no memory for more of them, and still it goes on."""
    chaos, daemon = watch()
    visitors = [daemon.connection() for _ in range(150)]
    chaos.set(fail_bytes=256 * 8, fail_most=256 * 8)  # the next power of two
    for visitor in visitors:  # descriptors are given out from the lowest on: a probe's is behind theirs
        visitor.connect()
    try:
        daemon.until(lambda m: m.sum("pgtls_probe_internal_errors_total", reason="memory") > 2 * ENDPOINTS, 20, "it to fail")
    finally:
        assert daemon.program.running(), daemon.log()[-6000:]
    chaos.set(fail_bytes=0)
    after = daemon.until(well, 30, "all to be up again")
    for visitor in visitors:
        visitor.close()
    assert not [value for _, value in after.all("pgtls_probe_failures_total") if value], daemon.log()[-3000:]


def test_a_loop_that_can_watch_nothing_more(exporter, tmp_path):
    """Each probe ends at once, as trouble of our own, also of a server that never says a word: its worker goes round in no
    circle."""
    chaos = Chaos(tmp_path / "chaos")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoints = {"silent": {"host": "127.0.0.1", "port": silent.getsockname()[1]}}
        chaos.set(fail_watch=1)
        daemon = exporter(one_cluster(endpoints, {"interval": "200ms"}), environment=chaos.environment, workers=1)
        metrics = daemon.until(lambda m: m.sum("pgtls_probe_internal_errors_total", reason="memory") > 3, 20, "probes to end so")
        assert metrics.sum("pgtls_probes_total") == 0


def test_long_logins_have_their_threads_from_the_start(exporter):
    """libuv ends the program where they cannot begin; so they do not wait for the first long login."""
    nobody = one_cluster({"e": {"host": "127.0.0.1", "port": 1}})
    few, more = (exporter(nobody, environment={"UV_THREADPOOL_SIZE": n}).scrape().value("process_threads") for n in "24")
    assert more - few == 2


@pytest.mark.parametrize("size", [1 << 16, 100_000])
def test_a_reload_without_memory(watch, size):
    """It fails and says why, what was in force stays so, and the next one succeeds."""
    chaos, daemon = watch()
    chaos.set(fail_bytes=size)
    answer = daemon.request("POST", "/-/reload", timeout=30)
    assert answer.status == 500 and "memory" in answer.text, (answer.status, answer.text)
    chaos.set(fail_bytes=0)
    metrics = daemon.scrape()
    assert metrics.value("pgtls_config_last_reload_successful") == 0
    assert well(metrics)
    assert daemon.request("POST", "/-/reload", timeout=30).status == 200
    assert daemon.scrape().value("pgtls_config_last_reload_successful") == 1


def test_nothing_is_built_of_files_of_which_one_was_not_read(exporter, tmp_path):
    """A file that was renamed and cannot be read for want of memory: what discovery brings then does not take away
    what stands in it."""
    chaos, directory, targets = Chaos(tmp_path / "chaos"), tmp_path / "conf", tmp_path / "targets.json"
    directory.mkdir()
    moves = json.dumps(one_cluster({"e": {"host": "127.0.0.1", "port": 1}}, name="moves"))
    (directory / "a.yml").write_text(moves)
    targets.write_text("[]")
    daemon = exporter({"discovery": [{"file_sd": {"files": [str(targets)], "refresh_interval": "1s"}}]},
                      arguments=[f"--config.file={directory}"], environment=chaos.environment)

    def clusters():
        return {labels["pg_cluster"] for labels, _ in daemon.scrape().all("pgtls_up")}

    wait_for(lambda: clusters() == {"moves"}, 20, "it to be watched")
    chaos.set(fail_bytes=500_000)
    (directory / "a.yml").unlink()
    (directory / "b.yml").write_text(moves + "\n" + "# and much else\n" * 40_000)
    assert daemon.request("POST", "/-/reload", timeout=30).status == 500
    told = daemon.log().count("Configuration not loaded")
    targets.write_text(json.dumps([{"targets": ["127.0.0.1:2"], "labels": {"pg_cluster": "found"}}]))
    wait_for(lambda: daemon.log().count("Configuration not loaded") > told or clusters() != {"moves"}, 20,
             "it to hear of the target")
    assert clusters() == {"moves"}
    chaos.set(fail_bytes=0)
    wait_for(lambda: clusters() == {"moves", "found"}, 20, "both to be there")


@pytest.mark.parametrize("at", [1, 3, 10, 30, 100, 300, 1000, 1700, 3000, 4500, 6000, 8000])
def test_a_start_without_memory(lab, trust, exporter, tmp_path, at):
    """A few allocations in a row, from the so manieth on: it says that it cannot start, or does, and is well."""
    chaos, server = Chaos(tmp_path / "chaos"), lab.postgres()
    chaos.set(fail_at=at, fail_more=3)
    dsn = f"postgresql://u_trust@{server.address}:{server.port}/app?sslmode=verify-full&sslrootcert={trust.root_file}"
    daemon = exporter(environment={**chaos.environment, "DATABASE_URL": dsn}, ready=False)
    wait_for(lambda: not daemon.program.running() or daemon._listening(), 20, "it to start, or not")
    wait_for(lambda: not daemon.program.running() or chaos.get("allocations") > at + 3, 20, "them to fail")
    if daemon.program.running():
        daemon.addresses = daemon._listening()
        daemon.until(lambda m: m.sum("pgtls_up") == 1, 30, "it to be up")
    elif "nss_" not in daemon.log():  # where the C library itself ends a program, while it loads its name service
        assert daemon.program.process.returncode in (1, 2, 127), daemon.log()
        assert "memory" in daemon.log(), daemon.log()


# The clock --------------------------------------------------------------------------------------
def test_the_wall_clock_steps(watch):
    """Probes keep their pace and durations their length; certificates are judged by the new time."""
    chaos, daemon = watch()
    before = daemon.scrape()
    for offset, fault in ((YEAR, "server_cert_expired"), (-2 * YEAR, "server_cert_not_yet_valid")):
        chaos.set(clock_offset_s=offset)
        began, count = time.monotonic(), daemon.scrape().sum("pgtls_probes_total", probe="inspect")
        metrics = daemon.until(lambda m: len(m.all("pgtls_fault_active", fault=fault)) == 4, 20, fault)
        assert metrics.sum("pgtls_probes_total", probe="inspect") - count < 4 * 6 * (time.monotonic() - began) + 20
        assert abs(metrics.value("pgtls_last_probe_timestamp_seconds", pg_endpoint="e1", probe="inspect")
                   - time.time() - offset) < DAY
    chaos.set(clock_offset_s=0)
    after = daemon.until(lambda m: m.sum("pgtls_up") == 4, 30, "all to be up again")
    assert after.sum("pgtls_session_drops_total") == 0
    assert after.sum("pgtls_state_seconds_total") - before.sum("pgtls_state_seconds_total") < 4 * 120
    assert after.sum("pgtls_probe_failures_total", **{"class": "unavailable"}) == 0
    assert 0 <= after.sum("pgtls_phase_duration_seconds_sum") < 60


# What is ours besides: HTTPS, the log, discovery ----------------------------------------------------
@pytest.mark.parametrize("which", [{"fail_every": 1}, {"fail_bytes": 1024}, {"fail_bytes": 1 << 17}],
                         ids=lambda which: "-".join(f"{name}-{value}" for name, value in which.items()))
def test_https_and_the_log_without_memory(lab, trust, exporter, tmp_path, which):
    """A handshake for which there is no memory does not begin; a line of the log is whole, or lost and counted."""
    chaos, server, web = Chaos(tmp_path / "chaos"), lab.postgres(), trust.root.issue()
    cert, key = web.write(tmp_path, "web")
    (tmp_path / "web.yml").write_text(json.dumps({
        "tls_server_config": {"cert_file": str(cert), "key_file": str(key)},
        "basic_auth_users": {"prom": hashed("scraping")}}))
    daemon = exporter(everything(trust, server), environment=chaos.environment, log_level="debug",
                      arguments=[f"--web.config.file={tmp_path / 'web.yml'}"],
                      tls=ssl.create_default_context(cafile=trust.root_file), authorization=("prom", "scraping"))
    daemon.target = f"{server.address}:{server.port}"
    daemon.until(well, 30)
    chaos.set(**which)
    refused, end = 0, time.monotonic() + 3
    while time.monotonic() < end:
        visit(daemon)
        with contextlib.suppress(http.client.HTTPException):
            try:
                daemon.get("/-/healthy")
            except OSError:
                refused += 1
    chaos.set(**dict.fromkeys(which, 0))
    assert daemon.program.running(), daemon.log()[-6000:]
    assert chaos.get("failed") > 20 and refused > 3
    after = daemon.until(well, 60, "all to be up again")
    assert not [value for _, value in after.all("pgtls_probe_failures_total") if value]
    assert (after.value("pgtls_log_lines_lost_total") > 0) == (which.get("fail_bytes", 0) <= 1024)
    assert {line.partition("=")[0] for line in daemon.log().splitlines()} == {"time"}, "lines are whole, or are not there"


def test_discovery_without_memory(exporter, tmp_path):
    """Lists that cannot be read for want of it are tried again; what they said before stays in force."""
    chaos, targets = Chaos(tmp_path / "chaos"), tmp_path / "targets.json"

    def listed(port):
        return [{"targets": [f"127.0.0.1:{port}"]}]

    with Inventory(listed(1)) as inventory:
        targets.write_text(json.dumps(listed(2)))
        daemon = exporter({"discovery": [
            {"http_sd": {"url": inventory.url, "refresh_interval": "1s"}, "cluster": "http"},
            {"file_sd": {"files": [str(targets)], "refresh_interval": "1s"}, "cluster": "file"}]},
            environment=chaos.environment)

        def servers():
            return {(labels["pg_cluster"], labels["server"]) for labels, _ in daemon.scrape().all("pgtls_probe_interval_seconds")}

        before = {("http", "127.0.0.1:1"), ("file", "127.0.0.1:2")}
        wait_for(lambda: servers() == before, 20, "both lists")
        for which in ({"fail_every": 1}, {"fail_bytes": 4096}):
            asked, failed = len(inventory.asked), chaos.get("failed")
            inventory.tell(listed(3))
            targets.write_text(json.dumps(listed(4)))
            chaos.set(**which)
            time.sleep(4)
            chaos.set(**dict.fromkeys(which, 0))
            assert daemon.program.running(), daemon.log()[-6000:]
            assert chaos.get("failed") > failed
            wait_for(lambda: servers() == {("http", "127.0.0.1:3"), ("file", "127.0.0.1:4")}, 20, "what they say now")
            inventory.tell(listed(1))
            targets.write_text(json.dumps(listed(2)))
            wait_for(lambda: servers() == before, 20, "what they said before")
            assert len(inventory.asked) > asked
