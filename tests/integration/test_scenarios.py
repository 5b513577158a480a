"""The five field reports, each from end to end: `probe`, /metrics, /health/database, the alert and the
dashboard name the same cause, and what each report must be told is told.

The servers are those of lab/scenarios.py; one exporter watches them all, and a Prometheus with the
shipped rules watches the exporter."""

import json
import re
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest

from lab import dashboards, servers
from lab.exporter import endpoint_of, one_cluster
from lab.process import clean_environment, wait_for
from lab.scenarios import DOMAIN, READ, SECRETS, WRITE, Scenarios
from lab.servers import conninfo, psql

SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
DOWN, CLOSED, REFUSED = "PgtlsEndpointDown", "PgtlsServerClosedConnection", "PgtlsHbaRejection"
REJECTED = "PgtlsCertificateRejected"

# Endpoint → phase, class and fault that everybody must name, and the alerts that say so.
CAUSES = {
    "managed/public": ("startup", "ssl_close", "ssl_closed_after_handshake", {DOWN, CLOSED}),
    "acid-crm/direct": ("startup", "hba", "hba_reject_rule_nossl", {DOWN, REFUSED}),
    "acid-crm/pooled": ("startup", "hba", "ssl_required_by_pooler", {DOWN, REFUSED}),
    "applications-db/admin": ("startup", "hba", "hba_no_entry_ssl", {DOWN, REFUSED}),
    "miswired/by-address": ("tls", "certificate", "server_cert_name_mismatch", {DOWN, REJECTED}),
    "miswired/wrong-bundle": ("tls", "certificate", "server_cert_untrusted", {DOWN, REJECTED}),
    "miswired/no-name": ("dns", "network", "dns_not_found", {DOWN}),
    "shop/untrusted": ("tls", "certificate", "server_cert_untrusted", {DOWN, REJECTED}),
    "shop/wrong-pin": ("tls", "certificate", "server_cert_pin_mismatch", {DOWN, REJECTED}),
}
# And what is told of endpoints that are up.
OTHER_ALERTS = {("PgtlsPromiseBroken", "miswired/write"), ("PgtlsSessionsDropping", "pool/balancer")}
IN_TIME = {("PgtlsSessionsDropping", "pool/firewall")}  # it takes its time to drop often enough
HOW_MUCH = {"PgtlsErrorBudgetBurn"}  # of the time an endpoint was down, which comes with every cause


def key(labels):
    return f"{labels['pg_cluster']}/{labels['pg_endpoint']}"


def of(endpoint):
    """The labels of cluster/endpoint."""
    return dict(zip(("pg_cluster", "pg_endpoint"), endpoint.split("/")))


def drops(metrics, endpoint, **more):
    found = metrics.all("pgtls_session_drops_total", **of(endpoint), **more)
    return {labels["how"]: value for labels, value in found if value}


@pytest.fixture(scope="module")
def world(scratch):
    directory = scratch / "scenarios"
    directory.mkdir()
    with Scenarios(directory) as scenarios:
        yield scenarios


@pytest.fixture(scope="module")
def daemon(world, shared_exporter):
    return shared_exporter(world.configuration, binary=world.binary, environment=world.environment)


@pytest.fixture(scope="module")
def prometheus(world, daemon):
    with servers.Prometheus(world.directory / "prometheus", {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(servers.ROOT / "alerts" / "pgtls.rules.yml")],
            "scrape_configs": [{"job_name": "pgtls", "static_configs": [{"targets": daemon.addresses}]}]}) as one:
        yield one.start()


@pytest.fixture(scope="module")
def alerts(prometheus):
    """(alert, cluster/endpoint) → description of each that is pending or firing, once all are."""
    wanted = OTHER_ALERTS | {(name, endpoint) for endpoint, (*_, names) in CAUSES.items() for name in names}

    def active():
        found.clear()
        for alert in prometheus.get("alerts")["alerts"]:
            if "pg_endpoint" in alert["labels"] and alert["labels"]["alertname"] not in HOW_MUCH:
                found[alert["labels"]["alertname"], key(alert["labels"])] = alert["annotations"]["description"]
        return found.keys() >= wanted

    found = {}
    wait_for(active, 120, lambda: f"the alerts {wanted - found.keys()}")
    return found


