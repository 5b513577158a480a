"""The audit of secrets: one of its own in every place that may hold one, every way in which a server fails, every
page and command, at the level of log that says most; and then none is found anywhere. (What is left in memory after
logins is in test_secrets.py.)"""

import json
import os
import re
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from lab import memory
from lab.exporter import BINARY, basic, endpoint_of
from lab.process import clean_environment
from lab.servers import ROOT
from lab.service import Inventory
from misbehave import BEHAVIOURS
from test_web_security import hashed

SHORT = {"interval": "1s", "timeout": "1s", "login": {"interval": "1s"}}
MARK = os.urandom(8).hex()
CLASSES = {"network", "protocol", "ssl_close", "certificate", "hba", "auth", "capacity", "unavailable"}

# Keys of the configuration that take a text or a path in which nobody has a secret. Every other one is planted.
HOLD_NONE = {
    "name", "template", "user", "user_file", "dbname", "sslrootcert", "sslcrl", "sslcert", "options", "application_name",
    "certificate_file", "maintenance", "fault", "class", "cluster", "endpoint", "ca_file", "cert_file"}
# Flags that take anything but a number or one of some words; what they name is planted, or no place for a secret.
OPEN_FLAGS = {"--config.file": "FILE", "--config.show": "CLUSTER", "--web.config.file": "FILE",
              "--web.listen-address": "ADDRESS", "--web.telemetry-path": "PATH"}


class Secrets:
    """Unique ones, each known by its place; all end alike, so that one look finds any."""

    def __init__(self, directory):
        self.directory, self.by_place = directory, {}

    def new(self, place):
        return self.by_place.setdefault(place, f"planted{len(self.by_place)}x{os.urandom(6).hex()}{MARK}")

    def file(self, place, text="{}"):
        path = self.directory / place
        path.write_text(text.format(self.new(place)))
        path.chmod(0o600)
        return str(path)

    def key(self, place, pem):
        """What tells this private key from all others: a line of it."""
        self.by_place[place] = pem.decode().splitlines()[2]

    def found_in(self, text):
        """In clear, or as Basic authentication and a dump would have it."""
        text = text if isinstance(text, bytes) else text.encode()
        return sorted({place for places_, *_ in memory.found_in(self.by_place, "", text) for place in places_})


def locked_key(secrets, place, key_file):
    key = serialization.load_pem_private_key(Path(key_file).read_bytes(), None)
    path = secrets.directory / f"{place}.pem"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.BestAvailableEncryption(secrets.new(place).encode())))
    path.chmod(0o600)
    return str(path)


def places(secrets, server, trust):
    """Endpoint by place. No password is right: each is sent, refused, and told of."""
    at = f"{server.address}:{server.port}"
    scram = endpoint_of(server, user="u_scram", dbname="app")
    cert = {"user": "u_cert", "dbname": "app", "sslcert": str(trust.client_cert), **endpoint_of(server)}
    return {
        "inline": {**scram, "password": secrets.new("inline")},
        "file": {**scram, "password_file": secrets.file("file")},
        "env": {**scram, "password_env": "PLANTED_PASSWORD"},
        "passfile": {**scram, "passfile": secrets.file("passfile", "*:*:*:*:{}\n")},
        "dsn": {"dsn": f"postgresql://u_scram:{secrets.new('dsn')}@{at}/app"},
        "dsn_words": {"dsn": f"host={server.address} port={server.port} user=u_scram dbname=app "
                             f"password={secrets.new('dsn_words')}"},
        "dsn_jdbc": {"dsn": f"jdbc:postgresql://{at}/app?user=u_scram&password={secrets.new('dsn_jdbc')}"},
        "dsn_file": {"dsn_file": secrets.file("dsn_file", f"postgresql://u_scram:{{}}@{at}/app")},
        "dsn_env": {"dsn_env": "PLANTED_DSN"},
        "key_inline": {**cert, "sslkey": locked_key(secrets, "key_inline", trust.client_key),
                       "sslpassword": secrets.new("key_inline")},
        "key_file": {**cert, "sslkey": locked_key(secrets, "key_file", trust.client_key),
                     "sslpassword_file": secrets.file("key_file")},
        "key_env": {**cert, "sslkey": locked_key(secrets, "key_env", trust.client_key),
                    "sslpassword_env": "PLANTED_PASSPHRASE"},
        "key_wrong": {**cert, "sslkey": locked_key(secrets, "key_right", trust.client_key),
                      "sslpassword": secrets.new("key_wrong")},
        "key_plain": {**cert, "sslkey": str(trust.client_key)},
        "clear": {**endpoint_of(server), "user": "u_password", "dbname": "app", "allow_auth": ["password"],
                  "password": secrets.new("clear")},
        "md5": {**endpoint_of(server), "user": "u_md5", "dbname": "app", "allow_auth": ["md5"],
                "password": secrets.new("md5")},
        "two_lines": {**scram, "password_file": secrets.file("two_lines", "{}\nand more\n")},
    }


