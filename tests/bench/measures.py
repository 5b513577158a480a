"""What is measured: truth, CPU of probes and logins, scale, hanging servers, scrapes, starting."""

import collections
import contextlib
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import time

from lab import newer_libpq
from lab.process import clean_environment, wait_for
from lab.servers import PEERS

from peers import Blackbox, measure_peers
from report import ratio
from world import (DOMAIN, cpu_seconds, index_of, lag_bound, memory_mb, quantile, settled, spread, total)

WARM_UP = 3  # seconds until the exporter has learned every chain and keeps its rhythm
DELAY_US = 20000  # before each answer, where the truth is known


# --- truth -----------------------------------------------------------------------------------------

INSPECT_PHASES, LOGIN_PHASES = ("ssl_request", "tls", "startup"), ("auth", "query")
_PROBE = re.compile(r'msg="Probe is over".* probe=(\w+) address=([\d.]+) .*phases="([^"]*)" cpu="([^"]*)"')


def _figures(text):
    return {name: float(value) for name, _, value in (part.partition("=") for part in text.split())}


def reported(log):
    """(kind, server) → phase → seconds without own CPU, of the first probe of each."""
    found = {}
    for kind, address, phases, cpu in _PROBE.findall(log):
        took, own = _figures(phases), _figures(cpu)
        found.setdefault((kind, index_of(address)), {phase: took[phase] - own[phase] for phase in took})
    return found


def known(path):
    """(kind, server) → phase → seconds, of the first client of each kind."""
    found = {}
    for line in path.read_text().splitlines():
        which, *took = (int(field) for field in line.split())
        kind = "login" if took[3] else "inspect"
        found.setdefault((kind, which), dict(zip(INSPECT_PHASES + LOGIN_PHASES, (ns / 1e9 for ns in took))))
    return found


def errors(said, truth):
    """phase → errors in seconds."""
    found = collections.defaultdict(list)
    for who, phases in said.items():
        for phase in INSPECT_PHASES if who[0] == "inspect" else LOGIN_PHASES:
            # 0: the client had gone before the server looked when its answer had left.
            if phase in phases and truth.get(who, {}).get(phase):
                found[phase].append(abs(phases[phase] - truth[who][phase]))
    return found


def _truth_of_exporter(bench, servers, truth, workers, at_once, **defaults):
    """Each server is probed once. At once: the process is stopped until all are due."""
    count = len(servers.targets)
    with bench.exporter(servers.targets, workers, in_flight=2 * count, log_level="debug", interval="1h",
                        timeout="30s", **defaults) as exporter:
        if at_once:
            os.sched_setaffinity(exporter.pid, {0})
            for task in os.listdir(f"/proc/{exporter.pid}/task"):
                os.sched_setaffinity(int(task), {0})
            exporter.program.signal(signal.SIGSTOP)
            time.sleep(2 + count / workers / 250)
            exporter.program.signal(signal.SIGCONT)
        wait_for(lambda: exporter.log().count('msg="Probe is over"') >= count * (2 if defaults.get("login") else 1),
                 60, "every probe to be over")
        time.sleep(0.5)
        missing = total(exporter.get("/metrics").text, "pgtls_kernel_timestamps_missing_total")
        return errors(reported(exporter.log()), known(truth)), missing


def _truth_of_bare(bench, servers, truth, pace, seconds):
    times = bench.directory / next(bench.names)
    bench.run("bench_bare", bench.root, f"any.{DOMAIN}", pace, seconds, times, lines=servers.lines())
    said = {}
    for line in times.read_text().splitlines():
        which, *took = (int(field) for field in line.split())
        said.setdefault(("inspect", which), dict(zip(INSPECT_PHASES, (ns / 1e9 for ns in took))))
    time.sleep(0.2)
    return errors(said, known(truth))


