"""docs/first-hour.md, from its first line to its last: what it tells to type and to write is done, in that
order, against a real server, and ends as the page says."""

import re

import pytest
import yaml

from lab import exporter as lab_exporter, process, servers, snippets
from lab.servers import ROOT

# More often than the page's defaults, and still without a warning.
OFTEN = {"interval": "5s", "timeout": "5s", "login": {"interval": "5s"}}


@pytest.fixture(scope="module")
def blocks():
    """The page's blocks by language, in their order."""
    found = {}
    for one in snippets.snippets():
        if one.page.name == "first-hour.md":
            found.setdefault(one.language, []).append(one.text)
    return found


@pytest.fixture(scope="module")
def server(lab):
    server = lab.new_postgres(roles=False, hba="hostssl all all 127.0.0.0/8 scram-sha-256\n")
    server.set_hba("local all postgres trust\nhost all postgres 127.0.0.0/8 trust\n"
                   "hostssl all all 127.0.0.0/8 scram-sha-256\n")
    server.reload()
    server.sql("create database app")
    return server


@pytest.fixture(scope="module")
def asked(blocks, server, trust):
    """What the strings of the page give against our server, by the page's own commands."""
    def probe(command, **environment):
        string = re.search(r"probe '([^']+)'", command)[1].replace("db.example.com", f"localhost:{server.port}")
        return lab_exporter.run("probe", f"{string}&sslrootcert={trust.root_file}", **environment)
    first = probe(blocks["sh"][0])
    server.sql(blocks["sql"][0])
    password = re.search(r"PGPASSWORD='([^']+)'", blocks["sh"][1])[1]
    return first, probe(blocks["sh"][1], PGPASSWORD=password), password


def test_it_can_be_asked_with_and_without_an_account(asked):
    for result in asked[:2]:
        assert result.returncode == 0 and "OK after" in result.stdout, result.stdout + result.stderr
    assert "PostgreSQL 15" not in asked[0].stdout and "PostgreSQL 15" in asked[1].stdout


def ours(text, server, trust):
    """The page's configuration with our server in it."""
    document = yaml.safe_load(text)
    document["defaults"] = {**OFTEN, "sslrootcert": str(trust.root_file)}
    for endpoint in document["clusters"][0]["endpoints"].values():
        endpoint.setdefault("port", server.port)
        endpoint["host"] = "localhost"
    return yaml.safe_dump(document)


def test_the_rest_of_the_hour(blocks, server, trust, asked, exporter, scratch):
    first, prometheus, broken = blocks["yaml"]
    directory = scratch / "first-hour"
    directory.mkdir()
    (directory / "password").write_text(asked[2] + "\n")
    file = directory / "pgtls.yml"
    file.write_text(ours(first, server, trust))
    for command in (["--config.check"], ["list"], ["probe", "--all"]):
        result = lab_exporter.run(*command, f"--config.file={file}")
        assert result.returncode == 0 and "warning" not in result.stderr, result.stdout + result.stderr
    daemon = exporter(arguments=[f"--config.file={file}"])
    daemon.until(lambda m: m.all("pgtls_up") and m.value("pgtls_up") == 1)
    assert daemon.health("/app-db")["status"] == "ok"

    file.write_text(ours(broken, server, trust))
    assert daemon.request("POST", "/-/reload").status == 200
    daemon.until(lambda m: m.all("pgtls_fault_active", pg_endpoint="nowhere"))
    assert daemon.server_health("app-db", "nowhere")["fault"] == "tcp_refused"

    configuration = yaml.safe_load(prometheus)
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["scrape_configs"][0]["static_configs"][0]["targets"] = [daemon.addresses[0]]
    with servers.Prometheus(directory / "prometheus", configuration) as watcher:
        (watcher.directory / "pgtls.rules.yml").write_text((ROOT / "alerts" / "pgtls.rules.yml").read_text())
        watcher.start()
        process.wait_for(lambda: watcher.query('ALERTS{alertname="PgtlsEndpointDown", pg_endpoint="nowhere"}'), 30,
                         "the alert, pending")
        (fault,) = watcher.query(blocks["promql"][0])
        assert fault["metric"]["fault"] == "tcp_refused"
        assert watcher.query('ALERTS{alertname="PgtlsEndpointDown", pg_endpoint="write"}') == []
