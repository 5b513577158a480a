"""What happens when the machine itself misbehaves (docs/chaos.md): each outcome is stated there and tried here."""

import collections
import contextlib
import fcntl
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from lab.dns import SERVFAIL, Dns, asking
from lab.exporter import BINARY, Exporter, endpoint_of, one_cluster
from lab.process import Program, wait_for

LOST = "pgtls_log_lines_lost_total"
SANITIZED = bool(os.environ.get("PGTLS_SANITIZE"))


def probes(metrics):
    return metrics.sum("pgtls_probes_total")


def goes_on(daemon, more=20):
    """It still probes and answers."""
    before = probes(daemon.scrape())
    return daemon.until(lambda m: probes(m) >= before + more, 30, f"{more} more probes")


def refused(n, **more):
    """Endpoints at ports where nobody listens."""
    return {f"e{i}": {"host": f"127.0.8.{i % 250 + 1}", "port": 1, **more} for i in range(n)}


@pytest.fixture
def good(lab, trust):
    """Endpoints at a good server, and defaults for them."""
    server = lab.postgres()
    endpoints = {f"e{i}": endpoint_of(server, user="u_trust", dbname="app", login=False) for i in range(8)}
    return endpoints, {"sslrootcert": str(trust.root_file), "interval": "200ms"}


# The log ----------------------------------------------------------------------------------------
class Talker:
    """An exporter that says much, to a pipe that only we read."""

    def __init__(self, directory, exporter, endpoints):
        self.pipe = directory / "stderr"
        os.mkfifo(self.pipe)
        self.reader = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, 4096)
        wrapper = directory / "to-pipe"
        wrapper.write_text(f'#!/bin/sh\nexec "{BINARY}" "$@" 2>"{self.pipe}"\n')
        wrapper.chmod(0o755)
        address = f"unix:{directory}/http.sock"
        self.daemon = exporter(one_cluster(endpoints, {"interval": "100ms", "timeout": "5s"}), binary=wrapper,
                               listen=[address], log_level="debug", ready=False)
        self.daemon.addresses = [address]

    def read(self):
        """What there is now."""
        pieces = []
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.reader, 1 << 16):
                pieces.append(piece)
        return b"".join(pieces).decode()


def test_a_reader_of_the_log_that_stops(tmp_path, exporter):
    """Nobody waits for it, and what is lost is counted to the line."""
    talker = Talker(tmp_path, exporter, refused(100))
    daemon, said = talker.daemon, []

    def ready():
        said.append(talker.read())
        return 'msg="Listening on"' in "".join(said)
    wait_for(ready, 20, "the beginning of the log")
    lost = daemon.until(lambda m: m.value(LOST) > 100, 60, "lines to be lost")
    goes_on(daemon, 200)
    assert daemon.get("/health/database?brief=1").status == 503
    assert lost.sum("pgtls_probe_internal_errors_total") == 0

    def told():
        said.append(talker.read())
        return re.search(r'msg="Lines of the log were lost" lines=(\d+)', "".join(said))
    assert int(wait_for(told, 20, "a line about those that were lost")[1]) > 100
    assert daemon.stop() == 0  # though nobody reads the end
    os.close(talker.reader)


@contextlib.contextmanager
def small_disk(directory, size):
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "pgtls-small", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_full_disk_under_the_log(tmp_path, exporter):
    with small_disk(tmp_path / "disk", "256k") as disk:
        daemon = exporter(one_cluster(refused(20), {"interval": "100ms"}), log_level="debug")
        daemon.stop()
        daemon = Exporter(disk / "d", one_cluster(refused(20), {"interval": "100ms"}), log_level="debug")
        try:
            daemon.until(lambda m: m.value(LOST) > 50, 60, "lines to be lost")
            metrics = goes_on(daemon, 100)
            assert metrics.sum("pgtls_probe_internal_errors_total") == 0
            os.truncate(daemon.program.log_path, 0)  # as a rotation does
            wait_for(lambda: 'msg="Lines of the log were lost"' in daemon.log(), 20, "that to be told")
        finally:
            os.truncate(daemon.program.log_path, 0)
            assert daemon.stop() == 0


# Time -------------------------------------------------------------------------------------------
def test_stopped_and_continued(lab, trust, exporter):
    """While it was stopped servers have answered: none is blamed, and what was missed is not made up for."""
    server = lab.misbehave("healthy", backlog=2048)
    daemon = exporter(one_cluster({f"e{i}": endpoint_of(server, user="u", dbname="d", login=False) for i in range(60)},
                                  {"sslrootcert": str(trust.root_file), "interval": "100ms", "timeout": "2s"}))
    before = daemon.settled()
    for _ in range(2):
        daemon.program.signal(signal.SIGSTOP)
        time.sleep(4)
        daemon.program.signal(signal.SIGCONT)
        goes_on(daemon)
    after = daemon.scrape()
    assert after.sum("pgtls_probe_failures_total") == before.sum("pgtls_probe_failures_total") == 0
    assert after.value("pgtls_probes_skipped_total") > before.value("pgtls_probes_skipped_total")
    assert after.sum("pgtls_up") == 60


