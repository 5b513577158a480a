"""Certificates that disagree, on real servers: with the file that was renewed on disk, between the servers
of an endpoint, between a direct and a pooled leg; and back ends that take turns, which disagree with nobody."""

import hashlib
import time

import pytest

from cryptography.hazmat.primitives import serialization
from lab import certs, exporter as lab_exporter, servers
from lab.exporter import endpoint_of, one_cluster

HBA = "host all all 127.0.0.0/8 trust\n"
KEPT, ENDPOINT_KEPT = "pgtls_promise_kept", "pgtls_endpoint_promise_kept"
SAME, READABLE = "pgtls_endpoint_same_certificate", "pgtls_certificate_file_readable"
FILE = {"promise": "certificate_file"}


def fingerprint(credentials):
    return hashlib.sha256(credentials.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


@pytest.fixture
def postgres(lab):
    """A function that starts a PostgreSQL with a certificate of its own."""
    def start(**more):
        server = lab.new_postgres(hba=HBA, client_ca=None, roles=False, **more)
        server.share_certificate()
        return server
    return start


@pytest.fixture
def watch(trust, exporter):
    def start(endpoints, **defaults):
        return exporter(one_cluster(endpoints, {"sslrootcert": str(trust.root_file), "user": "postgres",
                                                "login": False, **defaults}))
    return start


def hosts(*several, **more):
    """One endpoint of several servers."""
    return {"host": ",".join(s.address for s in several), "port": ",".join(str(s.port) for s in several), **more}


def endpoint_health(daemon, endpoint):
    (found,) = daemon.health(f"/lab/{endpoint}")["endpoints"]
    return found


def steady(daemon, seconds, check):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        metrics = daemon.scrape()
        assert check(metrics), (metrics.all(KEPT), metrics.all(ENDPOINT_KEPT), metrics.all("pgtls_certificates_seen"))
        time.sleep(0.05)
    return metrics


# --- the file on disk --------------------------------------------------------------------------


def test_a_certificate_renewed_on_disk_and_not_reloaded(trust, postgres, watch, scratch):
    server = postgres()
    file, old, new = server.data / "server.crt", trust.root.issue(), trust.root.issue()
    server.set_credentials(old)
    server.reload()
    write = endpoint_of(server, certificate_file=str(file))
    daemon = watch({"write": write})
    metrics = daemon.until(lambda m: m.value(KEPT, **FILE) == 1)
    assert metrics.value(ENDPOINT_KEPT, **FILE) == metrics.value(READABLE) == 1
    assert daemon.health()["status"] == "ok"

    server.set_credentials(new)  # as certbot does when its hook fails
    metrics = daemon.until(lambda m: m.value(KEPT, **FILE) == 0)
    assert metrics.value(ENDPOINT_KEPT, **FILE) == 0
    assert metrics.value("pgtls_up") == metrics.value(READABLE) == 1
    steady(daemon, 1, lambda m: m.value(KEPT, **FILE) == 0 and m.value("pgtls_up") == 1)
    found = endpoint_health(daemon, "write")
    (health,) = found["servers"]
    assert found["status"] == "degraded" and found["promises"]["certificate_file"] is False
    told = health["certificate_file"]
    assert (told["path"], told["error"], told["served"]) == (str(file), None, False)
    assert told["fingerprint_sha256"] == fingerprint(new)
    assert told["unserved_since"] >= told["modified"]  # within a moment of each other
    assert health["certificate"]["seen_lately"] == [health["certificate"]["fingerprint_sha256"]] == [fingerprint(old)]

    # The same to people who probe by hand, and once in the log.
    configuration = scratch / "renewed.yml"
    configuration.write_text(daemon.file.read_text())
    text = lab_exporter.run("probe", f"--config.file={configuration}", "lab/write")
    words = "".join(text.stdout.split())
    assert text.returncode == 0 and "promisecertificate_fileisbroken" in words
    assert f"shownisSHA-256{fingerprint(old)},inthefileis{fingerprint(new)}" in words
    (line,) = daemon.told('msg="Promise is broken"')
    assert "promise=certificate_file" in line and fingerprint(new) in line and str(file) in line

    server.reload()
    daemon.until(lambda m: m.value(ENDPOINT_KEPT, **FILE) == 1)
    assert daemon.health()["status"] == "ok"
    told = daemon.server_health("lab")["certificate_file"]
    assert told["served"] is True and told["unserved_since"] is None
    assert daemon.told("Promise is kept again")


def test_a_server_that_lets_its_certificate_expire_beside_a_new_one(trust, postgres, watch):
    """What was a broken promise has become an outage: the cause stays in sight."""
    server = postgres(credentials=certs.expired(trust.root))
    file = server.directory / "renewed.crt"
    file.write_bytes(trust.root.issue().chain_pem)
    daemon = watch({"write": endpoint_of(server, certificate_file=str(file))})
    daemon.settled(at_least=4)
    health = daemon.server_health("lab")
    assert health["fault"] == "server_cert_expired"
    assert health["certificate_file"]["served"] is False and health["certificate_file"]["unserved_since"]
    metrics = daemon.scrape()
    assert not metrics.all(KEPT) and not metrics.all(ENDPOINT_KEPT)  # it is down: that says it all


def test_a_file_that_cannot_be_read_is_our_own_side(postgres, watch, tmp_path):
    server = postgres()
    file = tmp_path / "server.crt"
    daemon = watch({"write": endpoint_of(server, certificate_file=str(file))})
    metrics = daemon.settled(at_least=4)
    assert metrics.value(READABLE) == 0 and metrics.value("pgtls_up") == 1
    assert not metrics.all(KEPT) and not metrics.all(ENDPOINT_KEPT)
    assert daemon.health()["status"] == "ok"
    told = daemon.server_health("lab")["certificate_file"]
    assert told["served"] is None and told["error"] == "No such file or directory"
    (line,) = daemon.told("Cannot read the certificate file")
    assert str(file) in line and "level=WARN" in line
    file.write_bytes((server.data / "server.crt").read_bytes())
    metrics = daemon.until(lambda m: m.value(KEPT, **FILE) == 1)
    assert metrics.value(READABLE) == 1
    file.write_text("half a certif")  # somebody writes it at this moment
    metrics = daemon.until(lambda m: m.value(READABLE) == 0)
    assert not metrics.all(KEPT) and metrics.value("pgtls_up") == 1
    assert daemon.server_health("lab")["certificate_file"]["error"] == "no certificate in PEM format is in it"


# --- each other --------------------------------------------------------------------------------


def test_two_servers_of_an_endpoint(trust, postgres, watch):
    common, other = trust.root.issue(), trust.root.issue()
    one, two = postgres(credentials=common), postgres(credentials=other)
    daemon = watch({"told": hosts(one, two), "promised": hosts(one, two, promise={"same_certificate": True})})
    metrics = daemon.until(lambda m: len(m.all(SAME)) == 2)
    assert [value for _, value in metrics.all(SAME)] == [0, 0]
    assert metrics.labels(ENDPOINT_KEPT) == {"pg_cluster": "lab", "pg_endpoint": "promised",
                                             "promise": "same_certificate"}
    assert metrics.value(ENDPOINT_KEPT) == 0 and not metrics.all(KEPT)
    assert endpoint_health(daemon, "told")["status"] == "ok"
    found = endpoint_health(daemon, "promised")
    assert found["status"] == "degraded" and found["since"] == found["certificates"]["since"]
    assert found["certificates"]["between"] == [
        {"endpoint": "promised", "server": f"127.0.0.1:{server.port}", "fingerprints_sha256": [fingerprint(c)]}
        for server, c in ((one, common), (two, other))]

    two.set_credentials(common)
    two.reload()
    metrics = daemon.until(lambda m: m.value(ENDPOINT_KEPT) == 1)
    daemon.until(lambda m: [value for _, value in m.all(SAME)] == [1, 1])
    assert endpoint_health(daemon, "promised")["status"] == "ok"
    two.stop()  # nothing to compare with
    daemon.until(lambda m: not m.all(SAME) and not m.all(ENDPOINT_KEPT))


def test_back_ends_that_take_turns_disagree_with_nobody(lab, trust, postgres, watch):
    """Two balancers, each over the same two servers, which have certificates of their own."""
    pair = [postgres(), postgres()]
    turns = [*pair, pair[0]]  # of two strictly in turn, one client may always meet the same
    body = ["balance roundrobin"] + [f"server s{n} 127.0.0.1:{server.port}" for n, server in enumerate(turns)]
    balancers = [lab.keep(servers.Haproxy(lab.directory("haproxy"), body)).start() for _ in range(2)]
    daemon = watch({"both": hosts(*balancers, promise={"same_certificate": True}),
                    "one": endpoint_of(balancers[0], certificate_file=str(pair[0].data / "server.crt"))})

    def well(metrics):
        return metrics.value(ENDPOINT_KEPT, pg_endpoint="both") == metrics.value(SAME) == 1 \
            and metrics.value(ENDPOINT_KEPT, pg_endpoint="one") == 1

    daemon.until(well)
    steady(daemon, 8, well)
    daemon.until(lambda m: {value for _, value in m.all("pgtls_certificates_seen")} == {2})
    assert daemon.health()["status"] == "ok"
    assert "Promise is broken" not in daemon.log()


def test_a_direct_and_a_pooled_leg(lab, trust, postgres, exporter):
    """Of one cluster, if somebody asks for it: with certificates of their own, and with the same one."""
    common = trust.root.issue()
    server = postgres(credentials=common)
    users = {"postgres": ""}
    own = lab.new_pgbouncer(server, users=users)
    same = lab.new_pgbouncer(server, users=users, credentials=common)

    def cluster(name, pooler, promise):
        return {"name": name, "promise": promise,
                "endpoints": {"direct": endpoint_of(server), "pooled": endpoint_of(pooler)}}

    asked = {"same_certificate": "cluster"}
    daemon = exporter({"defaults": {**lab_exporter.QUICK, "sslrootcert": str(trust.root_file), "user": "postgres"},
                       "clusters": [cluster("apart", own, asked), cluster("alike", same, asked),
                                    cluster("unasked", own, {"pooled": False})]})
    metrics = daemon.until(lambda m: len(m.all(ENDPOINT_KEPT, promise="same_certificate")) == 4)
    assert {(labels["pg_cluster"], labels["pg_endpoint"]): value
            for labels, value in metrics.all(ENDPOINT_KEPT, promise="same_certificate")} == {
        ("apart", "direct"): 0, ("apart", "pooled"): 0, ("alike", "direct"): 1, ("alike", "pooled"): 1}
    statuses = {cluster: daemon.health(f"/{cluster}")["status"] for cluster in ("apart", "alike")}
    assert statuses == {"apart": "degraded", "alike": "ok"}
    for endpoint in daemon.health("/apart")["endpoints"]:
        assert endpoint["certificates"]["among"] == "cluster"
        assert [b["endpoint"] for b in endpoint["certificates"]["between"]] == ["direct", "pooled"]
