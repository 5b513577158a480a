"""The shipped dashboards on the real thing: a Prometheus that watches an exporter, which watches ten real
endpoints of which four are down. Every query answers what it must; those that show trouble show none where
there is none."""

import re

import pytest

from lab import dashboards, process, servers

# What shows nothing on this fleet, because nothing of the kind happens to it.
EMPTY = {
    "certificates": {
        "New certificates", "What does not verify", "Several certificates at one server",
        "Servers of an endpoint that differ", "Not seen lately", "Certificate files not readable"},
    "exporter": {"Errors of its own", "Held back, by limit", "Errors of the exporter's own side",
                 "Visitors refused", "Passwords checked"},
    "latency": set(), "overview": {"Errors of the exporter's own side"},
    "promises": set(), "rejections": set()}
NOTES = {"annotation New certificates", "annotation Server versions", "annotation Reloads", "annotation Restarts"}
# Whether these show something depends on how busy the machine is.
EITHER = {"Skipped probes", "TLS round trips in vain, by server"}
# What must show nothing for a cluster that is well, by dashboard.
WRONG = {
    "overview": {"Failing now", "Broken promises", "Failures by class", "SSL closes by phase and how",
                 "pg_hba rejections by kind"},
    "rejections": {"Failing now", "SSL closes by phase and how", "SSL closes by endpoint", "Who closed, and how",
                   "pg_hba rejections by kind", "pg_hba rejections by endpoint", "Logins refused by endpoint",
                   "Refused as expected", "Refusals expected now", "Failures by class", "Faults", "Share of time down",
                   "Failures by class, share of probes"},
    "certificates": {"What does not verify", "Servers of an endpoint that differ"},
    "promises": {"Broken promises"}}
# The numbers of the overview that say how it is.
STATES = {"Endpoints down": 4, "Endpoints degraded": 1, "Endpoints unknown": 0, "Endpoints up": 5, "Left alone": 1,
          "Exporters down": 0}
# All that has happened since the start, so that what happens once is still there to be shown; and of late.
LONG, SHORT = {"span": 600, "rate": "10m"}, {"span": 10, "rate": "10s"}


@pytest.fixture(scope="module")
def world(scratch):
    directory = scratch / "dashboards"
    directory.mkdir()
    directory.chmod(0o755)
    with dashboards.watched(directory) as (prometheus, exporter, fleet), \
            dashboards.watching(directory / "native", exporter, "--enable-feature=native-histograms") as native:
        # A session that is dropped, and everything known. The other Prometheus gets native histograms.
        process.wait_for(lambda: states(prometheus) == STATES, 60, lambda: f"the fleet to settle: {states(prometheus)}")
        exporter.until(lambda m: m.all("pgtls_session_up") and m.value("pgtls_session_up", pg_endpoint="write") == 1, 60)
        for one in (prometheus, native):
            process.wait_for(lambda p=one: p.query("pgtls_session_up == 1"), 30, "the session to be scraped")
        assert exporter.get("/probe?target=elsewhere.example:5432&module=default").status == 403
        (directory / "gone.json").write_text("{")
        fleet.servers["orders"].sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'monitor'")
        for one in (prometheus, native):
            process.wait_for(lambda p=one: not missing(p), 90, lambda p=one: f"these to show something: {missing(p)}")
        yield prometheus, native, exporter, fleet


@pytest.fixture(scope="module")
def prometheus(world):
    return world[0]


def states(prometheus):
    found = {where: prometheus.query(expr) for where, expr in asked("overview", LONG) if where in STATES}
    return {where: int(result[0]["value"][1]) for where, result in found.items() if result}


def asked(name, times, **variables):
    """What the dashboard asks; what it asks of a day or a week ago, of two seconds ago."""
    for where, expr, _ in dashboards.expressions(dashboards.load(name), variables, **times):
        yield where, re.sub(r"offset 1[dw]", "offset 2s", expr)


def silent(prometheus, name, times=LONG, **variables):
    return {where for where, expr in asked(name, times, **variables) if not prometheus.query(expr)}


SHOWN = {}  # by address of Prometheus and dashboard: what has shown something, be it that a scrape is late by now


