"""Every way in: PostgreSQL 15, 17 and 18, PgBouncer; every authentication method; TLS 1.2 and 1.3;
RSA and ECDSA; SSLRequest and direct TLS."""

import pytest

from lab.exporter import endpoint_of, one_cluster

VERSIONS = (15, 17, 18)

# Method → role, what the endpoint says beside it, the method the server names.
METHODS = {
    "trust": ("u_trust", {}, "trust"),
    "password": ("u_password", {"allow_auth": ["password"]}, "password"),
    "md5": ("u_md5", {"allow_auth": ["md5"]}, "md5"),
    "scram": ("u_scram", {"channel_binding": "disable"}, "scram-sha-256"),
    "scram_plus": ("u_scram", {"channel_binding": "require"}, "scram-sha-256"),
    "cert": ("u_cert", {}, "trust"),
}
KEYS = {"rsa": "RSA-2048", "ecdsa": "EC-P-256", "ecdsa384": "EC-P-384"}


@pytest.fixture(scope="module")
def watched(lab, trust, password_file, shared_exporter):
    """One exporter on all of them; a scrape once everything is known, and the exporter."""
    endpoints = {}
    for version in VERSIONS:
        server = lab.postgres(version)
        for method, (role, more, _) in METHODS.items():
            endpoints[f"{version}-{method}"] = endpoint_of(server, user=role, **more)
            if method == "cert":
                endpoints[f"{version}-cert"] |= {"sslcert": str(trust.client_cert),
                                                 "sslkey": str(trust.client_key)}
        for tls in ("TLSv1.2", "TLSv1.3"):
            endpoints[f"{version}-{tls}"] = endpoint_of(
                server, user="u_scram", ssl_min_protocol_version=tls, ssl_max_protocol_version=tls)
        endpoints[f"{version}-no-user"] = endpoint_of(server)
    endpoints["named"] = endpoint_of(lab.postgres(), user="u_scram") | {"host": "localhost"}
    endpoints["pgbouncer"] = endpoint_of(lab.pgbouncer(), user="u_trust")
    for key in KEYS:
        own = lab.new_postgres(credentials=trust.root.issue(key=key), roles=False)
        endpoints[f"key-{key}"] = endpoint_of(own, user="postgres")
    defaults = {"sslrootcert": str(trust.root_file), "dbname": "app",
                "password_file": str(password_file), "interval": "500ms"}
    for endpoint in endpoints.values():
        if endpoint.get("user") == "postgres":
            endpoint["dbname"] = "postgres"
    daemon = shared_exporter(one_cluster(endpoints, defaults))
    return daemon.settled(30), daemon


def up(metrics, endpoint):
    return metrics.value("pgtls_up", pg_endpoint=endpoint), \
        [labels for labels, _ in metrics.all("pgtls_fault_active", pg_endpoint=endpoint)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_gets_in(watched, version, method):
    metrics, _ = watched
    assert up(metrics, f"{version}-{method}") == (1, [])
    info = metrics.labels("pgtls_server_info", pg_endpoint=f"{version}-{method}")
    assert info["auth_method"] == METHODS[method][2]
    assert info["server_version"].startswith(f"{version}.")
    assert info["pooler"] == "false"
    assert info["channel_binding"] == ("true" if method.startswith("scram") else "false")
    assert metrics.value("pgtls_chain_verified", pg_endpoint=f"{version}-{method}") == 1
    assert metrics.value("pgtls_hostname_verified", pg_endpoint=f"{version}-{method}") == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tls", ["TLSv1.2", "TLSv1.3"])
def test_both_tls_versions(watched, version, tls):
    metrics, _ = watched
    assert up(metrics, f"{version}-{tls}") == (1, [])
    assert metrics.labels("pgtls_tls_info", pg_endpoint=f"{version}-{tls}")["version"] == tls


@pytest.mark.parametrize("key", KEYS)
def test_every_kind_of_key(watched, key):
    metrics, _ = watched
    assert up(metrics, f"key-{key}") == (1, [])
    leaf = metrics.labels("pgtls_certificate_info", pg_endpoint=f"key-{key}", position="leaf")
    assert leaf["key"] == KEYS[key]


@pytest.mark.parametrize("version", [17, 18])
@pytest.mark.parametrize("user", [None, "u_trust"])
def test_direct_tls_is_inspected(lab, trust, exporter, version, user):
    """Also with a user: a libpq that cannot log in this way leaves it at the inspect."""
    endpoint = endpoint_of(lab.postgres(version), negotiation="direct", sslrootcert=str(trust.root_file))
    if user:
        endpoint |= {"user": user, "dbname": "app"}
    daemon = exporter(one_cluster({"write": endpoint}))
    metrics = daemon.settled()
    assert up(metrics, "write") == (1, [])
    assert metrics.labels("pgtls_tls_info")["alpn"] == "postgresql"
    phases = {labels["phase"]: value for labels, value in metrics.all("pgtls_phase_duration_seconds_count")}
    assert phases["tls"] > 0 and phases.get("ssl_request", 0) == 0


def test_direct_tls_fails_where_it_does_not_exist(lab, trust, exporter):
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(15), negotiation="direct", sslrootcert=str(trust.root_file))}))
    metrics = daemon.settled()
    assert metrics.value("pgtls_up") == 0
    assert metrics.labels("pgtls_fault_active")["phase"] == "tls"


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_user_a_probe_ends_after_tls(watched, version):
    metrics, _ = watched
    assert up(metrics, f"{version}-no-user") == (1, [])
    assert not metrics.all("pgtls_probes_total", pg_endpoint=f"{version}-no-user", probe="login")
    phases = {labels["phase"] for labels, value in metrics.all(
        "pgtls_phase_duration_seconds_count", pg_endpoint=f"{version}-no-user") if value}
    assert "tls" in phases and "startup" not in phases


def test_a_pooler_is_told_from_a_server(watched):
    metrics, _ = watched
    assert up(metrics, "pgbouncer") == (1, [])
    assert metrics.labels("pgtls_server_info", pg_endpoint="pgbouncer")["pooler"] == "true"


def test_every_phase_is_measured(watched):
    """Of a name; an address needs no look-up."""
    metrics, _ = watched
    assert up(metrics, "named") == (1, [])
    durations = {labels["phase"]: value for labels, value in metrics.all(
        "pgtls_phase_duration_seconds_count", pg_endpoint="named")}
    assert all(durations[phase] > 0 for phase in
               ("dns", "tcp", "ssl_request", "tls", "startup", "auth", "query")), durations


def test_health_says_the_same(watched):
    _, daemon = watched
    server = daemon.server_health("lab", "18-scram")
    assert server["server_version"].startswith("18.")
    assert server["fault"] is None and server["address"] == "127.0.0.1"
    assert daemon.health("/lab/18-scram")["status"] == "ok"
