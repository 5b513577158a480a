"""Several exporters that share out the clusters of one configuration."""

import itertools
import json
import os
import socket
import subprocess

import pytest

from lab import exporter as lab_exporter
from lab.exporter import QUICK

SHARDS = 3
CLUSTERS = [f"cluster-{i:02}" for i in range(30)]


def written(scratch, configuration, name="sharding.yml"):
    path = scratch / name
    path.write_text(json.dumps(configuration))
    return f"--config.file={path}"


@pytest.fixture(scope="module")
def configuration(lab, trust):
    """Thirty clusters on a few real servers, a third of them with a second endpoint."""
    servers = itertools.cycle([lab.postgres(), lab.postgres(17), lab.pgbouncer()])
    clusters = []
    for number, name in enumerate(CLUSTERS):
        server = next(servers)
        endpoint = {"host": server.address, "port": server.port}
        clusters.append({"name": name, "endpoints": {
            "write": endpoint, **({"read": endpoint} if number % 3 == 0 else {})}})
    return {"defaults": {**QUICK, "interval": "1s", "user": "u_trust", "dbname": "app",
                         "sslrootcert": str(trust.root_file)}, "clusters": clusters}


def watched(daemon):
    """(cluster, endpoint) of everything an exporter has series of."""
    return {(labels["pg_cluster"], labels["pg_endpoint"])
            for labels, _ in daemon.scrape().all("pgtls_probes_total", probe="inspect")}