@pytest.fixture(scope="module")
def metrics(daemon, alerts):
    """A scrape after everything that has a cause has been seen."""
    return daemon.scrape()


@pytest.fixture(scope="module")
def probes(world):
    """probes(endpoint) → (text in one line, the JSON of the server, exit status), made once."""
    known = {}

    def probe(endpoint):
        if endpoint not in known:
            text, document = (world.probe_endpoint(endpoint, *flags) for flags in ((), ("--json",)))
            assert text.stderr == "" and text.returncode == document.returncode
            (server,) = json.loads(document.stdout)["servers"]
            known[endpoint] = " ".join(text.stdout.split()), server, text.returncode
        return known[endpoint]
    return probe


# --- the same cause everywhere ------------------------------------------------------------------

@pytest.mark.parametrize("endpoint", CAUSES)
def test_everybody_names_the_same_cause(daemon, metrics, alerts, prometheus, probes, endpoint):
    phase, group, fault, names = CAUSES[endpoint]
    text, server, status = probes(endpoint)
    assert status == 1 and f"in {phase}: {fault}" in text and f"phase {phase} of the inspect, class {group}" in text
    assert {k: server["fault"][k] for k in ("phase", "class", "fault")} \
        == {"phase": phase, "class": group, "fault": fault}
    for words in (server["fault"]["meaning"], server["fault"]["remedy"]):
        assert words in text

    active = metrics.labels("pgtls_fault_active", **of(endpoint))
    assert (active["phase"], active["class"], active["fault"]) == (phase, group, fault)
    assert metrics.value("pgtls_up", **of(endpoint)) == metrics.value("pgtls_endpoint_up", **of(endpoint)) == 0

    health = daemon.server_health(*endpoint.split("/"))
    assert (health["connection"], health["phase"], health["class"], health["fault"]) == ("Failed", phase, group, fault)
    assert (health["meaning"], health["remedy"]) == (server["fault"]["meaning"], server["fault"]["remedy"])
    assert daemon.get(f"/health/database/{endpoint}").status == 503

    assert {name for name, about in alerts if about == endpoint} == names
    assert f"fails in {phase} (inspect): {fault} ({group})" in " ".join(alerts[DOWN, endpoint].split())

    (shown,) = [found for found in why_of_the_dashboard(prometheus) if key(found) == endpoint]
    assert (shown["phase"], shown["fault"]) == (phase, fault)


def why_of_the_dashboard(prometheus):
    """The labels of what the dashboard's table of faults shows."""
    (expr,) = [expr for where, expr, _ in dashboards.expressions(dashboards.load("overview"), span=60)
               if where == "Failing now"]
    return [series["metric"] for series in prometheus.query(expr)]


def test_the_others_are_up_and_no_alert_is_out_of_place(metrics, alerts):
    up = {key(labels) for labels, value in metrics.all("pgtls_up") if value == 1}
    assert up.isdisjoint(CAUSES) and len(up) + len(CAUSES) == len(metrics.all("pgtls_up"))
    assert {alert for alert in alerts if alert[1] not in CAUSES} - IN_TIME == OTHER_ALERTS


def test_the_chapters_tell_of_every_cause_and_lead_somewhere():
    chapters = {path: path.read_text() for path in (servers.ROOT / "docs" / "scenarios").glob("*.md")}
    told = " ".join(chapters.values())
    names = {fault for _, _, fault, _ in CAUSES.values()} | {name for name, _ in OTHER_ALERTS | IN_TIME}
    assert [name for name in names | {DOWN, CLOSED, REFUSED, REJECTED} if name not in told] == []
    assert [(path.name, link) for path, text in chapters.items() for link in re.findall(r"\]\(([^)#]+)", text)
            if not (path.parent / link).exists()] == []


def test_the_health_document_is_as_its_schema_says(daemon, metrics):
    schema = json.loads((servers.ROOT / "docs" / "health.schema.json").read_text())
    document = daemon.health()
    jsonschema.Draft202012Validator(schema).validate(document)
    # On a busy machine a result may be older than three intervals, which are short here, for a moment.
    counts = wait_for(lambda: (now := daemon.health()["counts"])["unknown"] == 0 and now, 30, "all to be known")
    assert counts["down"] == len(CAUSES)


