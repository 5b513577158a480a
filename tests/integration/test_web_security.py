"""Our own HTTP server behind --web.config.file: TLS, client certificates, passwords, rate, headers."""

import crypt
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from lab import certs
from lab.exporter import BINARY, Exporter, basic, run
from lab.process import clean_environment, hand_over, wait_for
from lab.servers import Prometheus

TARGETS = {"clusters": [{"name": "a", "endpoints": {"w": {"host": "127.0.0.1", "port": 1, "sslmode": "require"}}}]}
OPEN = ("/-/healthy", "/-/ready")
CLOSED = ("/", "/metrics", "/health/database", "/probe", "/assets/page.css", "/nothing", "/-/healthy/", "//-/healthy",
          "/-/healthy%2f", "/-/ready/..")


def hashed(password, cost=4):
    return crypt.crypt(password, f"$2b${cost:02}$abcdefghijklmnopqrstuu")


class Pki:
    def __init__(self, directory):
        self.directory, self.authority, self.other = directory, certs.Authority(), certs.Authority("Other Root")
        self.authority.write_certificate(directory / "ca.crt")
        for key in ("ecdsa", "rsa", "ed25519"):
            self.authority.issue(key=key).write(directory, key)
        now = certs.datetime.datetime.utcnow()
        clients = {"known": self.authority.issue("known", client=True),
                   "stranger": self.other.issue("stranger", client=True),
                   "expired": self.authority.issue("expired", client=True, not_before=now - 9 * certs.DAY,
                                                   not_after=now - certs.DAY),
                   "a_server": self.authority.issue("a_server"),
                   "named": self.authority.issue("named", client=True, hosts=("prom.example", "192.0.2.7")),
                   "named_otherwise": self.authority.issue("other", client=True, hosts=("x.prom.example",))}
        for name, client in clients.items():
            client.write(directory, name)

    def context(self, client=None, low=None, high=None):
        context = ssl.create_default_context(cadata=self.authority.certificate_pem.decode())
        if client:
            context.load_cert_chain(self.directory / f"{client}.crt", self.directory / f"{client}.key")
        if low:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version, context.maximum_version = low, high or low
        return context


@pytest.fixture(scope="module")
def pki(scratch):
    directory = scratch / "web_pki"
    directory.mkdir()
    return Pki(directory)


@pytest.fixture
def start(tmp_path, pki):
    """Starts an exporter on a web configuration (a mapping); tls: keys of tls_server_config beside
    the certificate, which is there unless it is None."""
    running = []

    def begin(tls=None, key="ecdsa", context=None, authorization=None, arguments=(), **rest):
        web = {**rest}
        if tls is not None:
            web["tls_server_config"] = {"cert_file": str(pki.directory / f"{key}.crt"),
                                        "key_file": str(pki.directory / f"{key}.key"), **tls}
        path = tmp_path / f"web{len(running)}.yml"
        path.write_text(json.dumps(web))
        daemon = Exporter(tmp_path / f"daemon{len(running)}", TARGETS, log_level="debug", tls=context,
                          arguments=[f"--web.config.file={path}", *arguments], authorization=authorization)
        running.append(daemon)
        return daemon
    yield begin
    for daemon in running:
        assert daemon.stop() == 0


def connects(daemon, context):
    """Is somebody with this context let in? With TLS 1.3 a client learns only when it reads."""
    daemon.tls = context
    try:
        return daemon.get("/-/ready").status == 200
    except (OSError, http.client.HTTPException):
        return False


# --- TLS ------------------------------------------------------------------------------------------

VERSIONS = {"TLS10": ssl.TLSVersion.TLSv1, "TLS11": ssl.TLSVersion.TLSv1_1, "TLS12": ssl.TLSVersion.TLSv1_2,
            "TLS13": ssl.TLSVersion.TLSv1_3}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("tls, allowed", [
    ({}, {"TLS12", "TLS13"}), ({"min_version": "TLS13"}, {"TLS13"}), ({"max_version": "TLS12"}, {"TLS12"}),
    ({"min_version": "TLS10"}, set(VERSIONS)), ({"min_version": "TLS11", "max_version": "TLS11"}, {"TLS11"}),
    ({"cipher_suites": ["TLS_AES_128_GCM_SHA256"]}, {"TLS13"})])
def test_versions(start, pki, tls, allowed):
    daemon = start(tls, key="rsa", context=pki.context(low=VERSIONS[max(allowed)]))
    assert {name for name, version in VERSIONS.items() if connects(daemon, pki.context(low=version))} == allowed