def never(prometheus, name):
    """What has never shown anything."""
    panels = {where for where, _ in asked(name, LONG)}
    shown = SHOWN.setdefault((prometheus.url, name), set())
    shown |= panels - silent(prometheus, name)
    return panels - shown - EITHER


def missing(prometheus):
    return {name: found for name in dashboards.NAMES if (found := never(prometheus, name) - EMPTY[name] - NOTES)}


@pytest.mark.parametrize("name", dashboards.NAMES)
def test_every_panel_shows_something_unless_there_is_nothing_to_show(prometheus, name):
    assert never(prometheus, name) == EMPTY[name] | NOTES


@pytest.mark.parametrize("name", dashboards.NAMES)
def test_they_show_native_histograms_too(world, name):
    """This Prometheus has no classic ones."""
    native = world[1]
    assert native.query("pgtls_phase_duration_seconds") and not native.query("pgtls_phase_duration_seconds_bucket")
    assert never(native, name) == EMPTY[name] | NOTES


@pytest.mark.parametrize("name", sorted(WRONG))
def test_where_nothing_is_wrong_nothing_wrong_is_shown(prometheus, name):
    def shown():
        return WRONG[name] - silent(prometheus, name, SHORT, pg_cluster="orders", pg_endpoint="read|pool")
    process.wait_for(lambda: not shown(), 30, lambda: f"nothing of this: {shown()}")


def test_the_numbers_are_right(prometheus):
    process.wait_for(lambda: states(prometheus) == STATES, 30, lambda: f"{STATES}: {states(prometheus)}")


def test_what_fails_is_told_with_its_cause_and_how_long(prometheus):
    (expr,) = [expr for where, expr in asked("overview", LONG) if where == "Failing now"]
    found = {(one["metric"]["pg_cluster"], one["metric"]["pg_endpoint"]): one for one in prometheus.query(expr)}
    assert {endpoint: (one["metric"]["phase"], one["metric"]["fault"], one["metric"].get("team"))
            for endpoint, one in found.items()} == {
        ("billing", "ledger"): ("auth", "password_failed", "finance"),
        ("legacy", "write"): ("tls", "tls_version_mismatch", None),
        ("search", "sessions"): ("startup", "ssl_closed_after_handshake", "catalogue"),
        ("search", "write"): ("startup", "hba_no_entry_ssl", "catalogue")}
    assert all(float(one["value"][1]) > 1 for one in found.values())


def test_a_team_sees_its_clusters(prometheus):
    """All clusters of a team are all that the variable offers once the team is chosen."""
    board = dashboards.load("overview")
    (cluster,) = [item for item in board["templating"]["list"] if item["name"] == "pg_cluster"]
    assert "allValue" not in cluster  # so that All stands for each of these
    selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", cluster["definition"]).groups()
    for team, clusters in (("checkout", {"orders"}), ("finance", {"billing"}),
                           (".*", {"orders", "billing", "search", "legacy"})):
        expr = dashboards.substituted(selector, {**dashboards.values(board), "team": team})
        assert {found[label] for found in prometheus.get("series", **{"match[]": expr})} == clusters


def test_every_choice_offers_something(prometheus):
    for name in dashboards.NAMES:
        board = dashboards.load(name)
        for item in board["templating"]["list"]:
            if item["type"] == "query":
                selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", item["definition"]).groups()
                expr = dashboards.substituted(selector, dashboards.values(board))
                found = prometheus.get("series", **{"match[]": expr})
                assert any(label in series for series in found), (name, item["name"])


def test_every_query_of_the_documents_runs(prometheus):
    count = 0
    for path in sorted((servers.ROOT / "docs").rglob("*.md")):
        for block in re.findall(r"^```promql\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            for expr in re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", block, flags=re.MULTILINE)):
                prometheus.query(expr)  # a query that does not parse, or matches many to many, is an error
                count += 1
    assert count >= 10


def test_what_happens_is_marked(world):
    """Last, because the marks stay."""
    prometheus, _, exporter, fleet = world
    fleet.servers["orders"].set_credentials(fleet.root.issue("orders", ("orders.db.example",)))
    fleet.servers["orders"].reload()
    exporter.reload()
    process.wait_for(lambda: NOTES - silent(prometheus, "overview") >= {
        "annotation New certificates", "annotation Reloads"}, 30, "the marks")
