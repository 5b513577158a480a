"""--web.config.file: what is good, what is not and where, and what happens when it changes.

The corpus in web_configs/ has files that Prometheus's own checker knows all keys of (promtool/), which
is asked about each of them, too, and files with keys that came after Debian's (newer/)."""

import crypt
import os
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from lab import certs
from lab.exporter import Exporter, run
from lab.process import wait_for

CORPUS = Path(__file__).parent / "web_configs"
FILES = sorted(path.relative_to(CORPUS) for path in CORPUS.glob("*/*/*.yml"))
TARGETS = {"clusters": [{"name": "a", "endpoints": {"w": {"host": "127.0.0.1", "port": 1, "sslmode": "require"}}}]}


def hashed(password, cost=4):
    return crypt.crypt(password, f"$2b${cost:02}$abcdefghijklmnopqrstuu")


@pytest.fixture(scope="module")
def authority():
    return certs.Authority()


@pytest.fixture(scope="module")
def corpus(scratch, authority):
    """A copy of the corpus, each part with the certificates it names."""
    root = scratch / "web_configs"
    for part in {file.parent for file in FILES}:
        directory = root / part
        directory.mkdir(parents=True)
        authority.issue().write(directory, "server")
        authority.issue().write(directory, "other")
        authority.write_certificate(directory / "ca.crt")
    for file in FILES:
        (root / file).write_bytes((CORPUS / file).read_bytes())
    return root


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "pgtls.yml"
    path.write_text(str(TARGETS).replace("'", '"'))
    return path


def check(config_file, web_config):
    return run("--config.check", f"--config.file={config_file}", f"--web.config.file={web_config}")


def replace(path, text):
    """At once, as Kubernetes and careful people do it."""
    new = Path(f"{path}.new")
    new.write_text(text)
    os.replace(new, path)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_the_corpus(corpus, config_file, file):
    good = file.parent.name == "good"
    result = check(config_file, corpus / file)
    assert result.returncode == (0 if good else 1), result.stderr
    said = [line.replace(f"{corpus / file.parent}/", "") for line in result.stderr.splitlines()
            if str(file) in line]
    expected = [line.split(" ", 1)[1] for line in (CORPUS / "messages.txt").read_text().splitlines()
                if line.startswith(f"{file.parent} ") and f": {file.name}:" in line]
    assert said == expected
    if file.parts[0] == "promtool":
        promtool = subprocess.run(["promtool", "check", "web-config", corpus / file], capture_output=True, text=True,
                                  timeout=30, check=False)
        assert promtool.returncode == result.returncode, promtool.stderr


def test_every_message_belongs_to_a_file():
    names = {(str(file.parent), file.name) for file in FILES}
    for line in (CORPUS / "messages.txt").read_text().splitlines():
        part, _, rest = line.partition(" ")
        assert (part, rest.split(": ", 1)[1].split(":")[0]) in names


def test_certificates_may_stand_in_the_file_itself(tmp_path, config_file, authority):
    def block(pem):
        return "|\n" + "".join(f"    {line}\n" for line in pem.decode().splitlines())
    leaf = authority.issue()
    web = tmp_path / "web.yml"
    web.write_text(f"tls_server_config:\n  cert: {block(leaf.chain_pem)}  key: {block(leaf.key_pem)}"
                   f"  client_ca: {block(authority.certificate_pem)}  client_auth_type: VerifyClientCertIfGiven\n")
    assert check(config_file, web).returncode == 0
    web.write_text(web.read_text().replace(block(leaf.key_pem), block(authority.issue().key_pem)))
    refused = check(config_file, web)
    assert refused.returncode == 1 and "do not match" in refused.stderr
    assert "PRIVATE KEY" not in refused.stderr


