#!/usr/bin/python3
"""Writes dashboards/*.json. The JSON is what is shipped; source/ is where it is edited.

    dashboards/generate.py            write the files
    dashboards/generate.py --check    exit 1 if a file is not what this would write

tests/lint/dashboard_lint.py holds the rules that every dashboard keeps.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from source import certificates, exporter, latency, overview, promises, rejections  # noqa: E402

BOARDS = {"overview": overview, "latency": latency, "rejections": rejections, "certificates": certificates,
          "promises": promises, "exporter": exporter}


def render(content):
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main():
    check, stale = "--check" in sys.argv[1:], False
    for name, board in BOARDS.items():
        path, text = HERE / f"{name}.json", render(board.build())
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"dashboards/{name}.json: not what dashboards/generate.py writes; run it")
            stale = True
    for path in sorted(HERE.glob("*.json")):
        if check and path.stem not in BOARDS:
            print(f"dashboards/{path.name}: nothing writes it")
            stale = True
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
