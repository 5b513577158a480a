"""The benchmark's world: certificates, fake servers, exporters, and what the kernel says of them."""

import contextlib
import itertools
import os
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))

from lab import certs  # noqa: E402
from lab.exporter import Exporter  # noqa: E402
from lab.process import Program, clean_environment  # noqa: E402

DOMAIN = "bench.example"
WAYS_IN = ("write", "read", "admin", "reports")
FIRST_ADDRESS = 0x7f420001  # 127.66.0.1, as in bench_server.c
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class Bench:
    """Certificates, programs and the options of one run."""

    def __init__(self, directory, options):
        self.directory, self.options = directory, options
        self.build = Path(options.build).resolve()
        self.authority = certs.Authority("Benchmark Root")
        self.root = self.authority.write_certificate(directory / "root.crt")
        self.certificate, self.key = self.authority.issue("postgres", hosts=(f"*.{DOMAIN}",)).write(
            directory, "server")
        self.bundle = directory / "bundle.pem"
        self.bundle.write_bytes(SYSTEM_BUNDLE.read_bytes() + Path(self.root).read_bytes())
        self.names = (f"run{i}" for i in itertools.count())

    def program(self, name):
        return self.build / "tests" / "bench" / name

    @contextlib.contextmanager
    def servers(self, count, *flags):
        servers = Servers(self, count, flags)
        try:
            yield servers
            if not servers.program.running():
                raise RuntimeError(f"bench_server ended: {servers.program.log()[-500:]}")
        finally:
            servers.program.stop()

    def exporter(self, targets, workers=2, *, in_flight=None, log_level="info", environment=None, ready=True,
                 **defaults):
        """The exporter on these servers: user set, verify-full; no login unless asked for."""
        return self.exporter_of(configuration(targets, self.root, defaults, in_flight), workers, log_level=log_level,
                                environment=environment, ready=ready)

    def exporter_of(self, whole, workers=2, *, log_level="info", environment=None, ready=True):
        return Exporter(self.directory / next(self.names), whole, workers=workers,
                        binary=self.build / "pgtls_exporter", log_level=log_level, ready=ready,
                        environment=environment)

    def run(self, name, *arguments, lines="", environment=None):
        """The output of one of our programs, and the CPU that it took, in seconds."""
        process = subprocess.Popen([self.program(name), *map(str, arguments)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, env=clean_environment(**(environment or {})))
        process.stdin.write(lines)
        process.stdin.close()
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode:
            raise RuntimeError(f"{name} ended with {process.returncode}")
        return output, usage.ru_utime + usage.ru_stime


class Servers:
    """bench_server: many PostgreSQLs in one thread."""

    def __init__(self, bench, count, flags):
        self.counter = bench.directory / next(bench.names)
        log = bench.directory / next(bench.names)
        self.program = Program([bench.program("bench_server"), *flags, bench.certificate, bench.key,
                                self.counter, count], log)
        self.program.wait_ready(lambda: self.program.log().endswith("ready\n"), 60)
        self.targets = [line.split() for line in self.program.log().splitlines()[:-1]]

    def counts(self):
        """Inspects, logins and handshakes answered until now."""
        return struct.unpack("=3Q", self.counter.read_bytes())

    def answered(self):
        return self.counts()[0]

    def lines(self):
        return "".join(f"{address} {port}\n" for address, port in self.targets)


def configuration(targets, root, defaults, in_flight=None):
    """Clusters of four endpoints each; names by SNI and host, addresses by hostaddr."""
    clusters = []
    for i, (address, port) in enumerate(targets):
        name, way = f"cluster-{i // len(WAYS_IN):04}", WAYS_IN[i % len(WAYS_IN)]
        if not clusters or clusters[-1]["name"] != name:
            clusters.append({"name": name, "endpoints": {}})
        clusters[-1]["endpoints"][way] = {"host": f"{name}-{way}.{DOMAIN}", "hostaddr": address, "port": int(port)}
    whole = {"defaults": {"sslmode": "verify-full", "sslrootcert": str(root), "user": "monitor",
                          "dbname": "monitor", "login": False, "timeout": "5s", **defaults}, "clusters": clusters}
    if in_flight:
        whole["limits"] = {"in_flight": in_flight}
    return whole


def index_of(address):
    """Which server has this address."""
    a, b, c, d = (int(part) for part in address.split("."))
    return ((a << 24) + (b << 16) + (c << 8) + d) - FIRST_ADDRESS


# --- what the kernel says --------------------------------------------------------------------------

def cpu_seconds(pid, threads=lambda name: True):
    """Time on a CPU of a process's threads whose name passes, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        if threads((task / "comm").read_text().strip()):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory_mb(pid, field="VmRSS"):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(field)


# --- what the exporter says ------------------------------------------------------------------------

def total(text, name):
    """The sum of all series of a name; parsing everything would cost more than the scrape."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines()
               if line.startswith((name + "{", name + " ")))


def lag_buckets(text):
    lines = [line for line in text.splitlines() if line.startswith("pgtls_scheduler_lag_seconds_bucket{")]
    return {line.partition('le="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def lag_bound(before, after, quantile):
    """The bound, in seconds, of the bucket of the scheduler's lag in which the quantile lies."""
    before, after = lag_buckets(before), lag_buckets(after)
    counts = {bound: after[bound] - before.get(bound, 0) for bound in after}
    return next((bound for bound, count in counts.items() if count >= quantile * counts["+Inf"]), "+Inf")


def settled(exporter, servers, count, seconds=120):
    """Waits until that many more inspects were answered."""
    end = servers.answered() + count
    deadline = time.monotonic() + seconds
    while servers.answered() < end:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{end - servers.answered()} answers are missing: {exporter.log()[-500:]}")
        time.sleep(0.05)


# --- figures ---------------------------------------------------------------------------------------

def spread(values):
    """(min, median, max)."""
    return min(values), statistics.median(values), max(values)


def quantile(values, q):
    """Not a number where nothing was measured: a table tells so, and goes on."""
    if not values:
        return float("nan")
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]
