#!/usr/bin/python3
"""Prints docs/comparison.md: every row of the fault catalogue as four tools tell it, from real runs.

    PGTLS_BINARY=build/release/pgtls_exporter tests/tools/compare.py >docs/comparison.md

Needs what tests/run.sh installs, and the programs of Debian's prometheus-blackbox-exporter and
prometheus-postgres-exporter: on the PATH, or below --tools, where nothing needs to be installed:

    apt-get download prometheus-blackbox-exporter prometheus-postgres-exporter
    for package in *.deb; do dpkg-deb -x "$package" tools; done

Nothing is left running."""

import argparse
import concurrent.futures
import http.client
import json
import re
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path
from urllib.parse import quote, urlencode

from lab import catalogue, exporter, island, process
from lab.catalogue import Row
from lab.exporter import endpoint_of
from lab.process import Program, accepts
from lab.seen import CLASS, Seen, libpq_parameters
from lab.servers import conninfo, psql_argv
from lab.world import World

TOOLS = ("prometheus-blackbox-exporter", "prometheus-postgres-exporter")
SECONDS = 4
SSL_REQUEST = r"\x00\x00\x00\x08\x04\xd2\x16\x2f"
# lib/pq's parameters; of a name that only we are told the address of it knows nothing.
LIB_PQ = ("host", "port", "user", "dbname", "password", "sslmode", "sslrootcert", "sslcert", "sslkey", "options")


def find(tool, below):
    found = next((str(path) for path in Path(below).rglob(f"bin/{tool}")), None) if below else shutil.which(tool)
    if not found:
        sys.exit(f"{tool} is neither on the PATH nor below --tools")
    return found