def bad_places(secrets, lab, server, trust):
    """Where no login is ever begun."""
    found = {name: (lab.misbehave(name).address, lab.misbehave(name).port, {}) for name in BEHAVIOURS}
    found["refused"] = ("127.0.0.1", 1, {})
    found["untrusted"] = (server.address, server.port, {"sslrootcert": str(trust.other_file)})
    found["rejected"] = (server.address, server.port, {"user": "u_reject"})
    return {f"bad_{name}": {"host": host, "port": port, "user": "u", "dbname": "d", "allow_auth": ["password", "md5"],
                            "password": secrets.new(f"bad_{name}"), **more} for name, (host, port, more) in found.items()}


def web_configuration(secrets, trust, path):
    """HTTPS whose key stands in the file itself; the context to ask it with."""
    web = trust.root.issue()
    secrets.by_place["web_hash"] = hashed(secrets.new("web_password"))
    secrets.key("web_key", web.key_pem)
    path.write_text(json.dumps({
        "tls_server_config": {"cert": web.chain_pem.decode(), "key": web.key_pem.decode()},
        "basic_auth_users": {"prom": secrets.by_place["web_hash"]}}))
    return ssl.create_default_context(cafile=trust.root_file)


@pytest.fixture
def planted(lab, trust, tmp_path, exporter):
    """The exporter with all of them, once everything has been tried."""
    secrets = Secrets(tmp_path / "secrets")
    secrets.directory.mkdir()
    server = lab.postgres()
    secrets.key("key_plain", trust.client_key.read_bytes())
    endpoints = {**places(secrets, server, trust), **bad_places(secrets, lab, server, trust)}
    level = endpoint_of(server, user="u_scram", dbname="app")
    targets = tmp_path / "targets.json"
    targets.write_text(json.dumps([{"targets": [f"{server.address}:{server.port}"], "labels": {"pg_cluster": "found"}}]))
    inventory = Inventory([])
    module = {"sslmode": "verify-full", "sslrootcert": str(trust.root_file), "allow_targets": ["127.0.0.0/8:*"],
              "user": "u_scram", "dbname": "app", "timeout": "5s"}
    configuration = {
        "defaults": {**SHORT, "sslrootcert": str(trust.root_file)},
        "templates": {"found": {"user": "u_scram", "dbname": "app", "password": secrets.new("template")}},
        "clusters": [{"name": "lab", "endpoints": endpoints},
                     {"name": "level", "password": secrets.new("cluster"), "endpoints": {"level": level}}],
        "discovery": [
            {"http_sd": {"url": inventory.url, "user": "sd", "password_file": secrets.file("sd_password"),
                         "refresh_interval": "1s"}},
            {"http_sd": {"url": inventory.url + "1", "user": "sd", "password_env": "PLANTED_SD_PASSWORD",
                         "refresh_interval": "1s"}},
            {"http_sd": {"url": inventory.url + "2", "bearer_file": secrets.file("sd_bearer"),
                         "refresh_interval": "1s"}},
            {"http_sd": {"url": inventory.url + "3", "bearer_env": "PLANTED_SD_BEARER", "refresh_interval": "1s"}},
            {"http_sd": {"url": "https" + inventory.url[4:], "cert_file": str(trust.client_cert),
                         "key_file": str(trust.client_key), "refresh_interval": "1s"}},
            {"http_sd": {"url": f"{inventory.url}?token={secrets.new('sd_query')}", "refresh_interval": "1s"}},
            {"file_sd": {"files": [str(targets)], "refresh_interval": "1s"}, "template": "found"}],
        "modules": {"inline": {**module, "password": secrets.new("module")},
                    "file": {**module, "password_file": secrets.file("module_file")},
                    "passfile": {**module, "passfile": secrets.file("module_passfile", "*:*:*:*:{}\n")},
                    "key": {**module, "user": "u_cert", "sslcert": str(trust.client_cert),
                            "sslkey": locked_key(secrets, "module_key", trust.client_key),
                            "sslpassword": secrets.new("module_key")},
                    "env": {**module, "password_env": "PLANTED_MODULE"}}}
    environment = {name: secrets.new(place) for name, place in (
        ("PLANTED_PASSWORD", "env"), ("PLANTED_PASSPHRASE", "key_env"), ("PLANTED_MODULE", "module_env"),
        ("PLANTED_SD_PASSWORD", "sd_password_env"), ("PLANTED_SD_BEARER", "sd_bearer_env"))}
    environment["PLANTED_DSN"] = f"postgresql://u_scram:{secrets.new('dsn_env')}@{server.address}:{server.port}/app"
    web = tmp_path / "web.yml"
    context = web_configuration(secrets, trust, web)
    daemon = exporter(configuration, environment=environment, log_level="debug",
                      arguments=[f"--web.config.file={web}"], tls=context,
                      authorization=("prom", secrets.by_place["web_password"]))
    yield secrets, daemon, server, inventory, environment
    inventory.close()


