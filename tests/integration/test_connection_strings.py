"""Connection strings as applications have them, to real servers: what the driver that reads a string
would do is what is probed, and what it refuses or ignores is said. Nothing of a string is repeated."""

import json
from urllib.parse import quote

import pytest

from conftest import PASSWORD
from lab import certs, exporter as lab_exporter
from lab.exporter import one_cluster

UP, DOWN = 0, 1


def probe(string):
    """The only server's part of the document, and what was warned of."""
    result = lab_exporter.run("probe", "--json", string)
    for text in (result.stdout, result.stderr):
        assert PASSWORD not in text and quote(PASSWORD, safe="") not in text and "Sanitizer" not in text
    return result.returncode, json.loads(result.stdout)["servers"], result.stderr


def done(server):
    return [name for name, phase in server["phases"].items() if phase["state"] == "completed"]


def forms(lab, trust):
    """The same server and user in every form, verified in full."""
    port, root, password = lab.postgres().port, trust.root_file, quote(PASSWORD, safe="")
    tls, escaped = f"sslmode=verify-full&sslrootcert={root}", PASSWORD.replace("'", "\\'")
    return {
        "libpq": f"postgresql://u_scram:{password}@localhost:{port}/app?{tls}",
        "postgres": f"postgres://u_scram:{password}@localhost:{port}/app?{tls}",
        "words": f"host=localhost port={port} user=u_scram password='{escaped}' dbname=app "
                 f"sslmode=verify-full sslrootcert={root}",
        "psycopg2": f"postgresql+psycopg2://u_scram:{password}@localhost:{port}/app?{tls}",
        "psycopg": f"postgresql+psycopg://u_scram:{password}@/app?host=localhost:{port}&{tls}",
        "jdbc": f"jdbc:postgresql://localhost:{port}/app?user=u_scram&password={password}&{tls}&loginTimeout=3",
        "npgsql": f"Host=localhost:{port};Username=u_scram;Password=\"{PASSWORD}\";Database=app;"
                  f"SSL Mode=VerifyFull;Root Certificate={root};Pooling=true",
    }


@pytest.mark.parametrize("form", ["libpq", "postgres", "words", "psycopg2", "psycopg", "jdbc", "npgsql"])
def test_every_form_gets_in(lab, trust, form):
    status, (server,), warnings = probe(forms(lab, trust)[form])
    assert (status, warnings) == (UP, "")
    assert server["sslmode"] == "verify-full"
    assert server["server"] == f"localhost:{lab.postgres().port}"
    assert {"tls", "auth", "query"} <= set(done(server))


def test_a_jdbc_url_may_be_a_database_alone():
    _, (server,), _ = probe("jdbc:postgresql:app")
    assert (server["server"], server["user"]) == ("localhost:5432", None)


# --- what a driver does not understand ------------------------------------------------------------

def test_the_parameter_that_asyncpg_does_not_have(lab):
    """Scenario E: the application dies of it; the probe says so, and goes on with what was meant."""
    string = f"postgresql+asyncpg://u_scram:{quote(PASSWORD, safe='')}@localhost:{lab.postgres().port}/app"
    status, (server,), warnings = probe(f"{string}?sslmode=require")
    assert (status, server["sslmode"]) == (UP, "require")
    assert warnings.count("warning:") == 1
    assert 'asyncpg: "sslmode": SQLAlchemy hands it to asyncpg.connect(), which has no such argument' in warnings
    assert "write ssl=" in warnings
    status, (server,), warnings = probe(f"{string}?ssl=require")
    assert (status, server["sslmode"], warnings) == (UP, "require", "")


def test_the_factory_that_trusts_everybody(lab, scratch):
    """pgJDBC gets in to an impostor with it, and is turned away without: so is the probe."""
    stranger = lab.new_postgres(credentials=certs.self_signed())
    url = f"jdbc:postgresql://localhost:{stranger.port}/app?user=u_trust&ssl=true"
    status, (server,), warnings = probe(url + "&sslfactory=org.postgresql.ssl.NonValidatingFactory")
    assert (status, server["sslmode"]) == (UP, "require")
    assert "verification is off in the application" in warnings
    status, (server,), warnings = probe(url)
    assert (status, server["sslmode"], warnings) == (DOWN, "verify-full", "")
    assert server["fault"]["class"] == "certificate"


