"""Does psql with this sslmode get in? Ours is the same verdict, for every sslmode, on every kind of
server; psql is really run."""

import concurrent.futures

import pytest

from lab import certs
from lab.exporter import endpoint_of, one_cluster
from lab.servers import conninfo, psql

SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
ROOTS = ("root", "other", "none")
PLAIN_HBA = "host all all 127.0.0.0/8 trust\n"


def targets(lab, trust):
    """Name → (server, role)."""
    def own(credentials, **more):
        return lab.new_postgres(credentials=credentials, hba=PLAIN_HBA, client_ca=None, roles=False, **more)

    shared = lab.postgres()
    pooler = lab.pgbouncer()
    return {
        **{role: (shared, role) for role in (
            "u_trust", "u_scram", "u_md5", "u_password", "u_cert", "u_reject", "u_noentry", "u_sslonly",
            "u_plainonly", "u_plainreject")},
        "expired": (own(certs.expired(trust.root)), "postgres"),
        "self-signed": (own(certs.self_signed()), "postgres"),
        "wrong-host": (own(trust.root.issue("db.example", hosts=["db.example"])), "postgres"),
        "intermediate": (own(trust.intermediate.issue()), "postgres"),
        "no-tls": (own(None), "postgres"),
        "pgbouncer": (pooler, "u_trust"),
        "pgbouncer-no-tls": (lab.new_pgbouncer(credentials=None), "u_trust"),
        "missing-database": (shared, "u_trust"),
        "wrong-password": (shared, "u_scram"),
    }


def parameters(name, server, role, mode, root, trust, password_file):
    """The same endpoint in libpq's words, None for what is left out; None for what cannot be."""
    if root == "none" and mode in ("verify-ca", "verify-full"):
        return None
    roots = {"root": str(trust.root_file), "other": str(trust.other_file), "none": None}
    database = {"missing-database": "nowhere"}.get(name, "postgres" if role == "postgres" else "app")
    given = {"host": "localhost", "hostaddr": server.address, "port": server.port, "user": role,
             "dbname": database, "sslmode": mode, "sslrootcert": roots[root],
             "password": "wrong" if name == "wrong-password" else password_file.read_text().strip()}
    if role == "u_cert":
        given |= {"sslcert": str(trust.client_cert), "sslkey": str(trust.client_key)}
    return given


@pytest.fixture(scope="module")
def verdicts(lab, trust, password_file, shared_exporter):
    """(psql's verdict and words, ours) by name of the endpoint."""
    matrix = {}
    for name, (server, role) in targets(lab, trust).items():
        for mode in SSLMODES:
            for root in ROOTS:
                given = parameters(name, server, role, mode, root, trust, password_file)
                if given:
                    matrix[f"{name}/{mode}/{root}"] = given
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        ran = dict(zip(matrix, pool.map(lambda given: psql(conninfo(**given)), matrix.values())))
    endpoints = {}
    for name, given in matrix.items():
        endpoints[name.replace("/", ".")] = {
            **{key: value for key, value in given.items() if value is not None},
            "allow_auth": ["password", "md5"]}
    daemon = shared_exporter(one_cluster(endpoints, {"interval": "2s", "login": {"interval": "2s"}}))
    metrics = daemon.settled(60)
    return {name: (ran[name].returncode == 0, ran[name].stderr,
                   metrics.value("pgtls_up", pg_endpoint=name.replace("/", ".")),
                   metrics.all("pgtls_fault_active", pg_endpoint=name.replace("/", ".")))
            for name in matrix}


TARGETS = ("u_trust", "u_scram", "u_md5", "u_password", "u_cert", "u_reject", "u_noentry", "u_sslonly",
           "u_plainonly", "u_plainreject", "expired", "self-signed", "wrong-host", "intermediate", "no-tls",
           "pgbouncer", "pgbouncer-no-tls", "missing-database", "wrong-password")


@pytest.mark.parametrize("mode", SSLMODES)
@pytest.mark.parametrize("name", TARGETS)
def test_the_verdict_is_psqls(verdicts, name, mode):
    mine = {key: value for key, value in verdicts.items() if key.startswith(f"{name}/{mode}/")}
    assert mine
    for key, (psql_in, psql_text, up, faults) in mine.items():
        assert up == (1 if psql_in else 0), f"{key}: psql {'got in' if psql_in else psql_text}; ours {up} {faults}"


def test_the_matrix_holds_both_verdicts(verdicts):
    """The comparison would be worth nothing if psql always got in, or never."""
    inside = sum(1 for psql_in, *_ in verdicts.values() if psql_in)
    assert 0.3 < inside / len(verdicts) < 0.8


def test_a_down_endpoint_always_says_why(verdicts):
    assert [key for key, (_, _, up, faults) in verdicts.items() if up == 0 and not faults] == []