def all_paths(daemon, server, asked=""):
    """Every page, and what its links lead to; `asked`: a secret that somebody who asks puts where none belongs."""
    at = f"{server.address}:{server.port}"
    yield from ("/", "/metrics", "/health/database", "/health/database?brief=1", "/config", "/-/healthy", "/-/ready",
                "/nothing", "/health/database/lab/inline", "/server?cluster=lab&endpoint=inline",
                "/fault?id=auth_password_wrong", f"/?token={asked}", f"/nothing?token={asked}",
                f"/probe?target=postgresql://u:{asked}@{at}/app", f"/probe?target={at}&module=inline&password={asked}",
                f"/health/database?token={asked}", f"/metrics?token={asked}")
    for module in ("inline", "file", "passfile", "key", "env"):
        for debug in ("", "&debug=true"):
            yield f"/probe?target={at}&module={module}{debug}"
    yield from sorted({link.replace("&amp;", "&") for link in daemon.get("/").text.split('"')
                       if link.startswith("/") and "inline" in link})


def all_pages(daemon, server, asked="", wrong="wrong"):
    """Path → everything that was answered."""
    for path in all_paths(daemon, server, asked):
        answer = daemon.get(path)
        yield path, answer.body + str(answer.headers).encode()
    for kind in ("application/openmetrics-text", "application/vnd.google.protobuf;"
                 "proto=io.prometheus.client.MetricFamily;encoding=delimited"):
        yield kind, daemon.get("/metrics", Accept=kind).body
    for header in (basic("prom", wrong), f"Bearer {wrong}"):
        refused = daemon.request("GET", "/", headers={"Authorization": header})
        assert refused.status == 401
        yield "a wrong password", refused.body + str(refused.headers).encode()
    reload = daemon.request("POST", "/-/reload", headers={"Authorization": basic(*daemon.authorization)})
    yield "reload", reload.body


def all_commands(secrets, daemon, server, environment):
    file = f"--config.file={daemon.file}"
    broken, url = daemon.directory / "broken.yml", daemon.directory / "url.yml"
    broken.write_text(daemon.file.read_text().replace('"interval"', '"intervall"').replace('"password"', '"pasword"'))
    url.write_text(json.dumps({"discovery": [{"http_sd": {"url": f"http://u:{secrets.new('sd_url')}@127.0.0.1:1/"}}]}))
    at = f"u_scram:{secrets.new('command')}@{server.address}:{server.port}"
    words = (f"host={server.address} port={server.port} user=u_scram password={secrets.by_place['command']}")
    alone = {"DATABASE_URL": f"postgresql://{at}/app?sslmode=require"}
    wrong = {"DATABASE_URL": f"postgresql://{at}/app?sslmode=none&no=such"}
    service = daemon.directory / "service.conf"
    service.write_text(f"[one]\n{words.replace(' ', chr(10))}\n")
    from_service = {"PGSERVICEFILE": str(service)}
    typed = {"PGPASSWORD": secrets.new("PGPASSWORD")}
    for argv, more in ((["--config.check", file], environment), (["--config.show", file], environment),
                       (["--config.check", f"--config.file={broken}"], environment),
                       (["--config.check", f"--config.file={url}"], {}),
                       (["list", file, "--json"], environment), (["list", file], environment),
                       (["probe", file, "lab/inline"], environment), (["probe", file, "lab/dsn", "--json"], environment),
                       (["probe", file, "lab/key_wrong"], environment), (["list"], alone), (["list"], wrong),
                       (["--config.show"], alone), (["--config.check"], wrong), (["probe", "DATABASE_URL"], alone),
                       (["probe", f"postgresql://{at}/app?sslmode=require"], {}), (["probe", f"{words} sslmode=require"], {}),
                       (["probe", f"postgresql://{at}/app?no=such", "--json"], {}), (["probe", f"{words} no=such"], {}),
                       (["probe", f"jdbc:postgresql://{at}"], {}), (["probe", "--no-such", f"postgresql://{at}"], {}),
                       (["probe", f"postgresql://{at}:"], {}), ([f"postgresql://{at}"], {}),
                       (["probe", "service=one"], from_service),
                       (["probe", f"postgresql://u_scram@{server.address}:{server.port}/app?sslmode=require"], typed)):
        done = subprocess.run([BINARY, *argv], env=clean_environment(**more), capture_output=True, timeout=60,
                              check=False)
        yield " ".join(argv), done.stdout + done.stderr


