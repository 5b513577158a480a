"""What it does at the edge: no descriptors, thousands of failures, hundreds of hanging servers."""

import os
import resource
import statistics
import time

from lab.exporter import endpoint_of, one_cluster

# As many at once as a test asks for.
UNLIMITED = {"in_flight": 4000, "in_flight_per_address": 0}

SANITIZED = bool(os.environ.get("PGTLS_SANITIZE"))


def test_without_descriptors_it_is_our_own_trouble(lab, trust, exporter):
    """Every descriptor taken away: internal errors, nothing against the server; back by itself."""
    server = lab.postgres()
    daemon = exporter(one_cluster({f"e{i}": endpoint_of(server, user="u_trust", dbname="app")
                                   for i in range(4)}, {"sslrootcert": str(trust.root_file)}))
    before = daemon.settled()
    soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, hard))
    try:
        time.sleep(2.5)
    finally:
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
    after = daemon.until(lambda m: len(m.all("pgtls_up")) == 4 and m.sum("pgtls_up") == 4, 20)
    assert after.sum("pgtls_probe_internal_errors_total", reason="descriptors") > 0
    assert after.sum("pgtls_probe_failures_total") == before.sum("pgtls_probe_failures_total") == 0


def test_ten_thousand_failures_leave_nothing_behind(lab, trust, exporter):
    """Servers that fail in every way, again and again: descriptors and memory stay flat."""
    ways = ("fin_at_accept", "rst_after_ssl_request", "answer_n", "answer_garbage", "fin_after_client_hello",
            "rst_mid_handshake", "notify_after_startup", "rst_after_startup", "no_entry", "oversized_error",
            "http_in_tls", "notify_during_auth", "ask_clear", "unknown_auth")
    endpoints = {}
    for way in ways:
        server = lab.misbehave(way)
        for i in range(6):
            endpoints[f"{way}-{i}"] = endpoint_of(server, user="u", dbname="d", password="x")
    daemon = exporter(one_cluster(endpoints, {
        "sslrootcert": str(trust.root_file), "interval": "100ms", "timeout": "1s"}))

    def probes(metrics):
        return metrics.sum("pgtls_probes_total")
    daemon.until(lambda m: probes(m) > 2000, 120, "2000 probes")
    files, memory = daemon.open_files(), daemon.resident_bytes()
    daemon.until(lambda m: probes(m) > 12000, 240, "10000 more probes")
    assert daemon.open_files() < files + 40
    growth = daemon.resident_bytes() - memory
    assert growth < (64 if SANITIZED else 3) * 1024 * 1024, f"{growth / 10000:.0f} bytes per probe"


def scrape_seconds(daemon, times=60):
    durations = []
    for _ in range(times):
        began = time.perf_counter()
        daemon.get("/metrics")
        durations.append(time.perf_counter() - began)
    return statistics.median(durations)


def test_a_scrape_does_not_wait_for_hanging_servers(lab, trust, exporter):
    """The same 200 endpoints, idle and then hanging in the middle of the handshake, in one run."""
    server = lab.misbehave("healthy")
    daemon = exporter({"limits": UNLIMITED, **one_cluster(
        {f"e{i}": endpoint_of(server, user="u", dbname="d", login=False) for i in range(200)},
        {"sslrootcert": str(trust.root_file), "interval": "2s", "timeout": "30s"})})
    daemon.settled(60)
    idle = scrape_seconds(daemon)
    server.behaviour = "stall_mid_handshake"
    daemon.until(lambda m: m.value("pgtls_probes_in_flight") >= 200, 30, "200 probes to hang")
    hanging = scrape_seconds(daemon)
    assert hanging < 2 * idle + 0.005, f"idle {idle * 1000:.1f} ms, hanging {hanging * 1000:.1f} ms"
    assert daemon.get("/health/database?brief=1").status in (200, 503)


def test_a_thousand_hanging_servers_cost_little_memory(lab, trust, exporter):
    server = lab.misbehave("stall_after_ssl_request", backlog=2048)
    daemon = exporter({"limits": UNLIMITED, **one_cluster(
        {f"e{i}": endpoint_of(server, user="u") for i in range(1000)},
        {"sslrootcert": str(trust.root_file), "interval": "1s", "timeout": "20s"})},
                      limits=[(resource.RLIMIT_NOFILE, (4096, 8192))])
    daemon.until(lambda m: m.value("pgtls_probes_in_flight") >= 1000, 30, "1000 probes to hang")
    assert daemon.resident_bytes() < (400 if SANITIZED else 60) * 1024 * 1024
