#!/usr/bin/python3
"""Ceilings: a function fits a screen and a half, a file fits a head."""

import json
import subprocess

import tree

FUNCTION_LINES = 100  # 60 are wanted
FILE_LINES = 600
SOURCES = (".c", ".h", ".py", ".sh")
PLACES = ("src", "include", "tests", "packaging", "dashboards")


def functions(paths):
    """(path, line, name, length) of every C and Python function, as universal-ctags sees them."""
    command = ["ctags", "--output-format=json", "--fields=+ne", "--languages=C,Python",
               "--kinds-C=f", "--kinds-Python=fm", "--langmap=C:.c.h", "-f", "-", "-L", "-"]
    listing = subprocess.run(command, input="\n".join(map(str, paths)), text=True,
                             capture_output=True, check=True)
    for row in listing.stdout.splitlines():
        tag = json.loads(row)
        if "end" in tag:
            yield tag["path"], tag["line"], tag["name"], tag["end"] - tag["line"] + 1


def check(root):
    paths = list(tree.files(root, *SOURCES, under=PLACES))
    for path in paths:
        lines = tree.read(path).count("\n")
        if lines > FILE_LINES:
            yield f"{tree.name(root, path)}:1: {lines} lines, more than {FILE_LINES}"
    for path, line, function, length in functions(paths):
        if length > FUNCTION_LINES:
            place = tree.name(root, root / path)
            yield f"{place}:{line}: {function} has {length} lines, more than {FUNCTION_LINES}"


if __name__ == "__main__":
    tree.finish(check)
