"""Where refusal is the control that is watched: on a real PostgreSQL and through a real PgBouncer, what
is good, what is counted, and what is told when the refusal stops."""

import json

import pytest

from lab import exporter as lab_exporter
from lab.exporter import endpoint_of, one_cluster

CLOSED = "host all app 127.0.0.0/8 scram-sha-256\n"
OPEN = CLOSED + "host all monitor 127.0.0.0/8 {}\n"
ACTIVE, EXPECTED = "pgtls_fault_active", "pgtls_expected_fault_active"
REFUSED = {"fault": "hba_no_entry_ssl"}


@pytest.fixture
def guarded(lab):
    """A server that knows the role and has no line for it."""
    server = lab.new_postgres(hba=CLOSED, client_ca=None, roles=False)
    server.sql("create role monitor login password 'secret'")
    return server


@pytest.fixture
def watch(trust, exporter):
    def start(endpoints, **defaults):
        return exporter(one_cluster(endpoints, {"user": "monitor", "dbname": "postgres",
                                                "sslrootcert": str(trust.root_file), **defaults}))
    return start


def nothing_that_alerts_feed_on(metrics, **labels):
    return not any(metrics.sum(name, **labels) for name in (
        "pgtls_probe_failures_total", "pgtls_hba_rejections_total", "pgtls_ssl_closes_total")) \
        and not metrics.all(ACTIVE, **labels)


def faults(metrics, endpoint):
    return [labels["fault"] for labels, _ in metrics.all(ACTIVE, pg_endpoint=endpoint)]


def test_the_expected_refusal_is_good_and_its_end_is_not(guarded, watch):
    daemon = watch({
        "admin": endpoint_of(guarded, login=False, expect=REFUSED),
        "class": endpoint_of(guarded, expect={"class": "hba"}),
        "list": endpoint_of(guarded, login=False, expect={"fault": ["hba_rejected", "hba_no_entry_ssl"]}),
        "other": endpoint_of(guarded, login=False, expect={"fault": "hba_rejected"}),
        "open": endpoint_of(guarded, login=False)})
    good = ("admin", "class", "list")
    metrics = daemon.until(lambda m: all(m.value("pgtls_expected_refusals_total", 0, pg_endpoint=e, probe="inspect") >= 3
                                         for e in good) and faults(m, "other") and faults(m, "open"))
    for endpoint in good:
        assert metrics.value("pgtls_up", pg_endpoint=endpoint) == 1
        assert metrics.value("pgtls_endpoint_up", pg_endpoint=endpoint) == 1
        assert nothing_that_alerts_feed_on(metrics, pg_endpoint=endpoint)
        (labels,) = (found for found, _ in metrics.all(EXPECTED, pg_endpoint=endpoint))
        assert (labels["probe"], labels["phase"], labels["class"], labels["fault"]) \
            == ("inspect", "startup", "hba", "hba_no_entry_ssl")
        health = daemon.server_health("lab", endpoint)
        assert (health["connection"], health["fault"], health["expected"]) == ("OK", None, "hba_no_entry_ssl")
        assert health["age_seconds"] is not None and health["failures_in_row"] == 0
    assert metrics.value("pgtls_probes_total", pg_endpoint="class", probe="login") == 0
    for endpoint in ("other", "open"):
        assert faults(metrics, endpoint) == ["hba_no_entry_ssl"]
        assert metrics.value("pgtls_up", pg_endpoint=endpoint) == 0
        assert not metrics.all(EXPECTED, pg_endpoint=endpoint)
    assert not metrics.all("pgtls_expected_refusals_total", pg_endpoint="open")
    assert daemon.told("refused_as_expected=hba_no_entry_ssl")

    guarded.set_hba(OPEN.format("trust"))
    guarded.reload()
    metrics = daemon.until(lambda m: all(faults(m, e) for e in good))
    for endpoint in good:
        assert faults(metrics, endpoint) == ["expected_refusal_missing"]
        assert metrics.value("pgtls_up", pg_endpoint=endpoint) == metrics.value(
            "pgtls_endpoint_up", pg_endpoint=endpoint) == 0
        assert metrics.sum("pgtls_probe_failures_total", pg_endpoint=endpoint) == metrics.sum(
            "pgtls_probe_failures_total", pg_endpoint=endpoint, **{"class": "expectation"}) >= 1
        health = daemon.server_health("lab", endpoint)
        assert (health["connection"], health["fault"], health["class"], health["expected"]) \
            == ("Failed", "expected_refusal_missing", "expectation", None)
        assert "and it lets us in" in health["error"] and health["remedy"]
    assert daemon.get("/health/database/lab/admin").status == 503

    guarded.set_hba(CLOSED)
    guarded.reload()
    metrics = daemon.until(lambda m: all(m.value("pgtls_up", pg_endpoint=e) == 1 for e in good))
    assert not any(faults(metrics, endpoint) for endpoint in good)
    assert not metrics.all("pgtls_last_probe_timestamp_seconds", pg_endpoint="class", probe="login")


