"""What exporters say about every row of the fault catalogue.

Four of them see them all: one on loopback, one in a network of its own, one without descriptors, one
whose connect() fails; and a fifth watches a crash while it lasts."""

import re
import resource
import sys
from pathlib import Path

from . import island
from .catalogue import ROWS
from .exporter import BINARY, one_cluster
from .process import wait_for
from .servers import ROOT

# The classes as they are promised, not as the program has them.
CLASS = dict(re.findall(r"^fault (\S+) (\S+)$", (ROOT / "docs" / "api-names.txt").read_text(), re.M))

LIBPQ_KEYS = ("host", "hostaddr", "port", "user", "dbname", "password", "sslmode", "sslrootcert", "sslcrl", "sslcert",
              "sslkey", "options", "channel_binding", "ssl_min_protocol_version", "ssl_max_protocol_version")


def libpq_parameters(endpoint):
    """The same endpoint in libpq's words."""
    given = {"sslmode": "verify-full", **endpoint}
    secret = Path(given.get("password_file", "/nonexistent"))
    if secret.exists():
        given["password"] = secret.read_text(encoding="utf-8")
    return {key: given[key] for key in LIBPQ_KEYS if key in given}


def defaults(world):
    return {"user": "u_trust", "dbname": "app", "sslrootcert": world.root_file, "interval": "2s", "timeout": "2s"}


def made(world, run):
    return {row.name: {**defaults(world), **row.make(world)} for row in ROWS if row.run == run}


def wrapper(world, name, *argv):
    """The exporter, begun by another program."""
    path = world.directory / name
    path.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in argv) + f" '{BINARY}' \"$@\"\n")
    path.chmod(0o755)
    return path


def named(row, metrics, health):
    """Is what this row is about known by now?"""
    if CLASS[row.fault] == "internal":
        return (health[row.name]["fault"] == row.fault
                and metrics.sum("pgtls_probe_internal_errors_total", pg_endpoint=row.name) >= 1)
    return any(value >= 1 for _, value in metrics.all(
        "pgtls_probe_failures_total", pg_endpoint=row.name, probe=row.probe))


def observe(daemon, rows, seconds=40):
    """(scrape, health by endpoint) once every row has been seen."""
    def everything():
        metrics = daemon.scrape()
        health = {one["endpoint"]: one["servers"][0] for one in daemon.health()["endpoints"]}
        last[:] = [metrics, health]
        return all(named(row, metrics, health) for row in rows)

    last = []
    try:
        wait_for(everything, seconds, "every row")
    except TimeoutError:
        pass  # the rows that are missing fail by themselves
    return tuple(last)


class Seen:
    """What the four exporters said, and the endpoints they were given."""

    def __init__(self, world, start):
        self.world, self.endpoints = world, {}
        self._metrics, self._health = {}, {}
        self.main = self._run("main", start)
        path = f"unix:{world.directory}/island.sock"
        self._run("island", start, listen=(path,), binary=wrapper(world, "on-island", *island.join(world.island.pid)))
        self._run("memory", start, binary=wrapper(
            world, "without-memory", sys.executable, str(ROOT / "tests" / "tools" / "failing_call.py"), "connect", "ENOMEM"))
        self._starved(start)
        self._crash(start)

    def _keep(self, rows, seen):
        for row in rows:
            self._metrics[row.name], self._health[row.name] = seen[0], seen[1].get(row.name)

    def _run(self, run, start, **more):
        rows = [row for row in ROWS if row.run == run]
        endpoints = made(self.world, run)
        self.endpoints |= endpoints
        daemon = start(one_cluster(endpoints), **more)
        self._keep(rows, observe(daemon, rows))
        return daemon

    def _starved(self, start):
        """Fifty servers that hang, and descriptors for fewer."""
        rows = [row for row in ROWS if row.run == "descriptors"]
        (endpoint,) = made(self.world, "descriptors").values()
        endpoints = {rows[0].name: endpoint, **{f"other{i}": endpoint for i in range(60)}}
        daemon = start(one_cluster(endpoints, {"interval": "500ms", "timeout": "5s"}),
                       limits=[(resource.RLIMIT_NOFILE, (48, 48))])
        self._keep(rows, observe(daemon, rows))

    def _crash(self, start):
        """A crash is over soon: it is looked for while it lasts."""
        rows = [row for row in ROWS if row.run == "crash"]
        endpoints = made(self.world, "crash")
        daemon = start(one_cluster(endpoints, {"interval": "200ms"}))
        daemon.until(lambda m: m.value("pgtls_up") == 1)
        self.world.crash()
        self._keep(rows, observe(daemon, rows))

    def watch(self, rows, start, ready):
        """Rows that are not of the catalogue, seen by an exporter of their own; `ready` waits."""
        endpoints = {row.name: {**defaults(self.world), **row.make(self.world)} for row in rows}
        self.endpoints |= endpoints
        daemon = start(one_cluster(endpoints))
        ready(daemon)
        self._keep(rows, observe(daemon, []))

    def metrics(self, row):
        return self._metrics[row.name]

    def health(self, row):
        return self._health[row.name]
