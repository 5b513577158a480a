#!/usr/bin/python3
"""The rules of Grafana's dashboard-linter, and ours on top, for dashboards/*.json.

No rule can be switched off for a panel. Every PromQL expression, with its variables replaced, is
parsed by promtool; tests/integration/test_dashboard_looks.py holds the rules about PromQL again, against
the tree that Prometheus' own grammar makes of it.
"""

import json
import re
import subprocess
import tempfile

import yaml

import tree

VALUE_PANELS = {"stat", "timeseries", "gauge", "bargauge", "table", "state-timeline", "heatmap"}
SILENT_PANELS = {"alertlist"}  # they ask Grafana, not Prometheus
# Those of the linter's list that mean something here.
UNITS = {"none", "short", "s", "dtdurations", "percentunit", "ops", "bytes", "dateTimeAsIso"}
SELECTOR = re.compile(r"(?<![\w:$.])([a-z_:][a-z0-9_:]*)\s*(\{[^}]*\})?(?!\s*\(|[\w:])")
LISTED = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
NO_METRIC = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right"}
VARIABLE = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")
BUILT_IN = {"__rate_interval", "__range", "__interval", "__url_time_range", "__data"}
MUST = ('job=~"$job"', 'instance=~"$instance"')
VARIABLES = {"$__rate_interval": "5m", "$__range": "6h", "$__interval": "1m", "$objective": "0.999"}


def panels(board):
    for panel in board.get("panels", []):
        yield panel
        yield from panel.get("panels", [])


def expressions(board):
    """(where, expr) of everything that Prometheus will be asked."""
    for panel in panels(board):
        for target in panel.get("targets", []):
            yield f"panel {panel.get('title')!r}", target.get("expr", "")
    for note in board.get("annotations", {}).get("list", []):
        yield f"annotation {note.get('name')!r}", note.get("expr", "")


def check_board(board):
    for key in ("uid", "title", "description", "schemaVersion", "refresh", "time", "links"):
        if not board.get(key):
            yield f"it has no {key}"
    if board.get("editable") is not False:
        yield "it is editable"
    for key in ("id", "version", "__inputs", "__requires"):
        if key in board:
            yield f"it carries {key}"
    if not {"pgtls", "postgresql"} <= set(board.get("tags", [])):
        yield "it lacks the tags pgtls and postgresql"
    if board.get("schemaVersion", 0) < 39:
        yield "its schemaVersion is older than 39"
    if not any(link.get("includeVars") and link.get("keepTime") for link in board.get("links", [])):
        yield "no link keeps variables and time"
    ids = [panel.get("id") for panel in panels(board)]
    if len(ids) != len(set(ids)) or None in ids:
        yield "panel ids are missing or not unique"


def check_templates(board):
    variables = {item["name"]: item for item in board.get("templating", {}).get("list", [])}
    source = variables.get("datasource", {})
    if source.get("type") != "datasource" or source.get("label") != "Data source":
        yield "its variable datasource is missing, or not labelled Data source"
    for name, label in (("job", "Job"), ("instance", "Instance")):
        item = variables.get(name, {})
        wanted = {"label": label, "type": "query", "multi": True, "allValue": ".+"}
        if {key: item.get(key) for key in wanted} != wanted:
            yield f"its variable {name} is not {wanted}"
    for item in variables.values():
        if item["type"] != "query":
            continue
        if item.get("refresh") != 2:
            yield f"its variable {item['name']} is not reloaded when the time changes"
        if item.get("datasource", {}).get("uid") != "${datasource}":
            yield f"its variable {item['name']} does not ask ${{datasource}}"
        if not re.fullmatch(r"label_values\(.+, \w+\)", item.get("definition", "")):
            yield f"its variable {item['name']} is not label_values(selector, label)"


def check_thresholds(defaults):
    steps = defaults.get("thresholds", {}).get("steps", [])
    values = [step.get("value") for step in steps]
    if not defaults.get("thresholds", {}).get("mode") or not steps or values[0] is not None:
        yield "its thresholds are incomplete"
    elif values[1:] != sorted(values[1:]):
        yield "its thresholds are out of order"


