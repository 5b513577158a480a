"""The daemon: flags, exit statuses, signals, listeners, logs."""

import json
import os
import re
import resource
import signal
import socket
import time

import pytest

from lab import exporter as lab_exporter
from lab.exporter import endpoint_of, one_cluster
from lab.process import wait_for

NOBODY = one_cluster({"write": {"host": "127.0.0.1", "port": 1}})


def test_help_goes_to_stdout():
    result = lab_exporter.run("--help")
    assert result.returncode == 0 and result.stderr == ""
    for flag in ("--config.file", "--config.check", "--web.listen-address", "--log.level", "--log.format",
                 "--version", "--workers"):
        assert flag in result.stdout


def test_version_is_in_the_usual_form():
    result = lab_exporter.run("--version")
    assert result.returncode == 0
    assert re.match(r"pgtls_exporter, version \d+\.\d+\.\d+\S* \(branch: \S*, revision: \S*\)\n", result.stdout)


@pytest.mark.parametrize("arguments", [
    ["--no.such.flag"], ["--log.level=loud"], ["--log.format=xml"], ["--workers=0x"], ["--workers=-1"],
    ["surplus"], ["--config.file"]])
def test_a_wrong_flag_is_usage_on_stderr_and_2(arguments):
    result = lab_exporter.run(*arguments, DATABASE_URL="host=127.0.0.1 port=1")
    assert result.returncode == 2, result.stderr
    assert result.stdout == "" and result.stderr != ""
    assert "--help" in result.stderr or "Usage" in result.stderr


