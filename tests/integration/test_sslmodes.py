"""Which sslmodes work: the verdict on all six is that of psql, which is really run; and what finding it
out costs a server and its metrics."""

import concurrent.futures
import json

import pytest

from conftest import PASSWORD
from lab import certs, exporter as lab_exporter
from lab.exporter import endpoint_of, one_cluster
from lab.process import wait_for
from lab.relay import Relay
from lab.servers import conninfo, psql

SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
HOST = "host all all 127.0.0.0/8 trust\n"
HOSTSSL = "hostssl all all 127.0.0.0/8 trust\n"
HOSTNOSSL = "hostnossl all all 127.0.0.0/8 trust\n"


def targets(lab, trust):
    """Name → (server, role, trust files to give)."""
    root, both = {"root": trust.root_file}, {"root": trust.root_file, "none": None}
    own_certificate = certs.self_signed()

    def own(credentials, hba=HOST):
        return lab.new_postgres(credentials=credentials, hba=hba, client_ca=None, roles=False)

    shared = lab.postgres()
    return {
        "host": (own(trust.root.issue()), "postgres", both),
        "hostssl": (own(trust.root.issue(), HOSTSSL), "postgres", both),
        "hostnossl": (own(trust.root.issue(), HOSTNOSSL), "postgres", root),
        "nobody": (own(trust.root.issue(), "host all nobody 127.0.0.0/8 trust\n"), "postgres", root),
        "ssl-off": (own(None), "postgres", both),
        "self-signed": (own(own_certificate, HOSTSSL), "postgres",
                        {**both, "own": trust.file("own", own_certificate)}),
        "self-signed-host": (own(certs.self_signed()), "postgres", both),
        "wrong-host": (own(trust.root.issue("db.example", hosts=["db.example"])), "postgres", both),
        "unknown-ca": (own(trust.other.issue(), HOSTSSL), "postgres", both),
        "expired": (own(certs.expired(trust.root)), "postgres", both),
        **{role: (shared, role, root) for role in
           ("u_scram", "u_sslonly", "u_plainonly", "u_plainreject", "u_reject", "u_noentry", "u_cert")},
        "wrong-password": (shared, "u_scram", root),
        "missing-database": (shared, "u_trust", root),
        "binding": (shared, "u_scram", root),
        "binding-trust": (shared, "u_trust", root),
        "address-alone": (shared, "u_trust", root),
        "pgbouncer-require": (lab.pgbouncer(), "u_trust", both),
        "pgbouncer-allow": (lab.new_pgbouncer(settings={"client_tls_sslmode": "allow"}), "u_trust", root),
        "pgbouncer-disable": (lab.new_pgbouncer(credentials=None), "u_trust", root),
        "closes": (lab.misbehave("notify_after_startup"), "postgres", root),
    }


TARGETS = ("host", "hostssl", "hostnossl", "nobody", "ssl-off", "self-signed", "self-signed-host",
           "wrong-host", "unknown-ca", "expired", "u_scram", "u_sslonly", "u_plainonly", "u_plainreject",
           "u_reject", "u_noentry", "u_cert", "wrong-password", "missing-database", "binding",
           "binding-trust", "address-alone", "pgbouncer-require", "pgbouncer-allow", "pgbouncer-disable", "closes")


# A name is missing, said at once; a login that libpq itself stopped in plaintext tells nothing about TLS.
UNASKED = (("address-alone", "verify-full"), ("binding", "disable"), ("binding", "allow"))


def given(name, server, role, root, trust):
    database = {"missing-database": "nowhere"}.get(name, "postgres" if role == "postgres" else "app")
    more = {"sslcert": trust.client_cert, "sslkey": trust.client_key} if role == "u_cert" else {}
    if name.startswith("binding"):
        more["channel_binding"] = "require"
    return {"host": None if name == "address-alone" else "localhost", "hostaddr": server.address, "port": server.port, "user": role,
            "dbname": database, "sslrootcert": root,
            "password": "wrong" if name == "wrong-password" else PASSWORD, **more}


