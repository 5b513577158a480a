"""Certificates: every kind still reports its facts, equal to what openssl prints for the same file,
and the right verdicts, apart."""

import datetime
import re
import subprocess

import pytest

from lab import certs
from lab.exporter import endpoint_of, one_cluster

PLAIN_HBA = "host all all 127.0.0.0/8 trust\n"


def cases(trust):
    """Name → (what the server serves, verdicts (chain, host name), fault under verify-full)."""
    now, day = datetime.datetime.utcnow(), certs.DAY
    stale = certs.Authority("Stale Intermediate", parent=trust.root,
                            not_before=now - 60 * day, not_after=now - day)
    return {
        "ecdsa": (trust.root.issue(), (1, 1), None),
        "rsa": (trust.root.issue(key="rsa"), (1, 1), None),
        "intermediate": (trust.intermediate.issue(), (1, 1), None),
        "nameless": (trust.root.issue(name=""), (1, 1), None),
        "expired": (certs.expired(trust.root), (1, 1), "server_cert_expired"),
        "not-yet-valid": (certs.not_yet_valid(trust.root), (1, 1), "server_cert_not_yet_valid"),
        "self-signed": (certs.self_signed(), (0, 1), "server_cert_self_signed"),
        "wrong-host": (trust.root.issue("db.example", hosts=["db.example"]), (1, 0),
                       "server_cert_name_mismatch"),
        "unknown-ca": (trust.other.issue(), (0, 1), "server_cert_untrusted"),
        "ca-expired": (stale.issue(), (1, 1), "ca_cert_expired"),
    }


NAMES = ["ecdsa", "rsa", "intermediate", "nameless", "expired", "not-yet-valid", "self-signed", "wrong-host",
         "unknown-ca", "ca-expired"]


@pytest.fixture(scope="module")
def shown(lab, trust, shared_exporter):
    """A server per case, watched with verify-full and with require; (cases, scrape, exporter)."""
    every = cases(trust)
    endpoints = {}
    for name, (credentials, _, _) in every.items():
        server = lab.new_postgres(credentials=credentials, hba=PLAIN_HBA, client_ca=None, roles=False)
        endpoints[f"{name}-full"] = endpoint_of(server, sslmode="verify-full",
                                                sslrootcert=str(trust.root_file))
        endpoints[f"{name}-require"] = endpoint_of(server, sslmode="require")
        endpoints[f"{name}-system"] = endpoint_of(server, sslmode="verify-full", sslrootcert="system")
    daemon = shared_exporter(one_cluster(endpoints, {"user": "postgres", "interval": "500ms"}),
                             environment={"SSL_CERT_FILE": str(trust.root_file)})
    return every, daemon.settled(30), daemon


def openssl_facts(credentials):
    """What `openssl x509` says about a leaf."""
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-issuer", "-serial", "-fingerprint", "-sha256", "-dates",
         "-text", "-nameopt", "RFC2253", "-certopt", "no_pubkey,no_extensions,no_sigdump"],
        input=credentials.certificate_pem, capture_output=True, check=True).stdout.decode()

    def one(pattern):
        return re.search(pattern, text, re.M)[1]

    def date(name):
        when = datetime.datetime.strptime(one(rf"^{name}=(.*) GMT$"), "%b %d %H:%M:%S %Y")
        return when.replace(tzinfo=datetime.timezone.utc).timestamp()

    return {"subject": one(r"^subject=(.*)$"), "issuer": one(r"^issuer=(.*)$"),
            "serial": one(r"^serial=(.*)$"),
            "fingerprint_sha256": one(r"Fingerprint=(.*)$").replace(":", "").lower(),
            "signature": one(r"Signature Algorithm: (.*)$"),
            "not_before": date("notBefore"), "not_after": date("notAfter")}


