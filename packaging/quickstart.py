"""The running half of quickstart.sh: raises the fleet, watches it, shows it, removes it.

Started by quickstart.sh, which has installed the packages and built the exporter.
"""

import argparse
import contextlib
import datetime
import os
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "tools"))

from lab import process, servers  # noqa: E402
from lab.exporter import Exporter  # noqa: E402

FIRST_TABLE_SECONDS = 60
REFRESH_SECONDS = 3


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


def days_left(certificate):
    end = certificate.get("not_after")
    if not end:
        return None
    end = datetime.datetime.fromisoformat(end.replace("Z", "+00:00"))
    return (end - datetime.datetime.now(datetime.timezone.utc)) / datetime.timedelta(days=1)


def describe(server):
    """What the rest of a line says about one server."""
    if server.get("fault"):
        return f"{server.get('phase')}: {server['fault']}. {server.get('meaning') or ''}".rstrip()
    said = []
    tls = server.get("tls") or {}
    if tls.get("version"):
        said.append(tls["version"])
    latency = server.get("latency_seconds") or {}
    known = [value for value in latency.values() if isinstance(value, (int, float))]
    if known:
        said.append(f"{sum(known) * 1000:.1f} ms")
    certificate = server.get("certificate") or {}
    left = days_left(certificate)
    if left is not None:
        said.append(f"certificate good for {left:.0f} days" if left > 14
                    else f"certificate expires in {left:.1f} days")
    if server.get("server_version"):
        said.append(f"PostgreSQL {server['server_version']}")
    return ", ".join(said)


def table(health, width):
    """One line per server."""
    rows = [(f"{endpoint['cluster']}/{endpoint['endpoint']}", server["server"], endpoint["status"].upper()
             if endpoint["status"] == "down" else endpoint["status"], describe(server))
            for endpoint in health["endpoints"] for server in endpoint["servers"]]
    rows.sort()
    columns = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    return ["  ".join([*(cell.ljust(size) for cell, size in zip(row, columns)), row[3]])[:width]
            for row in rows]


def complete(health):
    return bool(health["endpoints"]) and all(e["status"] != "unknown" for e in health["endpoints"])


def show(exporter, once):
    """The live table, until the first complete one or for ever."""
    screen = sys.stdout.isatty()
    deadline = time.monotonic() + FIRST_TABLE_SECONDS
    drawn = 0
    while True:
        if not exporter.program.running():
            raise process.ProgramFailed("The exporter ended:\n" + exporter.log()[-3000:])
        health = exporter.health()
        if not once or complete(health):
            width = os.get_terminal_size().columns if screen else 1000
            lines = [f"{time.strftime('%H:%M:%S')}  {health['status']}", *table(health, width)]
            if screen and drawn:
                sys.stdout.write(f"\x1b[{drawn}A\x1b[J")
            say("\n".join(lines) + ("" if screen else "\n"))
            drawn = len(lines)
            if once:
                return
        elif time.monotonic() > deadline:
            raise TimeoutError(f"no complete table within {FIRST_TABLE_SECONDS} s: {health}")
        time.sleep(0.2 if once else REFRESH_SECONDS)


def start_exporter(stack, directory, subject):
    if subject is None:
        configuration = demonstration(stack, directory)
        say("==> Starting the exporter and Prometheus")
        return stack.enter_context(Exporter(directory / "exporter", configuration))
    say("==> Starting the exporter and Prometheus")
    if Path(subject).is_file():
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
        say(f"""
  status page   {base}/
  metrics       {base}/metrics
  health        {base}/health/database
  Prometheus    {beside.url}/graph?g0.expr=pgtls_up&g0.tab=1
  alerts        {beside.url}/alerts
""")
        if not once:
            say("Ctrl-C ends it and removes everything.\n")
        show(exporter, once)


def main():
    parser = argparse.ArgumentParser(prog="quickstart.sh")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("subject", nargs="?")
    arguments = parser.parse_args()
    if arguments.subject and not Path(arguments.subject).is_file() and "=" not in arguments.subject \
            and "://" not in arguments.subject:
        parser.error(f"{arguments.subject} is neither a file nor a connection string")

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