# By OpenSSL's names: what Go calls them, and whose key they need.
SUITES = {
    "ECDHE-RSA-AES128-GCM-SHA256": ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "rsa"),
    "ECDHE-RSA-AES256-GCM-SHA384": ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "rsa"),
    "ECDHE-RSA-CHACHA20-POLY1305": ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "rsa"),
    "ECDHE-RSA-AES128-SHA": ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "rsa"),
    "ECDHE-RSA-AES256-SHA": ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "rsa"),
    "AES128-GCM-SHA256": ("TLS_RSA_WITH_AES_128_GCM_SHA256", "rsa"),
    "AES256-GCM-SHA384": ("TLS_RSA_WITH_AES_256_GCM_SHA384", "rsa"),
    "AES128-SHA": ("TLS_RSA_WITH_AES_128_CBC_SHA", "rsa"),
    "AES256-SHA": ("TLS_RSA_WITH_AES_256_CBC_SHA", "rsa"),
    "ECDHE-ECDSA-AES128-GCM-SHA256": ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ecdsa"),
    "ECDHE-ECDSA-AES256-GCM-SHA384": ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ecdsa"),
    "ECDHE-ECDSA-CHACHA20-POLY1305": ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ecdsa"),
    "ECDHE-ECDSA-AES128-SHA": ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ecdsa"),
    "ECDHE-ECDSA-AES256-SHA": ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ecdsa"),
    # Go has no names for these, and nobody gets in with them.
    "ECDHE-RSA-AES128-SHA256": (None, "rsa"), "AES128-SHA256": (None, "rsa"), "DHE-RSA-AES128-GCM-SHA256": (None, "rsa"),
    "ECDHE-ECDSA-AES128-SHA256": (None, "ecdsa"), "ECDHE-ECDSA-AES128-CCM": (None, "ecdsa"),
}


def accepted_suites(daemon, pki):
    accepted = set()
    for suite in SUITES:
        context = pki.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{suite}:@SECLEVEL=0")
        if connects(daemon, context):
            accepted.add(suite)
    return accepted


