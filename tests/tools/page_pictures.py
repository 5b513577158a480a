#!/usr/bin/python3
"""Makes docs/images/page*.png: raises a small real fleet under believable names, breaks parts of it,
and takes pictures of the exporter's pages in Chromium.

    cmake --build --preset dev && tests/tools/page_pictures.py [DIRECTORY]
"""

import contextlib
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import certs, process, servers  # noqa: E402
from lab.chromium import Chromium  # noqa: E402
from lab.exporter import Exporter  # noqa: E402
from misbehave import Misbehaving  # noqa: E402

EVERYBODY = "local all,replication all trust\nhost all all 127.0.0.0/8 trust\nhost replication all 127.0.0.0/8 trust\n"
PASSWORD = "not this one"


class Fleet:
    """Clusters with names; every endpoint at its own port, written as a host name would be."""

    def __init__(self, stack, directory):
        self.stack, self.directory = stack, directory
        self.root = certs.Authority("Example Corp Database CA")
        self.trust = self.root.write_certificate(directory / "ca.crt")
        self.servers = {}

    def postgres(self, name, credentials=None, hba=EVERYBODY, **more):
        server = servers.Postgres(15, self.directory / name, hba=hba, scratch=self.directory,
                                  credentials=credentials or self.root.issue(name, (f"{name}.db.example", "localhost", "127.0.0.1")),
                                  **more)
        server = self.stack.enter_context(server).start()
        server.sql("create role monitor login; create role nobody login password 'x'")
        self.servers[name] = server
        return server

    def standby(self, name, primary):
        self.servers[name] = self.stack.enter_context(servers.Standby(
            primary, self.directory / name, scratch=self.directory, hba=EVERYBODY,
            credentials=self.root.issue(name, (f"{name}.db.example",)))).start()
        return self.servers[name]

    def misbehaving(self, name, behaviour):
        files = self.root.issue(name, (f"{name}.db.example", "127.0.0.1")).write(self.directory, name)
        return self.stack.enter_context(Misbehaving(behaviour, *files))


def at(server, name, **more):
    """The endpoint by its believable name, which resolves to nothing: hostaddr says where it is."""
    return {"dsn": f"host={name}.db.example hostaddr={server.address} port={server.port}", **more}


def configuration(fleet):
    orders = fleet.postgres("orders", settings=servers.REPLICATING)
    standby = fleet.standby("orders-read", orders)
    pooled = fleet.stack.enter_context(servers.PgBouncer(
        fleet.directory / "pool", orders, credentials=fleet.root.issue("pool", ("orders-pool.db.example",)),
        users={"monitor": ""})).start()
    expiring = fleet.postgres("billing", certs.expiring(fleet.root, days=2, lifetime=90, hosts=("billing.db.example",)))
    scram = fleet.postgres("ledger", hba="host all nobody 127.0.0.0/8 scram-sha-256\n" + EVERYBODY)
    refusing = fleet.postgres("search", hba="hostssl all all 192.0.2.0/24 trust\nlocal all all trust\nhost all postgres 127.0.0.0/8 trust\n")
    closing = fleet.misbehaving("sessions", "notify_after_startup")
    alert = fleet.misbehaving("legacy", "alert_protocol_version")
    password = fleet.directory / "wrong"
    password.write_text(PASSWORD)
    return orders, {
        "defaults": {"interval": "1s", "timeout": "3s", "login": {"interval": "2s"}, "sslmode": "verify-full",
                     "sslrootcert": str(fleet.trust), "user": "monitor", "dbname": "postgres"},
        "clusters": [
            {"name": "orders", "labels": {"team": "checkout"}, "endpoints": {
                "write": at(orders, "orders", promise={"read_only": False, "pooled": False}, session=[{"idle": "1s"}]),
                "read": at(standby, "orders-read", promise={"read_only": True, "max_lag": "30s"}),
                "pool": at(pooled, "orders-pool", promise={"pooled": True})}},
            {"name": "billing", "labels": {"team": "finance"}, "endpoints": {
                "write": at(expiring, "billing", promise={"read_only": True}),
                "ledger": at(scram, "ledger", user="nobody", password_file=str(password))}},
            {"name": "search", "labels": {"team": "catalogue"}, "endpoints": {
                "write": at(refusing, "search"),
                "sessions": at(closing, "sessions"),
                "admin": at(refusing, "search", expect={"class": "hba"})}},
            {"name": "legacy", "endpoints": {
                "write": at(alert, "legacy"),
                "reports": at(orders, "orders", maintenance="Moving to new storage until Friday")}}]}


def settle(exporter, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        health = exporter.health()
        counts = health["counts"]
        if counts["unknown"] == counts["maintenance"]:
            return
        time.sleep(0.2)
    raise TimeoutError(f"still unknown: {health}")


def pictures(browser, base, directory):
    def shoot(name, path="/", **look):
        browser.look(**look)
        browser.go(base + path)
        browser.picture(directory / f"{name}.png")

    shoot("page")
    shoot("page-dark", scheme="dark")
    shoot("page-phone", width=390, height=844)
    browser.look()
    browser.go(base + "/?cluster=orders")
    link = browser.run("document.querySelector('a.name').getAttribute('href')")
    shoot("page-server", "/" + link)


def main():
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "docs" / "images")
    target.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(process.temporary_directory())
        orders, given = configuration(Fleet(stack, directory))
        exporter = stack.enter_context(Exporter(directory / "exporter", given))
        settle(exporter)
        time.sleep(3)
        orders.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'monitor'")
        time.sleep(65)  # for the last hour to have more than one minute
        browser = stack.enter_context(Chromium(directory / "browser"))
        pictures(browser, f"http://{exporter.addresses[0]}", target)
    print(f"Written to {target}")


if __name__ == "__main__":
    main()
