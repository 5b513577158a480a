"""Allocations that fail and a wall clock that steps, in the program that ships (tests/tools/chaos.c)."""

import contextlib
import http.client
import time

import pytest

from lab.chaos import Chaos
from lab.exporter import endpoint_of, one_cluster

YEAR = 365 * 86400
DAY = 86400


@pytest.fixture
def watch(lab, trust, exporter, tmp_path):
    """A function that starts an exporter with a Chaos, at a good server and some that are not."""
    def start(**more):
        chaos = Chaos(tmp_path / "chaos")
        server = lab.postgres()
        endpoints = {f"e{i}": endpoint_of(server, user="u_trust", dbname="app", login={"interval": "1s"},
                                          session=[{"idle": "1s"}]) for i in range(4)}
        daemon = exporter(one_cluster(endpoints, {"sslrootcert": str(trust.root_file), "interval": "200ms"}),
                          environment=chaos.environment, **more)
        daemon.until(lambda m: m.sum("pgtls_up") == 4 and m.sum("pgtls_session_up") == 4, 30)
        return chaos, daemon
    return start


def visit(daemon):
    """Everything that allocates for a visitor."""
    for path in ("/metrics", "/health/database", "/", "/server?cluster=lab&endpoint=e1", "/config"):
        with contextlib.suppress(OSError, http.client.HTTPException):
            daemon.get(path)


@pytest.mark.parametrize("every", [1])
def test_allocations_that_fail(watch, every):
    """One of so many (here: every one) fails, in probes, logins, sessions and answers: it goes on, and is well when there is memory
    again."""
    chaos, daemon = watch()
    chaos.set(fail_every=every)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        visit(daemon)
        time.sleep(0.02)
    chaos.set(fail_every=0)
    assert daemon.program.running(), daemon.log()[-2000:]
    assert chaos.get("failed") > 20
    assert daemon.request("POST", "/-/reload", timeout=30).status == 200
    after = daemon.until(lambda m: m.sum("pgtls_up") == 4 and m.sum("pgtls_session_up") == 4, 60, "all to be up again")
    # What fails in the middle of OpenSSL cannot always be told from a broken handshake.
    failures = [(labels["class"], value) for labels, value in after.all("pgtls_probe_failures_total") if value]
    assert {kind for kind, _ in failures} <= {"protocol"}, daemon.log()[-3000:]


# The clock --------------------------------------------------------------------------------------
def test_the_wall_clock_steps(watch):
    """Probes keep their pace and durations their length; certificates are judged by the new time."""
    chaos, daemon = watch()
    before = daemon.scrape()
    for offset, fault in ((YEAR, "server_cert_expired"), (-2 * YEAR, "server_cert_not_yet_valid")):
        chaos.set(clock_offset_s=offset)
        began, count = time.monotonic(), daemon.scrape().sum("pgtls_probes_total", probe="inspect")
        metrics = daemon.until(lambda m: len(m.all("pgtls_fault_active", fault=fault)) == 4, 20, fault)
        assert metrics.sum("pgtls_probes_total", probe="inspect") - count < 4 * 6 * (time.monotonic() - began) + 20
        assert abs(metrics.value("pgtls_last_probe_timestamp_seconds", pg_endpoint="e1", probe="inspect")
                   - time.time() - offset) < DAY
    chaos.set(clock_offset_s=0)
    after = daemon.until(lambda m: m.sum("pgtls_up") == 4, 30, "all to be up again")
    assert after.sum("pgtls_session_drops_total") == 0
    assert after.sum("pgtls_state_seconds_total") - before.sum("pgtls_state_seconds_total") < 4 * 120
    assert after.sum("pgtls_probe_failures_total", **{"class": "unavailable"}) == 0
    assert 0 <= after.sum("pgtls_phase_duration_seconds_sum") < 60
