"""The servers behind the fault catalogue: every one of them real, and wrong in one way.

A World starts what a row asks for when it is first asked for, and ends all of it. Rows and their
expectations are in catalogue.py.
"""

import os
import signal
import socket
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from misbehave import Misbehaving

from . import certs, locales
from .process import Port, Program, accepts, drop_privileges, wait_for
from .servers import PgBouncer, Postgres, Server, _find, conninfo, psql, psql_started

PASSWORD = "correct-horse"  # nothing to quote: other tools' readers are not what is compared
TLS_SETTINGS = {"authentication_timeout": "2s"}

# Role → how pg_hba.conf treats it, over TLS and in clear; what is missing here has no entry at all.
METHODS = (
    ("host", "u_reject", "reject"), ("hostssl", "u_plainreject", "trust"),
    ("hostnossl", "u_plainreject", "reject"), ("hostssl", "u_sslonly", "trust"),
    ("host", "u_trust,u_ghost,u_nologin,u_limited,u_stranger,u_slow,u_killed,u_mistaken", "trust"),
    ("host", "u_scram", "scram-sha-256"), ("host", "u_password", "password"), ("hostssl", "u_cert", "cert"),
    ("hostssl", "u_full", "scram-sha-256 clientcert=verify-full"), ("host", "u_gss", "gss"),
    ("host", "u_ident", "ident"), ("host", "postgres", "trust"),
)
SETUP = """
create role u_nologin nologin;
create role u_limited login connection limit 0;
create role u_slow login; alter role u_slow set statement_timeout = '300ms';
create database app; create database closed_db; create database private; create database crowded;
create database damaged; create database locked; create database noquery;
alter database closed_db allow_connections false;
alter database crowded connection limit 0;
revoke connect on database private from public;
""" + "".join(f"create role {role} login password '{PASSWORD}';\n" for role in (
    "u_reject", "u_plainreject", "u_sslonly", "u_noentry", "u_trust", "u_stranger", "u_killed", "u_mistaken", "u_scram",
    "u_password", "u_cert", "u_full", "u_gss", "u_ident", "u_ldap", "u_radius"))


class Proxies(Server):
    """One HAProxy with several proxies: name → lines of its section, `{bind}` being its address and
    port; port_of(name) says which."""

    def __init__(self, directory, sections):
        super().__init__(directory)
        self._ports = {name: Port() for name in sections}
        text = ("global\n    maxconn 2000\ndefaults\n    mode tcp\n    retries 0\n    timeout connect 5s\n"
                "    timeout client 30s\n    timeout server 30s\n")
        for name, lines in sections.items():
            bind = f"{self.address}:{self.port_of(name)}"
            text += f"listen {name}\n" + "".join(f"    {line.format(bind=bind)}\n" for line in lines)
        self.file = self.directory / "haproxy.cfg"
        self.file.write_text(text)

    def port_of(self, name):
        return self._ports[name].number

    def start(self):
        self.program = Program([_find("haproxy"), "-db", "-f", self.file], self.directory / "log")
        self.program.wait_ready(lambda: all(accepts(self.address, p.number) for p in self._ports.values()))
        return self

    def close(self):
        super().close()
        for port in self._ports.values():
            port.close()


