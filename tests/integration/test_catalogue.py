"""Every row of the fault catalogue, seen from outside: its name, phase and class in the metrics and in
the health JSON, counted exactly once and nowhere else; and never in contradiction to libpq.

Four exporters see them all: one on loopback, one in a network of its own, one without descriptors, one
whose connect() fails. What is produced, and how, is in tests/tools/lab/catalogue.py."""

import re
import warnings

import pytest

from lab import catalogue, island, libpq
from lab.seen import CLASS, Seen, libpq_parameters
from lab.servers import conninfo
from lab.world import World

# Ids that no server can produce. Each with its reason.
IMPOSSIBLE = {}

REASON = {"local_descriptors": "descriptors", "local_memory": "memory", "local_file": "local_file",
          "local_secret": "secret", "local_other": "other"}
ROWS = catalogue.ROWS
LOCAL = [row for row in ROWS if CLASS[row.fault] == "internal"]
REMOTE = [row for row in ROWS if CLASS[row.fault] != "internal"]


def by_name(rows):
    return {"argvalues": rows, "ids": [row.name for row in rows]}


@pytest.fixture(scope="module")
def world(scratch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a certificate signed with SHA-1 is what we want
        made = World(scratch / "world")
        yield made
        made.close()


@pytest.fixture(scope="module")
def seen(world, shared_exporter):
    return Seen(world, shared_exporter)


# Every row ------------------------------------------------------------------------------------------
def test_every_fault_of_the_catalogue_is_produced():
    produced = {row.fault for row in ROWS}
    assert {fault for fault in CLASS if fault not in produced and fault not in IMPOSSIBLE} == set()
    assert produced - set(CLASS) == set(), "no such fault"
    assert produced & set(IMPOSSIBLE) == set(), "possible after all"


def test_every_row_has_a_name_of_its_own():
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names)) and len(names) >= 70


@pytest.mark.parametrize("row", **by_name(REMOTE))
def test_metrics_name_the_fault(seen, row):
    active = [labels for labels, _ in seen.metrics(row).all("pgtls_fault_active", pg_endpoint=row.name)]
    assert [(a["fault"], a["phase"], a["class"], a["probe"]) for a in active] \
        == [(row.fault, row.phase, CLASS[row.fault], row.probe)], seen.health(row)
    assert seen.metrics(row).value("pgtls_up", pg_endpoint=row.name) == 0


@pytest.mark.parametrize("row", **by_name(ROWS))
def test_health_says_the_same_and_what_to_do(seen, row):
    health = seen.health(row)
    assert (health["fault"], health["phase"], health["class"]) == (row.fault, row.phase, CLASS[row.fault]), health
    assert health["meaning"] and health["remedy"]


@pytest.mark.parametrize("row", **by_name(REMOTE))
def test_counted_in_exactly_one_class(seen, row):
    metrics = seen.metrics(row)
    classes = {labels["class"] for labels, value in metrics.all("pgtls_probe_failures_total", pg_endpoint=row.name)
               if value}
    assert classes == {CLASS[row.fault]}
    failures = metrics.sum("pgtls_probe_failures_total", pg_endpoint=row.name)
    closes = {(labels["phase"], labels["how"]): value for labels, value in metrics.all(
        "pgtls_ssl_closes_total", pg_endpoint=row.name) if value}
    rejections = {labels["kind"]: value for labels, value in metrics.all(
        "pgtls_hba_rejections_total", pg_endpoint=row.name) if value}
    # A scrape writes one family after the other: a failure in between is in the later ones only.
    may_be = (failures, failures + 1)
    assert closes in ([{(row.phase, row.close): n} for n in may_be] if row.close else [{}])
    assert rejections in ([{row.kind: n} for n in may_be] if row.kind else [{}])
    assert metrics.sum("pgtls_probe_internal_errors_total", pg_endpoint=row.name) == 0


@pytest.mark.parametrize("row", **by_name(LOCAL))
def test_our_own_trouble_is_nobody_elses(seen, row):
    metrics = seen.metrics(row)
    reasons = {labels["reason"] for labels, value in metrics.all(
        "pgtls_probe_internal_errors_total", pg_endpoint=row.name) if value}
    assert reasons == {REASON[row.fault]}
    if row.run == "descriptors":
        return  # a probe that came before the others had taken them all has met the server
    assert metrics.value("pgtls_up", pg_endpoint=row.name) is None
    assert metrics.sum("pgtls_probe_failures_total", pg_endpoint=row.name) == 0
    assert metrics.all("pgtls_fault_active", pg_endpoint=row.name) == []