@pytest.mark.parametrize("key", ["rsa", "ecdsa"])
@pytest.mark.parametrize("named", [
    None,
    # Go's, and such that GnuTLS's parts of them would make up further ones.
    ["TLS_RSA_WITH_AES_256_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
    ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA"]])
def test_suites(start, pki, key, named):
    daemon = start({"cipher_suites": named} if named else {}, key=key, context=pki.context())
    default = {go for go, _ in SUITES.values() if go and "ECDHE" in go}
    expected = {suite for suite, (go, kind) in SUITES.items() if kind == key and go in (named or default)}
    assert accepted_suites(daemon, pki) == expected
    for suite in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"):
        host, port = daemon.addresses[0].split(":")
        curl = subprocess.run(["curl", "-sS", "--cacert", pki.directory / "ca.crt", "--tlsv1.3", "--tls13-ciphers", suite,
                               f"https://{host}:{port}/-/healthy"], capture_output=True, text=True, timeout=30, check=False)
        assert curl.stdout == "pgtls_exporter is healthy.\n", curl.stderr


def test_a_cipher_of_tls_1_3_is_no_candidate_for_1_2(start, pki):
    """The client would rather have a suite that is not named than the one that is."""
    daemon = start({"cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"], "prefer_server_cipher_suites": False},
                   key="rsa", context=pki.context())
    context = pki.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384")
    assert connects(daemon, context)


@pytest.mark.parametrize("named, allowed", [
    (None, {"X25519", "P-256", "P-384", "P-521"}), (["CurveP384"], {"P-384"}), (["X25519", "CurveP256"], {"X25519", "P-256"})])
def test_curves(start, pki, named, allowed):
    daemon = start({"curve_preferences": named} if named else {}, context=pki.context(), key="rsa")
    accepted = set()
    for curve in ("X25519", "P-256", "P-384", "P-521", "X448"):
        for version in ("-tls1_2", "-tls1_3"):
            client = subprocess.run(["openssl", "s_client", "-connect", daemon.addresses[0], "-groups", curve, version],
                                    input="GET /-/healthy HTTP/1.0\r\n\r\n", capture_output=True, text=True, timeout=30,
                                    check=False)
            if "Server Temp Key" in client.stdout and "Verification" in client.stdout and "alert" not in client.stderr:
                accepted.add((curve, version))
    if named and "CurveP256" not in named:
        # A client that shares no curve with the server falls back to nothing: it does not get in.
        assert ("P-256", "-tls1_2") not in accepted
    assert accepted == {(curve, version) for curve in allowed for version in ("-tls1_2", "-tls1_3")}


def test_a_key_of_any_kind(start, pki):
    for key in ("rsa", "ecdsa", "ed25519"):
        daemon = start({}, key=key, context=pki.context())
        assert daemon.get("/-/healthy").status == 200
        assert daemon.get("/metrics").status == 200


# What Go's crypto/tls does with each kind of client certificate, and without one (None).
CLIENTS = (None, "known", "stranger", "expired", "a_server", "named", "named_otherwise")
AUTH = {
    "NoClientCert": set(CLIENTS),
    "RequestClientCert": set(CLIENTS),
    "RequireAnyClientCert": set(CLIENTS) - {None},
    "RequireClientCert": set(CLIENTS) - {None},
    "VerifyClientCertIfGiven": {None, "known", "named", "named_otherwise"},
    "RequireAndVerifyClientCert": {"known", "named", "named_otherwise"},
}


@pytest.mark.parametrize("auth", AUTH)
@pytest.mark.parametrize("version", ["TLS12", "TLS13"])
def test_client_certificates(start, pki, auth, version):
    authority = {} if auth == "NoClientCert" else {"client_ca_file": str(pki.directory / "ca.crt")}
    daemon = start({"client_auth_type": auth, **authority}, context=pki.context(client="known"))
    assert {client for client in CLIENTS
            if connects(daemon, pki.context(client, VERSIONS[version]))} == AUTH[auth]


@pytest.mark.parametrize("sans", [["prom.example"], ["nothing.example", "192.0.2.7"]])
@pytest.mark.parametrize("auth", ["RequireAndVerifyClientCert", "RequireAnyClientCert"])
def test_names_of_client_certificates(start, pki, sans, auth):
    daemon = start({"client_auth_type": auth, "client_ca_file": str(pki.directory / "ca.crt"),
                    "client_allowed_sans": sans}, context=pki.context(client="named"))
    assert {client for client in CLIENTS if connects(daemon, pki.context(client))} == {"named"}


# A client's names by what they are; those of kinds that Go does not compare, or of which a C program may see less than
# there is, allow nobody in.
NAMED = {
    "address": ["2001:db8::7"],
    "mail": [x509.RFC822Name("ops@prom.example")],
    "uri": [x509.UniformResourceIdentifier("spiffe://prom.example/scrape")],
    "behind_others": [x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), x509.DNSName("x." * 700 + "example"),
                      "192.0.2.8", "prom.example"],
}
NOT_NAMED = {
    "nowhere": [],
    "cut_by_nul": [x509.DNSName("prom.example\0.evil.example")],
    "uri_cut_by_nul": [x509.UniformResourceIdentifier("spiffe://prom.example/scrape\0/more")],
    "longer": ["prom.example.evil.example", "2001:db8::70"],
    "of_a_directory": [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "prom.example")]))],
    "of_another_kind": [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x0cprom.example")],
    "too_long": [x509.DNSName("x." * 700 + "example")],
}


@pytest.mark.parametrize("version", ["TLS12", "TLS13"])
def test_names_of_every_kind(start, pki, version):
    """The common name is no name of these; every certificate has the right one there."""
    for name, names in {**NAMED, **NOT_NAMED}.items():
        pki.authority.issue("prom.example", client=True, hosts=names).write(pki.directory, name)
    daemon = start({"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": str(pki.directory / "ca.crt"),
                    "client_allowed_sans": ["prom.example", "ops@prom.example", "spiffe://prom.example/scrape",
                                            "2001:db8::7"]}, context=pki.context(client="address"))
    assert {name for name in [*NAMED, *NOT_NAMED] if connects(daemon, pki.context(name, VERSIONS[version]))} == set(NAMED)


def test_no_name_is_allowed_when_the_list_is_empty(tmp_path, pki):
    web = tmp_path / "web.yml"
    web.write_text(json.dumps({"tls_server_config": {
        "cert_file": str(pki.directory / "rsa.crt"), "key_file": str(pki.directory / "rsa.key"),
        "client_ca_file": str(pki.directory / "ca.crt"), "client_auth_type": "RequireAndVerifyClientCert",
        "client_allowed_sans": []}}))
    with Exporter(tmp_path / "daemon", TARGETS, arguments=[f"--web.config.file={web}"], ready=False) as daemon:
        daemon.addresses = wait_for(daemon._listening, 20, "it to listen")
        assert not any(connects(daemon, pki.context(client)) for client in CLIENTS)


