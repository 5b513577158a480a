"""Logins with a libpq that takes SCRAM keys: stretching the password once is enough, and a key that does not fit any
more is nobody's fault."""

import base64
import hashlib
import hmac
import os
import re
import signal
from pathlib import Path

import pytest

import misbehave
from conftest import HBA, PASSWORD
from lab import newer_libpq
from lab.exporter import endpoint_of, one_cluster
from lab.memory import found_in_memory
from lab.process import wait_for
from test_secrets import row

SANITIZED = bool(os.environ.get("PGTLS_SANITIZE"))
VERSIONS = (15, 17, 18)


@pytest.fixture(scope="session")
def libpq18(scratch):
    return newer_libpq.environment(scratch / "libpq18")


@pytest.fixture
def keyed(exporter, libpq18):
    """A function that starts an exporter with a libpq that takes keys."""
    def start(configuration, **more):
        more["environment"] = {**libpq18, **more.get("environment", {})}
        return exporter(configuration, log_level="debug", **more)
    return start


def logins(daemon, endpoint="write"):
    """(by keys, seconds of CPU in auth) of each login that was good, in their order."""
    found = []
    for line in daemon.log().splitlines():
        if 'msg="Probe is over"' in line and f"pg_endpoint={endpoint} " in line and " probe=login " in line:
            cpu = re.search(r' cpu="auth=([\d.]+) ', line)
            if cpu:
                found.append(("scram_keys=used" in line, float(cpu[1])))
    return found


def wait_logins(daemon, condition, endpoint="write", seconds=20):
    return wait_for(lambda: (found := logins(daemon, endpoint)) and condition(found) and found, seconds,
                    lambda: f"the logins; had {logins(daemon, endpoint)}\n{daemon.log()[-3000:]}")


def by_keys(found):
    return [keys for keys, _ in found]


def nothing_failed(daemon):
    metrics = daemon.scrape()
    assert metrics.sum("pgtls_probe_failures_total") == 0 and metrics.sum("pgtls_probe_internal_errors_total") == 0
    assert all(value == 1 for _, value in metrics.all("pgtls_up"))
    assert "Server is down" not in daemon.log() and "level=error" not in daemon.log()


def test_what_was_stretched_once_lets_in(lab, trust, password_file, keyed):
    """TLS with and without channel binding, and none at all; nothing of it in a server's log."""
    servers = {version: lab.postgres(version) for version in VERSIONS}
    root, endpoints = str(trust.root_file), {}
    for version, server in servers.items():
        keys = {"user": "u_scram", "dbname": "app", "password_file": str(password_file)}
        endpoints |= {f"{version}-bound": endpoint_of(server, channel_binding="require", sslrootcert=root, **keys),
                      f"{version}-unbound": endpoint_of(server, channel_binding="disable", sslrootcert=root, **keys),
                      f"{version}-plain": endpoint_of(server, sslmode="disable", **keys),
                      f"{version}-trust": endpoint_of(server, sslrootcert=root, user="u_trust", dbname="app")}
    before = {version: server.log() for version, server in servers.items()}
    daemon = keyed(one_cluster(endpoints))
    for endpoint in endpoints:
        found = wait_logins(daemon, lambda found: len(found) >= 5, endpoint)
        if endpoint.endswith("-trust"):
            assert not any(by_keys(found))
            continue
        assert by_keys(found) == [False] + [True] * (len(found) - 1), endpoint
        assert min(cpu for _, cpu in found[1:]) < found[0][1] / 2, (endpoint, found)
    nothing_failed(daemon)
    for version, server in servers.items():
        new = [line for line in server.log()[len(before[version]):].splitlines() if "checkpoint" not in line]
        assert new == [], version


def test_another_libpq_is_given_none(lab, trust, password_file, exporter):
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(), user="u_scram", dbname="app", password_file=str(password_file),
        sslrootcert=str(trust.root_file))}), log_level="debug")
    assert not any(by_keys(wait_logins(daemon, lambda found: len(found) >= 4)))