def test_ready_and_alive_whatever_the_databases_do(exporter, daemon):
    """Nothing listens anywhere, and the exporter has started, is alive and ready all the same."""
    dead = exporter(one_cluster({"write": {"host": "127.0.0.1", "port": 1, "user": "u", "sslmode": "require"}}))
    assert dead.settled().value("pgtls_up") == 0
    for one in (daemon, dead):
        assert [one.get(path).status for path in ("/-/healthy", "/-/ready")] == [200, 200]
        assert one.get("/health/database").status == 503


# --- A: closed right after the handshake --------------------------------------------------------

def as_psql(world, server, host, **more):
    return psql(conninfo(host=host, hostaddr=server.address, port=server.port, sslrootcert=world.bundle, **more))


def test_a_what_the_user_sees(world):
    """psql dies under every sslmode that begins with TLS, openssl is content, the internal name works."""
    for mode in SSLMODES[2:]:
        result = as_psql(world, world.gateway, f"managed.{DOMAIN}", user="postgres", sslmode=mode)
        assert result.returncode != 0 and "SSL connection has been closed unexpectedly" in result.stderr, mode
    assert as_psql(world, world.managed, f"managed-internal.{DOMAIN}", user="postgres",
                   sslmode="verify-full").returncode == 0
    openssl = subprocess.run(
        ["openssl", "s_client", "-starttls", "postgres", "-connect", f"{world.gateway.address}:{world.gateway.port}",
         "-servername", f"managed.{DOMAIN}", "-verify_hostname", f"managed.{DOMAIN}", "-CAfile", world.bundle],
        input="", capture_output=True, text=True, timeout=20, check=False, env=clean_environment())
    assert "Verify return code: 0 (ok)" in openssl.stdout and "TLSv1.3" in openssl.stdout


def test_a_tls_is_fine_and_no_sslmode_helps(daemon, metrics, probes):
    text, server, _ = probes("managed/public")
    assert server["fault"]["how"] == "close_notify" and server["tls"]["version"] == "TLSv1.3"
    assert server["verdicts"] | {"error": None} == server["verdicts"]
    assert all(server["verdicts"][verdict] for verdict in ("chain", "dates", "hostname"))
    for part in ("+ tls", "x startup", server["tls"]["cipher"], "the server closed it with close_notify",
                 "+ chain leads to a root of the system's certificates", f"+ host name managed.{DOMAIN} is named",
                 "TLS itself is fine", "no sslmode, certificate, timeout or version of the client changes this"):
        assert part in text, part
    assert not any(mode["works"] for mode in server["sslmodes"].values())

    public = of("managed/public")
    for name in ("pgtls_chain_verified", "pgtls_hostname_verified"):
        assert metrics.value(name, **public) == 1
    assert metrics.labels("pgtls_tls_info", **public)["version"] == "TLSv1.3"
    assert {labels["sslmode"]: value for labels, value in metrics.all("pgtls_sslmode_works", **public)} \
        == dict.fromkeys(SSLMODES, 0)
    assert metrics.sum("pgtls_ssl_closes_total", **public) \
        == metrics.value("pgtls_ssl_closes_total", **public, phase="startup", how="close_notify") >= 1
    health = daemon.server_health("managed", "public")
    assert health["how"] == "close_notify" and health["tls"]["version"] == "TLSv1.3"
    assert health["certificate"]["chain_verified"] and health["certificate"]["hostname_verified"]


def test_a_says_how_it_closed_in_the_alert(alerts):
    assert "in startup by close_notify" in " ".join(alerts[CLOSED, "managed/public"].split())


def test_a_both_ways_in_side_by_side(world, daemon, metrics):
    text = world.probe_endpoint("managed").stdout
    rows = dict(re.findall(r"^managed/(\S+) +\S+ +(ok|DOWN) .*$", text, re.M))
    assert rows == {"public": "DOWN", "internal": "ok"}
    assert metrics.value("pgtls_up", **of("managed/internal")) == 1
    health = daemon.health("/managed")
    assert [(one["endpoint"], one["status"]) for one in health["endpoints"]] == [("public", "down"), ("internal", "ok")]


