"""The login probe: what an application would meet, told without flapping; passwords in clear to
nobody who was not allowed to ask."""

import time

import pytest

from conftest import PASSWORD
from lab import certs
from lab.exporter import endpoint_of, one_cluster
from lab.relay import Relay


def test_a_login_outage_keeps_up_at_zero_without_flapping(lab, trust, password_file, exporter):
    """Inspect passes every 200 ms all along; only the password is wrong."""
    server = lab.new_postgres()
    daemon = exporter(one_cluster({"write": endpoint_of(
        server, user="u_scram", dbname="app", password_file=str(password_file),
        sslrootcert=str(trust.root_file))}))
    daemon.until(lambda m: m.value("pgtls_up") == 1)
    server.sql("alter role u_scram password 'another'")
    daemon.until(lambda m: m.value("pgtls_up") == 0)
    seen = set()
    began = daemon.scrape().value("pgtls_probes_total", probe="inspect")
    until = time.monotonic() + 6
    while time.monotonic() < until:
        metrics = daemon.scrape()
        seen.add((metrics.value("pgtls_up"), metrics.value("pgtls_probe_up", probe="inspect"),
                  metrics.value("pgtls_probe_up", probe="login")))
        time.sleep(0.05)
    assert seen == {(0, 1, 0)}
    assert metrics.value("pgtls_probes_total", probe="inspect") > began + 10
    (active,) = [labels for labels, _ in metrics.all("pgtls_fault_active")]
    assert (active["probe"], active["phase"], active["class"], active["fault"]) \
        == ("login", "auth", "auth", "password_failed")
    changes = daemon.told("password_failed")
    assert len(changes) == 1, changes


def test_a_login_that_fails_backs_off(lab, trust, exporter):
    """Accounts get locked by those who try too often."""
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(), user="u_scram", dbname="app", password="wrong",
        sslrootcert=str(trust.root_file))}))
    daemon.until(lambda m: m.value("pgtls_probe_interval_seconds", 0, probe="login") >= 4, 30)
    assert daemon.scrape().value("pgtls_probe_interval_seconds", probe="inspect") == 0.2


def test_a_rotated_password_is_picked_up_at_once(lab, trust, exporter, scratch):
    server = lab.new_postgres()
    secret = scratch / "rotating"
    secret.write_text(PASSWORD)
    daemon = exporter(one_cluster({"write": endpoint_of(
        server, user="u_scram", dbname="app", password_file=str(secret), sslrootcert=str(trust.root_file))}))
    daemon.until(lambda m: m.value("pgtls_up") == 1)
    server.sql("alter role u_scram password 'second'")
    daemon.until(lambda m: m.value("pgtls_up") == 0)
    daemon.until(lambda m: m.value("pgtls_probe_interval_seconds", probe="login") >= 4, 30)
    secret.write_text("second")
    began = time.monotonic()
    daemon.until(lambda m: m.value("pgtls_up") == 1, 10)
    assert time.monotonic() - began < 4


def test_a_missing_secret_is_our_own_trouble(lab, trust, exporter, scratch):
    """Not configured wrongly, not the server's fault: unknown until the file appears."""
    secret = scratch / "later"
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(), user="u_scram", dbname="app", password_file=str(secret),
        sslrootcert=str(trust.root_file))}))
    metrics = daemon.until(lambda m: m.sum("pgtls_probe_internal_errors_total", reason="secret") >= 1)
    assert metrics.value("pgtls_up") is None
    assert metrics.sum("pgtls_probe_failures_total") == 0
    assert daemon.health("/lab/write")["status"] == "unknown"
    secret.write_text(PASSWORD)
    daemon.until(lambda m: m.value("pgtls_up") == 1, 20)


def test_a_missing_ca_file_is_our_own_trouble(lab, trust, exporter, scratch):
    later = scratch / "later.crt"
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(), user="u_trust", dbname="app", sslrootcert=str(later))}))
    metrics = daemon.until(lambda m: m.sum("pgtls_probe_internal_errors_total", reason="local_file") >= 1)
    assert metrics.value("pgtls_up") is None
    assert metrics.sum("pgtls_probe_failures_total") == 0
    later.write_bytes(trust.root.certificate_pem)
    daemon.until(lambda m: m.value("pgtls_up") == 1, 20)


