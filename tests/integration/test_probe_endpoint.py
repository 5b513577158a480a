"""/probe: targets that a request names, by modules that say who may be named."""

import concurrent.futures
import contextlib
import itertools
import os
import re
import socket
import subprocess
import threading
import time
from urllib.parse import urlencode

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from conftest import PASSWORD
from lab.exporter import BINARY
from lab.exposition import Metrics
from lab.process import wait_for

LOOPBACK = "127.0.0.0/8:*"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
SECRET = "hunter2-is-secret"
SANITIZED = os.environ.get("PGTLS_SANITIZE")
# Long enough for a busy machine, and within what a scrape would wait.
PATIENCE = {"timeout": "15s"}


def probe(daemon, target=None, module=None, timeout=None, accept=None, method="GET", wait=40, **more):
    """One request to /probe."""
    query = {"target": target, "module": module, **more}
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": timeout, "Accept": accept}
    return daemon.request(
        method, "/probe?" + urlencode({k: v for k, v in query.items() if v is not None}),
        headers={k: str(v) for k, v in headers.items() if v is not None}, timeout=wait)


def metrics_of(answer):
    assert answer.status == 200, answer.text
    return Metrics(answer.text)


def at(server, dbname=None):
    place = f"{server.address}:{server.port}"
    return f"postgresql://{place}/{dbname}" if dbname else place


@pytest.fixture(scope="module")
def daemon(lab, trust, password_file, shared_exporter):
    """Modules and nothing to watch."""
    tls = {"sslmode": "verify-full", "sslrootcert": str(trust.root_file), "allow_targets": [LOOPBACK], **PATIENCE}
    login = {**tls, "user": "u_scram", "password_file": str(password_file), "dbname": "app"}
    return shared_exporter({"modules": {
        "default": tls,
        "login": login,
        "trusted": {**tls, "user": "u_trust", "dbname": "app"},
        "standby": {**login, "promise": {"read_only": True}},
        "wrong_ca": {**tls, "sslrootcert": str(trust.other_file)},
        "no_entry": {**tls, "user": "u_noentry", "dbname": "app"},
        "refused": {**tls, "user": "u_noentry", "dbname": "app", "expect": {"class": "hba"}},
        "closed": {"sslmode": "require"},
        "names": {"sslmode": "require", "allow_targets": ["localhost:*", "*.lab.test:*"]},
        "narrow": {"sslmode": "require", "allow_targets": ["127.0.0.0/8"], "deny_targets": ["127.0.0.9"]},
    }}, log_level="debug")


# --- what it tells -------------------------------------------------------------------------------------

def test_the_whole_way_in(lab, daemon):
    metrics = metrics_of(probe(daemon, at(lab.postgres()), "login", timeout=30))
    assert metrics.value("probe_success") == 1 and metrics.value("pgtls_up") == 1
    phases = {labels["phase"]: value for labels, value in metrics.all("pgtls_probe_phase_seconds")}
    assert set(phases) == {"tcp", "ssl_request", "tls", "startup", "auth", "query"}
    assert 0 < sum(phases.values()) <= metrics.value("probe_duration_seconds")
    assert metrics.value("pgtls_chain_verified") == metrics.value("pgtls_hostname_verified") == 1
    assert metrics.labels("pgtls_server_info")["auth_method"] == "scram-sha-256"
    assert metrics.labels("pgtls_server_info")["server_version"].startswith("15")
    assert metrics.value("pgtls_in_recovery") == 0
    assert metrics.value("pgtls_certificate_not_after_timestamp_seconds", position="leaf") > time.time()
    assert not [labels for _, labels, _ in metrics.samples if {"pg_cluster", "pg_endpoint", "server"} & set(labels)]


def test_a_module_without_a_user_ends_after_tls(lab, daemon):
    metrics = metrics_of(probe(daemon, at(lab.postgres())))  # by the module default
    assert metrics.value("probe_success") == 1
    phases = {labels["phase"] for labels, _ in metrics.all("pgtls_probe_phase_seconds")}
    assert phases == {"tcp", "ssl_request", "tls"}