@pytest.mark.parametrize("how, behaviour, fault", [
    ("fin", "fin_after_startup", "ssl_eof_after_handshake"), ("rst", "rst_after_startup", "ssl_reset_after_handshake")])
def test_a_other_ways_to_close_are_told_apart(lab, trust, exporter, how, behaviour, fault):
    daemon = exporter(one_cluster({"write": endpoint_of(lab.misbehave(behaviour), user="u",
                                                        sslrootcert=str(trust.root_file))}))
    metrics = daemon.until(lambda m: m.all("pgtls_fault_active"))
    assert metrics.labels("pgtls_fault_active")["fault"] == daemon.server_health("lab")["fault"] == fault
    assert daemon.server_health("lab")["how"] == how
    assert metrics.value("pgtls_ssl_closes_total", phase="startup", how=how) >= 1


# --- B: "no encryption" and "SSL required" ------------------------------------------------------

def test_b_what_the_application_sees(world):
    for server, name, said in ((world.direct, "acid-crm", "pg_hba.conf rejects connection for host"),
                               (world.pooler, "acid-crm-pooler", "SSL required")):
        result = as_psql(world, server, f"{name}.{DOMAIN}", user="crm", sslmode="disable", password=SECRETS["app"])
        assert said in result.stderr


@pytest.mark.parametrize("name, kind, said", [
    ("direct", "no_encryption", 'pg_hba.conf rejects connection for host "127.0.0.1", user "crm", database "crm", '
                                'no encryption'), ("pooled", "pooler", "SSL required")])
def test_b_plaintext_is_refused_in_two_ways(daemon, metrics, alerts, probes, name, kind, said):
    text, server, _ = probes(f"acid-crm/{name}")
    assert server["fault"]["error"] == said and said in text
    assert daemon.server_health("acid-crm", name)["error"] == said
    rejections = metrics.all("pgtls_hba_rejections_total", **of(f"acid-crm/{name}"))
    assert {labels["kind"] for labels, value in rejections if value} == {kind}
    assert kind in alerts[REFUSED, f"acid-crm/{name}"]
    # Which sslmodes work, without the server's own certificate at hand; and that it is self-signed.
    for part in ("disable no", "require yes with TLS, nothing checked", "verify-ca no needs an sslrootcert file",
                 "verify-full no server_cert_self_signed"):
        assert part in text, part
    works = {mode: mode in ("allow", "prefer", "require") for mode in SSLMODES}
    assert {mode: found["works"] for mode, found in server["sslmodes"].items()} == works
    assert {labels["sslmode"]: bool(value) for labels, value in
            metrics.all("pgtls_sslmode_works", **of(f"acid-crm/{name}"))} == works
    assert metrics.value("pgtls_plaintext_accepted", **of(f"acid-crm/{name}")) == 0
    assert daemon.server_health("acid-crm", name)["sslmodes"] == works


def test_b_with_the_servers_own_certificate_all_but_disable_work(world, metrics):
    for name, works in (("mended", SSLMODES[1:4]), ("verified", SSLMODES[1:])):
        assert metrics.value("pgtls_up", **of(f"acid-crm/{name}")) == 1
        assert {labels["sslmode"] for labels, value in
                metrics.all("pgtls_sslmode_works", **of(f"acid-crm/{name}")) if value} == set(works)
    for mode in SSLMODES:
        ours = f"host=acid-crm.{DOMAIN} port={world.direct.port} user=crm dbname=crm sslmode={mode} " \
               f"sslrootcert={world.own_file}"
        result = world.probe("--no-login", ours)
        theirs = psql(f"{ours} hostaddr={world.direct.address}", PGPASSWORD=SECRETS["app"])
        assert (result.returncode == 0) == (theirs.returncode == 0) == (mode != "disable"), mode