@pytest.mark.parametrize("behaviour, method", [("ask_clear", "password"), ("ask_md5", "md5")])
def test_a_password_goes_to_nobody_who_was_not_allowed_to_ask(lab, trust, exporter, behaviour, method):
    server = lab.misbehave(behaviour)
    daemon = exporter(one_cluster({"write": endpoint_of(
        server, user="u", dbname="d", password="Sup3rSecret", sslrootcert=str(trust.root_file))}))
    metrics = daemon.until(lambda m: m.value("pgtls_up") == 0)
    assert [labels["fault"] for labels, _ in metrics.all("pgtls_fault_active")] == ["auth_method_refused"]
    time.sleep(1.5)
    assert server.secrets == []


@pytest.mark.parametrize("behaviour, method", [("ask_clear", "password"), ("ask_md5", "md5")])
def test_it_goes_to_those_who_were(lab, trust, exporter, behaviour, method):
    """The test above could fail: allowed, the same server does get something."""
    server = lab.misbehave(behaviour)
    daemon = exporter(one_cluster({"write": endpoint_of(
        server, user="u", dbname="d", password="Sup3rSecret", allow_auth=[method],
        sslrootcert=str(trust.root_file))}))
    metrics = daemon.until(lambda m: m.value("pgtls_up") == 0)
    assert [labels["fault"] for labels, _ in metrics.all("pgtls_fault_active")] == ["password_failed"]
    assert server.secrets


def test_an_unknown_method_is_named(lab, trust, exporter):
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.misbehave("unknown_auth"), user="u", dbname="d", sslrootcert=str(trust.root_file))}))
    metrics = daemon.until(lambda m: m.value("pgtls_up") == 0)
    active = metrics.labels("pgtls_fault_active")
    assert (active["class"], active["fault"]) == ("auth", "auth_method_unsupported")


@pytest.mark.parametrize("source", ["password_file", "password_env", "passfile", "password"])
def test_every_source_of_a_password(lab, trust, exporter, password_file, scratch, source):
    server = lab.postgres()
    passfile = scratch / "passfile"
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    passfile.write_text(f"# comment\nother:*:*:*:wrong\n*:{server.port}:app:u_scram:{escaped}\n")
    passfile.chmod(0o600)
    value = {"password_file": str(password_file), "password_env": "LAB_PASSWORD", "passfile": str(passfile),
             "password": PASSWORD}[source]
    daemon = exporter(one_cluster({"write": endpoint_of(
        server, user="u_scram", dbname="app", sslrootcert=str(trust.root_file), **{source: value})}),
        environment={"LAB_PASSWORD": PASSWORD}, log_level="debug")
    daemon.until(lambda m: m.value("pgtls_up") == 1)
    for path in ("/", "/metrics", "/health/database"):
        assert "battery" not in daemon.get(path).text
    assert "battery" not in daemon.log()


def test_a_standby_is_told_from_a_primary(lab, trust, exporter):
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(), user="u_trust", dbname="app", sslrootcert=str(trust.root_file))}))
    assert daemon.settled().value("pgtls_in_recovery") == 0


def test_the_console_of_pgbouncer(lab, trust, exporter):
    """It knows SHOW and no SELECT: who has nothing else to log in to is up all the same, and so is a session there."""
    pooler = lab.new_pgbouncer(settings={"admin_users": "u_trust"})
    daemon = exporter(one_cluster({"write": endpoint_of(
        pooler, user="u_trust", dbname="pgbouncer", sslrootcert=str(trust.root_file), promise={"pooled": True},
        session=[{"idle": "1s"}])}))
    metrics = daemon.until(lambda m: m.value("pgtls_up") == 1 and m.value("pgtls_session_up") == 1)
    assert metrics.value("pgtls_promise_kept", promise="pooled") == 1
    info = metrics.labels("pgtls_server_info")
    assert info["pooler"] == "true" and info["server_version"].endswith("/bouncer")
    assert metrics.value("pgtls_in_recovery") is None
    time.sleep(2.5)  # twice its check
    metrics = daemon.scrape()
    assert metrics.value("pgtls_session_up") == 1 and metrics.sum("pgtls_session_drops_total") == 0
    assert metrics.sum("pgtls_probe_failures_total") == 0
    assert "syntax error" not in pooler.log() and "invalid command" not in pooler.log()


