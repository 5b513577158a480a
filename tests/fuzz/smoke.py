#!/usr/bin/python3
"""Tries one target for a while, from the same seed each time: what fails here failed by what was changed, and what only
luck finds is found by campaign.py. What makes it fail is printed so that it can be replayed from the log alone."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

import engine


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=engine.targets())
    parser.add_argument("--build", type=Path, default=engine.BUILD, help="a build tree of preset fuzz")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1, help="0: another one each time")
    options = parser.parse_args()
    seed = options.seed or secrets.randbelow(2**31 - 1) + 1
    with tempfile.TemporaryDirectory(prefix="pgtls-fuzz-") as directory:
        work = Path(directory)
        run = engine.fuzz(options.target, options.seconds, work / "corpus", work / "found", build=options.build, seed=seed)
        print(f"{options.target}: seed {seed}, {run.executions} executions in {run.seconds:.0f} s, {run.edges} edges")
        failed = [path for path in run.findings if engine.is_finding(options.target, path, build=options.build)]
        for path in failed:
            print(f"\n{run.output[-6000:]}\nFAILED: {path.name}. To see it again, in the tree that preset fuzz has built:\n\n"
                  + engine.how_to_replay(options.target, path))
    if run.executions == 0:
        print(run.output[-6000:])
    return 1 if failed or run.executions == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