def test_b_the_chain_is_self_signed(daemon, metrics, probes):
    assert metrics.value("pgtls_chain_verified", **of("acid-crm/mended")) == 0
    text, server, status = probes("acid-crm/mended")
    assert status == 0 and "! chain self-signed certificate" in text
    assert daemon.server_health("acid-crm", "mended")["certificate"]["chain_verified"] is False
    assert server["verdicts"]["chain"] is False


# --- C: many clusters, three kinds of endpoint, shared addresses --------------------------------

KINDS = {"write": {"read_only", "pooled", "addresses"}, "admin": {"read_only", "pooled", "addresses"},
         "read": {"read_only", "pooled", "addresses", "max_lag"}}
ENDPOINTS = [f"{cluster}/{kind}" for cluster in ("temporal-db", "platform-db", "applications-db") for kind in KINDS
             if f"{cluster}/{kind}" not in ("platform-db/read", "applications-db/admin")]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_c_every_step_and_every_promise_of_every_endpoint(world, daemon, metrics, probes, endpoint):
    cluster, kind = endpoint.split("/")
    text, server, status = probes(endpoint)
    assert status == 0
    assert [phase for phase, found in server["phases"].items() if found["state"] == "completed"] \
        == ["dns", "tcp", "ssl_request", "tls", "startup", "auth", "query"]
    assert all(server["verdicts"][verdict] for verdict in ("chain", "dates", "hostname"))
    assert "the system's certificates" in text and f"{cluster}-{kind}.{DOMAIN} is named by the certificate" in text
    kept = {labels["promise"]: value for labels, value in metrics.all("pgtls_promise_kept", **of(endpoint))}
    assert kept == dict.fromkeys(KINDS[kind], 1)
    for phase in ("dns", "tcp", "tls", "auth", "query"):
        assert metrics.value("pgtls_phase_duration_seconds_count", **of(endpoint), phase=phase) >= 1
    assert metrics.value("pgtls_in_recovery", **of(endpoint)) == (kind == "read")
    assert (metrics.value("pgtls_replication_lag_seconds", **of(endpoint)) is not None) == (kind == "read")
    health = daemon.server_health(cluster, kind)
    assert health["connection"] == "OK" and health["pooler"] is (kind != "admin")
    assert health["address"] == world.names[f"{cluster}-{kind}.{DOMAIN}"]


def test_c_which_address_the_server_saw(daemon, probes):
    said = 'no pg_hba.conf entry for host "127.0.0.1", user "platform_admin", database "apps", SSL encryption'
    text, server, _ = probes("applications-db/admin")
    assert server["fault"]["error"] == daemon.server_health("applications-db", "admin")["error"] == said
    assert said in text and server["fault"]["sqlstate"] == "28000"


def test_c_by_address_it_is_the_name_and_nothing_else(daemon, metrics, probes):
    text, server, _ = probes("miswired/by-address")
    assert server["verdicts"]["chain"] and server["verdicts"]["dates"] and not server["verdicts"]["hostname"]
    assert f"x host name {WRITE} is not named by the certificate" in text
    said = f"{WRITE} is not named by the certificate, which names DNS:*.{DOMAIN}"
    assert said in text and daemon.server_health("miswired", "by-address")["error"] == said
    assert [metrics.value(name, **of("miswired/by-address")) for name in
            ("pgtls_chain_verified", "pgtls_hostname_verified")] == [1, 0]
    assert daemon.server_health("miswired", "by-address")["certificate"]["hostname_verified"] is False


def test_c_a_wrong_bundle_is_told_with_its_depth(daemon, metrics, probes):
    said = "unable to get local issuer certificate at depth 1"
    text, server, _ = probes("miswired/wrong-bundle")
    assert f"x chain {said}, judged by" in text and "other-ca.crt" in text
    assert server["fault"]["error"] == daemon.server_health("miswired", "wrong-bundle")["error"] == said
    assert [metrics.value(name, **of("miswired/wrong-bundle")) for name in
            ("pgtls_chain_verified", "pgtls_hostname_verified")] == [0, 1]


