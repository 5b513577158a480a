"""The exporters that others use, as Debian packages them: they join where they are installed."""

import collections
import http.client
import itertools
import re
import shutil
import subprocess
import threading
import time

from lab.process import Port, accepts, clean_environment, wait_for
from lab.servers import Postgres

from world import DOMAIN, cpu_seconds, index_of, memory_mb, spread

SCRAPES = 100
PROBED_AT_ONCE = 8  # endpoints that lead to the one server, for a login can come no more often than once a second


def ask(port, path_of, in_flight, *, count=None, seconds=None, rate=None):
    """Number → body of what so many clients got, who keep their connections: `count` answers, or what there is in
    `seconds`; as fast as it goes, or `rate` a second."""
    numbers, begin, answers = itertools.count(), time.monotonic(), {}

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for i in numbers:  # one iterator for all
            if rate:
                time.sleep(max(0, begin + i / rate - time.monotonic()))
            if (count and i >= count) or (seconds and time.monotonic() - begin >= seconds):
                break
            connection.request("GET", path_of(i))
            answers[i] = connection.getresponse().read().decode()
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class Peer:
    """A program that answers on a port of its own."""

    program, package = None, None

    @classmethod
    def installed(cls):
        return shutil.which(cls.program) is not None

    @classmethod
    def name(cls):
        version = subprocess.run([cls.program, "--version"], text=True, capture_output=True, check=False)
        found = re.search(r"(\w+), version ([\d.]+)", version.stdout + version.stderr)
        return " ".join(found.groups()) if found else cls.program

    def __init__(self, *arguments, **environment):
        port = Port()
        self.port = port.number
        port.close()
        self.process = subprocess.Popen(
            [shutil.which(self.program), *arguments, f"--web.listen-address=127.0.0.1:{self.port}"],
            stderr=subprocess.DEVNULL, cwd="/", env=clean_environment(**environment))
        self.pid = self.process.pid
        wait_for(lambda: accepts("127.0.0.1", self.port), 10, self.program)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


# --- blackbox_exporter -----------------------------------------------------------------------------

BLACKBOX = """modules:
  tls:
    prober: tcp
    tcp: {tls: true, tls_config: {ca_file: "%s", server_name: "any.%s"}}
"""
_DURATION = re.compile(r"^probe_duration_seconds (\S+)", re.M)


class Blackbox(Peer):
    """Asked for TLS at once, which is less than a PostgreSQL client does."""

    program = "prometheus-blackbox-exporter"

    def __init__(self, bench):
        file = bench.directory / "blackbox.yml"
        file.write_text(BLACKBOX % (bench.root, DOMAIN))
        super().__init__(f"--config.file={file}", "--timeout-offset=0")

    @staticmethod
    def _path(servers):
        return lambda i: "/probe?module=tls&target={0}:{1}".format(*servers.targets[i % len(servers.targets)])

    def cost(self, servers, pace, seconds):
        """CPU per handshake, as Prometheus would ask for it; the pace as bench_bare has it."""
        full = str(pace).startswith("x")
        before, cpu = servers.counts()[2], cpu_seconds(self.pid)
        ask(self.port, self._path(servers), int(str(pace).lstrip("x")) if full else 32, seconds=seconds,
            rate=None if full else pace)
        return (cpu_seconds(self.pid) - cpu) / (servers.counts()[2] - before)

    def said(self, servers, in_flight, rate=None):
        """(kind, server) → phase → seconds: the whole probe, which is little else than its handshake."""
        found = {}
        for i, body in ask(self.port, self._path(servers), in_flight, count=len(servers.targets), rate=rate).items():
            duration = _DURATION.search(body)
            if duration and "probe_success 1" in body:
                found["inspect", index_of(servers.targets[i][0])] = {"tls": float(duration[1])}
        return found


# --- one server, looked at by everybody ------------------------------------------------------------

class PostgresExporter(Peer):
    program = "prometheus-postgres-exporter"


ALONE = ("--disable-default-metrics", "--disable-settings-metrics", "--no-collector.database", "--no-collector.bgwriter")


