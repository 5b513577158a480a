#!/usr/bin/python3
"""Which lines and branches of src/ the tests reach.

  tests/coverage.py [--write] [LABEL…]  builds the preset test-coverage, runs the tests with these labels (unit, if
                                        none is named; unit integration for all), prints every file and every room
  tests/coverage.py --measured [--write]  the same of what has run in that build since then, and runs nothing

--write puts the rooms and the weakest files into docs/coverage.md.

Counters are clang's own (source based): a branch is a condition in the source, taken or not, and not one that the
compiler made. Processes that end by a signal, or in the sandbox, count like any other (cmake/ProjectHardening.cmake).
"""

import argparse
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
PAGE = ROOT / "docs" / "coverage.md"
BEGIN, END = "<!-- Coverage, by tests/coverage.py --write. -->", "<!-- End of the coverage. -->"
WEAKEST = 15  # files
FEW = 20  # branches: in a file with less, one more or less says nothing


def run(*words, **options):
    return subprocess.run([str(word) for word in words], cwd=ROOT, check=True, **options)


def let_nobody_count():
    """Some tests run our programs as another user, who may open their files but not make them."""
    run(BUILD / "pgtls_exporter", "--version", stdout=subprocess.DEVNULL)
    run(BUILD / "pgtls_docs", "faults", stdout=subprocess.DEVNULL)
    for path in (BUILD / "profiles").glob("*.profraw"):
        path.chmod(0o666)


def measure(labels):
    run("cmake", "--preset", "test-coverage", stdout=subprocess.DEVNULL)
    run("cmake", "--build", "--preset", "test-coverage")
    for old in (BUILD / "profiles").glob("*.profraw"):
        old.unlink()
    let_nobody_count()
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


def share(counts, kind):
    reached, of = counts[kind]
    return reached / of if of else 1.0


def weakest(files):
    """The files with the smallest share of their branches reached."""
    judged = sorted((share(counts, "branches"), name) for name, counts in files.items() if counts["branches"][1] >= FEW)
    lines = ["| file | lines | reached | branches | reached |", "|---|---|---|---|---|"]
    for _, name in judged[:WEAKEST]:
        counts = files[name]
        lines.append(f"| `{name}` | {counts['lines'][1]} | {percent(*counts['lines'])} "
                     f"| {counts['branches'][1]} | {percent(*counts['branches'])} |")
    return "\n".join(lines)


def write(files):
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(files)}\n\nThe {WEAKEST} files with the smallest share of branches "
                    f"reached, of those with {FEW} and more:\n\n{weakest(files)}\n\n{END}{after}", encoding="utf-8")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--measured", action="store_true")
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("labels", nargs="*", metavar="LABEL")
    asked = arguments.parse_args()
    if not asked.measured:
        measure(asked.labels or ["unit"])
    files = summary()
    for name, counts in sorted(files.items(), key=lambda item: share(item[1], "branches")):
        print(f"{name:40} lines {percent(*counts['lines']):>8}  branches {percent(*counts['branches']):>8} "
              f"of {counts['branches'][1]}")
    print(table(files))
    if asked.write:
        write(files)


if __name__ == "__main__":
    main()
