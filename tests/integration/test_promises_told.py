"""Broken and kept promises and pins as people meet them: in the report of a probe, and as one line per
change in the daemon's log."""

import json
import re
import time

import jsonschema
import pytest

from lab import exporter as lab_exporter
from lab.exporter import endpoint_of, one_cluster
from lab.servers import ROOT

SCHEMA = json.loads((ROOT / "docs" / "probe.schema.json").read_text())
BROKEN, KEPT = 'msg="Promise is broken"', 'msg="Promise is kept again"'


@pytest.fixture
def probe(trust, scratch):
    """A function that probes endpoints (name → mapping): exit status, text, the servers of the JSON."""
    def run(endpoints, *arguments):
        file = scratch / "told.yml"
        file.write_text(json.dumps(one_cluster(endpoints, {"sslrootcert": str(trust.root_file), "dbname": "app"})))
        arguments = ["probe", f"--config.file={file}", *arguments]
        text = lab_exporter.run(*arguments)
        document = json.loads(lab_exporter.run(*arguments, "--json").stdout)
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        return text.returncode, text.stdout, document
    return run


def lines(daemon, message):
    return [line for line in daemon.log().splitlines() if message in line]


def test_a_broken_promise_degrades_the_report(lab, probe):
    status, text, document = probe({"write": endpoint_of(lab.postgres(), user="u_trust", promise={
        "read_only": False, "pooled": True, "max_lag": "30s", "addresses": ["192.0.2.0/24", "198.51.100.7"]})},
        "lab/write")
    (server,) = document["servers"]
    assert status == 0 and document["status"] == server["status"] == "degraded"
    assert document["counts"] == {"ok": 0, "degraded": 1, "down": 0, "unknown": 0}
    assert server["promises"] == {
        "read_only": {"kept": True, "promised": "takes writes", "found": "a primary that takes writes"},
        "pooled": {"kept": False, "promised": "through a pooler", "found": "direct"},
        "max_lag": {"kept": True, "promised": "at most 30s behind", "found": "a primary, which is never behind"},
        "addresses": {"kept": False, "promised": "192.0.2.0/24 or 198.51.100.7", "found": "127.0.0.1"},
        "certificate_file": None, "same_certificate": None}
    assert "! DEGRADED after" in text and "promises pooled and addresses are broken" in text
    words = " ".join(text.split())
    assert "+ read_only promised: takes writes; found: a primary that takes writes" in words
    assert "! pooled promised: through a pooler; found: direct" in words


def test_what_is_not_measured_is_neither_kept_nor_broken(lab, probe):
    status, text, document = probe({"write": endpoint_of(lab.pgbouncer(), user="u_trust", promise={
        "pooled": False, "addresses": ["127.0.0.0/8"]})}, "lab/write", "--no-login")
    (server,) = document["servers"]
    assert status == 0 and server["status"] == "ok"
    assert server["promises"] == {
        **dict.fromkeys(("read_only", "max_lag", "certificate_file", "same_certificate")),
        "pooled": {"kept": None, "promised": "direct", "found": None},
        "addresses": {"kept": True, "promised": "127.0.0.0/8", "found": "127.0.0.1"}}
    assert "not measured without a login" in text


def test_all_tells_them_in_the_table(lab, probe):
    status, text, document = probe({
        "kept": endpoint_of(lab.pgbouncer(), user="u_trust", promise={"pooled": True}),
        "broken": endpoint_of(lab.pgbouncer(), user="u_trust", promise={"pooled": False})}, "--all")
    assert status == 0 and document["status"] == "degraded"
    assert re.search(r"^lab/broken .* degraded .* promise pooled is broken$", text, re.M)
    assert re.search(r"^lab/kept .* ok .* certificate \d+ days left$", text, re.M)
    assert text.endswith("2 servers: 1 ok, 1 degraded\n")


