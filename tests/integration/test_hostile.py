"""Servers, operators and moments that mean harm: one of them may fail, nobody else may notice."""

import http.client
import threading
import time

import pytest

from lab.exporter import endpoint_of, one_cluster
from misbehave import AUTH_SCRAM, BEHAVIOURS, SSL_REQUEST

# Behaviour → (probe, phase, class, fault).
ENDLESS = {
    "endless_tickets": ("inspect", "startup", "protocol", "tls_protocol_error"),
    "endless_tickets_at_login": ("login", "startup", "protocol", "tls_protocol_error"),
    "copy_in": ("login", "query", "protocol", "protocol_violation"),
    "copy_out": ("login", "query", "protocol", "protocol_violation"),
    "copy_both": ("login", "query", "protocol", "protocol_violation"),
}
# An answer to SSLRequest that comes in pieces, or not whole.
PIECES = {
    "slow_error_v3": ("inspect", "ssl_request", "capacity", "too_many_connections"),
    "cut_error_v3": ("inspect", "ssl_request", "unavailable", "sslreq_closed"),
}


def active(metrics, name):
    found = [labels for labels, _ in metrics.all("pgtls_fault_active", pg_endpoint=name)]
    return [(f["probe"], f["phase"], f["class"], f["fault"]) for f in found]


def inspects(metrics, name):
    return metrics.value("pgtls_probes_total", 0, pg_endpoint=name, probe="inspect")


@pytest.mark.parametrize("name", {**ENDLESS, **PIECES})
def test_it_has_its_name_and_holds_up_nobody(lab, trust, exporter, name):
    """One worker, so that a server which keeps it keeps everybody."""
    login = {"interval": "1s"} if ENDLESS.get(name, "i")[0] == "login" else False
    daemon = exporter(one_cluster({
        name: endpoint_of(lab.misbehave(name), user="u", dbname="d", password="x", login=login),
        "healthy": endpoint_of(lab.misbehave("healthy"), user="u", dbname="d", login=False),
    }, {"sslrootcert": str(trust.root_file), "interval": "500ms"}), workers=1)
    metrics = daemon.until(lambda m: active(m, name), what="a fault")
    assert active(metrics, name) == [{**ENDLESS, **PIECES}[name]]
    before = inspects(daemon.scrape(), "healthy")
    time.sleep(3)
    assert inspects(daemon.scrape(), "healthy") >= before + 4


def plain_or_tls(c):
    """Takes both, asks for SCRAM, counts which login came how."""
    head = c.receive(8)
    if head == SSL_REQUEST:
        c.raw(b"S")
        c.handshake()
        c.startup()
    else:
        c.receive(int.from_bytes(head[:4], "big") - 8)
    c.send(AUTH_SCRAM)
    c.client_message()
    c.count("login in tls" if c.tls else "login in clear")
    c.stall()


def test_no_login_in_clear_after_a_reload_that_demands_tls(lab, trust, exporter, monkeypatch):
    monkeypatch.setitem(BEHAVIOURS, "plain_or_tls", plain_or_tls)
    server = lab.misbehave("plain_or_tls")

    def configuration(sslmode):
        return one_cluster({"write": endpoint_of(server, user="u", dbname="d", password="x", sslmode=sslmode,
                                                 interval="30s", timeout="500ms")},
                           {"sslrootcert": str(trust.root_file)})
    daemon = exporter(configuration("disable"))
    daemon.until(lambda m: server.tally["login in clear"] >= 2, 20, "logins in clear")
    daemon.write(configuration("verify-full"))
    assert daemon.request("POST", "/-/reload").status == 200
    time.sleep(1)  # whatever was under way
    before = server.tally["login in clear"]
    daemon.until(lambda m: server.tally["login in tls"] >= 1, 20, "a login in TLS")
    time.sleep(3)
    assert server.tally["login in clear"] == before


def test_it_ends_at_once_while_reloads_are_asked_for(lab, trust, exporter):
    daemon = exporter(one_cluster({f"e{i}": endpoint_of(lab.misbehave("stall_after_s"), user="u")
                                   for i in range(10)}, {"sslrootcert": str(trust.root_file)}))
    ended = threading.Event()

    def ask():
        while not ended.is_set():
            try:
                daemon.request("POST", "/-/reload", timeout=2)
            except (OSError, http.client.HTTPException):
                time.sleep(0.002)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    status = daemon.stop()
    took = time.monotonic() - began
    ended.set()
    for thread in threads:
        thread.join()
    assert status == 0 and took < 3, (status, took)


def test_servers_that_always_hung_hold_up_no_other_address(lab, exporter):
    """Two hundred that never answered fill what their address may have, and not the whole."""
    crowded, free = lab.misbehave("stall_after_s"), lab.misbehave("healthy", address="127.0.0.2")
    defaults = {"user": "u", "sslmode": "require", "login": False}
    endpoints = {f"crowded{i}": endpoint_of(crowded, interval="1s", timeout="2s", **defaults) for i in range(200)}
    endpoints["free"] = endpoint_of(free, interval="200ms", **defaults)
    daemon = exporter({**one_cluster(endpoints), "limits": {"in_flight": 50, "in_flight_per_address": 20}},
                      workers=1)
    daemon.until(lambda m: all(inspects(m, f"crowded{i}") for i in range(200)), 60, "each to have hung once")
    time.sleep(3)  # those that began before that was known
    before = inspects(daemon.scrape(), "free")
    time.sleep(4)
    assert inspects(daemon.scrape(), "free") >= before + 12


def test_servers_that_hang_do_not_starve_those_that_answer(lab, exporter):
    """Each at an address of its own, far more of them than there are places: whoever answers keeps his turns."""
    hanging, prompt = (lab.misbehave(name, address="0.0.0.0") for name in ("stall_after_s", "healthy"))
    defaults = {"user": "u", "sslmode": "require", "login": False}
    endpoints = {f"hanging{i}": {"host": f"127.9.0.{i + 1}", "port": hanging.port, "interval": "1s", "timeout": "1s",
                                 **defaults} for i in range(150)}
    endpoints.update({f"prompt{i}": {"host": f"127.9.1.{i + 1}", "port": prompt.port, "interval": "200ms",
                                     **defaults} for i in range(10)})
    daemon = exporter({**one_cluster(endpoints), "limits": {"in_flight": 40}}, workers=1)
    before = daemon.until(lambda m: all(inspects(m, name) for name in endpoints), 60, "each to have been probed")
    time.sleep(4)
    after = daemon.scrape()
    turns = {name: inspects(after, name) - inspects(before, name) for name in endpoints}
    assert all(turns[f"prompt{i}"] >= 10 for i in range(10)), turns  # of 20; 2 when they stand in one line
    assert sum(turns[f"hanging{i}"] for i in range(150)) >= 60, turns  # 30 places, 4 s, 1 s each
    assert after.value("pgtls_probes_in_flight") <= 40
    assert after.value("pgtls_probes_waiting") >= 1
    assert after.value("pgtls_probes_held_back_total", limit="in_flight_slow") >= 50
    assert after.value("pgtls_limit", limit="in_flight") == 40