def test_nothing_to_watch_is_said(scratch):
    result = lab_exporter.run("--web.listen-address=127.0.0.1:0")
    assert result.returncode in (1, 2)
    assert "DATABASE_URL" in result.stderr or "--config.file" in result.stderr


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:99999", "198.51.100.1:1", "unix:", "[::1:80"])
def test_an_impossible_address_is_named(address):
    result = lab_exporter.run(f"--web.listen-address={address}", DATABASE_URL="host=127.0.0.1 port=1")
    assert result.returncode in (1, 2)
    assert address in result.stderr


WRONG = """\
defaults:
  intervall: 30s
  timeout: 0s
clusters:
  - name: a
    endpoints:
      write: {host: db, port: 99999, sslmode: verify-fully}
  - name: a
    endpoints:
      write: {host: db}
      read: {hots: db}
"""


def test_every_error_is_reported_with_its_place(tmp_path):
    path = tmp_path / "wrong.yml"
    path.write_text(WRONG)
    for check in (["--config.check"], ["--web.listen-address=127.0.0.1:0"]):
        result = lab_exporter.run(f"--config.file={path}", *check)
        assert result.returncode == 1
        said = (result.stdout + result.stderr).replace('\\"', '"')
        for place in ("wrong.yml:2:", "wrong.yml:3:", "wrong.yml:7:", "wrong.yml:8:", "wrong.yml:11:"):
            assert place in said, (place, said)
        assert len(re.findall(r"wrong\.yml:7:\d+", said)) == 2
        assert '"interval"' in said and '"host"' in said and "verify-full" in said


def test_check_accepts_what_is_good(tmp_path):
    path = tmp_path / "good.yml"
    path.write_text(json.dumps(NOBODY))
    result = lab_exporter.run(f"--config.file={path}", "--config.check")
    assert result.returncode == 0, result.stderr


def test_a_missing_file_is_named(tmp_path):
    result = lab_exporter.run(f"--config.file={tmp_path}/none.yml", "--config.check")
    assert result.returncode == 1 and "none.yml" in result.stdout + result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_a_second(lab, trust, exporter, number):
    hanging = {f"hang{i}": endpoint_of(lab.misbehave("stall_after_client_hello"), user="u") for i in range(5)}
    daemon = exporter(one_cluster({
        "write": endpoint_of(lab.postgres(), user="u_trust", dbname="app"), **hanging},
        {"sslrootcert": str(trust.root_file), "timeout": "30s"}))
    daemon.until(lambda m: m.value("pgtls_probes_in_flight") >= 5)
    began = time.monotonic()
    daemon.program.signal(number)
    assert daemon.program.process.wait(10) == 0
    limit = 1.0 if not os.environ.get("PGTLS_SANITIZE") else 4.0
    assert time.monotonic() - began < limit


def test_it_ends_in_time_while_a_client_dawdles(exporter):
    daemon = exporter(NOBODY)
    host, port = daemon.addresses[0].split(":")
    with socket.create_connection((host, int(port))) as idle, socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        began = time.monotonic()
        daemon.program.signal(signal.SIGTERM)
        assert daemon.program.process.wait(10) == 0
        assert time.monotonic() - began < (1.0 if not os.environ.get("PGTLS_SANITIZE") else 4.0)
        assert idle


def test_a_broken_pipe_on_the_log_does_not_end_it(exporter):
    daemon = exporter(NOBODY)
    daemon.program.signal(signal.SIGPIPE)
    assert daemon.get("/-/healthy").status == 200


def test_database_url_alone_suffices(lab, trust, exporter):
    server = lab.postgres()
    url = (f"postgresql://u_trust@localhost:{server.port}/app?hostaddr=127.0.0.1&sslmode=verify-full"
           f"&sslrootcert={trust.root_file}")
    daemon = exporter(environment={"DATABASE_URL": url})
    metrics = daemon.until(lambda m: m.value("pgtls_up") == 1, 45)
    assert metrics.labels("pgtls_up") == {"pg_cluster": "default", "pg_endpoint": "default",
                                          "server": f"localhost:{server.port}"}


def test_database_url_is_not_said_to_be_reloaded(exporter):
    """The environment of a process does not change: the answer says so."""
    daemon = exporter(environment={"DATABASE_URL": "host=127.0.0.1 port=1"})
    answer = daemon.request("POST", "/-/reload")
    assert answer.status == 200 and "nothing to reload" in answer.text and "restart" in answer.text
    daemon.program.signal(signal.SIGHUP)
    wait_for(lambda: daemon.log().count('msg="Nothing reloaded"') == 2, 10, "the log to say so")
    assert daemon.log().count('msg="Configuration loaded"') == 1
    assert daemon.scrape().value("pgtls_config_last_reload_successful") == 1


def test_a_password_in_database_url_is_never_shown(lab, exporter):
    server = lab.postgres()
    daemon = exporter(environment={
        "DATABASE_URL": f"postgresql://u_scram:Sup3rSecret@127.0.0.1:{server.port}/app?sslmode=require"},
        log_level="debug")
    daemon.until(lambda m: m.value("pgtls_probes_total", probe="login") >= 1, 90)
    for path in ("/", "/metrics", "/health/database", "/config"):
        assert "Sup3rSecret" not in daemon.get(path).text
    assert "Sup3rSecret" not in daemon.log()
    with open(f"/proc/{daemon.pid}/cmdline", encoding="utf-8") as command:
        assert "Sup3rSecret" not in command.read()


def test_every_kind_of_listener(exporter, scratch):
    path = scratch / "web.sock"
    daemon = exporter(NOBODY, listen=("127.0.0.1:0", "[::1]:0", f"unix:{path}"))
    assert len(daemon.addresses) == 3
    for address in daemon.addresses:
        assert daemon.request("GET", "/-/ready", address=address).status == 200
    assert daemon.addresses[1].startswith("[::1]:")
    daemon.stop()
    assert not path.exists()


def test_a_stale_socket_file_is_no_obstacle(exporter, scratch):
    path = scratch / "stale.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    daemon = exporter(NOBODY, listen=(f"unix:{path}",))
    assert daemon.get("/-/ready").status == 200


def test_an_address_in_use_is_said(exporter, scratch):
    first = exporter(NOBODY)
    path = scratch / "inuse.yml"
    path.write_text(json.dumps(NOBODY))
    result = lab_exporter.run(f"--config.file={path}", f"--web.listen-address={first.addresses[0]}")
    assert result.returncode == 1
    assert first.addresses[0] in result.stderr and "in use" in result.stderr


def test_the_log_tells_changes_not_probes(lab, trust, exporter):
    server = lab.new_postgres()
    daemon = exporter(one_cluster({"write": endpoint_of(
        server, user="u_trust", dbname="app", sslrootcert=str(trust.root_file))}))
    daemon.settled(at_least=8)
    up = [line for line in daemon.log().splitlines() if "pg_cluster=" in line or "cluster=" in line]
    assert len(up) <= 2, up
    server.stop()
    daemon.until(lambda m: m.all("pgtls_fault_active", fault="tcp_refused"))
    time.sleep(2)
    lines = daemon.log().splitlines()[-50:]
    down = [line for line in lines if "tcp_refused" in line]
    assert len(down) == 1, daemon.log()


def test_json_logs_are_json(exporter):
    daemon = exporter(NOBODY, arguments=["--log.format=JSON"], ready=False)  # in any case, as levels are
    daemon.program.wait_ready(lambda: "Listening on" in daemon.log())
    lines = [json.loads(line) for line in daemon.log().splitlines()]
    assert all({"time", "level", "msg"} <= line.keys() for line in lines)
    (listening,) = [line for line in lines if line["msg"] == "Listening on"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", listening["address"])


def test_the_soft_limit_of_descriptors_is_raised(exporter):
    daemon = exporter(NOBODY, limits=[(resource.RLIMIT_NOFILE, (64, 4096))])
    assert daemon.scrape().value("process_max_fds") == 4096


def test_the_environment_of_libpq_is_fenced_off(lab, trust, exporter, scratch):
    """PG* variables and files of a home directory would change what is probed."""
    home = scratch / "home"
    (home / ".postgresql").mkdir(parents=True, exist_ok=True)
    (home / ".postgresql" / "root.crt").write_bytes(trust.other.certificate_pem)
    (home / ".pgpass").write_text("*:*:*:*:wrong\n")
    (home / ".pgpass").chmod(0o600)
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(), user="u_trust", dbname="app", sslmode="require")}),
        environment={"HOME": str(home), "PGHOSTADDR": "127.0.0.2", "PGSSLMODE": "disable",
                     "PGOPTIONS": "-c nonsense=1", "PGSERVICE": "none", "PGSSLROOTCERT": "/nonexistent",
                     "PGCHANNELBINDING": "require", "PGTARGETSESSIONATTRS": "standby"})
    metrics = daemon.settled()
    assert metrics.value("pgtls_up") == 1, metrics.all("pgtls_fault_active")


