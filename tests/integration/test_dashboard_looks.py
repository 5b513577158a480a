"""The shipped dashboards against what Grafana publishes: the types of its schema, the grammar of PromQL, and
its components in a real browser. This needs node and npm, and downloads packages when they are not there."""

import json

import pytest

from lab import dashboards, process, servers
from lab.chromium import Chromium

# The linter's rules about PromQL know a variable's length of time by these words.
WORDS = {"rate": "11m11s", "span": 22 * 60 + 22}
MUST = ['job=~"$job"', 'instance=~"$instance"']
# Of Prometheus itself, about its scrapes.
SCRAPES = {"up", "scrape_duration_seconds", "scrape_samples_scraped"}
# The titles of panels of which something is true.
PANELS = "[...document.querySelectorAll('.panel')].filter(e => %s).map(e => e.dataset.title)"
SUFFIXES = ("_bucket", "_sum", "_count")


@pytest.fixture(scope="session")
def modules():
    return dashboards.node_modules()


def schema(files, target):
    return dashboards.run("node", dashboards.HERE / "schema.mjs", dashboards.NODE, target, *files)


def test_the_schema_holds(modules, tmp_path):
    files = [servers.ROOT / "dashboards" / f"{name}.json" for name in dashboards.NAMES]
    schema(files, tmp_path / "right")
    board = dashboards.load("overview")
    stat = next(panel for panel in board["panels"] if panel["type"] == "stat")
    stat["options"]["colorMode"] = "loud"
    board["graphTooltip"] = 7
    (tmp_path / "wrong.json").write_text(json.dumps(board))
    with pytest.raises(AssertionError, match='"loud"') as refused:
        schema([tmp_path / "wrong.json"], tmp_path / "wrong")
    assert "Type '7'" in str(refused.value)


def promql(modules, asked):
    return json.loads(dashboards.run("node", dashboards.HERE / "promql.mjs", modules, input=json.dumps(asked)))


def test_the_queries_keep_the_linters_rules(modules):
    asked = [{"where": f"{name}: {where}", "expr": expr, "required": MUST} for name in dashboards.NAMES
             for where, expr, _ in dashboards.expressions(dashboards.load(name), {
                 "job": "$job", "instance": "$instance"}, **WORDS)]
    found = promql(modules, asked)
    assert found["problems"] == []
    names = set((servers.ROOT / "docs" / "api-names.txt").read_text().split())
    exported = {name + suffix for name in names for suffix in ("", *SUFFIXES)} | SCRAPES
    assert set(found["metrics"]) - exported == set()
    assert len(found["metrics"]) > 50


def test_the_linters_rules_can_fail(modules):
    both = ",".join(MUST)
    for expr, word in (("sum(pgtls_up{" + both + "}", "does not parse"), ("pgtls_up", "not chosen by job"),
                       ('pgtls_up{job=~"$job"}', "not chosen by instance"),
                       (f"sum(pgtls_probes_total{{{both}}})", "outside rate"),
                       (f"max_over_time(pgtls_probes_total{{{both}}}[5m])", "outside rate"),
                       (f"rate(pgtls_probes_total{{{both}}}[5m])", "$__rate_interval"),
                       (f"histogram_quantile(0.9, rate(x_bucket{{{both}}}[11m11s]))", "sum by (le")):
        problems = promql(modules, [{"where": "here", "expr": expr, "required": MUST}])["problems"]
        assert any(problem.startswith("here: ") and word in problem for problem in problems), (expr, problems)


def test_they_are_drawn(modules, scratch, tmp_path):
    """Every panel of every dashboard, by Grafana's components, without a complaint; what has an answer is not
    drawn as if it had none, and the other way round."""
    directory = scratch / "looks"
    directory.mkdir()
    directory.chmod(0o755)
    dashboards.bundle(tmp_path)
    with dashboards.watched(directory) as (prometheus, exporter, _), Chromium(tmp_path / "browser") as browser:
        exporter.until(lambda m: len(m.all("pgtls_endpoint_up")) == 9, 60)
        process.wait_for(lambda: len(prometheus.query("rate(pgtls_probes_total[10s])")) > 10, 30, "two scrapes")
        for name in dashboards.NAMES:
            board = dashboards.load(name)
            told = dashboards.answers(prometheus, board, 20, 1, "10s")
            assert dashboards.draw(browser, tmp_path, board, told) == []
            nothing, drawn = (set(browser.run(PANELS % which)) for which in (
                "e.querySelector('.nothing')", "e.querySelector('.body').firstElementChild?.offsetHeight > 20 || "
                "e.querySelector('.body svg')"))
            shown = {panel["title"]: any(answer["series"] for answer in told["answers"].get(panel["id"], []))
                     for panel in dashboards.panels(board) if panel["type"] not in ("row", "stat", "alertlist")}
            assert {title for title, found in shown.items() if found} & nothing <= {
                panel["title"] for panel in dashboards.panels(board) if panel["type"] == "heatmap"}
            assert {title for title, found in shown.items() if not found} - nothing == set()
            assert shown.keys() - drawn == set()
