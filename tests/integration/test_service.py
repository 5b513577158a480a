"""Under a service manager: what it is told, when it hears no more, and what its sandbox takes away."""

import os
import re
import time
from pathlib import Path

import pytest

from conftest import PASSWORD
from lab import manager as lab_manager, process
from lab.exporter import BINARY, Exporter, endpoint_of, one_cluster
from lab.servers import ROOT

NOBODY = one_cluster({"write": {"host": "127.0.0.1", "port": 1}})
UNIT = ROOT / "packaging" / "systemd" / "pgtls_exporter.service.in"
PATIENCE = 1.0


@pytest.fixture(params=["path", "abstract"])
def manager(request, scratch):
    name = scratch / "notify" if request.param == "path" else f"@pgtls-{os.getpid()}-notify"
    with lab_manager.Manager(name) as one:
        yield one
    if request.param == "path":
        name.unlink()


@pytest.fixture
def watching(scratch):
    with lab_manager.Manager(scratch / "watching") as one:
        yield one
    (scratch / "watching").unlink()


def test_it_says_when_it_is_ready_when_it_reloads_and_when_it_ends(manager, exporter):
    daemon = exporter(NOBODY, environment=manager.environment(), ready=False)
    manager.until("READY")
    daemon.addresses = process.wait_for(daemon._listening, 10, daemon.log)  # the log is written on the side
    assert daemon.get("/-/ready").status == 200
    assert manager.heard == [{"STATUS": "Watching 1 server of 1 endpoint"}, {"READY": "1"}]

    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    daemon.reload()
    reloading = manager.until("RELOADING")
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.until("READY")

    daemon.write("clusters: [{name: lab")
    daemon.reload()
    manager.until("RELOADING")
    assert manager.until("STATUS") == {
        "STATUS": "Watching 1 server of 1 endpoint; a file has errors, what it said before stays in force"}
    manager.until("READY")

    assert daemon.request("POST", "/-/reload").status == 500
    manager.until("RELOADING")
    manager.until("READY")

    assert daemon.stop() == 0
    assert manager.until("STOPPING", 1)["STATUS"] == "Ending"
    assert not [message for message in manager.heard if "WATCHDOG" in message], "nobody asked for that"


@pytest.mark.parametrize("trouble", ["configuration", "address"])
def test_what_cannot_start_is_never_ready(watching, tmp_path, trouble):
    configuration = "clusters: [{name: lab" if trouble == "configuration" else NOBODY
    one = Exporter(tmp_path, configuration, environment=watching.environment(), ready=False,
                   listen=["127.0.0.1:0"] if trouble == "configuration" else ["192.0.2.1:1"])
    assert one.program.process.wait(20) == 1
    assert watching.silent("READY", 0.1)