def test_c_a_write_that_leads_to_a_standby(daemon, metrics, alerts, probes):
    """And to another address than it should: it is up, and degraded."""
    endpoint = "miswired/write"
    assert metrics.value("pgtls_up", **of(endpoint)) == 1
    for name in ("pgtls_promise_kept", "pgtls_endpoint_promise_kept"):
        assert {labels["promise"]: value for labels, value in metrics.all(name, **of(endpoint))} \
            == {"read_only": 0, "pooled": 1, "addresses": 0}
    (health,) = daemon.health(f"/{endpoint}")["endpoints"]
    assert health["status"] == "degraded"
    kept = {"read_only": False, "pooled": True, "max_lag": None, "addresses": False}
    assert health["promises"] | kept == health["promises"]
    text, server, status = probes(endpoint)
    assert status == 0 and server["status"] == "degraded"
    for part in ("! read_only promised: takes writes; found:", f"! addresses promised: {WRITE}; found: {READ}"):
        assert part in text, part
    assert re.search("its promise (read_only|addresses)", " ".join(alerts["PgtlsPromiseBroken", endpoint].split()))


def test_c_how_far_a_standby_lags(world, daemon):
    primary, standby = (servers_of["temporal-db"] for servers_of in (world.primaries, world.standbys))
    read = of("temporal-db/read")
    standby.sql("select pg_wal_replay_pause()")
    try:
        primary.sql("create table lag (n int)")
        metrics = daemon.until(lambda m: m.value("pgtls_promise_kept", **read, promise="max_lag") == 0, 30)
        assert metrics.value("pgtls_replication_lag_seconds", **read) > 2 and metrics.value("pgtls_up", **read) == 1
        assert daemon.server_health("temporal-db", "read")["replication_lag_seconds"] > 2
    finally:
        standby.sql("select pg_wal_replay_resume()")
    daemon.until(lambda m: m.value("pgtls_promise_kept", **read, promise="max_lag") == 1, 30)


@pytest.mark.parametrize("cluster", ["temporal-db", "platform-db"])
def test_c_a_rotated_password_is_picked_up_without_a_restart(world, daemon, cluster):
    """From a Kubernetes secret, and from a passfile."""
    admin = of(f"{cluster}/admin")
    pid = daemon.pid
    world.primaries[cluster].sql(f"alter role platform_admin password '{SECRETS['rotated']}'")
    metrics = daemon.until(lambda m: m.value("pgtls_up", **admin) == 0, 30)
    active = metrics.labels("pgtls_fault_active", **admin)
    assert (active["fault"], active["phase"], active["probe"]) == ("password_failed", "auth", "login")
    assert daemon.server_health(cluster, "admin")["fault"] == "password_failed"
    if cluster == "temporal-db":
        world.secret.replace(platform=SECRETS["platform"], admin=SECRETS["rotated"])
    else:
        world.write_passfile(SECRETS["rotated"])
    daemon.until(lambda m: m.value("pgtls_up", **admin) == 1, 30)
    assert daemon.pid == pid and daemon.program.running()


# --- D: sessions that drop ----------------------------------------------------------------------

def test_d_says_after_how_long_and_how(daemon, metrics, alerts, world):
    """Always after the same second of idling and by the balancer's hand; never straight to the
    server; in silence through the firewall, and only above its limit."""
    assert "timeout" not in drops(metrics, "pool/balancer") and sum(drops(metrics, "pool/balancer").values()) > 3
    (balancer,) = daemon.server_health("pool", "balancer")["sessions"]
    last = balancer["last_drop"]
    assert last["how"] in ("close_notify", "fin", "rst") and last["sqlstate"] is None
    assert 0.9 < last["idle_seconds"] == last["age_seconds"] < 2
    alert = " ".join(alerts["PgtlsSessionsDropping", "pool/balancer"].split())
    assert "session 1h" in alert and last["how"] in alert
    metrics = daemon.until(lambda m: drops(m, "pool/firewall"), 30)
    assert set(drops(metrics, "pool/firewall", session="5s")) == {"timeout"}
    assert drops(metrics, "pool/firewall", session="1s") == {}
    last = daemon.server_health("pool", "firewall")["sessions"][1]["last_drop"]
    assert 4.9 < last["idle_seconds"] < 7 and last["how"] == "timeout"
    assert drops(metrics, "pool/direct") == {}
    assert metrics.value("pgtls_session_up", **of("pool/direct")) == 1
    lines = daemon.told('msg="Session was dropped" pg_cluster=pool')
    assert [line for line in lines if "pg_endpoint=firewall" in line and "how=timeout" in line]
    assert all(re.search(r" how=\w+ age=\S+ idle=\S+", line) for line in lines)
    # New connections work all the while: that is what tells it from an outage.
    for name in ("direct", "balancer", "firewall"):
        assert metrics.value("pgtls_up", **of(f"pool/{name}")) == 1
    assert world.balancer.program.running()