# Names ------------------------------------------------------------------------------------------
def test_a_resolver_that_fails_and_comes_back(tmp_path, lab, trust, exporter):
    """What needs names says so; what does not goes on, sessions too; all is well when names are back."""
    server = lab.postgres()
    with contextlib.closing(Dns({"db.test": ["127.0.0.1"]})) as dns:
        resolv = tmp_path / "resolv.conf"
        resolv.write_text(f"nameserver {dns.address}\n")
        common = {"port": server.port, "user": "u_trust", "dbname": "app", "sslmode": "require"}
        daemon = exporter(one_cluster({"named": {"host": "db.test", "session": [{"idle": "1s"}], **common},
                                       "numeric": {"host": "127.0.0.1", **common}},
                                      {"interval": "500ms", "timeout": "3s"}), binary=asking(tmp_path, resolv))
        daemon.until(lambda m: m.sum("pgtls_up") == 2 and m.value("pgtls_session_up", pg_endpoint="named") == 1, 20)
        for trouble, fault in ((SERVFAIL, "dns_temporary"), ("silent", "dns_timeout")):
            dns.zone["db.test"] = trouble
            metrics = daemon.until(lambda m: m.all("pgtls_fault_active", fault=fault), 30, fault)
            assert metrics.labels("pgtls_fault_active")["pg_endpoint"] == "named"
            assert metrics.value("pgtls_up", pg_endpoint="numeric") == 1
            assert metrics.value("pgtls_session_up", pg_endpoint="named") == 1
        dns.zone["db.test"] = ["127.0.0.1"]
        metrics = daemon.until(lambda m: m.sum("pgtls_up") == 2, 30, "the name to work again")
        assert metrics.sum("pgtls_session_drops_total") == 0
        assert metrics.sum("pgtls_probe_failures_total", pg_endpoint="numeric") == 0


# Visitors ---------------------------------------------------------------------------------------
CROWD = 10000
MOST_CLIENTS = 512  # of MAX_CLIENTS in src/expose/http.c


def test_ten_thousand_scrapers_at_once(good, exporter):
    """As many as there is room for are served, the others let go; probes do not notice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CROWD + 500), max(hard, CROWD + 500)))
    endpoints, defaults = good
    daemon = exporter(one_cluster(endpoints, defaults), limits=[(resource.RLIMIT_NOFILE, (16384, 16384))])
    daemon.settled()
    host, port = daemon.addresses[0].rsplit(":", 1)
    files, memory = daemon.open_files(), daemon.resident_bytes()
    crowd = []
    try:
        for _ in range(CROWD):
            one = socket.socket()
            one.setblocking(False)
            crowd.append(one)
            one.connect_ex((host, int(port)))
        for one in crowd:
            with contextlib.suppress(OSError):
                one.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: daemon.open_files() < files + MOST_CLIENTS + 100, 60, "those without room to be let go")
        assert daemon.resident_bytes() - memory < (400 if SANITIZED else 100) * 2**20
        wait_for(lambda: answered(daemon), 30, "somebody who comes now to be answered")
        got = collections.Counter(status_of(one) for one in crowd)
        assert got.keys() <= {b"200", b"503", b"gone", b"waits"} and got[b"200"] > 0 and got[b"503"] > 0, got
    finally:
        for one in crowd:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: daemon.open_files() <= files + 20, 60, "descriptors to be given back")
    after = goes_on(daemon)
    assert after.sum("pgtls_probe_failures_total") == after.sum("pgtls_probe_internal_errors_total") == 0


def status_of(client):
    """What the first bytes of an answer say; b"gone" if there is none and the connection is over."""
    try:
        return client.recv(1 << 16).partition(b" ")[2][:3] or b"gone"
    except BlockingIOError:
        return b"waits"
    except OSError:
        return b"gone"


def answered(daemon):
    with contextlib.suppress(OSError):
        return daemon.get("/metrics").status == 200
    return False


# Memory -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("what", ["descriptors", *([] if SANITIZED else ["address_space"])])
def test_nothing_more_to_be_had(what, tls, good, trust, exporter, tmp_path):
    """None of it is blamed on a server, and all is well when there is some again."""
    endpoints, defaults = good
    more = {}
    if tls:
        cert, key = trust.root.issue().write(tmp_path, "web")
        (tmp_path / "web.yml").write_text(f"tls_server_config: {{cert_file: {cert}, key_file: {key}}}\n")
        more = {"arguments": [f"--web.config.file={tmp_path / 'web.yml'}"],
                "tls": ssl.create_default_context(cafile=trust.root_file)}
    daemon = exporter(one_cluster(endpoints, defaults), **more)
    daemon.settled()
    limit = resource.RLIMIT_NOFILE if what == "descriptors" else resource.RLIMIT_AS
    before = resource.prlimit(daemon.pid, limit)
    if what == "descriptors":
        few = daemon.open_files() + 2
    else:
        few = int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(daemon.pid, limit, (few, before[1]))
    try:
        for _ in range(20):
            with contextlib.suppress(OSError, RuntimeError):
                daemon.scrape()
            time.sleep(0.1)
    finally:
        resource.prlimit(daemon.pid, limit, before)
    assert daemon.program.running()
    after = goes_on(daemon)
    assert daemon.until(lambda m: m.sum("pgtls_up") == len(endpoints), 20)
    assert after.sum("pgtls_probe_failures_total") == 0