@pytest.mark.parametrize("sslmode, phases", [("prefer", {"tcp", "ssl_request"}), ("disable", {"tcp"})])
def test_a_module_without_a_user_ends_in_clear_where_that_will_do(lab, exporter, sslmode, phases):
    """Nothing is left to ask of a server without TLS then. The module says the port."""
    server = lab.misbehave("answer_n")
    one = exporter({"modules": {"default": {"sslmode": sslmode, "port": server.port, "allow_targets": [LOOPBACK],
                                            **PATIENCE}}})
    metrics = metrics_of(probe(one, server.address))
    assert metrics.value("probe_success") == 1
    assert {labels["phase"] for labels, _ in metrics.all("pgtls_probe_phase_seconds")} == phases
    assert "startup" not in server.tally


@pytest.mark.parametrize("module, fault", [
    ("wrong_ca", "server_cert_untrusted"), ("no_entry", "hba_no_entry_ssl"), ("standby", None), ("refused", None)])
def test_verdicts_are_those_of_the_daemon(lab, daemon, module, fault):
    metrics = metrics_of(probe(daemon, at(lab.postgres()), module))
    assert metrics.value("probe_success") == (0 if fault else 1)
    active = [labels["fault"] for labels, _ in metrics.all("pgtls_fault_active")]
    assert active == ([fault] if fault else [])
    if module == "standby":
        assert metrics.value("pgtls_promise_kept", promise="read_only") == 0
    if module == "refused":
        assert metrics.labels("pgtls_expected_fault_active")["class"] == "hba"
    if module == "wrong_ca":  # facts of a certificate that was not accepted
        assert metrics.value("pgtls_chain_verified") == 0
        assert metrics.value("pgtls_certificate_not_after_timestamp_seconds", position="leaf")


def test_the_database_of_a_target(lab, daemon):
    server = lab.postgres()
    assert metrics_of(probe(daemon, at(server, "postgres"), "trusted")).value("probe_success") == 1
    metrics = metrics_of(probe(daemon, at(server, "no%20such"), "trusted"))
    assert metrics.labels("pgtls_fault_active")["fault"] == "database_missing"


def test_both_formats_and_both_methods(lab, daemon):
    target = at(lab.postgres())
    text = probe(daemon, target, "login")
    open_metrics = probe(daemon, target, "login", accept=OPENMETRICS)
    assert text.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert open_metrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = list(parse_openmetrics(open_metrics.text))
    assert {f.type for f in families} <= {"gauge", "info"}
    names = {(s.name, tuple(sorted(s.labels.items()))) for f in families for s in f.samples}
    assert names == {(name, tuple(sorted(labels.items()))) for name, labels, _ in Metrics(text.text).samples}
    checked = subprocess.run(["promtool", "check", "metrics"], input=text.text, text=True, capture_output=True,
                             check=False, timeout=30)
    assert checked.returncode == 0 and not checked.stderr, checked.stderr
    head = probe(daemon, target, "login", method="HEAD")
    assert head.status == 200 and not head.body
    assert probe(daemon, target, "closed", method="HEAD").status == 403


def test_debug_is_the_report_of_the_command(lab, daemon):
    answer = probe(daemon, at(lab.postgres()), "login", debug="true")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    for part in ("OK after", "Timeline", "ssl_request", "Certificates", "CN=", "probe_success 1"):
        assert part in answer.text
    down = probe(daemon, at(lab.postgres()), "no_entry", debug="true").text
    assert "DOWN after" in down and "what to do" in down and "probe_success 0" in down
    assert PASSWORD not in answer.text + down


# --- who may be named ----------------------------------------------------------------------------------

