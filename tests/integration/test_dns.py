"""Names: resolved by DNS, tried address by address; resolvers that fail stall nobody."""

import contextlib

import pytest

from lab.dns import SERVFAIL, Dns, HangingAddress, asking
from lab.exporter import one_cluster

SLOW = {"interval": "500ms", "timeout": "3s"}


def resolv_conf(scratch, dns):
    file = scratch / "resolv.conf"
    file.write_text(f"nameserver {dns.address}\n")
    return file


@pytest.fixture
def named(lab, exporter, scratch):
    """named(zone, names) -> (dns, daemon): one endpoint per name, on the port of a real server."""
    with contextlib.ExitStack() as stack:
        def start(zone, names, delay=0, **defaults):
            dns = stack.enter_context(contextlib.closing(Dns(zone, delay)))
            scratch.mkdir(parents=True, exist_ok=True)
            server = lab.postgres()
            endpoints = {name.split(".", maxsplit=1)[0]: {"host": name, "port": server.port, "sslmode": "require"}
                         for name in names}
            daemon = exporter(one_cluster(endpoints, {**SLOW, "user": "u_trust", "dbname": "app", **defaults}),
                              binary=asking(scratch, resolv_conf(scratch, dns)))
            return dns, daemon
        yield start


def test_a_name_is_resolved_by_dns(named):
    dns, daemon = named({"db.test": ["127.0.0.1"]}, ["db.test"])
    metrics = daemon.settled(at_least=3)
    assert metrics.value("pgtls_up") == 1
    assert metrics.value("pgtls_phase_duration_seconds_count", phase="dns") >= 3
    assert daemon.server_health("lab", "db")["address"] == "127.0.0.1"
    assert dns.questions["db.test", 1] >= 3  # asked again by every inspect, by no login


def test_the_dns_phase_is_the_time_the_answer_took(named):
    _, daemon = named({"db.test": ["127.0.0.1"]}, ["db.test"], delay=0.1)
    metrics = daemon.settled(at_least=2)
    total = metrics.value("pgtls_phase_duration_seconds_sum", phase="dns")
    assert total / metrics.value("pgtls_phase_duration_seconds_count", phase="dns") >= 0.1


def test_an_address_that_refuses_gives_way_to_the_next(named):
    _, daemon = named({"db.test": ["127.0.0.77", "127.0.0.1"]}, ["db.test"])
    assert daemon.settled(at_least=2).value("pgtls_up") == 1
    assert daemon.server_health("lab", "db")["address"] == "127.0.0.1"


def test_an_address_that_hangs_gives_way_after_its_share(named, lab):
    with contextlib.closing(HangingAddress("127.0.0.78", lab.postgres().port)):
        _, daemon = named({"db.test": ["127.0.0.78", "127.0.0.1"]}, ["db.test"])
        metrics = daemon.settled(at_least=2)
        assert metrics.value("pgtls_up") == 1
        total = metrics.value("pgtls_probe_duration_seconds_sum", probe="inspect")
        count = metrics.value("pgtls_probe_duration_seconds_count", probe="inspect")
        assert 0.9 < total / count < 2.9  # a second for the first address, not the whole probe
        tcp = metrics.value("pgtls_phase_duration_seconds_sum", phase="tcp")
        assert tcp / count < 0.5  # the phase is the connection that was made
        assert daemon.server_health("lab", "db")["address"] == "127.0.0.1"


def test_when_no_address_works_the_last_word_is_reported(named):
    _, daemon = named({"db.test": ["127.0.0.77", "::1"]}, ["db.test"])
    metrics = daemon.settled()
    assert metrics.labels("pgtls_fault_active")["fault"] == "tcp_refused"


@pytest.mark.parametrize("entry, fault", [(None, "dns_not_found"), ([], "dns_not_found"),
                                          (SERVFAIL, "dns_temporary"), ("silent", "dns_timeout")])
def test_what_dns_says_is_named(named, entry, fault):
    zone = {} if entry is None else {"db.test": entry}
    _, daemon = named(zone, ["db.test"], timeout="1s")
    metrics = daemon.settled()
    active = metrics.labels("pgtls_fault_active")
    assert (active["fault"], active["phase"], active["class"]) == (fault, "dns", "network")


def test_garbage_from_a_resolver_is_no_address(named):
    _, daemon = named({"db.test": "garbage"}, ["db.test"], timeout="1s")
    assert daemon.settled().labels("pgtls_fault_active")["phase"] == "dns"


def test_a_dead_resolver_stalls_nobody_else(named):
    zone = {f"dead{i}.test": "silent" for i in range(30)} | {"live.test": ["127.0.0.1"]}
    _, daemon = named(zone, [*zone], interval="500ms")
    metrics = daemon.until(lambda m: (m.value("pgtls_probes_total", pg_endpoint="live", probe="inspect") or 0) >= 8,
                           20, "the live one to be probed")
    assert metrics.value("pgtls_up", pg_endpoint="live") == 1
    assert metrics.value("pgtls_probes_total", pg_endpoint="dead1", probe="inspect") <= 4


def test_a_changed_resolv_conf_takes_effect(named, scratch):
    dns, daemon = named({"db.test": SERVFAIL}, ["db.test"], timeout="1s")
    assert daemon.settled().value("pgtls_up") == 0
    with contextlib.closing(Dns({"db.test": ["127.0.0.1"]})) as other:
        resolv_conf(scratch, other)
        daemon.until(lambda m: m.value("pgtls_up") == 1, 20, "the new resolver to be asked")
        assert other.questions
    assert dns.questions
