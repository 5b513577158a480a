"""What the integration tests share: certificates, servers, exporters.

Servers are started once per file, on first use, and are gone when the file is done, also after a
failure. A server that is not installed is a failure, never a skip."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import certs, exporter as lab_exporter, process, servers
from misbehave import Misbehaving

PASSWORD = "correct horse 'battery' staple"

# One role per way to get in; every test that needs PostgreSQL uses these.
ROLES = ("u_trust", "u_password", "u_md5", "u_scram", "u_cert", "u_reject", "u_noentry", "u_sslonly",
         "u_plainonly", "u_plainreject")

def _hba():
    lines = []
    for network in ("127.0.0.0/8", "::1/128"):
        for kind, role, method in (
                ("host", "u_trust", "trust"), ("host", "u_password", "password"),
                ("host", "u_md5", "md5"), ("host", "u_scram", "scram-sha-256"),
                ("hostssl", "u_cert", "cert"), ("host", "u_reject", "reject"),
                ("hostssl", "u_sslonly", "trust"), ("hostnossl", "u_plainonly", "trust"),
                ("hostnossl", "u_plainreject", "reject"), ("hostssl", "u_plainreject", "trust"),
                ("host", "postgres", "trust")):
            lines.append(f"{kind} all {role} {network} {method}")
    return "\n".join(["local all u_trust trust", *lines]) + "\n"


HBA = _hba()


def create_roles(postgres):
    quoted = PASSWORD.replace("'", "''")
    for encryption, roles in (("md5", ["u_md5"]), ("scram-sha-256", [r for r in ROLES if r != "u_md5"])):
        postgres.sql(f"set password_encryption = '{encryption}'; " + "; ".join(
            f"create role {role} login password '{quoted}'" for role in roles))
    postgres.sql("create database app")


@dataclass
class Trust:
    """Who signs what in this session, and the files that clients trust."""
    root: certs.Authority
    intermediate: certs.Authority
    other: certs.Authority
    directory: Path

    def __post_init__(self):
        self.root_file = self.root.write_certificate(self.directory / "root.crt")
        self.other_file = self.other.write_certificate(self.directory / "other.crt")
        client = self.root.issue("u_cert", client=True)
        self.client = client
        self.client_cert, self.client_key = client.write(self.directory, "client")

    def file(self, name, *certificates):
        """A trust file of these certificates."""
        path = self.directory / f"{name}.pem"
        path.write_bytes(b"".join(c.certificate_pem for c in certificates))
        return path


@pytest.fixture(scope="session")
def scratch():
    with process.temporary_directory() as directory:
        yield directory


@pytest.fixture
def tmp_path(scratch, request):
    """pytest's own would leave its directories behind."""
    path = scratch / f"tmp-{id(request)}"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def trust(scratch):
    directory = scratch / "trust"
    directory.mkdir()
    root = certs.Authority()
    return Trust(root, certs.Authority("Laboratory Intermediate", parent=root),
                 certs.Authority("Somebody Else"), directory)


@pytest.fixture(scope="session")
def lab(scratch, trust):
    laboratory = Laboratory(scratch, trust)
    yield laboratory
    laboratory.close()


class Laboratory:
    """Servers by what they are, started when first asked for."""

    def __init__(self, scratch, trust):
        self.scratch, self.trust = scratch, trust
        self._shared = {}
        self._open = []
        self._numbers = itertools.count(1)

    def directory(self, name):
        return self.scratch / f"{name}-{next(self._numbers)}"

    def keep(self, server):
        """Closed at the end of the session, in reverse order."""
        self._open.append(server)
        return server

    def new_postgres(self, version=15, credentials="default", roles=True, **more):
        """A PostgreSQL of its own, with the roles and pg_hba.conf of this file."""
        if credentials == "default":
            credentials = self.trust.root.issue()
        more.setdefault("hba", HBA)
        more.setdefault("client_ca", self.trust.root.certificate_pem)
        server = self.keep(servers.Postgres(version, self.directory(f"pg{version}"),
                                            credentials=credentials, scratch=self.scratch, **more))
        server.start()
        if roles:
            create_roles(server)
        return server

    def postgres(self, version=15):
        """The shared PostgreSQL of a version: TLS, every authentication method."""
        return self.shared(f"postgres-{version}", lambda: self.new_postgres(version))

    def new_pgbouncer(self, backend=None, **more):
        more.setdefault("credentials", self.trust.root.issue())
        more.setdefault("users", {role: PASSWORD for role in ROLES})
        return self.keep(servers.PgBouncer(self.directory("pgbouncer"), backend or self.postgres(),
                                           **more)).start()

    def pgbouncer(self):
        """The shared PgBouncer in front of the shared PostgreSQL 15: TLS, trust, scram below."""
        return self.shared("pgbouncer", self.new_pgbouncer)

    def misbehave(self, behaviour, credentials=None, **more):
        """A misbehaving server with a good certificate."""
        if credentials is None:
            files = self.shared("misbehave-files",
                                lambda: self.trust.root.issue().write(self.scratch, "misbehave"))
        else:
            files = credentials.write(self.scratch, f"misbehave-{next(self._numbers)}")
        return self.keep(Misbehaving(behaviour, *files, **more)).start()

    def shared(self, key, make):
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def close(self):
        for server in reversed(self._open):
            server.close()


def _exporters(scratch, name):
    """Starts exporters; every one of them must end with status 0 and without a sanitizer's report,
    unless the test itself has stopped it."""
    started = []
    numbers = itertools.count(1)

    def start(configuration=None, **more):
        one = lab_exporter.Exporter(scratch / f"{name}-{next(numbers)}", configuration, **more)
        started.append(one)
        return one

    yield start
    problems = []
    for one in started:
        was_running = one.program.running()
        status = one.stop()
        if was_running and status != 0:
            problems.append(f"exit status {status}:\n{one.log()[-3000:]}")
    assert not problems, "\n".join(problems)


@pytest.fixture
def exporter(scratch, request):
    """A function that starts an exporter for this test."""
    yield from _exporters(scratch, re.sub(r"\W+", "-", request.node.name)[:60] + f"-{id(request)}")


@pytest.fixture(scope="module")
def shared_exporter(scratch, request):
    """A function that starts an exporter for all tests of this file."""
    yield from _exporters(scratch, request.module.__name__)


@pytest.fixture(scope="session")
def password_file(scratch):
    path = scratch / "password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


def pytest_sessionfinish(session):
    """A test that was skipped has not passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
