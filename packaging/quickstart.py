"""The running half of quickstart.sh: raises the fleet, watches it, shows it, removes it.

Started by quickstart.sh, which has installed the packages and built the exporter.
"""

import argparse
import contextlib
import datetime
import os
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "tools"))

from lab import process, servers  # noqa: E402
from lab.exporter import Exporter  # noqa: E402

FIRST_TABLE_SECONDS = 60
REFRESH_SECONDS = 3
COLOURS = {"ok": "32", "degraded": "33", "down": "1;31", "unknown": "2"}


def say(text):
    print(text, flush=True)


def demonstration(stack, directory):
    """Raises the demonstration fleet; returns the exporter's configuration."""
    from lab import certs
    from misbehave import Misbehaving

    say("==> Making certificates")
    authority = certs.Authority("Quickstart CA")
    trust = authority.write_certificate(directory / "ca.crt")
    good = authority.issue()

    say("==> Starting PostgreSQL and PgBouncer")
    everybody = "host all all 127.0.0.0/8 trust\n"

    def postgres(name, credentials, hba=everybody):
        server = stack.enter_context(
            servers.Postgres(15, directory / name, credentials=credentials, hba=hba, scratch=directory))
        return server.start()

    direct = postgres("direct", good)
    expiring = postgres("expiring", certs.expiring(authority, days=3))
    refusing = postgres("refusing", good, hba="hostssl all all 192.0.2.0/24 trust\n")
    for server in (direct, expiring):
        server.sql("create role app login")
    pooled = stack.enter_context(
        servers.PgBouncer(directory / "pooled", direct, credentials=good, users={"app": ""})).start()
    closing = stack.enter_context(
        Misbehaving("notify_after_startup", *good.write(directory, "closing")))

    endpoints = {"direct": direct, "pooled": pooled, "expiring": expiring, "refusing": refusing,
                 "closing": closing}
    return {
        "defaults": {"interval": "2s", "timeout": "2s", "login": {"interval": "4s"},
                     "sslmode": "verify-full", "sslrootcert": str(trust), "user": "app",
                     "dbname": "postgres"},
        "clusters": [{"name": "demo", "endpoints": {
            name: {"host": server.address, "port": server.port} for name, server in endpoints.items()}}],
    }


def prometheus(stack, directory, exporter):
    """A Prometheus with the shipped rules that scrapes the exporter."""
    rules = ROOT / "alerts" / "pgtls.rules.yml"
    return stack.enter_context(servers.Prometheus(directory / "prometheus", {
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "rule_files": [str(rules)] if rules.exists() else [],
        "scrape_configs": [{"job_name": "pgtls", "static_configs": [{"targets": [exporter.addresses[0]]}]}],
    })).start()


