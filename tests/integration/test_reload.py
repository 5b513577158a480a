"""SIGHUP: a good configuration replaces the old one and servers that stay keep their counters; a bad
one changes nothing but is told."""

import json
import time
from pathlib import Path

import pytest
from lab.exporter import endpoint_of, one_cluster, run


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
    assert daemon.told("pgtls.yml:2:") and daemon.told("pgtls.yml:3:")
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


def test_what_was_an_hour_away_is_due_as_the_new_intervals_say(lab, trust, exporter):
    short, long = ({"interval": i, "login": {"interval": login}} for i, login in (("300ms", "1s"), ("1h", "1h")))
    daemon = exporter(configuration(lab, trust, ["write"], **short))
    before = daemon.settled()
    daemon.write(configuration(lab, trust, ["write"], **long))
    daemon.reload()
    reloaded(daemon, before)
    time.sleep(1.5)  # whatever was due before was done, and the next is an hour away
    before = daemon.scrape()
    assert all(value == 3600 for _, value in before.all("pgtls_probe_interval_seconds"))
    daemon.write(configuration(lab, trust, ["write"], **short))
    daemon.reload()
    count = "pgtls_probes_total"
    for kind in ("inspect", "login"):
        daemon.until(lambda m, k=kind: m.value(count, probe=k) >= before.value(count, probe=k) + 2, what=kind)
    assert daemon.scrape().value("pgtls_up") == 1


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


# --- several files ----------------------------------------------------------------------------------


def write_cluster(directory, name, lab, trust, **more):
    """A file of its own for one cluster; `more` are keys of it."""
    text = json.dumps({"clusters": [{"name": name, "dbname": "app", "sslrootcert": str(trust.root_file),
                                     "interval": "200ms", "timeout": "15s",
                                     "endpoints": {"write": endpoint_of(lab.postgres(), user="u_trust")}, **more}]})
    (directory / f"{name}.yml").write_text(text)


def clusters(metrics):
    return {labels["pg_cluster"] for labels, _ in metrics.all("pgtls_probes_total", probe="inspect")}


def valid(metrics):
    return {Path(labels["file"]).name: value for labels, value in metrics.all("pgtls_config_file_valid")}


@pytest.fixture(name="directory")
def _directory(tmp_path):
    made = tmp_path / "conf.d"
    made.mkdir()
    return made


def test_a_bad_file_keeps_its_own_last_good_content(lab, trust, exporter, directory):
    for name in ("a", "b"):
        write_cluster(directory, name, lab, trust)
    daemon = exporter(configuration(lab, trust, ["write"]), arguments=[f"--config.file={directory}"])
    before = daemon.until(lambda m: len(m.all("pgtls_up")) == 3)
    assert valid(before) == {"conf.d": 1, "a.yml": 1, "b.yml": 1, "pgtls.yml": 1}

    write_cluster(directory, "c", lab, trust)
    (directory / "a.yml").write_text("clusters:\n  - name: a\n    hots: x\n")
    answer = daemon.request("POST", "/-/reload")
    assert answer.status == 500 and "a.yml:3:5: unknown key \"hots\"" in answer.text
    after = daemon.scrape()
    assert {"a", "b", "c"} < clusters(after)
    assert valid(after) == {"conf.d": 1, "a.yml": 0, "b.yml": 1, "c.yml": 1, "pgtls.yml": 1}
    assert after.value("pgtls_config_last_reload_successful") == 0
    said = daemon.log().count("unknown key")
    assert daemon.request("POST", "/-/reload").status == 500
    assert daemon.log().count("unknown key") == said == 1  # the same content: said once

    (directory / "b.yml").unlink()
    write_cluster(directory, "a", lab, trust)
    assert daemon.request("POST", "/-/reload").status == 200
    mended = daemon.scrape()
    assert clusters(mended) == clusters(after) - {"b"}
    assert set(valid(mended).values()) == {1} and "b.yml" not in valid(mended)
    assert mended.value("pgtls_config_last_reload_successful") == 1


