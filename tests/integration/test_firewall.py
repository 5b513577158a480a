"""Watched sessions through a real firewall: the kernel's own, in network namespaces. It drops without a
word to either side, as those between offices, clouds and subnets do. This takes root."""

import pytest

from lab.exporter import endpoint_of, one_cluster
from lab.firewall import SERVER, Firewall

UP, DROPS = "pgtls_session_up", "pgtls_session_drops_total"


@pytest.fixture
def firewall():
    with Firewall() as one:
        yield one


@pytest.fixture
def behind(lab, trust, firewall):
    """A PostgreSQL behind the firewall."""
    with firewall.server:
        server = lab.new_postgres(hba="host all all 192.0.2.0/24 trust\n", client_ca=None, roles=False,
                                  address=SERVER, credentials=trust.root.issue(hosts=[SERVER]))
    yield server
    server.close()


@pytest.fixture
def watch(trust, exporter, firewall, behind, tmp_path):
    """A function that watches it from the other side, with these sessions."""
    def start(*sessions):
        with firewall.client:
            return exporter(one_cluster({"write": endpoint_of(behind, session=list(sessions))}, {
                "user": "postgres", "sslrootcert": str(trust.root_file), "timeout": "2s", "interval": "500ms"}),
                            listen=(f"unix:{tmp_path}/web",))
    return start


def drops(metrics, **labels):
    return {found["how"]: value for found, value in metrics.all(DROPS, **labels) if value}


def told(daemon, text):
    return [line for line in daemon.log().splitlines() if f'msg="{text}"' in line]


def test_what_a_stateful_firewall_forgets_is_between_two_sessions(firewall, watch):
    """The server is up all the while: only who stays idle for longer than the firewall remembers
    loses the connection."""
    firewall.forgets_after(3)
    daemon = watch({"idle": "1s"}, {"idle": "5s"})
    metrics = daemon.until(lambda m: drops(m, session="5s"), 30, "a drop")
    assert drops(metrics) == {"timeout": 1} and metrics.value(UP, session="1s") == 1
    assert metrics.value("pgtls_up") == 1 and not metrics.all("pgtls_fault_active")
    short, long = daemon.server_health("lab")["sessions"]
    assert short["drops"] == 0
    drop = long["last_drop"]
    assert (drop["how"], drop["sqlstate"]) == ("timeout", None)
    assert 4.9 < drop["idle_seconds"] < 6 and 1.9 < drop["age_seconds"] - drop["idle_seconds"] < 4
    (line,) = daemon.told('msg="Session was dropped"')
    assert "how=timeout" in line and "session=5s" in line and " age=7" in line and " idle=5" in line
    daemon.until(lambda m: m.value(UP, session="5s") == 1, what="the session to be open again")
    (line,) = daemon.told('msg="Session is open again"')
    assert "level=INFO" in line and "session=5s" in line


def test_a_rule_that_drops_established_connections(firewall, watch):
    """And all that come while it stands: down by tcp_timeout, and both come back when it goes."""
    daemon = watch({"idle": "1s"})
    daemon.until(lambda m: m.value(UP) == 1, what="the session to be open")
    firewall.rules("ct state established,new tcp flags != syn drop")
    # A probe under way may time out in another phase first.
    metrics = daemon.until(lambda m: drops(m) and m.all("pgtls_fault_active", fault="tcp_timeout"), 30, "the drop")
    assert drops(metrics) == {"timeout": 1} and metrics.value("pgtls_up") == 0
    drop = daemon.server_health("lab")["sessions"][0]["last_drop"]
    assert drop["how"] == "timeout" and 0.9 < drop["idle_seconds"] < 2 < drop["age_seconds"]
    assert daemon.server_health("lab")["fault"] == "tcp_timeout"
    firewall.rules()
    metrics = daemon.until(lambda m: m.value("pgtls_up") == m.value(UP) == 1, 30, "both to be up again")
    assert drops(metrics) == {"timeout": 1}
    for text in ("Server is down", "Server is up", "Session was dropped", "Session is open again"):
        assert len(told(daemon, text)) == 1 + (text == "Server is up"), text