def test_several_hosts_make_several_servers(lab, trust, exporter):
    one, two = lab.postgres(), lab.postgres(18)
    dsn = (f"host=localhost,localhost hostaddr=127.0.0.1,127.0.0.1 port={one.port},{two.port} user=u_trust "
           f"dbname=app sslmode=verify-full sslrootcert={trust.root_file}")
    daemon = exporter(one_cluster({"write": {"dsn": dsn}}))
    metrics = daemon.settled()
    assert {labels["server"] for labels, value in metrics.all("pgtls_up") if value == 1} \
        == {f"localhost:{one.port}", f"localhost:{two.port}"}
    assert metrics.value("pgtls_endpoint_up") == 1


def test_a_unix_socket(lab, exporter):
    server = lab.postgres()
    daemon = exporter(one_cluster({"write": {"host": str(server.directory), "port": server.port,
                                             "user": "u_trust", "dbname": "app"}}))
    metrics = daemon.settled()
    assert metrics.value("pgtls_up") == 1
    assert metrics.labels("pgtls_up")["server"] == f"{server.directory}/.s.PGSQL.{server.port}"
    assert metrics.all("pgtls_tls_info") == []


def test_an_ipv6_server(lab, trust, exporter):
    server = lab.new_postgres(address="::1")
    daemon = exporter(one_cluster({"write": {"host": "::1", "port": server.port, "user": "u_trust",
                                             "dbname": "app", "sslrootcert": str(trust.root_file)}}))
    metrics = daemon.settled()
    assert metrics.value("pgtls_up") == 1
    assert metrics.labels("pgtls_up")["server"] == f"[::1]:{server.port}"


def test_a_restarted_server_comes_back(lab, trust, exporter):
    server = lab.new_postgres()
    daemon = exporter(one_cluster({"write": endpoint_of(
        server, user="u_trust", dbname="app", sslrootcert=str(trust.root_file))}))
    daemon.until(lambda m: m.value("pgtls_up") == 1)
    server.stop()
    # A probe may have met it while it was shutting down.
    daemon.until(lambda m: [labels["fault"] for labels, _ in m.all("pgtls_fault_active")] == ["tcp_refused"])
    assert daemon.scrape().value("pgtls_up") == 0
    server.restart()
    daemon.until(lambda m: m.value("pgtls_up") == 1)


@pytest.mark.parametrize("stranger", [True, False])
def test_a_certificate_swapped_before_the_login_is_caught(lab, trust, exporter, stranger):
    """The login verifies with what the inspect's chain rested on, and only that. Whoever shows another certificate
    to it gets no password; the same server without a stranger's certificate does, so the test could fail."""
    authority = certs.Authority("A Stranger") if stranger else trust.root
    server = Relay(lab.misbehave("ask_clear"), later := lab.misbehave("ask_clear", authority.issue()))
    try:
        daemon = exporter(one_cluster({"write": endpoint_of(
            server, user="u", dbname="d", password="Sup3rSecret", allow_auth=["password"], interval="1h",
            login={"interval": "1h"}, sslmode="verify-full", sslrootcert=str(trust.root_file))}))
        metrics = daemon.until(lambda m: m.value("pgtls_up") == 0)
    finally:
        server.close()
    assert metrics.value("pgtls_probe_up", probe="inspect") == 1
    assert [labels["fault"] for labels, _ in metrics.all("pgtls_fault_active")] == [
        "server_cert_untrusted" if stranger else "password_failed"]
    assert len(server.connections) >= 2
    assert bool(later.secrets) is not stranger
