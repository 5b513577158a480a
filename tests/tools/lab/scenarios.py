"""The five field reports as real servers, all watched by one configuration: the fixtures of
test_scenarios.py and of the chapters in docs/scenarios/.

Names are those of the reports, in db.example.com; they lead to addresses of 127/8 by a hosts file of
the exporter's own."""

import contextlib
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from misbehave import Misbehaving

from . import certs
from .dns import knowing
from .exporter import run
from .process import Port
from .relay import Firewall
from .servers import REPLICATING, Haproxy, PgBouncer, Postgres, Standby

DOMAIN = "db.example.com"
WRITE, READ, ADMIN = "127.0.3.1", "127.0.3.2", "127.0.3.3"  # each shared by all clusters of scenario C

# Nothing in any output may contain one of these.
SECRETS = {"app": "sec-ret-of-the-app", "temporal": "sec-ret-of-temporal", "platform": "sec-ret-of-platform",
           "apps": "sec-ret-of-apps", "admin": "sec-ret-of-the-admin", "rotated": "sec-ret-after-rotation"}

OPERATORS_HBA = """
host      all  all  127.0.2.0/24  md5
hostnossl all  all  all           reject
hostssl   all  all  all           md5
"""


def pin(credentials):
    """The certificate's own SHA-256."""
    return hashlib.sha256(credentials.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


class KubernetesSecret:
    """A directory as the kubelet mounts it: keys are links through `..data`, which is replaced as a
    whole."""

    def __init__(self, directory, **keys):
        self.directory = directory
        directory.mkdir()
        self._generation = 0
        self.replace(**keys)

    def replace(self, **keys):
        self._generation += 1
        fresh = self.directory / f"..{self._generation}"
        fresh.mkdir()
        for key, value in keys.items():
            (fresh / key).write_text(value)
            if not (self.directory / key).is_symlink():
                (self.directory / key).symlink_to(Path("..data", key))
        link = self.directory / "..data_tmp"
        link.symlink_to(fresh.name)
        link.rename(self.directory / "..data")

    def file(self, key):
        return str(self.directory / key)


class Scenarios:
    """All five, running: `configuration` is what watches them, `environment` what it needs beside."""

    def __init__(self, directory):
        self.directory = directory
        self.names, self._open = {}, contextlib.ExitStack()
        self.root = certs.Authority("Example Root CA")
        self.public = certs.Authority("Example Issuing CA", parent=self.root)
        self.wildcard = self.public.issue(f"*.{DOMAIN}", hosts=[f"*.{DOMAIN}"])
        self.bundle = self._file("ca-certificates.crt", self.root, certs.Authority("Some Other Root CA"))
        self.other_bundle = self._file("other-ca.crt", certs.Authority("Some Other Root CA"))
        self.environment = {"SSL_CERT_FILE": str(self.bundle), "TEMPORAL_PASSWORD": SECRETS["temporal"]}
        try:
            self.configuration = {
                "defaults": {"interval": "500ms", "timeout": "10s", "login": {"interval": "1s"}, "policy": True},
                "clusters": [self._a(), self._b(), *self._c(), self._d(), self._e()]}
        except BaseException:
            self.close()
            raise
        self.config_file = directory / "pgtls.yml"
        self.config_file.write_text(json.dumps(self.configuration, indent=1))
        self.binary = knowing(directory, self.names)

    def _file(self, name, *certificates):
        path = self.directory / name
        path.write_bytes(b"".join(one.certificate_pem for one in certificates))
        return path

    def _postgres(self, name, credentials, hba, **more):
        server = self._open.enter_context(Postgres(15, self.directory / name, credentials=credentials, hba=hba,
                                                   scratch=self.directory, **more))
        return server.start()

    def _pgbouncer(self, name, backend, **more):
        return self._open.enter_context(PgBouncer(self.directory / name, backend, **more)).start()

    def _named(self, name, server, **more):
        """The configuration of an endpoint at a server, by a name that leads there."""
        host = f"{name}.{DOMAIN}"
        self.names[host] = server.address
        return {"host": host, "port": server.port, **more}

    def _a(self):
        """A managed database behind a wildcard certificate: its public name closes right after the
        handshake, its internal one works."""
        files = self.wildcard.write(self.directory, "wildcard")
        self.managed = self._postgres("managed", self.wildcard, "hostssl all all 127.0.0.0/8 trust\n",
                                      address="127.0.1.2")
        self.gateway = self._open.enter_context(
            Misbehaving("notify_after_startup", *files, address="127.0.1.1"))
        return {"name": "managed", "user": "postgres", "endpoints": {
            "public": self._named("managed", self.gateway),
            "internal": self._named("managed-internal", self.managed)}}

    def _b(self):
        """A cluster as a Kubernetes operator makes it, with the application's sslmode=disable, and
        as it works."""
        hosts = [f"acid-crm.{DOMAIN}", f"acid-crm-pooler.{DOMAIN}"]
        own = certs.self_signed("acid-crm", hosts=hosts)
        self.own_file = self._file("acid-crm.crt", own)
        self.direct = self._postgres("crm", own, OPERATORS_HBA, address="127.0.2.1")
        self.direct.sql(f"set password_encryption = 'md5'; create role crm login password '{SECRETS['app']}'")
        self.direct.sql("create database crm owner crm")
        self.pooler = self._pgbouncer(
            "crm-pooler", self.direct, credentials=own, users={"crm": SECRETS["app"]}, databases=["crm"],
            address="127.0.2.2", settings={"auth_type": "md5", "server_tls_sslmode": "require"})
        password = self.directory / "crm-password"
        password.write_text(SECRETS["app"])
        direct = self._named("acid-crm", self.direct)
        return {"name": "acid-crm", "user": "crm", "dbname": "crm", "password_file": str(password),
                "allow_auth": ["md5"], "endpoints": {
                    "direct": {**direct, "sslmode": "disable"},
                    "pooled": self._named("acid-crm-pooler", self.pooler, sslmode="disable"),
                    "mended": {**direct, "sslmode": "require"},
                    "verified": {**direct, "sslmode": "verify-full", "sslrootcert": str(self.own_file)}}}

    # --- C ----------------------------------------------------------------------------------------

    def _same_port(self):
        """A port that is free on all three addresses, kept so."""
        while True:
            first = self._open.enter_context(contextlib.closing(Port(WRITE)))
            with contextlib.suppress(OSError):
                for address in (READ, ADMIN):
                    self._open.enter_context(contextlib.closing(Port(address, first.number)))
                return first.number

    def _cluster(self, cluster, dbname, allow_list, read=True):
        """One of the clusters: primary, standby, a pooler before each."""
        port, user = self._same_port(), dbname
        hba = (f"host all {user} 127.0.0.1/32 scram-sha-256\n"
               f"hostssl all platform_admin {allow_list} scram-sha-256\n")
        primary = self._postgres(f"{cluster}-primary", self.wildcard, hba, address=ADMIN, port=port,
                                 settings=REPLICATING)
        primary.sql(f"create role {user} login password '{SECRETS[user]}'; "
                    f"create role platform_admin login password '{SECRETS['admin']}'")
        primary.sql(f"create database {dbname} owner {user}")
        pooling = {"credentials": self.wildcard, "users": {user: SECRETS[dbname]}, "databases": [dbname], "port": port,
                   "settings": {"pool_mode": "transaction", "auth_type": "scram-sha-256"}}
        write = self._pgbouncer(f"{cluster}-write", primary, address=WRITE, **pooling)
        endpoints = {
            "write": self._named(f"{cluster}-write", write,
                                 promise={"read_only": False, "pooled": True, "addresses": [WRITE]}),
            "admin": self._named(f"{cluster}-admin", primary, user="platform_admin",
                                 promise={"read_only": False, "pooled": False, "addresses": [ADMIN]})}
        if read:
            standby = self._open.enter_context(Standby(primary, self.directory / f"{cluster}-standby", hba=hba,
                                                       address="127.0.3.10")).start()
            reader = self._pgbouncer(f"{cluster}-read", standby, address=READ, **pooling)
            endpoints["read"] = self._named(
                f"{cluster}-read", reader,
                promise={"read_only": True, "pooled": True, "max_lag": "2s", "addresses": [READ]})
            self.standbys[cluster] = standby
        self.primaries[cluster] = primary
        return {"name": cluster, "user": user, "dbname": dbname, "endpoints": endpoints}

    def _c(self):
        """Three clusters, three kinds of endpoint, three shared addresses. Passwords come from the
        environment, from Kubernetes and from a passfile; one admin endpoint is closed to us; and
        `miswired` has what goes wrong between a name and what it should mean."""
        self.primaries, self.standbys = {}, {}
        self.secret = KubernetesSecret(self.directory / "secret", platform=SECRETS["platform"], admin=SECRETS["admin"])
        self.passfile = self.directory / "passfile"
        self.write_passfile(SECRETS["admin"])
        temporal = self._cluster("temporal-db", "temporal", "127.0.0.0/8")
        temporal["password_env"] = "TEMPORAL_PASSWORD"
        temporal["endpoints"]["admin"]["password_file"] = self.secret.file("admin")
        platform = self._cluster("platform-db", "platform", "127.0.0.0/8", read=False)
        platform["password_file"] = self.secret.file("platform")
        platform["endpoints"]["admin"]["passfile"] = str(self.passfile)
        apps = self._cluster("applications-db", "apps", "10.20.0.0/16")
        apps["passfile"] = str(self.passfile)
        write, read = temporal["endpoints"]["write"], temporal["endpoints"]["read"]
        miswired = {"name": "miswired", "user": "temporal", "dbname": "temporal", "password_env": "TEMPORAL_PASSWORD",
                    "endpoints": {
                        "by-address": {"host": WRITE, "port": write["port"]},
                        "wrong-bundle": {"host": write["host"], "port": write["port"],
                                         "sslrootcert": str(self.other_bundle)},
                        "no-name": {"host": f"missing.{DOMAIN}"},
                        "write": {**read, "promise": write["promise"]}}}
        return temporal, platform, apps, miswired

    def write_passfile(self, admin):
        self.passfile.write_text(f"*:*:*:platform_admin:{admin}\n*:*:apps:apps:{SECRETS['apps']}\n")
        self.passfile.chmod(0o600)

    # --- D and E ----------------------------------------------------------------------------------

    def _d(self):
        """Sessions that drop: behind a balancer's idle timeout, behind a firewall that forgets, and
        straight to a server where they stay."""
        self.pool = self._postgres("pool", self.wildcard, "host all all 127.0.0.0/8 trust\n", address="127.0.4.1")
        self.balancer = self._open.enter_context(Haproxy(self.directory / "balancer", [
            "timeout client 1s", f"server pg {self.pool.address}:{self.pool.port}"], address="127.0.4.2")).start()
        self.firewall = self._open.enter_context(Firewall(self.pool, 3))
        return {"name": "pool", "user": "postgres", "application_name": "watched", "endpoints": {
            "direct": self._named("pool", self.pool, session=[{"idle": "1h"}]),
            "balancer": self._named("pool-balancer", self.balancer, session=[{"idle": "1h"}]),
            "firewall": self._named("pool-firewall", self.firewall, timeout="2s",
                                    session=[{"idle": "1s"}, {"idle": "5s"}])}}

    def _e(self):
        """A managed provider with a CA of its own: not trusted, trusted by file, by pin."""
        private = certs.Authority("Provider Private CA")
        self.private_file = self._file("provider-ca.crt", private)
        self.provided = private.issue(f"shop.{DOMAIN}", hosts=[f"shop.{DOMAIN}"])
        self.provider = self._postgres("provider", self.provided, "hostssl all all 127.0.0.0/8 scram-sha-256\n",
                                       address="127.0.5.1")
        self.provider.sql(f"create role shop login password '{SECRETS['app']}'")
        self.provider.sql("create database shop owner shop")
        self.names[f"shop.{DOMAIN}"] = self.provider.address
        password = {"password_file": str(self.directory / "crm-password")}
        at = f"shop@shop.{DOMAIN}:{self.provider.port}/shop"
        return {"name": "shop", "endpoints": {
            "untrusted": {"dsn": f"postgresql://{at}?sslmode=verify-full&sslrootcert=system", **password},
            "by-file": {"dsn": f"postgres://{at}?sslmode=verify-full&sslrootcert={self.private_file}", **password},
            "by-pin": {"dsn": f"host=shop.{DOMAIN} port={self.provider.port} user=shop dbname=shop sslmode=require",
                       "pin_sha256": pin(self.provided), **password},
            "wrong-pin": {"dsn": f"postgresql://{at}?sslmode=require", "pin_sha256": pin(self.wildcard), **password}}}

    # --- using them -------------------------------------------------------------------------------

    def probe(self, *arguments, **environment):
        """`pgtls_exporter probe` with the names, the configuration's secrets and the system bundle
        of these scenarios."""
        return run("probe", *arguments, binary=self.binary, **{**self.environment, **environment})

    def probe_endpoint(self, target, *arguments):
        return self.probe(*arguments, f"--config.file={self.config_file}", target)

    def close(self):
        self._open.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
