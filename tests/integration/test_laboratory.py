"""The laboratory itself: servers come up as they should, misbehave as they should, and go."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from conftest import PASSWORD
from lab import process, servers
from lab.process import wait_for
from lab.servers import conninfo, psql, psql_started
from misbehave import BEHAVIOURS

VERSIONS = (15, 17, 18)


@pytest.mark.parametrize("version", VERSIONS)
def test_postgres_is_the_version_it_should_be(lab, version):
    assert lab.postgres(version).sql("show server_version").startswith(f"{version}.")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("role", ["u_trust", "u_password", "u_md5", "u_scram", "u_cert"])
def test_psql_gets_in_with_every_method(lab, trust, version, role):
    server = lab.postgres(version)
    result = psql(conninfo(host="localhost", hostaddr="127.0.0.1", port=server.port, user=role,
                           dbname="app", sslmode="verify-full", sslrootcert=trust.root_file,
                           sslcert=trust.client_cert, sslkey=trust.client_key, password=PASSWORD),
                  "select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    assert result.stdout.strip() == "t", result.stderr


@pytest.mark.parametrize("role, text", [
    ("u_reject", "pg_hba.conf rejects connection"), ("u_noentry", "no pg_hba.conf entry")])
def test_psql_is_refused_by_hba(lab, role, text):
    result = psql(conninfo(host="127.0.0.1", port=lab.postgres().port, user=role, dbname="app",
                           sslmode="require"))
    assert result.returncode == 2 and text in result.stderr


def test_pgbouncer_lets_psql_in(lab, trust):
    result = psql(conninfo(host="localhost", hostaddr="127.0.0.1", port=lab.pgbouncer().port, user="u_trust",
                           dbname="app", sslmode="verify-full", sslrootcert=trust.root_file))
    assert result.stdout.strip() == "1", result.stderr


def test_prometheus_starts(lab):
    with servers.Prometheus(lab.directory("prometheus"), {"scrape_configs": []}) as prometheus:
        prometheus.start()
        assert prometheus.query("vector(1)")[0]["value"][1] == "1"


# What psql 15 says to a behaviour: the texts of the field, so that the tool is known to do what it
# says. (A reset that meets a write of libpq's may read as an end of file.)
PSQL_SAYS = {
    "fin_after_ssl_request": "server closed the connection unexpectedly",
    "answer_n": "server does not support SSL",
    "answer_error_v3": "server sent an error response during SSL exchange",
    "answer_http": "received invalid response to SSL negotiation: H",
    "fin_after_client_hello": "EOF detected",
    "alert_handshake_failure": "alert handshake failure",
    "alert_unrecognized_name": "unrecognized name",
    "plaintext_in_tls": "wrong version number",
    "notify_after_startup": "SSL connection has been closed unexpectedly",
    "fin_after_startup": "EOF detected",
    "notify_during_auth": "SSL connection has been closed unexpectedly",
    "no_entry": "no pg_hba.conf entry",
    "unknown_auth": "authentication method 99 not supported",
    "http_in_tls": "expected authentication request from server, but received H",
    "ask_clear": "password authentication failed",
}


@pytest.mark.parametrize("behaviour", PSQL_SAYS)
def test_psql_sees_the_misbehaviour(lab, behaviour):
    server = lab.misbehave(behaviour)
    result = psql(conninfo(host="127.0.0.1", port=server.port, user="u", dbname="d", sslmode="require",
                           password="secret"))
    assert result.returncode == 2
    assert PSQL_SAYS[behaviour] in result.stderr
    assert server.tally["accepted"] == 1


def test_healthy_and_trickle_let_psql_connect(lab):
    for behaviour in ("healthy", "trickle"):
        server = lab.misbehave(behaviour)
        result = psql(conninfo(host="127.0.0.1", port=server.port, user="u", dbname="d", sslmode="require"))
        assert result.returncode == 0, result.stderr


def test_every_behaviour_ends_without_an_exception(lab, monkeypatch):
    """A client that does what psql does, and leaves after two seconds at most: no behaviour has a
    bug of its own."""
    seen = []
    monkeypatch.setattr("threading.excepthook", lambda args: seen.append(args.exc_value))
    at_once = {name: lab.misbehave(name) for name in BEHAVIOURS}
    clients = [psql_started(conninfo(host="127.0.0.1", port=server.port, user="u", dbname="d",
                                     sslmode="require", password="x", connect_timeout=2))
               for server in at_once.values()]
    for client in clients:
        try:
            client.wait(4)
        except subprocess.TimeoutExpired:
            client.kill()
            client.wait()
    assert not seen
    assert [name for name, server in at_once.items() if not server.tally["accepted"]] == []


def test_servers_die_with_the_one_who_started_them(scratch):
    """A test run that is killed leaves no PostgreSQL behind."""
    script = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(servers.ROOT / 'tests' / 'tools')!r})
        from lab import servers
        server = servers.Postgres(15, {str(scratch / 'orphan')!r}).start()
        print(server.program.pid, flush=True)
        time.sleep(600)
    """)
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    postmaster = int(child.stdout.readline())
    os.kill(postmaster, 0)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()

    def gone():
        try:
            os.kill(postmaster, 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{postmaster}/stat").read_text().split()[2] == "Z"
    wait_for(gone, 10, "the orphaned PostgreSQL to end")


def test_a_reserved_port_is_nobody_elses():
    reserved, other = process.Port(), process.Port()
    assert other.number != reserved.number
    assert not process.accepts("127.0.0.1", reserved.number)
    reserved.close()
    other.close()
