"""Leave no trace: healthy probes put nothing into anybody's log, and leave no statistics behind."""

import contextlib
import socket

import pytest

from conftest import PASSWORD, ROLES
from lab.exporter import endpoint_of, one_cluster
from lab.process import wait_for

VERSIONS = (15, 17, 18)
PROBES = 100


@pytest.fixture(scope="module")
def quiet(lab, trust, password_file, shared_exporter):
    """What logs and statistics said before, what they say a hundred probes later, and a scrape."""
    servers = {version: lab.postgres(version) for version in VERSIONS}
    pooler = lab.new_pgbouncer(settings={"auth_type": "scram-sha-256", "log_connections": "0"},
                               users={role: PASSWORD for role in ROLES})
    endpoints = {}
    for version, server in servers.items():
        endpoints |= {
            f"{version}-trust": endpoint_of(server, user="u_trust"),
            f"{version}-scram": endpoint_of(server, user="u_scram"),
            f"{version}-cert": endpoint_of(server, user="u_cert", sslcert=str(trust.client_cert),
                                           sslkey=str(trust.client_key)),
            f"{version}-tls12": endpoint_of(server, user="u_scram", ssl_max_protocol_version="TLSv1.2"),
            f"{version}-plain": endpoint_of(server, user="u_trust", sslmode="disable"),
        }
        endpoints[f"{version}-tls-only"] = endpoint_of(server, user="u_trust", login=False,
                                                       sslmode="require")
        if version > 15:
            endpoints[f"{version}-direct"] = endpoint_of(server, user="u_trust", negotiation="direct")
    endpoints["pgbouncer-scram"] = endpoint_of(pooler, user="u_scram", login=False)
    for endpoint in endpoints.values():
        if endpoint.get("sslmode") != "disable":
            endpoint["sslrootcert"] = str(trust.root_file)
    before = {name: (server.log(), abandoned(server)) for name, server in servers.items()}
    before["pgbouncer"] = (pooler.log(), None)
    daemon = shared_exporter(one_cluster(endpoints, {
        "dbname": "app", "interval": "100ms", "password_file": str(password_file)}))
    metrics = daemon.settled(180, at_least=PROBES)
    # Looked at before the daemon ends: on a machine this busy its last probes may be broken off.
    after = {name: (server.log(), abandoned(server)) for name, server in servers.items()}
    after["pgbouncer"] = (pooler.log(), None)
    status = daemon.stop()
    return before, after, metrics, status


def abandoned(server):
    return server.sql("select sum(sessions_abandoned) from pg_stat_database")


def test_every_probe_was_healthy(quiet):
    _, _, metrics, status = quiet
    assert status == 0
    assert metrics.all("pgtls_fault_active") == []
    assert all(value == 1 for _, value in metrics.all("pgtls_up"))


@pytest.mark.parametrize("name", [*VERSIONS, "pgbouncer"])
def test_the_log_holds_no_line_of_ours(quiet, name):
    before, after, _, _ = quiet
    log = after[name][0]
    assert log.startswith(before[name][0])
    # A database that a pooler makes up on demand is registered once, for whoever comes first.
    new = [line for line in log[len(before[name][0]):].splitlines()
           if " stats: " not in line and "checkpoint" not in line and "auto-database" not in line]
    assert new == []


@pytest.mark.parametrize("version", VERSIONS)
def test_no_session_was_abandoned(quiet, version):
    before, after, _, _ = quiet
    assert after[version][1] == before[version][1]


def test_a_rude_client_would_have_been_noticed(lab):
    """The other tests of this file can fail: what is looked at does show a client that just goes."""
    server = lab.postgres()
    before = len(server.log())
    with socket.create_connection(("127.0.0.1", server.port)) as rude:
        rude.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
        assert rude.recv(1) == b"S"
        rude.sendall(b"nonsense" * 4)
        with contextlib.suppress(ConnectionResetError):
            rude.recv(100)
    wait_for(lambda: "could not accept SSL connection" in server.log()[before:], 5, "a line in the log")