def test_being_asked_for_a_password_is_no_refusal(guarded, watch):
    """The list is open, and nobody shall be misled by a password that the exporter lacks."""
    guarded.set_hba(OPEN.format("scram-sha-256"))
    guarded.reload()
    daemon = watch({"admin": endpoint_of(guarded, expect=REFUSED),
                    "wrong": endpoint_of(guarded, password="not it", expect=REFUSED),
                    "meant": endpoint_of(guarded, password="not it", expect={"fault": "password_failed"})})
    metrics = daemon.settled()
    assert [faults(metrics, e) for e in ("admin", "wrong", "meant")] \
        == [["expected_refusal_missing"], ["expected_refusal_missing"], []]
    assert metrics.value("pgtls_up", pg_endpoint="meant") == 1
    assert nothing_that_alerts_feed_on(metrics, pg_endpoint="meant")
    assert metrics.labels(EXPECTED, pg_endpoint="meant")["probe"] == "login"
    error = daemon.server_health("lab", "wrong")["error"]
    assert error.startswith("expected hba_no_entry_ssl, and it came to password_failed: ")


def test_a_server_that_is_off_does_not_refuse(guarded, watch):
    daemon = watch({"admin": endpoint_of(guarded, login=False, expect=REFUSED)})
    daemon.until(lambda m: m.value("pgtls_up") == 1)
    guarded.stop()
    metrics = daemon.until(lambda m: faults(m, "admin") == ["tcp_refused"])  # resets may come before
    assert metrics.value("pgtls_up") == 0


def test_refusals_of_other_kinds(lab, trust, watch):
    """TLS that must not be trusted, and a pooler's rules."""
    stranger = lab.new_postgres(credentials=trust.other.issue(), client_ca=None, roles=False)
    pooler = lab.new_pgbouncer(hba="host all u_reject 127.0.0.0/8 reject\nhost all all 127.0.0.0/8 trust\n")
    daemon = watch({
        "stranger": endpoint_of(stranger, login=False, expect={"fault": "server_cert_untrusted"}),
        "pooler": endpoint_of(pooler, user="u_reject", login=False, expect={"fault": "hba_reject_rule_pooler"})})
    metrics = daemon.settled()
    assert {(labels["pg_endpoint"], labels["phase"]) for labels, _ in metrics.all(EXPECTED)} \
        == {("stranger", "tls"), ("pooler", "startup")}
    assert metrics.value("pgtls_chain_verified", pg_endpoint="stranger") == 0
    assert all(nothing_that_alerts_feed_on(metrics, pg_endpoint=e) for e in ("stranger", "pooler"))


def test_an_expectation_comes_and_goes_by_reload(guarded, watch, trust):
    endpoints = {"admin": endpoint_of(guarded, login=False)}
    daemon = watch(endpoints)
    metrics = daemon.until(lambda m: m.value("pgtls_hba_rejections_total", 0, kind="no_entry") >= 1)
    assert metrics.value("pgtls_up") == 0

    def reload(**more):
        configuration = json.loads(daemon.file.read_text())
        configuration["clusters"][0]["endpoints"]["admin"] = {**endpoints["admin"], **more}
        daemon.write(configuration)
        daemon.reload()

    reload(expect=REFUSED)
    metrics = daemon.until(lambda m: m.value("pgtls_up") == 1)
    counted = metrics.value("pgtls_hba_rejections_total", kind="no_entry")
    assert counted >= 1  # what was counted stays counted
    seen = metrics.value("pgtls_expected_refusals_total", probe="inspect")
    metrics = daemon.until(lambda m: m.value("pgtls_expected_refusals_total", 0, probe="inspect") >= seen + 3)
    assert metrics.value("pgtls_hba_rejections_total", kind="no_entry") == counted
    reload()
    metrics = daemon.until(lambda m: m.value("pgtls_up") == 0)
    assert metrics.value("pgtls_expected_refusals_total", probe="inspect") >= seen + 3


def test_probe_by_hand(guarded, trust, tmp_path):
    file = tmp_path / "pgtls.yml"
    file.write_text(json.dumps(one_cluster({
        "admin": endpoint_of(guarded, login=False, expect=REFUSED),
        "other": endpoint_of(guarded, login=False, expect={"fault": "tcp_refused"})},
        {"user": "monitor", "sslrootcert": str(trust.root_file)})))
    done = lab_exporter.run("probe", f"--config.file={file}", "lab/admin")
    assert done.returncode == 0, done.stderr
    assert "refused in startup as expected: hba_no_entry_ssl" in done.stdout
    assert "no pg_hba.conf entry" in done.stdout
    done = lab_exporter.run("probe", "--json", f"--config.file={file}", "lab/admin")
    (server,) = json.loads(done.stdout)["servers"]
    assert (server["status"], server["fault"], server["expected"]["fault"]) == ("ok", None, "hba_no_entry_ssl")
    done = lab_exporter.run("probe", f"--config.file={file}", "--all")
    assert done.returncode == 1
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("lab/")}
    assert "refused in startup as expected: hba_no_entry_ssl" in lines["lab/admin"]
    assert "in startup: hba_no_entry_ssl" in lines["lab/other"] and "DOWN" in lines["lab/other"]
