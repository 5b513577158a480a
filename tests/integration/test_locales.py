"""Refusals in German and Japanese are what they are in English: the same class, the same recognition
as a pg_hba rejection. Only where nothing but the text tells two rows apart may a coarser one stand.

One PostgreSQL 15 per language, and one more whose connections are all in use."""

import pytest

from lab import locales
from lab.exporter import endpoint_of, one_cluster
from lab.servers import conninfo, psql_started
from lab.world import Running, hold_until_held, holds

LANGUAGES = {"C": "C", "de": "de_DE", "ja": "ja_JP"}
HBA = """host all u_reject 127.0.0.0/8 reject
host all u_scram 127.0.0.0/8 scram-sha-256
host all u_holder,u_trust,u_ghost 127.0.0.0/8 trust
hostssl all u_sslonly 127.0.0.0/8 trust
"""

# Case → (endpoint, fault in English, coarser one elsewhere, class, kind of rejection in English and elsewhere).
CASES = {
    "no_entry": ({"user": "u_noentry"}, "hba_no_entry_ssl", "hba_rejected", "hba", ("no_entry", "unspecified")),
    "no_entry_plain": ({"user": "u_sslonly", "sslmode": "disable"}, "hba_no_entry_nossl", "hba_rejected_nossl", "hba",
                       ("no_encryption", "no_encryption")),
    "reject": ({"user": "u_reject"}, "hba_reject_rule_ssl", "hba_rejected", "hba", ("rejected", "unspecified")),
    "reject_plain": ({"user": "u_reject", "sslmode": "disable"}, "hba_reject_rule_nossl", "hba_rejected_nossl", "hba",
                     ("no_encryption", "no_encryption")),
    "password": ({"user": "u_scram", "password": "wrong"}, "password_failed", "password_failed", "auth", None),
    "role": ({"user": "u_ghost"}, "role_missing", "role_invalid", "auth", None),
    "database": ({"user": "u_trust", "dbname": "nowhere"}, "database_missing", "database_missing", "auth", None),
    "full": ({"user": "u_trust"}, "too_many_connections", "too_many_connections", "capacity", None),
}


def start(lab, environment, name, **settings):
    server = lab.new_postgres(roles=False, hba=HBA, environment=environment, settings={
        "lc_messages": "C" if name == "C" else f"{name}.utf8", **settings})
    for statement in ("create role u_trust login", "create role u_holder login", "create database app",
                      "create role u_scram login password 'right'"):
        server.sql(statement)
    return server


def fill(lab, server):
    """Somebody sits on the only connection for ordinary users."""
    given = conninfo(host=server.address, port=server.port, user="u_holder", dbname="app", sslmode="require")
    hold_until_held(lambda: lab.keep(Running(psql_started(given, "select pg_sleep(600)"))).process,
                    lambda: holds(server, "u_holder"))


@pytest.fixture(scope="module")
def servers(lab, scratch):
    """(language, case) → the server of it."""
    environment = locales.make(scratch / "locales", *(name for name in LANGUAGES.values() if name != "C"))
    found = {}
    for language, name in LANGUAGES.items():
        plain = start(lab, environment, name)
        full = start(lab, environment, name, max_connections="4", superuser_reserved_connections="3")
        fill(lab, full)
        for case in CASES:
            found[language, case] = full if case == "full" else plain
    return found


@pytest.fixture(scope="module")
def seen(servers, trust, shared_exporter):
    endpoints = {f"{language}-{case}": endpoint_of(server, **{"dbname": "app", **CASES[case][0]})
                 for (language, case), server in servers.items()}
    daemon = shared_exporter(one_cluster(endpoints, {"sslrootcert": str(trust.root_file), "interval": "1s"}))
    metrics = daemon.until(lambda m: len({labels["pg_endpoint"] for labels, _ in m.all("pgtls_fault_active")})
                           == len(endpoints), 30, "a fault everywhere")
    return metrics, {one["endpoint"]: one["servers"][0] for one in daemon.health()["endpoints"]}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusal_is_the_same_in_every_language(seen, language, case):
    metrics, health = seen
    _, english, coarser, kind_of_fault, _ = CASES[case]
    name = f"{language}-{case}"
    active = metrics.labels("pgtls_fault_active", pg_endpoint=name)
    in_english = metrics.labels("pgtls_fault_active", pg_endpoint=f"C-{case}")
    assert active["fault"] == (english if language == "C" else coarser), health[name]
    assert active["class"] == kind_of_fault
    assert (active["phase"], active["probe"]) == (in_english["phase"], in_english["probe"])
    assert health[name]["sqlstate"] == health[f"C-{case}"]["sqlstate"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_counts_the_same(seen, language, case):
    metrics, _ = seen
    _, _, _, kind_of_fault, kinds = CASES[case]
    name = f"{language}-{case}"
    classes = {labels["class"] for labels, value in metrics.all("pgtls_probe_failures_total", pg_endpoint=name)
               if value}
    rejections = {labels["kind"] for labels, value in metrics.all("pgtls_hba_rejections_total", pg_endpoint=name)
                  if value}
    assert classes == {kind_of_fault}
    assert rejections == ({kinds[language != "C"]} if kinds else set())


@pytest.mark.parametrize("case", CASES)
def test_the_servers_really_spoke_their_languages(seen, case):
    """Three different texts, or the tests above would show nothing."""
    _, health = seen
    texts = {health[f"{language}-{case}"]["error"] for language in LANGUAGES}
    assert len(texts) == len(LANGUAGES), texts