def test_plain_http_to_the_port_of_tls(start, pki):
    daemon = start({}, context=pki.context())
    host, port = daemon.addresses[0].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        try:
            while piece := connection.recv(4096):
                answer += piece
        except ConnectionResetError:
            pass
        assert b"pgtls_" not in answer
    assert daemon.get("/-/healthy").status == 200


def test_handshakes_that_never_end_keep_nobody_out(start, pki):
    """More of them than there are places: the oldest make room."""
    daemon = start({}, context=pki.context())
    before, host, port = daemon.open_files(), *daemon.addresses[0].split(":")
    idle = []
    try:
        for i in range(600):
            idle.append(socket.create_connection((host, int(port)), timeout=10))
            idle[-1].sendall(b"\x16\x03\x01\x02"[:i % 5])
            if i % 100 == 99:
                assert daemon.get("/metrics").status == 200
        assert daemon.open_files() - before <= 512 + 8
    finally:
        for connection in idle:
            connection.close()
    wait_for(lambda: daemon.open_files() <= before + 2, 20, "the descriptors to be closed")


# --- passwords ------------------------------------------------------------------------------------

def computed(daemon):
    return daemon.scrape().value("pgtls_web_password_checks_total")


def status(daemon, user, password, path="/metrics", **more):
    return daemon.request("GET", path, headers={"Authorization": basic(user, password)}, **more).status


def test_passwords(start):
    daemon = start(basic_auth_users={"prom": hashed("right"), "ümit": hashed("pässword:with:colons")},
                   authorization=("prom", "right"))
    for path in CLOSED:
        answer = daemon.request("GET", path)
        assert (answer.status, answer.text) == (401, "Unauthorized\n"), path
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert status(daemon, "prom", "wrong", path) == 401
        assert status(daemon, "prom", "right", path) != 401
    for path in OPEN:
        assert daemon.request("GET", path).status == 200
        assert status(daemon, "prom", "wrong", path) == 200
    assert status(daemon, "ümit", "pässword:with:colons") == 200
    for user, password in (("", "right"), ("prom", ""), ("PROM", "right"), ("prom ", "right"), ("prom", "right "),
                           ("prom", "right\0"), ("nobody", "right"), ("ümit", "right")):
        # What follows a NUL is not read; the password before it is the right one then.
        assert status(daemon, user, password) == (200 if "\0" in password else 401), (user, password)
    for header in ("Basic", "Basic ", "Basic !!!", "Basic cHJvbQ==", "Bearer cHJvbTpyaWdodA==", "cHJvbTpyaWdodA==",
                   "Basic " + "A" * 20000):
        assert daemon.request("GET", "/metrics", headers={"Authorization": header}).status in (401, 431), header
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert daemon.request(method, "/-/reload").status == 401
    assert daemon.request("POST", "/-/reload", headers={"Authorization": basic("prom", "right")}).status == 200
    assert daemon.request("POST", "/-/reload", body="x").status == 413


def test_each_answer_is_computed_once(start):
    """For somebody who does not exist as for somebody who does: who asks learns nothing from time."""
    daemon = start(basic_auth_users={"prom": hashed("right")}, authorization=("prom", "right"))
    assert computed(daemon) == 1
    for _ in range(3):
        assert status(daemon, "prom", "wrong") == 401
    assert computed(daemon) == 2
    for _ in range(3):
        assert status(daemon, "nobody", "right") == 401
    assert computed(daemon) == 3
    assert status(daemon, "nobody", "wrong") == 401
    assert computed(daemon) == 4
    for _ in range(3):
        assert daemon.request("GET", "/metrics").status == 401
    assert computed(daemon) == 4
    assert daemon.scrape().value("pgtls_web_refused_total", reason="password") == 10


