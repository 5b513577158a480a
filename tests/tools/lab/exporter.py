"""The exporter under test: started on a configuration, asked over HTTP, stopped."""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from .exposition import Metrics
from .process import Program, clean_environment, threads_at_work, wait_for
from .servers import ROOT

BINARY = Path(os.environ.get("PGTLS_BINARY", ROOT / "build" / "dev" / "pgtls_exporter"))
_LISTENING = re.compile(r'msg="Listening on" address=(\S+)')

# What a test wants of an exporter unless it says otherwise: results at once, and no timeout because
# the machine is busy.
QUICK = {"interval": "200ms", "timeout": "15s", "login": {"interval": "1s"}}


def run(*arguments, binary=None, **environment):
    """Runs the program to its end: status, stdout, stderr."""
    return subprocess.run([binary or BINARY, *arguments], env=_environment(**environment), text=True,
                          capture_output=True, timeout=30, cwd="/", check=False)


def _environment(**more):
    sanitizers = {name: os.environ[name] for name in
                  ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS") if name in os.environ}
    return clean_environment(**{**sanitizers, **more})


def basic(user, password):
    """The value of Authorization."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def with_names(report, binary):
    """A sanitizer's report with functions and lines: in its sandbox the program cannot read them from its own file."""
    frame = re.compile(rf"(?:<null> <null> )?\((?:\S*/)?{re.escape(binary.name)}\+(0x[0-9a-f]+)\)")
    addresses = sorted(set(frame.findall(report)))
    if not addresses or not shutil.which("addr2line"):
        return report
    told = subprocess.run(["addr2line", "-fpse", binary, *addresses], text=True, capture_output=True, timeout=60,
                          check=False).stdout.splitlines()
    names = dict(zip(addresses, told))
    return frame.sub(lambda found: names.get(found[1], found[0]), report)


class Answer:
    """One HTTP answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, path, timeout=10):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Exporter:
    """A running exporter. `configuration` is a mapping, or the YAML text itself, or None (then
    `environment` must hold DATABASE_URL). `tls` is the context to ask it with, `authorization` the
    user and password to say, where its web configuration wants that."""

    def __init__(self, directory, configuration=None, *, arguments=(), environment=None, workers=2,
                 listen=("127.0.0.1:0",), limits=(), log_level="info", ready=True, binary=None,
                 tls=None, authorization=None, unprivileged=False):
        self.tls, self.authorization = tls, authorization
        self.may_be_refused = False  # a system call, by its own sandbox
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.file = self.directory / "pgtls.yml"
        self.binary = Path(binary or BINARY)
        argv = [self.binary, f"--log.level={log_level}", f"--workers={workers}"]
        if configuration is not None:
            self.write(configuration)
            argv.append(f"--config.file={self.file}")
        argv += [f"--web.listen-address={address}" for address in listen]
        self.program = Program([*argv, *arguments], self.directory / "exporter.log", limits=limits,
                               unprivileged=unprivileged, environment=_environment(**(environment or {})))
        self.pid = self.program.pid
        self.addresses = []
        if ready:
            self.program.wait_ready(lambda: len(self._listening()) >= len(listen), 20)
            self.addresses = self._listening()
            self.program.wait_ready(lambda: self.get("/-/ready").status == 200, 20)

    def _listening(self):
        return _LISTENING.findall(self.log())

    def write(self, configuration):
        """Replaces the configuration file; reload() or SIGHUP makes it count."""
        text = configuration if isinstance(configuration, str) else json.dumps(configuration, indent=1)
        self.file.write_text(text)

    def log(self):
        """What it has said. Lines are written by a thread of their own, and said after the metric that they go with: so
        each thread may first end what it is doing, and that one what they had to say. Within bounds: one is busy."""
        deadline = time.monotonic() + 2
        for wanted in (lambda name: name != "log", lambda name: name == "log"):
            running = threads_at_work(self.pid, wanted)
            while running and time.monotonic() < deadline:
                time.sleep(0.001)
                running &= threads_at_work(self.pid, wanted)
        return self.program.log()

    def told(self, text, at_least=1):
        """The lines of the log with this text. As many are waited for as there have to be."""
        def lines():
            return [line for line in self.log().splitlines() if text in line]
        wait_for(lambda: len(lines()) >= at_least, 10, lambda: f"the log to tell {text!r}: {self.log()[-3000:]}")
        return lines()

    def connection(self, address=None, timeout=10):
        address = address or self.addresses[0]
        if address.startswith("unix:"):
            return UnixConnection(address[len("unix:"):], timeout)
        host, port = address.rsplit(":", 1)
        if self.tls:
            return http.client.HTTPSConnection(host.strip("[]"), int(port), timeout=timeout, context=self.tls)
        return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)

    def request(self, method, path, headers=None, body=None, address=None, timeout=10):
        connection = self.connection(address, timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        if self.authorization:
            named.setdefault("Authorization", basic(*self.authorization))
        return self.request("GET", path, headers=named)

    def scrape(self):
        answer = self.get("/metrics")
        if answer.status != 200:
            raise RuntimeError(f"/metrics: {answer.status} {answer.body[:200]!r}")
        return Metrics(answer.text)

    def health(self, path="", query=""):
        return self.get(f"/health/database{path}{'?' + query if query else ''}").json()

    def server_health(self, cluster, endpoint="write"):
        """The health of the only server of an endpoint."""
        (found,) = self.health(f"/{cluster}/{endpoint}")["endpoints"]
        (server,) = found["servers"]
        return server

    def until(self, condition, seconds=15, what="the metrics to say so"):
        """The first scrape for which condition(metrics) holds."""
        last = []

        def ask():
            last[:] = [self.scrape()]
            return last[0] if condition(last[0]) else None

        def trouble():
            text = what(last[0]) if callable(what) else what
            return f"{text}\n--- the end of its log:\n{self.log()[-3000:]}"
        return wait_for(ask, seconds, trouble)

    def settled(self, seconds=20, at_least=1):
        """A scrape after every server has had `at_least` complete probes of each kind it can have:
        up or not is known."""
        def unknown(metrics):
            return [labels["pg_endpoint"] for labels, value in metrics.all("pgtls_probes_total", probe="inspect")
                    if value < at_least or not metrics.all("pgtls_up", **labels_of_server(labels))]
        return self.until(lambda m: m.all("pgtls_probes_total") and not unknown(m), seconds,
                          lambda m: f"these endpoints to be known: {unknown(m)}")

    def reload(self):
        self.program.signal(signal.SIGHUP)

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_bytes(self):
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGESIZE")

    def stop(self):
        """Asks it to end; returns its exit status. A sanitizer's report is a failure, and so is a system call
        that its own sandbox refuses: every integration test is a test of that list, too."""
        status = self.program.stop()
        log = self.log()
        if status == -signal.SIGSYS:
            raise AssertionError(f"ended by its sandbox:\n{log[-6000:]}")
        for sign in ("AddressSanitizer", "runtime error:", "LeakSanitizer", "ThreadSanitizer",
                     *(() if self.may_be_refused else ("The sandbox has refused",))):
            if sign in log:
                report = log[log.index(sign) - 200 if log.index(sign) > 200 else 0:][:6000]
                raise AssertionError(f"{sign}:\n{with_names(report, self.binary)}")
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def labels_of_server(labels):
    """Only those labels that say which server a series is about."""
    return {name: labels[name] for name in ("pg_cluster", "pg_endpoint", "server")}


def endpoint_of(server, **more):
    """The configuration of an endpoint at a lab server."""
    return {"host": server.address, "port": server.port, **more}


def one_cluster(endpoints, defaults=None, name="lab"):
    """A configuration of one cluster with these endpoints (name → mapping)."""
    return {"defaults": {**QUICK, **(defaults or {})},
            "clusters": [{"name": name, "endpoints": endpoints}]}
