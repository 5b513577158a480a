"""The figures of docs/faq.md: how many series a server has, how many lines a probe leaves in a log, and that
the role it tells to create is enough."""

import re

import pytest

from conftest import PASSWORD, ROLES
from lab import snippets
from lab.exporter import endpoint_of, one_cluster
from lab.process import wait_for
from lab.servers import ROOT

PAGE = (ROOT / "docs" / "faq.md").read_text()


def table(heading):
    """The rows of the only table below a heading, by their first cell."""
    part = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows[2:]}


def number(text):
    return int(re.search(r"[\d,]+", text)[0].replace(",", ""))


@pytest.fixture(scope="module")
def shapes(lab, trust, password_file, shared_exporter):
    """Row of the table → (series, bytes) of a server of this shape."""
    server = lab.new_postgres(credentials=trust.intermediate.issue())
    login = {"user": "u_scram", "password_file": str(password_file)}
    rows = table("How many series is that?")
    kinds = {
        "no user: TLS and certificates": {},
        "with a user, `login: false`": {"user": "u_scram", "login": False},
        "with a login": login,
        "with a login and three buckets": login,
        "a watched session more": {**login, "session": [{"idle": "60s"}]},
    }
    assert kinds.keys() == rows.keys()
    found = {}
    for buckets in ([], [0.01, 0.1, 1]):
        configuration = one_cluster({f"e{number}": {**endpoint_of(server, dbname="app", sslrootcert=str(trust.root_file)),
                                                    "host": "localhost", **kind}
                                     for number, kind in enumerate(kinds.values())})
        if buckets:
            configuration["histogram_buckets"] = buckets
        daemon = shared_exporter(configuration)
        daemon.settled(at_least=2)
        daemon.until(lambda m: m.all("pgtls_session_up"))
        text = daemon.get("/metrics").text
        for place, kind in enumerate(kinds):
            lines = [line for line in text.splitlines() if f'pg_endpoint="e{place}"' in line]
            if bool(buckets) == ("buckets" in kind):
                found[kind] = (len(lines), sum(len(line) + 1 for line in lines))
    found["a watched session more"] = tuple(
        a - b for a, b in zip(found["a watched session more"], found["with a login"]))
    return rows, found


def test_the_series_of_a_server(shapes):
    rows, found = shapes
    for kind, (series, size) in found.items():
        assert number(rows[kind][0]) == pytest.approx(series, abs=2), (kind, series)
        assert number(rows[kind][1]) == pytest.approx(size / 1000, rel=0.15, abs=0.6), (kind, size)


def test_the_lines_in_a_log(lab, trust, password_file, exporter):
    """With everything logged that can be: what one inspect leaves, and what one login leaves."""
    rows = table("Does it leave anything in my logs?")
    settings = {"log_connections": "on", "log_disconnections": "on"}
    postgres = lab.new_postgres(settings=settings)
    pooler = lab.new_pgbouncer(settings={"auth_type": "scram-sha-256"}, users={role: PASSWORD for role in ROLES})
    for name, server in (("PostgreSQL", postgres), ("PgBouncer", pooler)):
        for probe in ("inspect", "login"):
            before = len(server.log())
            endpoint = endpoint_of(server, user="u_scram", dbname="app", password_file=str(password_file),
                                   sslrootcert=str(trust.root_file), login=probe == "login")
            daemon = exporter(one_cluster({"write": endpoint}, {"interval": "1h", "login": {"interval": "1h"}}
                                          if probe == "login" else {"interval": "1h"}))
            daemon.settled()
            daemon.stop()
            (row,) = [row for first, row in rows.items() if first.startswith(name)]
            wanted = number(row[0]) if probe == "inspect" else number(row[0]) + number(row[1])

            def new():
                return [line for line in server.log()[before:].splitlines()
                        if re.search("connection|login|closing", line) and "connection to server" not in line]
            wait_for(lambda: len(new()) >= wanted, 5, lambda: f"{name} {probe}: {wanted} lines in {new()}")
            assert len(new()) == wanted, (name, probe, new())


def test_the_role_is_enough(lab, trust, exporter):
    (snippet,) = [one for one in snippets.snippets("sql") if one.page.name == "faq.md"]
    server = lab.new_postgres(hba="hostssl all all 127.0.0.0/8 scram-sha-256\n"
                                  "host all postgres 127.0.0.0/8 trust\n", roles=False)
    server.set_hba("hostssl all monitor 127.0.0.0/8 scram-sha-256\nlocal all all trust\nhost all postgres 127.0.0.0/8 trust\n")
    server.reload()
    server.sql(snippet.text)
    password = re.search(r"password '([^']+)'", snippet.text)[1]
    daemon = exporter(one_cluster({"write": endpoint_of(
        server, user="monitor", dbname="postgres", password=password, sslrootcert=str(trust.root_file),
        promise={"read_only": False, "pooled": False, "max_lag": "30s"})}))
    metrics = daemon.settled(at_least=2)
    assert [value for _, value in metrics.all("pgtls_up")] == [1]
    assert {labels["promise"]: value for labels, value in metrics.all("pgtls_promise_kept")} == {
        "read_only": 1, "pooled": 1, "max_lag": 1}