# The tools, one row at a time -------------------------------------------------------------------
def get(port, path):
    """The body of an answer, None when there is none in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS + 2)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode(errors="replace")
    except OSError:
        return None
    finally:
        connection.close()


class Blackbox:
    """One blackbox_exporter with a module per way to ask: the shipped style (SSLRequest, then starttls),
    and SSLRequest with S expected in answer."""

    def __init__(self, binary, directory, root):
        self.port = process.Port()
        tls = {"ca_file": root}

        def module(*steps, **more):
            return {"prober": "tcp", "timeout": f"{SECONDS}s", "tcp": {"query_response": list(steps), **more}}
        self.config = Path(directory, "blackbox.yml")
        text = json.dumps({"modules": {
            "starttls": module({"send": "@"}, {"starttls": True}, tls_config=tls),
            "query": module({"send": "@"}, {"expect": "^S"}),
            "tls": {"prober": "tcp", "timeout": f"{SECONDS}s", "tcp": {"tls": True, "tls_config": tls}}}}, indent=1)
        self.config.write_text(text.replace('"@"', f'"{SSL_REQUEST}"'))
        self.program = Program([binary, f"--config.file={self.config}", "--web.config.file=",
                                f"--web.listen-address=127.0.0.1:{self.port.number}"], Path(directory, "blackbox.log"))
        self.program.wait_ready(lambda: accepts("127.0.0.1", self.port.number))

    def ask(self, endpoint, module):
        host = endpoint.get("hostaddr", endpoint["host"])
        if host.startswith("/"):
            return "has no Unix sockets"
        target = f"[{host}]:{endpoint['port']}" if ":" in host else f"{host}:{endpoint['port']}"
        answer = get(self.port.number, f"/probe?debug=true&module={module}&target={quote(target)}")
        if answer is None:
            return "no answer"
        success = re.search(r"^probe_success (\d)", answer, re.M)
        words = [line for line in re.findall(r"level=error .*", answer) if "Probe failed" not in line]
        return f"probe_success {success[1] if success else '?'}" + (f": {said(words[0])}" if words else "")

    def close(self):
        self.program.stop()
        self.port.close()


def said(line):
    """The message and error of a line of blackbox_exporter's or postgres_exporter's log."""
    fields = re.findall(r'\b(?:msg|err)=("(?:[^"\\]|\\.)*"|\S+)', line)
    text = ": ".join(json.loads(value) if value.startswith('"') else value for value in fields)
    return re.sub(r"Error opening connection to database \(.*?\): ", "", text)


def postgres_exporter(binary, directory, name, endpoint):
    """pg_up and what its log says, of a process of its own."""
    if "hostaddr" in endpoint:
        return "cannot be told an address beside the name"
    port = process.Port()
    given = {key: value for key, value in libpq_parameters(endpoint).items() if key in LIB_PQ}
    # Its own reader of key=value knows no quotes.
    dsn = f"postgresql:///{given.pop('dbname')}?" + urlencode(
        {"connect_timeout": SECONDS - 1, **given}, quote_via=quote)
    program = Program([binary, f"--web.listen-address=127.0.0.1:{port.number}"], Path(directory, f"{name}.log"),
                      environment=process.clean_environment(DATA_SOURCE_NAME=dsn))
    try:
        process.wait_for(lambda: accepts("127.0.0.1", port.number) or not program.running(), 20, "an answer")
        answer = get(port.number, "/metrics") if program.running() else None
        up = re.search(r"^pg_up (\d)", answer or "", re.M)
        words = [said(line) for line in program.log().splitlines() if "level=error" in line or "level=warn" in line]
        return (f"pg_up {up[1]}" if up else "no answer") + (f"; log: {words[-1]}" if words else "")
    finally:
        program.stop()
        port.close()


def psql_says(row, endpoint):
    if endpoint.get("negotiation") == "direct" or row.not_libpq in (catalogue.DIRECT, catalogue.OURS):
        return f"not asked: {row.not_libpq or catalogue.DIRECT}"
    try:
        done = subprocess.run(
            psql_argv(conninfo(gssencmode="disable", **libpq_parameters(endpoint)), "select 1"), capture_output=True,
            errors="replace", timeout=SECONDS, cwd="/", env=process.clean_environment(), check=False)
    except subprocess.TimeoutExpired:
        return "waits"
    return "gets in" if done.returncode == 0 else done.stderr


def others(endpoints, rows, tools, directory, root, begin=lambda: None):
    """{row: {tool: words}} of everybody but us; `begin` is called before the first is asked. Programs are
    started by the thread that waits for them."""
    directory.mkdir()
    blackbox = Blackbox(tools[0], directory, root)
    found = {}
    try:
        begin()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            pending = {}
            for row in rows:
                endpoint = endpoints[row.name]
                module = "tls" if endpoint.get("negotiation") == "direct" else "starttls"
                pending[row.name] = {
                    "psql": pool.submit(psql_says, row, endpoint),
                    "starttls": pool.submit(blackbox.ask, endpoint, module),
                    "query": pool.submit(blackbox.ask, endpoint, "query"),
                    "postgres": pool.submit(postgres_exporter, tools[1], directory, row.name, endpoint)}
            for name, waiting in pending.items():
                found[name] = {tool: one.result() for tool, one in waiting.items()}
    finally:
        blackbox.close()
    return found


def others_on_island(world, endpoints, tools, directory):
    """The same within that network, by this program run there."""
    done = subprocess.run(
        [*island.join(world.island.pid), sys.executable, "-B", __file__, "--worker"],
        input=json.dumps({"endpoints": endpoints, "tools": tools, "directory": str(directory),
                          "root": world.root_file}),
        text=True, capture_output=True, check=True, timeout=180)
    return json.loads(done.stdout)


def worker():
    asked = json.load(sys.stdin)
    rows = [row for row in catalogue.ROWS if row.name in asked["endpoints"]]
    json.dump(others(asked["endpoints"], rows, asked["tools"], Path(asked["directory"]), asked["root"]), sys.stdout)


# The page ---------------------------------------------------------------------------------------
INTRODUCTION = """<!-- Printed by tests/tools/compare.py from real runs; do not edit. -->
# Every fault, as four tools tell it

For each row of the [fault catalogue](faults.md): how it was produced, and what was said about it by

- psql 15 (libpq 15, OpenSSL 3.0);
- blackbox_exporter 0.23, a `tcp` module: first with SSLRequest and `starttls: true` (with `tls: true`
  where TLS begins at once), then with SSLRequest and `expect: "^S"`. It always ends a line it sends with a
  newline, so SSLRequest arrives as nine bytes;
- postgres_exporter 0.11 with `DATA_SOURCE_NAME`: its metric and the end of its log;
- pgtls_exporter: the fault, with its phase and class, that `pgtls_fault_active` and `/health/database`
  show. The error text of a server is added there when there is one.

Same server, same parameters. "waits" means no result within {seconds} s. Ports and directories are left out.
psql, blackbox_exporter and postgres_exporter have no exporter of their own to be short of descriptors or
memory; they are not asked about that. Run it again: `tests/tools/compare.py` says how.

The first rows are servers with nothing wrong. Of the {rows} others, which show all {faults} faults,
pgtls_exporter names {ours} by their fault; blackbox_exporter reports {blackbox} of them as good
(`probe_success 1` in its first answer), and answers the healthy servers as it does most of the broken ones.