def test_a_pin_that_is_copied_from_the_report_matches(lab, probe):
    """What `key pin` shows is what pin_sha256 takes; the report says that it was the pin that was checked."""
    server = endpoint_of(lab.postgres(), user="u_trust")
    _, text, document = probe({"write": server}, "lab/write")
    assert document["servers"][0]["verdicts"]["pin"] is None and "  pin " not in text
    (pin,) = re.findall(r"^ +key pin ([0-9a-f]{64})$", text, re.M)
    assert pin == document["servers"][0]["certificates"][0]["public_key_sha256"]
    # The chain does not lead to the system's certificates: the pin alone is judged.
    pinned = {**server, "sslmode": "require", "sslrootcert": "system", "pin_sha256": pin}
    status, text, document = probe({"write": pinned}, "lab/write")
    words = " ".join(text.split())
    assert status == 0 and "require: the certificate must be the pinned one" in words
    assert "! chain" in words and "+ pin the public key is pinned" in words
    assert document["servers"][0]["verdicts"] == {
        **document["servers"][0]["verdicts"], "chain": False, "pin": True}
    certificate = {**pinned, "pin_sha256": document["servers"][0]["certificates"][0]["fingerprint_sha256"]}
    assert "+ pin the certificate is pinned" in " ".join(probe({"write": certificate}, "lab/write")[1].split())


def test_a_wrong_pin_tells_what_was_found(lab, probe):
    status, text, document = probe({"write": endpoint_of(
        lab.postgres(), user="u_trust", sslmode="require", pin_sha256="0" * 64)}, "lab/write")
    (server,) = document["servers"]
    assert status == 1 and server["fault"]["fault"] == "server_cert_pin_mismatch"
    found = server["certificates"][0]
    for sha256 in (found["public_key_sha256"], found["fingerprint_sha256"], "0" * 64):
        assert sha256 in server["fault"]["error"]
    assert "x pin neither the certificate nor its public key is the pinned one" in " ".join(text.split())


def test_the_log_tells_a_promise_once_per_change(lab, trust, exporter):
    server = lab.new_postgres(roles=False, hba="host all all 127.0.0.0/8 trust\n", client_ca=None)
    daemon = exporter(one_cluster({
        "write": endpoint_of(server, user="postgres", dbname="postgres",
                             promise={"read_only": False, "addresses": ["192.0.2.1"]})},
        {"sslrootcert": str(trust.root_file)}))
    daemon.settled(at_least=3)
    (line,) = daemon.told(BROKEN)  # after several probes; and nothing is said of what is kept
    for part in ("level=WARN", "pg_cluster=lab", "pg_endpoint=write", f"server=127.0.0.1:{server.port}",
                 "status=degraded", "promise=addresses", "promised=192.0.2.1", "found=127.0.0.1"):
        assert part in line, (part, line)
    assert lines(daemon, KEPT) == []

    def set_read_only(value):
        server.sql(f"alter system set default_transaction_read_only = {value}")
        server.sql("select pg_reload_conf()")
        want = 0 if value == "on" else 1
        daemon.until(lambda m: m.value("pgtls_promise_kept", promise="read_only") == want)

    set_read_only("on")
    set_read_only("off")
    time.sleep(1.2)  # further logins
    _, broken = daemon.told(BROKEN, 2)
    (kept,) = daemon.told(KEPT)
    assert "promise=read_only" in broken and 'found="a primary that takes no writes"' in broken
    assert "level=INFO" in kept and 'promised="takes writes"' in kept and 'found="a primary that takes writes"' in kept


def test_the_log_tells_what_a_pin_found(lab, exporter):
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(), user="u_trust", dbname="app", sslmode="require", pin_sha256="0" * 64)}, {}))
    daemon.settled(at_least=2)
    (line,) = daemon.told('msg="Server is down"')
    certificate = daemon.server_health("lab")["certificate"]
    assert certificate["public_key_sha256"] in line and "0" * 64 in line and "status=down" in line
