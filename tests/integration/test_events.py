"""SSL closes and pg_hba rejections: counted once per event, in the right phase, with the right how
and kind; a broken server never in more than one class."""

import pytest

from lab.exporter import endpoint_of, one_cluster

# Behaviour → (phase, how, fault); what the tool counts when it really does it is the event.
INSPECT_CLOSES = {
    "fin_after_s": ("tls", "fin", "tls_closed"),
    "rst_after_s": ("tls", "rst", "tls_reset"),
    "fin_after_client_hello": ("tls", "fin", "tls_closed"),
    "rst_after_client_hello": ("tls", "rst", "tls_reset"),
    "fin_mid_handshake": ("tls", "fin", "tls_closed"),
    "rst_mid_handshake": ("tls", "rst", "tls_reset"),
    "notify_after_handshake": ("startup", "close_notify", "ssl_closed_after_handshake"),
    "fin_after_handshake": ("startup", "fin", "ssl_eof_after_handshake"),
    "rst_after_handshake": ("startup", "rst", "ssl_reset_after_handshake"),
    "notify_after_startup": ("startup", "close_notify", "ssl_closed_after_handshake"),
    "fin_after_startup": ("startup", "fin", "ssl_eof_after_handshake"),
    "rst_after_startup": ("startup", "rst", "ssl_reset_after_handshake"),
}
# These let the inspect pass (it leaves once it has seen the authentication request) and close on the
# login, once its first SCRAM message is there.
LOGIN_CLOSES = {
    "notify_during_auth": ("auth", "close_notify", "closed_during_auth"),
    "fin_during_auth": ("auth", "fin", "eof_during_auth"),
    "rst_during_auth": ("auth", "rst", "reset_during_auth"),
}
EVENT = {"close_notify": "close_notify", "fin": "fin", "rst": "rst"}
# Closes that are no SSL close: before TLS, or without it.
OTHER_CLOSES = {
    "fin_at_accept": "sslreq_closed", "fin_after_ssl_request": "sslreq_closed",
    "rst_after_ssl_request": "sslreq_reset",
}


@pytest.fixture(scope="module")
def closing(lab, trust, shared_exporter):
    """(servers by behaviour, exporter), when each has been probed at least three times."""
    servers = {name: lab.misbehave(name) for name in {**INSPECT_CLOSES, **LOGIN_CLOSES, **OTHER_CLOSES}}
    endpoints = {name: endpoint_of(server) for name, server in servers.items()}
    daemon = shared_exporter(one_cluster(endpoints, {
        "user": "u", "dbname": "d", "password": "secret", "sslrootcert": str(trust.root_file),
        "interval": "300ms"}))
    daemon.until(lambda m: all(
        m.value("pgtls_probe_failures_total", 0, pg_endpoint=name, probe="login" if name in LOGIN_CLOSES
                else "inspect", **{"class": "unavailable" if name in OTHER_CLOSES else "ssl_close"}) >= 3
        for name in servers), 40, "three failures of each")
    return servers, daemon


def counted_exactly(servers, daemon, name, probe, event):
    """A scrape, and that every event the tool counted is in it once (but for the one under way)."""
    before = servers[name].tally[event]
    metrics = daemon.scrape()
    after = servers[name].tally[event]
    probes = metrics.value("pgtls_probes_total", pg_endpoint=name, probe=probe)
    assert before - 1 <= probes <= after
    return metrics, probes


@pytest.mark.parametrize("name", {**INSPECT_CLOSES, **LOGIN_CLOSES})
def test_an_ssl_close_is_counted_once_where_it_happened(closing, name):
    servers, daemon = closing
    probe = "login" if name in LOGIN_CLOSES else "inspect"
    phase, how, fault = {**INSPECT_CLOSES, **LOGIN_CLOSES}[name]
    metrics, probes = counted_exactly(servers, daemon, name, probe, EVENT[how])
    closes = {(labels["phase"], labels["how"]): value for labels, value in
              metrics.all("pgtls_ssl_closes_total", pg_endpoint=name) if value}
    failures = {(labels["probe"], labels["class"]): value for labels, value in
                metrics.all("pgtls_probe_failures_total", pg_endpoint=name) if value}
    assert closes == {(phase, how): probes}
    assert failures == {(probe, "ssl_close"): probes}
    (active,) = [labels for labels, _ in metrics.all("pgtls_fault_active", pg_endpoint=name)]
    assert (active["probe"], active["phase"], active["fault"]) == (probe, phase, fault)
    assert metrics.value("pgtls_up", pg_endpoint=name) == 0