def test_a_socket_of_another_kind_is_complained_about(exporter):
    daemon = exporter(NOBODY, environment={"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "100000"})
    assert daemon.told('notify_socket=vsock:2:1234')
    assert daemon.get("/-/ready").status == 200


def test_a_manager_that_went_away_is_no_obstacle(exporter, scratch):
    daemon = exporter(NOBODY, environment={"NOTIFY_SOCKET": str(scratch / "gone")})
    assert daemon.told("cannot be told")
    assert daemon.get("/-/ready").status == 200


def test_the_watchdog_of_another_process_is_not_ours(watching, exporter):
    exporter(NOBODY, environment=watching.environment(0.4, WATCHDOG_PID="1"))
    watching.until("READY")
    assert watching.silent("WATCHDOG", 1)


def test_the_journal_is_told_how_grave_a_line_is(exporter, tmp_path):
    """It takes "<4>" off again. Nobody else would, so that a redirected stderr has none."""
    directory = tmp_path / "journal"
    directory.mkdir()
    stream = (directory / "exporter.log")
    stream.touch()
    found = stream.stat()
    for names_it, first in ((f"{found.st_dev}:{found.st_ino}", "<6>time="), (f"{found.st_dev}:1", "time="),
                            ("", "time=")):
        stream.write_text("")
        one = Exporter(directory, NOBODY, environment={"JOURNAL_STREAM": names_it})
        process.wait_for(lambda: "level=WARN" in stream.read_text(), 10, stream.read_text)
        assert one.stop() == 0
        lines = stream.read_text().splitlines()
        assert lines[0].startswith(first), lines
        assert {line.startswith("<4>time=") for line in lines if "level=WARN" in line} == {first[0] == "<"}


def stands_still(watching, daemon, name, thread):
    """While one thread does nothing, the manager hears nothing."""
    with lab_manager.stopped(thread):
        time.sleep(PATIENCE * 3 / 4)  # what was asked before may still be answered, by each of a pair of threads
        watching.drain()
        assert watching.silent("WATCHDOG", PATIENCE), f"{name} stands still, and all is said to be well"
        if name != "pgtls_exporter":  # it is that one which would say it
            said = name if name.startswith("probe") else "HTTP at 127.0.0.1:"
            process.wait_for(lambda: re.search(f'does not answer.* thread="?{said}', daemon.log()), 10, daemon.log)
    watching.until("WATCHDOG")
    watching.until("WATCHDOG")


def test_a_thread_that_stands_still_ends_the_signs_of_life(watching, exporter):
    daemon = exporter(NOBODY, environment=watching.environment(PATIENCE), listen=("127.0.0.1:0", "127.0.0.1:0"))
    watching.until("WATCHDOG")
    found = [(name, thread) for name in ("pgtls_exporter", "probe-0", "probe-1", "probe-requests", "MHD-worker")
             for thread in lab_manager.threads(daemon.pid, name)]
    found = [(name, thread) for name, thread in found if name != "pgtls_exporter" or thread == daemon.pid]
    assert len(found) == 4 + 2 * 2
    for name, thread in found:
        stands_still(watching, daemon, name, thread)
    assert daemon.log().count("All threads answer again") == len(found) - 1


def test_signs_of_life_leave_no_descriptors_behind(watching, exporter):
    daemon = exporter(NOBODY, environment=watching.environment(0.04))
    watching.until("READY")
    process.wait_for(lambda: daemon.open_files() < 60, 5, "descriptors to settle")
    for _ in range(200):
        watching.until("WATCHDOG")
    assert daemon.open_files() < 60


def sandboxed(tmp_path):
    """The exporter as a program that first gives up what the unit takes from it."""
    program = tmp_path / "as-unit"
    program.write_text("#!/bin/sh\n"
                       f'exec /usr/bin/python3 -B {ROOT}/tests/tools/as_unit.py {UNIT} {BINARY} "$@"\n')
    program.chmod(0o755)
    return program


if not os.environ.get("PGTLS_SANITIZE"):  # whose own needs the unit does not leave
    def test_it_works_with_what_the_unit_leaves_it(lab, trust, exporter, tmp_path):
        """Probe, login and scrape; a password that arrives as systemd's credentials do."""
        credentials = tmp_path / "credentials"
        credentials.mkdir()
        password = credentials / "orders.password"
        password.write_text(PASSWORD)
        password.chmod(0o400)
        credentials.chmod(0o500)
        daemon = exporter(one_cluster({"write": endpoint_of(
            lab.postgres(), user="u_scram", dbname="app", sslrootcert=str(trust.root_file),
            password_file=str(password), session=[{"idle": "1s"}])}),
            binary=sandboxed(tmp_path))
        metrics = daemon.until(lambda m: m.value("pgtls_up") == 1, 45)
        assert abs(metrics.value("process_start_time_seconds") - time.time()) < 60
        assert metrics.value("process_open_fds") > 0
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        assert "Seccomp:\t2" in status
        assert "ermitted" not in daemon.log()
