"""Servers that send anything but the protocol: one failure per probe, with its name; memory
bounded; texts shown only escaped."""

import pytest

import misbehave
from lab.exporter import endpoint_of, one_cluster

# Behaviour → (phase, class, fault).
FAULTS = {
    "answer_n": ("ssl_request", "protocol", "ssl_not_supported"),
    "answer_error_v3": ("ssl_request", "capacity", "too_many_connections"),
    "answer_error_v2": ("ssl_request", "capacity", "sslreq_error_v2"),
    "answer_garbage": ("ssl_request", "protocol", "sslreq_garbage"),
    "answer_nul": ("ssl_request", "protocol", "sslreq_garbage"),
    "answer_http": ("ssl_request", "protocol", "sslreq_garbage"),
    "answer_tls_alert": ("ssl_request", "protocol", "sslreq_peer_speaks_tls"),
    "answer_s_and_more": ("ssl_request", "protocol", "sslreq_extra_bytes"),
    "stall_at_accept": ("ssl_request", "unavailable", "sslreq_timeout"),
    "stall_after_ssl_request": ("ssl_request", "unavailable", "sslreq_timeout"),
    "stall_after_s": ("tls", "unavailable", "tls_timeout"),
    "stall_after_client_hello": ("tls", "unavailable", "tls_timeout"),
    "stall_mid_handshake": ("tls", "unavailable", "tls_timeout"),
    "drip": ("tls", "unavailable", "tls_timeout"),
    "plaintext_in_tls": ("tls", "protocol", "tls_peer_not_tls"),
    "alert_handshake_failure": ("tls", "protocol", "tls_no_shared_parameters"),
    "alert_protocol_version": ("tls", "protocol", "tls_version_mismatch"),
    "alert_internal_error": ("tls", "unavailable", "tls_server_internal_error"),
    "alert_unrecognized_name": ("tls", "protocol", "tls_sni_unrecognized"),
    "alert_no_application_protocol": ("tls", "protocol", "tls_alpn_rejected"),
    "stall_after_handshake": ("startup", "unavailable", "startup_timeout"),
    "stall_after_startup": ("startup", "unavailable", "startup_timeout"),
    "http_in_tls": ("startup", "protocol", None),
    "length_negative": ("startup", "protocol", None),
    "length_zero": ("startup", "protocol", None),
    "length_huge": ("startup", "protocol", None),
    "oversized_error": ("startup", "protocol", None),
    "short_auth": ("startup", "protocol", None),
    "no_entry": ("startup", "hba", "hba_no_entry_ssl"),
}
# Whatever they are called, they fail, once per probe, and harm nobody.
ONLY_DOWN = ("answer_ssh", "ssh_at_accept", "truncated_error", "unterminated_error", "nasty_error",
             "nul_in_error", "endless_messages", "endless_bytes")
DIRECT = {"direct_wrong_alpn": ("tls", None), "direct_no_alpn": ("tls", "tls_alpn_missing")}


@pytest.fixture(scope="module")
def watched(lab, trust, shared_exporter):
    names = [*FAULTS, *ONLY_DOWN, *DIRECT, "healthy", "trickle"]
    endpoints = {name: endpoint_of(lab.misbehave(name), user="u", dbname="d", login=False) for name in names}
    endpoints["trickle"]["timeout"] = "20s"
    for name in DIRECT:
        endpoints[name]["negotiation"] = "direct"
    daemon = shared_exporter(one_cluster(endpoints, {
        "sslrootcert": str(trust.root_file), "interval": "1s", "timeout": "1500ms"}))
    return daemon.settled(60, at_least=2), daemon


def fault_of(metrics, name):
    found = metrics.all("pgtls_fault_active", pg_endpoint=name)
    assert len(found) == 1, (name, found)
    return found[0][0]


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_has_its_name(watched, name):
    metrics, _ = watched
    phase, kind, fault = FAULTS[name]
    active = fault_of(metrics, name)
    assert (active["phase"], active["class"]) == (phase, kind), active
    assert fault is None or active["fault"] == fault


@pytest.mark.parametrize("name", [*FAULTS, *ONLY_DOWN, *DIRECT])
def test_one_failure_per_probe(watched, name):
    metrics, _ = watched
    probes = metrics.value("pgtls_probes_total", pg_endpoint=name, probe="inspect")
    assert metrics.sum("pgtls_probe_failures_total", pg_endpoint=name) == probes >= 2
    assert metrics.value("pgtls_up", pg_endpoint=name) == 0
    assert metrics.sum("pgtls_probe_internal_errors_total", pg_endpoint=name) == 0


@pytest.mark.parametrize("name", DIRECT)
def test_direct_tls_without_our_protocol(watched, name):
    metrics, _ = watched
    phase, fault = DIRECT[name]
    active = fault_of(metrics, name)
    assert active["phase"] == phase and (fault is None or active["fault"] == fault), active


@pytest.mark.parametrize("name", ["healthy", "trickle"])
def test_a_good_server_is_up_however_slow(watched, name):
    metrics, _ = watched
    assert metrics.value("pgtls_up", pg_endpoint=name) == 1, metrics.all("pgtls_fault_active", pg_endpoint=name)


def test_timeouts_are_the_configured_ones(watched):
    """A slow drip cannot stretch a deadline."""
    metrics, _ = watched
    for name in ("drip", "stall_after_startup", "endless_messages"):
        count = metrics.value("pgtls_probe_duration_seconds_count", pg_endpoint=name, probe="inspect")
        total = metrics.value("pgtls_probe_duration_seconds_sum", pg_endpoint=name, probe="inspect")
        assert total / count < 1.7, name


def test_the_certificate_is_kept_whatever_comes_after(watched):
    metrics, _ = watched
    for name in ("stall_after_startup", "http_in_tls", "no_entry", "nasty_error"):
        assert metrics.value("pgtls_chain_verified", pg_endpoint=name) == 1, name


def test_what_a_server_says_is_shown_escaped(watched):
    _, daemon = watched
    error = daemon.server_health("lab", "nasty_error")["error"]
    assert "\\x1b" in error and "\\xe9" in error and "\\n" in error and "🐘" in error
    assert "\x1b" not in daemon.log()
    raw = daemon.get("/health/database").body
    assert all(byte >= 0x20 or byte in b"\n\t" for byte in raw)


def without_memory(c):
    """Lets everybody in, and has an error for every query whose severity it leaves out; libpq prints no more of it
    then than what it prints of its own lack of memory."""
    c.up()
    c.startup()
    c.send(misbehave.AUTH_OK + misbehave.READY)
    while c.client_message()[0] == b"Q":
        c.send(misbehave.message(b"E", b"C53200\0Mout of memory\0\0") + misbehave.message(b"Z", b"I"))
    c.drain_and_close()


def test_a_server_without_memory_is_not_taken_for_us(lab, trust, exporter):
    misbehave.BEHAVIOURS["without_memory"] = without_memory
    daemon = exporter(one_cluster({"write": endpoint_of(lab.misbehave("without_memory"), user="u", dbname="d",
                                                        sslrootcert=str(trust.root_file))}))
    metrics = daemon.until(lambda m: m.value("pgtls_probes_total", 0, probe="login") >= 1)
    assert metrics.labels("pgtls_fault_active")["fault"] == "server_out_of_resources"
    assert metrics.value("pgtls_up") == 0 and metrics.sum("pgtls_probe_internal_errors_total") == 0
