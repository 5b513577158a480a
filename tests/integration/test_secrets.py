"""Secrets on the day after: replaced under our feet, missing, or no file at all; and found nowhere that
somebody may look."""

import base64
import hashlib
import hmac
import os
import re
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

import misbehave
from conftest import HBA, PASSWORD
from lab.exporter import BINARY, endpoint_of, one_cluster
from lab.memory import found_in_memory
from lab.process import clean_environment, wait_for

SANITIZED = bool(os.environ.get("PGTLS_SANITIZE"))

# What takes a second and more to compute; sanitized hashing is many times as slow.
MANY = 100_000 if SANITIZED else 1_000_000

BACKEND_PID = 4711  # as in misbehave.READY


def in_place(path, text):
    path.write_text(text)


def by_rename(path, text):
    new = path.with_name("new")
    new.write_text(text)
    new.rename(path)


def by_kubernetes(path, text):
    """As its volumes do it: path → ..data/password, ..data → a directory of each generation."""
    directory = path.parent
    generation = directory / f"..{len(os.listdir(directory))}"
    generation.mkdir()
    (generation / path.name).write_text(text)
    (directory / "..data_tmp").symlink_to(generation.name)
    (directory / "..data_tmp").rename(directory / "..data")
    if not path.is_symlink():
        path.symlink_to(f"..data/{path.name}")


WAYS = {"in_place": in_place, "by_rename": by_rename, "by_kubernetes": by_kubernetes}


