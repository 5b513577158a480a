"""Watched sessions against everything that ends idle connections: seen at once, with age, idle time
and how."""

import json
import os
import re
import signal
import time
from pathlib import Path

import jsonschema
import pytest

from conftest import PASSWORD
from lab import servers
from lab.exporter import endpoint_of, one_cluster
from lab.process import wait_for
from lab.relay import Firewall
from test_secrets import stored_password

HBA = "host all all 127.0.0.0/8 trust\n"
UP, DROPS = "pgtls_session_up", "pgtls_session_drops_total"
HOWS = {"close_notify", "fin", "rst", "timeout", "server_message", "protocol_error"}
OURS = "application_name = 'sessions' and state = 'idle'"


@pytest.fixture
def postgres(lab):
    with lab.new_postgres(hba=HBA, client_ca=None, roles=False) as server:
        yield server


@pytest.fixture
def watch(trust, exporter):
    """A function that watches a server as the superuser, with these sessions."""
    def start(server, *sessions, log_level="info", **more):
        return exporter(one_cluster({"write": endpoint_of(server, session=list(sessions), **more)}, {
            "user": "postgres", "sslrootcert": str(trust.root_file), "application_name": "sessions",
            "login": {"interval": "1s"}}), log_level=log_level)
    return start


def opened(daemon, n=1):
    return daemon.until(lambda m: [value for _, value in m.all(UP)] == [1] * n, what="the sessions to be open")


def drops(metrics, **labels):
    """how → count, of those that are not 0."""
    return {found["how"]: value for found, value in metrics.all(DROPS, **labels) if value}


def dropped(daemon, seconds=20):
    """The first scrape with a drop in it."""
    return daemon.until(drops, seconds, "a drop")


def backends(server):
    """The processes of sessions that have been open for longer than any probe."""
    answer = server.sql(f"select pid from pg_stat_activity where {OURS} and "
                        "now() - backend_start > interval '0.5s'")
    return [int(pid) for pid in answer.split()]


def lines(daemon):
    return [line for line in daemon.log().splitlines() if "Session was dropped" in line]


def last_drop(daemon):
    (session,) = daemon.server_health("lab")["sessions"]
    return session["last_drop"]


@pytest.mark.parametrize("tls", [True, False])
def test_a_session_stays_open_and_a_terminated_backend_is_seen_at_once(postgres, watch, tls):
    """Its check is an hour away: what tells is the descriptor alone."""
    daemon = watch(postgres, {"idle": "1h"}, **({} if tls else {"sslmode": "disable"}))
    metrics = opened(daemon)
    assert {labels["how"] for labels, _ in metrics.all(DROPS)} == HOWS and drops(metrics) == {}
    started = metrics.value("pgtls_session_start_timestamp_seconds", session="1h")
    assert abs(started - time.time()) < 10
    time.sleep(1)
    (pid,) = backends(postgres)
    postgres.sql(f"select pg_terminate_backend({pid})")
    before = time.monotonic()
    metrics = dropped(daemon)
    assert time.monotonic() - before < 3
    assert drops(metrics) == {"server_message": 1}
    for name in ("lifetime", "idle_before_drop"):
        family = f"pgtls_session_{name}_seconds"
        assert metrics.value(f"{family}_count", session="1h") == 1
        assert 0.9 < metrics.value(f"{family}_sum", session="1h") < 10
    (line,) = daemon.told("Session was dropped")
    assert "how=server_message" in line and "sqlstate=57P01" in line and 'session=1h' in line
    assert re.search(r"age=\d\S* idle=\d\S* ", line)
    drop = last_drop(daemon)
    assert (drop["how"], drop["sqlstate"]) == ("server_message", "57P01")
    assert "administrator command" in drop["error"] and drop["idle_seconds"] <= drop["age_seconds"]
    jsonschema.validate(daemon.health(), json.loads((servers.ROOT / "docs" / "health.schema.json").read_text()))
    metrics = opened(daemon)  # again, by itself
    assert metrics.value("pgtls_session_start_timestamp_seconds", session="1h") > started
    assert metrics.value("pgtls_up") == 1 and not metrics.all("pgtls_fault_active")


