"""SIGHUP: a good configuration replaces the old one and servers that stay keep their counters; a bad
one changes nothing but is told."""

import time

from lab.exporter import endpoint_of, one_cluster


def configuration(lab, trust, names, **defaults):
    return one_cluster({name: endpoint_of(lab.postgres(), user="u_trust") for name in names},
                       {"dbname": "app", "sslrootcert": str(trust.root_file), **defaults})


def reloaded(daemon, before):
    """A scrape begun after the reload: one that it overtook tells of the old servers to its end."""
    daemon.until(lambda m: m.value("pgtls_config_last_reload_success_timestamp_seconds")
                        > before.value("pgtls_config_last_reload_success_timestamp_seconds"), what="reload")
    return daemon.scrape()


def endpoints(metrics):
    return {labels["pg_endpoint"] for labels, _ in metrics.all("pgtls_probes_total", probe="inspect")}


def test_counters_of_servers_that_stay_survive(lab, trust, exporter):
    daemon = exporter(configuration(lab, trust, ["stays", "goes"]))
    before = daemon.settled(at_least=5)
    daemon.write(configuration(lab, trust, ["stays", "comes"]))
    daemon.reload()
    after = reloaded(daemon, before)
    assert endpoints(after) == {"stays", "comes"}
    count = "pgtls_probes_total"
    assert after.value(count, pg_endpoint="stays", probe="inspect") \
        >= before.value(count, pg_endpoint="stays", probe="inspect") >= 5
    assert after.value("pgtls_up", pg_endpoint="stays") == 1
    assert after.value(count, pg_endpoint="comes", probe="inspect") < 5
    daemon.until(lambda m: m.value("pgtls_up", pg_endpoint="comes") == 1)


def test_a_bad_configuration_changes_nothing(lab, trust, exporter):
    daemon = exporter(configuration(lab, trust, ["write"]))
    before = daemon.settled()
    assert before.value("pgtls_config_last_reload_successful") == 1
    daemon.write("clusters:\n  - nam: x\n    endpoints: 3\n")
    daemon.reload()
    after = daemon.until(lambda m: m.value("pgtls_config_last_reload_successful") == 0)
    assert endpoints(after) == {"write"} and after.value("pgtls_up") == 1
    assert "pgtls.yml:2:" in daemon.log() and "pgtls.yml:3:" in daemon.log()
    assert daemon.get("/-/ready").status == 200
    probes = after.value("pgtls_probes_total", probe="inspect")
    daemon.until(lambda m: m.value("pgtls_probes_total", probe="inspect") > probes + 2)
    daemon.write(configuration(lab, trust, ["write"]))
    daemon.reload()
    daemon.until(lambda m: m.value("pgtls_config_last_reload_successful") == 1)


def test_a_file_that_is_gone_changes_nothing(lab, trust, exporter):
    daemon = exporter(configuration(lab, trust, ["write"]))
    daemon.settled()
    daemon.file.unlink()
    daemon.reload()
    after = daemon.until(lambda m: m.value("pgtls_config_last_reload_successful") == 0)
    assert endpoints(after) == {"write"}


def test_reload_over_http(lab, trust, exporter):
    daemon = exporter(configuration(lab, trust, ["write"]))
    daemon.settled()
    daemon.write(configuration(lab, trust, ["write", "read"]))
    answer = daemon.request("POST", "/-/reload")
    assert answer.status == 200
    assert endpoints(daemon.scrape()) == {"write", "read"}
    daemon.write("nonsense: [")
    assert daemon.request("POST", "/-/reload").status == 500
    refused = daemon.get("/-/reload")
    assert refused.status == 405 and "POST" in refused.headers["Allow"]


def test_changed_settings_take_effect(lab, trust, exporter):
    daemon = exporter(configuration(lab, trust, ["write"]))
    before = daemon.settled()
    wrong = configuration(lab, trust, ["write"], sslrootcert=str(trust.other_file))
    daemon.write(wrong)
    daemon.reload()
    reloaded(daemon, before)
    after = daemon.until(lambda m: m.value("pgtls_up") == 0)
    assert after.labels("pgtls_fault_active")["fault"] == "server_cert_untrusted"


def test_many_reloads_in_a_row(lab, trust, exporter):
    daemon = exporter(configuration(lab, trust, ["write", "read"], interval="100ms"))
    daemon.settled()
    files, memory = daemon.open_files(), daemon.resident_bytes()
    for i in range(60):
        daemon.write(configuration(lab, trust, ["write", "read", f"extra{i}"], interval="100ms"))
        daemon.reload()
        time.sleep(0.02)
    metrics = daemon.until(lambda m: endpoints(m) == {"write", "read", "extra59"})
    assert metrics.value("pgtls_up", pg_endpoint="write") == 1
    daemon.until(lambda m: daemon.open_files() <= files + 10, what="descriptors to come back")
    assert daemon.resident_bytes() < memory + 30 * 1024 * 1024