def check_panel(panel):
    if not panel.get("title"):
        yield "it has no title"
    if panel["type"] == "row":
        return
    if not panel.get("description"):
        yield "it has no description"
    if panel["type"] in SILENT_PANELS:
        return
    if not panel.get("targets"):
        yield "it asks nothing"
    if panel.get("datasource", {}).get("uid") != "${datasource}":
        yield "its data source is not ${datasource}"
    if any(target.get("datasource", {}).get("uid") != "${datasource}" for target in panel.get("targets", [])):
        yield "a query's data source is not ${datasource}"
    if panel["type"] in VALUE_PANELS:
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        if defaults.get("unit") not in UNITS:
            yield f"its unit {defaults.get('unit')!r} is none of {sorted(UNITS)}"
        yield from check_thresholds(defaults)
    yield from check_overrides(panel)


def check_overrides(panel):
    """Of the columns of a table: units, thresholds, and that links name columns that are there."""
    headings = {name for step in panel.get("transformations", []) for name in
                step["options"].get("renameByName", {}).values()}
    for override in panel.get("fieldConfig", {}).get("overrides", []):
        properties = {item["id"]: item["value"] for item in override["properties"]}
        if headings and override["matcher"]["id"] == "byName" and override["matcher"]["options"] not in headings:
            yield f"it has no column {override['matcher']['options']}"
        if properties.get("unit", "none") not in UNITS:
            yield f"its unit {properties['unit']!r} is none of {sorted(UNITS)}"
        if "thresholds" in properties:
            yield from check_thresholds(properties)
        for link in properties.get("links", []):
            for heading in re.findall(r'__data\.fields\["([^"]+)"\]', link["url"]):
                if heading not in headings:
                    yield f"the link {link['title']!r} needs a column {heading}"


def links(board):
    """(where, address) of everything that leads somewhere."""
    for link in board.get("links", []):
        yield f"link {link.get('title')!r}", link.get("url", "")
    for panel in panels(board):
        config = panel.get("fieldConfig", {})
        found = config.get("defaults", {}).get("links", []) + [
            link for override in config.get("overrides", []) for item in override["properties"]
            if item["id"] == "links" for link in item["value"]]
        for link in found:
            yield f"panel {panel.get('title')!r}", link["url"]


def check_names(board, uids):
    """Variables that are used are there, and links lead to dashboards that are."""
    known = {item["name"] for item in board.get("templating", {}).get("list", [])} | BUILT_IN
    texts = [*expressions(board), *links(board), *(
        (f"variable {item['name']!r}", item.get("definition", "")) for item in board["templating"]["list"])]
    for where, text in texts:
        for one, other in VARIABLE.findall(text):
            if (one or other) not in known:
                yield f"{where}: there is no variable {one or other}"
    for where, address in links(board):
        for uid in re.findall(r"^/d/([\w-]+)", address):
            if uid not in uids:
                yield f"{where}: there is no dashboard {uid}"


def check_places(board):
    """Within 24 columns, and no two panels on one another."""
    for group in [board.get("panels", [])] + [panel.get("panels", []) for panel in board.get("panels", [])]:
        taken = {}
        for panel in group:
            at = panel.get("gridPos", {"x": 0, "y": 0, "w": 99, "h": 1})
            if at["x"] + at["w"] > 24:
                yield f"panel {panel.get('title')!r}: it is wider than the page"
                continue
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            for cell in cells:
                if cell in taken:
                    yield f"panel {panel.get('title')!r}: it lies on {taken[cell]!r}"
                    break
            taken.update(dict.fromkeys(cells, panel.get("title")))


def selectors(expr):
    """(metric, its matchers) of a query, as far as its text tells."""
    plain = LISTED.sub("", expr)
    for found in SELECTOR.finditer(plain):
        quoted = plain.count('"', 0, found.start()) % 2
        inside = plain.rfind("{", 0, found.start()) > plain.rfind("}", 0, found.start())
        if not quoted and not inside and found.group(1) not in NO_METRIC and not _is_span(plain, found):
            yield found.group(1), found.group(2) or ""


