"""Discovery by the DNS: SRV records, and every address of a name as a server of its own."""

import contextlib
import time

import pytest
from lab.dns import NXDOMAIN, SERVFAIL, SRV, A, Dns, asking
from lab.exporter import QUICK, one_cluster
from lab.process import wait_for


@pytest.fixture
def named(exporter, scratch):
    """named(zone, configuration) -> (dns, daemon)."""
    with contextlib.ExitStack() as stack:
        def start(zone, configuration):
            dns = stack.enter_context(contextlib.closing(Dns(zone, ttl=1)))
            scratch.mkdir(parents=True, exist_ok=True)
            resolv_conf = scratch / "resolv.conf"
            resolv_conf.write_text(f"nameserver {dns.address}\n")
            return dns, exporter(configuration, binary=asking(scratch, resolv_conf))
        yield start


def servers(metrics):
    return {labels["server"] for labels, _ in metrics.all("pgtls_probes_total", probe="inspect")}


def test_srv_records_are_the_servers(lab, named):
    name, port = "_postgresql._tcp.db.test", lab.postgres().port
    zone = {name: [("one.db.test", port)], "one.db.test": ["127.0.0.1"], "two.db.test": ["127.0.0.1"]}
    dns, daemon = named(zone, {
        "defaults": {**QUICK, "sslmode": "require"}, "templates": {"pg": {"user": "u_trust", "dbname": "app"}},
        "discovery": [{"dns_sd": {"names": [name], "refresh_interval": "1s"}, "cluster": "db", "endpoint": "read",
                       "template": "pg"}]})
    metrics = daemon.until(lambda m: m.value("pgtls_up", pg_cluster="db", pg_endpoint="read") == 1)
    assert servers(metrics) == {f"one.db.test:{port}"}
    dns.zone[name] = [("one.db.test", port), ("two.db.test", port)]
    both = daemon.until(lambda m: len(m.all("pgtls_up")) == 2)
    assert servers(both) == {f"one.db.test:{port}", f"two.db.test:{port}"}
    for trouble in (NXDOMAIN, SERVFAIL, [], "garbage", [("no host", port)]):  # what was good stays
        failures = daemon.scrape().value("pgtls_discovery_failures_total")
        dns.zone[name] = trouble
        bad = daemon.until(lambda m, n=failures: m.value("pgtls_discovery_failures_total") > n, 30, repr(trouble))
        assert servers(bad) == servers(both) and bad.value("pgtls_discovery_good") == 0
    dns.zone[name] = [("two.db.test", port)]
    daemon.until(lambda m: servers(m) == {f"two.db.test:{port}"} and m.value("pgtls_discovery_good") == 1)


def test_every_address_is_a_server(lab, trust, named):
    """The certificate is for the name, which each of them has to show."""
    server = lab.new_postgres(credentials=trust.root.issue("db.test", ["db.test"]))
    zone = {"db.test": ["127.0.0.1"]}
    dns, daemon = named(zone, one_cluster(
        {"read": {"host": "db.test", "port": server.port, "sslmode": "verify-full", "user": "u_trust", "dbname": "app",
                  "sslrootcert": str(trust.root_file), "resolve": "all"}}))
    here, gone = f"127.0.0.1:{server.port}", f"127.0.0.99:{server.port}"
    one = daemon.until(lambda m: m.value("pgtls_up", server=here) == 1)
    assert servers(one) == {here} and one.value("pgtls_hostname_verified") == 1
    assert one.value("pgtls_discovery_targets", kind="resolve", source="db.test") == 1
    dns.zone["db.test"] = ["127.0.0.99", "127.0.0.1"]
    two = daemon.until(lambda m: m.value("pgtls_up", server=gone) == 0, 60)
    assert two.value("pgtls_up", server=here) == 1
    assert two.value("pgtls_endpoint_up") == 0  # all are required
    count = "pgtls_probes_total"
    assert two.value(count, server=here, probe="inspect") >= one.value(count, server=here, probe="inspect")
    dns.zone["db.test"] = NXDOMAIN
    daemon.until(lambda m: m.value("pgtls_discovery_failures_total") >= 1, 60)
    assert servers(daemon.scrape()) == {here, gone}
    dns.zone["db.test"] = ["127.0.0.1"]
    daemon.until(lambda m: servers(m) == {here} and m.value("pgtls_endpoint_up") == 1, 60)


def test_a_name_that_never_resolves_is_a_server_that_says_so(named):
    _, daemon = named({}, one_cluster({"read": {"host": "nosuch.test", "resolve": "all"}}))
    metrics = daemon.settled()
    assert servers(metrics) == {"nosuch.test:5432"}
    assert metrics.labels("pgtls_fault_active")["fault"] == "dns_not_found"


def test_a_dns_that_never_answers(named):
    """It is waited for for a while and no longer; and not at all when nobody wants to know any more: neither by the
    reload that says so, nor at the end."""
    calm = one_cluster({"write": {"host": "127.0.0.1", "port": 1}})
    dns, daemon = named({}, calm)

    def ask(host):
        """Of a name that was not asked for before; returns once both are in flight."""
        records = f"_postgresql._tcp.{host}"
        dns.zone.update({records: "silent", host: "silent"})
        daemon.write({**one_cluster({"write": {"host": "127.0.0.1", "port": 1}, "read": {"host": host, "resolve": "all"}}),
                      "discovery": [{"dns_sd": {"names": [records], "refresh_interval": "1s"}, "cluster": "db"}]})
        daemon.reload()
        wait_for(lambda: all(key in dns.questions for key in ((records, SRV), (host, A))), 10, "both to be asked for")
        return records

    def forget():
        daemon.write(calm)
        daemon.reload()
        daemon.until(lambda m: not m.all("pgtls_discovery_good") and servers(m) == {"127.0.0.1:1"}, 10, "them to be gone")

    records = ask("one.test")
    for kind, source in (("dns_sd", records), ("resolve", "one.test")):
        daemon.until(lambda m, k=kind: m.value("pgtls_discovery_failures_total", 0, kind=k) >= 1, 20, kind)
        assert daemon.told(f'kind={kind} source={source} error="the DNS did not answer in time"')
    assert daemon.scrape().value("pgtls_discovery_good", kind="dns_sd") == 0
    forget()
    records = ask("two.test")
    forget()
    dns.zone.update({records: [("three.test", 1)], "two.test": ["127.0.0.9"]})  # asked once more, it does answer
    time.sleep(1.5)
    assert servers(daemon.scrape()) == {"127.0.0.1:1"}
    ask("four.test")
    assert daemon.stop() == 0