def test_the_logs_last_word_is_the_fault_of_now(lab, exporter):
    """Down for one reason and then for another: a line for each, and none for the probes between."""
    with lab.new_postgres(hba="host all nobody 127.0.0.0/8 trust\n", client_ca=None, roles=False) as server:
        server.stop()
        daemon = exporter(one_cluster({"write": endpoint_of(server, user="postgres", sslmode="require")}))

        def fault(name):
            daemon.until(lambda m: m.all("pgtls_fault_active", fault=name), what=name)

        def told():
            return [(re.search(r'msg="([^"]+)"', line)[1], re.search(r" fault=(\S+)", line)[1])
                    for line in daemon.log().splitlines() if " fault=" in line]

        fault("tcp_refused")
        daemon.until(lambda m: m.value("pgtls_probe_failures_total", **{"class": "network"}, probe="inspect") >= 3)
        assert told() == [("Server is down", "tcp_refused")]
        server.start()
        fault("hba_no_entry_ssl")
        (line,) = daemon.told(" fault=hba_no_entry_ssl ")
        for part in ("level=WARN", 'msg="Server is still down"', "status=down", "probe=inspect", "phase=startup",
                     "class=hba", "before=", "sqlstate=28000", "error=", "meaning="):
            assert part in line, (part, line)
        before = told()
        daemon.until(lambda m: m.value("pgtls_probe_failures_total", **{"class": "hba"}, probe="inspect") >= 3)
        assert told() == before and before[0] == ("Server is down", "tcp_refused")
        assert {message for message, _ in before[1:]} == {"Server is still down"}
