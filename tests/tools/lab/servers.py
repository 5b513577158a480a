"""The real servers: PostgreSQL 15, 17 and 18, PgBouncer, HAProxy, Prometheus, Alertmanager."""

import json
import os
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

from . import process
from .process import Port, Program, accepts, hand_over

ROOT = Path(__file__).resolve().parents[3]
PEERS = Path(os.environ.get("PGTLS_PEERS", ROOT / "build" / "peers"))

SETTINGS = {
    "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "8MB",
    "autovacuum": "off", "jit": "off", "max_wal_senders": "0", "wal_level": "minimal",
    "max_connections": "200", "dynamic_shared_memory_type": "mmap", "logging_collector": "off",
}


# What a primary needs so that it can have a Standby.
REPLICATING = {"wal_level": "replica", "max_wal_senders": "4"}


class MissingServer(RuntimeError):
    """A server that tests/run.sh should have installed is not there: a failure, never a skip."""


def _find(*candidates):
    for candidate in candidates:
        found = shutil.which(str(candidate)) or shutil.which(str(candidate), path="/usr/sbin:/sbin")
        if found:
            return found
    raise MissingServer(f"{candidates[0]} is not installed; tests/run.sh installs what the tests need")


def postgres_bin(version):
    """The directory with initdb and postgres: Debian's for 15, the npm package's for 17 and 18."""
    debian = Path(f"/usr/lib/postgresql/{version}/bin")
    directory = debian if debian.is_dir() else PEERS / f"postgresql-{version}" / "native" / "bin"
    if not (directory / "postgres").exists():
        raise MissingServer(f"PostgreSQL {version} is not in {directory}; tests/run.sh fetches it")
    return directory


def _reachable(bin_directory, scratch):
    """The same programs where the unprivileged user can run them: a checkout below /root, say, cannot
    be entered by anybody else."""
    if process.unprivileged_ids() is None or all(
            directory.stat().st_mode & 0o001 for directory in [bin_directory, *bin_directory.parents]):
        return bin_directory
    native = bin_directory.parent
    copy = Path(scratch, native.parent.name)
    if not copy.exists():
        shutil.copytree(native, copy, symlinks=True)
    return copy / "bin"


