"""What endpoints promise, measured on real servers: a primary with a streaming standby, a pooler, a
balancer over both, a failover; and pinned certificates."""

import base64
import datetime
import hashlib
import time

import pytest

from cryptography.hazmat.primitives import serialization
from lab import certs, servers
from lab.exporter import endpoint_of, one_cluster
from lab.relay import Relay

HBA = "host all all 127.0.0.0/8 trust\n"
KEPT, ENDPOINT_KEPT = "pgtls_promise_kept", "pgtls_endpoint_promise_kept"


def make_pair(lab, trust):
    """A primary and its standby, each with a certificate of its own."""
    primary = lab.new_postgres(hba=HBA, client_ca=None, roles=False, settings=servers.REPLICATING)
    primary.sql("create table t (n int)")
    standby = lab.keep(servers.Standby(primary, lab.directory("standby"), hba=HBA, scratch=lab.scratch,
                                       credentials=trust.root.issue())).start()
    return primary, standby


@pytest.fixture(scope="module")
def pair(lab, trust):
    return make_pair(lab, trust)


@pytest.fixture
def watch(trust, exporter):
    """A function that watches endpoints (name → mapping) as the superuser."""
    def start(endpoints, **defaults):
        return exporter(one_cluster(endpoints, {"user": "postgres", "sslrootcert": str(trust.root_file),
                                                **defaults}))
    return start