def homes(file, *arguments):
    """cluster → shard, as `list` tells."""
    result = lab_exporter.run("list", file, f"--total-shards={SHARDS}", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    return {server["cluster"]: server["shard"] for server in json.loads(result.stdout)["servers"]}


def test_shards_watch_everything_once(exporter, configuration, scratch):
    home = homes(written(scratch, configuration))
    assert set(home) == set(CLUSTERS) and set(home.values()) == set(range(SHARDS))
    everything = {(cluster["name"], endpoint) for cluster in configuration["clusters"]
                  for endpoint in cluster["endpoints"]}
    seen = []
    for shard in range(SHARDS):
        daemon = exporter(configuration, arguments=[f"--shard={shard}", f"--total-shards={SHARDS}"])
        found = watched(daemon)
        assert {cluster for cluster, _ in found} == {c for c in CLUSTERS if home[c] == shard}
        metrics = daemon.scrape()
        assert metrics.value("pgtls_shard_ordinal") == shard
        assert metrics.value("pgtls_total_shards") == SHARDS
        listed = {(e["cluster"], e["endpoint"]) for e in daemon.health()["endpoints"]}
        assert listed == found
        other = next(c for c in CLUSTERS if home[c] != shard)
        answer = daemon.get(f"/health/database/{other}/write")
        assert answer.status == 404
        assert answer.json()["shard"] == {"ordinal": shard, "total": SHARDS, "wanted": home[other]}
        assert f"--shard={home[other]} of --total-shards={SHARDS}" in answer.json()["message"]
        seen += sorted(found)
    assert len(seen) == len(set(seen)) and set(seen) == everything


def test_a_reload_keeps_the_shard_and_what_is_known(exporter, configuration, scratch):
    home = homes(written(scratch, configuration))
    daemon = exporter(configuration, arguments=["--shard=1", f"--total-shards={SHARDS}"])
    before = daemon.settled()
    staying = next(c for c in CLUSTERS if home[c] == 1)
    more = {**configuration, "clusters": configuration["clusters"] + [
        {"name": f"new-{i}", "endpoints": configuration["clusters"][0]["endpoints"]} for i in range(12)]}
    home = homes(written(scratch, more, "more.yml"))
    daemon.write(more)
    assert daemon.request("POST", "/-/reload").status == 200
    assert {cluster for cluster, _ in watched(daemon)} == {c for c in home if home[c] == 1}
    assert daemon.scrape().value("pgtls_probes_total", probe="inspect", pg_cluster=staying, pg_endpoint="write") \
        >= before.value("pgtls_probes_total", probe="inspect", pg_cluster=staying, pg_endpoint="write")
    assert daemon.scrape().value("pgtls_shard_ordinal") == 1


def test_a_shard_without_a_cluster_is_no_error(exporter, configuration):
    one = {**configuration, "clusters": [{**configuration["clusters"][0], "name": "orders"}]}  # in 0 of 3
    daemon = exporter(one, arguments=["--shard=1", f"--total-shards={SHARDS}"])
    assert watched(daemon) == set()
    assert daemon.told("No cluster of the configuration belongs to this shard")
    assert daemon.get("/-/ready").status == 200
    assert daemon.get("/health/database").status == 404


def test_the_ordinal_comes_from_the_pods_name(exporter, configuration):
    daemon = exporter(configuration, arguments=["--shard=ordinal", f"--total-shards={SHARDS}"],
                      environment={"POD_NAME": "pgtls-exporter-2"})
    assert daemon.scrape().value("pgtls_shard_ordinal") == 2


def test_without_a_pods_name_it_is_the_hosts(configuration, scratch):
    file = written(scratch, configuration)
    arguments = ["list", file, "--shard=ordinal", f"--total-shards={SHARDS}"]
    name = socket.gethostname()
    last = name.rsplit("-", 1)[-1] if "-" in name else ""
    result = lab_exporter.run(*arguments)
    if last.isdigit() and int(last) < SHARDS:
        assert result.returncode == 0
    else:
        assert result.returncode == 2 and name in result.stderr and "the host name" in result.stderr


def test_the_host_of_a_stateful_set(configuration, scratch):
    file = written(scratch, configuration)
    result = subprocess.run(
        ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--uts", "sh", "-c", 'hostname pgtls-1 && exec "$@"', "sh", lab_exporter.BINARY, "list",
         file, "--json", "--shard=ordinal", f"--total-shards={SHARDS}"],
        capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0, result.stderr
    assert {server["shard"] for server in json.loads(result.stdout)["servers"]} == {1}


@pytest.mark.parametrize("arguments, environment, said", [
    (["--shard=3", "--total-shards=3"], {}, "the last is 2"),
    (["--shard=-1", "--total-shards=3"], {}, "expected a number from 0 to 999"),
    (["--shard=one", "--total-shards=3"], {}, "or the word ordinal"),
    (["--shard=0"], {}, "needs --total-shards"),
    (["--total-shards=3"], {}, "needs --shard"),
    (["--total-shards=0"], {}, "a number from 1 to 1000"),
    (["--shard=ordinal"], {}, "needs --total-shards"),
    (["--shard=ordinal", "--total-shards=3"], {"POD_NAME": "pgtls-3"}, 'POD_NAME is "pgtls-3"'),
    (["--shard=ordinal", "--total-shards=3"], {"POD_NAME": "pgtls-7f9c4d-x2x"}, "StatefulSet"),
])
@pytest.mark.parametrize("check", [[], ["--config.check"]])
def test_a_wrong_shard_is_wrong_usage(configuration, scratch, arguments, environment, said, check):
    result = lab_exporter.run(written(scratch, configuration), *arguments, *check, **environment)
    assert result.returncode == 2, result.stderr
    assert said in result.stderr and "Starting" not in result.stderr


def test_check_says_what_is_its_part(configuration, scratch):
    result = lab_exporter.run("--config.check", written(scratch, configuration), "--shard=1",
                              f"--total-shards={SHARDS}")
    assert result.returncode == 0
    home = homes(written(scratch, configuration))
    endpoints = sum(len(c["endpoints"]) for c in configuration["clusters"] if home[c["name"]] == 1)
    assert "good: 40 endpoints" in result.stdout
    assert f"shard 1 of 3 watches {endpoints} endpoints" in result.stdout


def test_list_of_one_shard(configuration, scratch):
    file = written(scratch, configuration)
    assert set(homes(file, "--shard=0").values()) == {0}
    text = lab_exporter.run("list", file, f"--total-shards={SHARDS}").stdout
    assert text.startswith("shard  cluster/endpoint") and text.count("\n") == 41
    assert lab_exporter.run("list", file).stdout.startswith("cluster/endpoint")