@pytest.mark.parametrize("key, suite", [("rsa", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
                                        ("ecdsa", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")])
def test_suites_of_which_none_is_for_the_key(tmp_path, config_file, authority, key, suite):
    """Nobody could ever get in: said at once, and not to every client. TLS 1.3 has suites of its own."""
    authority.issue(key=key).write(tmp_path, "server")
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key, max_version: TLS12, "
                   f"cipher_suites: [{suite}]}}\n")
    refused = check(config_file, web)
    assert refused.returncode == 1
    assert f"no cipher suite is left for these versions and a key of kind {key.upper()}" in refused.stderr
    web.write_text(web.read_text().replace("max_version: TLS12, ", ""))
    assert check(config_file, web).returncode == 0


@pytest.mark.parametrize("content", ["basic_auth_users:\n  alice: hunter2\n", "basic_auth_users: hunter2\n",
                                     "tls_server_config:\n  key: hunter2\n", "basic_auth_users: {alice: [hunter2\n"])
def test_no_secret_is_repeated(tmp_path, config_file, content):
    web = tmp_path / "web.yml"
    web.write_text(content)
    refused = check(config_file, web)
    assert refused.returncode == 1
    assert "hunter2" not in refused.stderr + refused.stdout


@pytest.mark.parametrize("make, words", [
    (lambda path: None, "No such file"), (os.mkdir, "directory"), (os.mkfifo, "named pipe"),
    (lambda path: path.write_bytes(b"\xff\xfe"), "not UTF-8"),
    (lambda path: path.write_bytes(b"#" * (1024 * 1024 + 1)), "longer than 1048576 bytes")])
def test_a_file_that_cannot_be_read(tmp_path, config_file, make, words):
    web = tmp_path / "web.yml"
    make(web)
    refused = check(config_file, web)
    assert refused.returncode == 1 and words in refused.stderr
    started = run(f"--config.file={config_file}", f"--web.config.file={web}", "--web.listen-address=127.0.0.1:0")
    assert started.returncode == 1 and words in started.stderr


def file_is(daemon, web, valid):
    """Waits until the exporter says so of the file: a change counts when it is a second old."""
    daemon.until(lambda m: m.value("pgtls_config_file_valid", file=str(web)) == valid, 10)
    return True


def test_a_bad_change_leaves_what_was_in_force(tmp_path):
    web = tmp_path / "web.yml"
    web.write_text(f"basic_auth_users:\n  prom: {hashed('first')}\n")
    with Exporter(tmp_path / "daemon", TARGETS, arguments=[f"--web.config.file={web}"],
                  authorization=("prom", "first")) as daemon:
        assert file_is(daemon, web, 1)
        replace(web, "basic_auth_user:\n  prom: x\n")
        assert file_is(daemon, web, 0)
        for _ in range(5):
            assert file_is(daemon, web, 0)
        log = daemon.log()
        assert log.count("unknown key") == 1 and f"{web}:1:1:" in log
        assert log.count("the one before stays in force") == 1
        os.unlink(web)
        assert file_is(daemon, web, 0)
        replace(web, f"basic_auth_users:\n  prom: {hashed('second')}\n")
        wait_for(lambda: daemon.get("/metrics").status == 401, 10, "the first password to be refused")
        daemon.authorization = ("prom", "second")
        assert file_is(daemon, web, 1)


def test_half_a_file_is_not_taken_for_one(tmp_path):
    """Written in place, slowly, passwords last: at no moment does somebody without one get in."""
    web, head = tmp_path / "web.yml", "http_server_config:\n  http2: true\n"
    users = f"basic_auth_users:\n  prom: {hashed('x')}\n"
    web.write_text(head + users)
    with Exporter(tmp_path / "daemon", TARGETS, arguments=[f"--web.config.file={web}"],
                  authorization=("prom", "x")) as daemon:
        with open(web, "w") as file:
            for piece in ("", head, "# …\n", users):
                file.write(piece)
                file.flush()
                for _ in range(5):
                    assert daemon.request("GET", "/metrics").status == 401
        assert file_is(daemon, web, 1)


def test_tls_is_not_switched_while_it_runs(tmp_path, authority):
    authority.issue().write(tmp_path, "server")
    web, tls = tmp_path / "web.yml", "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
    web.write_text("")
    with Exporter(tmp_path / "daemon", TARGETS, arguments=[f"--web.config.file={web}"]) as daemon:
        replace(web, tls + f"basic_auth_users: {{prom: '{hashed('x')}'}}\n")
        assert file_is(daemon, web, 0)
        assert daemon.told("that takes a restart")
        replace(web, "")
        assert file_is(daemon, web, 1)


def test_a_new_certificate_is_used_without_losing_a_connection(tmp_path, authority):
    """In place, key and certificate one after the other: in between they do not match."""
    authority.issue().write(tmp_path, "server")
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    context = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    failures, served, end = [], [], threading.Event()

    with Exporter(tmp_path / "daemon", TARGETS, arguments=[f"--web.config.file={web}"], tls=context) as daemon:
        def ask():
            while not end.is_set():
                try:
                    served.append(daemon.get("/-/ready").status)
                except OSError as error:
                    failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                leaf = authority.issue()
                leaf.write(tmp_path, "server")
                wait_for(lambda: peer(daemon, context) == leaf.certificate.serial_number, 10, "the new certificate")
        finally:
            end.set()
            for thread in threads:
                thread.join()
        assert not failures and set(served) == {200}
        assert len(served) > 3
        assert file_is(daemon, web, 1)


def peer(daemon, context):
    connection = daemon.connection()
    try:
        connection.connect()
        return int(connection.sock.getpeercert()["serialNumber"], 16)
    finally:
        connection.close()
