"""A failover as the shipped alerts see it: two PostgreSQL in streaming replication, reached directly, by
PgBouncer and by HAProxy, watched by an exporter and a Prometheus with the real rules. Roles swap, and
nothing is raised while one primary remains."""

import shutil
import subprocess

import pytest

from lab import process, servers
from lab.exporter import Exporter, endpoint_of, one_cluster
from lab.service import Service

HBA = "host all all 127.0.0.0/8 trust\n"
KEPT = "pgtls_endpoint_promise_kept"
PRIMARY = {"write", "pooled", "balanced"}  # endpoints that promise to take writes


class Switch(Service):
    """What tells HAProxy whether to use a server, as Patroni's REST interface does."""

    def __init__(self, on):
        super().__init__(lambda _: (200 if self.on else 503, {}, b""))
        self.on = on

    def turn(self, on):
        """Returns when HAProxy goes by it."""
        self.on = on
        before = len(self.asked)
        process.wait_for(lambda: len(self.asked) >= before + 3, 30, "HAProxy to ask")


class Site:
    """Two servers, all the ways in, and who watches."""

    def __init__(self, lab, trust, directory):
        self.a = lab.new_postgres(hba=HBA, client_ca=None, roles=False, settings=servers.REPLICATING)
        self.b = lab.keep(servers.Standby(self.a, lab.directory("standby"), hba=HBA, scratch=lab.scratch,
                                          credentials=trust.root.issue())).start()
        self.pair = (self.a, self.b)
        self.primary, self.serving = ([lab.keep(Switch(on)) for on in given]
                                      for given in ((True, False), (True, True)))
        # A pooled connection lives for a second, so that a pooler soon has one with the new default.
        poolers = [lab.new_pgbouncer(one, users={"postgres": ""}, settings={"server_lifetime": "1"})
                   for one in self.pair]
        primary, both = (self._haproxy(lab, switches) for switches in (self.primary, self.serving))
        for switch in (*self.primary, *self.serving):
            switch.turn(switch.on)
        self.exporter = Exporter(directory / "exporter", one_cluster({
            "write": {**self._hosts(self.pair), "promise": {"read_only": False, "pooled": False}},
            "pooled": {**self._hosts(poolers), "promise": {"read_only": False, "pooled": True}},
            "balanced": endpoint_of(primary, promise={"read_only": False}),
            "both": endpoint_of(both, promise={"pooled": False}),
        }, {"user": "postgres", "sslrootcert": str(trust.root_file), "interval": "500ms"}))
        self.prometheus = servers.Prometheus(directory / "prometheus", {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(servers.ROOT / "alerts" / "pgtls.rules.yml")],
            "scrape_configs": [{"job_name": "pgtls", "static_configs": [
                {"targets": [self.exporter.addresses[0]]}]}]}).start()

    @staticmethod
    def _hosts(given):
        return {"host": ",".join(one.address for one in given), "port": ",".join(str(one.port) for one in given)}

    def _haproxy(self, lab, switches):
        options = ["balance roundrobin", "option httpchk", "timeout check 10s"]
        return lab.keep(servers.Haproxy(lab.directory("haproxy"), options + [
            f"server s{number} {one.address}:{one.port} check port {switch.port} inter 100ms fall 1 rise 1"
            for number, (one, switch) in enumerate(zip(self.pair, switches))])).start()

    def alerts(self):
        """Whatever was pending or firing about an endpoint at any time until now. (That probes are
        late says something about the machine at these short intervals, and nothing about servers.)"""
        found = self.prometheus.query(
            'count by (alertname, pg_endpoint, server) '
            '(count_over_time(ALERTS{pg_cluster!="",alertname!="PgtlsProbesStale"}[1h]))')
        return {(one["metric"]["alertname"], one["metric"]["pg_endpoint"], one["metric"].get("server"))
                for one in found}

    def scraped(self):
        """Waits until Prometheus has scraped, and judged, what is true now."""
        def scrapes():
            found = self.prometheus.query('count_over_time(up{job="pgtls"}[1h])')
            return sum(float(one["value"][1]) for one in found)

        before = scrapes()
        process.wait_for(lambda: scrapes() >= before + 3, 60, "scrapes")

    def close(self):
        self.prometheus.close()
        self.exporter.stop()


@pytest.fixture
def site(lab, trust, tmp_path):
    one = Site(lab, trust, tmp_path)
    yield one
    one.close()


def well(metrics):
    """Clients get in everywhere, and find a primary where one is promised."""
    kept = {labels["pg_endpoint"]: value for labels, value in metrics.all(KEPT, promise="read_only")}
    up = {labels["pg_endpoint"]: value for labels, value in metrics.all("pgtls_endpoint_up")}
    return kept == dict.fromkeys(PRIMARY, 1) and up == dict.fromkeys(PRIMARY | {"both"}, 1)


def fence(server):
    """It takes no writes any more."""
    server.sql("alter database postgres set default_transaction_read_only = on")


def rejoin(old, new):
    """What was the primary comes back as a standby, at its old address and with its own certificate."""
    own = {name: (old.data / name).read_bytes() for name in ("server.crt", "server.key")}
    old.stop()
    shutil.rmtree(old.data)
    subprocess.run([old.bin / "pg_basebackup", "-D", old.data, "-h", new.directory, "-p", str(new.port),
                    "-U", "postgres", "-R", "-c", "fast", "--no-sync"], check=True, cwd="/",
                   env=process.clean_environment(), **process.drop_privileges())
    for name, content in own.items():
        old._put(name, content)
    old.ready_line = servers.Standby.ready_line
    old.program.log_path.write_text("")
    old.start()


def test_roles_swap_and_nothing_is_raised(site):
    a, b = site.pair
    of_a, of_b = ({"pg_endpoint": "write", "server": f"127.0.0.1:{one.port}"} for one in site.pair)
    daemon = site.exporter
    daemon.until(lambda m: well(m) and m.value("pgtls_promise_kept", promise="read_only", **of_b) == 0, 60)
    site.scraped()

    b.promote()
    daemon.until(lambda m: m.value("pgtls_promise_kept", promise="read_only", **of_b) == 1, 30)
    site.primary[1].turn(True)
    site.primary[0].turn(False)
    site.scraped()
    fence(a)
    metrics = daemon.until(lambda m: m.value("pgtls_promise_kept", promise="read_only", **of_a) == 0, 30)
    assert well(metrics)
    site.scraped()
    assert well(daemon.scrape()) and site.alerts() == set()

    site.serving[0].turn(False)
    rejoin(a, b)  # down meanwhile, which is told of it alone
    site.serving[0].turn(True)
    metrics = daemon.until(lambda m: m.value("pgtls_in_recovery", **of_a) == 1 and well(m), 60)
    assert metrics.value("pgtls_in_recovery", **of_b) == 0
    site.scraped()
    assert {name for name, _, _ in site.alerts()} <= {"PgtlsServerDown"}, daemon.log()
    assert all(server.endswith(f":{a.port}") or endpoint == "pooled" for _, endpoint, server in site.alerts())
    assert metrics.value("pgtls_certificates_seen", pg_endpoint="both") == 2
    assert daemon.health()["status"] == "ok"

    fence(b)  # the last primary: that is told
    daemon.until(lambda m: {labels["pg_endpoint"] for labels, value in m.all(KEPT, promise="read_only")
                            if value == 0} == PRIMARY, 60)
    process.wait_for(lambda: {endpoint for name, endpoint, _ in site.alerts() if name == "PgtlsPromiseBroken"}
                     == PRIMARY, 60, "the alerts")
    assert daemon.health()["status"] == "degraded"