"""


def tidy(text):
    """One line, without what changes from run to run."""
    text = re.sub(r'connection to server (?:at|on socket) "[^"]*"(?: \([^)]*\))?(?:, port \d+)? failed: ', "", text)
    text = re.sub(r"^psql: error: ", "", text.strip())
    text = re.sub(r"/\S*pgtls-[^/\s\"]*(/[^\s\",:]*)*/", "", text)
    text = re.sub(r"/\S*pgtls-[^/\s\"]*", "a directory", text)
    text = re.sub(r"'?FILE:/tmp/krb5cc_\d+'?", "none", text)
    text = re.sub(r"((?:\d+\.){3}\d+|\]):\d{4,5}", r"\1:port", text)
    text = re.sub(r"\b20\d\d-\d\d-\d\dT[\d:]+Z", "…", text)
    text = re.sub(r"s\.PGSQL\.\d+", "s.PGSQL.port", text)
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]+\s*", " ", text).strip().replace("|", "\\|").replace("`", "'")
    text = text.replace("<", "&lt;")
    return text if len(text) < 240 else text[:230].rsplit(" ", 1)[0] + " …"


def ours(seen, row):
    health = seen.health(row)
    if row.run == "control":
        return False, f"up: {health['connection']}"
    ok = (health["fault"], health["phase"]) == (row.fault, row.phase)
    error = f": {health['error']}" if health["error"] else ""
    return ok, f"**{health['fault']}** ({health['phase']}, {health['class']}){tidy(error)}"


def page(seen, found, good_ones):
    lines, named, good = [], 0, 0
    for row in [*good_ones, *catalogue.ROWS]:
        ok, text = ours(seen, row)
        named += ok
        says = {tool: tidy(words) for tool, words in found.get(row.name, {}).items()}
        good += row.run != "control" and says.get("starttls", "").startswith("probe_success 1")
        blackbox = "<br>".join(says[tool] for tool in ("starttls", "query") if tool in says)
        name = f"`{row.fault}`" if row.fault in CLASS else row.fault
        lines.append(f"| {name} | {row.how} | {says.get('psql', '–')} | {blackbox or '–'} "
                     f"| {says.get('postgres', '–')} | {text} |")
    head = INTRODUCTION.format(rows=len(lines) - len(good_ones), faults=len(CLASS), ours=named, blackbox=good, seconds=SECONDS)
    return head + "\n".join([
        "| Row | Produced by | psql 15 | blackbox_exporter 0.23 | postgres_exporter 0.11 | pgtls_exporter |",
        "| --- | --- | --- | --- | --- | --- |", *lines]) + "\n"


def controls(world):
    """Nothing is wrong with these: what the tools say when there is nothing to say."""
    def good(version):
        server = world.new_postgres(f"good-{version}", version)
        server.sql("create role u_trust login")
        server.sql("create database app")
        return server

    return [Row("–", "", f"nothing wrong: {what}", make, name=f"good-{i}", run="control") for i, (what, make) in enumerate({
        "PostgreSQL 15": lambda w: endpoint_of(w.postgres),
        "PostgreSQL 17": lambda w: endpoint_of(good(17)),
        "PostgreSQL 18, TLS at once": lambda w: endpoint_of(good(18), negotiation="direct"),
        "PgBouncer 1.18": lambda w: endpoint_of(w.pooler)}.items())]


def crash_row(world, tools, directory):
    """A crash is over soon: the others are asked while it lasts."""
    rows = [row for row in catalogue.ROWS if row.run == "crash"]
    endpoints = {row.name: {"user": "u_trust", "dbname": "app", "sslrootcert": world.root_file, **row.make(world)}
                 for row in rows}
    found = others(endpoints, rows, tools, directory, world.root_file, world.crash)
    time.sleep(6)
    world.crashing.restart()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tools", help="directory below which the two exporters are")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker()
        return
    tools = [find(tool, arguments.tools) for tool in TOOLS]
    warnings.simplefilter("ignore")
    started = []
    with process.temporary_directory() as scratch:
        world = World(scratch / "world")

        def start(configuration, **more):
            started.append(exporter.Exporter(scratch / f"exporter-{len(started)}", configuration, **more))
            return started[-1]
        try:
            found = crash_row(world, tools, scratch / "others-crash")
            seen = Seen(world, start)
            good_ones = controls(world)
            seen.watch(good_ones, start, lambda daemon: daemon.settled())
            rows = [*good_ones, *(row for row in catalogue.ROWS if row.run == "main")]
            found |= others(seen.endpoints, rows, tools, scratch / "others", world.root_file)
            island_rows = [row.name for row in catalogue.ROWS if row.run == "island"]
            found |= others_on_island(world, {name: seen.endpoints[name] for name in island_rows}, tools,
                                      scratch / "others-island")
            sys.stdout.write(page(seen, found, good_ones))
        finally:
            for one in started:
                one.stop()
            world.close()


if __name__ == "__main__":
    main()