def test_what_is_not_touched_goes_on(lab, trust, exporter, directory):
    """Counters, state, the session and its age of a server that stays: as if nothing had happened."""
    write_cluster(directory, "stays", lab, trust, session=[{"idle": "1s"}], login={"interval": "1s"})
    write_cluster(directory, "goes", lab, trust)
    daemon = exporter(None, arguments=[f"--config.file={directory}"], environment={})
    before = daemon.until(lambda m: m.value("pgtls_session_up", default=0) == 1
                          and m.value("pgtls_probes_total", default=0, pg_cluster="stays", probe="inspect") >= 5)
    (directory / "goes.yml").unlink()
    write_cluster(directory, "comes", lab, trust)
    assert daemon.request("POST", "/-/reload").status == 200
    after = daemon.scrape()
    assert clusters(after) == {"stays", "comes"}
    monotonic = ["pgtls_probes_total", "pgtls_probe_failures_total", "pgtls_state_seconds_total",
                 "pgtls_phase_duration_seconds_count", "pgtls_session_drops_total"]
    compared = 0
    for name in monotonic:
        for labels, value in before.all(name, pg_cluster="stays"):
            assert after.value(name, **labels) >= value, (name, labels)
            compared += 1
    assert compared > 20
    for name in ("pgtls_up", "pgtls_session_up", "pgtls_session_start_timestamp_seconds", "pgtls_chain_verified",
                 "pgtls_certificate_not_after_timestamp_seconds"):
        for labels, value in before.all(name, pg_cluster="stays"):
            assert after.value(name, **labels) == value, (name, labels)
    assert after.value("pgtls_session_drops_total", pg_cluster="stays", how="fin") == 0


def test_watched_files_are_read_again(lab, trust, exporter, directory):
    write_cluster(directory, "a", lab, trust)
    daemon = exporter(None, arguments=[f"--config.file={directory}", "--config.watch"], environment={})
    daemon.until(lambda m: m.value("pgtls_up", default=0) == 1)
    write_cluster(directory, "b", lab, trust)
    daemon.until(lambda m: clusters(m) == {"a", "b"})
    (directory / "b.yml").write_text("clusters: [")
    daemon.until(lambda m: valid(m)["b.yml"] == 0)
    (directory / "b.yml").unlink()
    after = daemon.until(lambda m: clusters(m) == {"a"})
    assert after.value("pgtls_config_last_reload_successful") == 1


def test_start_with_any_bad_file_is_refused(directory):
    (directory / "good.yml").write_text("clusters: [{name: a, host: h}]")
    (directory / "bad.yaml").write_text("clusters: [{name: a, host: h}]")
    ended = run("--config.check", f"--config.file={directory}")
    assert ended.returncode == 1
    assert f"{directory}/good.yml:1:19: name: a cluster of this name is already in {directory}/bad.yaml on line 1" \
        in ended.stderr
    (directory / "bad.yaml").unlink()
    (directory / "good.yml").unlink()
    ended = run("--config.check", f"--config.file={directory}")
    assert ended.returncode == 1 and "no *.yml or *.yaml in this directory" in ended.stderr


def test_show_tells_where_a_value_comes_from(directory):
    (directory / "1.yml").write_text("templates:\n  t:\n    host: '{cluster}.db'\n    password: hunter2\n")
    (directory / "2.yml").write_text("clusters:\n  - {name: a, template: t, user: u}\n  - {name: b, template: t}\n")
    ended = run("--config.show", "a/default", f"--config.file={directory}")
    assert ended.returncode == 0 and "hunter2" not in ended.stdout + ended.stderr
    lines = {line.split("#")[0].strip(): line.split("#")[-1].strip() for line in ended.stdout.splitlines()}
    assert lines["host: a.db"] == f"{directory}/1.yml:3"
    assert lines["user: u"] == f"{directory}/2.yml:2"
    assert lines["port: 5432"] == "default"
    assert "b.db" not in ended.stdout
    assert "b.db" in run("--config.show", f"--config.file={directory}").stdout
    nothing = run("--config.show=c", f"--config.file={directory}")
    assert nothing.returncode == 1 and 'has no "c"' in nothing.stderr


def test_hangups_in_a_row_are_answered_together(exporter):
    """Somebody's script that sends a signal per file it has written: each reload would have to wait for
    all before it, and so would the signal that ends the exporter."""
    many = {"clusters": [{"name": f"c{i}", "host": "127.0.0.1", "port": 1, "sslmode": "require",
                          "enabled": False} for i in range(3000)]}
    daemon = exporter(many)
    for _ in range(300):
        daemon.reload()
        time.sleep(0.001)
    assert daemon.request("POST", "/-/reload").status == 200
    answered = daemon.log().count("Configuration loaded")
    time.sleep(1)
    # One for signals that came meanwhile, one whose line was still on its way out.
    assert daemon.log().count("Configuration loaded") <= answered + 2