def test_a_flood_of_wrong_passwords_stalls_no_scrape(start):
    """A second each to compute, from several addresses at once: who is known is served meanwhile."""
    daemon = start(basic_auth_users={"prom": hashed("right"), "slow": hashed("right", 14)},
                   authorization=("prom", "right"))
    assert daemon.get("/metrics").status == 200
    host, port = daemon.addresses[0].split(":")
    answers, flood = [], []

    def ask(i):
        connection = http.client.HTTPConnection(host, int(port), timeout=60, source_address=(f"127.0.1.{i % 4 + 1}", 0))
        try:
            connection.request("GET", "/metrics", headers={"Authorization": basic("slow", f"wrong {i}")})
            answers.append(connection.getresponse().status)
        except OSError:
            answers.append(0)
        finally:
            connection.close()

    for i in range(60):
        flood.append(threading.Thread(target=ask, args=(i,), daemon=True))
        flood[-1].start()
    refused = 60 - 4 * 8  # as many as may wait of each address do
    metrics = daemon.until(lambda m: m.value("pgtls_web_refused_total", reason="busy") >= refused - 8, 30)
    for _ in range(5):
        metrics = daemon.scrape()
    # Far fewer than wait have been computed by now.
    assert metrics.value("pgtls_web_password_checks_total") < 20
    # Those who still wait are told that it ends, at once, and are not waited for.
    begin = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - begin < 30
    for thread in flood:
        thread.join(30)
    assert set(answers) <= {401, 503, 0} and answers.count(503) >= 20


def test_a_hash_of_hours_does_not_hold_up_the_end(start):
    daemon = start(basic_auth_users={"prom": hashed("x", 4), "slow": hashed("x", 4).replace("$04$", "$28$")},
                   authorization=("prom", "x"))
    asker = threading.Thread(target=lambda: daemon.request("GET", "/", headers={"Authorization": basic("slow", "x")}),
                             daemon=True)
    asker.start()
    time.sleep(0.3)
    begin = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - begin < 30


# --- rate, headers --------------------------------------------------------------------------------

def test_rate(start):
    daemon = start(rate_limit={"interval": "30m", "burst": 3})
    seen = [daemon.request("GET", "/metrics").status for _ in range(5)]
    assert seen == [200, 200, 200, 429, 429]
    assert daemon.request("GET", "/").headers["Retry-After"]
    for path in OPEN:
        assert daemon.request("GET", path).status == 200


def test_rate_recovers(start):
    daemon = start(rate_limit={"interval": "200ms", "burst": 1})
    assert daemon.request("GET", "/metrics").status == 200
    wait_for(lambda: daemon.request("GET", "/metrics").status == 429, 5, "the limit")
    wait_for(lambda: daemon.request("GET", "/metrics").status == 200, 5, "room")


def test_headers(start):
    set_here = {"Content-Security-Policy": "default-src 'none'", "X-Frame-Options": "sameorigin",
                "X-Content-Type-Options": "nosniff", "X-XSS-Protection": "0",
                "Strict-Transport-Security": "max-age=31536000"}
    daemon = start(http_server_config={"http2": False, "headers": set_here},
                   basic_auth_users={"prom": hashed("x")}, authorization=("prom", "x"))
    for answer in (daemon.get("/"), daemon.get("/metrics"), daemon.get("/nothing"), daemon.request("GET", "/metrics"),
                   daemon.request("POST", "/metrics", body="x")):
        for name, value in set_here.items():
            assert answer.headers.get_all(name) == [value], (answer.status, name)


# --- with others ----------------------------------------------------------------------------------