def _scrapes(port, pid):
    """CPU of a scrape, of /metrics."""
    ask(port, lambda _: "/metrics", 1, count=10)
    cpu = cpu_seconds(pid)
    answers = ask(port, lambda _: "/metrics", 1, count=SCRAPES)
    return (cpu_seconds(pid) - cpu) / SCRAPES, answers[0]


def _probes(exporter, seconds):
    """CPU of an inspect and a login together, all else that the process does included."""
    def logins():
        found = re.findall(r'^pgtls_probes_total\{.*probe="login"\} (\d+)', exporter.get("/metrics").text, re.M)
        return sum(map(int, found))

    before, cpu = logins(), cpu_seconds(exporter.pid)
    time.sleep(seconds)
    cpu = cpu_seconds(exporter.pid) - cpu
    return cpu / (logins() - before)


def _of_exporter(bench, postgres, costs, memory):
    target = {"host": "localhost", "port": postgres.port}
    for what, interval in (("probes", "1s"), ("scrape", "1h")):
        with bench.exporter_of(
                {"defaults": {"sslmode": "verify-full", "sslrootcert": str(bench.root), "user": "monitor",
                              "dbname": "postgres", "password": "bench", "interval": interval,
                              "login": {"interval": interval}},
                 "clusters": [{"name": "one", "endpoints": {f"e{i}": target for i in range(
                     PROBED_AT_ONCE if what == "probes" else 1)}}]}) as exporter:
            wait_for(lambda: 'pgtls_probe_up{' in exporter.get("/metrics").text and
                     'probe="login"} 1' in exporter.get("/metrics").text, 20, "the first login")
            if what == "probes":
                costs["exporter", "an inspect and a login, each on a connection of its own"].append(
                    _probes(exporter, bench.options.seconds))
            else:
                port = int(exporter.addresses[0].rpartition(":")[2])
                costs["exporter", "a scrape, which probes nothing"].append(_scrapes(port, exporter.pid)[0])
            memory["exporter"] = max(memory["exporter"], memory_mb(exporter.pid))


def _of_postgres_exporter(bench, postgres, costs, memory):
    name = PostgresExporter.name()
    source = (f"host=localhost port={postgres.port} user=monitor password=bench dbname=postgres sslmode=verify-full "
              f"sslrootcert={bench.root}")
    for what, flags in (("a scrape as shipped: its queries, on a connection that stays open", ()),
                        ("a scrape for pg_up alone, on a connection that stays open", ALONE)):
        with PostgresExporter(*flags, DATA_SOURCE_NAME=source) as peer:
            cost, page = _scrapes(peer.port, peer.pid)
            if "pg_up 1" not in page:
                raise RuntimeError(f"{name} does not get in")
            costs[name, what].append(cost)
            memory[name] = max(memory[name], memory_mb(peer.pid))


def measure_peers(bench, report):
    """A real PostgreSQL 15 over TLS with SCRAM, looked at by us and, where it is installed, postgres_exporter."""
    credentials = bench.authority.issue("postgres", hosts=("localhost",))
    costs, memory = collections.defaultdict(list), collections.defaultdict(float)
    report.title("One PostgreSQL over TLS with SCRAM, sslmode verify-full")
    report.head("who", "what it does", "ms of CPU: min / median / max", "memory, MB")
    with Postgres(15, bench.directory / "postgres", credentials=credentials,
                  hba="hostssl all monitor 127.0.0.0/8 scram-sha-256\nhostssl all monitor ::1/128 scram-sha-256\n",
                  ).start() as postgres:
        postgres.sql("create role monitor login password 'bench'; grant pg_monitor to monitor")
        for _ in range(bench.options.rounds):
            _of_exporter(bench, postgres, costs, memory)
            if PostgresExporter.installed():
                _of_postgres_exporter(bench, postgres, costs, memory)
    for (who, what), values in costs.items():
        report.row(who, what, " / ".join(f"{value * 1e3:.2f}" for value in spread(values)), f"{memory[who]:.0f}")
    report.say("\nOf the whole process; the server's own work is not in it. They do not do the same: who scrapes "
               "postgres_exporter learns that a connection made long ago still answers, and what statistics say; a "
               "probe shows that a new client gets in now. Where ours costs more, that is the price of it: of a login, "
               "3 ms are SCRAM.")