@pytest.mark.parametrize("name", OTHER_CLOSES)
def test_a_close_before_tls_is_no_ssl_close(closing, name):
    _, daemon = closing
    metrics = daemon.scrape()
    assert metrics.sum("pgtls_ssl_closes_total", pg_endpoint=name) == 0
    (active,) = [labels for labels, _ in metrics.all("pgtls_fault_active", pg_endpoint=name)]
    assert (active["phase"], active["class"], active["fault"]) \
        == ("ssl_request", "unavailable", OTHER_CLOSES[name])


# Endpoint → (server, what it says, kind, fault).
HBA = {
    "no-entry": ({"user": "u_noentry"}, "no_entry", "hba_no_entry_ssl"),
    "rejected": ({"user": "u_reject"}, "rejected", "hba_reject_rule_ssl"),
    "plain-no-entry": ({"user": "u_sslonly", "sslmode": "disable"}, "no_encryption", "hba_no_entry_nossl"),
    "plain-rejected": ({"user": "u_plainreject", "sslmode": "disable"}, "no_encryption",
                       "hba_reject_rule_nossl"),
    "pooler-ssl-required": ({"user": "u_trust", "sslmode": "disable"}, "pooler", "ssl_required_by_pooler"),
    "pooler-rejected": ({"user": "u_trust"}, "pooler", "hba_reject_rule_pooler"),
    "translated": ({"user": "u"}, "unspecified", "hba_rejected"),
}


@pytest.fixture(scope="module")
def refused(lab, trust, shared_exporter):
    postgres = lab.postgres()
    servers = {"pooler-ssl-required": lab.pgbouncer(),
               "pooler-rejected": lab.new_pgbouncer(hba="host all all 0.0.0.0/0 reject\n"),
               "translated": lab.misbehave("translated_hba")}
    endpoints = {name: endpoint_of(servers.get(name, postgres), **more)
                 for name, (more, _, _) in HBA.items()}
    for endpoint in endpoints.values():
        if endpoint.get("sslmode") != "disable":
            endpoint["sslrootcert"] = str(trust.root_file)
    daemon = shared_exporter(one_cluster(endpoints, {"dbname": "app", "interval": "300ms"}))
    metrics = daemon.until(lambda m: all(
        m.sum("pgtls_hba_rejections_total", pg_endpoint=name) >= 3 for name in HBA), 40,
        "three rejections of each")
    return metrics, daemon


@pytest.mark.parametrize("name", HBA)
def test_a_rejection_is_counted_once_with_its_kind(refused, name):
    metrics, _ = refused
    _, kind, fault = HBA[name]
    probes = metrics.value("pgtls_probes_total", pg_endpoint=name, probe="inspect")
    kinds = {labels["kind"]: value for labels, value in
             metrics.all("pgtls_hba_rejections_total", pg_endpoint=name) if value}
    failures = {(labels["probe"], labels["class"]): value for labels, value in
                metrics.all("pgtls_probe_failures_total", pg_endpoint=name) if value}
    assert kinds == {kind: probes}
    assert failures == {("inspect", "hba"): probes}
    (active,) = [labels for labels, _ in metrics.all("pgtls_fault_active", pg_endpoint=name)]
    assert (active["phase"], active["class"], active["fault"]) == ("startup", "hba", fault)


def test_health_carries_the_servers_own_words(refused):
    _, daemon = refused
    server = daemon.server_health("lab", "no-entry")
    assert server["sqlstate"] == "28000"
    assert 'no pg_hba.conf entry for host "127.0.0.1"' in server["error"]
    assert server["phase"] == "startup" and server["class"] == "hba"