@contextlib.contextmanager
def listener(address="127.0.0.1", port=0):
    """A port, and whoever connected to it."""
    with socket.create_server((address, port)) as server:
        server.setblocking(False)

        def connected():
            found = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    found.append(server.accept()[0].close())
            return len(found)
        yield server.getsockname()[1], connected


def test_what_is_refused_connects_to_nothing(daemon):
    with listener() as (port, connected), listener("127.0.0.9", 0) as (denied, denied_connected):
        here = f"127.0.0.1:{port}"
        rows = [
            (400, "missing", {"module": "login"}),
            (400, "missing", {"target": "", "module": "login"}),
            (400, "twice", {"target": [here, here]}),
            (400, "parameters are", {"target": here, "hostname": "x"}),
            (400, "debug", {"target": here, "debug": "1"}),
            (400, 'Unknown module "nobody"', {"target": here, "module": "nobody"}),
            (400, 'Unknown module ""', {"target": here, "module": ""}),
            (400, 'Unknown module "a\\nb"', {"target": here, "module": "a\nb"}),
            (400, "credentials", {"target": f"postgresql://app:{SECRET}@{here}/app"}),
            (400, "credentials", {"target": f"app:{SECRET}@{here}"}),
            (400, "no parameters", {"target": f"postgresql://{here}/app?password={SECRET}"}),
            (400, "connection string", {"target": f"host=127.0.0.1 port={port} password={SECRET}"}),
            (400, "another kind", {"target": f"http://{here}/{SECRET}"}),
            (400, "port", {"target": f"127.0.0.1:{SECRET}"}),
            (400, "Unix sockets", {"target": f"/tmp/{SECRET}"}),
            (400, "looks like an address", {"target": f"127.1:{port}"}),
            (400, "looks like an address", {"target": f"2130706433:{port}"}),
            (400, "too long", {"target": "a" * 300}),
            (403, "no allow_targets", {"target": here, "module": "closed"}),
            (403, "not at this port", {"target": here, "module": "narrow"}),
            (403, "deny_targets", {"target": "127.0.0.9", "module": "narrow"}),
            (403, "no block", {"target": here, "module": "names"}),
            (403, "no name", {"target": f"db.example:{port}", "module": "names"}),
            (403, "leads to no address", {"target": f"localhost:{port}", "module": "names"}),
            (403, "special addresses take a block\n", {"target": f"localhost:{port}", "module": "names"}),
            (403, "no block", {"target": f"[::ffff:10.0.0.1]:{port}"}),
            (403, "no block", {"target": f"169.254.169.254:{port}"}),
        ]
        for status, text, query in rows:
            answer = daemon.get("/probe?" + urlencode(query, doseq=True))
            assert (answer.status, text in answer.text) == (status, True), (query, answer.status, answer.text)
            assert SECRET not in answer.text
        bad = daemon.get(f"/probe?target={here}", X_Prometheus_Scrape_Timeout_Seconds="soon")
        assert bad.status == 400
        time.sleep(0.2)
        assert connected() == denied_connected() == 0 and denied
        metrics_of(probe(daemon, here, timeout=1))  # the same port, allowed
        assert connected() == 1
    assert SECRET not in daemon.log()


def test_no_password_before_a_good_verdict(lab, trust, exporter):
    """A server that is not what the module says is shown nothing, though it asks and the module would allow it."""
    server = lab.misbehave("ask_clear")
    module = {"sslmode": "verify-full", "sslrootcert": str(trust.root_file), "user": "u", "dbname": "d",
              "password": SECRET, "allow_auth": ["password"], "allow_targets": [LOOPBACK], **PATIENCE}
    daemon = exporter({"modules": {"wrong_ca": {**module, "sslrootcert": str(trust.other_file)},
                                   "wrong_pin": {**module, "pin_sha256": ["0" * 64]}, "good": module}})
    for name in ("wrong_ca", "wrong_pin"):
        assert metrics_of(probe(daemon, at(server), name)).value("probe_success") == 0
    assert server.secrets == []
    probe(daemon, at(server), "good")
    assert server.secrets


