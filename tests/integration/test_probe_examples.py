"""The examples of docs/probe.md are real runs: each is run again here, and must still look the same but for
times, dates, ports and digests. To print them anew into the page:

    PGTLS_PRINT_EXAMPLES=1 python3 -m pytest tests/integration/test_probe_examples.py
"""

import json
import os
import re

import pytest

from lab import certs, exporter as lab_exporter
from lab.servers import ROOT

PAGE = ROOT / "docs" / "probe.md"
BLOCK = re.compile(r"(<!-- example: (\w+) -->\n( *)```\n)(.*?)(^ *```$)", re.M | re.S)

# What differs from run to run, and what stands for it.
VARIES = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\dZ| UTC)", "DATE"), (r"\d+(\.\d+)? (ms|s)\b", "TIME"),
    (r"[█▏]+", "BAR"), (r"\b[0-9a-f]{64}\b", "SHA256"), (r":\d{4,5}\b", ":PORT"),
    (r"\b\d+ days left", "N days left"), (r"pgtls_exporter \d+\.\d+\.\d+", "pgtls_exporter VERSION"),
    (r"PostgreSQL 15\.\d+ \([^)]*\)|PostgreSQL 15\.\d+", "PostgreSQL 15"), (r" +", " "))


def shape(text):
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return [line.strip() for line in text.strip().splitlines()]


def section(title, text):
    """One section of a report with its title."""
    return re.search(rf"^{title}\n(?:  .*\n|\n(?=  . ))+", text, re.M)[0]


class Runs:
    """The examples by name. The names of hosts lead to servers of the laboratory."""

    def __init__(self, lab, trust, scratch):
        root = certs.Authority("Example Root CA")
        issuing = certs.Authority("Example Issuing CA", parent=root)
        good = issuing.issue("db.example.com", hosts=["db.example.com", "*.db.example.com"])
        # In the role of the system's certificates, so that the root is not sent but found.
        self.environment = {"LC_ALL": "C.UTF-8", "SSL_CERT_FILE": str(root.write_certificate(scratch / "system.pem"))}
        self.closed_port = lab.misbehave("notify_after_startup", good).port
        self.good_port = lab.new_postgres(credentials=good, client_ca=None).port
        self.own_port = lab.new_postgres(
            credentials=certs.self_signed("db.managed.example", hosts=["db.managed.example"]), client_ca=None,
            roles=False, hba="hostnossl all all 127.0.0.0/8 reject\nhostssl all all 127.0.0.0/8 trust\n").port
        self.file = scratch / "pgtls.yml"
        self.file.write_text(json.dumps(self.configuration()))

    def configuration(self):
        def at(host, port, **more):
            return {"host": host, "hostaddr": "127.0.0.1", "port": port, **more}
        return {
            "defaults": {"dbname": "app", "user": "u_trust"},
            "clusters": [
                {"name": "orders", "endpoints": {
                    "write": at("write.db.example.com", self.good_port, promise={"read_only": False}),
                    "read": at("read.db.example.com", self.good_port, promise={
                        "read_only": True, "pooled": False, "max_lag": "30s", "addresses": ["192.0.2.0/24"]}),
                    "admin": at("admin.db.example.com", self.good_port, user="u_reject"),
                    "public": at("db.example.com", self.closed_port)}},
                {"name": "legacy", "endpoints": {"write": at("legacy.example.com", self.good_port)}}]}

    def run(self, *arguments):
        return lab_exporter.run(*arguments, **self.environment).stdout

    def of_string(self, host, port, **more):
        parameters = {"host": host, "hostaddr": "127.0.0.1", "port": port, **more}
        return self.run("probe", " ".join(f"{key}={value}" for key, value in parameters.items()))

    def closed(self):
        return self.of_string("db.example.com", self.closed_port, user="app", dbname="app", sslmode="verify-full")

    def sslmodes(self):
        return section("sslmodes that work", self.of_string(
            "db.managed.example", self.own_port, user="postgres", dbname="postgres", sslmode="require"))

    def promises(self):
        text = self.run("probe", f"--config.file={self.file}", "orders/read")
        return text.split("\n\n")[0] + "\n\n" + section("Promises", text)

    def pinned(self):
        file = self.file.with_name("pinned.yml")
        server = {"host": "db.managed.example", "hostaddr": "127.0.0.1", "port": self.own_port, "user": "postgres",
                  "dbname": "postgres", "sslmode": "require"}

        def probe(**more):
            file.write_text(json.dumps({"clusters": [{"name": "managed", **server, **more}]}))
            return self.run("probe", f"--config.file={file}", "managed")
        pin = re.search(r"key pin ([0-9a-f]{64})", probe())[1]
        text = probe(pin_sha256=pin)
        head = re.search(r"  sslmode .*\n(?: {10,}.*\n)*", text)[0]
        return head + "\n" + section("Certificates", text)

    def all(self):
        return self.run("probe", f"--config.file={self.file}", "--all")

    def list(self):
        return self.run("list", f"--config.file={self.file}")


@pytest.fixture(scope="module")
def runs(lab, trust, scratch):
    return Runs(lab, trust, scratch)


def indented(text, by):
    return "".join(f"{by}{line}".rstrip() + "\n" for line in text.strip("\n").split("\n"))


def test_the_examples_are_real_runs(runs):
    page = PAGE.read_text()
    names = [name for _, name, *_ in BLOCK.findall(page)]
    assert sorted(names) == ["all", "closed", "list", "pinned", "promises", "sslmodes"]
    if os.environ.get("PGTLS_PRINT_EXAMPLES"):
        PAGE.write_text(BLOCK.sub(
            lambda m: m[1] + indented(getattr(runs, m[2])(), m[3]) + m[5], page))
        return
    for _, name, _, shown, _ in BLOCK.findall(page):
        assert shape(shown) == shape(getattr(runs, name)()), name