def test_a_new_salt_is_no_fault(lab, trust, tmp_path, keyed):
    """A role's password is set again, to the same text or to another that is in the file as well by the time of the
    next login: that one goes by password, within the same probe, and no server's log knows of it."""
    servers, endpoints = {version: lab.postgres(version) for version in VERSIONS}, {}
    for version, server in servers.items():
        for new in ("same", "another"):
            server.sql(f"create role {new} login password 'before'")
            (tmp_path / f"{version}-{new}").write_text("before")
            endpoints[f"{version}-{new}"] = endpoint_of(server, user=new, dbname="app",
                                                        password_file=str(tmp_path / f"{version}-{new}"))
        server.set_hba(HBA + "host all same,another 127.0.0.0/8 scram-sha-256\n")
        server.reload()
    daemon = keyed(one_cluster(endpoints, {"sslrootcert": str(trust.root_file)}))
    for endpoint in endpoints:
        wait_logins(daemon, lambda found: sum(by_keys(found)) >= 2, endpoint)
    log = {version: server.log() for version, server in servers.items()}
    daemon.program.signal(signal.SIGSTOP)
    for version, server in servers.items():
        server.sql("alter role same password 'before'; alter role another password 'after'")
        (tmp_path / f"{version}-another").write_text("after")
    daemon.program.signal(signal.SIGCONT)
    for endpoint in endpoints:
        found = wait_logins(daemon, lambda found: False in by_keys(found)[1:], endpoint)
        if endpoint.endswith("another"):  # the file has told: no key was tried in vain, and new ones are kept
            wait_logins(daemon, lambda found: by_keys(found)[-1], endpoint)
        assert by_keys(found)[0] is False and by_keys(found)[1:3] == [True, True]
    nothing_failed(daemon)
    assert {version: server.log() for version, server in servers.items()} == log


def test_a_pooler(lab, trust, password_file, keyed):
    """A PgBouncer that knows the role's own secret asks with its salt; one that knows the password makes up a salt each
    time, and is soon left alone with keys. Neither says anything of it that it would not say of any login."""
    secret = lab.postgres().sql("select rolpassword from pg_authid where rolname = 'u_scram'")
    poolers = {name: lab.new_pgbouncer(settings={"auth_type": "scram-sha-256", "log_connections": "0",
                                                 "log_disconnections": "0"}, users={"u_scram": known})
               for name, known in (("secret", secret), ("password", PASSWORD))}
    daemon = keyed(one_cluster({name: endpoint_of(pooler, user="u_scram", dbname="app",
                                                  password_file=str(password_file))
                                for name, pooler in poolers.items()}, {"sslrootcert": str(trust.root_file)}))
    found = {name: wait_logins(daemon, lambda found: len(found) >= 5, name) for name in poolers}
    assert by_keys(found["secret"]) == [False] + [True] * (len(found["secret"]) - 1)
    assert not any(by_keys(found["password"]))
    nothing_failed(daemon)
    for pooler in poolers.values():
        assert not re.search("WARNING|ERROR|FATAL", pooler.log()), pooler.log()


class Scram:
    """A server with one password and a salt that is the test's to choose, as is what it answers to a right proof."""

    def __init__(self):
        self.salt, self.iterations, self.password = b"0123456789abcdef", 4096, "dear"
        self.begun = self.proven = 0
        self.method, self.before = misbehave.AUTH_SCRAM, lambda: None
        self.refuse, self.forge = lambda: False, lambda: False

    def verifier(self):
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), self.salt, self.iterations)
        client = hmac.digest(salted, b"Client Key", "sha256")
        return hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")

    def __call__(self, c):
        c.up()
        c.startup()
        c.send(self.method)
        kind, body = c.client_message()
        if self.method != misbehave.AUTH_SCRAM:
            c.send(misbehave.AUTH_OK + misbehave.READY)
        else:
            assert kind == b"p" and body.startswith(b"SCRAM-SHA-256\0")
            self.begun += 1
            self.before()
            if not self.exchange(c, body[len(b"SCRAM-SHA-256\0") + 4:]):
                c.drain_and_close()
                return
        while c.client_message()[0] == b"Q":
            c.send(row(b"4711", b"15.0", b"f", b"off"))
        c.drain_and_close()

    def exchange(self, c, first):
        bare = first.split(b",", 2)[2]
        offer = (b"r=" + bare.split(b"r=")[1] + b"ours,s=" + base64.b64encode(self.salt)
                 + b",i=%d" % self.iterations)
        stored, server_key = self.verifier()
        c.send(misbehave.message(b"R", (11).to_bytes(4, "big") + offer))
        final = c.client_message()[1]
        without, proof = final.split(b",p=")
        signed = b",".join((bare, offer, without))
        signature = hmac.digest(stored, signed, "sha256")
        client = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature))
        if hashlib.sha256(client).digest() != stored or self.refuse():
            c.send(misbehave.error_response("28P01", b"password authentication failed"))
            return False
        self.proven += 1
        answer = hmac.digest(b"who knows" if self.forge() else server_key, signed, "sha256")
        c.send(misbehave.message(b"R", (12).to_bytes(4, "big") + b"v=" + base64.b64encode(answer))
               + misbehave.AUTH_OK + misbehave.READY)
        return True


@pytest.fixture
def scram():
    """Stays known after its test: an exporter of it may ask to its last moment."""
    misbehave.BEHAVIOURS["scram"] = Scram()
    return misbehave.BEHAVIOURS["scram"]


def scripted(lab, trust, **more):
    return one_cluster({"write": endpoint_of(lab.misbehave("scram"), user="u", dbname="d", password="dear",
                                             sslrootcert=str(trust.root_file), **more)})


