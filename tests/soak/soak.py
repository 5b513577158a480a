#!/usr/bin/python3
"""Hundreds of servers that come, go, hang, reset, lie and rotate certificates, for as long as one likes, while the
configuration reloads and Prometheus scrapes. The servers' own tally must equal the exporter's counters exactly.

    tests/soak/soak.py --minutes 30 --servers 500 --seed 7

How two tallies of a moving thing are compared without a tolerance: the servers are asked before and after a scrape;
a server that was left alone in between is compared, whatever counter it has, and must be equal. One that is not is
looked at again, because a probe may have ended at the server and not yet in the exporter; counters never go back,
so an event that was lost, counted twice or under another name never becomes equal. Docs: docs/chaos.md."""

import argparse
import collections
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

from lab import certs, exporter as lab_exporter
from lab.process import clean_environment, temporary_directory, wait_for
from lab.servers import Prometheus

GOOD_CERTIFICATES = 12  # more than the exporter remembers of one server
FAMILIES = ("pgtls_probes_total{", "pgtls_probe_failures_total{", "pgtls_ssl_closes_total{",
            "pgtls_hba_rejections_total{", "pgtls_session_drops_total{", "pgtls_probe_internal_errors_total{",
            "pgtls_certificate_changes_total{")
_SAMPLE = re.compile(r'(\w+)\{(.*)\} (\S+)$')
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_OVER = re.compile(rb'msg="Probe is over".* pg_endpoint=(\w+) .*?(?: fault=(\w+))? seconds=(\S+)')
# Kept by the servers for us, and in no counter of the exporter's.
OURS = {"slow", "unknown", "session", "drop:left", "left"}


@dataclass
class Options:
    minutes: float = 30
    servers: int = 500
    seed: str = "1"
    interval: float = 4
    timeout: float = 8
    settle: float = 5       # minutes until memory is expected to be flat
    memory_mib: float = 8   # that it may grow from then on
    late: float = 2         # seconds beyond its timeout after which a probe is late
    scrape_limit: float = 10
    prometheus: bool = True
    say: object = print


@dataclass
class Seen:
    """What is noted while it runs."""
    memory: list = field(default_factory=list)  # (seconds, bytes)
    scrapes: int = 0
    failed_scrapes: list = field(default_factory=list)
    worst_scrape: float = 0
    reloads: collections.Counter = field(default_factory=collections.Counter)
    gone: int = 0
    compared: int = 0
    unequal: dict = field(default_factory=dict)