def test_clients_that_prefer_http_2(start, pki):
    daemon = start({}, context=pki.context(), basic_auth_users={"prom": hashed("x")})
    curl = subprocess.run(["curl", "-sS", "--http2", "--cacert", pki.directory / "ca.crt", "-u", "prom:x", "-w",
                           "%{http_code} %{http_version}", "-o", "/dev/null", f"https://{daemon.addresses[0]}/metrics"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert curl.stdout == "200 1.1", curl.stderr


def test_prometheus_scrapes_with_certificate_and_password(lab, start, pki):
    daemon = start({"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": str(pki.directory / "ca.crt"),
                    "min_version": "TLS13"}, basic_auth_users={"prom": hashed("x", 10)},
                   context=pki.context(client="known"), authorization=("prom", "x"))
    common = {"scheme": "https", "static_configs": [{"targets": [daemon.addresses[0]]}]}
    tls = {"ca_file": str(pki.directory / "ca.crt"), "cert_file": str(pki.directory / "known.crt"),
           "key_file": str(pki.directory / "known.key")}
    hand_over(pki.directory)
    prometheus = lab.keep(Prometheus(lab.directory("prometheus"), {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {"job_name": "welcome", "tls_config": tls, "basic_auth": {"username": "prom", "password": "x"}, **common},
            {"job_name": "stranger", "tls_config": {"ca_file": tls["ca_file"]},
             "basic_auth": {"username": "prom", "password": "x"}, **common},
            {"job_name": "wrong", "tls_config": tls, "basic_auth": {"username": "prom", "password": "y"}, **common}]})).start()

    def up():
        found = {r["metric"]["job"]: r["value"][1] for r in prometheus.query("up")}
        return found if found.get("welcome") == "1" and len(found) == 3 else None
    assert wait_for(up, 30, "Prometheus to have scraped") == {"welcome": "1", "stranger": "0", "wrong": "0"}


# --- socket activation ----------------------------------------------------------------------------

def activated(tmp_path, sockets, count=None, pid="$$", flags="--web.systemd-socket"):
    """Started as systemd does it: the sockets as descriptors from 3 on, their number and the process
    they are meant for in the environment."""
    config = tmp_path / "pgtls.yml"
    config.write_text(json.dumps(TARGETS))
    moves = " ".join(f"{3 + i}<&{s.fileno() + 100}" for i, s in enumerate(sockets))
    environment = clean_environment()
    high = []
    for s in sockets:
        os.dup2(s.fileno(), s.fileno() + 100)
        os.set_inheritable(s.fileno() + 100, True)
        high.append(s.fileno() + 100)
    log = open(tmp_path / "activated.log", "ab")
    script = (f"exec {moves}; LISTEN_PID={pid} LISTEN_FDS={len(sockets) if count is None else count} "
              f"exec {BINARY} --config.file={config} {flags}")
    try:
        return subprocess.Popen(["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                env=environment, pass_fds=high)
    finally:
        log.close()
        for fd in high:
            os.close(fd)


def end(program):
    program.terminate()
    assert program.wait(30) == 0


def test_sockets_of_systemd(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        path = str(tmp_path / "s")
        unix.bind(path)
        unix.listen()
        asker = Exporter.__new__(Exporter)
        asker.tls = asker.authorization = None
        for _ in range(2):  # the sockets outlive it
            program = activated(tmp_path, [tcp, unix])
            try:
                for address in (f"127.0.0.1:{tcp.getsockname()[1]}", f"unix:{path}"):
                    answer = asker.request("GET", "/metrics", address=address, timeout=30)
                    assert answer.status == 200
            finally:
                end(program)
        log = (tmp_path / "activated.log").read_text()
        assert f"address=127.0.0.1:{tcp.getsockname()[1]}" in log and f"address=unix:{path}" in log
        assert Path(path).is_socket()


@pytest.mark.parametrize("change, words", [({"count": 0}, "no sockets were handed over"), ({"pid": "1"}, "no sockets were"),
                                           ({"count": 2}, "descriptor 4"), ({"count": 99}, "at most 16"),
                                           ({"count": "x"}, "no sockets were")])
def test_sockets_that_are_not_there(tmp_path, change, words):
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        program = activated(tmp_path, [tcp], **change)
        try:
            assert program.wait(30) == 1
        finally:
            program.kill()
    assert words in (tmp_path / "activated.log").read_text()


def datagram():
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    return one


def silent():
    """Bound, and nobody can connect: what systemd hands over of a unit without ListenStream=."""
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    return one


def packets():
    one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.bind("")
    one.listen()
    return one


@pytest.mark.parametrize("other", [datagram, silent, packets, lambda: open(os.devnull, "rb")])
def test_sockets_that_nobody_can_connect_to(tmp_path, other):
    """One of them is enough not to start, and it is said which one."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, other() as bad:
        program = activated(tmp_path, [tcp, bad])
        try:
            assert program.wait(30) == 1
        finally:
            program.kill()
    log = (tmp_path / "activated.log").read_text()
    assert "descriptor 4 that was handed over is no stream socket that listens" in log and "Accept=no" in log


def test_sockets_that_are_not_asked_for(tmp_path):
    """systemd has the address that the exporter wants for itself: it says what to do, but not to who starts it by hand."""
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        for pid, hinted in (("$$", True), ("1", False), ("x", False)):
            log = tmp_path / "activated.log"
            log.write_text("")
            program = activated(tmp_path, [tcp], pid=pid, flags=f"--web.listen-address=127.0.0.1:{tcp.getsockname()[1]}")
            try:
                assert program.wait(30) == 1
            finally:
                program.kill()
            assert "Address already in use" in log.read_text()
            assert ("served with --web.systemd-socket" in log.read_text()) == hinted, pid


def test_sockets_and_addresses_exclude_each_other(tmp_path):
    refused = run("--web.systemd-socket", "--web.listen-address=127.0.0.1:0", DATABASE_URL="postgresql://localhost")
    assert refused.returncode == 2 and "exclude each other" in refused.stderr
    assert re.search(r"--web\.systemd-socket", run("--help").stdout)
