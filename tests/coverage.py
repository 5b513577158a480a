#!/usr/bin/python3
"""Which lines and branches of src/ the tests reach.

  tests/coverage.py [LABEL…]    builds the preset test-coverage, runs the tests with these labels (unit, if none is
                                named; unit integration for all), prints every file and every room

Counters are clang's own (source based): a branch is a condition in the source, taken or not, and not one that the
compiler made. Processes that end by a signal, or in the sandbox, count like any other (cmake/ProjectHardening.cmake).
"""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "test-coverage"
ROOMS = ["base", "model", "config", "net", "tls", "pg", "probe", "expose", "app"]
KINDS = ("lines", "branches")


def run(*words, **options):
    return subprocess.run([str(word) for word in words], cwd=ROOT, check=True, **options)


def measure(labels):
    run("cmake", "--preset", "test-coverage", stdout=subprocess.DEVNULL)
    run("cmake", "--build", "--preset", "test-coverage")
    for old in (BUILD / "profiles").glob("*.profraw"):
        old.unlink()
    done = subprocess.run(["ctest", "--test-dir", str(BUILD), "-L", f"^({'|'.join(labels)})$", "-j",
                           str(os.cpu_count()), "--output-on-failure"], cwd=ROOT, check=False)
    if done.returncode:
        print("Some tests failed; what they reached is counted all the same.")


def programs():
    """Ours that ran: each has the rooms' code in it that it needs."""
    for place in (BUILD, BUILD / "tests" / "unit", BUILD / "tests" / "fuzz"):
        for path in sorted(place.iterdir()):
            if path.is_file() and os.access(path, os.X_OK) and re.match(r"pgtls_|test_|fuzz_", path.name):
                yield path


def summary():
    """File to {kind: (reached, of)}."""
    merged = BUILD / "all.profdata"
    run("llvm-profdata", "merge", "-sparse", "-o", merged, *sorted((BUILD / "profiles").glob("*.profraw")))
    first, *others = programs()
    words = ["llvm-cov", "export", "-summary-only", f"-instr-profile={merged}", first]
    for other in others:
        words += ["-object", other]
    report = json.loads(run(*words, capture_output=True).stdout)
    found = {}
    for entry in report["data"][0]["files"]:
        room = re.search(r"src/(\w+)/[^/]+\.(?:c|h|inc)$", entry["filename"])
        if room and room.group(1) in ROOMS:
            found[room.group()] = {kind: (entry["summary"][kind]["covered"], entry["summary"][kind]["count"])
                                   for kind in KINDS}
    return found


def percent(reached, of):
    return f"{100 * reached / of:.1f} %" if of else "—"


def add_up(files):
    sums = {kind: [0, 0] for kind in KINDS}
    for one in files:
        for kind in KINDS:
            sums[kind] = [a + b for a, b in zip(sums[kind], one[kind])]
    return sums


def table(files):
    rooms = defaultdict(list)
    for name, counts in files.items():
        rooms[name.split("/")[1]].append(counts)
    lines = ["| room | lines | reached | branches | reached |", "|---|---|---|---|---|"]
    for title, part in [(f"`{room}`", rooms[room]) for room in ROOMS] + [("all", files.values())]:
        sums = add_up(part)
        lines.append(f"| {title} | {sums['lines'][1]} | {percent(*sums['lines'])} "
                     f"| {sums['branches'][1]} | {percent(*sums['branches'])} |")
    return "\n".join(lines)


def main():
    measure(sys.argv[1:] or ["unit"])
    files = summary()
    for name, counts in sorted(files.items(), key=lambda item: item[1]["branches"][0] / max(item[1]["branches"][1], 1)):
        print(f"{name:40} lines {percent(*counts['lines']):>8}  branches {percent(*counts['branches']):>8} "
              f"of {counts['branches'][1]}")
    print(table(files))


if __name__ == "__main__":
    main()