# --- time, company, limits -----------------------------------------------------------------------------

def test_it_ends_within_the_scrape(lab, daemon):
    server = lab.misbehave("stall_after_handshake")
    started = time.monotonic()
    metrics = metrics_of(probe(daemon, at(server), "login", timeout=2))
    seconds = time.monotonic() - started
    assert metrics.value("probe_success") == 0
    assert metrics.labels("pgtls_fault_active")["fault"].endswith("timeout")
    assert 0.5 < metrics.value("probe_duration_seconds") < 10 and 0.5 < seconds < 12  # 1.5, and not 15
    assert metrics.value("pgtls_probe_phase_seconds", phase="tls") > 0


def test_who_asks_the_same_shares_a_probe(lab, daemon):
    server = lab.misbehave("stall_after_handshake")
    with concurrent.futures.ThreadPoolExecutor(22) as pool:
        same = [pool.submit(probe, daemon, at(server), "login", 4) for _ in range(20)]
        other = pool.submit(probe, daemon, at(server, "other"), "login", 4)
        wait_for(lambda: server.tally["accepted"] >= 2, 20, "both probes")
        time.sleep(0.5)  # for the last of those who ask the same: they would join the short one, too
        short = pool.submit(probe, daemon, at(server), "login", 2)  # has no time for what takes longer
        answers = [metrics_of(each.result()) for each in [*same, other, short]]
    assert server.tally["accepted"] == 3
    assert {m.value("probe_success") for m in answers} == {0}
    assert len({m.text for m in answers[:20]}) == 1  # to the last digit


def test_waiting_holds_no_thread(lab, daemon):
    """Ninety targets that hang: everybody else is served, and each answer comes. (A hundred of one
    address is the default limit.)"""
    server = lab.misbehave("stall_at_accept")
    before = daemon.scrape().value("process_threads")
    with concurrent.futures.ThreadPoolExecutor(90) as pool:
        waiting = [pool.submit(probe, daemon, at(server, f"db{i}"), "trusted", 12) for i in range(90)]
        wait_for(lambda: server.tally["accepted"] == 90, 20, lambda: f"all of them: {server.tally}")
        metrics = daemon.scrape()
        assert metrics.value("pgtls_probes_in_flight") == 90
        assert metrics.value("process_threads") == before
        assert daemon.get("/-/healthy").status == 200
        assert metrics_of(probe(daemon, at(lab.postgres()), "login")).value("probe_success") == 1
        assert not any(each.done() for each in waiting)
        assert {metrics_of(each.result()).value("probe_success") for each in waiting} == {0}
    assert daemon.scrape().value("pgtls_probes_in_flight") == 0


def test_limits_refuse_and_do_not_queue(lab, exporter):
    server = lab.misbehave("stall_at_accept")
    module = {"sslmode": "require", "allow_targets": [LOOPBACK]}
    one = exporter({"modules": {"default": module}, "limits": {"in_flight": 3}})
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(probe, one, at(server, f"db{i}"), timeout=5) for i in range(3)]
        wait_for(lambda: server.tally["accepted"] == 3, 20, "three probes")
        refused = probe(one, at(server, "one-more"))
        assert refused.status == 503 and int(refused.headers["Retry-After"]) > 0 and "in flight" in refused.text
        assert {each.result().status for each in waiting} == {200}
    assert metrics_of(probe(one, at(lab.postgres()))).value("probe_success") == 1  # there is room again
    one.write({"modules": {"default": module}, "limits": {"in_flight_per_address": 1}})
    assert one.request("POST", "/-/reload").status == 200
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(probe, one, at(server, "again"), timeout=5)
        wait_for(lambda: server.tally["accepted"] == 4, 20, "a probe")
        refused = probe(one, at(lab.postgres()))
        assert refused.status == 503 and "address" in refused.text
        assert waiting.result().status == 200
    counted = one.scrape()
    assert counted.value("pgtls_probe_requests_total", outcome="busy") == 2
    assert counted.value("pgtls_probe_requests_total", outcome="failure") == 4
    assert counted.value("pgtls_probe_requests_total", outcome="success") == 1