def test_every_place_and_every_page(planted):
    secrets, daemon, server, inventory, environment = planted
    metrics = daemon.until(lambda m: not missing(m), 60, lambda m: f"all to be tried: {missing(m)}")
    assert {labels["class"] for labels, _ in metrics.all("pgtls_fault_active")} == CLASSES
    assert sum("Authorization" in headers for headers in inventory.asked) >= 4, "where secrets must have gone"
    found = {}
    for where, text in [*all_pages(daemon, server, secrets.new("asked"), secrets.new("wrong")),
                        *all_commands(secrets, daemon, server, environment),
                        *((name, Path(f"/proc/{daemon.pid}/{name}").read_bytes())
                          for name in ("cmdline", "environ", "comm")),
                        ("log", daemon.log())]:
        if secrets.found_in(text):
            found[where] = secrets.found_in(text)
    assert not found
    assert "level=DEBUG" in daemon.log()
    # The search finds what is there.
    assert secrets.found_in(daemon.file.read_text())
    assert secrets.found_in(f"{ROOT}{secrets.by_place['file']}") == ["file"]
    assert secrets.found_in(basic("prom", secrets.by_place["wrong"]))


def printed(*words):
    program = os.environ["PGTLS_DOCS"] if words == ("configuration",) else BINARY
    return subprocess.run([program, *words], text=True, capture_output=True, check=True, timeout=30).stdout


def keys_in(value):
    """Every key of a configuration, however deep."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield key
        yield from keys_in(inner)


def test_no_place_is_forgotten(planted):
    """A key, a flag or a page that is new has to be planted, or said to have nothing to hide."""
    _, daemon, server, *_ = planted
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", printed("configuration"), re.MULTILINE)
    texts = {key for key, value in rows if value.startswith(("text", "path"))}
    assert len(texts) > 30 and HOLD_NONE <= texts
    assert texts - HOLD_NONE - set(keys_in(json.loads(daemon.file.read_text()))) == set()
    flags = {}
    for words in (("--help",), ("probe", "--help"), ("list", "--help")):
        flags |= dict(re.findall(r"^  (--[\w.-]+)[= ]\[?([A-Z]+)", printed(*words), re.MULTILINE))
    assert {flag: value for flag, value in flags.items()
            if value not in ("N", "SECONDS", "DURATION", "LEVEL", "FORMAT", "WHEN")} == OPEN_FLAGS
    pages = set(re.findall(r"`(/[^`]*)`", "".join(
        re.findall(r"^\| `/.*", (ROOT / "docs" / "flags.md").read_text(), re.MULTILINE))))
    asked = {path.partition("?")[0] for path in all_paths(daemon, server)} | {"/-/reload"}
    assert {"/", "/server", "/fault", "/probe"} <= pages <= asked


def missing(metrics):
    """Endpoints of which no inspect has ended yet, or, of those at the good server, no login."""
    return [labels["pg_endpoint"] for labels, value in metrics.all("pgtls_probes_total")
            if value == 0 and not metrics.sum("pgtls_probe_internal_errors_total", pg_endpoint=labels["pg_endpoint"])
            and (labels["probe"] == "inspect" or not labels["pg_endpoint"].startswith("bad_"))]