def test_kinds_are_written_down_for_every_rejection():
    """The table of expectations itself: what counts beside its class says so."""
    assert [row.name for row in ROWS if (CLASS[row.fault] == "hba") != bool(row.kind)] == []
    assert [row.name for row in ROWS if (CLASS[row.fault] == "ssl_close") != bool(row.close)] == []


# Beside libpq ---------------------------------------------------------------------------------------
COMPARED = [row for row in ROWS if not row.not_libpq and row.run != "crash"]

# Silence, which ends when the probe's time or libpq's is over.
SILENT = {"tcp_timeout", "sslreq_timeout", "tls_timeout", "startup_timeout", "auth_stalled", "session_stalled"}

# What libpq says in so many words, when no SQLSTATE says more, and what may be meant by it.
SAYINGS = (
    (r"Connection refused", r"tcp_refused"),
    (r"could not translate host name .*(not known|No address)", r"dns_not_found"),
    (r"could not translate host name .*Temporary failure", r"dns_temporary|dns_timeout"),
    (r"No route to host|Network is unreachable", r"tcp_unreachable"),
    (r"could not receive data from server: Connection timed out", r"connection_lost"),
    (r"Permission denied", r"connect_denied"),
    (r"Invalid argument", r"tcp_error"),
    (r"Is the server running locally", r"unix_socket_missing"),
    (r"server does not support SSL", r"ssl_not_supported"),
    (r"invalid response to SSL negotiation", r"sslreq_(garbage|peer_speaks_tls)"),
    (r"error response during SSL exchange", r"sslreq_error_v2|pooler_max_client_conn|too_many_connections"),
    (r"certificate verify failed", r"server_cert_(?!name|pin).*|ca_cert_expired|crl_unusable"),
    (r"does not match host name", r"server_cert_name_mismatch"),
    (r"root certificate file .* does not exist", r"local_file"),
    (r"alert protocol version", r"tls_version_mismatch"),
    (r"alert handshake failure", r"tls_no_shared_parameters|client_cert_required"),
    (r"alert certificate required", r"client_cert_required"),
    (r"alert unknown ca", r"client_cert_untrusted"),
    (r"alert certificate expired", r"client_cert_rejected"),
    (r"alert internal error", r"tls_server_internal_error"),
    (r"alert illegal parameter", r"tls_alert_other"),
    (r"wrong version number", r"tls_peer_not_tls"),
    (r"SSL connection has been closed unexpectedly", r".*closed_.*"),
    (r"no password supplied", r"password_missing"),
    (r"channel binding is required", r"scram_channel_binding"),
    (r"could not fork new process", r"sslreq_error_v2|error_response_v2"),
    (r"expected authentication request from server", r"startup_garbage"),
)


@pytest.fixture(scope="module")
def theirs(seen, world):
    """What libpq says about the same endpoints, by row."""
    def given(row):
        endpoint = seen.endpoints[row.name]
        return conninfo(gssencmode="disable", **libpq_parameters(endpoint)), int(endpoint["timeout"].rstrip("s"))

    here = libpq.ask({row.name: given(row) for row in COMPARED if row.run == "main"})
    there = libpq.ask({row.name: given(row) for row in COMPARED if row.run == "island"},
                      island.join(world.island.pid))
    return here | there


@pytest.mark.parametrize("row", **by_name(COMPARED))
def test_libpq_does_not_contradict(seen, theirs, row):
    libpq_says, ours = theirs[row.name], seen.health(row)
    both = f"libpq: {libpq_says}\nours: {ours['fault']}, {ours['sqlstate']}, {ours['error']}"
    assert not libpq_says["ok"], both
    assert libpq_says["timeout"] == (row.fault in SILENT), both
    if libpq_says["sqlstate"]:
        assert libpq_says["sqlstate"] == ours["sqlstate"], both
        return
    for pattern, meant in SAYINGS:
        if re.search(pattern, libpq_says["text"]):
            assert re.fullmatch(meant, row.fault), f"{pattern}\n{both}"


def test_libpq_says_something_decidable_about_most(theirs):
    """The comparison would be worth little if libpq were silent, or its words unknown to us."""
    decided = [name for name, one in theirs.items()
               if one["sqlstate"] or one["timeout"] or any(re.search(pattern, one["text"]) for pattern, _ in SAYINGS)]
    assert len(decided) > 0.7 * len(theirs), sorted(set(theirs) - set(decided))


def test_every_word_of_libpq_was_heard(theirs):
    """No pattern stands there for nothing."""
    texts = "\n".join(one["text"] for one in theirs.values())
    assert [pattern for pattern, _ in SAYINGS if not re.search(pattern, texts, re.M)] == []
