#!/usr/bin/python3
"""What clang-tidy, cppcheck and gcc's analyzer find: nothing.

  analyze.py tidy ROOT BUILD PLACE…   by .clang-tidy, the C files below these places
  analyze.py cppcheck ROOT            the whole tree, but for cppcheck.suppressions
  analyze.py gcc ROOT BUILD PLACE…    -fanalyzer, but for gcc_analyzer.suppressions

BUILD is a build tree of gcc, whose compile_commands.json says how a file is compiled.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import tree

HERE = Path(__file__).resolve().parent
C_PLACES = ("src", "tests/unit", "tests/tools", "tests/bench", "tests/fuzz")
FINDING = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+):\d+: (?:warning|error): (?P<text>.*)$")
FUNCTION = re.compile(r"In function '(?P<name>\w+)'")
CMOCKA_ENDS = [f"--extra-arg=-include{HERE / 'cmocka_ends.h'}", "--checks=-readability-redundant-declaration"]
ENVIRONMENT = {**os.environ, "LC_ALL": "C", "CCACHE_DISABLE": "1"}


def commands(build, root, places):
    """Every C file below these places once, with the words that compile it and where."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        path = Path(entry["file"]).resolve()
        if any(path.is_relative_to(root / place) for place in places):
            found.setdefault(path, (shlex.split(entry["command"]), entry["directory"]))
    return sorted(found.items())


def run(words, cwd):
    return subprocess.run(words, cwd=cwd, env=ENVIRONMENT, text=True, capture_output=True, check=False)


def relative(root, path, cwd):
    path = Path(cwd, path).resolve()
    return tree.name(root, path) if path.is_relative_to(root) else str(path)


def tidy(root, build, places):
    for path, _ in commands(build, root, places):
        shown = CMOCKA_ENDS if path.is_relative_to(root / "tests/unit") else []
        # An unknown option is an error by -Werror, and after an error there is no analysis.
        done = run(["clang-tidy", "--quiet", "--warnings-as-errors=*", "--extra-arg=-Wno-unknown-warning-option",
                    *shown, f"--config-file={root / '.clang-tidy'}", "-p", build, path], root)
        lines = [found for found in map(FINDING.match, done.stdout.splitlines()) if found]
        for found in dict.fromkeys(found.group("file", "line", "text") for found in lines):
            file, line, text = found
            yield f"{relative(root, file, root)}:{line}: {text}"
        if done.returncode and not lines:
            yield f"{tree.name(root, path)}:1: clang-tidy failed: {(done.stdout + done.stderr)[-300:]}"


def cppcheck(root, places=C_PLACES, suppressions=HERE / "cppcheck.suppressions"):
    done = run(["cppcheck", "--quiet", "--enable=warning,performance,portability,style,information", "--inline-suppr",
                f"--suppressions-list={suppressions}",
                "--std=c11", "-D_GNU_SOURCE", "-D__GNUC__=12", "-Iinclude", "--error-exitcode=1",
                "--template={file}:{line}: {message} [{id}]", *places], root)
    lines = [line for line in done.stderr.splitlines() if line]
    yield from lines
    if done.returncode and not lines:
        yield f"cppcheck failed: {done.stdout[-300:]}"


def read_suppressions(path):
    return {tuple(line.split()) for line in path.read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")}


def analyzed(root, words, cwd):
    """What gcc says of one file, as (file, function, warning), line, text."""
    at = words.index("-o")
    kept = [word for word in words[:at] + words[at + 2:] if word != "-Werror"]
    if Path(kept[0]).name != "gcc":
        kept[0] = "gcc"  # a compiler's other names, and what caches it
    done = run([word for word in kept if "ccache" not in word] + ["-fanalyzer", "-o", "/dev/null"], cwd)
    function = ""
    for line in done.stderr.splitlines():
        of = FUNCTION.search(line)
        function = of.group("name") if of else function
        found = FINDING.match(line)
        if found:
            kind = re.search(r"\[-Wanalyzer-([\w-]+)\]$", found.group("text"))
            name = relative(root, found.group("file"), cwd)
            yield (name, function, kind.group(1) if kind else ""), found.group("line"), found.group("text")
    if done.returncode:
        yield (words[-1], "", "failed"), "1", f"gcc failed: {done.stderr[-300:]}"


def gcc(root, build, places, suppressions=HERE / "gcc_analyzer.suppressions"):
    allowed = read_suppressions(suppressions)
    used = set()
    for _, (words, cwd) in commands(build, root, places):
        for key, line, text in analyzed(root, words, cwd):
            if key in allowed:
                used.add(key)
            else:
                yield f"{key[0]}:{line}: in {key[1]}: {text}"
    for key in sorted(allowed - used):
        yield f"{suppressions.name}: \"{' '.join(key)}\" suppresses nothing"


def main():
    tool, root = sys.argv[1], Path(sys.argv[2]).resolve()
    if tool == "cppcheck":
        findings = cppcheck(root)
    else:
        findings = {"tidy": tidy, "gcc": gcc}[tool](root, Path(sys.argv[3]).resolve(), sys.argv[4:])
    n = 0
    for n, finding in enumerate(findings, 1):
        print(finding)
    print(f"{n} findings")
    sys.exit(1 if n else 0)


if __name__ == "__main__":
    main()