class Server:
    """What all servers share: a directory of their own, a reserved port (the kernel's choice unless
    it is given), start and stop."""

    def __init__(self, directory, address="127.0.0.1", port=0):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.address = address
        self._port = Port(address, port)
        self.port = self._port.number
        self.program = None

    def log(self):
        """Everything it logged since it was made."""
        return self.program.log() if self.program else ""

    def stop(self):
        if self.program:
            self.program.stop()

    def close(self):
        """Ends it and gives its port back."""
        self.stop()
        self._port.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Postgres(Server):
    """One PostgreSQL. `hba` is the text of pg_hba.conf below a line that lets the superuser in
    through the Unix socket; `credentials` switch TLS on; `client_ca` is PEM for client
    certificates; `environment` is what the server finds beside a clean one."""

    ready_line = None  # in its log; else its pid file says that it is ready, in any language

    def __init__(self, version, directory, *, credentials=None, hba="", client_ca=None, settings=None,
                 scratch=None, address="127.0.0.1", port=0, environment=None):
        super().__init__(directory, address, port)
        self.version = version
        self.environment = process.clean_environment(**(environment or {}))
        self.bin = _reachable(postgres_bin(version), scratch or self.directory)
        self.data = self.directory / "data"
        self.settings = {**SETTINGS, **(settings or {})}
        hand_over(self.directory)
        self._initdb(scratch)
        self.set_hba(hba)
        if client_ca:
            self._put("clients.crt", client_ca)
            self.settings["ssl_ca_file"] = "clients.crt"
        if credentials:
            self.set_credentials(credentials)
            self.settings["ssl"] = "on"

    def _initdb(self, scratch):
        template = Path(scratch or self.directory, f"template-{self.version}")
        if not template.exists():
            template.mkdir()
            hand_over(template)
            subprocess.run([self.bin / "initdb", "-D", template, "-U", "postgres", "-A", "trust",
                            "--no-sync", "--locale=C", "-E", "UTF8"], check=True, cwd="/",
                           stdout=subprocess.DEVNULL, env=process.clean_environment(),
                           **process.drop_privileges())
        subprocess.run(["cp", "-a", template, self.data], check=True)

    def _put(self, name, content):
        path = self.data / name
        path.write_bytes(content)
        path.chmod(0o644 if name == "server.crt" else 0o600)
        hand_over(path)

    def set_hba(self, lines):
        self._put("pg_hba.conf", ("local all,replication postgres trust\n" + lines).encode())

    def share_certificate(self):
        """Lets a group read the data directory, and root be in it: what initdb --allow-group-access is for."""
        os.chown(self.data, -1, os.getgid())
        self.data.chmod(0o750)

    def set_credentials(self, credentials):
        self._put("server.crt", credentials.chain_pem)
        self._put("server.key", credentials.key_pem)

    def start(self):
        settings = {**self.settings, "listen_addresses": self.address, "port": str(self.port),
                    "unix_socket_directories": str(self.directory)}
        argv = [self.bin / "postgres", "-D", self.data]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        self.program = Program(argv, self.directory / "log", unprivileged=True, cwd="/",
                               environment=self.environment,
                               stop_signal=signal.SIGINT, death_signal=signal.SIGQUIT)
        self.program.wait_ready(self._ready, 60)
        return self

    def _ready(self):
        if self.ready_line:
            return self.ready_line in self.log()
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.program.pid) and lines[7].strip() == "ready"

    def restart(self):
        self.stop()
        self.program.log_path.write_text("")
        return self.start()

    def reload(self):
        """New settings of pg_hba.conf and certificates; returns once they are in force."""
        before = self.sql("select pg_conf_load_time()")
        self.program.signal(signal.SIGHUP)
        process.wait_for(lambda: self.sql("select pg_conf_load_time()") != before, 10, "reload")

    def sql(self, text, database="postgres"):
        """As the superuser through the Unix socket; the unaligned answer."""
        return psql(f"host={self.directory} port={self.port} user=postgres dbname={database}",
                    text, check=True).stdout.strip()


class Standby(Postgres):
    """A streaming standby of a running Postgres that was made with REPLICATING among its settings; a
    server of its own after promote()."""

    ready_line = "database system is ready to accept read-only connections"

    def __init__(self, primary, directory, *, settings=None, **more):
        self.primary = primary
        super().__init__(primary.version, directory, settings={**REPLICATING, **(settings or {})}, **more)

    def _initdb(self, scratch):
        subprocess.run(
            [self.bin / "pg_basebackup", "-D", self.data, "-h", self.primary.directory, "-p",
             str(self.primary.port), "-U", "postgres", "-R", "-c", "fast", "--no-sync"], check=True, cwd="/",
            env=process.clean_environment(), **process.drop_privileges())

    def promote(self):
        self.sql("select pg_promote()")