def test_checks_keep_it_and_notices_are_no_end(postgres, watch):
    postgres.sql("create table noise (n int)")
    daemon = watch(postgres, {"idle": "1s"})
    started = opened(daemon).value("pgtls_session_start_timestamp_seconds", session="1s")
    postgres.settings["timezone"] = "UTC"
    for zone in ("Europe/Vienna", "Asia/Tokyo"):  # a ParameterStatus for whoever is idle
        postgres.sql(f"alter system set timezone = '{zone}'")
        postgres.reload()
        time.sleep(1.5)
    metrics = daemon.scrape()
    assert drops(metrics) == {} and metrics.value(UP) == 1
    assert metrics.value("pgtls_session_start_timestamp_seconds", session="1s") == started


def test_a_restarted_server(postgres, watch):
    daemon = watch(postgres, {"idle": "1h"})
    opened(daemon)
    postgres.restart()
    assert drops(dropped(daemon)) == {"server_message": 1}
    assert last_drop(daemon)["sqlstate"] == "57P01"
    opened(daemon)


def test_a_killed_backend(postgres, watch):
    daemon = watch(postgres, {"idle": "1h"})
    opened(daemon)
    time.sleep(1)
    (pid,) = backends(postgres)
    os.kill(pid, signal.SIGKILL)
    metrics = dropped(daemon)
    (how,) = drops(metrics)
    assert how in ("fin", "rst")
    assert last_drop(daemon)["sqlstate"] is None
    opened(daemon)


def test_the_servers_own_idle_timeout_is_between_two_sessions(lab, watch):
    with lab.new_postgres(hba=HBA, client_ca=None, roles=False, settings={"idle_session_timeout": "3s"}) as server:
        daemon = watch(server, {"idle": "2s"}, {"idle": "1h", "name": "pool"})
        opened(daemon, 2)
        metrics = dropped(daemon)
        assert drops(metrics, session="pool") == {"server_message": 1} and drops(metrics, session="2s") == {}
        short, pool = daemon.server_health("lab")["sessions"]
        assert (pool["session"], pool["last_drop"]["sqlstate"]) == ("pool", "57P05")
        assert 2.9 < pool["last_drop"]["idle_seconds"] < 4
        assert short["up"] is True and short["drops"] == 0 and short["last_drop"]["how"] is None


def test_pgbouncer_client_idle_timeout(lab, postgres, watch):
    pooler = lab.new_pgbouncer(postgres, users={"postgres": ""}, settings={
        "client_idle_timeout": "2", "pool_mode": "transaction"})
    daemon = watch(pooler, {"idle": "1h"})
    opened(daemon)
    metrics = dropped(daemon)
    assert drops(metrics) == {"server_message": 1}
    drop = last_drop(daemon)
    assert "client_idle_timeout" in drop["error"] and 1.9 < drop["idle_seconds"] < 5


def test_haproxy_timeout_client_is_between_two_sessions(lab, postgres, watch):
    proxy = lab.keep(servers.Haproxy(lab.directory("haproxy"), [
        "timeout client 3s", "timeout server 60s", f"server pg 127.0.0.1:{postgres.port}"])).start()
    daemon = watch(proxy, {"idle": "2s"}, {"idle": "4s"})
    opened(daemon, 2)
    metrics = dropped(daemon)
    assert drops(metrics, session="2s") == {}
    (how,) = drops(metrics, session="4s")
    # It closes towards the server, whose close_notify it passes on.
    assert how in ("close_notify", "fin", "rst")
    drop = daemon.server_health("lab")["sessions"][1]["last_drop"]
    assert 2.9 < drop["idle_seconds"] < 4


