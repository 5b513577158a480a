#!/usr/bin/python3
"""C as .clang-format has it; text as .editorconfig has it."""

import re
import subprocess

import tree

C_PLACES = ("src", "include", "tests")
TEXT = {".c", ".h", ".inc", ".py", ".sh", ".yml", ".yaml", ".json", ".cmake", ".txt", ".md", ".in"}


def check_c(root):
    paths = list(tree.files(root, ".c", ".h", under=C_PLACES))
    if not paths:
        return
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *map(str, paths)], cwd=root,
                         text=True, capture_output=True, check=False)
    for found in re.finditer(r"^(\S+?):(\d+):\d+: error: (.*)$", run.stderr, re.MULTILINE):
        place, line, problem = found.groups()
        yield f"{tree.name(root, root / place)}:{line}: {problem}"
    if run.returncode and not run.stderr:
        yield "clang-format failed without a word"


def check_text(root):
    for path in tree.files(root):
        name = tree.name(root, path)
        if path.suffix not in TEXT or "/data/" in name:  # what tests feed may be ugly on purpose
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                yield f"{name}:{number}: white space at the end of the line"
            if "\t" in line and path.suffix in {".c", ".h", ".py", ".yml", ".yaml", ".json"}:
                yield f"{name}:{number}: a tab"
        if text and not text.endswith("\n"):
            yield f"{name}:{text.count(chr(10)) + 1}: no newline at the end"
        if "\ufffd" in text:
            yield f"{name}:1: is not UTF-8"


def check(root):
    yield from check_c(root)
    yield from check_text(root)


if __name__ == "__main__":
    tree.finish(check)
