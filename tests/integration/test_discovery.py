"""Discovery: targets that files and services tell come and go; a source that breaks keeps its last
good list; nobody that stays loses anything."""

import json
import os
import time

import pytest
from lab.exporter import QUICK, run
from lab.process import wait_for
from lab.service import Inventory

BIG = 10_000
SANITIZED = bool(os.environ.get("PGTLS_SANITIZE"))  # gives no memory back


def group(servers, cluster, endpoint="write", **labels):
    return {"targets": [f"{s.address}:{s.port}" if hasattr(s, "port") else s for s in servers],
            "labels": {"pg_cluster": cluster, "pg_endpoint": endpoint, **labels}}


def replace(path, text):
    """As people and programs should: at once."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


def configuration(trust, discovery, **more):
    return {"defaults": {**QUICK, "dbname": "app", "sslrootcert": str(trust.root_file)},
            "templates": {"pg": {"user": "u_trust"}}, "discovery": discovery, **more}


def endpoints(metrics):
    return {(labels["pg_cluster"], labels["pg_endpoint"]) for labels, _ in metrics.all("pgtls_probes_total", probe="inspect")}


@pytest.fixture
def inventory():
    made = []

    def start(groups):
        made.append(Inventory(groups))
        return made[-1]
    yield start
    for each in made:
        each.close()


def test_files_come_change_and_go(lab, trust, exporter, scratch):
    server = lab.postgres()
    targets = scratch / "targets"
    targets.mkdir(parents=True)
    (targets / "a.json").write_text(json.dumps([group([server], "a", team="shop")]))
    daemon = exporter(configuration(trust, [{"file_sd": {"files": [f"{targets}/*.json", f"{targets}/*.yml"]},
                                             "template": "pg"}]))
    before = daemon.settled(at_least=2)
    assert endpoints(before) == {("a", "write")}
    assert before.value("pgtls_up", pg_cluster="a") == 1
    assert before.labels("pgtls_server_labels_info")["team"] == "shop"
    assert before.value("pgtls_discovery_good", kind="file_sd") == 1
    assert before.value("pgtls_discovery_targets", kind="file_sd") == 1

    replace(targets / "b.yml", f"- targets: ['{server.address}:{server.port}']\n  labels: {{pg_cluster: b}}\n")
    both = daemon.until(lambda m: endpoints(m) == {("a", "write"), ("b", "default")}, what="b to come")
    count = "pgtls_probes_total"
    assert both.value(count, pg_cluster="a", probe="inspect") >= before.value(count, pg_cluster="a", probe="inspect")
    daemon.until(lambda m: m.value("pgtls_up", pg_cluster="b") == 1)

    (targets / "b.yml").unlink()
    after = daemon.until(lambda m: endpoints(m) == {("a", "write")}, what="b to go")
    assert after.value(count, pg_cluster="a", probe="inspect") >= both.value(count, pg_cluster="a", probe="inspect")
    assert len(after.all("pgtls_discovery_good")) == 1


def test_a_kubernetes_swap_and_a_write_in_place_are_seen(lab, trust, exporter, scratch):
    server = lab.postgres()
    scratch.mkdir(parents=True, exist_ok=True)
    for generation, cluster in (("..1", "one"), ("..2", "two")):
        (scratch / generation).mkdir()
        (scratch / generation / "t.json").write_text(json.dumps([group([server], cluster)]))
    (scratch / "..data").symlink_to("..1")
    (scratch / "t.json").symlink_to("..data/t.json")
    daemon = exporter(configuration(trust, [{"file_sd": {"files": [str(scratch / "t.json")]}}]))
    assert endpoints(daemon.settled()) == {("one", "write")}
    (scratch / "..new").symlink_to("..2")
    os.rename(scratch / "..new", scratch / "..data")
    daemon.until(lambda m: endpoints(m) == {("two", "write")}, what="the swap")
    with (scratch / "..2" / "t.json").open("w") as file:  # in two steps: half of it must not count
        text = json.dumps([group([server], "three")])
        file.write(text[:20])
        file.flush()
        time.sleep(0.3)
        file.write(text[20:])
    daemon.until(lambda m: endpoints(m) == {("three", "write")}, what="the write in place")


BAD_LISTS = [
    ("<html><body>404</body></html>", "a list is needed"),
    ('[{"targets": ["a:1"]}]', "no label for its cluster"),
    ('[{"targets": ["a:1"], "labels": {"pg_cluster": "x", "job": "y"}}]', "Prometheus or its Operator"),
    ('[{"targets": ["a:1"], "labels": {"pg_cluster": "x", "a-b": "y"}}]', "not a label name"),
    ('[{"targets": ["http://a:1"], "labels": {"pg_cluster": "x"}}]', "is a URL"),
    ('[{"targets": ["a:1"], "labels": {"pg_cluster": "x", "__pgtls_password_file": "/etc/shadow"}}]',
     "sets nothing that a discovery may set"),
    ('[{"targets": ["a:1"], "labels": {"pg_cluster": "x", "__pgtls_interval": "soon"}}]', "is not a duration"),
]


def test_a_bad_file_keeps_its_last_good_list(lab, trust, exporter, scratch):
    file = scratch / "t.json"
    scratch.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([group([lab.postgres()], "good")]))
    daemon = exporter(configuration(trust, [{"file_sd": {"files": [str(file)]}}]))
    daemon.settled()

    def lines(says):
        return [line for line in daemon.log().splitlines() if says in line]
    for text, says in BAD_LISTS:
        replace(file, text)
        daemon.until(lambda _, says=says: lines(says), what=says)
        assert len(lines(says)) == 1 and "t.json:1:" in lines(says)[0]
    bad = daemon.until(lambda m: m.value("pgtls_discovery_good") == 0, what="the source to be bad")
    assert endpoints(bad) == {("good", "write")} and bad.value("pgtls_config_last_reload_successful") == 1
    daemon.request("POST", "/-/reload")
    assert len(lines(BAD_LISTS[-1][1])) == 1  # nothing is said again of what was said
    replace(file, json.dumps([group([lab.postgres()], "better")]))
    daemon.until(lambda m: endpoints(m) == {("better", "write")} and m.value("pgtls_discovery_good") == 1)


def test_a_service_tells_targets(lab, trust, exporter, scratch, inventory):
    server = lab.postgres()
    scratch.mkdir(parents=True, exist_ok=True)
    token = scratch / "token"
    token.write_text("t0ken-of-the-inventory\n")
    source = inventory([group([server], "a")])
    daemon = exporter(configuration(trust, [{"http_sd": {"url": source.url + "?key=hidden", "refresh_interval": "1s",
                                                         "bearer_file": str(token)}, "template": "pg"}]))
    daemon.until(lambda m: m.value("pgtls_up", pg_cluster="a") == 1)
    assert source.asked[0]["Authorization"] == "Bearer t0ken-of-the-inventory"
    assert source.asked[0]["X-Prometheus-Refresh-Interval-Seconds"] == "1"
    source.tell([group([server], "a"), group([server], "b")])
    daemon.until(lambda m: endpoints(m) == {("a", "write"), ("b", "write")})
    source.tell([])
    daemon.until(lambda m: not endpoints(m), what="all to go")
    everything = daemon.log() + daemon.get("/metrics").text
    assert "hidden" not in everything and "t0ken" not in everything


def drip(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


def endless(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 1_000_000)


@pytest.mark.parametrize("answer, says", [
    ((500, {}, b"oops"), "500"),
    ((200, {"Content-Type": "text/html"}, b"<html></html>"), "application/json"),
    ((200, {"Content-Type": "application/json"}, b"<html></html>"), "a list is needed"),
    ((302, {"Location": "/targets"}, b""), "redirect"),
    ((302, {"Location": "file:///etc/passwd"}, b""), ""),
    (drip, ""), (endless, ""),
], ids=["500", "html", "html as json", "redirect loop", "redirect to a file", "drip", "endless"])
def test_a_bad_service_keeps_its_last_good_list(lab, trust, exporter, inventory, answer, says):
    source = inventory([group([lab.postgres()], "good")])
    daemon = exporter(configuration(trust, [{"http_sd": {"url": source.url, "refresh_interval": "1s",
                                                         "timeout": "2s"}}]))
    daemon.until(lambda m: endpoints(m) == {("good", "write")})
    source.answer = answer
    bad = daemon.until(lambda m: m.value("pgtls_discovery_failures_total") >= 2, seconds=30)
    assert endpoints(bad) == {("good", "write")} and bad.value("pgtls_discovery_good") == 0
    said = daemon.told("Discovery failed")
    assert len(said) == 1 and says in said[0]
    source.tell([group([lab.postgres()], "better")])
    daemon.until(lambda m: endpoints(m) == {("better", "write")})
    assert daemon.told("Discovery works again")


def test_a_source_that_never_answers_holds_nothing_up(lab, trust, exporter, inventory):
    source = inventory([])
    source.answer = lambda handler: time.sleep(30)
    static = {"name": "static", "endpoints": {"write": {"host": lab.postgres().address, "port": lab.postgres().port}}}
    daemon = exporter(configuration(trust, [{"http_sd": {"url": source.url}}], clusters=[static]))
    daemon.until(lambda m: m.value("pgtls_probe_up", pg_cluster="static", probe="inspect") == 1)


def test_what_a_file_defines_wins_and_what_it_has_is_built_upon(lab, trust, exporter, scratch):
    server = lab.postgres()
    file = scratch / "t.json"
    scratch.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([group([server], "known", "write"), group([server], "known", "read", __pgtls_dbname="app")]))
    known = {"name": "known", "user": "u_trust", "labels": {"team": "shop"},
             "endpoints": {"write": {"host": server.address, "port": server.port}}}
    daemon = exporter(configuration(trust, [{"file_sd": {"files": [str(file)]}}], clusters=[known]))
    metrics = daemon.settled()
    assert endpoints(metrics) == {("known", "write"), ("known", "read")}
    assert metrics.value("pgtls_up", pg_endpoint="read") == 1  # by the cluster's user
    assert daemon.told("left out: endpoint")


def test_commands_discover_too(lab, trust, scratch, inventory):
    source = inventory([group([lab.postgres()], "found")])
    file = scratch / "pgtls.yml"
    scratch.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(configuration(trust, [{"http_sd": {"url": source.url}, "template": "pg"}])))
    listed = run("list", f"--config.file={file}")
    assert listed.returncode == 0 and "found" in listed.stdout, listed.stderr
    probed = run("probe", f"--config.file={file}", "found/write")
    assert probed.returncode == 0, probed.stdout + probed.stderr
    checked = run("--config.check", f"--config.file={file}")
    assert checked.returncode == 0 and len(source.asked) == 2  # nothing is asked to check a file


def test_an_item_that_changes_keeps_what_it_still_brings(trust, exporter, scratch):
    scratch.mkdir(parents=True, exist_ok=True)
    paths = {name: scratch / f"{name}.json" for name in "ab"}
    for name, path in paths.items():
        path.write_text(json.dumps([group(["127.9.9.9:1"], name)]))

    def of(names):
        return configuration(trust, [{"file_sd": {"files": [str(paths[n]) for n in names]}, "template": "pg"}])
    daemon = exporter(of("a"))
    daemon.until(lambda m: endpoints(m) == {("a", "write")}, what="a")
    for names in ("ba", "b", "ab", "a"):
        daemon.write(of(names))
        daemon.reload()
        daemon.until(lambda m, names=names: endpoints(m) == {(n, "write") for n in names}, what=names)


def test_two_items_may_share_a_place(trust, exporter, scratch, inventory):
    def tell(handler):
        body = json.dumps([group(["127.9.9.9:1"], handler.path.rpartition("=")[2])])
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body.encode())
    service = inventory([])
    service.answer = tell
    scratch.mkdir(parents=True, exist_ok=True)
    file = scratch / "t.json"
    file.write_text(json.dumps([group(["127.9.9.9:1"], "c")]))
    daemon = exporter(configuration(trust, [
        *({"http_sd": {"url": f"{service.url}?env={env}"}, "template": "pg"} for env in ("prod", "test")),
        *({"file_sd": {"files": [str(file)]}, "template": "pg", "cluster": name} for name in ("x", "y"))]))
    metrics = daemon.until(lambda m: endpoints(m) == {(n, "write") for n in ("prod", "test", "x", "y")}, what="all four")
    sources = [labels["source"] for labels, _ in metrics.all("pgtls_discovery_good")]
    assert len(sources) == len(set(sources)) == 4


def test_a_host_that_a_list_tells_of_is_followed_from_the_start(trust, exporter, scratch):
    scratch.mkdir(parents=True, exist_ok=True)
    file = scratch / "t.json"
    file.write_text(json.dumps([group(["localhost:1"], "a", __pgtls_resolve="all")]))
    content = configuration(trust, [{"file_sd": {"files": [str(file)]}, "template": "pg"}])
    daemon = exporter(content)
    daemon.until(lambda m: any(labels["server"] == "127.0.0.1:1" for labels, _ in m.all("pgtls_probes_total")),
                 what="the address")
    (scratch / "once.yml").write_text(json.dumps(content))
    listed = run("list", f"--config.file={scratch / 'once.yml'}")
    assert "127.0.0.1:1" in listed.stdout, listed.stdout + listed.stderr


def test_a_directory_that_cannot_be_read_takes_nothing_away(trust, exporter, scratch):
    real, loop, targets = (scratch / "unreadable" / name for name in ("real", "loop", "targets"))
    real.mkdir(parents=True)
    loop.symlink_to(loop)  # one of the ways not to be readable that root knows, too
    (real / "a.json").write_text(json.dumps([group(["127.9.9.9:1"], "a")]))

    def lead_to(directory):
        beside = targets.with_name("beside")
        beside.symlink_to(directory)
        beside.rename(targets)
    lead_to(real)
    daemon = exporter(configuration(trust, [{"file_sd": {"files": [f"{targets}/*.json"]}, "template": "pg"}]))
    daemon.until(lambda m: endpoints(m) == {("a", "write")}, what="a")
    lead_to(loop)
    daemon.until(lambda m: any(labels["source"] == f"{targets}/*.json" for labels, _ in m.all("pgtls_discovery_good")),
                 what="the failure")
    assert endpoints(daemon.scrape()) == {("a", "write")}
    lead_to(real)
    daemon.until(lambda m: len(m.all("pgtls_discovery_good")) == 1, what="the end of the failure")
    assert endpoints(daemon.scrape()) == {("a", "write")}


def of_those_that_stay(daemon):
    """What ten thousand servers export is not read: only the lines of one of them."""
    lines = [line for line in daemon.get("/metrics").text.splitlines() if 'pg_cluster="stays"' in line]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)
            if name.startswith(("pgtls_probes_total", "pgtls_state_seconds_total", "pgtls_phase_duration_seconds_count"))}


def test_ten_thousand_come_and_go(lab, trust, exporter, scratch):
    server = lab.postgres()
    file = scratch / "t.json"
    scratch.mkdir(parents=True, exist_ok=True)

    def many(first):
        return [group([f"127.{1 + i // 50000}.{i // 200 % 250}.{1 + i % 200}:1"], f"c{i:05}", __pgtls_interval="1h")
                for i in range(first, first + BIG - 1)]
    stays = group([server], "stays")
    file.write_text(json.dumps([stays]))
    daemon = exporter(configuration(trust, [{"file_sd": {"files": [str(file)]}}]))
    daemon.settled(at_least=2)

    def swapped(groups, endpoints):
        before = of_those_that_stay(daemon)
        replace(file, json.dumps([*groups, stays]))
        wait_for(lambda: sum(daemon.health(query="brief=1")["counts"].values()) == endpoints, 60, f"{endpoints} endpoints")
        after = of_those_that_stay(daemon)
        assert len(before) > 5 and all(after[name] >= value for name, value in before.items())

    def shrinks_to(size):
        wait_for(lambda: daemon.resident_bytes() < size, 20, lambda: f"{size} bytes: {daemon.resident_bytes()}")

    swapped(many(0), BIG)
    first = daemon.resident_bytes()
    for start in (BIG, 0):
        swapped(many(start), BIG)  # 9,999 of them are others
        shrinks_to(first * (1.6 if SANITIZED else 1.3))
    swapped([], 1)
    shrinks_to(first * (1.6 if SANITIZED else 0.7))
