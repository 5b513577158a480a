"""Protobuf holds what the text holds; a real Prometheus stores native histograms from it, and computes with them
what is in them; what it makes of each setting is what docs/native-histograms.md says."""

import json
import re

import pytest
import yaml

from lab import protobuf
from lab.exporter import endpoint_of, one_cluster
from lab.exposition import Metrics
from lab.process import wait_for
from lab.relay import Relay
from lab.servers import ROOT, Prometheus

KINDS = ("classic", "both", "native")
PHASES = "pgtls_phase_duration_seconds"
DELAY = 0.1
PROTOBUF_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def families(daemon):
    answer = daemon.get("/metrics", Accept=protobuf.ACCEPT)
    assert answer.headers["Content-Type"] == PROTOBUF_TYPE
    return protobuf.Families(answer.body)


@pytest.fixture(scope="module")
def daemons(lab, trust, shared_exporter):
    """One exporter of each kind, all on the same server, which then goes away: from then on no phase is
    completed any more, and what they tell of phases stands still."""
    relay = Relay(lab.postgres(), delay=DELAY)
    keys = {"user": "u_trust", "dbname": "app", "sslmode": "verify-ca", "sslrootcert": str(trust.root_file),
            "interval": "300ms", "timeout": "5s", "login": {"interval": "1h"}, "labels": {"team": 'a "b" \\ c'}}
    started = {kind: shared_exporter({**one_cluster({"write": endpoint_of(relay, **keys)}), "histograms": kind})
               for kind in KINDS}
    for daemon in started.values():
        daemon.settled(at_least=1)
        daemon.until(lambda m: m.value(PHASES + "_count", phase="startup") >= 8)
    relay.close()
    for daemon in started.values():
        daemon.until(lambda m: m.value("pgtls_up") == 0)
    return started


@pytest.fixture(scope="module")
def moving(lab, trust, shared_exporter):
    """Two more that go on counting, for what looks at rates."""
    keys = {"user": "u_trust", "dbname": "app", "sslmode": "verify-ca", "sslrootcert": str(trust.root_file),
            "interval": "200ms", "timeout": "5s", "login": {"interval": "1s"}, "session": [{"idle": "1m"}]}
    return {"moving-" + kind: shared_exporter({**one_cluster({"write": endpoint_of(lab.postgres(), **keys)}),
                                               "histograms": kind}) for kind in ("classic", "native")}


@pytest.fixture(scope="module")
def stored(lab, daemons, moving):
    """Two Prometheus after a few scrapes: one with native histograms switched on, one without."""
    configuration = {"global": {"scrape_interval": "1s"}, "scrape_configs": [
        {"job_name": kind, "static_configs": [{"targets": [daemon.addresses[0]]}]}
        for kind, daemon in {**daemons, **moving}.items()]}
    both = [lab.keep(Prometheus(lab.directory(name), configuration, arguments=arguments)).start()
            for name, arguments in (("native", ["--enable-feature=native-histograms"]), ("plain", []))]
    for prometheus in both:
        wait_for(lambda p=prometheus: len(p.query("count_over_time(up[1m]) >= 5")) == len(KINDS) + 2, 30, "scrapes")
        assert all(result["value"][1] == "1" for result in prometheus.query("min_over_time(up[1m])"))
    return both


def number(results):
    (result,) = results
    return float(result["value"][1])


def test_probe_in_protobuf_is_the_text(lab, exporter):
    server = lab.postgres()
    daemon = exporter({"modules": {"default": {"sslmode": "require", "allow_targets": ["127.0.0.0/8:*"]}}})
    path = f"/probe?target={server.address}:{server.port}"
    text, answer = daemon.get(path), daemon.get(path, Accept=protobuf.ACCEPT)
    assert (text.status, answer.status) == (200, 200)
    assert answer.headers["Content-Type"] == PROTOBUF_TYPE
    other = protobuf.Families(answer.body)
    assert [(name, labels) for name, labels, _ in other.samples] == \
        [(name, labels) for name, labels, _ in Metrics(text.text).samples]
    assert ("probe_success", {}, 1.0) in other.samples
    assert set(other.types.values()) == {"gauge"}


@pytest.mark.parametrize("kind", KINDS)
def test_protobuf_is_the_text(daemons, kind):
    text, other = daemons[kind].scrape(), families(daemons[kind])
    as_text = {(name, tuple(sorted(labels.items()))): value for name, labels, value in text.samples}
    as_protobuf = {(name, tuple(sorted(labels.items()))): value for name, labels, value in other.samples}
    assert as_text.keys() == as_protobuf.keys()
    assert len(as_text) == len(text.samples) == len(other.samples)
    standing = ("pgtls_phase_", "pgtls_certificate_", "pgtls_tls_", "pgtls_server_", "pgtls_limit")
    compared = {series for series in as_text if series[0].startswith(standing)}
    assert len(compared) > 20
    assert {series for series in compared if as_text[series] != as_protobuf[series]} == set()
    for line in text.text.splitlines():
        if line.startswith("# TYPE"):
            name, told = line.split()[2:]
            assert other.types.get(name, told) == told


def test_each_setting_tells_its_kinds(daemons):
    for kind in KINDS:
        for name, _, histogram in families(daemons[kind]).histograms:
            lag = name == "pgtls_scheduler_lag_seconds"
            assert bool(histogram.classic) == (kind != "native" or lag), name
            assert (histogram.native is not None) == (kind != "classic" and not lag), name
            if histogram.native is not None:
                assert histogram.zero_count + sum(histogram.native.values()) == histogram.count