@pytest.mark.parametrize("mode", ["full", "require", "system"])
@pytest.mark.parametrize("name", NAMES)
def test_facts_equal_openssl(shown, name, mode):
    every, metrics, _ = shown
    want = openssl_facts(every[name][0])
    if name == "nameless":
        want["subject"] = metrics.labels("pgtls_certificate_info", pg_endpoint=f"{name}-{mode}",
                                         position="leaf")["subject"]
        assert "localhost" in want["subject"]
    have = metrics.labels("pgtls_certificate_info", pg_endpoint=f"{name}-{mode}", position="leaf")
    assert {key: have[key] for key in ("subject", "issuer", "serial", "fingerprint_sha256", "signature")} \
        == {key: want[key] for key in ("subject", "issuer", "serial", "fingerprint_sha256", "signature")}
    for date in ("not_before", "not_after"):
        assert metrics.value(f"pgtls_certificate_{date}_timestamp_seconds", pg_endpoint=f"{name}-{mode}",
                             position="leaf") == want[date]


@pytest.mark.parametrize("name", NAMES)
def test_verdicts_are_apart(shown, name):
    every, metrics, _ = shown
    chain, hostname = every[name][1]
    for mode in ("full", "system"):
        assert metrics.value("pgtls_chain_verified", pg_endpoint=f"{name}-{mode}") == chain
        assert metrics.value("pgtls_hostname_verified", pg_endpoint=f"{name}-{mode}") == hostname


@pytest.mark.parametrize("mode", ["full", "system"])
@pytest.mark.parametrize("name", NAMES)
def test_verify_full_names_the_fault(shown, name, mode):
    every, metrics, _ = shown
    fault = every[name][2]
    active = [labels for labels, _ in metrics.all("pgtls_fault_active", pg_endpoint=f"{name}-{mode}")]
    if fault is None:
        assert active == [] and metrics.value("pgtls_up", pg_endpoint=f"{name}-{mode}") == 1
        return
    (only,) = active
    assert (only["probe"], only["phase"], only["class"], only["fault"]) \
        == ("inspect", "tls", "certificate", fault)
    assert metrics.value("pgtls_up", pg_endpoint=f"{name}-{mode}") == 0


@pytest.mark.parametrize("name", NAMES)
def test_require_takes_any_certificate(shown, name):
    _, metrics, _ = shown
    assert metrics.value("pgtls_up", pg_endpoint=f"{name}-require") == 1


def test_the_position_of_every_certificate(shown, trust):
    _, metrics, _ = shown
    positions = {labels["position"]: value for labels, value in metrics.all(
        "pgtls_certificate_not_after_timestamp_seconds", pg_endpoint="intermediate-full")}
    intermediate = trust.intermediate.certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)
    root = trust.root.certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)
    assert positions["intermediate"] == intermediate.timestamp()
    assert positions["root"] == root.timestamp()


def test_health_shows_the_certificate_of_a_failure(shown):
    every, _, daemon = shown
    server = daemon.server_health("lab", "expired-full")
    want = openssl_facts(every["expired"][0])
    assert server["connection"] == "Failed" and server["fault"] == "server_cert_expired"
    assert server["certificate"]["fingerprint_sha256"] == want["fingerprint_sha256"]
    assert [server["certificate"][key] for key in ("chain_verified", "hostname_verified", "dates_valid")] \
        == [True, True, False]
    assert server["meaning"] and server["remedy"]
    end = datetime.datetime.fromisoformat(server["certificate"]["not_after"].replace("Z", "+00:00"))
    assert end.timestamp() == want["not_after"]


def test_a_certificate_stays_visible_while_the_server_is_down(lab, trust, exporter):
    server = lab.new_postgres(hba=PLAIN_HBA, client_ca=None, roles=False)
    daemon = exporter(one_cluster({"write": endpoint_of(
        server, user="postgres", sslrootcert=str(trust.root_file))}))
    before = daemon.settled()
    server.stop()
    after = daemon.until(lambda m: m.value("pgtls_up") == 0)
    name = "pgtls_certificate_not_after_timestamp_seconds"
    assert after.value(name, position="leaf") == before.value(name, position="leaf")
    assert after.value("pgtls_certificate_last_seen_timestamp_seconds") > 0
