"""A minute of tests/soak/soak.py: servers that come, go, hang, reset, lie and rotate certificates, whose own tally must
equal the exporter's counters exactly, over reloads and under a scrape each second."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "soak"))

import soak

SANITIZED = bool(os.environ.get("PGTLS_SANITIZE"))


def test_a_minute_of_it(tmp_path, exporter):
    rows = soak.soak(soak.Options(minutes=1, servers=60, settle=0.4, memory_mib=64 if SANITIZED else 4,
                                  late=8 if SANITIZED else 3, scrape_limit=30), tmp_path, exporter)
    soak.print_verdict(rows)
    assert [row for row in rows if not row[1]] == []


def test_a_lost_event_is_found():
    """The comparison itself: one event more, less, or under another name on either side."""
    tally = {"probes": 3, "good:inspect": 2, "class:network": 1, "fault:tcp_refused": 1, "session": 4, "changes": 0}
    measured = {"probes": 3, "good:inspect": 2, "class:network": 1}
    faults = {"tcp_refused": 1}
    assert soak.differences("plain", tally, measured, faults) == {}
    assert soak.differences("plain", tally, {**measured, "probes": 2}, faults) == {"probes": (3, 2)}
    assert soak.differences("plain", tally, {**measured, "internal:memory": 1}, faults) == {"internal:memory": (0, 1)}
    assert set(soak.differences("plain", tally, measured, {"tcp_reset": 1})) == {"fault:tcp_reset", "fault:tcp_refused"}
    assert soak.differences("plain", {**tally, "changes": 1}, measured, faults) == {"changes": (1, 0)}
    slow = {**tally, "probes": 4, "slow": 1}  # what the fourth came to the server does not know
    assert soak.differences("plain", slow, {**measured, "probes": 4, "class:unavailable": 1}, faults) == {}
    assert soak.differences("plain", slow, {**measured, "probes": 4}, faults) != {}