def measure_truth(bench, report):
    count = bench.options.servers
    report.title("Truth: reported against what the server knows")
    report.head("load", "who", *(f"{phase}, p50 / p99 ms" for phase in INSPECT_PHASES + LOGIN_PHASES),
                "reads without a stamp")

    def row(load, who, found, missing=""):
        report.row(load, who, *(f"{quantile(found[p], 0.5) * 1e3:.3f} / {quantile(found[p], 0.99) * 1e3:.3f}"
                                if found.get(p) else "" for p in INSPECT_PHASES + LOGIN_PHASES), missing)

    login = {"login": {"interval": "1h"}, "password": "bench"}
    def blackbox(servers, truth, in_flight, rate=None):
        with Blackbox(bench) as peer:
            said = peer.said(servers, in_flight, rate)
        time.sleep(0.2)
        return errors(said, known(truth))

    loads = (
        (f"{count} at once", lambda s, t: _truth_of_exporter(bench, s, t, 1, True),
         lambda s, t: _truth_of_bare(bench, s, t, f"x{count}", 1), lambda s, t: blackbox(s, t, count)),
        ("1000/s paced", lambda s, t: _truth_of_exporter(bench, s, t, 4, False),
         lambda s, t: _truth_of_bare(bench, s, t, 1000, count // 1000 or 1), lambda s, t: blackbox(s, t, 64, 1000)),
        ("with logins", lambda s, t: _truth_of_exporter(bench, s, t, 1, False, **login), None, None),
    )
    for load, ours, bare, theirs in loads:
        for who, measured in (("exporter", ours), ("bare loop, in user space", bare),
                              (Blackbox.name(), theirs) if Blackbox.installed() else ("", None)):
            if not measured:
                continue
            truth = bench.directory / next(bench.names)
            with bench.servers(count, f"--delay-us={DELAY_US}", f"--truth={truth}") as servers:
                found = measured(servers, truth)
            row(load, who, *(found if isinstance(found, tuple) else (found,)))
    report.say(f"\nThe server answers {DELAY_US / 1000:.0f} ms late, by its own clock more; true is what the kernel says "
               "of its side (arrival of the request, departure of the answer). The exporter's figures are without "
               "its own CPU, which it reports apart; blackbox_exporter's are its probe_duration_seconds, which is "
               "little else than the handshake. Goals: p99 ≤ 0.1 ms for the first three, ≤ 0.5 ms for auth and "
               "query.")


# --- CPU of a TLS probe ----------------------------------------------------------------------------

def _bare(bench, servers, pace, seconds):
    before = servers.answered()
    _, cpu = bench.run("bench_bare", bench.root, f"any.{DOMAIN}", pace, seconds, lines=servers.lines())
    return cpu / (servers.answered() - before)


def _ours(bench, servers, targets, interval, seconds, in_flight=None, workers=2):
    with bench.exporter(targets, workers, interval=interval, in_flight=in_flight) as exporter:
        time.sleep(WARM_UP)
        settled(exporter, servers, len(targets))
        before, answered, cpu = exporter.get("/metrics").text, servers.answered(), cpu_seconds(exporter.pid)
        time.sleep(seconds)
        answered, cpu = servers.answered() - answered, cpu_seconds(exporter.pid) - cpu
        after = exporter.get("/metrics").text
        return cpu / answered, {
            "skipped": total(after, "pgtls_probes_skipped_total") - total(before, "pgtls_probes_skipped_total"),
            "failed": total(after, "pgtls_probe_failures_total"), "rate": answered / seconds,
            "lag": lag_bound(before, after, 0.99)}


def measure_cpu(bench, report):
    """Rounds of bare loop, exporter, bare loop, so that what changes on the machine falls on both alike."""
    seconds, count = bench.options.seconds, bench.options.servers
    report.title("CPU of a TLS probe, against the bare loop")
    report.head("load", "bare loop, µs", "exporter, µs", "ratio: min / median / max",
                Blackbox.name() if Blackbox.installed() else "blackbox_exporter",
                "probes/s", "skipped", "failed", "lag p99 ≤ s")
    loads = {"67/s": (67, 67, "1s", None, 2), "full rate": (count, count, "1s", None, 2),
             "full rate, one worker": (count, count, "1s", None, 1), "saturated": ("x64", count, "200ms", 64, 2)}
    with bench.servers(count) as servers, contextlib.ExitStack() as stack:
        blackbox = stack.enter_context(Blackbox(bench)) if Blackbox.installed() else None
        for name in bench.options.loads:
            pace, n, interval, in_flight, workers = loads[name]
            bares, ours, ratios, theirs, facts = [], [], [], [], []
            for _ in range(bench.options.rounds):
                around = [_bare(bench, servers, pace, seconds)]
                cpu, fact = _ours(bench, servers, servers.targets[:n], interval, seconds, in_flight,
                                  workers)
                around.append(_bare(bench, servers, pace, seconds))
                bare = statistics.mean(around)
                bares.append(bare), ours.append(cpu), ratios.append(cpu / bare), facts.append(fact)
                if blackbox and workers > 1:
                    theirs.append(blackbox.cost(servers, pace, seconds) / bare)
            report.row(name, f"{statistics.median(bares) * 1e6:.0f}", f"{statistics.median(ours) * 1e6:.0f}",
                       ratio(*spread(ratios)), ratio(*spread(theirs)) if theirs else "",
                       f"{statistics.median(f['rate'] for f in facts):.0f}",
                       "by design" if in_flight else f"{max(f['skipped'] for f in facts):.0f}",
                       f"{max(f['failed'] for f in facts):.0f}",
                       "" if in_flight else max((f["lag"] for f in facts), key=float))
    report.say(f"\nUser and system time of the whole process per probe that the servers answered; {bench.options.rounds} "
               f"rounds of {seconds} s. blackbox_exporter does the handshake alone, without SSLRequest and "
               "StartupMessage. The bare loop has one thread, the exporter two workers where nothing else is said. "
               "Goal: ≤ 0.85.")


# --- CPU of a login --------------------------------------------------------------------------------

LOGINS = 150


def _libpqs(bench):
    """Debian's, and one that takes SCRAM keys, by what makes a program take it."""
    found = {"15": {}}
    if (PEERS / "postgresql-18").exists():
        found["18"] = newer_libpq.environment(bench.directory / "libpq18")
    return found


def _login_of_exporter(bench, servers, targets, seconds, libpq):
    """The CPU of an exporter that logs in, less that of one that does not, per login."""
    cost = []
    for login in (False, {"interval": "1s"}):
        more = {"login": login, "password": "bench"} if login else {}
        with bench.exporter(targets, interval="1s", environment={"SSL_CERT_FILE": str(bench.bundle), **libpq},
                            **{"sslrootcert": "system", **more}) as exporter:
            time.sleep(WARM_UP)
            before, cpu, start = servers.counts(), cpu_seconds(exporter.pid), time.monotonic()
            time.sleep(seconds)
            after, passed = servers.counts(), time.monotonic() - start
            cost.append(((cpu_seconds(exporter.pid) - cpu) / passed, (after[1] - before[1]) / passed,
                         (after[0] - after[1] - before[0] + before[1]) / passed))
    (plain, _, inspects), (both, logins, inspects_too) = cost
    return (both - plain * inspects_too / inspects) / logins


def measure_login(bench, report):
    report.title("CPU of a login: SCRAM-SHA-256, verify-full against the system's bundle")
    report.head("libpq", "PQconnectdb, ms", "exporter, ms", "ratio: min / median / max")
    with bench.servers(40) as servers:
        address, port = servers.targets[0]
        conninfo = (f"host=any.{DOMAIN} hostaddr={address} port={port} user=monitor dbname=monitor password=bench "
                    f"sslmode=verify-full sslrootcert={bench.bundle}")
        measured = {version: ([], [], []) for version in _libpqs(bench)}
        for _ in range(bench.options.rounds):
            for version, libpq in _libpqs(bench).items():
                pq, ours, ratios = measured[version]
                output, _ = bench.run("bench_pq", conninfo, LOGINS, environment=libpq)
                pq.append(json.loads(output)["cpu_us_per_login"] / 1e6)
                ours.append(_login_of_exporter(bench, servers, servers.targets, bench.options.seconds, libpq))
                ratios.append(ours[-1] / pq[-1])
    for version, (pq, ours, ratios) in measured.items():
        report.row(version, f"{statistics.median(pq) * 1e3:.1f}", f"{statistics.median(ours) * 1e3:.1f}",
                   ratio(*spread(ratios)))
    report.say("\nPQconnectdb, a query, PQfinish, with the same parameters; of the exporter what logging in adds to "
               "inspecting. libpq 18 takes SCRAM keys, and the exporter gives it those of its earlier logins. Goals: ≤ "
               "0.25, and ≤ 0.1 with keys.")


# --- scale -----------------------------------------------------------------------------------------

def _at_scale(bench, count, seconds, login):
    """A running fleet: CPU per server and second, memory over time; lag and skipped turns from its start on, so that
    nothing has to be asked before the end: of 10,000 servers the answer has 230 MB."""
    with bench.servers(count) as servers, \
            bench.exporter(servers.targets, interval="15s",
                           **({"login": {"interval": "60s"}, "password": "bench"} if login else {})) as exporter:
        settled(exporter, servers, count)
        time.sleep(min(60, count / 100) if login else 0)  # until each has logged in once
        cpu, start = cpu_seconds(exporter.pid), time.monotonic()
        counts, theirs, memory = servers.counts(), cpu_seconds(servers.program.pid), [memory_mb(exporter.pid)]
        while time.monotonic() - start < seconds:
            time.sleep(min(60, max(1, seconds / 10)))
            memory.append(memory_mb(exporter.pid))
        passed = time.monotonic() - start
        counts, cpu = [b - a for a, b in zip(counts, servers.counts())], cpu_seconds(exporter.pid) - cpu
        theirs, after = cpu_seconds(servers.program.pid) - theirs, exporter.get("/metrics").text
        return {"per_server": cpu / passed / count, "cores": cpu / passed, "memory": memory,
                "their_cores": theirs / passed,
                "inspects": (counts[0] - counts[1]) / passed, "logins": counts[1] / passed,
                "skipped": total(after, "pgtls_probes_skipped_total"),
                "failed": total(after, "pgtls_probe_failures_total"), "up": total(after, "pgtls_up"),
                "lag": lag_bound("", after, 0.99)}


def measure_scale(bench, report):
    report.title("Scale: TLS every 15 s, login every 60 s")
    report.head("servers", "login", "exporter, ms of CPU per server and minute", "exporter, cores", "fake servers, cores",
                "inspects/s", "logins/s", "skipped", "failed", "up", "lag p99 ≤ s", "memory, MB: first / last / most")
    figures = {False: {}, True: {}}
    for login, count in itertools.product((False, True), (100, 1000, 10000)):
        seconds = bench.options.scale_seconds if count == 10000 else min(20, bench.options.scale_seconds)
        f = figures[login][count] = _at_scale(bench, count, seconds, login)
        report.row(count, "yes" if login else "no", f"{f['per_server'] * 6e4:.2f}", f"{f['cores']:.2f}",
                   f"{f['their_cores']:.2f}", f"{f['inspects']:.0f}", f"{f['logins']:.0f}", f"{f['skipped']:.0f}",
                   f"{f['failed']:.0f}", f"{f['up']:.0f}", f["lag"],
                   f"{f['memory'][0]:.0f} / {f['memory'][-1]:.0f} / {max(f['memory']):.0f}")
    report.say(f"\n10,000 servers for {bench.options.scale_seconds} s, the others for at most 20 s. Goals with 10,000: "
               "nothing skipped, lag p99 ≤ 0.02 s, ≤ 100 MB and flat, cost per server within 10 % of that of 100.")
    names = {False: "TLS", True: "TLS and login"}
    return {"Cost of a server": ("servers", "ms of CPU per server and minute", {
                names[login]: [(n, f["per_server"] * 6e4) for n, f in by.items()] for login, by in figures.items()}),
            "Memory": ("servers", "MB resident", {
                names[login]: [(n, max(f["memory"])) for n, f in by.items()] for login, by in figures.items()})}


# --- servers that hang -----------------------------------------------------------------------------

_WHEN = re.compile(r'^time=(\S+)Z .*msg="Probe is over".* address=([\d.]+) seconds=([\d.]+)', re.M)


def lateness(log, interval):
    """By how much the starts of probes of one server miss the interval, in seconds."""
    starts = collections.defaultdict(list)
    for when, address, took in _WHEN.findall(log):
        clock, _, fraction = when.partition(".")
        at = time.mktime(time.strptime(clock, "%Y-%m-%dT%H:%M:%S")) + float("0." + fraction)
        starts[address].append(at - float(took))
    return [abs(b - a - interval) for line in starts.values() for a, b in zip(line[1:], line[2:])]


MOST_LISTENERS = 5000


def _with_hanging(bench, hanging, healthy, stage, in_flight):
    with contextlib.ExitStack() as stack:
        targets = stack.enter_context(bench.servers(healthy)).targets
        for _ in range(0, hanging, MOST_LISTENERS):  # each takes two descriptors
            targets = targets + stack.enter_context(
                bench.servers(min(hanging, MOST_LISTENERS), f"--hang={stage}")).targets
        with bench.exporter(targets, interval="2s", timeout="5s", in_flight=in_flight,
                            log_level="debug") as exporter:
            time.sleep(4 if hanging < 2000 else 24)
            most = 0
            for _ in range(20):
                most = max(most, memory_mb(exporter.pid))
                time.sleep(0.5)
            late = lateness("\n".join(line for line in exporter.log().splitlines() if "fault=" not in line), 2)
            return most, quantile(late, 0.99), int(total(exporter.get("/metrics").text, "pgtls_probes_in_flight"))


def measure_hang(bench, report):
    report.title("Servers that hang, beside 200 that do not")
    report.head("hang in", "how many", "limits.in_flight", "in flight", "memory, MB", "healthy probes late, p99 ms")
    plots = {}
    for stage, counts in (("tls", (0, 1000, 10000)), ("ssl_request", (10000,)), ("startup", (10000,))):
        for hanging in counts:
            memory, late, flying = _with_hanging(bench, hanging, 200, stage, None)
            plots.setdefault("default limits", []).append((hanging, memory)) if stage == "tls" else None
            report.row(stage if hanging else "nowhere", hanging, "1024 (default)", flying, f"{memory:.0f}", f"{late * 1e3:.1f}")
    for stage in ("ssl_request", "tls", "startup"):
        memory, late, flying = _with_hanging(bench, 10000, 200, stage, 20000)
        report.row(stage, 10000, 20000, flying, f"{memory:.0f}", f"{late * 1e3:.1f}")
    report.say("\nInterval 2 s, timeout 5 s; late is by how much the start of a healthy server's probe misses its "
               "interval, told by the log in milliseconds. Goal: ≤ 60 MB, and nobody late.")
    return {"Memory with hanging servers": ("servers that hang in the handshake", "MB resident", plots)}


# --- scrapes ---------------------------------------------------------------------------------------

def measure_scrapes(bench, report):
    report.title("Scrapes")
    report.head("servers", "what", "format", "MB", "ms: min / p50 / p99", "CPU ms", "MB/s")
    for count, rounds in ((1000, 30), (10000, 10)):
        output, _ = bench.run("bench_scrape", count, rounds)
        for line in output.splitlines():
            f = json.loads(line)
            report.row(count, f["what"], f["format"], f"{f['bytes'] / 1e6:.1f}",
                       f"{f['ms_min']:.0f} / {f['ms_p50']:.0f} / {f['ms_p99']:.0f}", f"{f['ms_cpu']:.0f}", f["mb_per_s"])
    report.say("\nMB/s before compression. Goals: 1000 servers in ≤ 25 ms, 10,000 in ≤ 250 ms p99, ≥ 1000 MB/s.")


# --- starting and reloading ------------------------------------------------------------------------

def measure_start(bench, report):
    count = 10000
    report.title(f"Start and reload with {count} servers")
    report.head("what", "ms: min / median / max")
    first, ready, reloads, moved = [], [], [], []
    with bench.servers(count) as servers:
        for _ in range(bench.options.starts):
            answered, start = servers.answered(), time.monotonic()
            with bench.exporter(servers.targets, interval="15s", ready=False, log_level="debug") as exporter:
                wait_for(lambda: servers.answered() > answered, 30, "the first probe")
                first.append(time.monotonic() - start)
                exporter.program.wait_ready(lambda: exporter._listening(), 30)
                exporter.addresses = exporter._listening()
                wait_for(lambda: exporter.get("/-/ready").status == 200, 30, "ready")
                ready.append(time.monotonic() - start)
                settled(exporter, servers, count)
                reloads.append(_reload(exporter))
                settled(exporter, servers, 3 * count)
                moved += lateness(exporter.log(), 15)
    for what, values in (("first probe answered", first), ("ready", ready), ("reload of one changed server", reloads)):
        report.row(what, " / ".join(f"{value * 1e3:.0f}" for value in spread(values)))
    report.row("starts of probes off their interval, across the reload: p50 / p99 / p99.9",
               " / ".join(f"{quantile(moved, q) * 1e3:.1f}" for q in (0.5, 0.99, 0.999)))
    report.say("\nFrom the start of the process, resp. SIGHUP. Goal: configuration read and first probes out within "
               "1000 ms; no other server loses its schedule.")


def _reload(exporter):
    configuration = json.loads(exporter.file.read_text())
    configuration["clusters"][0]["endpoints"]["write"]["user"] = "another"
    exporter.write(configuration)
    lines, start = exporter.log().count('msg="Configuration loaded'), time.monotonic()
    exporter.reload()
    wait_for(lambda: exporter.log().count('msg="Configuration loaded') > lines, 30, "the reload")
    return time.monotonic() - start


# --- one probe by hand -----------------------------------------------------------------------------

PROBES = 20


def _timed(argv, environment):
    """Wall and CPU seconds of a program, and what it wrote."""
    start = time.perf_counter()
    process = subprocess.Popen(argv, env=clean_environment(**environment), stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = 0
    process.stdout.close()
    return wall, usage.ru_utime + usage.ru_stime, output


def measure_probe(bench, report):
    """What `probe` adds to the server's own time: loading, reading the trust store, side attempts, telling."""
    rows = {"a CA file": (f"sslmode=verify-full sslrootcert={bench.root}", {}),
            "the system's bundle": ("sslmode=verify-full sslrootcert=system", {"SSL_CERT_FILE": str(bench.bundle)}),
            "no TLS, TLS tried aside": ("sslmode=disable", {"SSL_CERT_FILE": str(bench.bundle)})}
    report.title(f"`probe` of a server that answers at once, {PROBES} times each, medians in ms")
    report.head("trust", "whole program", "the probe itself", "difference", "smallest", "CPU")
    with bench.servers(1) as servers:
        address, port = servers.targets[0]
        for name, (mode, environment) in rows.items():
            argv = [bench.build / "pgtls_exporter", "probe", "--json", "--no-login",
                    f"host=any.{DOMAIN} hostaddr={address} port={port} user=monitor {mode}"]
            results = []
            for _ in range(PROBES):
                wall, cpu, output = _timed(argv, environment)
                results.append((wall, json.loads(output)["servers"][0]["seconds"], cpu))
            walls, seconds, cpus = zip(*results)
            extra = [wall - own for wall, own in zip(walls, seconds)]
            report.row(name, *(f"{statistics.median(values) * 1e3:.1f}" for values in (walls, seconds, extra)),
                       f"{min(extra) * 1e3:.1f}", f"{statistics.median(cpus) * 1e3:.1f}")
    report.say("\nGoal: a difference ≤ 50 ms.")


# --- in flight and failing -------------------------------------------------------------------------

def measure_growth(bench, report):
    """How cost and truth change with what is in flight and with what fails."""
    report.title("Growth")
    report.head("at once", "error of ssl_request, p99 ms", "of tls, p99 ms")
    flying = {"ssl_request": [], "tls": []}
    for count in (10, 100, 1000, 3000):
        truth = bench.directory / next(bench.names)
        with bench.servers(count, f"--delay-us={DELAY_US}", f"--truth={truth}") as servers:
            found, _ = _truth_of_exporter(bench, servers, truth, 1, True)
        for phase, line in flying.items():
            line.append((count, quantile(found[phase], 0.99) * 1e3))
        report.row(count, *(f"{line[-1][1]:.3f}" for line in flying.values()))
    report.say()
    report.head("of 1000 servers refuse", "µs of CPU per probe")
    failing = []
    with bench.servers(1000) as servers:
        for share in (0, 250, 500, 750):
            dead = [(address, "1") for address, _ in servers.targets[:share]]
            with bench.exporter(dead + servers.targets[share:], interval="1s") as exporter:
                time.sleep(WARM_UP)
                before, cpu = exporter.get("/metrics").text, cpu_seconds(exporter.pid)
                time.sleep(bench.options.seconds)
                cpu, after = cpu_seconds(exporter.pid) - cpu, exporter.get("/metrics").text
            probes = total(after, "pgtls_probes_total") - total(before, "pgtls_probes_total")
            failing.append((share / 10, cpu / probes * 1e6))
            report.row(share, f"{failing[-1][1]:.0f}")
    return {"Error with probes in flight": ("probes started at once on one core", "p99, ms", flying),
            "Cost with failures": ("% of servers that refuse", "µs of CPU per probe", {"exporter": failing})}


SECTIONS = {"truth": measure_truth, "cpu": measure_cpu, "login": measure_login, "scale": measure_scale,
            "hang": measure_hang, "scrapes": measure_scrapes, "start": measure_start, "probe": measure_probe,
            "growth": measure_growth, "peers": measure_peers}
