"""What the lints share: the files of the tree, findings, and the way a lint ends.

A lint is a function check(root) that yields findings, "path:line: what is wrong". A lint's file run
as a program checks the tree named on its command line and exits 1 if there is a finding.
"""

import re
import sys
from pathlib import Path

SKIPPED = {".git", "build", "node_modules", "__pycache__", ".pytest_cache"}
COMMENT_OR_STRING = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def files(root, *suffixes, under=("",)):
    """Files below the given directories, sorted, with one of these suffixes (none: all)."""
    for directory in under:
        for path in sorted((root / directory).rglob("*")):
            relative = path.relative_to(root)
            if (path.is_file() and not SKIPPED.intersection(relative.parts)
                    and (not suffixes or path.suffix in suffixes)):
                yield path


def name(root, path):
    return path.relative_to(root).as_posix()


def read(path):
    return path.read_text(encoding="utf-8")


def code_only(text):
    """The C text with comments and the contents of strings blanked, line numbers kept."""
    return COMMENT_OR_STRING.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def finish(check):
    """The main program of a lint."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    findings = list(check(root))
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings")
    sys.exit(1 if findings else 0)
