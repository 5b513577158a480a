#!/usr/bin/python3
"""What the exporter costs, printed as tables. Nothing here is asserted: machines differ. What can be
compared across machines are the ratios, each taken within one run.

    cmake --preset release && cmake --build --preset release
    tests/bench/bench.py --build build/release
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from lab import certs  # noqa: E402
from lab.exporter import Exporter  # noqa: E402
from lab.process import Program, clean_environment, temporary_directory, wait_for  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "bench.example"
WAYS_IN = ("write", "read", "admin", "reports")
WARM_UP = 4  # seconds until the exporter has learned every chain and keeps its rhythm
TICK = os.sysconf("SC_CLK_TCK")
SCRAPES = 30


# --- what is measured -----------------------------------------------------------------------------

class Bench:
    """Certificates, programs and the options of one run."""

    def __init__(self, directory, options):
        self.directory, self.options = directory, options
        self.build = Path(options.build).resolve()
        authority = certs.Authority("Benchmark Root")
        self.root = authority.write_certificate(directory / "root.crt")
        self.certificate, self.key = authority.issue("postgres", hosts=(f"*.{DOMAIN}",)).write(
            directory, "server")
        self.names = (f"run{i}" for i in itertools.count())

    def program(self, name):
        return self.build / "tests" / "bench" / name

    @contextlib.contextmanager
    def servers(self, hang=()):
        servers = Servers(self, hang)
        try:
            yield servers
            if not servers.program.running():
                raise RuntimeError(f"bench_server ended: {servers.program.log()[-500:]}")
        finally:
            servers.program.stop()

    def exporter(self, servers, **defaults):
        """The exporter on these servers: user set, verify-full, no login."""
        directory = self.directory / next(self.names)
        return Exporter(directory, configuration(servers, self.root, defaults), workers=2,
                        binary=self.build / "pgtls_exporter")


class Servers:
    """bench_server: many PostgreSQLs in one thread."""

    def __init__(self, bench, hang):
        self.counter = bench.directory / "answered"
        log = bench.directory / next(bench.names)
        self.program = Program([bench.program("bench_server"), bench.certificate, bench.key,
                                self.counter, bench.options.servers, *hang], log)
        self.program.wait_ready(lambda: self.program.log().endswith("ready\n"))
        self.targets = [line.split() for line in self.program.log().splitlines()[:-1]]

    def answered(self):
        return struct.unpack("=Q", self.counter.read_bytes())[0]


def configuration(targets, root, defaults):
    """Clusters of four endpoints each; names by SNI and host, addresses by hostaddr."""
    clusters = []
    for i, (address, port) in enumerate(targets):
        cluster, way = f"cluster-{i // len(WAYS_IN):03}", WAYS_IN[i % len(WAYS_IN)]
        if not clusters or clusters[-1]["name"] != cluster:
            clusters.append({"name": cluster, "endpoints": {}})
        clusters[-1]["endpoints"][way] = {"host": f"{cluster}-{way}.{DOMAIN}", "hostaddr": address,
                                          "port": int(port)}
    return {"defaults": {"sslmode": "verify-full", "sslrootcert": str(root), "user": "monitor",
                         "dbname": "monitor", "login": False, "timeout": "5s", **defaults},
            "limits": {"in_flight": max(1024, 2 * len(targets))}, "clusters": clusters}


def cpu_seconds(pid, threads=None):
    """User and system time of a process, or of those of its threads whose name passes."""
    def of(path):
        fields = path.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK
    process = Path(f"/proc/{pid}")
    if threads is None:
        return of(process / "stat")
    return sum(of(task / "stat") for task in (process / "task").iterdir()
               if threads((task / "comm").read_text().strip()))


def resident_mib(pid, field="VmRSS"):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def total(text, name):
    """The sum of all series of a name; parsing everything would cost more than the scrape."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines()
               if line.startswith((name + "{", name + " ")))


def lag_buckets(text):
    lines = [line for line in text.splitlines()
             if line.startswith("pgtls_scheduler_lag_seconds_bucket{")]
    return {line.partition('le="')[2].partition('"')[0]: float(line.rpartition(" ")[2])
            for line in lines}


def quantile_bound(before, after, quantile):
    """The bound of the bucket in which the quantile lies."""
    counts = {bound: after[bound] - before[bound] for bound in after}
    for bound, count in counts.items():
        if count >= quantile * counts["+Inf"]:
            return bound
    return "+Inf"


# --- CPU per probe --------------------------------------------------------------------------------

def bare_loop(bench, servers):
    """CPU per probe of bench_bare, in microseconds, at the rate at which the exporter probes."""
    lines = "".join(f"{address} {port}\n" for address, port in servers.targets)
    output = subprocess.run(
        [bench.program("bench_bare"), bench.root, f"any.{DOMAIN}", str(bench.options.servers),
         str(bench.options.seconds)], input=lines, text=True, capture_output=True, check=True,
        env=clean_environment())
    result = json.loads(output.stdout)
    if result["failed"] or result["unfinished"]:
        print(f"The bare loop did not complete all its probes: {result} {output.stderr}")
    return result["cpu_us_per_probe"]


