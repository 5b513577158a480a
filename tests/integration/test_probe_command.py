"""pgtls_exporter probe and list: the engine once, for people and for scripts."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from pathlib import Path

import jsonschema
import pytest

from conftest import PASSWORD
from lab import certs, exporter as lab_exporter
from lab.exporter import endpoint_of, one_cluster
from lab.process import clean_environment, wait_for

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "probe.schema.json").read_text())
UP, DOWN, USAGE, INTERNAL = 0, 1, 2, 3


def dsn(trust, server, user="u_trust", dbname="app", host="localhost", **more):
    parameters = {"host": host, "port": server.port, "user": user, "dbname": dbname,
                  "sslmode": "verify-full", "sslrootcert": trust.root_file, **more}
    return " ".join(f"{key}={value}" for key, value in parameters.items() if value is not None)


def probe(*arguments, **environment):
    """Text, with what may never be in any output checked at once."""
    result = lab_exporter.run("probe", *arguments, **environment)
    for text in (result.stdout, result.stderr):
        assert "battery" not in text and "\x1b" not in text and "Sanitizer" not in text, text
    return result


def document(*arguments, **environment):
    result = probe("--json", *arguments, **environment)
    found = json.loads(result.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    assert {"ok": UP, "degraded": UP, "down": DOWN, "unknown": INTERNAL}[found["status"]] == result.returncode
    return found


def only(*arguments, **environment):
    (server,) = document(*arguments, **environment)["servers"]
    return server


def phases(server, state):
    return [name for name, phase in server["phases"].items() if phase["state"] == state]


# --- what it finds --------------------------------------------------------------------------------

def test_a_good_server(lab, trust):
    server = only(dsn(trust, lab.postgres(), "u_scram"), PGPASSWORD=PASSWORD)
    assert server["status"] == "ok" and server["fault"] is None and server["cluster"] is None
    assert phases(server, "completed") == ["dns", "tcp", "ssl_request", "tls", "startup", "auth", "query"]
    assert server["facts"] == {"version": server["facts"]["version"], "pooler": False, "in_recovery": False,
                               "read_only": False, "replication_lag_seconds": None, "auth_method": "scram-sha-256", "channel_binding": True}
    assert server["facts"]["version"].startswith("15.")
    assert server["tls"]["version"] == "TLSv1.3" and server["address"] == "127.0.0.1"
    assert [c["position"] for c in server["certificates"]] == ["leaf", "root"]
    assert all(c["served"] for c in server["certificates"])  # its ssl_ca_file holds the root
    assert 88 < server["certificates"][0]["days_left"] <= 90
    assert server["notes"] == ["the password comes from the environment variable PGPASSWORD"]


def test_the_login_goes_where_the_inspect_went(lab, trust):
    """The name leads nowhere: only the address does."""
    server = lab.new_postgres(credentials=trust.root.issue("db.invalid", hosts=["db.invalid"]), roles=False)
    found = only(dsn(trust, server, "postgres", "postgres", host="db.invalid", hostaddr="127.0.0.1"))
    assert found["status"] == "ok" and phases(found, "not_needed") == ["dns"]


def test_a_pooler(lab, trust):
    server = only(dsn(trust, lab.pgbouncer()))
    assert server["status"] == "ok" and server["facts"]["pooler"] is True


CERTIFICATES = {
    "expired": (certs.expired, "server_cert_expired", (True, False, True)),
    "wrong-host": (lambda root: root.issue("db.example", hosts=["db.example"]),
                   "server_cert_name_mismatch", (True, True, False)),
    "unknown-ca": (lambda root: certs.Authority("Nobody").issue(), "server_cert_untrusted",
                   (False, True, True)),
    "self-signed": (lambda root: certs.self_signed(), "server_cert_self_signed", (False, True, True)),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates(lab, trust, name):
    make, fault, verdicts = CERTIFICATES[name]
    target = lab.misbehave("healthy", make(trust.root))
    server = only(dsn(trust, target))
    assert server["fault"]["fault"] == fault and server["fault"]["phase"] == "tls"
    assert tuple(server["verdicts"][key] for key in ("chain", "dates", "hostname")) == verdicts
    assert phases(server, "not_reached") == ["startup", "auth", "query"]
    # Of a certificate that require accepts, the one StartupMessage is that of a side attempt.
    assert server["certificates"] and target.tally["startup"] == (name == "wrong-host")
    if name != "wrong-host":
        assert server["certificates"][0]["error"] == server["verdicts"]["error"] is not None
    text = probe(dsn(trust, target)).stdout
    assert fault in text and server["certificates"][0]["fingerprint_sha256"] in text


def test_scenario_a_closed_after_the_handshake(lab, trust):
    target = dsn(trust, lab.misbehave("notify_after_startup"))
    fault = only(target)["fault"]
    assert (fault["fault"], fault["class"], fault["phase"], fault["how"]) \
        == ("ssl_closed_after_handshake", "ssl_close", "startup", "close_notify")
    assert "no sslmode" in fault["conclusion"]
    result = probe(target)
    assert result.returncode == DOWN and result.stderr == ""
    words = " ".join(result.stdout.split())
    for part in ("DOWN", "ssl_closed_after_handshake", "TLSv1.3", "close_notify", "no sslmode",
                 "+ chain", "+ dates", "+ host name", fault["meaning"], fault["remedy"]):
        assert part in words, part


def test_scenario_b_refused_by_hba_and_in_plaintext(lab, trust):
    fault = only(dsn(trust, lab.postgres(), "u_reject"))["fault"]
    assert (fault["class"], fault["sqlstate"]) == ("hba", "28000")
    assert 'pg_hba.conf rejects connection for host "127.0.0.1"' in fault["error"]
    plain = only(dsn(trust, lab.postgres(), "u_sslonly", sslmode="disable", sslrootcert=None))
    assert plain["fault"]["fault"] == "hba_no_entry_nossl" and plain["tls"] is None
    assert phases(plain, "not_needed") == ["ssl_request", "tls"] and plain["certificates"] == []
    bouncer = only(dsn(trust, lab.pgbouncer(), sslmode="disable", sslrootcert=None))
    assert bouncer["fault"]["fault"] == "ssl_required_by_pooler"


def test_scenario_c_by_address_and_not_on_the_list(lab, trust):
    named = lab.misbehave("no_entry", trust.root.issue("db", hosts=["localhost"]))
    assert only(dsn(trust, named, host="127.0.0.1"))["fault"]["fault"] == "server_cert_name_mismatch"
    text = probe(dsn(trust, named)).stdout
    assert "hba_no_entry_ssl" in text and '"192.0.2.1"' in text


def test_a_server_that_hangs_costs_its_timeout(lab, trust):
    began = time.monotonic()
    server = only("--timeout=400ms", dsn(trust, lab.misbehave("stall_after_handshake")))
    assert server["fault"]["fault"] == "startup_timeout"
    assert 0.3 < server["phases"]["startup"]["seconds"] < 1
    assert time.monotonic() - began < 3


def test_several_hosts_are_reported_one_by_one(lab, trust):
    one, two = lab.postgres(), lab.misbehave("fin_after_handshake")
    target = dsn(trust, one, host="localhost,localhost").replace(f"port={one.port}", f"port={one.port},{two.port}")
    found = document(target)
    assert [server["status"] for server in found["servers"]] == ["ok", "down"]
    text = probe(target).stdout
    assert text.index(f"localhost:{one.port}") < text.index(f"localhost:{two.port}")
    assert text.count("Timeline") == 2


def test_a_server_says_only_what_is_fit_for_a_terminal(lab, trust):
    text = probe(dsn(trust, lab.misbehave("nasty_error"))).stdout
    assert "\\x1b" in text and all(c >= " " or c == "\n" for c in text)


# --- the login ------------------------------------------------------------------------------------

def test_without_a_password_it_says_how_to_give_one(lab, trust):
    server = only(dsn(trust, lab.postgres(), "u_scram"))
    assert server["fault"]["fault"] == "password_missing"
    assert "PGPASSWORD" in server["notes"][0]


def test_no_login_needs_no_password(lab, trust):
    server = only("--no-login", dsn(trust, lab.postgres(), "u_scram"))
    assert server["status"] == "ok" and phases(server, "not_tried") == ["auth", "query"]


def test_a_passfile_is_read_where_the_string_names_it(lab, trust, scratch):
    passfile = scratch / "probe-passfile"
    passfile.write_text(f"*:*:*:u_scram:{PASSWORD}\n")
    passfile.chmod(0o600)
    assert only(dsn(trust, lab.postgres(), "u_scram", passfile=passfile))["status"] == "ok"


def test_a_wrong_password_is_nowhere_in_the_output(lab, trust):
    result = probe(dsn(trust, lab.postgres(), "u_scram", password="hunter2hunter2"))
    assert result.returncode == DOWN and "password_failed" in result.stdout
    assert "hunter2" not in result.stdout + result.stderr


def test_without_a_user_it_ends_after_tls(lab, trust):
    server = only(dsn(trust, lab.postgres(), user=None, dbname=None))
    assert server["status"] == "ok" and phases(server, "not_tried") == ["startup", "auth", "query"]


# --- the configuration ----------------------------------------------------------------------------

@pytest.fixture(scope="module")
def configuration(lab, trust, password_file, scratch):
    file = scratch / "probe.yml"
    good = lab.postgres()
    file.write_text(json.dumps(one_cluster({
        "write": endpoint_of(good, user="u_scram", password_file=str(password_file)),
        "admin": endpoint_of(good, user="u_reject"),
        "public": endpoint_of(lab.misbehave("rst_after_startup"), user="u"),
        "secret": endpoint_of(good, user="u_scram", password_file="/nonexistent/password"),
        "hang": endpoint_of(lab.misbehave("stall_after_s"), user="u")},
        {"sslrootcert": str(trust.root_file), "dbname": "app", "timeout": "700ms"})))
    return f"--config.file={file}"


def test_an_endpoint_with_the_daemons_secrets(configuration):
    server = only(configuration, "lab/write")
    assert (server["cluster"], server["endpoint"], server["status"]) == ("lab", "write", "ok")
    assert server["notes"] == []


def test_our_own_side_is_unknown_and_3(configuration):
    server = only(configuration, "lab/secret")
    assert server["status"] == "unknown" and server["fault"]["fault"] == "local_secret"
    assert "/nonexistent/password" in server["fault"]["error"]


def test_all_is_a_line_each(configuration):
    began = time.monotonic()
    result = probe(configuration, "--all")
    assert time.monotonic() - began < 5
    assert result.returncode == DOWN
    rows = dict(re.findall(r"^lab/(\w+) +\S+ +(ok|DOWN|unknown) ", result.stdout, re.M))
    assert rows == {"write": "ok", "admin": "DOWN", "public": "DOWN", "secret": "unknown", "hang": "DOWN"}
    assert "5 servers: 1 ok, 3 down, 1 unknown" in result.stdout
    head, *lines = result.stdout.splitlines()
    for line in lines[:5]:
        assert line.index("127.0.0.1:") == head.index("server")
    assert document(configuration, "--all")["counts"] == {"ok": 1, "degraded": 0, "down": 3, "unknown": 1}


def test_a_whole_cluster_side_by_side(configuration):
    assert probe(configuration, "lab").stdout.count("\nlab/") == 5


def test_list_names_everything_but_secrets(configuration):
    result = lab_exporter.run("list", configuration)
    assert result.returncode == 0 and result.stdout.count("\nlab/") == 5
    assert "verify-full" in result.stdout and "u_scram" in result.stdout
    found = json.loads(lab_exporter.run("list", configuration, "--json").stdout)
    assert [server["endpoint"] for server in found["servers"]] == ["write", "admin", "public", "secret", "hang"]
    assert "password" not in json.dumps(found)


def test_database_url_is_an_endpoint_too(lab, trust):
    server = only(DATABASE_URL=dsn(trust, lab.postgres()))
    assert server["status"] == "ok" and server["endpoint"] == "default"


@pytest.mark.parametrize("arguments, said", [
    (["lab/wriet"], 'did you mean "lab/write"'), (["nowhere"], "its clusters are lab\n"), ([], "which one"),
    (["lba"], 'did you mean "lab"?'), (["lab/reporting"], "that cluster has write, admin, public, secret, hang\n"),
    (["nosuch/endpoint"], "its clusters are lab"), (["localhost:1"], "is probed without --config.file"),
    (["--all", "lab/write"], "exclude"), (["--al"], "did you mean"), (["--timeout=5"], "10ms to 60s"),
    (["--color=maybe"], "auto, always or never"), (["lab/write", "lab/admin"], "one connection string"),
    (["host=x sslmode=require"], "needs no --config.file")])
def test_wrong_usage_is_2(configuration, arguments, said):
    result = probe(configuration, *arguments)
    assert result.returncode == USAGE and result.stdout == "" and said in result.stderr


@pytest.mark.parametrize("target", ["host=x sslmode=banana password=s3cr3t", "postgresql://u:s3cr3t@h:port/d"])
def test_a_bad_connection_string_is_2_and_not_repeated(target):
    result = probe(target)
    assert result.returncode == USAGE and result.stderr and "s3cr3t" not in result.stderr


def test_a_connection_string_without_the_command_is_not_repeated():
    result = lab_exporter.run("postgresql://u:s3cr3t@h/d")
    assert result.returncode == USAGE and "probe" in result.stderr and "s3cr3t" not in result.stderr


def test_a_configuration_that_is_not_there_is_3():
    assert probe("--config.file=/nonexistent", "a/b").returncode == INTERNAL
    assert lab_exporter.run("list", "--config.file=/nonexistent").returncode == INTERNAL


def test_a_server_by_host_and_port(lab, trust, configuration):
    """What people type; a server of the configuration is found by it, too."""
    server = lab.postgres()
    (found,) = document(f"localhost:{server.port}")["servers"]
    assert (found["status"], found["server"], found["sslmode"]) == ("ok", f"localhost:{server.port}", "prefer")
    assert found["cluster"] is None and phases(found, "not_tried") == ["startup", "auth", "query"]
    assert only(f"u_trust@localhost:{server.port}/app")["phases"]["query"]["state"] == "completed"
    named = document(configuration, f"127.0.0.1:{server.port}")["servers"]
    assert {s["endpoint"] for s in named} == {"write", "admin", "secret"}


@pytest.mark.parametrize("command", [("probe",), ("list",)])
def test_a_password_in_a_target_is_not_repeated(configuration, command):
    for target in ("u:s3cr3t@h:1", "u:s3cr3t@h:1/d"):
        result = lab_exporter.run(*command, configuration, target)
        assert result.returncode == USAGE and "s3cr3t" not in result.stderr + result.stdout


def test_list_of_one_cluster_or_endpoint(configuration):
    result = lab_exporter.run("list", configuration, "lab/admin")
    assert result.returncode == 0 and re.findall(r"^lab/(\w+)", result.stdout, re.M) == ["admin"]
    assert len(json.loads(lab_exporter.run("list", configuration, "lab", "--json").stdout)["servers"]) == 5
    for argument, said in (("lba", 'did you mean "lab"?'), ("postgresql://u:s3cr3t@h", "CLUSTER/ENDPOINT")):
        result = lab_exporter.run("list", configuration, argument)
        assert result.returncode == USAGE and result.stdout == ""
        assert said in result.stderr and "s3cr3t" not in result.stderr


@pytest.mark.parametrize("word, said", [
    ("prob", 'did you mean "probe"?'), ("lst", 'did you mean "list"?'), ("help", 'did you mean "--help"?'),
    ("check", 'did you mean "--config.check"?'), ("watch", '"probe" and "list"')])
def test_a_word_that_is_no_command(word, said):
    result = lab_exporter.run(word)
    assert result.returncode == USAGE and said in result.stderr and result.stdout == ""


def test_a_lonely_name_is_told_how_to_probe_a_server():
    result = probe("db.example.com")
    assert result.returncode == USAGE and "probe db.example.com:5432" in result.stderr


@pytest.mark.parametrize("command", ["probe", "list"])
def test_help_has_examples(command):
    result = lab_exporter.run(command, "--help")
    assert result.returncode == 0 and "Examples:" in result.stdout
    assert all(len(line) <= 90 for line in result.stdout.splitlines())


# --- on a terminal --------------------------------------------------------------------------------

class Terminal:
    """The program with a terminal of its own as stdin, stdout and stderr; in a session of its own, unless it is to be
    stopped, which takes a parent in the same one."""

    def __init__(self, *arguments, stoppable=False, **environment):
        self.ours, theirs = pty.openpty()
        self.theirs = theirs
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            [lab_exporter.BINARY, *arguments], stdin=theirs, stdout=theirs, stderr=theirs,
            env=clean_environment(TERM="xterm", **environment), cwd="/",
            **({"process_group": 0} if stoppable else {"start_new_session": True}))
        self.text = ""

    def until(self, pattern, seconds=20):
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            if select.select([self.ours], [], [], 0.1)[0]:
                self.text += os.read(self.ours, 65536).decode()
        return self.text

    def echoes(self):
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        status = self.process.wait(10)
        os.close(self.ours)
        os.close(self.theirs)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def test_the_password_is_asked_for_without_echo(lab, trust):
    with Terminal("probe", dsn(trust, lab.postgres(), "u_scram")) as terminal:
        terminal.until("Password for user u_scram: ")
        assert not terminal.echoes()
        os.write(terminal.ours, PASSWORD.encode() + b"\n")
        text = terminal.until(r"Server(.|\n)*channel binding")
        assert "\x1b[32mOK\x1b[0m" in text and "battery" not in text
        assert terminal.process.wait(10) == UP
        assert terminal.echoes() and termios.tcgetattr(terminal.theirs) == terminal.before


def test_a_server_that_is_down_is_not_logged_in_to_after_the_prompt(lab, trust):
    good, bad = lab.postgres(), lab.misbehave("rst_after_startup")
    target = dsn(trust, good, "u_scram", host="localhost,localhost").replace(
        f"port={good.port}", f"port={bad.port},{good.port}")
    with Terminal("probe", target) as terminal:
        terminal.until("DOWN(.|\n)*Password for user u_scram: ")
        os.write(terminal.ours, PASSWORD.encode() + b"\n")
        terminal.until(r"OK\x1b(.|\n)*asks for")
        assert terminal.process.wait(10) == DOWN
    assert bad.tally["accepted"] == 2  # the inspect and the attempt in plaintext


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_prompt_leaves_the_terminal_as_it_was(lab, trust, number):
    with Terminal("probe", dsn(trust, lab.postgres(), "u_scram")) as terminal:
        terminal.until("Password for user")
        terminal.process.send_signal(number)
        assert terminal.process.wait(10) == -number
        assert terminal.echoes()


def is_stopped(process):
    state = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    return state == "T"


def test_who_stops_it_at_the_prompt_has_the_terminal_as_it_was(lab, trust):
    """Control-Z, and fg a while later: it asks again, and half of what was typed before is not part of the password."""
    with Terminal("probe", dsn(trust, lab.postgres(), "u_scram"), stoppable=True) as terminal:
        for _ in range(2):
            terminal.until("Password for user u_scram: ")
            assert not terminal.echoes()
            os.write(terminal.ours, b"half")
            terminal.process.send_signal(signal.SIGTSTP)
            wait_for(lambda: is_stopped(terminal.process), 10, "it to stop")
            assert terminal.echoes()
            terminal.text = ""
            terminal.process.send_signal(signal.SIGCONT)
        terminal.until("Password for user u_scram: ")
        assert not terminal.echoes()
        os.write(terminal.ours, PASSWORD.encode() + b"\n")
        terminal.until(r"OK\x1b(.|\n)*channel binding")
        assert terminal.process.wait(10) == UP


@pytest.mark.parametrize("typed", [b"\n", b"\x04"])  # Enter, and the end of the input
def test_who_knows_no_password_is_told_what_the_server_asks_for(lab, trust, typed):
    with Terminal("probe", dsn(trust, lab.postgres(), "u_scram")) as terminal:
        terminal.until("Password for user u_scram: ")
        os.write(terminal.ours, typed)
        terminal.until("no password|none is configured|no_password")
        assert terminal.process.wait(10) == DOWN
        assert terminal.echoes()


def test_nobody_is_asked_where_nothing_is_needed(lab, trust):
    with Terminal("probe", dsn(trust, lab.postgres())) as terminal:
        assert "Password" not in terminal.until(r"Server(.|\n)*asks for")


@pytest.mark.parametrize("arguments, environment, colored", [
    ([], {}, True), ([], {"NO_COLOR": "1"}, False), (["--color=never"], {}, False)])
def test_colours_on_a_terminal(lab, trust, arguments, environment, colored):
    with Terminal("probe", *arguments, dsn(trust, lab.postgres()), **environment) as terminal:
        assert ("\x1b[" in terminal.until(r"Server(.|\n)*asks for")) == colored


def test_colours_can_be_forced(lab, trust):
    result = lab_exporter.run("probe", "--color=always", dsn(trust, lab.postgres()))
    assert "\x1b[32mOK" in result.stdout


# --- cost and traces ------------------------------------------------------------------------------

def test_it_takes_little_more_than_the_probe_itself(lab, trust):
    """Loading, the trust store, leaving; the bound is wide because machines are busy."""
    target = dsn(trust, lab.postgres())

    def extra():
        began = time.monotonic()
        server = only(target)
        return time.monotonic() - began - server["seconds"]
    assert min(extra() for _ in range(5)) < (1.0 if os.environ.get("PGTLS_SANITIZE") else 0.2)


def test_reading_the_trust_store_is_not_the_servers_time(lab, trust, scratch):
    """A store of 2000 certificates, which takes longer to read than any handshake here."""
    store = scratch / "large.pem"
    store.write_bytes(trust.root.certificate_pem + trust.other.certificate_pem * 2000)
    target = dsn(trust, lab.postgres(), sslrootcert=store)
    began = time.monotonic()
    servers = [only("--no-login", target) for _ in range(3)]
    reading = (time.monotonic() - began) / 3
    assert min(server["seconds"] for server in servers) < reading / 2


def test_a_probe_leaves_no_line_in_the_log(lab, trust):
    server = lab.new_postgres()
    before = server.log()
    for _ in range(3):
        assert only(dsn(trust, server, "u_scram"), PGPASSWORD=PASSWORD)["status"] == "ok"
        assert only("--no-login", dsn(trust, server, "u_scram"))["status"] == "ok"
    time.sleep(0.3)
    assert server.log() == before
