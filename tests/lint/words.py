#!/usr/bin/python3
"""Words that do not belong in the tree: paths of one machine, package mirrors, promises of later."""

import re

import tree

WORDS = {
    r"(?<![\w.])/wor[k]/": "a path of one machine",
    r"(?<![\w.])/home/(?!\w*\$)\w+": "a path of one machine",
    r"(?<![\w.])/tmp/b-\w+": "a path of one machine",
    r"https?://(?:registry|deb|mirror|proxy|files)\.": "a package registry",
    r"\b\w[\w.-]*(?:artifactory|nexus|jfrog)[\w.-]*\.\w+": "a package registry",
    r"\b(?:TODO|FIXME|XXX|HACK)\b": "a promise instead of work",
    r"(?i)\bnot (?:yet )?implemented\b": "a promise instead of work",
}
SELF = {"tests/lint/words.py", "tests/lint/selftest.py"}


def check(root):
    for path in tree.files(root):
        name = tree.name(root, path)
        if name in SELF or name == "LICENSE":
            continue
        try:
            text = tree.read(path)
        except UnicodeDecodeError:
            continue
        for pattern, why in WORDS.items():
            for found in re.finditer(pattern, text):
                line = text.count("\n", 0, found.start()) + 1
                yield f"{name}:{line}: {found.group()!r} is {why}"


if __name__ == "__main__":
    tree.finish(check)