def test_d_a_restart_is_told_from_an_idle_timeout_and_recovered_from(world, daemon):
    direct = of("pool/direct")
    metrics = daemon.until(lambda m: m.value("pgtls_session_up", **direct) == 1)
    started = metrics.value("pgtls_session_start_timestamp_seconds", **direct)
    world.pool.restart()
    metrics = daemon.until(lambda m: drops(m, "pool/direct"), 30)
    assert drops(metrics, "pool/direct") == {"server_message": 1}
    last = daemon.server_health("pool", "direct")["sessions"][0]["last_drop"]
    assert (last["how"], last["sqlstate"]) == ("server_message", "57P01") and "administrator" in last["error"]
    metrics = daemon.until(lambda m: m.value("pgtls_session_up", **direct) == 1, 30)
    assert metrics.value("pgtls_session_start_timestamp_seconds", **direct) > started


def test_d_what_refuses_is_not_hammered(world, daemon):
    """Down, it is asked less and less often; not at all by the sessions."""
    world.pool.stop()
    direct = {**of("pool/direct"), "probe": "inspect"}
    try:
        metrics = daemon.until(lambda m: m.value("pgtls_probe_interval_seconds", **direct) >= 2, 30)
        assert metrics.value("pgtls_up", **of("pool/direct")) == 0
        before = metrics.value("pgtls_probes_total", **direct)
        time.sleep(4)
        assert daemon.scrape().value("pgtls_probes_total", **direct) - before <= 3
    finally:
        world.pool.start()
    daemon.until(lambda m: m.value("pgtls_up", **of("pool/direct")) == 1
                 and m.value("pgtls_session_up", **of("pool/direct")) == 1, 60)
    assert daemon.scrape().value("pgtls_probe_interval_seconds", **direct) == 0.5


# --- E: the connection string as the application has it -----------------------------------------

def test_e_trusted_by_file_and_by_pin(daemon, metrics, probes):
    for name in ("by-file", "by-pin"):
        text, server, status = probes(f"shop/{name}")
        assert status == 0 and server["facts"]["version"].startswith("15.")
        assert metrics.value("pgtls_up", **of(f"shop/{name}")) == 1
        assert metrics.value("pgtls_chain_verified", **of(f"shop/{name}")) == (name == "by-file")
    assert "+ pin the certificate is pinned" in text
    assert [metrics.value("pgtls_certificate_pin_matched", **of(f"shop/{name}")) for name in ("by-pin", "wrong-pin")] \
        == [1, 0]
    assert daemon.server_health("shop", "by-pin")["certificate"]["pin_matched"] is True


def test_e_health_is_the_debug_endpoint_they_wrote(daemon, metrics):
    """Connection state, server version, error text, fault and phase, of each endpoint."""
    wanted = ("connection", "server_version", "error", "fault", "phase", "class")
    good = daemon.server_health("shop", "by-file")
    assert {k: good[k] for k in wanted} == {
        "connection": "OK", "server_version": good["server_version"], "error": None, "fault": None, "phase": None,
        "class": None}
    assert good["server_version"].startswith("15.")
    bad = daemon.server_health("shop", "untrusted")
    assert {k: bad[k] for k in wanted} == {
        "connection": "Failed", "server_version": None, "error": bad["error"], "fault": "server_cert_untrusted",
        "phase": "tls", "class": "certificate"}
    assert "unable to get local issuer certificate" in bad["error"]


STRINGS = {
    "uri": "postgresql://shop@{host}:{port}/shop?sslmode=verify-full&sslrootcert={ca}",
    "short": "postgres://shop@{host}:{port}/shop?sslmode=verify-full&sslrootcert={ca}",
    "keywords": "host={host} port={port} user=shop dbname=shop sslmode=verify-full sslrootcert={ca}",
}