def test_a_server_whose_salt_never_stays_costs_no_connection_each_time(lab, trust, keyed, scram):
    """One login by password teaches keys, the next finds that they do not fit; then they are let be for a while."""
    scram.before = lambda: setattr(scram, "salt", os.urandom(16))
    daemon = keyed(scripted(lab, trust))
    found = wait_logins(daemon, lambda found: len(found) >= 6)
    assert not any(by_keys(found))
    assert scram.begun - scram.proven == 1
    nothing_failed(daemon)


def test_keys_that_are_refused_are_no_wrong_password(lab, trust, keyed, scram):
    """The same salt and yet not accepted: the password is asked before anything is called wrong."""
    daemon = keyed(scripted(lab, trust))
    wait_logins(daemon, lambda found: sum(by_keys(found)) >= 2)
    once = [True]
    scram.refuse = lambda: once and once.pop()
    found = wait_logins(daemon, lambda found: not once and not by_keys(found)[-1])
    assert not by_keys(found)[-1]
    nothing_failed(daemon)
    scram.password = "changed"  # salt as before, and this time the password is wrong, too
    daemon.until(lambda m: m.value("pgtls_fault_active", fault="password_failed") == 1)


def test_a_server_that_does_not_know_the_password_is_caught(lab, trust, keyed, scram):
    daemon = keyed(scripted(lab, trust))
    wait_logins(daemon, lambda found: sum(by_keys(found)) >= 2)
    scram.forge = lambda: True
    daemon.until(lambda m: m.value("pgtls_fault_active", phase="auth", fault="scram_channel_binding") == 1)
    assert "signature" in daemon.server_health("lab")["error"]
    refused = [line for line in daemon.told(" fault=") if "Probe is over" in line]
    assert "scram_keys=used" in refused[0]
    scram.forge = lambda: False
    daemon.until(lambda m: m.value("pgtls_up") == 1, 30)


def test_another_method_is_answered_with_the_password(lab, trust, keyed, scram):
    daemon = keyed(scripted(lab, trust, allow_auth=["md5"]))
    wait_logins(daemon, lambda found: sum(by_keys(found)) >= 2)
    scram.method = misbehave.AUTH_MD5
    found = wait_logins(daemon, lambda found: not any(by_keys(found)[-3:]))
    nothing_failed(daemon)
    count = len(found)
    scram.method = misbehave.AUTH_SCRAM
    wait_logins(daemon, lambda found: any(by_keys(found)[count:]))
    nothing_failed(daemon)


def by_itself(*secrets):
    return {secret: secret for secret in secrets}


def test_keys_are_shown_nowhere_and_go_with_their_endpoint(lab, trust, tmp_path, keyed):
    secret = "planted-" + os.urandom(16).hex()
    (tmp_path / "password").write_text(secret)
    server = lab.postgres()
    server.sql(f"create role u_planted login password '{secret}'")
    server.set_hba(HBA + "host all u_planted 127.0.0.0/8 scram-sha-256\n")
    server.reload()
    iterations, salt = re.match(r"SCRAM-SHA-256\$(\d+):([^$]+)\$", server.sql(
        "select rolpassword from pg_authid where rolname = 'u_planted'")).groups()
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), base64.b64decode(salt), int(iterations))
    raw = [hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key")]
    keys = [base64.b64encode(key).decode() for key in raw]
    configuration = one_cluster({
        "write": endpoint_of(server, user="u_planted", dbname="app", password_file=str(tmp_path / "password"),
                             sslrootcert=str(trust.root_file)),
        "other": endpoint_of(server, user="u_trust", dbname="app", sslrootcert=str(trust.root_file))})
    daemon = keyed(configuration)
    wait_logins(daemon, lambda found: sum(by_keys(found)) >= 2)
    said = {path: daemon.get(path).text for path in ("/metrics", "/health/database", "/", "/config")}
    said["log"] = daemon.log()
    for name in ("cmdline", "environ", "comm"):
        said[name] = Path(f"/proc/{daemon.pid}/{name}").read_bytes().decode()
    for where, text in said.items():
        assert not [key for key in [*keys, secret] if key in text], where
    if SANITIZED:
        return  # its free() keeps what was freed, as it was, for a while
    # The last login may be under way.
    assert wait_for(lambda: {key for those, *_ in found_in_memory(daemon.pid, by_itself(*keys)) for key in those}
                    == set(keys), 5, "the keys")
    del configuration["clusters"][0]["endpoints"]["write"]
    daemon.write(configuration)
    assert daemon.request("POST", "/-/reload").status == 200
    assert wait_for(lambda: not found_in_memory(daemon.pid, by_itself(*keys, secret)), 5, "the keys to be gone")