class Servers:
    """The process of misbehaving servers."""

    def __init__(self, directory, options):
        make_certificates(directory)
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-B", HERE / "servers.py", f"--certificates={directory}",
             f"--servers={options.servers}", f"--timeout={options.timeout}", f"--seed={options.seed}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment(), text=True)
        self.lock = threading.Lock()
        self.places = json.loads(self.process.stdout.readline())

    def ask(self, line):
        with self.lock:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def tally(self):
        return self.ask("tally")["sites"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def make_certificates(directory):
    directory.mkdir()
    root = certs.Authority()
    hosts = [*certs.HOSTS, *(f"127.0.7.{n}" for n in range(1, 11))]
    root.write_certificate(directory / "root.pem")
    for n in range(GOOD_CERTIFICATES):
        root.issue(hosts=hosts).write(directory, f"good{n}")
    certs.expired(root, hosts=hosts).write(directory, "expired")
    root.issue(hosts=["other.example"]).write(directory, "wrong_name")


class Log(threading.Thread):
    """Reads the exporter's log as it grows: faults by server, and how long probes took."""

    def __init__(self, path, timeout):
        super().__init__(daemon=True)
        self.path, self.limit = path, timeout
        self.lock = threading.Lock()
        self.faults = collections.defaultdict(collections.Counter)
        self.lines, self.told, self.late, self.worst, self.done = 0, 0, 0, 0.0, False

    def run(self):
        rest = b""
        with open(self.path, "rb") as file:
            while not self.done:
                piece = file.read(1 << 20)
                if not piece:
                    time.sleep(0.05)
                    continue
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self.take(line)

    def take(self, line):
        over = _OVER.search(line)
        with self.lock:
            self.lines += 1
            self.told += b"level=DEBUG" not in line
            if over:
                self.worst = max(self.worst, float(over[3]))
                self.late += float(over[3]) > self.limit
                if over[2]:
                    self.faults[over[1].decode()][over[2].decode()] += 1

    def snapshot(self):
        with self.lock:
            return {endpoint: dict(faults) for endpoint, faults in self.faults.items()}

    def forget(self, endpoints):
        with self.lock:
            for endpoint in endpoints:
                self.faults.pop(endpoint, None)


def counters(text):
    """Endpoint → key → value, in the servers' words; zeros are left out."""
    found = collections.defaultdict(collections.Counter)
    for line in text.splitlines():
        if not line.startswith(FAMILIES):
            continue
        name, labels, value = _SAMPLE.match(line).groups()
        labels, value = dict(_LABEL.findall(labels)), int(float(value))
        keys = found[labels["pg_endpoint"]]
        if name == "pgtls_probes_total":
            keys["probes"] += value
            keys["good:" + labels["probe"]] += value
        elif name == "pgtls_probe_failures_total":
            keys["class:" + labels["class"]] += value
            keys["good:" + labels["probe"]] -= value
        elif name == "pgtls_ssl_closes_total":
            keys[f"close:{labels['phase']}:{labels['how']}"] += value
        elif name == "pgtls_hba_rejections_total":
            keys["hba:" + labels["kind"]] += value
        elif name == "pgtls_session_drops_total":
            keys["drop:" + labels["how"]] += value
        elif name == "pgtls_certificate_changes_total":
            keys["changes"] += value
        else:
            keys["internal:" + labels["reason"]] += value
    return {endpoint: {k: v for k, v in keys.items() if v} for endpoint, keys in found.items()}


def differences(kind, tally, measured, faults):
    """Key → (the server's count, the exporter's) where they differ."""
    ours = {k: v for k, v in tally.items() if k not in OURS and v}
    theirs = {**measured, **{f"fault:{k}": v for k, v in faults.items()}}
    if kind != "plain":  # a libpq that verifies shows no certificate: the servers do not know whose they showed
        theirs.pop("changes", None)
    found = {k: (ours.get(k, 0), theirs.get(k, 0)) for k in {*ours, *theirs} if ours.get(k, 0) != theirs.get(k, 0)}
    # A server too slow for its own part knows that there was a probe, and not what it came to.
    outcomes = sum(b - a for k, (a, b) in found.items() if k.startswith(("good:", "class:")))
    if slow := tally.get("slow", 0):
        found.pop("changes", None)
        explained = outcomes == slow and "probes" not in found and all(b > a for a, b in found.values())
        return {} if explained else {**found, "slow": (slow, outcomes)}
    return {} if "unknown" in tally else found


class Soak:
    def __init__(self, options, directory, start):
        self.o, self.directory, self.start = options, directory, start
        self.seen = Seen()
        self.dice = random.Random(f"{options.seed}/soak")
        self.stop = threading.Event()

    # The world ----------------------------------------------------------------------------------
    def configuration(self, turn=0, watched=True):
        kept = {self.endpoint(n): {"host": a, "port": p, "enabled": watched,
                                   "session": [{"idle": "1s"}] if kind == "session" else []}
                for n, (a, p, kind) in enumerate(self.servers.places) if kind != "plain"}
        every = f"{self.o.interval:g}s"
        return {
            "defaults": {"interval": every, "timeout": f"{self.o.timeout:g}s", "user": "u", "dbname": "d",
                         "sslrootcert": str(self.directory / "certificates" / "root.pem")},
            "templates": {"plain": {"login": False, "labels": {"turn": str(turn)}}},
            "clusters": [{"name": "kept", "login": {"interval": every},
                          "endpoints": kept, "labels": {"turn": str(turn)}}],
            "discovery": [{"file_sd": {"files": [str(self.targets_file)], "refresh_interval": "1s"},
                           "template": "plain"}],
            "limits": {"in_flight": 4000, "in_flight_per_address": 0},
        }

    @staticmethod
    def endpoint(number):
        return f"e{number}"

    def write_targets(self):
        items = [{"targets": [f"{a}:{p}"], "labels": {"pg_cluster": "plain", "pg_endpoint": self.endpoint(n)}}
                 for n, (a, p, _) in enumerate(self.servers.places) if n in self.present]
        new = self.targets_file.with_suffix(".new")
        new.write_text(json.dumps(items))
        os.replace(new, self.targets_file)

    def open(self):
        self.targets_file = self.directory / "targets.json"
        self.servers = Servers(self.directory / "certificates", self.o)
        self.plain = [n for n, (_, _, kind) in enumerate(self.servers.places) if kind == "plain"]
        self.kept = [n for n, (_, _, kind) in enumerate(self.servers.places) if kind != "plain"]
        self.present = set()
        self.write_targets()
        self.daemon = self.start(self.configuration(watched=False), log_level="debug",
                                 arguments=["--web.max-requests=0"])
        self.log = Log(self.daemon.program.log_path, self.o.timeout + self.o.late)
        self.log.start()
        self.daemon.scrape()
        self.idle_files = self.daemon.open_files()
        self.present = set(self.plain)
        self.write_targets()
        self.reload(self.configuration())
        self.prometheus = self.start_prometheus() if self.o.prometheus else None

    def start_prometheus(self):
        return Prometheus(self.directory / "prometheus", {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "pgtls", "static_configs": [{"targets": self.daemon.addresses}]}]},
            arguments=["--storage.tsdb.retention.time=1h"]).start()

    def close(self):
        self.stop.set()
        if getattr(self, "prometheus", None):
            self.prometheus.close()
        if getattr(self, "log", None):
            self.log.done = True
        self.servers.close()

    # What goes on meanwhile -----------------------------------------------------------------------
    def reload(self, configuration, good=True):
        self.daemon.write(configuration)
        answer = self.daemon.request("POST", "/-/reload", timeout=30)
        assert (answer.status == 200) == good, answer.text
        self.seen.reloads["good" if good else "refused"] += 1

    def reload_somehow(self):
        way = self.dice.choice(("hup", "post", "broken"))
        configuration = self.configuration(turn=self.dice.randrange(1000))
        if way == "hup":
            self.daemon.write(configuration)
            self.daemon.reload()
            self.seen.reloads["signal"] += 1
        elif way == "post":
            self.reload(configuration)
        else:
            self.reload("clusters: [", good=False)
            self.daemon.write(configuration)

    def watch(self):
        """A scrape each second, from beginning to end, and what the process holds."""
        host = self.daemon.addresses[0]
        began = time.monotonic()
        while not self.stop.wait(1):
            at = time.monotonic()
            try:
                with urllib.request.urlopen(f"http://{host}/metrics", timeout=self.o.scrape_limit) as answer:
                    whole = b"".join(iter(lambda: answer.read(1 << 20), b""))
                assert whole.endswith(b"\n"), "a torn answer"
            except (OSError, AssertionError) as error:
                self.seen.failed_scrapes.append(f"{at - began:.0f} s: {error}")
            self.seen.scrapes += 1
            self.seen.worst_scrape = max(self.seen.worst_scrape, time.monotonic() - at)
            self.seen.memory.append((at - began, self.daemon.resident_bytes()))

    # Comparing ------------------------------------------------------------------------------------
    def compare(self, numbers, seconds=60):
        """Waits until each of them has been equal at a moment at which it was left alone."""
        left, last = set(numbers), {}
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            before = self.servers.tally()
            measured, faults = counters(self.daemon.get("/metrics").text), self.log.snapshot()
            after = self.servers.tally()
            for n in sorted(left):
                (busy, _, tally), (still_busy, _, same) = before[n], after[n]
                kept_busy = self.servers.places[n][2] == "session"
                if tally != same or (busy + still_busy and not kept_busy):
                    continue
                endpoint = self.endpoint(n)
                last[n] = differences(self.servers.places[n][2], tally, measured.get(endpoint, {}),
                                      faults.get(endpoint, {}))
                if not last[n]:
                    left.discard(n)
                    self.seen.compared += 1
            time.sleep(0.2)
        for n in left:
            self.seen.unequal[self.endpoint(n)] = last.get(n, "never at rest")
        return not left

    def take_away(self):
        """A tenth of them goes, compared a moment before; what a removal cuts short is in neither tally."""
        some = self.dice.sample(sorted(self.present), len(self.plain) // 10)
        self.compare(some)
        self.present -= set(some)
        self.write_targets()
        names = {self.endpoint(n) for n in some}
        wait_for(lambda: not names & set(counters(self.daemon.get("/metrics").text)), 30, "removed servers to go")
        wait_for(lambda: not any(self.servers.tally()[n][0] for n in some), 30, "their connections to end")
        self.log.forget(names)
        self.servers.ask(f"reset {json.dumps(some)}")
        self.seen.gone += len(some)

    def bring_back(self):
        self.present = set(self.plain)
        self.write_targets()

    def run(self):
        o, began = self.o, time.monotonic()
        watcher = threading.Thread(target=self.watch, daemon=True)
        watcher.start()
        self.servers.ask("move")
        end, turn = began + o.minutes * 60, 0
        while time.monotonic() < end - 15:
            turn += 1
            for _ in range(4):
                time.sleep(min(4, max(0, end - time.monotonic())))
                self.reload_somehow()
            self.take_away()
            time.sleep(2)
            self.bring_back()
            if turn % 3 == 0:
                self.compare(sorted(self.present) + self.kept)
            self.tell(time.monotonic() - began)
        time.sleep(max(0, end - time.monotonic()))
        self.servers.ask("rest")
        self.equal = self.compare(sorted(self.present) + self.kept, 120)
        self.stop.set()
        watcher.join(30)
        self.wind_down()

    def tell(self, seconds):
        probes = self.daemon.scrape().sum("pgtls_probes_total")
        self.o.say(f"{seconds / 60:5.1f} min  {probes:8.0f} probes shown  {self.seen.compared:6} comparisons  "
                   f"{len(self.seen.unequal)} unequal  {self.seen.memory[-1][1] / 2**20:6.1f} MiB  "
                   f"{self.daemon.open_files()} descriptors", flush=True)

    def wind_down(self):
        """Nothing is watched any more: what is still held?"""
        self.final = self.servers.ask("tally")
        if self.prometheus:
            job = '{job="pgtls"}'
            self.prometheus_missed = self.prometheus.query(f'sum(count_over_time(up{job}[1h]) - '
                                                           f'sum_over_time(up{job}[1h]))')[0]["value"][1]
            self.prometheus.close()
        self.present = set()
        self.write_targets()
        self.reload(self.configuration(watched=False))
        try:
            wait_for(lambda: self.daemon.open_files() <= self.idle_files, 30, "descriptors to be given back")
        except TimeoutError:
            pass
        self.files_left = self.daemon.open_files()

    # The verdict ----------------------------------------------------------------------------------
    def growth(self):
        """MiB between the settled minute and the last, each by its median."""
        settled = min(self.o.settle, self.o.minutes / 2) * 60
        last = self.seen.memory[-1][0]
        early = [b for t, b in self.seen.memory if settled <= t < settled + 60]
        late = [b for t, b in self.seen.memory if t > last - 60]
        return (statistics.median(late) - statistics.median(early)) / 2**20

    def verdict(self):
        """[(what, good, detail)]"""
        tallies = [tally for _, _, tally in self.final["sites"]]
        broken = {k: v for tally in tallies for k, v in tally.items() if k.startswith(("broken", "unplayed"))}
        abandoned = sum(t.get("left", 0) for t, (_, _, kind) in zip(tallies, self.servers.places) if kind == "plain")
        late = max(worst for _, worst, _ in self.final["sites"])
        seen, growth, seconds = self.seen, self.growth(), self.seen.memory[-1][0]
        rows = [
            ("tallies are equal", self.equal and not seen.unequal,
             f"{seen.compared} comparisons; unequal: {dict(list(seen.unequal.items())[:5]) or 'none'}"),
            ("the servers did as planned", not broken and not self.final["lost"],
             f"{broken or 'all'}; {sum(t.get('slow', 0) for t in tallies)} times too slow for it, "
             f"{sum('unknown' in t for t in tallies)} servers with sessions set aside for that"),
            ("no probe was abandoned", abandoned == 0, f"{abandoned} connections left early by servers that stayed"),
            ("no probe beyond its deadline", self.log.late == 0 and late < self.o.late,
             f"longest {self.log.worst:.3f} s by the exporter, {self.o.timeout + late:.3f} s by the servers, "
             f"of {self.o.timeout:g} s"),
            ("no scrape failed", not seen.failed_scrapes,
             f"{seen.scrapes} scrapes, slowest {seen.worst_scrape:.2f} s; {seen.failed_scrapes[:3] or 'all whole'}"),
            ("memory is flat", growth <= self.o.memory_mib, f"{growth:+.1f} MiB of {self.o.memory_mib:g}"),
            ("descriptors are given back", self.files_left <= self.idle_files,
             f"{self.files_left} of {self.idle_files}"),
            ("the log tells changes only", self.log.told < len(tallies) * seconds,
             f"{self.log.told / seconds:.1f} lines/s, {self.log.lines / seconds:.0f} with those for debugging"),
        ]
        if self.prometheus:
            rows.append(("Prometheus", True, f"missed {self.prometheus_missed} of its scrapes each second"))
        return rows


def soak(options, directory, start):
    """Runs it and returns the verdict. `start` is Exporter, or makes one."""
    one = Soak(options, directory, start)
    try:
        one.open()
        one.run()
        return one.verdict()
    finally:
        one.close()


def print_verdict(rows, say=print):
    for what, good, detail in rows:
        say(f"{'ok  ' if good else 'FAIL'}  {what:32} {detail}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--servers", type=int, default=500)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--memory-mib", type=float, default=8, help="that memory may grow after --settle minutes")
    parser.add_argument("--settle", type=float, default=5)
    parser.add_argument("--interval", type=float, default=4)
    parser.add_argument("--keep-log", help="where to put the exporter's log")
    a = parser.parse_args()
    options = Options(minutes=a.minutes, servers=a.servers, seed=a.seed, memory_mib=a.memory_mib, settle=a.settle,
                      interval=a.interval)
    with temporary_directory() as directory:
        daemons = []

        def start(*configuration, **more):
            daemons.append(lab_exporter.Exporter(directory / "exporter", *configuration, **more))
            return daemons[0]
        try:
            rows = soak(options, directory, start)
        finally:
            status = [one.stop() for one in daemons]
            if a.keep_log:
                shutil.copy(directory / "exporter" / "exporter.log", a.keep_log)
        print_verdict([*rows, ("it ended well", status == [0], f"status {status}")])
    return 0 if all(good for _, good, _ in rows) and status == [0] else 1


if __name__ == "__main__":
    sys.exit(main())