class World:
    """Servers by name, started on first use."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self._open = []
        self._misbehaving = {}
        self.root = certs.Authority()
        self.other = certs.Authority("Somebody Else")
        self.root_file = str(self.root.write_certificate(self.directory / "root.crt"))
        self.other_file = str(self.other.write_certificate(self.directory / "other.crt"))
        self.good = self.root.issue()
        self.good_files = self.good.write(self.directory, "good")
        self.password_file = self.file("password", PASSWORD.encode())

    # Files and helpers -------------------------------------------------------------------------
    def file(self, name, content):
        path = self.directory / name
        path.write_bytes(content)
        path.chmod(0o600)
        return str(path)

    def client(self, name, credentials):
        """sslcert and sslkey of a client certificate."""
        certificate, key = credentials.write(self.directory, f"client-{name}")
        return {"sslcert": str(certificate), "sslkey": str(key)}

    def _keep(self, one):
        self._open.append(one)
        return one

    def hold(self, server, user="u_trust", sql="select pg_sleep(600)", dbname="app"):
        """Somebody who sits on a connection; returns once the server answers him."""
        given = {"host": server.address, "port": server.port, "user": user, "dbname": dbname,
                 "sslmode": "require"}
        process = psql_started(conninfo(**given), sql)
        self._open.append(Running(process))
        return process

    def free_port(self):
        """A port where nobody listens, reserved until the end."""
        port = Port()
        self._open.append(port)
        return port.number

    def close(self):
        for one in reversed(self._open):
            one.close()
        self._open.clear()

    def misbehave(self, behaviour):
        if behaviour not in self._misbehaving:
            self._misbehaving[behaviour] = self._keep(Misbehaving(behaviour, *self.good_files).start())
        return self._misbehaving[behaviour]

    # PostgreSQL --------------------------------------------------------------------------------
    def new_postgres(self, name, version=15, credentials="good", kind=Postgres, start=True, **more):
        more.setdefault("hba", "host all all 127.0.0.0/8 trust\n")
        server = self._keep(kind(
            version, self.directory / name, credentials=self.good if credentials == "good" else credentials,
            scratch=self.directory, **more))
        return server.start() if start else server

    @cached_property
    def silent_radius(self):
        """Authentication by somebody who never answers; PostgreSQL waits for 3 s."""
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind(("127.0.0.1", 0))
        self._open.append(silent)
        return f"radius radiusservers=127.0.0.1 radiussecrets=s radiusports={silent.getsockname()[1]}"

    @cached_property
    def postgres(self):
        """TLS and every way to be refused."""
        lines = [f"{kind} all {roles} 127.0.0.0/8 {method}" for kind, roles, method in METHODS]
        lines += [f"host all u_radius 127.0.0.0/8 {self.silent_radius}",
                  f"host all u_ldap 127.0.0.0/8 ldap ldapserver=127.0.0.1 ldapport={self.free_port()} "
                  f"ldapprefix=\"cn=\""]
        server = self.new_postgres("main", hba="\n".join(lines) + "\n", settings=TLS_SETTINGS,
                                   client_ca=self.root.certificate_pem)
        for line in SETUP.strip().splitlines():
            for statement in filter(None, map(str.strip, line.split(";"))):
                server.sql(statement)
        server.sql("revoke execute on function pg_is_in_recovery() from public", database="noquery")
        oid = server.sql("select oid from pg_database where datname = 'damaged'")
        (server.data / "base" / oid / "pg_filenode.map").unlink()
        return server

    @cached_property
    def patient(self):
        """Asks by RADIUS, and leaves it to others to lose patience."""
        return self.new_postgres("patient", hba=f"host all all 127.0.0.0/8 {self.silent_radius}\n")

    @cached_property
    def locked(self):
        """The main server while somebody holds a lock that no query can do without, and somebody
        else ends the sessions of u_killed."""
        self.hold(self.postgres, "postgres", "begin; lock pg_catalog.pg_proc in access exclusive mode; "
                                 "select pg_sleep(600)", dbname="locked")
        self.hold(self.postgres, "postgres", "do $$ begin loop perform pg_terminate_backend(pid) from "
                                 "pg_stat_activity where usename = 'u_killed' and wait_event_type = 'Lock'; "
                                 "perform pg_stat_clear_snapshot(); perform pg_sleep(0.1); end loop; end $$")
        return self.postgres

    @cached_property
    def without_tls(self):
        return self.new_postgres("no-tls", credentials=None)

    @cached_property
    def without_client_ca(self):
        return self.new_postgres("no-client-ca", hba="hostssl all all 127.0.0.0/8 cert\n")

    @cached_property
    def old_tls(self):
        """TLS 1.2 with a cipher that only RSA keys can use, and an ECDSA key."""
        return self.new_postgres("old-tls", settings={
            "ssl_max_protocol_version": "TLSv1.2", "ssl_ciphers": "AES128-SHA"})

    @cached_property
    def full(self):
        """One connection for everybody, and it is taken."""
        server = self.new_postgres("full", settings={
            "max_connections": "4", "superuser_reserved_connections": "3"})
        server.sql("create role u_trust login")
        server.sql("create database app")
        hold_until_held(lambda: self.hold(server), lambda: holds(server, "u_trust"))
        return server

    @cached_property
    def german(self):
        """Everything refused, in German."""
        environment = locales.make(self.directory / "locales", "de_DE")
        server = self.new_postgres(
            "german", environment=environment, settings={"lc_messages": "de_DE.utf8"},
            hba="host all u_reject 127.0.0.0/8 reject\nhost all u_ghost 127.0.0.0/8 trust\n")
        return server

    @cached_property
    def shutting_down(self):
        """Told to stop when everybody has left, and somebody stays."""
        server = self.new_postgres("shutting-down")
        self.hold(server, "postgres", dbname="postgres")
        wait_for(lambda: "1" == server.sql(
            "select count(*) from pg_stat_activity where query like '%pg_sleep(600)' and pid <> pg_backend_pid()"),
            10, "somebody to stay")
        server.program.signal(signal.SIGTERM)
        wait_for(lambda: "received smart shutdown request" in server.log(), 10, "the shutdown to begin")
        return server

    def _standby(self, name, ready_line, settings):
        """A PostgreSQL that has run once and now waits as a standby."""
        server = self.new_postgres(name, settings={"wal_level": "replica", **settings})
        server.stop()
        server._put("standby.signal", b"")
        server.settings.setdefault("restore_command", "false")
        server.ready_line = ready_line
        server.program.log_path.write_text("")
        return server.start()

    @cached_property
    def starting(self):
        """A standby whose archive does not answer."""
        return self._standby("starting", "starting PostgreSQL", {"restore_command": "sleep 600"})

    @cached_property
    def cold_standby(self):
        return self._standby("cold-standby", "consistent recovery state reached", {"hot_standby": "off"})

    @cached_property
    def crashing(self):
        return self.new_postgres("crashing")

    def crash(self):
        """Kills one process of that server while another one, stopped, holds the recovery up."""
        pids = [int(pid) for pid in self.crashing.sql(
            "select pid from pg_stat_activity where backend_type in ('checkpointer', 'background writer') "
            "order by 1").split()]
        os.kill(pids[0], signal.SIGSTOP)
        os.kill(pids[1], signal.SIGKILL)

    @cached_property
    def forkless(self):
        """Its user may have no more processes."""
        server = self.new_postgres("forkless")
        subprocess.run(["prlimit", f"--pid={server.program.pid}", "--nproc=1:1"], check=True,
                       **drop_privileges())
        return server

    def certified(self, name, credentials, version=15):
        """A server with this certificate: a PgBouncer, or the PostgreSQL whose OpenSSL loads it."""
        if version == 15:
            return self.new_pgbouncer(name, credentials=credentials)
        return self.new_postgres(name, version, credentials)

    # PgBouncer ---------------------------------------------------------------------------------
    def new_pgbouncer(self, name, backend=None, credentials=None, **more):
        settings = {"admin_users": "u_admin", "server_login_retry": "0",
                    "ignore_startup_parameters": "extra_float_digits", **more.pop("settings", {})}
        users = {role: PASSWORD for role in ("u_trust", "u_scram", "u_noentry", "u_reject", "u_admin", "u_mistaken")}
        server = self._keep(PgBouncer(self.directory / f"pgbouncer-{name}", backend or self.postgres,
                                      credentials=credentials or self.good, users=users, settings=settings,
                                      **more))
        return server.start()

    def console(self, pooler, command):
        psql(conninfo(host=pooler.address, port=pooler.port, user="u_admin", dbname="pgbouncer",
                      sslmode="require"), command, check=True)

    @cached_property
    def pooler(self):
        return self.new_pgbouncer("main")

    @cached_property
    def pooler_scram(self):
        return self.new_pgbouncer("scram", settings={"auth_type": "scram-sha-256"})

    @cached_property
    def pooler_hba(self):
        return self.new_pgbouncer("hba", hba="host all u_reject 127.0.0.0/8 reject\n"
                                             "host all all 127.0.0.0/8 trust\n")

    @cached_property
    def pooler_wants_certificate(self):
        return self.new_pgbouncer("certificate", client_ca=self.root.certificate_pem,
                                  settings={"client_tls_sslmode": "verify-full"})

    @cached_property
    def pooler_full(self):
        pooler = self.new_pgbouncer("full", settings={"max_client_conn": "1"})
        self.hold(pooler)
        wait_for(lambda: self.postgres.sql("select count(*) from pg_stat_activity where usename = 'u_trust' "
                                           "and query like '%pg_sleep(600)'") != "0", 10, "the only client")
        return pooler

    @cached_property
    def pooler_busy(self):
        """One server connection, which is in use for long."""
        pooler = self.new_pgbouncer("busy", settings={"default_pool_size": "1", "query_wait_timeout": "1"})
        before = self._sleepers()
        self.hold(pooler)
        wait_for(lambda: self._sleepers() > before, 10, "the only server connection to be in use")
        return pooler

    def _sleepers(self):
        return int(self.postgres.sql("select count(*) from pg_stat_activity where query like '%pg_sleep(600)' "
                                     "and pid <> pg_backend_pid()"))

    def _paused(self, name, **settings):
        """Has had a server connection, so that it welcomes clients; then paused."""
        pooler = self.new_pgbouncer(name, settings=settings)
        psql(conninfo(host=pooler.address, port=pooler.port, user="u_trust", dbname="app", sslmode="require"),
             check=True)
        self.console(pooler, "pause app")
        return pooler

    @cached_property
    def pooler_paused(self):
        return self._paused("paused")

    @cached_property
    def pooler_paused_plain(self):
        return self._paused("paused-plain", client_tls_sslmode="allow")

    @cached_property
    def pooler_disabled(self):
        pooler = self.new_pgbouncer("disabled")
        self.console(pooler, "disable app")
        return pooler

    @cached_property
    def pooler_alone(self):
        """Nobody behind it."""
        nobody = Port()
        self._open.append(nobody)
        return self.new_pgbouncer("alone", backend=_Address("127.0.0.1", nobody.number),
                                  settings={"client_login_timeout": "1"})

    @cached_property
    def pooler_mistaken(self):
        """Could log in to its server once, can no longer, and remembers that."""
        pooler = self.new_pgbouncer("mistaken", settings={"server_login_retry": "600"})
        mine = conninfo(host=pooler.address, port=pooler.port, user="u_mistaken", dbname="app", sslmode="require")
        psql(mine, check=True)
        self.postgres.sql("alter role u_mistaken nologin")
        self.postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'u_mistaken'")
        first = Running(psql_started(mine))  # waits for ever, later ones are told
        wait_for(lambda: "not permitted to log in" in pooler.log(), 10, "the pooler to fail")
        first.close()
        return pooler

    @cached_property
    def pooler_stopped(self):
        """The process is there and does nothing; in clear too."""
        pooler = self.new_pgbouncer("stopped", settings={"client_tls_sslmode": "allow"})
        pooler.program.signal(signal.SIGSTOP)
        pooler.program.stop_signal = signal.SIGKILL
        return pooler

    # HAProxy -----------------------------------------------------------------------------------
    @cached_property
    def proxies(self):
        certificate = self.file("haproxy.pem", self.good.chain_pem + self.good.key_pem)
        dead = f"server s 127.0.0.1:{self.free_port()}"

        def to(server, patience="1s"):
            return ["bind {bind}", f"timeout server {patience}", f"server s {server.address}:{server.port}"]
        return self._keep(Proxies(self.directory / "haproxy", {
            "dead": ["bind {bind}", dead],
            "http": ["bind {bind}", "mode http", dead],
            "sni": [f"bind {{bind}} ssl crt {certificate} strict-sni", dead],
            "no-alpn": [f"bind {{bind}} ssl crt {certificate}", dead],
            "ends-tls": [f"bind {{bind}} ssl crt {certificate} alpn postgresql", dead],
            # Less than the 3 s after which PostgreSQL itself gives up, and enough for inspects on a busy machine.
            "to-patient": to(self.patient, "2s"),
            "to-silence": to(self.misbehave("stall_after_startup")),
            "to-paused": to(self.pooler_paused),
            "to-paused-plain": to(self.pooler_paused_plain),
        })).start()

    def proxy(self, name):
        return _Address("127.0.0.1", self.proxies.port_of(name))

    @cached_property
    def openssl_server(self):
        """TLS from the first byte, and a protocol name that is not ours."""
        return self._keep(OpensslServer(self.directory / "s_server", self.good_files)).start()

    @cached_property
    def island(self):
        return self._keep(Island(self.directory / "island")).start()


def holds(server, user):
    """Does a session of that user sit on its connection?"""
    return "0" != server.sql(f"select count(*) from pg_stat_activity where usename = '{user}' "
                             "and query like '%pg_sleep(600)'")


def hold_until_held(hold, held):
    """Lets somebody try to sit on the last connection until he does: others may be leaving still.
    `hold` starts him, `held` says whether he sits."""
    def sits():
        if not last or last[0].poll() is not None:
            last[:] = [hold()]
        return held()

    last = []
    wait_for(sits, 15, "a connection held")


class _Address:
    def __init__(self, address, port):
        self.address, self.port = address, port


class Running:
    """A process to be ended."""

    def __init__(self, process):
        self.process = process

    def close(self):
        self.process.kill()
        self.process.wait()


class OpensslServer(Server):
    def __init__(self, directory, files):
        super().__init__(directory)
        self.files = files

    def start(self):
        certificate, key = self.files
        self.program = Program(
            ["openssl", "s_server", "-quiet", "-accept", f"{self.address}:{self.port}", "-cert", certificate,
             "-key", key, "-alpn", "http/1.1", "-naccept", "1000000"], self.directory / "log")
        self.program.wait_ready(lambda: accepts(self.address, self.port))
        return self


class Island:
    """island.py, running."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.program = None

    @property
    def pid(self):
        return self.program.pid

    def start(self):
        script = Path(__file__).with_name("island.py")
        self.program = Program([sys.executable, "-B", script], self.directory / "log")
        self.program.wait_ready(lambda: "ready" in self.program.log())
        return self

    def run(self, argv, **more):
        from . import island
        return subprocess.run([*island.join(self.pid), *argv], **more)

    def close(self):
        if self.program:
            self.program.stop()
