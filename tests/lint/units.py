#!/usr/bin/python3
"""The systemd units, as systemd itself judges them: units.py UNIT-DIRECTORY… PROGRAM

Nothing in them is unknown or misplaced, and `systemd-analyze security` finds the service exposed at 1.1
at most: what is left is the network, and the host's files, which it reads."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

EXPOSURE = 11  # in tenths


def check(units, program):
    """Findings. Each unit is judged with the program of this tree in the place of the installed one."""
    with tempfile.TemporaryDirectory() as directory:
        copies = []
        for unit in units:
            copies.append(Path(directory, unit.name))
            copies[-1].write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={program}", unit.read_text()))
        verified = subprocess.run(["systemd-analyze", "verify", "--man=no", *copies], text=True, check=False,
                                  capture_output=True)
        if verified.returncode or verified.stderr.strip():
            yield f"systemd-analyze verify: {verified.stderr.strip() or verified.returncode}"
        for copy in copies:
            if copy.suffix != ".service":
                continue
            judged = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager",
                                     f"--threshold={EXPOSURE}", copy], text=True, check=False, capture_output=True)
            if judged.returncode:
                yield f"systemd-analyze security {copy.name}:\n{judged.stdout}{judged.stderr}"


def main():
    *places, program = sys.argv[1:]
    units = [unit for place in places for pattern in ("*.service", "*.socket") for unit in Path(place).glob(pattern)]
    kinds = sorted(unit.suffix for unit in units)
    findings = list(check(units, program)) if kinds == [".service", ".socket"] else [f"not one service and one socket: {units}"]
    print(*findings, sep="\n", end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
