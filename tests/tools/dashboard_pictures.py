#!/usr/bin/python3
"""Makes docs/images/dashboard-*.png: watches the fleet of page_pictures.py with a real Prometheus for some
minutes in which things happen to it, and draws every dashboard in Chromium with Grafana's components.

    cmake --build --preset dev && tests/tools/dashboard_pictures.py [DIRECTORY [SECONDS]]
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import page_pictures  # noqa: E402
from lab import dashboards, process, servers  # noqa: E402
from lab.chromium import Chromium  # noqa: E402

STEP = 2
KEPT = "answers.json"  # in the directory of the pictures' data, to draw again without waiting


def happenings(fleet, exporter):
    """What happens to the fleet while it is watched, as (share of the time, deed)."""
    orders, search = fleet.servers["orders"], fleet.servers["search"]

    def end_sessions():
        orders.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'monitor'")

    def renew():
        orders.set_credentials(fleet.root.issue("orders", ("orders.db.example",)))
        orders.reload()

    def let_in():
        search.set_hba(page_pictures.EVERYBODY)
        search.reload()

    def shut_out():
        search.set_hba(closed)
        search.reload()

    def ask():
        for target in ("orders.db.example:5432", "elsewhere.example:5432"):
            exporter.get(f"/probe?target={target}&module=default")

    closed = (search.data / "pg_hba.conf").read_text()
    return [(0.15, end_sessions), (0.25, let_in), (0.35, renew), (0.4, orders.stop), (0.43, orders.start),
            (0.5, shut_out), (0.55, ask), (0.6, end_sessions), (0.7, exporter.reload), (0.75, end_sessions),
            (0.85, fleet.servers["orders-read"].promote)]


def watch(seconds):
    """What Prometheus knows of the fleet after a while, for every dashboard."""
    with process.temporary_directory() as directory, dashboards.watched(directory) as (prometheus, exporter, fleet):
        begun = time.time()
        for share, deed in happenings(fleet, exporter):
            time.sleep(max(0, begun + share * seconds - time.time()))
            deed()
        time.sleep(max(0, begun + seconds - time.time()))
        alerts = prometheus.get("alerts")["alerts"]
        told = {name: dashboards.answers(prometheus, dashboards.load(name), seconds - 20, STEP)
                for name in dashboards.NAMES}
        return {"told": told, "alerts": sorted(alerts, key=lambda one: (one["state"], one["labels"]["alertname"]))}


def pictures(found, directory, work):
    dashboards.bundle(work)
    shown = [("Data source", "default"), ("Job", "pgtls"), ("Instance", "All"), ("Team", "All"), ("Cluster", "All"),
             ("Endpoint", "All"), ("Server", "All")]
    with Chromium(work / "browser") as browser:
        for name in dashboards.NAMES:
            failures = dashboards.draw(browser, work, dashboards.load(name), found["told"][name], found["alerts"],
                                       shown=shown)
            browser.picture(directory / f"dashboard-{name}.png")
            for failure in failures:
                print(f"{name}: {failure[:300]}", file=sys.stderr)


def main():
    target = Path(sys.argv[1] if len(sys.argv) > 1 else servers.ROOT / "docs" / "images")
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    target.mkdir(parents=True, exist_ok=True)
    work = servers.ROOT / "build" / "dashboards"
    work.mkdir(parents=True, exist_ok=True)
    if seconds:
        (work / KEPT).write_text(json.dumps(watch(seconds)))
    pictures(json.loads((work / KEPT).read_text()), target, work)
    print(f"Written to {target}")


if __name__ == "__main__":
    main()