def test_hosts_of_a_list_are_all_probed(lab):
    ports = [lab.postgres().port, lab.postgres(18).port]
    hosts = ",".join(f"localhost:{port}" for port in ports)
    _, servers, _ = probe(f"jdbc:postgresql://{hosts}/app?user=u_trust&sslmode=require&targetServerType=primary")
    assert [server["server"] for server in servers] == hosts.split(",")
    assert all(server["promises"]["read_only"]["kept"] for server in servers)
    _, servers, _ = probe(f"postgresql+psycopg2://u_trust@/app?host=localhost:{ports[0]}&host=localhost:{ports[1]}")
    assert [server["server"] for server in servers] == hosts.split(",")


def test_a_watched_string_is_warned_of_and_watched(lab, exporter):
    daemon = exporter(None, environment={"DATABASE_URL":
        f"postgresql+asyncpg://u_scram:{quote(PASSWORD, safe='')}@localhost:{lab.postgres().port}/app?sslmode=require"})
    daemon.until(lambda m: m.value("pgtls_up") == 1)
    assert daemon.log().count("asyncpg.connect()") == 1
    assert PASSWORD not in daemon.log() + daemon.get("/").text + daemon.get("/health/database").text


# --- Unix sockets ---------------------------------------------------------------------------------

def socket_forms(server):
    directory, port = server.directory, server.port
    return {
        "words": f"host={directory} port={port} user=u_trust dbname=app sslmode=verify-full",
        "parameter": f"postgresql:///app?host={directory}&port={port}&user=u_trust",
        "encoded": f"postgresql://u_trust@{quote(str(directory), safe='')}:{port}/app",
        "sqlalchemy": f"postgresql+psycopg2://u_trust@/app?host={directory}&port={port}",
        "npgsql": f"Host={directory};Port={port};Username=u_trust;Database=app",
    }


@pytest.mark.parametrize("form", ["words", "parameter", "encoded", "sqlalchemy", "npgsql"])
def test_a_socket_is_plaintext_without_tcp_and_tls(lab, form):
    server = lab.postgres()
    status, (found,), warnings = probe(socket_forms(server)[form])
    assert (status, warnings) == (UP, "")
    assert found["server"] == f"{server.directory}/.s.PGSQL.{server.port}"
    assert done(found) == ["startup", "auth", "query"]
    assert found["tls"] is None


def test_a_watched_socket(lab, exporter):
    server = lab.postgres()
    daemon = exporter(one_cluster({"write": {"dsn": socket_forms(server)["parameter"]}}))
    metrics = daemon.settled(at_least=3)
    assert metrics.value("pgtls_up") == 1
    count = {labels["phase"]: value for labels, value in metrics.all("pgtls_phase_duration_seconds_count")}
    assert {phase for phase, value in count.items() if value > 0} == {"startup", "auth", "query"}
    total = {labels["phase"]: value for labels, value in metrics.all("pgtls_phase_duration_seconds_sum")}
    assert all(total[phase] > 0 for phase in ("startup", "auth", "query"))
    assert not metrics.all("pgtls_tls_info") and not metrics.all("pgtls_chain_verified")
    health = daemon.server_health("lab")
    assert (health["connection"], health["fault"], health["tls"]["version"]) == ("OK", None, None)
    assert health["latency_seconds"]["startup"] > 0


# --- strings that stand elsewhere -----------------------------------------------------------------

def test_a_string_and_a_user_in_files(lab, trust, exporter, scratch):
    """What they hold is taken at a reload; what cannot be read then changes nothing."""
    one, two = lab.postgres(), lab.postgres(18)
    string, user = scratch / "watched.dsn", scratch / "watched.user"
    string.write_text(f"postgresql+asyncpg://u_scram:{quote(PASSWORD, safe='')}@localhost:{one.port}/app?ssl=require\n")
    user.write_text("u_trust\n")
    daemon = exporter(one_cluster({
        "write": {"dsn_file": str(string)},
        "read": {"host": "localhost", "port": one.port, "user_file": str(user), "dbname": "app",
                 "sslrootcert": str(trust.root_file)}}))
    daemon.until(lambda m: [value for _, value in m.all("pgtls_up")] == [1, 1])
    string.write_text(string.read_text().replace(str(one.port), str(two.port)))
    daemon.reload()
    daemon.until(lambda m: m.value("pgtls_up", 0, server=f"localhost:{two.port}") == 1)
    string.unlink()
    daemon.reload()
    metrics = daemon.until(lambda m: m.value("pgtls_config_last_reload_successful") == 0)
    assert metrics.value("pgtls_up", server=f"localhost:{two.port}") == 1
    assert daemon.told(f"dsn_file: {string}: No such file or directory")
    assert PASSWORD not in daemon.log()