def test_a_firewall_that_forgets_in_silence_is_between_two_sessions(postgres, watch):
    with Firewall(postgres, 3) as firewall:
        daemon = watch(firewall, {"idle": "2s"}, {"idle": "4s"}, timeout="1s")
        opened(daemon, 2)
        metrics = dropped(daemon)
        assert drops(metrics, session="4s") == {"timeout": 1} and drops(metrics, session="2s") == {}
        drop = daemon.server_health("lab")["sessions"][1]["last_drop"]
        assert 3.9 < drop["idle_seconds"] < 4.9 and 0.9 < drop["age_seconds"] - drop["idle_seconds"] < 3
        assert drop["sqlstate"] is None
        daemon.stop()


def keepalive_timers(port):
    """Seconds until the next keepalive of each connection to this port, as the kernel has them."""
    hertz, found = os.sysconf("SC_CLK_TCK"), []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        kind, when = fields[5].split(":")
        if int(fields[2].split(":")[1], 16) == port and fields[3] == "01" and kind == "02":
            found.append(int(when, 16) / hertz)
    return found


def test_keepalives_are_the_kernels(postgres, watch):
    daemon = watch(postgres, {"idle": "1h"}, {"idle": "1h", "name": "alive", "keepalives_idle": "30s"},
                   interval="30s")
    opened(daemon, 2)
    time.sleep(0.5)
    assert len([left for left in keepalive_timers(postgres.port) if 20 < left <= 30]) == 1


def test_a_server_that_lets_nobody_stay_is_not_hammered(lab, watch):
    with lab.new_postgres(hba=HBA, client_ca=None, roles=False, settings={
            "idle_session_timeout": "100ms", "log_connections": "on"}) as server:
        daemon = watch(server, {"idle": "1h"})
        dropped(daemon)
        time.sleep(10)
        # 0.5 to 1 s, then twice as long each time: at most five in ten seconds.
        assert 2 <= sum(drops(daemon.scrape()).values()) <= 6


def test_it_leaves_politely(postgres, watch):
    before = postgres.sql("select sum(sessions_abandoned) from pg_stat_database"), len(postgres.log())
    daemon = watch(postgres, {"idle": "1s"}, {"idle": "1h"}, interval="1s")
    opened(daemon, 2)
    time.sleep(1)
    assert len(backends(postgres)) == 2
    configuration = one_cluster({"write": endpoint_of(postgres, login=True)}, {
        "user": "postgres", "sslrootcert": daemon.file.read_text().split('"sslrootcert": "')[1].split('"')[0]})
    daemon.write(configuration)
    daemon.reload()
    daemon.until(lambda m: not m.all(DROPS), what="the sessions to be gone")
    time.sleep(1)
    assert backends(postgres) == []
    assert lines(daemon) == []
    assert daemon.stop() == 0
    time.sleep(0.5)
    log = [line for line in postgres.log()[before[1]:].splitlines() if "checkpoint" not in line]
    assert (postgres.sql("select sum(sessions_abandoned) from pg_stat_database"), log) == (before[0], [])


def test_a_daemon_that_stops_leaves_its_sessions_politely(postgres, watch):
    before = postgres.sql("select sum(sessions_abandoned) from pg_stat_database"), len(postgres.log())
    daemon = watch(postgres, {"idle": "1s"}, {"idle": "1h", "name": "a \"pool\""})
    opened(daemon, 2)
    assert daemon.stop() == 0
    time.sleep(0.5)
    assert (postgres.sql("select sum(sessions_abandoned) from pg_stat_database"),
            postgres.log()[before[1]:]) == (before[0], "")


def test_a_reload_that_leaves_the_session_alone_keeps_it_and_its_counters(postgres, watch):
    daemon = watch(postgres, {"idle": "1h"})
    opened(daemon)
    time.sleep(1)
    (pid,) = backends(postgres)
    postgres.sql(f"select pg_terminate_backend({pid})")
    dropped(daemon)
    started = opened(daemon).value("pgtls_session_start_timestamp_seconds", session="1h")
    daemon.write(daemon.file.read_text().replace('"200ms"', '"300ms"'))
    daemon.reload()
    daemon.until(lambda m: m.value("pgtls_probe_interval_seconds", probe="inspect") == 0.3)
    metrics = daemon.scrape()
    assert drops(metrics) == {"server_message": 1}
    assert metrics.value("pgtls_session_start_timestamp_seconds", session="1h") == started