def row(*columns):
    """The answer to a query: one row of text."""
    names = b"".join(b"c\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0) for _ in columns)
    values = b"".join(struct.pack("!i", len(c)) + c for c in columns)
    count = struct.pack("!h", len(columns))
    return (misbehave.message(b"T", count + names) + misbehave.message(b"D", count + values)
            + misbehave.message(b"C", b"SELECT 1\0") + misbehave.message(b"Z", b"I"))


class Guard:
    """A server that knows one password. What happens between its question and its answer is the test's."""

    def __init__(self, password):
        self.password, self.shown, self.before_answer = password, [], lambda shown: None

    def __call__(self, c):
        c.up()
        c.startup()
        c.send(misbehave.AUTH_CLEAR)
        kind, body = c.client_message()
        shown = body.rstrip(b"\0").decode() if kind == b"p" else ""
        self.shown.append(shown)
        self.before_answer(shown)
        if shown != self.password:
            c.say("refused", misbehave.error_response("28P01", b"password authentication failed"))
            return
        c.send(misbehave.AUTH_OK + misbehave.READY)
        while c.client_message()[0] == b"Q":
            c.send(row(str(BACKEND_PID).encode(), b"15.0", b"f", b"off"))
        c.drain_and_close()


@pytest.fixture
def guard():
    """Stays known after its test: an exporter of it may ask to its last moment."""
    misbehave.BEHAVIOURS["guard"] = Guard("first")
    return misbehave.BEHAVIOURS["guard"]


def endpoint(lab, trust, secret, **more):
    return endpoint_of(lab.misbehave("guard"), user="u", dbname="d", password_file=str(secret),
                       sslrootcert=str(trust.root_file), allow_auth=["password"], **more)


def logins(metrics):
    return metrics.value("pgtls_probes_total", 0, probe="login")


@pytest.mark.parametrize("way", WAYS)
def test_a_login_caught_in_a_rotation_is_no_failure(lab, trust, exporter, tmp_path, guard, way):
    """The server has the new password, and the secret is replaced while the login with the old one is under
    way: it is tried again at once, and nothing was ever down."""
    secret = tmp_path / "password"
    WAYS[way](secret, "first\n")
    daemon = exporter(one_cluster({"write": endpoint(lab, trust, secret)}))
    daemon.until(lambda m: logins(m) >= 1 and m.value("pgtls_up") == 1)

    def rotate(shown):
        if shown == "first":
            WAYS[way](secret, "second\n")
    guard.before_answer, guard.password = rotate, "second"
    daemon.until(lambda m: guard.shown.count("second") >= 2)
    metrics = daemon.scrape()
    assert metrics.value("pgtls_up") == 1
    assert metrics.sum("pgtls_probe_failures_total") == 0
    assert not [line for line in daemon.log().splitlines() if "Server is down" in line]
    assert guard.shown.index("second") == guard.shown.count("first"), guard.shown


def test_one_retry_and_no_more(lab, trust, exporter, tmp_path, guard):
    """A secret that changes with every look at it, and is always wrong: two attempts make one failure."""
    secret = tmp_path / "password"
    secret.write_text("no")
    guard.before_answer = lambda shown: by_rename(secret, shown + "o")
    daemon = exporter(one_cluster({"write": endpoint(lab, trust, secret)}))
    metrics = daemon.until(lambda m: m.sum("pgtls_probe_failures_total", probe="login") >= 3, 30)
    failures, attempts = metrics.sum("pgtls_probe_failures_total", probe="login"), len(guard.shown)
    assert 2 * failures <= attempts <= 2 * failures + 4, (failures, attempts)


def test_a_secret_that_stays_wrong_is_shown_once_per_turn(lab, trust, exporter, tmp_path, guard):
    secret = tmp_path / "password"
    secret.write_text("wrong")
    daemon = exporter(one_cluster({"write": endpoint(lab, trust, secret)}))
    metrics = daemon.until(lambda m: m.sum("pgtls_probe_failures_total", probe="login") >= 2, 30)
    failures, attempts = metrics.sum("pgtls_probe_failures_total", probe="login"), len(guard.shown)
    assert failures <= attempts <= failures + 1


def no_file(kind, path):
    """Puts something in the place of a secret; returns what is said of it."""
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "large":
        path.write_bytes(b"unmistakable" + b"x" * 1024 * 1024)
    elif kind == "nul":
        path.write_bytes(b"unmistakable\0rest")
    elif kind == "lines":
        path.write_bytes(b"unmistakable\nrest\n")
    elif kind == "empty":
        path.write_bytes(b"")
    return {"directory": "a directory, not a regular file", "pipe": "a named pipe, not a regular file",
            "socket": "a socket, not a regular file", "zero": "a character device, not a regular file",
            "dangling": "a link to a file that does not exist", "large": "longer than",
            "nul": "holds a NUL byte", "lines": "more than one line", "empty": "empty",
            "missing": "No such file or directory"}[kind]


KINDS = ("directory", "pipe", "socket", "zero", "dangling", "large", "nul", "lines", "empty", "missing")


def test_a_secret_that_is_none_leaves_its_endpoint_unknown_until_it_is_one(lab, trust, exporter, tmp_path, guard):
    """All kinds at once, on one worker: nobody blocks, each says what it is, none counts against the server."""
    paths = {kind: tmp_path / kind for kind in KINDS}
    said = {kind: no_file(kind, path) for kind, path in paths.items()}
    daemon = exporter(one_cluster({kind: endpoint(lab, trust, path, login={"interval": "60s"})
                                   for kind, path in paths.items()}), workers=1)
    daemon.until(lambda m: all(m.value("pgtls_probe_internal_errors_total", 0, pg_endpoint=kind, probe="login",
                                       reason="secret") for kind in KINDS), 20)
    metrics = daemon.scrape()
    assert metrics.sum("pgtls_probe_failures_total") == 0
    for kind, path in paths.items():
        server = daemon.server_health("lab", kind)
        assert server["connection"] != "Ok" and metrics.value("pgtls_up", pg_endpoint=kind) is None, kind
        assert str(path) in server["error"] and said[kind] in server["error"], (kind, server["error"])
    assert guard.shown == []
    assert "unmistakable" not in daemon.log() + daemon.get("/health/database").text
    for kind, path in paths.items():
        if kind == "directory":
            path.rmdir()
        by_rename(path, "first")
    daemon.until(lambda m: all(m.value("pgtls_up", pg_endpoint=kind) == 1 for kind in KINDS), 20)


def test_trust_files_that_are_none_block_nobody(lab, trust, exporter, tmp_path):
    """A pipe for a CA file, a device for a revocation list, a directory for a key."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    server = lab.postgres()
    root = str(trust.root_file)
    wrong = {"sslrootcert": {"sslrootcert": str(pipe)},
             "sslcrl": {"sslrootcert": root, "sslcrl": "/dev/zero"},
             "sslcert": {"sslrootcert": root, "sslcert": str(pipe), "sslkey": str(trust.client_key)},
             "sslkey": {"sslrootcert": root, "sslcert": str(trust.client_cert), "sslkey": str(tmp_path)}}
    endpoints = {name: endpoint_of(server, user="u_trust", dbname="app", **more) for name, more in wrong.items()}
    endpoints["good"] = endpoint_of(server, user="u_trust", dbname="app", sslrootcert=root)
    daemon = exporter(one_cluster(endpoints), workers=1)
    daemon.until(lambda m: m.value("pgtls_up", pg_endpoint="good") == 1
                 and all(m.value("pgtls_probe_internal_errors_total", 0, pg_endpoint=name, probe="inspect",
                                 reason="local_file") for name in wrong), 20)
    for name in wrong:
        assert "not a regular file" in daemon.server_health("lab", name)["error"]
    pipe.unlink()
    pipe.write_bytes(trust.root_file.read_bytes())
    daemon.until(lambda m: m.value("pgtls_up", pg_endpoint="sslrootcert") == 1, 20)


@pytest.mark.parametrize("way", WAYS)
def test_a_ca_file_is_replaced(lab, trust, exporter, tmp_path, way):
    ca = tmp_path / "ca.crt"
    WAYS[way](ca, trust.other_file.read_text())
    daemon = exporter(one_cluster({"write": endpoint_of(lab.postgres(), user="u_trust", dbname="app",
                                                        sslrootcert=str(ca))}))
    daemon.until(lambda m: m.value("pgtls_up") == 0)
    WAYS[way](ca, trust.root_file.read_text())
    daemon.until(lambda m: m.value("pgtls_up") == 1)
    WAYS[way](ca, "no certificate")
    metrics = daemon.until(lambda m: m.value("pgtls_up") is None)
    failures = metrics.sum("pgtls_probe_failures_total")
    WAYS[way](ca, trust.root_file.read_text())
    assert daemon.until(lambda m: m.value("pgtls_up") == 1).sum("pgtls_probe_failures_total") == failures


def test_a_client_certificate_is_replaced(lab, trust, exporter, tmp_path):
    """The key comes a moment after the certificate: our own trouble until they match."""
    stranger_cert, stranger_key = trust.other.issue("u_cert", client=True).write(tmp_path, "stranger")
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    for path, source in ((cert, stranger_cert), (key, stranger_key)):
        path.write_bytes(source.read_bytes())
        path.chmod(0o600)
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(), user="u_cert", dbname="app", sslrootcert=str(trust.root_file), sslcert=str(cert),
        sslkey=str(key))}))
    daemon.until(lambda m: m.value("pgtls_up") == 0)
    cert.write_bytes(trust.client_cert.read_bytes())
    daemon.until(lambda m: m.value("pgtls_up") is None and m.sum("pgtls_probe_internal_errors_total") > 0)
    key.write_bytes(trust.client_key.read_bytes())
    daemon.until(lambda m: m.value("pgtls_up") == 1)


def test_a_session_comes_back_with_the_new_secret(lab, trust, exporter, tmp_path):
    server = lab.new_postgres()
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    daemon = exporter(one_cluster({"write": endpoint_of(
        server, user="u_scram", dbname="app", password_file=str(secret), sslrootcert=str(trust.root_file),
        session=[{"idle": "60s"}])}))
    daemon.until(lambda m: m.value("pgtls_session_up") == 1)
    server.sql("alter role u_scram password 'second'")
    by_rename(secret, "second")
    server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'u_scram'")
    daemon.until(lambda m: m.sum("pgtls_session_drops_total") >= 1)
    metrics = daemon.until(lambda m: m.value("pgtls_session_up") == 1, 20)
    assert metrics.value("pgtls_up") == 1


def stored_password(password, iterations, salt=b"0123456789abcdef"):
    """What PostgreSQL keeps of a SCRAM password (RFC 5803), with as many iterations as one likes."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    text = [base64.b64encode(part).decode() for part in (salt, stored, hmac.digest(salted, b"Server Key", "sha256"))]
    return f"SCRAM-SHA-256${iterations}:{text[0]}${text[1]}:{text[2]}"


@pytest.fixture
def slow_scram(lab):
    """A server with a role of as many iterations as are computed, and one of more."""
    def make():
        server = lab.new_postgres()
        server.sql("; ".join(f"create role {user} login password '{stored_password('dear', iterations)}'"
                             for user, iterations in (("u_many", MANY), ("u_more", 1_000_001))))
        server.set_hba(HBA + "host all u_many,u_more 127.0.0.0/8 scram-sha-256\n")
        server.reload()
        return server
    return lab.shared("slow scram", make)


def test_many_iterations_of_scram_make_nobody_else_late(lab, trust, exporter, slow_scram):
    """The server chooses how much its clients compute: more than a second, each login anew. On the loop of the
    only worker that would be half of all its time."""
    root = str(trust.root_file)
    healthy = lab.misbehave("healthy")
    endpoints = {f"other{i}": endpoint_of(healthy, user="u", login=False, interval="100ms") for i in range(10)}
    endpoints.update({user: endpoint_of(slow_scram, user=user, dbname="app", password="dear")
                      for user in ("u_many", "u_more")})
    daemon = exporter(one_cluster(endpoints, {"sslrootcert": root}), workers=1)

    def computed(metrics):
        return metrics.value("pgtls_probes_total", 0, pg_endpoint="u_many", probe="login")
    before = daemon.until(lambda m: computed(m) >= 1 and m.value("pgtls_probes_total", 0, pg_endpoint="u_more",
                                                                 probe="login"), 60)
    after = daemon.until(lambda m: computed(m) >= computed(before) + 2, 60)
    assert after.value("pgtls_up", pg_endpoint="u_many") == 1
    started, in_time = (after.value(name, le=le) - before.value(name, le=le) for name, le in (
        ("pgtls_scheduler_lag_seconds_bucket", "+Inf"), ("pgtls_scheduler_lag_seconds_bucket", "0.25")))
    late = started - in_time
    logins = computed(after) - computed(before)
    # On the loop all ten, each time; a sanitized exporter is late by itself.
    assert SANITIZED or late <= 6 * logins, f"{late} of {started} probes were late"
    assert after.value("pgtls_phase_client_cpu_seconds_total", pg_endpoint="u_many", phase="auth") > 0.3
    more = daemon.server_health("lab", "u_more")
    assert more["fault"] == "auth_method_unsupported" and "1000000 iterations" in more["error"]


def test_it_ends_while_a_login_computes(trust, exporter, slow_scram):
    daemon = exporter(one_cluster({f"e{i}": endpoint_of(slow_scram, user="u_many", dbname="app", password="dear",
                                                        timeout="200ms") for i in range(4)},
                                  {"sslrootcert": str(trust.root_file)}))
    daemon.until(lambda m: m.sum("pgtls_probe_failures_total", probe="login") >= 4, 30)
    faults = {labels["fault"] for labels, _ in daemon.scrape().all("pgtls_fault_active", probe="login")}
    assert "auth_stalled" in faults
    assert daemon.stop() == 0


@dataclass
class Planted:
    """A password in each place that there is, each told from every other; some let in, some do not."""
    directory: Path
    secrets: dict  # kind → the secret
    keys: dict     # kind → what configures it

    @property
    def in_files(self):
        return {kind: secret for kind, secret in self.secrets.items() if kind.startswith("file")}


def plant(directory, client_cert, client_key):
    kinds = ("file_good", "file_wrong", "file_clear", "file_md5", "file_session", "file_passfile", "env_good",
             "inline_good", "dsn_good", "file_key", "inline_key")
    secrets = {kind: f"planted-{kind}-{os.urandom(16).hex()}" for kind in kinds}
    keys = {kind: {} for kind in kinds}
    for kind, secret in secrets.items():
        if kind.startswith("file") and kind not in ("file_passfile", "file_key"):
            (directory / kind).write_text(secret + "\n")
            keys[kind] = {"password_file": str(directory / kind)}
    (directory / "pgpass").write_text(f"*:*:*:*:{secrets['file_passfile']}\n")
    keys["file_passfile"] = {"passfile": str(directory / "pgpass")}
    keys["env_good"] = {"password_env": "PLANTED"}
    keys["inline_good"] = {"password": secrets["inline_good"]}
    key = serialization.load_pem_private_key(client_key.read_bytes(), None)
    for kind in ("file_key", "inline_key"):
        locked = directory / f"{kind}.pem"
        locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                             serialization.BestAvailableEncryption(secrets[kind].encode())))
        locked.chmod(0o600)
        keys[kind] = {"sslcert": str(client_cert), "sslkey": str(locked)}
    (directory / "passphrase").write_text(secrets["file_key"])
    keys["file_key"]["sslpassword_file"] = str(directory / "passphrase")
    keys["inline_key"]["sslpassword"] = secrets["inline_key"]
    return Planted(directory, secrets, keys)


