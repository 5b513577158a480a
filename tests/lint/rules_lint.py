#!/usr/bin/python3
"""What promtool does not know about alerts: annotations, runbooks, tests, and that every metric
used in rules and dashboards is one that the exporter has."""

import json
import re

import yaml

import tree

SEVERITIES = {"critical", "warning", "info"}
ANNOTATIONS = {"summary", "description", "runbook_url", "dashboard_url"}
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
PROGRAMS = {"pgtls_exporter", "pgtls_docs"}
METRIC = re.compile(r"(?<![\w:])(?:pgtls|process)_[a-z0-9_]+(?![\w:])")
SUFFIX = re.compile(r"_(?:bucket|sum|count)$")
MINUTES = {"s": 1 / 60, "m": 1, "h": 60, "d": 1440}


def rules(root):
    """(file, rule) of every rule."""
    for path in tree.files(root, ".yml", under=("alerts",)):
        for group in yaml.safe_load(tree.read(path))["groups"]:
            for rule in group["rules"]:
                yield tree.name(root, path), rule


def dashboards(root):
    """uid → names of its variables."""
    boards = (json.loads(tree.read(path)) for path in tree.files(root, ".json", under=("dashboards",)))
    return {board["uid"]: {item["name"] for item in board["templating"]["list"]} for board in boards}


def check_alert(rule, boards):
    notes = rule.get("annotations", {})
    if not re.fullmatch(r"Pgtls([A-Z][a-z0-9]+)+", rule["alert"]):
        yield "its name is not PgtlsCamelCase"
    if rule.get("labels", {}).get("severity") not in SEVERITIES:
        yield f"its severity is none of {', '.join(sorted(SEVERITIES))}"
    if "for" not in rule:
        yield "it does not say `for`"
    for missing in sorted(ANNOTATIONS - notes.keys()):
        yield f"it has no {missing}"
    if "{{" in notes.get("summary", ""):
        yield "its summary has values in it, so alerts do not group"
    for needed in ("$labels.", "$value"):
        if needed not in notes.get("description", ""):
            yield f"its description does not use {needed.rstrip('.')}"
    if not notes.get("runbook_url", "").endswith(f"/docs/runbooks/{rule['alert']}.md"):
        yield f"its runbook_url does not end in /docs/runbooks/{rule['alert']}.md"
    uid = re.search(r"/d/([\w-]+)", notes.get("dashboard_url", ""))
    if not uid or uid.group(1) not in boards:
        yield "its dashboard_url names no dashboard of ours"
        return
    for name in re.findall(r"[?&]var-(\w+)=", notes["dashboard_url"]):
        if name not in boards[uid.group(1)]:
            yield f"its dashboard_url sets {name}, which {uid.group(1)} does not have"


def check_runbooks(root, alerts):
    books = {path.stem: path for path in tree.files(root, ".md", under=("docs/runbooks",))}
    for alert in sorted(alerts - books.keys()):
        yield f"docs/runbooks/{alert}.md:1: is missing"
    for stem, path in books.items():
        name = tree.name(root, path)
        if stem not in alerts:
            yield f"{name}:1: there is no such alert"
        headings = re.findall(r"^## (.+)$", tree.read(path), re.MULTILINE)
        if headings != HEADINGS:
            yield f"{name}:1: its headings are {headings}, not {HEADINGS}"


def minutes(duration):
    return sum(int(number) * MINUTES[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


def check_tests(root, alerts):
    """Each alert fires in a test, resolves later in the same one, and never fires in another."""
    fires, resolves, silent = set(), set(), set()
    for path in tree.files(root, ".yml", under=("tests/alerts",)):
        for test in yaml.safe_load(tree.read(path))["tests"]:
            told = {}
            for step in test.get("alert_rule_test", []):
                told.setdefault(step["alertname"], []).append(
                    (minutes(step["eval_time"]), bool(step["exp_alerts"])))
            for alert, steps in told.items():
                steps = [firing for _, firing in sorted(steps)]
                if True not in steps:
                    silent.add(alert)
                    continue
                fires.add(alert)
                if not steps[-1]:
                    resolves.add(alert)
    for what, seen in (("fires", fires), ("resolves", resolves), ("stays silent", silent)):
        for alert in sorted(alerts - seen):
            yield f"tests/alerts: no test in which {alert} {what}"


def known_metrics(root):
    names = set()
    for place in ("docs/api-names.txt", "docs/metrics.md"):
        if (root / place).exists():
            names |= set(METRIC.findall(tree.read(root / place)))
    return names


def check_metrics(root):
    known = known_metrics(root)
    if not known:
        yield "docs/metrics.md:1: names no metric"
        return
    for path in tree.files(root, ".yml", ".json", under=("alerts", "dashboards")):
        for used in sorted(set(METRIC.findall(tree.read(path)))):
            if used not in known | PROGRAMS and SUFFIX.sub("", used) not in known:
                yield f"{tree.name(root, path)}:1: the exporter has no {used}"


def check(root):
    boards = dashboards(root)
    alerts = set()
    for name, rule in rules(root):
        if "alert" in rule:
            alerts.add(rule["alert"])
            for problem in check_alert(rule, boards):
                yield f"{name}:1: {rule['alert']}: {problem}"
    if not alerts:
        yield "alerts:1: there are none"
    yield from check_runbooks(root, alerts)
    yield from check_tests(root, alerts)
    yield from check_metrics(root)


if __name__ == "__main__":
    tree.finish(check)
