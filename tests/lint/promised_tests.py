#!/usr/bin/python3
"""The tests that docs/security.md names for its promises: each is there, and there are some."""

import re

import tree

PAGE = "docs/security.md"
NAMED = re.compile(r"`(test_\w+\.(?:py|c))::(test_\w+)`")
WHERE = {"py": "tests/integration", "c": "tests/unit"}


def check(root):
    text = tree.read(root / PAGE)
    found = list(NAMED.finditer(text))
    if not found:
        yield f"{PAGE}:1: names no test"
    for named in found:
        file, function = named.groups()
        path = root / WHERE[file.rsplit(".", 1)[1]] / file
        line = text.count("\n", 0, named.start()) + 1
        if not path.is_file():
            yield f"{PAGE}:{line}: there is no {file}"
        elif not re.search(rf"^(?:def|static void) {function}\(", tree.read(path), re.MULTILINE):
            yield f"{PAGE}:{line}: {file} has no {function}"


if __name__ == "__main__":
    tree.finish(check)