@pytest.mark.parametrize("form", STRINGS)
def test_e_as_the_application_has_it(world, exporter, form):
    """The string alone: in the environment of the daemon, and on the command line of `probe`."""
    text = STRINGS[form].format(host=f"shop.{DOMAIN}", port=world.provider.port, ca=world.private_file)
    result = world.probe("--json", text, PGPASSWORD=SECRETS["app"])
    (server,) = json.loads(result.stdout)["servers"]
    assert result.returncode == 0 and server["sslmode"] == "verify-full" and server["facts"]["version"]
    with_password = text.replace("shop@", f"shop:{SECRETS['app']}@") if "://" in text \
        else f"{text} password={SECRETS['app']}"
    daemon = exporter(None, binary=world.binary, environment={**world.environment, "DATABASE_URL": with_password})
    assert daemon.settled().value("pgtls_up") == 1
    ((endpoint,),) = ([one["servers"][0] for one in daemon.health()["endpoints"]],)
    assert endpoint["connection"] == "OK" and endpoint["server_version"].startswith("15.")
    assert SECRETS["app"] not in daemon.log() + daemon.get("/health/database").text + daemon.scrape().text


# The application's string after its scheme → (what it comes to, the parameter that is warned of).
DIALECTS = {
    "postgresql+asyncpg://shop@{at}/shop?sslmode=require": ("require", "asyncpg", "sslmode"),
    "postgresql+asyncpg://shop@{at}/shop?ssl=require": ("require", None, None),
    "postgresql+pg8000://shop@{at}/shop?sslmode=require": ("require", "pg8000", "sslmode"),
    "postgresql+psycopg2://shop@{at}/shop?sslmode=verify-full&sslrootcert={ca}": ("verify-full", None, None),
    "jdbc:postgresql://{at}/shop?user=shop&ssl=true&sslrootcert={ca}": ("verify-full", None, None),
    "jdbc:postgresql://{at}/shop?user=shop&sslmode=require": ("require", None, None),
}


@pytest.mark.parametrize("form", DIALECTS)
def test_e_a_drivers_string_and_what_means_nothing_to_it(world, exporter, form):
    """Taken as it stands, and it is said plainly where the driver will not do what it says."""
    sslmode, driver, parameter = DIALECTS[form]
    text = form.format(at=f"shop.{DOMAIN}:{world.provider.port}", ca=world.private_file)
    result = world.probe("--json", text, PGPASSWORD=SECRETS["app"])
    (server,) = json.loads(result.stdout)["servers"]
    assert result.returncode == 0 and server["sslmode"] == sslmode
    daemon = exporter(None, binary=world.binary, environment={
        **world.environment, "DATABASE_URL": text + ("&" if "?" in text else "?") + "password=" + SECRETS["app"]})
    assert daemon.settled().value("pgtls_up") == 1
    warnings = [line for line in daemon.log().splitlines() if "level=WARN" in line and "password" not in line]
    for said in (result.stderr, "\n".join(warnings)):
        assert (f'{driver}: ' in said and f'"{parameter}"' in said.replace("\\", "")) if driver else not said, said
    assert SECRETS["app"] not in daemon.log()


# --- and last -----------------------------------------------------------------------------------

def test_no_secret_is_anywhere(world, daemon, alerts, probes):
    """After all of the above: rotations, failures, restarts."""
    said = [daemon.log(), Path(f"/proc/{daemon.pid}/cmdline").read_text(), *alerts.values()]
    said += [daemon.get(path).text for path in ("/", "/metrics", "/health/database", "/config")]
    said += [probes(endpoint)[0] + json.dumps(probes(endpoint)[1]) for endpoint in [*CAUSES, *ENDPOINTS, "shop/by-pin"]]
    said.append(world.probe("--all", f"--config.file={world.config_file}").stdout)
    assert all(secret not in text for secret in SECRETS.values() for text in said)
    assert any(SECRETS["apps"] in path.read_text() for path in (world.passfile,))  # they are what was looked for