class PgBouncer(Server):
    """A PgBouncer in front of one Postgres. `settings` are lines of its [pgbouncer] section over
    its defaults; `users` name → password for its auth_file."""

    def __init__(self, directory, backend, *, credentials=None, client_ca=None, users=None,
                 settings=None, databases=("app", "postgres"), hba=None, address="127.0.0.1", port=0):
        super().__init__(directory, address, port)
        options = {
            "listen_addr": address, "listen_port": self.port, "unix_socket_dir": "",
            "auth_type": "trust", "auth_file": self._write("users.txt", "".join(
                f'"{name}" "{password}"\n' for name, password in (users or {}).items())),
        }
        if credentials:
            options |= {"client_tls_sslmode": "require",
                        "client_tls_cert_file": self._write("server.crt", credentials.chain_pem),
                        "client_tls_key_file": self._write("server.key", credentials.key_pem)}
        if client_ca:
            options["client_tls_ca_file"] = self._write("clients.crt", client_ca)
        if hba is not None:
            options |= {"auth_type": "hba", "auth_hba_file": self._write("hba.conf", hba)}
        options |= settings or {}
        self.ini = self._write("pgbouncer.ini", (
            "[databases]\n" + "".join(
                f"{name} = host={backend.address} port={backend.port}\n" for name in databases)
            + "[pgbouncer]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())))

    def _write(self, name, content):
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)
        return path

    def start(self):
        hand_over(self.directory)
        self.program = Program([_find("pgbouncer"), self.ini], self.directory / "log",
                               unprivileged=True)
        self.program.wait_ready(lambda: "process up" in self.log())
        return self


class Haproxy(Server):
    """An HAProxy with one TCP or HTTP proxy; `body` is the rest of its `listen` section."""

    def __init__(self, directory, body, mode="tcp", address="127.0.0.1"):
        super().__init__(directory, address)
        self.file = self.directory / "haproxy.cfg"
        self.file.write_text(
            "global\n    maxconn 2000\ndefaults\n    timeout connect 5s\n    timeout client 30s\n"
            f"    timeout server 30s\nlisten lab\n    mode {mode}\n    bind {address}:{self.port}\n"
            + "".join(f"    {line}\n" for line in body))

    def start(self):
        self.program = Program([_find("haproxy"), "-db", "-f", self.file], self.directory / "log")
        self.program.wait_ready(lambda: accepts(self.address, self.port))
        return self


class Prometheus(Server):
    """A Prometheus with its own configuration (a mapping; JSON is YAML)."""

    def __init__(self, directory, configuration, address="127.0.0.1", arguments=()):
        super().__init__(directory, address)
        self.arguments = arguments
        self.file = self.directory / "prometheus.yml"
        self.file.write_text(json.dumps(configuration, indent=1))
        self.url = f"http://{address}:{self.port}"

    def start(self):
        self.program = Program(
            [_find("prometheus"), f"--config.file={self.file}", f"--storage.tsdb.path={self.directory}/data",
             f"--web.listen-address={self.address}:{self.port}", *self.arguments], self.directory / "log")
        self.program.wait_ready(lambda: "Server is ready to receive web requests" in self.log(), 60)
        return self

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters, doseq=True)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        return self.get("query", query=expression)["result"]


class Alertmanager(Server):
    """An Alertmanager without a cluster, with its configuration as text."""

    def __init__(self, directory, configuration, address="127.0.0.1"):
        super().__init__(directory, address)
        self.file = self.directory / "alertmanager.yml"
        self.file.write_text(configuration)
        self.url = f"http://{address}:{self.port}"

    def start(self):
        self.program = Program(
            [_find("prometheus-alertmanager", "alertmanager"), f"--config.file={self.file}",
             f"--storage.path={self.directory}/data", "--cluster.listen-address=",
             f"--web.listen-address={self.address}:{self.port}"], self.directory / "log")
        self.program.wait_ready(lambda: accepts(self.address, self.port))
        return self

    def amtool(self, *arguments):
        return subprocess.run([_find("amtool"), *arguments, f"--alertmanager.url={self.url}"], check=True, text=True,
                              capture_output=True, timeout=30, env=process.clean_environment(HOME="/nonexistent"))

    def alerts(self):
        """Every alert, with what inhibits it."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            return json.load(answer)


def psql_argv(conninfo, sql):
    """The command line of psql below."""
    return [postgres_bin(15) / "psql", "-X", "-w", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql,
            conninfo]


def psql(conninfo, sql="select 1", *, check=False, **environment):
    """Debian's psql 15 with nothing of this machine's: no PG* variable, no home, no passfile."""
    return subprocess.run(
        psql_argv(conninfo, sql), env=process.clean_environment(**environment), cwd="/",
        capture_output=True, errors="replace", check=check, timeout=30)


def psql_started(conninfo, sql="select 1"):
    """The same, not waited for and without its output."""
    return subprocess.Popen(
        psql_argv(conninfo, sql), env=process.clean_environment(), cwd="/",
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def conninfo(**parameters):
    """A key=value connection string, quoted as libpq wants it; None leaves a parameter out."""
    return " ".join(
        "{}='{}'".format(key, str(value).replace("\\", "\\\\").replace("'", "\\'"))
        for key, value in parameters.items() if value is not None)