def steady(daemon, seconds, check):
    """check(metrics) holds at every scrape for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        metrics = daemon.scrape()
        assert check(metrics), (metrics.all("pgtls_up"), metrics.all(KEPT), metrics.all("pgtls_fault_active"))
        time.sleep(0.05)
    return metrics


# --- roles, lag, poolers, addresses ------------------------------------------------------------


def test_promises_of_a_primary_and_its_standby(pair, watch):
    primary, standby = pair
    kept = {"read_only": False, "pooled": False, "max_lag": "5s", "addresses": ["192.0.2.1", "127.0.0.0/8"]}
    daemon = watch({
        "write": endpoint_of(primary, promise=kept),
        "read": endpoint_of(standby, promise={**kept, "read_only": True}),
        "swapped": endpoint_of(standby, promise={"read_only": False, "pooled": True,
                                                 "addresses": ["192.0.2.0/24"]}),
        "nothing": endpoint_of(standby)})
    metrics = daemon.settled()
    for endpoint, want in (("write", 1), ("read", 1), ("swapped", 0)):
        promised = kept if want else ("read_only", "pooled", "addresses")
        for name in (KEPT, ENDPOINT_KEPT):
            assert {labels["promise"]: value for labels, value in metrics.all(name, pg_endpoint=endpoint)} \
                == dict.fromkeys(promised, want)
    assert not metrics.all(KEPT, pg_endpoint="nothing")
    assert [metrics.value("pgtls_up", pg_endpoint=e) for e in ("write", "read", "swapped", "nothing")] == [1] * 4
    assert [metrics.value("pgtls_in_recovery", pg_endpoint=e) for e in ("write", "read")] == [0, 1]
    assert metrics.value("pgtls_replication_lag_seconds", pg_endpoint="read") == 0
    assert metrics.value("pgtls_replication_lag_seconds", pg_endpoint="write") is None

    health = daemon.get("/health/database")
    assert (health.status, health.json()["status"]) == (200, "degraded")
    assert daemon.get("/health/database?fail_on=degraded").status == 503
    states = {e["endpoint"]: e for e in health.json()["endpoints"]}
    assert {name: e["status"] for name, e in states.items()} \
        == {"write": "ok", "read": "ok", "swapped": "degraded", "nothing": "ok"}
    (server,) = states["swapped"]["servers"]
    assert server["connection"] == "OK" and server["in_recovery"] is True and server["pooler"] is False
    assert server["promises"] == states["swapped"]["promises"] \
        == {"read_only": False, "pooled": False, "max_lag": None, "addresses": False,
            "certificate_file": None, "same_certificate": None}
    assert states["nothing"]["servers"][0]["promises"] == dict.fromkeys(server["promises"])


def test_a_primary_that_takes_no_writes_is_read_only(lab, watch):
    """As target_session_attrs has it; the standby of target_session_attrs=standby it is not."""
    server = lab.new_postgres(hba=HBA, client_ca=None, roles=False)
    server.sql("alter database postgres set default_transaction_read_only = on")
    dsn = f"host=127.0.0.1 port={server.port} user=postgres sslmode=require target_session_attrs="
    attrs = {"read-only": 1, "read-write": 0, "primary": 1, "standby": 0}
    metrics = watch({attr: {"dsn": dsn + attr} for attr in attrs}).settled()
    assert {labels["pg_endpoint"]: value for labels, value in metrics.all(KEPT)} == attrs


@pytest.mark.parametrize("version", [15, 17, 18])
def test_one_query_on_every_version(lab, trust, watch, version):
    server = lab.postgres(version)
    before = len(server.log())
    metrics = watch({"write": endpoint_of(server, user="u_trust", dbname="app",
                                          promise={"read_only": False, "pooled": False})}).settled()
    assert [value for _, value in metrics.all(KEPT)] == [1, 1]
    assert "ERROR" not in server.log()[before:]


def lag_with_nothing_to_replay(daemon, standby):
    """Of a standby whose replay pauses, as it still does: not behind, however old the latest transaction is. Every
    now and then a primary at rest, too, writes a record, which is something to replay: then it is tried again."""
    for _ in range(5):
        standby.sql("select pg_wal_replay_pause()")
        time.sleep(2.5)
        lag = daemon.scrape().value("pgtls_replication_lag_seconds")
        if standby.sql("select pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn()") == "t":
            return lag
        standby.sql("select pg_wal_replay_resume()")
        daemon.until(lambda m: m.value("pgtls_replication_lag_seconds") == 0, 20)
    raise AssertionError("the primary writes all the time")


def test_lag_is_that_of_the_replay(pair, watch):
    primary, standby = pair
    daemon = watch({"read": endpoint_of(standby, promise={"max_lag": "2s", "read_only": True})})
    daemon.until(lambda m: m.value(KEPT, promise="max_lag") == 1)
    try:
        assert lag_with_nothing_to_replay(daemon, standby) == 0
        primary.sql("insert into t values (1)")
        metrics = daemon.until(lambda m: m.value(KEPT, promise="max_lag") == 0, 20)
        assert metrics.value("pgtls_replication_lag_seconds") > 2
        assert metrics.value(KEPT, promise="read_only") == metrics.value("pgtls_up") == 1
        assert daemon.health()["status"] == "degraded"
        assert daemon.server_health("lab", "read")["replication_lag_seconds"] > 2
    finally:
        standby.sql("select pg_wal_replay_resume()")
    metrics = daemon.until(lambda m: m.value(KEPT, promise="max_lag") == 1, 20)
    assert metrics.value("pgtls_replication_lag_seconds") == 0


@pytest.mark.parametrize("mode", ["transaction", "session", "statement"])
def test_a_pooler_in_front(lab, pair, watch, mode):
    primary, standby = pair
    pooled, straight = {"read_only": False, "pooled": True}, {"read_only": False, "pooled": False}
    before = lab.new_pgbouncer(primary, settings={"pool_mode": mode}, users={"postgres": ""})
    behind = lab.new_pgbouncer(standby, settings={"pool_mode": mode}, users={"postgres": ""})
    log = len(primary.log())
    metrics = watch({
        "pooled": endpoint_of(before, promise=pooled), "broken": endpoint_of(before, promise=straight),
        "standby": endpoint_of(behind, promise=pooled)}).settled()
    assert {(labels["pg_endpoint"], labels["promise"]): value for labels, value in metrics.all(KEPT)} == {
        ("pooled", "read_only"): 1, ("pooled", "pooled"): 1, ("broken", "read_only"): 1,
        ("broken", "pooled"): 0, ("standby", "read_only"): 0, ("standby", "pooled"): 1}
    assert metrics.value("pgtls_replication_lag_seconds", pg_endpoint="standby") == 0
    assert "ERROR" not in primary.log()[log:] + before.log()


def test_what_lacks_a_function_is_asked_without_it(lab, watch):
    """Some services have taken away what tells the lag: the login is none the worse for it, and their
    log has one line of it, not one a minute."""
    server = lab.new_postgres(hba=HBA, client_ca=None, roles=False)
    server.sql("create role someone login; revoke execute on function pg_last_wal_receive_lsn() from public")
    daemon = watch({"write": endpoint_of(server, user="someone", dbname="postgres",
                                         promise={"read_only": False, "pooled": False})})
    metrics = daemon.until(lambda m: m.value("pgtls_probes_total", 0, probe="login") >= 4, 20)
    assert metrics.value("pgtls_up") == 1
    assert [value for _, value in metrics.all(KEPT)] == [1, 1]
    assert server.log().count("permission denied for function pg_last_wal_receive_lsn") == 1


# --- several servers, several back ends --------------------------------------------------------


def test_a_failover_is_no_broken_promise_while_one_primary_remains(lab, trust, watch):
    primary, standby = make_pair(lab, trust)
    hosts = f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=postgres sslmode=verify-full"
    daemon = watch({"write": {"dsn": f"{hosts} target_session_attrs=read-write"}})
    first, second = ({"server": f"127.0.0.1:{server.port}"} for server in (primary, standby))

    def well(metrics):
        return metrics.value(ENDPOINT_KEPT) == metrics.value("pgtls_endpoint_up") == 1

    daemon.until(lambda m: (m.value(KEPT, **first), m.value(KEPT, **second)) == (1, 0))
    steady(daemon, 1.5, well)
    assert daemon.health()["status"] == "ok"
    standby.promote()
    daemon.until(lambda m: m.value(KEPT, **second) == 1)
    assert well(daemon.scrape())
    primary.sql("alter database postgres set default_transaction_read_only = on")  # fenced
    steady(daemon, 3, well)
    metrics = daemon.until(lambda m: m.value(KEPT, **first) == 0)
    assert metrics.value("pgtls_up", **first) == metrics.value("pgtls_up", **second) == 1
    assert daemon.health()["status"] == "ok"
    primary.stop()
    daemon.until(lambda m: m.value("pgtls_up", **first) == 0)
    metrics = steady(daemon, 1.5, well)
    assert metrics.value(KEPT, **first) is None

    # The last primary gone, it is told: by a promise, not by an outage.
    standby.sql("alter database postgres set default_transaction_read_only = on")
    metrics = daemon.until(lambda m: m.value(ENDPOINT_KEPT) == 0)
    assert metrics.value("pgtls_endpoint_up") == 1
    assert daemon.health()["status"] == "degraded"


def test_back_ends_that_take_turns_make_nothing_flap(lab, pair, watch):
    """HAProxy over two servers that differ in certificate and role."""
    primary, standby = pair
    balancer = lab.keep(servers.Haproxy(lab.directory("haproxy"), ["balance roundrobin"] + [
        f"server s{number} 127.0.0.1:{server.port}" for number, server in enumerate(pair)])).start()
    # Three connections a second, so that inspect and login alternate between the two.
    daemon = watch({"read": endpoint_of(balancer, promise={"read_only": True, "max_lag": "5s", "pooled": False})},
                   interval="500ms", login={"interval": "1s"})

    def both_seen(metrics):
        return (metrics.value("pgtls_certificates_seen"), metrics.value("pgtls_in_recovery"),
                metrics.value(KEPT, promise="read_only")) == (2, 1, 0)

    before = daemon.until(both_seen, 30)
    after = steady(daemon, 8, lambda m: both_seen(m) and m.value("pgtls_up") == 1
                   and m.value(KEPT, promise="max_lag") == 1 and not m.all("pgtls_fault_active"))
    assert [m.value("pgtls_certificate_changes_total") for m in (before, after)] == [1, 1]
    logins = [m.value("pgtls_probes_total", probe="login") for m in (before, after)]
    assert logins[1] >= logins[0] + 4


# --- pins --------------------------------------------------------------------------------------


def certificate_pin(credentials):
    return hashlib.sha256(credentials.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def key_pin(credentials):
    spki = credentials.certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def test_pins(lab, trust, exporter):
    """A pin comes on top of what sslmode demands, and replaces nothing of it."""
    now = datetime.datetime.utcnow()
    own, good, unknown = certs.self_signed(), trust.root.issue(), trust.other.issue()
    stale = certs.self_signed(not_before=now - 9 * certs.DAY, not_after=now - certs.DAY)
    at = {name: lab.new_postgres(credentials=credentials, hba=HBA, client_ca=None, roles=False)
          for name, credentials in (("own", own), ("unknown", unknown), ("stale", stale), ("good", good))}
    wrong = "0" * 64
    cases = {  # name → (server, sslmode, pins, fault)
        "certificate": ("own", "require", certificate_pin(own), None),
        "key": ("own", "require", [key_pin(own)], None),
        "one-of-two": ("own", "require", [wrong, key_pin(own)], None),
        "stale": ("stale", "require", [key_pin(stale)], None),
        "issued": ("unknown", "require", [certificate_pin(unknown)], None),
        "wrong": ("own", "require", [wrong], "server_cert_pin_mismatch"),
        "full": ("good", "verify-full", [key_pin(good)], None),
        "full-wrong": ("good", "verify-full", [wrong], "server_cert_pin_mismatch"),
        "full-unknown": ("unknown", "verify-full", [key_pin(unknown)], "server_cert_untrusted"),
    }
    endpoints = {name: endpoint_of(at[server], sslmode=mode, pin_sha256=pins)
                 for name, (server, mode, pins, _) in cases.items()}
    for name, (_, mode, _, _) in cases.items():
        if mode == "verify-full":
            endpoints[name]["sslrootcert"] = str(trust.root_file)
    endpoints["none"] = endpoint_of(at["own"], sslmode="require")
    daemon = exporter(one_cluster(endpoints, {"user": "postgres"}))
    metrics = daemon.settled()
    for name, (server, _, pins, fault) in cases.items():
        found = {labels["fault"] for labels, _ in metrics.all("pgtls_fault_active", pg_endpoint=name)}
        assert found == ({fault} if fault else set()), name
        assert metrics.value("pgtls_up", pg_endpoint=name) == (0 if fault else 1), name
        assert metrics.value("pgtls_certificate_pin_matched", pg_endpoint=name) == (0 if wrong in pins
                                                                                    and len(pins) == 1 else 1), name
    assert metrics.value("pgtls_certificate_pin_matched", pg_endpoint="none") is None
    shown = daemon.server_health("lab", "full")["certificate"]
    assert shown["pin_matched"] is True and shown["fingerprint_sha256"] == certificate_pin(good)
    assert base64.b64encode(bytes.fromhex(shown["public_key_sha256"])).decode() == key_pin(good)
    assert daemon.server_health("lab", "full-wrong")["certificate"]["pin_matched"] is False


@pytest.mark.parametrize("authority", ["itself", "known"])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_server_that_changes_behind_the_inspect(lab, trust, exporter, pinned, authority):
    """Whoever gets between is let through to the inspect and takes the login, which sends something to
    crack. libpq knows no pins; it is given the certificates to hold the server to instead."""
    if authority == "known":  # by the system's store; sslmode=require itself asks for none
        ours, theirs = trust.root.issue(), trust.other.issue()
    else:
        ours, theirs = certs.self_signed(), certs.self_signed()
    good, thief = (lab.new_postgres(credentials=credentials, hba=HBA, client_ca=None, roles=False,
                                    settings={"log_connections": "on"}) for credentials in (ours, theirs))
    relay = lab.keep(Relay(good, thief))
    pin = {"pin_sha256": key_pin(ours)} if pinned else {}
    daemon = exporter(one_cluster(
        {"write": endpoint_of(relay, user="postgres", sslmode="require", **pin)}, {"interval": "1h"}),
        environment={"SSL_CERT_FILE": str(trust.root_file)})
    metrics = daemon.until(lambda m: m.value("pgtls_probes_total", 0, probe="login") >= 1)
    assert metrics.value("pgtls_probe_up", probe="inspect") == 1
    authorized = "connection authorized" in thief.log()
    if not pinned:
        assert authorized and metrics.value("pgtls_up") == 1
        return
    assert not authorized and "connection authenticated" not in thief.log()
    active = metrics.labels("pgtls_fault_active")
    assert (active["probe"], active["class"]) == ("login", "certificate")
    assert active["fault"] in ("server_cert_self_signed", "server_cert_untrusted")
