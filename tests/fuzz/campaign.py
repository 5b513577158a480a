#!/usr/bin/python3
"""Fuzzing for long, and what it reached.

    cmake --preset fuzz && cmake --build --preset fuzz
    tests/fuzz/campaign.py run --minutes 60        # that much processor time for each target; may be stopped and resumed
    tests/fuzz/campaign.py table                   # what they came to so far; --write: into docs/fuzzing.md
    tests/fuzz/campaign.py merge                   # what it reached becomes part of tests/fuzz/corpus
    tests/fuzz/campaign.py coverage --write        # what tests/fuzz/corpus reaches, into docs/fuzzing.md
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import coverage
import engine

RAN = "How long campaigns ran, by tests/fuzz/campaign.py table --write."  # of a part of docs/fuzzing.md
LARGEST_SEED = 64 * 1024  # bytes; larger inputs stay in the working directory


class Ledger:
    """What every run came to, a line of JSON each: how a campaign is resumed and told."""

    def __init__(self, work):
        self.path = work / "runs.jsonl"
        self.lock = threading.Lock()

    def add(self, run):
        with self.lock, self.path.open("a") as file:
            file.write(json.dumps(run.row()) + "\n")

    def rows(self):
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [json.loads(line) for line in lines]

    def totals(self, names):
        """Per target: the sums, and the most that was reached."""
        totals = {name: {"runs": 0, "seconds": 0.0, "cpu": 0.0, "executions": 0, "edges": 0, "findings": 0}
                  for name in names}
        for row in self.rows():
            total = totals.get(row["target"])
            if total is None:
                continue
            total["runs"] += 1
            for key in ("seconds", "cpu", "executions"):
                total[key] += row[key]
            total["edges"] = max(total["edges"], row["edges"])
            total["findings"] += len(row["findings"])
        return totals


class Campaign:
    def __init__(self, options):
        self.options = options
        self.work = options.work
        self.work.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(self.work)
        self.lock = threading.Lock()
        self.busy = set()
        self.until = time.monotonic() + options.at_most * 60 if options.at_most else float("inf")

    def names(self):
        known = engine.targets()
        unknown = set(self.options.targets) - set(known)
        if unknown:
            sys.exit(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return self.options.targets or known

    def next_target(self):
        """The one that had least so far; None when all had enough, or the time is over."""
        with self.lock:
            totals = self.ledger.totals(self.names())
            ready = [name for name in totals if name not in self.busy and totals[name]["cpu"] < self.options.minutes * 60
                     and engine.program(self.options.build, name).exists()]
            if not ready or time.monotonic() >= self.until:
                return None
            # One that fails at once would come first again and again.
            name = min(ready, key=lambda name: (totals[name]["findings"], totals[name]["cpu"], totals[name]["runs"]))
            self.busy.add(name)
            return name

    def corpus(self, name):
        return self.work / name / "corpus"

    def slice(self, name):
        found = self.work / name / "found"
        seconds = min(self.options.slice, max(1, self.until - time.monotonic()))
        run = engine.fuzz(name, seconds, self.corpus(name), found, build=self.options.build, polite=True)
        for path in list(run.findings):
            if engine.is_finding(name, path, build=self.options.build):
                (self.work / name / f"{path.name}.txt").write_text(run.output[-20000:])
            else:
                path.rename(self.work / name / f"not-again-{path.name}")
                run.findings.remove(path)
        self.ledger.add(run)
        print(f"{name}: {run.seconds:.0f} s ({run.cpu:.0f} s of CPU), {run.executions} executions, {run.edges} edges"
              + "".join(f"\n  FAILED: {path}" for path in run.findings), flush=True)

    def worker(self):
        while (name := self.next_target()) is not None:
            try:
                self.slice(name)
            finally:
                with self.lock:
                    self.busy.discard(name)

    def stop(self, *_):
        self.until = 0
        engine.interrupt()

    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        workers = [threading.Thread(target=self.worker) for _ in range(self.options.jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return self.table()

    def table(self):
        totals = self.ledger.totals(self.names())
        lines = ["| target | CPU minutes | executions | exec/s | edges |", "|---|---|---|---|---|"]
        for name, t in totals.items():
            rate = t["executions"] / t["cpu"] if t["cpu"] else 0
            lines.append(f"| {name} | {t['cpu'] / 60:.1f} | {t['executions']} | {rate:.0f} | {t['edges']} |")
        print("\n".join(lines))
        failed = [f"{name}: {t['findings']}" for name, t in totals.items() if t["findings"]]
        print(f"\nfailed: {', '.join(failed) or 'none'}")
        if self.options.write:
            hours = sum(t["cpu"] for t in totals.values()) / 3600
            coverage.replace(RAN, [f"{hours:.1f} hours of processor time in all.", "", *lines])
        return 1 if failed else 0

    def merge(self):
        """The fewest inputs that reach what the grown corpora reach, added to those in the tree."""
        for name in self.names():
            self.corpus(name).mkdir(parents=True, exist_ok=True)
            seeds, small = engine.seeds(name), self.work / name / "small"
            shutil.rmtree(small, ignore_errors=True)
            small.mkdir()
            for path in self.corpus(name).iterdir():
                if path.stat().st_size <= LARGEST_SEED:
                    (small / path.name).symlink_to(path)
            before = set(seeds.iterdir())
            subprocess.run([engine.program(self.options.build, name), "-set_cover_merge=1", "-use_counters=0", *engine.options(name), seeds, small],
                           env=engine.environment(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            new = set(seeds.iterdir()) - before
            print(f"{name}: {len(before)} seeds, {len(new)} more, "
                  f"{sum(path.stat().st_size for path in seeds.iterdir()) // 1024} KiB in all", flush=True)
        return 0

    def coverage(self):
        work = self.work if self.options.grown else None
        coverage.report(self.names(), coverage.BUILD, work, write=self.options.write)
        return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "table", "merge", "coverage"])
    parser.add_argument("targets", nargs="*", help="all, if none is named")
    parser.add_argument("--build", type=Path, default=engine.BUILD, help="a build tree of preset fuzz")
    parser.add_argument("--work", type=Path, default=engine.ROOT / "build" / "fuzz-work", help="corpora, findings, what was run")
    parser.add_argument("--minutes", type=float, default=60, help="of processor time for each target")
    parser.add_argument("--slice", type=float, default=180, help="seconds that a target has before the next one has its turn")
    parser.add_argument("--at-most", type=float, default=0, help="minutes after which to stop whatever has been done")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--grown", action="store_true", help="coverage: of the campaign's corpora, too")
    parser.add_argument("--write", action="store_true", help="table, coverage: into docs/fuzzing.md")
    return parser.parse_intermixed_args()


def main():
    options = arguments()
    return getattr(Campaign(options), options.command)()


if __name__ == "__main__":
    sys.exit(main())
