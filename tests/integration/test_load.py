"""What the exporter asks of a server: as many connections as docs/load.md says, and no more bytes."""

import time

from conftest import PASSWORD
from lab.exporter import endpoint_of, one_cluster
from lab.relay import Relay


def test_one_connection_a_probe_and_few_bytes(lab, trust, exporter, tmp_path):
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    relay = Relay(lab.postgres())
    keys = {"user": "u_scram", "dbname": "app", "password_file": str(secret), "sslrootcert": str(trust.root_file)}
    daemon = exporter(one_cluster({"write": endpoint_of(relay, interval="1s", login={"interval": "2s"}, **keys)}))
    metrics = daemon.until(lambda m: m.value("pgtls_probes_total", 0, probe="inspect") >= 4
                           and m.value("pgtls_probes_total", 0, probe="login") >= 2, 30)
    daemon.stop()
    relay.close()
    probes = metrics.sum("pgtls_probes_total")
    assert probes <= len(relay.connections) <= probes + 2  # one may have begun, or ended, meanwhile
    assert relay.most_at_once <= 2  # the next one while the server still closes the one before
    assert max(sum(count) for count in relay.connections) < 8000, relay.connections


def test_sessions_of_a_server_log_in_one_after_the_other(lab, trust, exporter, tmp_path):
    """Four sessions and the probes: connections open at once, and never two of them on their way in."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    relay = Relay(lab.postgres())
    daemon = exporter(one_cluster({"write": endpoint_of(
        relay, interval="30s", login={"interval": "60s"}, user="u_scram", dbname="app", password_file=str(secret),
        sslrootcert=str(trust.root_file), session=[{"idle": f"{60 + i}s"} for i in range(4)])}))
    daemon.until(lambda m: m.sum("pgtls_session_up") == 4, 30)
    metrics = daemon.scrape()
    starts = sorted(value for _, value in metrics.all("pgtls_session_start_timestamp_seconds"))
    assert all(later - earlier > 0.3 for earlier, later in zip(starts, starts[1:])), starts
    relay.close()


def test_no_more_new_connections_per_second_than_allowed(exporter):
    """Of fifty servers that are due every second, five get their turn."""
    endpoints = {f"e{n}": {"host": f"127.0.0.{n + 1}", "port": 1} for n in range(50)}
    daemon = exporter({**one_cluster(endpoints, {"interval": "1s", "timeout": "1s"}),
                       "limits": {"connections_per_second": 5}})

    def probes(metrics):
        return sum(value for _, value in metrics.all("pgtls_probes_total", probe="inspect"))
    began, first = time.monotonic(), probes(daemon.scrape())
    last = daemon.until(lambda m: probes(m) >= first + 20)
    assert probes(last) - first <= 5 * (time.monotonic() - began) + 5
    assert last.value("pgtls_probes_held_back_total", limit="connections_per_second") > 0
    assert last.value("pgtls_limit", limit="connections_per_second") == 5


def test_first_logins_of_many_come_after_the_first_inspects(lab, exporter):
    """A start of many servers: inspects within two seconds, and then the logins, fifty per second and worker."""
    server = lab.misbehave("healthy_plain")
    endpoints = {f"e{n}": endpoint_of(server, user="u", password="secret", sslmode="disable") for n in range(300)}
    daemon = exporter(one_cluster(endpoints, {"interval": "60s", "login": {"interval": "60s"}}), workers=1,
                      log_level="debug")
    daemon.until(lambda m: m.sum("pgtls_probes_total", probe="login") >= 100, 60)
    first = [line for line in daemon.log().splitlines() if 'msg="Probe is over"' in line][:150]
    # On a machine that is busy the last inspects may be late, and some logins before them.
    assert sum("probe=login" in line for line in first) < 25


def test_everybody_is_logged_in_to_where_there_is_more_to_do_than_can_be(lab, exporter):
    """Of forty servers that are due every second, twice, twenty get in: an inspect is due again whenever a login's
    turn has come, and takes no turn away."""
    server = lab.misbehave("healthy_plain")
    endpoints = {f"e{n}": endpoint_of(server, user="u", password="secret", sslmode="disable") for n in range(40)}
    daemon = exporter({**one_cluster(endpoints, {"interval": "1s", "login": {"interval": "1s"}}),
                       "limits": {"connections_per_second": 20}}, workers=1)

    def counts(metrics, probe):
        return sorted(value for _, value in metrics.all("pgtls_probes_total", probe=probe))
    metrics = daemon.until(lambda m: counts(m, "login")[20] >= 3, 60)
    for probe in ("inspect", "login"):
        assert counts(metrics, probe)[0] >= 1, (probe, counts(metrics, probe))
    assert metrics.value("pgtls_limit", limit="connections_per_second") == 20


def test_sessions_are_opened_where_there_is_more_to_do_than_can_be(lab, trust, exporter):
    """They stand in line with the probes; whoever looks for room now and then finds none."""
    hang = {f"h{n}": endpoint_of(lab.misbehave("stall_at_accept"), sslmode="require", interval="1s", timeout="1s")
            for n in range(5)}
    good = endpoint_of(lab.postgres(), user="u_trust", dbname="app", sslrootcert=str(trust.root_file), interval="10s",
                       login={"interval": "10s"}, session=[{"idle": f"{60 + i}s"} for i in range(3)])
    daemon = exporter({**one_cluster({**hang, "good": good}), "limits": {"in_flight": 1}}, workers=1)
    metrics = daemon.until(lambda m: m.sum("pgtls_session_up") == 3, 60)
    assert metrics.value("pgtls_probes_waiting") > 0
    assert metrics.sum("pgtls_session_drops_total") == 0
