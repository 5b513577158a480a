"""The shipped dashboards with a real Prometheus behind them: what their queries answer, and what they look
like, drawn by Grafana's published components in a browser."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from .exporter import Exporter
from .servers import ROOT, Prometheus

HERE = ROOT / "tests" / "dashboards"
# Where the npm packages of package.json are, installed when missing. Only what is labelled `node` needs them.
NODE = Path(os.environ.get("PGTLS_NODE", ROOT / "build" / "node"))
NAMES = sorted(path.stem for path in (ROOT / "dashboards").glob("*.json"))


def load(name):
    return json.loads((ROOT / "dashboards" / f"{name}.json").read_text(encoding="utf-8"))


def panels(board):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


# ---- queries ---------------------------------------------------------------------------------

def values(board):
    """What every variable asks for when a person chooses nothing: all, or the first choice."""
    found = {}
    for item in board["templating"]["list"]:
        if item["type"] == "query":
            found[item["name"]] = item.get("allValue", ".+")
        elif item["type"] == "custom":
            found[item["name"]] = item["current"]["value"]
    return found


def substituted(expr, variables, span=21600, rate="5m"):
    """The query with its variables replaced, as Grafana would for `span` seconds."""
    for name, value in {"__rate_interval": rate, "__range": f"{span}s", "__interval": "1m", **variables}.items():
        expr = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", lambda _, v=value: v, expr)
    return expr


def expressions(board, variables=None, **times):
    """(where, query, instant) of all that a dashboard asks Prometheus, variables replaced."""
    variables = {**values(board), **(variables or {})}
    for panel in panels(board):
        for target in panel.get("targets", []):
            yield (f"{panel['title']} {target['refId']}" if len(panel["targets"]) > 1 else panel["title"],
                   substituted(target["expr"], variables, **times), target["instant"])
    for note in board["annotations"]["list"]:
        yield f"annotation {note['name']}", substituted(note["expr"], variables, **times), False


def answers(prometheus, board, span, step, rate="15s", end=None, variables=None):
    """Panel id → what Prometheus answers to each of its queries, for the last `span` seconds."""
    variables = {**values(board), **(variables or {})}
    end = (end or time.time()) // step * step
    start = end - span // step * step

    def ask(target):
        expr = substituted(target["expr"], variables, span, rate)
        if target["instant"]:
            result = prometheus.get("query", query=expr, time=end)["result"]
            series = [{"metric": one["metric"], "values": [one["value"]]} for one in result]
        else:
            series = prometheus.get("query_range", query=expr, start=start, end=end, step=step)["result"]
        return {"refId": target["refId"], "expr": expr, "legend": target["legendFormat"], "series": series,
                "format": target["format"], "instant": target["instant"]}

    return {"range": {"start": start, "end": end, "step": step},
            "answers": {panel["id"]: [ask(target) for target in panel["targets"]]
                        for panel in panels(board) if panel.get("targets")}}


# ---- a fleet to look at ----------------------------------------------------------------------

@contextlib.contextmanager
def watched(directory):
    """A Prometheus that watches an exporter, which watches the fleet of page_pictures.py: ten endpoints of
    four clusters, of which four are down and one is not what it promises. Who asks gets native histograms."""
    import page_pictures
    with contextlib.ExitStack() as stack:
        fleet = page_pictures.Fleet(stack, directory)
        given = page_pictures.configuration(fleet)[1]
        given["clusters"][0]["endpoints"]["write"]["policy"] = {"interval": "60s"}
        given["histograms"] = "both"
        given["defaults"]["timeout"] = "15s"  # nothing is slow but the machine
        (directory / "targets.json").write_text("[]")
        (directory / "gone.json").write_text("[")  # has never been good
        given["templates"] = {"found": {"sslmode": "verify-full"}}
        given["discovery"] = [{"file_sd": {"files": [str(directory / name)]}, "template": "found"}
                              for name in ("targets.json", "gone.json")]
        given["modules"] = {"default": {"sslmode": "verify-full", "allow_targets": ["*.db.example"]}}
        exporter = stack.enter_context(Exporter(directory / "exporter", given))
        yield stack.enter_context(watching(directory / "prometheus", exporter)), exporter, fleet


@contextlib.contextmanager
def watching(directory, exporter, *arguments):
    """A Prometheus that scrapes this exporter, with the shipped rules."""
    with Prometheus(directory, {
            "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
            "rule_files": [str(ROOT / "alerts" / "pgtls.rules.yml")],
            "scrape_configs": [{"job_name": "pgtls", "static_configs": [{"targets": [exporter.addresses[0]]}]}]},
            arguments=arguments) as prometheus:
        yield prometheus.start()


# ---- npm -------------------------------------------------------------------------------------

def node_modules(seconds=540):
    """The directory of the packages that package-lock.json names, downloaded if they are not there: 650 MB, a
    minute on a machine with nothing else to do."""
    lock = (HERE / "package-lock.json").read_bytes()
    mark, wanted = NODE / "installed", hashlib.sha256(lock).hexdigest()
    if not mark.exists() or mark.read_text() != wanted:
        NODE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, NODE / name)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=NODE, timeout=seconds)
        mark.write_text(wanted)
    return NODE / "node_modules"


def run(*argv, cwd=HERE, timeout=300, **more):
    """A program of node's; what it says is the error if it fails."""
    done = subprocess.run([str(word) for word in argv], cwd=cwd, text=True, capture_output=True, timeout=timeout,
                          check=False, **more)
    if done.returncode:
        raise AssertionError(f"{argv[0]} {argv[1]}: status {done.returncode}\n{(done.stdout + done.stderr)[-6000:]}")
    return done.stdout


# ---- pictures --------------------------------------------------------------------------------

def bundle(directory):
    """The page's script and style sheet."""
    run("node", HERE / "bundle.mjs", node_modules(), directory)


def draw(browser, directory, board, told, alerts=(), scheme="dark", shown=()):
    """Opens the dashboard in the browser; returns what went wrong while it was drawn."""
    given = {"board": board, **told, "alerts": list(alerts), "scheme": scheme, "variables": list(shown)}
    (directory / "given.js").write_text("window.given = " + json.dumps(given))
    (directory / "page.html").write_text(
        '<!doctype html><meta charset="utf-8"><title>dashboard</title><link rel="stylesheet" href="render.css">'
        '<div id="page"></div><script src="given.js"></script><script src="render.js"></script>')
    browser.look(width=1600, height=1000, scheme=scheme)
    browser.go((directory / "page.html").as_uri())
    browser.until("window.ready === true", 60)
    return browser.run("window.failures")