def exporter_loop(bench, servers):
    """The same of the exporter, with what it says about its punctuality."""
    with bench.exporter(servers.targets, interval="1s") as exporter:
        time.sleep(WARM_UP)
        before = exporter.get("/metrics").text
        answered, cpu = servers.answered(), cpu_seconds(exporter.pid)
        server_cpu, start = cpu_seconds(servers.program.pid), time.monotonic()
        time.sleep(bench.options.seconds)
        answered, cpu = servers.answered() - answered, cpu_seconds(exporter.pid) - cpu
        server_cpu, passed = cpu_seconds(servers.program.pid) - server_cpu, time.monotonic() - start
        after = exporter.get("/metrics").text
        lag = [lag_buckets(text) for text in (before, after)]
        return {
            "us": cpu / answered * 1e6,
            "server_us": server_cpu / answered * 1e6,
            "rate": answered / passed,
            "skipped": total(after, "pgtls_probes_skipped_total") - total(before, "pgtls_probes_skipped_total"),
            "failed": total(after, "pgtls_probe_failures_total"),
            "up": total(after, "pgtls_up"),
            "lag_p50": quantile_bound(*lag, 0.5),
            "lag_p99": quantile_bound(*lag, 0.99),
        }


def measure_cpu(bench):
    rounds = []
    title(f"CPU per TLS probe: {bench.options.servers} servers at 1 s, user set, no login, "
          f"{bench.options.seconds} s per loop")
    head("round", "bare µs", "exporter µs", "ratio", "probes/s", "skipped", "failed", "up",
        "lag p50 ≤", "lag p99 ≤", "server µs")
    with bench.servers() as servers:
        for i in range(bench.options.rounds):
            # Bare before and after, so that what changes on the machine falls on both alike.
            bare = bare_loop(bench, servers)
            ours = exporter_loop(bench, servers)
            bare = (bare + bare_loop(bench, servers)) / 2
            rounds.append((bare, ours))
            row(i + 1, f"{bare:.0f}", f"{ours['us']:.0f}", f"{ours['us'] / bare:.3f}",
                f"{ours['rate']:.0f}", f"{ours['skipped']:.0f}", f"{ours['failed']:.0f}",
                f"{ours['up']:.0f}", ours["lag_p50"], ours["lag_p99"], f"{ours['server_us']:.0f}")
    median = statistics.median
    row("median", f"{median(bare for bare, _ in rounds):.0f}",
        f"{median(ours['us'] for _, ours in rounds):.0f}",
        f"{median(ours['us'] / bare for bare, ours in rounds):.3f}", *[""] * 7)
    print("Goals: ratio ≤ 1.1, nothing skipped.")


# --- /metrics -------------------------------------------------------------------------------------

FORMATS = {
    "text": {"Accept": "text/plain"},
    "OpenMetrics": {"Accept": "application/openmetrics-text; version=1.0.0"},
    "text, gzip": {"Accept": "text/plain", "Accept-Encoding": "gzip"},
    "OpenMetrics, gzip": {"Accept": "application/openmetrics-text; version=1.0.0",
                          "Accept-Encoding": "gzip"},
}


def scrape(exporter, headers):
    """Seconds and bytes of one scrape, connection included."""
    start = time.perf_counter()
    answer = exporter.request("GET", "/metrics", headers)
    return time.perf_counter() - start, len(answer.body), answer


def not_probing(thread):
    return not thread.startswith("probe-")


def scrapes_of(exporter, headers):
    cpu = cpu_seconds(exporter.pid, not_probing)
    results = [scrape(exporter, headers) for _ in range(SCRAPES)]
    cpu = (cpu_seconds(exporter.pid, not_probing) - cpu) / SCRAPES
    return [seconds for seconds, _, _ in results], results[-1][1], cpu


def measure_metrics(bench):
    title(f"/metrics of {bench.options.servers} servers, {SCRAPES} scrapes each")
    head("exporter", "format", "bytes", "series", "median ms", "fastest ms", "CPU ms", "MB/s of CPU")
    for load, interval in (("quiet", "1h"), ("probing at 1 s", "1s")):
        with bench.servers() as servers, bench.exporter(servers.targets, interval=interval) as exporter:
            wait_for(lambda: servers.answered() >= bench.options.servers, 60, "every server probed")
            time.sleep(1)
            for name, headers in FORMATS.items():
                seconds, size, cpu = scrapes_of(exporter, headers)
                plain = scrape(exporter, {k: v for k, v in headers.items() if k == "Accept"})[2].text
                series = sum(1 for line in plain.splitlines() if line and line[0] != "#")
                row(load, name, size, series, f"{statistics.median(seconds) * 1e3:.1f}",
                    f"{min(seconds) * 1e3:.1f}", f"{cpu * 1e3:.1f}",
                    f"{len(plain.encode()) / cpu / 1e6:.0f}" if cpu else "")
    print("Goal: ≤ 50 ms. Times are of a client in Python that shares the cores; CPU is that of the "
          "threads that serve HTTP; MB/s counts bytes before compression.")