def page(beside, *paths):
    """The first of these pages that this Prometheus has: Debian's lacks the new user interface."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in paths:
        try:
            with opener.open(beside.url + path, timeout=10) as answer:
                return answer.url
        except urllib.error.HTTPError:
            continue
    return beside.url


def days_left(certificate):
    end = certificate.get("not_after")
    if not end:
        return None
    end = datetime.datetime.fromisoformat(end.replace("Z", "+00:00"))
    return (end - datetime.datetime.now(datetime.timezone.utc)) / datetime.timedelta(days=1)


def describe(server, latencies=True):
    """What the rest of a line says about one server."""
    if server.get("fault"):
        return f"{server.get('phase')}: {server['fault']}. {server.get('meaning') or ''}".rstrip()
    said = []
    certificate = server.get("certificate") or {}
    left = days_left(certificate)
    if left is not None:  # first: a narrow screen cuts off what stands at the end
        said.append(f"certificate {int(left)} days left" if left > 14
                    else f"certificate expires in {left:.1f} days")
    tls = server.get("tls") or {}
    if tls.get("version"):
        said.append(tls["version"])
    latency = server.get("latency_seconds") or {}
    known = [value for value in latency.values() if isinstance(value, (int, float))]
    if known and latencies:
        said.append(f"{sum(known) * 1000:.1f} ms")
    if server.get("server_version"):
        said.append(f"PostgreSQL {server['server_version']}")
    return ", ".join(said)


def facts(health):
    """What a table is worth printing again for: all of it but the time and how long things took."""
    return health["status"], sorted(
        (endpoint["cluster"], endpoint["endpoint"], server["server"], endpoint["status"],
         describe(server, latencies=False))
        for endpoint in health["endpoints"] for server in endpoint["servers"])


def coloured(status, text):
    return f"\x1b[{COLOURS[status]}m{text}\x1b[0m"


def table(health, screen):
    """The time and one line per server, as much of it as fits on a screen."""
    rows = sorted((f"{endpoint['cluster']}/{endpoint['endpoint']}", server["server"], endpoint["status"],
                   describe(server))
                  for endpoint in health["endpoints"] for server in endpoint["servers"])
    sizes = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    width, height = shutil.get_terminal_size((100, 40)) if screen else (sys.maxsize, sys.maxsize)
    clock = time.strftime("%H:%M:%S")
    lines = [f"{clock}  {coloured(health['status'], health['status']) if screen else health['status']}"]
    for name, server, status, text in rows:
        shown = "DOWN" if status == "down" else status
        line = "  ".join([name.ljust(sizes[0]), server.ljust(sizes[1]), shown.ljust(sizes[2]), text])
        line = line.rstrip()[:width]
        at = sizes[0] + sizes[1] + 4
        if screen:
            line = line[:at] + coloured(status, line[at:at + sizes[2]]) + line[at + sizes[2]:]
        lines.append(line)
    if len(lines) >= height:  # what has left the screen cannot be drawn again
        lines[max(height - 2, 1):] = [f"… and {len(lines) - max(height - 2, 1)} more"]
    return lines


def complete(health):
    return bool(health["endpoints"]) and all(e["status"] != "unknown" for e in health["endpoints"])


def await_complete(exporter):
    deadline = time.monotonic() + FIRST_TABLE_SECONDS
    while True:
        health = exporter.health()
        if complete(health):
            return health
        if not exporter.program.running():
            raise process.ProgramFailed("The exporter ended:\n" + exporter.log()[-3000:])
        if time.monotonic() > deadline:
            raise TimeoutError(f"no complete table within {FIRST_TABLE_SECONDS} s: {health}")
        time.sleep(0.2)


def watch(exporter):
    """The table for ever: drawn in place on a terminal, else printed when it says something new."""
    screen = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    drawn, said = 0, None
    while True:
        if not exporter.program.running():
            raise process.ProgramFailed("The exporter ended:\n" + exporter.log()[-3000:])
        health = exporter.health()
        if screen:
            lines = table(health, screen)
            sys.stdout.write(f"\x1b[{drawn}A\x1b[J" if drawn else "")
            say("\n".join(lines))
            drawn = len(lines)
        elif facts(health) != said:
            say(("\n" if said else "") + "\n".join(table(health, screen)))
            said = facts(health)
        time.sleep(REFRESH_SECONDS)


def start_exporter(stack, directory, subject):
    if subject is None:
        configuration = demonstration(stack, directory)
        say("==> Starting the exporter and Prometheus")
        return stack.enter_context(Exporter(directory / "exporter", configuration))
    say("==> Starting the exporter and Prometheus")
    if os.path.isfile(subject):
        return stack.enter_context(Exporter(directory / "exporter", environment=dict(os.environ),
                                            arguments=[f"--config.file={Path(subject).resolve()}"]))
    environment = {**os.environ, "DATABASE_URL": subject}
    return stack.enter_context(Exporter(directory / "exporter", environment=environment))


def run(subject, once):
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(process.temporary_directory())
        exporter = start_exporter(stack, directory, subject)
        beside = prometheus(stack, directory, exporter)
        base = f"http://{exporter.addresses[0]}"
        graph = "/graph?g0.expr=pgtls_up&g0.tab=1"
        say(f"""
  status page   {base}/
  metrics       {base}/metrics
  health        {base}/health/database
  Prometheus    {page(beside, graph, "/classic" + graph)}
  alerts        {page(beside, "/alerts", "/classic/alerts")}
""")
        if once:
            say("\n".join(table(await_complete(exporter), screen=False)))
        else:
            say("Ctrl-C ends it and removes everything.\n")
            watch(exporter)


def main():
    parser = argparse.ArgumentParser(prog="quickstart.sh")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("subject", nargs="?")
    arguments = parser.parse_args()

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def end(*_):
        for number in numbers:  # once is enough: cleaning up is not to be interrupted
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt
    for number in numbers:
        signal.signal(number, end)
    try:
        run(arguments.subject, arguments.once)
    except KeyboardInterrupt:
        say("\n==> Everything is stopped and removed.")
    except (process.ProgramFailed, TimeoutError) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
