#!/usr/bin/python3
"""The tests that pages name for what they promise: each is there and is run, and the page of the promises has some for
every one of them."""

import re

import tree

PAGE = "docs/security.md"
NAMED = re.compile(r"`(test_\w+\.(?:py|c))(?:::(test_\w+))?`")
WHERE = {"py": ("tests/integration", "integration_test"), "c": ("tests/unit", "unit_test")}
TESTED = re.compile(r"^## How it is tested\n.*?\n\|[- |]+\|\n(.*?)\n\n", re.DOTALL | re.MULTILINE)


def judge(root, file, function):
    """What is wrong with the name of a test; None if nothing."""
    directory, registered = WHERE[file.rpartition(".")[2]]
    path, lists = root / directory / file, root / directory / "CMakeLists.txt"
    if not path.is_file():
        return f"there is no {file}"
    if function and not re.search(rf"^(?:def|static void) {function}\(", tree.read(path), re.MULTILINE):
        return f"{file} has no {function}"
    name = path.stem[len("test_"):]
    if not re.search(rf"^\s*(?:{registered}\(|foreach\(name [^)]*\b){name}\b", tree.read(lists), re.MULTILINE):
        return f"{file} is not run: {directory}/CMakeLists.txt does not have it"
    return None


def check(root):
    for path in tree.files(root, ".md"):
        text, page = tree.read(path), tree.name(root, path)
        for named in NAMED.finditer(text):
            wrong = judge(root, *named.groups())
            if wrong:
                yield f"{page}:{text.count(chr(10), 0, named.start()) + 1}: {wrong}"
    text = tree.read(root / PAGE)
    table = TESTED.search(text)
    for row in table[1].splitlines() if table else [""]:
        if not NAMED.search(row) and "tests/fuzz" not in row:
            yield f"{PAGE}:{text.count(chr(10), 0, text.find(row)) + 1}: names no test"


if __name__ == "__main__":
    tree.finish(check)
