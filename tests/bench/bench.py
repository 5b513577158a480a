#!/usr/bin/python3
"""What the exporter costs and how true it is, printed as tables. Nothing here is asserted: machines
differ. What can be compared across machines are the ratios, each taken within one run.

    cmake --preset release -DPGTLS_TESTS=ON && cmake --build --preset release
    tests/bench/bench.py --build build/release
"""

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

import world  # noqa: I001  (first: it knows where the lab is)
from lab.process import temporary_directory
from measures import SECTIONS
from report import Report, plot

PAGE = world.ROOT / "docs" / "performance.md"
LOADS = ["67/s", "full rate", "full rate, one worker", "saturated"]
IMAGES = world.ROOT / "docs" / "images"


def build(directory):
    """Everything that is measured, in its present state."""
    if not (directory / "CMakeCache.txt").exists():
        subprocess.run(["cmake", "--preset", "release", "-DPGTLS_TESTS=ON", "-B", directory], cwd=world.ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", directory, "--target", "pgtls_exporter", "bench_server", "bench_bare", "bench_pq",
                    "bench_scrape"], check=True, stdout=subprocess.DEVNULL)


def machine():
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown CPU")
    openssl = subprocess.run(["openssl", "version"], text=True, capture_output=True, check=False).stdout.split("(")[0]
    return (f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; "
            f"Linux {platform.release()}; {openssl.strip()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=world.ROOT / "build" / "release", type=Path, help="build directory")
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=LOADS, help="of the CPU of a probe")
    parser.add_argument("--seconds", type=int, default=6, help="of each measured loop")
    parser.add_argument("--rounds", type=int, default=5, help="of those who are compared")
    parser.add_argument("--starts", type=int, default=3, help="of an exporter with 10,000 servers")
    parser.add_argument("--scale-seconds", type=int, default=60, help="that 10,000 servers are watched; 1800 for flat memory")
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=list(SECTIONS))
    parser.add_argument("--write", action="store_true", help="into docs/performance.md and docs/images")
    options = parser.parse_args()
    build(options.build)
    report = Report()
    report.say(f"{machine()}. By `tests/bench/{' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}`.")
    plots = {}
    with temporary_directory() as directory:
        bench = world.Bench(directory, options)
        for name in options.only:
            plots.update(SECTIONS[name](bench, report) or {})
    if not options.write:
        return
    report.say()
    for title, (x, y, lines) in plots.items():
        file = f"bench-{title.lower().replace(' ', '-')}.svg"
        plot(IMAGES / file, title, x, y, lines)
        report.say(f"![{title}: {y} against {x}](images/{file})")
    report.write_into(PAGE)


if __name__ == "__main__":
    main()