def one_connection_a_second(lab, trust, exporter):
    """An exporter that probes by request, and the server it may probe."""
    server = lab.postgres()
    tls = {"sslmode": "verify-full", "sslrootcert": str(trust.root_file), "allow_targets": [LOOPBACK], **PATIENCE}
    one = exporter({"modules": {"default": tls, "login": {**tls, "user": "u_trust", "dbname": "app"}},
                    "limits": {"connections_per_second": 1}})
    return one, at(server)


FULL = "the limit of new connections per second is reached"


def test_new_connections_per_second_are_limited_too(lab, trust, exporter):
    one, target = one_connection_a_second(lab, trust, exporter)

    def is_refused():
        answer = probe(one, target)
        return answer.status == 503 and answer.text.startswith(FULL)
    wait_for(is_refused, 20, "an inspect to be refused")
    wait_for(lambda: probe(one, target).status == 200, 20, "a second to pass")
    assert one.scrape().value("pgtls_probes_in_flight") == 0


def test_a_login_waits_for_the_rate(lab, trust, exporter):
    """It is the second connection of its probe. Nobody new comes before it, and its wait is no duration."""
    one, target = one_connection_a_second(lab, trust, exporter)
    held_back = one.scrape().value("pgtls_probes_held_back_total", limit="connections_per_second")
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        def inspected():
            waiting = pool.submit(probe, one, target, "login")
            wait_for(lambda: waiting.done() or one.scrape().value("pgtls_probes_waiting") == 1, 20, "the inspect")
            return waiting
        waiting = inspected()
        while waiting.done():  # its inspect was refused
            waiting = inspected()
        began = time.monotonic()

        def come():
            while not waiting.done():
                newcomer = probe(one, target)
                assert newcomer.status == 503 and newcomer.text.startswith(FULL)
        newcomers = [pool.submit(come) for _ in range(4)]
        answered, waited = metrics_of(waiting.result()), time.monotonic() - began
        for each in newcomers:
            each.result()
    assert answered.value("probe_success") == 1
    assert answered.value("pgtls_probe_phase_seconds", phase="auth") > 0
    assert waited - answered.value("probe_duration_seconds") > 0.2  # nearly a second
    counted = one.scrape()
    assert counted.value("pgtls_probes_held_back_total", limit="connections_per_second") > held_back
    assert counted.value("pgtls_probes_waiting") == counted.value("pgtls_probes_in_flight") == 0


def test_a_login_that_would_wait_too_long_is_refused(lab, trust, exporter):
    """What its inspect has found is not told: it would be half an answer."""
    one, target = one_connection_a_second(lab, trust, exporter)

    def is_refused():
        answer = probe(one, target, "login", timeout=1)
        return answer.status == 503 and answer.text.startswith(f'module "login": {FULL}') and "probe_success" not in answer.text
    wait_for(is_refused, 20, "a login to be refused")
    counted = one.scrape()
    assert counted.value("pgtls_probes_waiting") == counted.value("pgtls_probes_in_flight") == 0


def test_a_login_that_waits_is_answered_at_the_end(lab, trust, exporter):
    """It has three quarters of a second, as what is in flight has."""
    one, target = one_connection_a_second(lab, trust, exporter)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(probe, one, target, "login")
        wait_for(lambda: waiting.done() or one.scrape().value("pgtls_probes_waiting") == 1, 20, "the inspect")
        assert one.stop() == 0
        assert waiting.result().status in (200, 503)


# --- what it leaves behind -----------------------------------------------------------------------------