def told(parameters):
    """The table as `probe` tells it."""
    result = lab_exporter.run("probe", "--json", conninfo(**parameters))
    (server,) = json.loads(result.stdout)["servers"]
    return server


@pytest.fixture(scope="module")
def tables(lab, trust):
    """(name, trust file, sslmode that ours is told to use) → ({mode: psql got in}, our answer)."""
    at = targets(lab, trust)
    assert sorted(at) == sorted(TARGETS)
    parameters = {(name, key): given(name, server, role, root, trust)
                  for name, (server, role, roots) in at.items() for key, root in roots.items()}
    mine = [(name, key, mode) for name, key in parameters
            for mode in ("disable", "prefer", "allow", "require", "verify-full")
            if (key != "none" or mode != "verify-full") and (name, mode) not in UNASKED]
    theirs = [(name, key, mode) for name, key in parameters for mode in SSLMODES]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        ran = dict(zip(theirs, pool.map(
            lambda x: psql(conninfo(**parameters[x[:2]], sslmode=x[2])).returncode == 0, theirs)))
        found = dict(zip(mine, pool.map(lambda x: told({**parameters[x[:2]], "sslmode": x[2]}), mine)))
    return {key: ({mode: ran[*key[:2], mode] for mode in SSLMODES}, answer) for key, answer in found.items()}


@pytest.mark.parametrize("name", TARGETS)
def test_the_table_is_psqls(tables, name):
    for key, (psqls, server) in tables.items():
        if key[0] == name:
            ours = {mode: entry["works"] for mode, entry in server["sslmodes"].items()}
            assert ours == psqls, (key, server["sslmodes"], server["fault"])


def test_every_no_has_a_reason(tables):
    for key, (_, server) in tables.items():
        for mode, entry in server["sslmodes"].items():
            assert entry["works"] or entry["reason"], (key, mode)


def test_the_tables_hold_both_verdicts(tables):
    """The comparison would be worth nothing if psql always got in, or never."""
    for mode in SSLMODES:
        inside = [psqls[mode] for psqls, _ in tables.values()]
        assert 0.1 < sum(inside) / len(inside) < 0.9, mode


# --- in the daemon ------------------------------------------------------------------------------

POLICY = {"policy": {"interval": "1h"}}
NEW = ("pgtls_sslmode_works", "pgtls_plaintext_accepted")


def works(metrics, **labels):
    return {found["sslmode"]: bool(value) for found, value in metrics.all(NEW[0], **labels)}


def moving(name):
    """What moves by itself, or by being asked."""
    return name.startswith(("process_", "pgtls_config_", "pgtls_state_seconds_total", *NEW))