# --- memory ---------------------------------------------------------------------------------------

def memory_row(what, exporter):
    before = resident_mib(exporter.pid)
    exporter.get("/metrics")
    row(what, f"{before:.1f}", f"{resident_mib(exporter.pid):.1f}",
        f"{resident_mib(exporter.pid, 'VmHWM'):.1f}")


def measure_memory(bench):
    count = bench.options.servers
    title("Resident memory, MiB")
    head("exporter with", "before a scrape", "after a scrape", "peak")
    with bench.servers() as servers:
        with bench.exporter(servers.targets[:1], interval="1h") as exporter:
            time.sleep(2)
            memory_row("1 server, idle", exporter)
        answered = servers.answered()
        with bench.exporter(servers.targets, interval="1s") as exporter:
            wait_for(lambda: servers.answered() - answered >= 5 * count, 120, "five probes of each")
            memory_row(f"{count} servers probed each second", exporter)
    for stage in ("ssl_request", "tls", "startup"):
        with bench.servers(hang=(stage,)) as servers, \
                bench.exporter(servers.targets, interval="60s", timeout="60s") as exporter:
            wait_for(lambda: exporter.open_files() > count, 60, "all of them to hang")
            time.sleep(1)
            memory_row(f"{count} servers that hang in {stage}", exporter)
    print("Goal: ≤ 60 MiB with a thousand hanging servers.")


# --- one probe by hand -----------------------------------------------------------------------------

SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PROBES = 20


def timed(argv, environment):
    """Wall and CPU seconds of a program, and what it wrote."""
    start = time.perf_counter()
    process = subprocess.Popen(argv, env=clean_environment(**environment), stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = 0
    process.stdout.close()
    return wall, usage.ru_utime + usage.ru_stime, output


def measure_probe(bench):
    """What `probe` adds to the server's own time: loading, reading the trust store, side attempts, telling."""
    bundle = bench.directory / "bundle.pem"
    bundle.write_bytes(SYSTEM_BUNDLE.read_bytes() + Path(bench.root).read_bytes())
    rows = {"a CA file": (f"sslmode=verify-full sslrootcert={bench.root}", {}),
            "the system's bundle": ("sslmode=verify-full sslrootcert=system", {"SSL_CERT_FILE": str(bundle)}),
            "no TLS, TLS tried aside": ("sslmode=disable", {"SSL_CERT_FILE": str(bundle)})}
    title(f"`probe` of a server that answers at once, {PROBES} times each, medians in ms")
    head("trust", "whole program", "the probe itself", "difference", "smallest", "CPU")
    with bench.servers() as servers:
        address, port = servers.targets[0]
        for name, (mode, environment) in rows.items():
            argv = [bench.build / "pgtls_exporter", "probe", "--json", "--no-login",
                    f"host=any.{DOMAIN} hostaddr={address} port={port} user=monitor {mode}"]
            results = []
            for _ in range(PROBES):
                wall, cpu, output = timed(argv, environment)
                results.append((wall, json.loads(output)["servers"][0]["seconds"], cpu))
            walls, seconds, cpus = zip(*results)
            extra = [wall - own for wall, own in zip(walls, seconds)]
            row(name, *(f"{statistics.median(values) * 1e3:.1f}" for values in (walls, seconds, extra)),
                f"{min(extra) * 1e3:.1f}", f"{statistics.median(cpus) * 1e3:.1f}")
    print("Goal: a difference ≤ 50 ms.")


# --- tables ---------------------------------------------------------------------------------------

def title(text):
    print(f"\n## {text}\n")


def row(*cells):
    """A row of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(*cells):
    row(*cells)
    row(*["---"] * len(cells))


SECTIONS = {"cpu": measure_cpu, "metrics": measure_metrics, "memory": measure_memory, "probe": measure_probe}


def machine():
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown CPU")
    openssl = subprocess.run(["openssl", "version"], text=True, capture_output=True, check=False).stdout
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{model}, {os.cpu_count()} cores, load {load}; Linux {os.uname().release}; {openssl.strip()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=ROOT / "build" / "release", help="build directory")
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10, help="of each measured loop")
    parser.add_argument("--rounds", type=int, default=3, help="of bare loop, exporter, bare loop")
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=list(SECTIONS))
    options = parser.parse_args()
    print(machine())
    with temporary_directory() as directory:
        bench = Bench(directory, options)
        for name in options.only:
            SECTIONS[name](bench)


if __name__ == "__main__":
    main()