def _is_span(text, found):
    """[1h] and the like: between brackets."""
    return text.rfind("[", 0, found.start()) > text.rfind("]", 0, found.start())


def check_expression(expr):
    if not expr:
        yield "it is empty"
    for name, labels in selectors(expr):
        if not all(needed in labels for needed in MUST):
            yield f"{name} is not chosen by $job and $instance"
    for found in re.finditer(r"\b(\w+)\s*\(\s*\w+_total\b", expr):
        if found.group(1) not in {"rate", "irate", "increase"}:
            yield f"{found.group().strip()}: a counter outside rate, irate and increase"
    counters = len(re.findall(r"\w+_(?:total|bucket)\b", expr))
    if counters != len(re.findall(r"\b(?:rate|irate|increase)\(\s*\w+_(?:total|bucket)\b", expr)):
        yield "a counter outside rate, irate and increase"
    for found in re.finditer(r"\b(rate|irate)\([^\[]*\[([^\]]+)\]", expr):
        if found.group(2) != "$__rate_interval":
            yield f"{found.group(1)} over {found.group(2)} and not $__rate_interval"


def substituted(expr):
    for variable, value in VARIABLES.items():
        expr = expr.replace(variable, value)
    return re.sub(r"\$(?:\{\w+\}|\w+)", ".+", expr)


def promtool(exprs):
    """What promtool says against these expressions as recording rules, None if nothing."""
    rules = [{"record": f"lint:lint:{number}", "expr": expr} for number, expr in enumerate(exprs)]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump({"groups": [{"name": "lint", "rules": rules}]}, file)
        file.flush()
        run = subprocess.run(["promtool", "check", "rules", file.name], text=True,
                             capture_output=True, check=False)
    return re.sub(r"\s+", " ", run.stderr).strip() if run.returncode else None


def check_promql(boards):
    """All at once, because starting promtool takes longer than its work; singly to name the place."""
    asked = [(name, where, substituted(expr)) for name, board in boards
             for where, expr in expressions(board)]
    asked += [(name, f"variable {item['name']!r}", substituted(item["definition"][13:].rsplit(",", 1)[0]))
              for name, board in boards for item in board["templating"]["list"]
              if item["type"] == "query" and item.get("definition", "").startswith("label_values(")]
    if promtool([expr for _, _, expr in asked]) is None:
        return
    for name, where, expr in asked:
        problem = promtool([expr])
        if problem:
            yield f"{name}:1: {where}: {problem.split('expression: ')[-1]}"


def check_mentions(root, boards):
    """Panels and rows that a page names, as *this*, in a line about a dashboard."""
    titles = {panel.get("title") for _, board in boards for panel in panels(board)}
    for path in tree.files(root, ".md", under=("docs",)):
        for number, line in enumerate(tree.read(path).splitlines(), 1):
            if re.search(r"(?i)\bdashboard\b", line):
                for said in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", line):
                    if said not in titles:
                        yield f"{tree.name(root, path)}:{number}: no panel is called {said!r}"


def check(root, others=()):
    """`others` are the uids of dashboards elsewhere that links may lead to."""
    boards = [(tree.name(root, path), json.loads(tree.read(path)))
              for path in tree.files(root, ".json", under=("dashboards",))]
    if not boards:
        yield "dashboards:1: there are none"
    uids = [board.get("uid") for _, board in boards]
    if len(uids) != len(set(uids)):
        yield "dashboards:1: two have the same uid"
    for name, board in boards:
        problems = [*check_board(board), *check_templates(board), *check_places(board),
                    *check_names(board, {*uids, *others})]
        for panel in panels(board):
            problems += [f"panel {panel.get('title')!r}: {problem}" for problem in check_panel(panel)]
        for where, expr in expressions(board):
            problems += [f"{where}: {problem}" for problem in check_expression(expr)]
        yield from (f"{name}:1: {problem}" for problem in problems)
    yield from check_mentions(root, boards)
    yield from check_promql(boards)


if __name__ == "__main__":
    tree.finish(check)
