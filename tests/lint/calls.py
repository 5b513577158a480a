#!/usr/bin/python3
"""Functions that are never called: unbounded, without error report, or not ours to call."""

import re

import tree

BANNED = {
    "gets": "has no bound", "strcpy": "has no bound; str_copy()", "stpcpy": "has no bound; str_copy()",
    "strcat": "has no bound; struct buf", "strncat": "its bound misleads; struct buf",
    "strncpy": "may not terminate; str_copy()", "sprintf": "has no bound; snprintf() or struct buf",
    "vsprintf": "has no bound; vsnprintf()", "strtok": "keeps hidden state",
    "atoi": "cannot fail; str_to_i64()",
    "atol": "cannot fail; str_to_i64()", "atoll": "cannot fail; str_to_i64()",
    "atof": "cannot fail", "alloca": "has no bound", "system": "runs a shell",
    "popen": "runs a shell", "setlocale": "changes libpq's texts and our numbers",
    "gethostbyname": "blocks; net/resolver.h",
    "tmpnam": "races", "mktemp": "races",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")


def check(root):
    for path in tree.files(root, ".c", ".h", ".inc", under=("src", "include", "tests")):
        text = tree.code_only(tree.read(path))
        for found in CALL.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            call = found.group(1)
            yield f"{tree.name(root, path)}:{line}: {call}() {BANNED[call]}"


if __name__ == "__main__":
    tree.finish(check)
