#!/usr/bin/python3
"""Writes dashboards/*.json, and the lists at the end of docs/dashboards.md. The JSON is what is shipped;
source/ is where it is edited.

    dashboards/generate.py            write the files
    dashboards/generate.py --check    exit 1 if a file is not what this would write

tests/lint/dashboard_lint.py holds the rules that every dashboard keeps.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "dashboards.md"
MARK = "<!-- What follows is printed by dashboards/generate.py. -->"
sys.path.insert(0, str(HERE))

from source import certificates, exporter, latency, overview, promises, rejections  # noqa: E402

BOARDS = {"overview": overview, "latency": latency, "rejections": rejections, "certificates": certificates,
          "promises": promises, "exporter": exporter}


def render(content):
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def section(name, board):
    """A dashboard as a page tells of it: its picture, and what each panel says."""
    lines = [f"## {name.capitalize()}", "",
             f"{board['description']} [`dashboards/{name}.json`](../dashboards/{name}.json), uid `{board['uid']}`.", "", f"![{board['title']}](images/dashboard-{name}.png)", "",
             "| panel | shows |", "|---|---|"]
    for panel in board["panels"]:
        if panel["type"] == "row":
            lines.append(f"| **{panel['title']}** | |")
        for one in [panel] * (panel["type"] != "row") + panel.get("panels", []):
            lines.append(f"| {one['title']} | {one['description']} |")
    return "\n".join(lines) + "\n"


def page(boards):
    """docs/dashboards.md: what is written by hand, then what is printed."""
    text = PAGE.read_text(encoding="utf-8")
    return text[:text.index(MARK) + len(MARK)] + "\n" + "".join(
        "\n" + section(name, board) for name, board in boards.items())


def main():
    check, stale = "--check" in sys.argv[1:], False
    boards = {name: source.build() for name, source in BOARDS.items()}
    wanted = {HERE / f"{name}.json": render(board) for name, board in boards.items()}
    for path, text in {**wanted, PAGE: page(boards)}.items():
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{path.relative_to(HERE.parent)}: not what dashboards/generate.py writes; run it")
            stale = True
    for path in sorted(set(HERE.glob("*.json")) - wanted.keys()):
        print(f"{path.relative_to(HERE.parent)}: nothing writes it")
        stale = True
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