def test_a_reload_that_changes_one_session_begins_them_anew(postgres, watch):
    daemon = watch(postgres, {"idle": "1h"}, {"idle": "3h"})
    opened(daemon, 2)
    daemon.write(daemon.file.read_text().replace('"3h"', '"2h"'))
    daemon.reload()
    metrics = daemon.until(lambda m: m.value(UP, session="2h") == 1 and m.value(UP, session="1h") == 1)
    assert {labels["session"] for labels, _ in metrics.all(UP)} == {"1h", "2h"}
    assert drops(metrics) == {} and lines(daemon) == []
    wait_for(lambda: len(backends(postgres)) == 2, 10, "only these two to be open")


def test_what_a_session_costs(lab, trust, exporter):
    """100 KB at most: 60 servers with 4 each, and then with none."""
    server = lab.new_postgres(hba=HBA, client_ca=None, roles=False, settings={"max_connections": "400"})
    sessions = [{"idle": f"{n}h"} for n in (1, 2, 3, 4)]

    def resident(with_sessions):
        endpoints = {f"e{n}": endpoint_of(server, session=sessions if with_sessions else []) for n in range(60)}
        daemon = exporter(one_cluster(endpoints, {"user": "postgres", "sslrootcert": str(trust.root_file),
                                                  "interval": "5s", "timeout": "5s", "login": {"interval": "5s"}}))
        daemon.settled(30)
        if with_sessions:
            opened(daemon, 240)
        time.sleep(1)
        daemon.scrape()
        return daemon.resident_bytes()

    cost = (resident(True) - resident(False)) / 240
    print(f"{cost / 1000:.1f} KB per session")
    assert cost <= 100_000 or os.environ.get("PGTLS_SANITIZE")


def test_a_session_that_cannot_open_says_why_once_per_reason(lab, postgres, trust, exporter, password_file):
    """One line when it begins, one when the reason changes, one when it is over: not one an attempt."""
    postgres.set_hba("host all all 127.0.0.0/8 scram-sha-256\n")
    postgres.reload()
    quoted = PASSWORD.replace("'", "''")
    postgres.sql(f"create role pool login password '{quoted}'")
    # The login probe, an hour away, has shown that one gets in; since then it is the sessions alone
    # that would know better.
    daemon = exporter(one_cluster({"write": endpoint_of(postgres, session=[{"idle": "1h"}])}, {
        "user": "pool", "dbname": "postgres", "password_file": str(password_file), "sslrootcert": str(trust.root_file),
        "login": {"interval": "1h"}}))
    opened(daemon)
    postgres.sql("alter role pool connection limit 0; "
                 "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'pool'")

    def lines():
        return [line for line in daemon.log().splitlines() if 'msg="Session ' in line]

    def fault(n):
        wait_for(lambda: len(lines()) >= n, 20, lambda: f"line {n} about the session: {lines()}")
        return re.search(r" fault=(\S+)", lines()[n - 1])[1]

    assert fault(2) == "too_many_connections_role"
    (_, refused) = lines()
    for part in ("level=WARN", 'msg="Session cannot be opened"', "pg_endpoint=write", "session=1h", "phase=auth",
                 "class=capacity", "sqlstate=53300", 'error="too many connections for role', "meaning="):
        assert part in refused, (part, refused)
    assert daemon.scrape().value(UP) == 0 and daemon.scrape().value("pgtls_up") == 1
    asked = postgres.log().count("too many connections for role")
    wait_for(lambda: postgres.log().count("too many connections for role") > asked, 20, "another attempt")
    assert len(lines()) == 2
    postgres.sql("alter role pool nologin")
    assert fault(3) == "role_nologin"
    postgres.sql("alter role pool login connection limit 5")
    wait_for(lambda: len(lines()) >= 4, 30, "the last line")
    assert 'level=INFO' in lines()[3] and 'msg="Session is open again"' in lines()[3]
    opened(daemon)
    assert len(lines()) == 4