ROLE_OF = {"file_clear": "u_password", "file_md5": "u_md5", "file_key": "u_cert", "inline_key": "u_cert"}


def test_no_secret_is_found_anywhere(lab, trust, exporter, tmp_path):
    """Unique passwords in every place, logins that get in and that do not; then everything that the exporter
    says is searched, and what it holds in memory: there only what its configuration itself holds remains."""
    planted = plant(tmp_path, trust.client_cert, trust.client_key)
    server = lab.new_postgres()
    endpoints, roles = {}, []
    for kind, keys in planted.keys.items():
        user = ROLE_OF.get(kind, f"u_{kind}")
        if user == f"u_{kind}":
            secret = "other" if kind == "file_wrong" else planted.secrets[kind]
            roles.append(f"create role {user} login password '{secret}'")
        endpoints[kind] = endpoint_of(server, user=user, dbname="app", **keys)
    roles += [f"alter role u_password password '{planted.secrets['file_clear']}'",
              f"set password_encryption = 'md5'; alter role u_md5 password '{planted.secrets['file_md5']}'"]
    server.sql("; ".join(roles))
    server.set_hba(HBA + "host all all 127.0.0.0/8 scram-sha-256\n")
    server.reload()
    endpoints["file_clear"]["allow_auth"] = ["password"]
    endpoints["file_md5"]["allow_auth"] = ["md5"]
    endpoints["file_session"]["session"] = [{"idle": "600s"}]
    endpoints["dsn_good"] = {"dsn": f"postgresql://u_dsn_good:{planted.secrets['dsn_good']}@{server.address}:"
                                    f"{server.port}/app?sslmode=verify-full"}
    secrets = list(planted.secrets.values())
    configuration = one_cluster(endpoints, {"sslrootcert": str(trust.root_file), "interval": "1800s",
                                            "login": {"interval": "1800s"}})  # then idle: nothing overwrites
    daemon = exporter(configuration, environment={"PLANTED": planted.secrets["env_good"]}, log_level="debug")
    good = [kind for kind in endpoints if kind != "file_wrong"]
    metrics = daemon.until(lambda m: all(m.value("pgtls_up", pg_endpoint=kind) == 1 for kind in good)
                           and m.value("pgtls_up", pg_endpoint="file_wrong") == 0
                           and m.value("pgtls_session_up") == 1, 40)
    assert metrics.sum("pgtls_probe_failures_total") == metrics.sum("pgtls_probe_failures_total",
                                                                    pg_endpoint="file_wrong")
    said = {path: daemon.get(path).text for path in ("/metrics", "/health/database", "/", "/config")}
    said["log"] = daemon.log()
    for name in ("cmdline", "environ", "comm"):
        said[name] = Path(f"/proc/{daemon.pid}/{name}").read_bytes().decode()
    for where, text in said.items():
        assert not [secret for secret in secrets if secret in text], where
    if SANITIZED:
        return  # its free() keeps what was freed, as it was, for a while
    found = found_in_memory(daemon.pid, planted.in_files)
    print(*found, sep="\n")
    assert {kind for kinds, *_ in found for kind in kinds} <= {"file_session"}, found
    endpoints["file_session"]["session"] = []  # libpq keeps what SCRAM began with until its connection is closed
    daemon.write(configuration)
    assert daemon.request("POST", "/-/reload").status == 200
    daemon.until(lambda m: m.value("pgtls_session_up") is None)
    assert wait_for(lambda: not found_in_memory(daemon.pid, planted.in_files), 5, "the session's secret to be gone")


@pytest.mark.parametrize("form", ["postgresql://u:TopSecret@{}:{}/d?sslmode=require",
                                  "host={} port={} user=u dbname=d password=TopSecret sslmode=require"])
def test_a_password_on_the_command_line_is_soon_nobodys(lab, form):
    """While the probe waits for the server, the list of processes shows x's."""
    server = lab.misbehave("stall_after_startup")
    word = form.format(server.address, server.port)
    with subprocess.Popen([BINARY, "probe", word, "--json", "--timeout=1s"], env=clean_environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        command = Path(f"/proc/{program.pid}/cmdline")
        wait_for(lambda: server.tally["startup"] > 0, 10, "the probe to be on its way")
        words = command.read_bytes().split(b"\0")
        out, err = program.communicate(timeout=30)
    assert words[1:4] == [b"probe", b"x" * len(word), b"--json"]
    assert program.returncode == 1 and b"startup_timeout" in out
    assert b"TopSecret" not in out + err