def ask_many(daemon, targets):
    """Over a few connections that are kept; every target is refused by the kernel."""
    numbers = iter(targets)
    lock = threading.Lock()

    def work():
        connection = daemon.connection(timeout=30)
        while True:
            with lock:
                target = next(numbers, None)
            if not target:
                break
            connection.request("GET", f"/probe?target={target}")
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200 and b"\nprobe_success 0\n" in body, body
        connection.close()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(work) for _ in range(4)]:
            each.result()


def test_ten_thousand_targets_leave_nothing_behind(exporter):
    one = exporter({"modules": {"default": {"sslmode": "require", "allow_targets": [LOOPBACK], **PATIENCE}}})
    targets = (f"127.{i % 250}.{i // 250}.77:1" for i in itertools.count(1))
    ask_many(one, itertools.islice(targets, 1000))
    before, files, series = one.resident_bytes(), one.open_files(), len(one.scrape().samples)
    ask_many(one, itertools.islice(targets, 1000 if SANITIZED else 10000))
    assert one.resident_bytes() - before < (64 if SANITIZED else 4) * 1024 * 1024
    wait_for(lambda: one.open_files() <= files + 2, 10, "the last connections to be closed")
    assert len(one.scrape().samples) == series


# --- its life ------------------------------------------------------------------------------------------

def test_modules_are_reloaded(lab, exporter):
    server, slow = lab.postgres(), lab.misbehave("stall_at_accept")
    module = {"sslmode": "require", "allow_targets": [LOOPBACK], **PATIENCE}
    one = exporter({"modules": {"first": module}})
    assert probe(one, at(server)).status == 400  # no module default, and none is named
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(probe, one, at(slow), "first", 4)
        wait_for(lambda: slow.tally["accepted"] == 1, 20, "a probe")
        one.write({"modules": {"default": module, "second": {**module, "allow_targets": ["127.0.0.2:*"]}}})
        assert one.request("POST", "/-/reload").status == 200
        assert probe(one, at(server), "first").status == 400
        assert probe(one, at(server), "second").status == 403
        assert metrics_of(probe(one, at(server))).value("probe_success") == 1
        assert waiting.result().status == 200  # ends as it began
    one.write({"modules": {"default": {"allow_target": []}}})
    assert one.request("POST", "/-/reload").status == 500
    assert metrics_of(probe(one, at(server))).value("probe_success") == 1


def test_nobody_is_left_waiting_at_the_end(lab, exporter):
    server = lab.misbehave("stall_at_accept")
    one = exporter({"modules": {"default": {"sslmode": "require", "allow_targets": [LOOPBACK], "timeout": "60s"}}})
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(probe, one, at(server, f"db{i}")) for i in range(10)]
        wait_for(lambda: server.tally["accepted"] == 10, 20, "ten probes")
        started = time.monotonic()
        assert one.stop() == 0
        assert time.monotonic() - started < 15
        assert {each.result().status for each in waiting} == {503}


def test_without_modules_nothing_is_probed(exporter, lab):
    one = exporter({"clusters": [{"name": "c", "host": "127.0.0.1", "port": 1}]})
    with listener() as (port, connected):
        for module in (None, "default", "other"):
            answer = probe(one, f"127.0.0.1:{port}", module)
            assert answer.status == 400 and "No modules are configured" in answer.text
        time.sleep(0.1)
        assert connected() == 0


def test_the_flag_says_how_long_before_the_end(lab, exporter):
    server = lab.misbehave("stall_at_accept")
    one = exporter({"modules": {"default": {"sslmode": "require", "allow_targets": [LOOPBACK], **PATIENCE}}},
                   arguments=["--timeout-offset=10"])
    metrics = metrics_of(probe(one, at(server), timeout=12))
    assert 0.5 < metrics.value("probe_duration_seconds") < 8  # 2, and not 11.5
    for wrong in ("soon", "-1", "", "1.2.3", "61"):
        result = subprocess.run([BINARY, f"--timeout-offset={wrong}"], capture_output=True, text=True, check=False,
                                timeout=30)
        assert result.returncode == 2 and re.search("expected seconds", result.stderr)