# --- logins that take a thread of their own -------------------------------------------------------------

# Iterations of SCRAM: about a second's work, and just more than is done at once.
SLOW, SLOWISH = (200_000 if os.environ.get("PGTLS_SANITIZE") else 1_000_000), 20_000


@pytest.fixture
def slow(lab):
    """A server that makes clients of these roles compute."""
    def make():
        server = lab.new_postgres(
            hba="host all postgres 127.0.0.0/8 trust\nhost all slow,slowish 127.0.0.0/8 scram-sha-256\n",
            client_ca=None, roles=False, settings={"log_connections": "on"})
        server.sql("; ".join(f"create role {name} login password '{stored_password('dear', iterations)}'"
                             for name, iterations in (("slow", SLOW), ("slowish", SLOWISH))))
        return server
    return lab.shared("slow sessions", make)


def slow_login(trust, role, **more):
    return {"user": role, "password": "dear", "dbname": "postgres", "sslrootcert": str(trust.root_file),
            "application_name": "sessions", "login": {"interval": "1h"}, **more}


@pytest.mark.parametrize("how", ["reload", "end"])
def test_a_session_that_still_computes_its_login(slow, trust, exporter, how):
    """On another thread, which is at it when nobody wants the session any more: its login is over with what it computes."""
    more = slow_login(trust, "slow", interval="1h")
    daemon = exporter(one_cluster({"write": endpoint_of(slow, session=[{"idle": "1s"}])}, more))
    opened(daemon)
    wait_for(lambda: len(backends(slow)) == 1, 5, "the session")
    slow.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'slow'")
    came = slow.log().count("connection received")
    assert drops(dropped(daemon)) == {"server_message": 1}
    told = len(slow.log())
    wait_for(lambda: slow.log().count("connection received") > came, 10, "the next attempt")
    if how == "reload":
        daemon.write(one_cluster({"write": endpoint_of(slow)}, more))
        daemon.reload()
        daemon.until(lambda m: not m.all(DROPS), what="the session to be gone")
        time.sleep(1.5)  # when it is done
        assert daemon.scrape().value("pgtls_up") == 1
    assert daemon.stop() == 0
    wait_for(lambda: backends(slow) == [], 5, "nobody to be left")
    assert " ERROR: " not in slow.log()[told:] and " FATAL: " not in slow.log()[told:]


def test_sessions_are_within_the_limits(slow, trust, exporter):
    """One connection at a time is begun at an address: sessions wait for others, who wait for them, and all get in."""
    endpoints = {f"e{i}": endpoint_of(slow, session=[{"idle": "1h"}, {"idle": "1h", "name": "second"}]) for i in range(4)}
    # Not every second: with a sanitizer, logins alone would be more than one after the other can be.
    configuration = one_cluster(endpoints, slow_login(trust, "slowish", login={"interval": "2s"}))
    configuration["limits"] = {"in_flight_per_address": 1}
    daemon = exporter(configuration, workers=1)
    metrics = daemon.until(lambda m: m.sum(UP) == 8 and m.sum("pgtls_up") == 4, 60)
    slow.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'slowish'")
    after = daemon.until(lambda m: m.sum(DROPS) >= 8 and m.sum(UP) == 8 and m.sum("pgtls_up") == 4, 60)
    for kind in ("inspect", "login"):
        count = {labels["pg_endpoint"]: value for labels, value in metrics.all("pgtls_probes_total", probe=kind)}
        daemon.until(lambda m, c=count, k=kind: all(value > c[labels["pg_endpoint"]] for labels, value in
                                                    m.all("pgtls_probes_total", probe=k)), 30, f"each {kind} to go on")
    assert after.sum("pgtls_probe_internal_errors_total") == 0