def test_a_side_attempt_moves_no_other_metric_and_leaves_one_line(lab, trust, exporter):
    hostssl = lab.new_postgres(hba=HOSTSSL, client_ca=None, roles=False)
    plain = lab.new_postgres(credentials=certs.self_signed(), hba=HOSTNOSSL, client_ca=None, roles=False)
    stranger = lab.new_postgres(credentials=certs.self_signed(), hba=HOST, client_ca=None, roles=False)
    endpoints = {"hostssl": endpoint_of(hostssl, sslrootcert=str(trust.root_file)),
                 "plain": endpoint_of(plain, sslmode="disable"),
                 "stranger": endpoint_of(stranger)}
    quiet = {"user": "postgres", "interval": "1h", "login": {"interval": "1h"}}
    daemon = exporter(one_cluster(endpoints, quiet))
    before = daemon.until(lambda m: len(m.all("pgtls_up")) == 3)
    assert not [name for name in NEW if before.all(name)]
    # What the facts at hand decide is in the health document at once.
    assert daemon.server_health("lab", "hostssl")["sslmodes"] \
        == {"disable": None, "allow": None, "prefer": True, "require": True, "verify-ca": True,
            "verify-full": True}
    logs = {server: server.log() for server in (hostssl, plain, stranger)}
    daemon.write(one_cluster(endpoints, {**quiet, **POLICY}))
    daemon.reload()
    after = daemon.until(lambda m: all(len(works(m, pg_endpoint=e)) == 6 for e in endpoints))
    assert {e: after.value(NEW[1], pg_endpoint=e) for e in endpoints} == {"hostssl": 0, "plain": 1, "stranger": 1}
    assert works(after, pg_endpoint="hostssl") == {mode: mode != "disable" for mode in SSLMODES}
    assert works(after, pg_endpoint="plain") \
        == {mode: mode in ("disable", "allow", "prefer") for mode in SSLMODES}
    assert works(after, pg_endpoint="stranger") \
        == {mode: not mode.startswith("verify") for mode in SSLMODES}
    assert [s for s in before.samples if not moving(s[0])] == [s for s in after.samples if not moving(s[0])]
    health = daemon.server_health("lab", "hostssl")["sslmodes"]
    assert health == works(after, pg_endpoint="hostssl")
    new = {server: server.log()[len(logs[server]):].splitlines() for server in logs}
    assert len(new[hostssl]) == 1 and "no encryption" in new[hostssl][0]
    assert len(new[plain]) == 1 and "SSL encryption" in new[plain][0]
    assert new[stranger] == []


def test_a_server_that_is_down_is_not_asked(lab, exporter):
    full = lab.misbehave("stall_after_handshake")
    daemon = exporter(one_cluster({"write": endpoint_of(full, user="postgres", sslmode="require",
                                                        timeout="300ms")}, POLICY))
    metrics = daemon.until(lambda m: m.value("pgtls_probes_total", 0, probe="inspect") >= 4)
    assert not metrics.all(NEW[0]) and not metrics.all(NEW[1])
    assert set(daemon.server_health("lab")["sslmodes"].values()) == {None}


def test_policy_off_again(lab, trust, exporter):
    server = lab.new_postgres(hba=HOST, client_ca=None, roles=False)
    endpoint = endpoint_of(server, user="postgres", sslrootcert=str(trust.root_file))
    daemon = exporter(one_cluster({"on": {**endpoint, "policy": True}, "off": {**endpoint, "policy": False}},
                                  POLICY))
    metrics = daemon.until(lambda m: len(works(m, pg_endpoint="on")) == 6)
    assert not [name for name in NEW if metrics.all(name, pg_endpoint="off")]


@pytest.mark.parametrize("what", ["stop", "remove", "change"])
def test_what_happens_while_a_side_attempt_hangs(lab, trust, exporter, what):
    turns = lab.keep(Relay(lab.postgres(), None))
    endpoint = endpoint_of(turns, user="u_trust", dbname="app", sslmode="require", interval="1h", login=False)
    other = {"other": endpoint_of(lab.postgres(), user="u_trust", dbname="app", sslmode="require")}
    daemon = exporter(one_cluster({"write": endpoint, **other}, POLICY))
    wait_for(lambda: turns.waiting == 1, 10, "a side attempt")
    metrics = daemon.until(lambda m: len(works(m, pg_endpoint="write")) == 4)
    assert works(metrics, pg_endpoint="write")["require"] and metrics.value("pgtls_up", pg_endpoint="write") == 1
    if what == "remove":
        daemon.write(one_cluster(other, POLICY))
    elif what == "change":
        daemon.write(one_cluster({"write": {**endpoint, "user": "u_sslonly"}, **other}, POLICY))
    if what != "stop":
        daemon.reload()
    if what == "change":  # what was known of another user is nothing
        daemon.until(lambda m: not works(m, pg_endpoint="write"))
    elif what == "remove":
        daemon.until(lambda m: not m.all("pgtls_up", pg_endpoint="write"))
    assert daemon.stop() == 0
