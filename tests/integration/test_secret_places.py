"""The audit of secrets: one of its own in every place that may hold one, every way in which a server fails, every
page and command, at the level of log that says most; and then none is found anywhere. (What is left in memory after
logins is in test_secrets.py.)"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from lab.exporter import BINARY, basic, endpoint_of
from lab.process import clean_environment
from lab.servers import ROOT
from misbehave import BEHAVIOURS
from test_discovery import Inventory
from test_web_security import hashed

SHORT = {"interval": "1s", "timeout": "1s", "login": {"interval": "1s"}}


MARK = os.urandom(8).hex()


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

    def found_in(self, text):
        text = text if isinstance(text, bytes) else text.encode()
        return [place for place, secret in self.by_place.items() if secret.encode() in text]


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
        "key_wrong": {**cert, "sslkey": locked_key(secrets, "key_right", trust.client_key),
                      "sslpassword": secrets.new("key_wrong")},
        "clear": {**endpoint_of(server), "user": "u_password", "dbname": "app", "allow_auth": ["password"],
                  "password": secrets.new("clear")},
        "md5": {**endpoint_of(server), "user": "u_md5", "dbname": "app", "allow_auth": ["md5"],
                "password": secrets.new("md5")},
    }


@pytest.fixture
def planted(lab, trust, tmp_path, exporter):
    """The exporter with all of them, once everything has been tried."""
    secrets = Secrets(tmp_path / "secrets")
    secrets.directory.mkdir()
    server = lab.postgres()
    endpoints = places(secrets, server, trust)
    for name in BEHAVIOURS:
        endpoints[f"bad_{name}"] = endpoint_of(lab.misbehave(name), user="u", dbname="d",
                                               password=secrets.new(f"bad_{name}"), allow_auth=["password", "md5"])
    inventory = Inventory([])
    module = {"sslmode": "verify-full", "sslrootcert": str(trust.root_file), "allow_targets": ["127.0.0.0/8:*"],
              "user": "u_scram", "dbname": "app", "timeout": "5s"}
    configuration = {
        "defaults": {**SHORT, "sslrootcert": str(trust.root_file)},
        "clusters": [{"name": "lab", "endpoints": endpoints}],
        "discovery": [
            {"http_sd": {"url": inventory.url, "user": "sd", "password_file": secrets.file("sd_password"),
                         "refresh_interval": "1s"}},
            {"http_sd": {"url": inventory.url + "2", "bearer_file": secrets.file("sd_bearer"),
                         "refresh_interval": "1s"}},
            {"http_sd": {"url": f"{inventory.url}?token={secrets.new('sd_query')}", "refresh_interval": "1s"}}],
        "modules": {"inline": {**module, "password": secrets.new("module")},
                    "file": {**module, "password_file": secrets.file("module_file")},
                    "env": {**module, "password_env": "PLANTED_MODULE"}}}
    environment = {"PLANTED_PASSWORD": secrets.new("env"), "PLANTED_MODULE": secrets.new("module_env"),
                   "PLANTED_DSN": f"postgresql://u_scram:{secrets.new('dsn_env')}@{server.address}:{server.port}/app"}
    secrets.by_place["web_hash"] = hashed(secrets.new("web_password"))
    web = tmp_path / "web.yml"
    web.write_text(json.dumps({"basic_auth_users": {"prom": secrets.by_place["web_hash"]}}))
    daemon = exporter(configuration, environment=environment, log_level="debug",
                      arguments=[f"--web.config.file={web}"],
                      authorization=("prom", secrets.by_place["web_password"]))
    yield secrets, daemon, server, inventory, environment
    inventory.close()


def all_pages(daemon, server):
    """Path → everything that was answered."""
    paths = ["/", "/metrics", "/health/database", "/health/database?brief=1", "/config", "/-/healthy", "/-/ready",
             "/nothing", "/health/database/lab/inline",
             *(f"/probe?target={server.address}:{server.port}&module={module}{debug}"
               for module in ("inline", "file", "env") for debug in ("", "&debug=true"))]
    page = daemon.get("/").text
    paths += sorted({link for link in page.split('"') if link.startswith("/") and "inline" in link})
    for path in paths:
        answer = daemon.get(path)
        yield path, answer.body + str(answer.headers).encode()
    for kind in ("application/openmetrics-text", "application/vnd.google.protobuf;"
                 "proto=io.prometheus.client.MetricFamily;encoding=delimited"):
        yield kind, daemon.get("/metrics", Accept=kind).body
    wrong = daemon.request("GET", "/", headers={"Authorization": basic("prom", "wrong")})
    yield "a wrong password", wrong.body + str(wrong.headers).encode()
    reload = daemon.request("POST", "/-/reload", headers={"Authorization": basic(*daemon.authorization)})
    yield "reload", reload.body


def all_commands(daemon, environment):
    file = f"--config.file={daemon.file}"
    broken = daemon.directory / "broken.yml"
    broken.write_text(daemon.file.read_text().replace('"interval"', '"intervall"').replace('"password"', '"pasword"'))
    for words in (["--config.check", file], ["--config.show", file], ["--config.check", f"--config.file={broken}"],
                  ["list", file, "--json"], ["list", file], ["probe", file, "lab/inline"],
                  ["probe", file, "lab/dsn", "--json"], ["probe", file, "lab/key_wrong"]):
        done = subprocess.run([BINARY, *words], env=clean_environment(**environment), capture_output=True, timeout=60,
                              check=False)
        yield " ".join(words), done.stdout + done.stderr


def test_every_place_and_every_page(planted):
    secrets, daemon, server, inventory, environment = planted
    metrics = daemon.until(lambda m: not missing(m), 60, lambda m: f"all to be tried: {missing(m)}")
    assert {labels["class"] for labels, _ in metrics.all("pgtls_fault_active")} >= {
        "protocol", "ssl_close", "auth", "capacity", "unavailable"}
    assert any("Authorization" in headers for headers in inventory.asked), "where secrets must have gone"
    found = {}
    for where, text in [*all_pages(daemon, server), *all_commands(daemon, environment),
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


def missing(metrics):
    """Endpoints of which no inspect has ended yet, or, of those at the good server, no login."""
    return [labels["pg_endpoint"] for labels, value in metrics.all("pgtls_probes_total")
            if value == 0 and not metrics.sum("pgtls_probe_internal_errors_total", pg_endpoint=labels["pg_endpoint"])
            and (labels["probe"] == "inspect" or not labels["pg_endpoint"].startswith("bad_"))]