def test_the_buckets_are_where_the_durations_were(daemons):
    """Every answer to SSLRequest was held back: a bucket of 9 %, not one from 0.1 to 0.25."""
    found = families(daemons["native"]).histogram(PHASES, phase="ssl_request")
    assert found.schema == 3
    first = min(found.native)
    assert 2 ** ((first - 1) / 8) > 0.9 * DELAY and 2 ** (first / 8) >= DELAY
    # The sum lies where the buckets say: within 9 % of what their bounds make of it.
    highest = sum(count * 2 ** (index / 8) for index, count in found.native.items())
    assert highest / 2 ** (1 / 8) < found.sum <= highest


@pytest.mark.parametrize("kind", ["both", "native"])
@pytest.mark.parametrize("phase", ["tcp", "ssl_request", "tls", "startup"])
def test_prometheus_computes_what_is_in_them(daemons, stored, kind, phase):
    native, _ = stored
    expected = families(daemons[kind]).histogram(PHASES, phase=phase)
    series = f'{PHASES}{{job="{kind}",phase="{phase}"}}'
    for q in (0.1, 0.5, 0.9, 1):
        assert number(native.query(f"histogram_quantile({q}, {series})")) == pytest.approx(expected.quantile(q), rel=1e-9)
    assert number(native.query(f"histogram_count({series})")) == expected.count
    assert number(native.query(f"histogram_sum({series})")) == pytest.approx(expected.sum, rel=1e-12)


def test_a_sum_over_exporters_is_exact(daemons, stored):
    native, _ = stored
    counts = [families(daemons[kind]).histogram(PHASES, phase="tls").count for kind in ("both", "native")]
    assert number(native.query(f'histogram_count(sum({PHASES}{{job=~"both|native",phase="tls"}}))')) == sum(counts)


def names(prometheus, kind):
    return {result["metric"]["__name__"] for result in prometheus.query(f'{{job="{kind}",__name__=~"{PHASES}.*"}}')}


CLASSIC = {PHASES + suffix for suffix in ("_bucket", "_sum", "_count")}


def test_what_prometheus_stores_of_each(stored):
    native, plain = stored
    assert {kind: names(native, kind) for kind in KINDS} == {"classic": CLASSIC, "both": {PHASES}, "native": {PHASES}}
    assert {kind: names(plain, kind) for kind in KINDS} == {"classic": CLASSIC, "both": CLASSIC, "native": CLASSIC}
    bounds = {result["metric"]["le"] for result in plain.query(f'{PHASES}_bucket{{job="native"}}')}
    assert bounds == {"+Inf"}
    assert number(native.query('count(pgtls_scheduler_lag_seconds_bucket{job="native"})')) == 9


def test_half_the_series(stored):
    native, plain = stored
    count = 'count({{job="{}",server=~".+"}})'
    assert number(native.query(count.format("native"))) <= 75
    assert number(plain.query(count.format("classic"))) >= 130
    assert number(native.query(count.format("classic"))) == number(plain.query(count.format("classic")))


def rule(name):
    """The expression of a shipped rule, with windows that this test can fill."""
    groups = yaml.safe_load((ROOT / "alerts" / "pgtls.rules.yml").read_text())["groups"]
    (expr,) = [rule["expr"] for group in groups for rule in group["rules"] if name in (rule.get("alert"), rule.get("record"))]
    return re.sub(r"\[(?:15m|1h)\]", "[30s]", expr)


def by_phase(prometheus, expr, job):
    return {result["metric"]["phase"]: float(result["value"][1]) for result in prometheus.query(expr)
            if result["metric"]["job"] == job}


def test_the_rules_know_both_kinds(stored):
    """The quantile that PgtlsPhaseSlow looks at, without its threshold and its team, and the mean."""
    native, _ = stored
    phases = {"tcp", "ssl_request", "tls", "startup", "auth", "query"}
    slow = rule("PgtlsPhaseSlow").split("> 1")[0].removeprefix("(\n")
    for expr in (slow, rule("server:pgtls_phase_duration_seconds:mean1h")):
        for kind in ("classic", "native"):
            found = by_phase(native, expr, "moving-" + kind)
            assert found.keys() >= phases, (kind, expr)
            assert all(0 < found[phase] < 5 for phase in phases), found


def expressions(content):
    if isinstance(content, dict):
        if "expr" in content:
            yield content["expr"]
        content = content.values()
    for item in content if not isinstance(content, str) and hasattr(content, "__iter__") else ():
        yield from expressions(item)


def test_the_dashboards_know_both_kinds(stored):
    """Every query of a histogram finds as much in an exporter's native ones as in another's classic ones."""
    native, _ = stored
    asked = 0
    for file in sorted((ROOT / "dashboards").glob("*.json")):
        for expr in expressions(json.loads(file.read_text())):
            if "_bucket" not in expr and "histogram_" not in expr or "offset" in expr:
                continue  # nothing is a day old
            asked += 1
            found = [len(native.query(filled(expr, "moving-" + kind))) for kind in ("native", "classic")]
            if "sum by (le)" in expr and "histogram_quantile" not in expr:
                found[1] = min(found[1], 1)  # one series, and not one for each bucket
            assert found[0] == found[1], (file.name, expr)
    assert asked > 15


def filled(expr, job):
    for name, value in {"$__rate_interval": "30s", "$__range": "30s", "$job": job, "@ end()": ""}.items():
        expr = expr.replace(name, value)
    return re.sub(r"\$\w+", ".*", expr)


def test_nobody_complains(stored):
    for prometheus in stored:
        assert [line for line in prometheus.log().splitlines() if "level=warn" in line or "level=error" in line
                or "native histograms" in line.lower() and "experimental" not in line.lower()] == []
