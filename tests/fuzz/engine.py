"""One target run by libFuzzer for a while: how, and what came of it."""

import base64
import os
import re
import signal
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "fuzz"
MAX_BYTES = 16 * 1024  # of one input, unless a seed is larger
UNIT_SECONDS = 20  # that one input may take; what takes them is a finding
MEMORY_MB = 2048
ONE_PIECE_MB = 64  # that one allocation may ask for: inputs are small
INTERRUPTED = 72  # libFuzzer's exit status after SIGINT
SLOW_CPU_SECONDS = 5  # of a replay: less, and it was the machine that was slow


@dataclass
class Run:
    """What one run of one target came to."""

    target: str
    seconds: float = 0.0  # of the clock
    cpu: float = 0.0  # seconds of it on a processor
    executions: int = 0
    edges: int = 0
    features: int = 0
    findings: list = field(default_factory=list)  # paths of inputs
    output: str = ""

    def row(self):
        return {key: value for key, value in asdict(self).items() if key != "output"} | {
            "findings": [str(path) for path in self.findings], "at": time.time()}


def targets():
    """Every target that the tree has, by name."""
    return sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.c"))


def program(build, target):
    return build / "tests" / "fuzz" / f"fuzz_{target}"


def seeds(target):
    return HERE / "corpus" / target


def options(target):
    """What every run of a target is given, for any purpose."""
    dictionary = HERE / "dict" / f"{target}.dict"
    largest = max((path.stat().st_size for path in seeds(target).iterdir()), default=0)
    given = [f"-max_len={max(MAX_BYTES, largest)}", f"-timeout={UNIT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}",
             f"-malloc_limit_mb={ONE_PIECE_MB}"]
    return given + ([f"-dict={dictionary}"] if dictionary.exists() else [])


def environment():
    sanitizers = {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:symbolize=1",
                  "UBSAN_OPTIONS": "print_stacktrace=1"}
    return {**{k: v for k, v in os.environ.items() if not k.startswith(("PG", "DATABASE_URL"))}, **sanitizers}


def idle():
    """The processor only when nobody else wants it."""
    os.nice(19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def start(command, log, *, polite=False):
    return subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, env=environment(),
                            preexec_fn=idle if polite else None)


running = set()  # what is being run now


def interrupt():
    """Lets what is running come to its end, with what it has found so far."""
    for child in list(running):
        child.send_signal(signal.SIGINT)


def finish(child, limit):
    """(exit status, CPU seconds). What does not end by itself is ended."""
    until = time.monotonic() + limit
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode, usage.ru_utime + usage.ru_stime
        if time.monotonic() > until:
            child.kill()
        time.sleep(0.05)


def last(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def fuzz(target, seconds, corpus, found, *, build=BUILD, polite=False, seed=None):
    """Runs the target over `corpus` (grown in place) and its seeds; inputs that made it fail go into `found`."""
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    log = found.parent / f"{target}.log"
    command = [program(build, target), *options(target), f"-max_total_time={max(1, round(seconds))}",
               f"-artifact_prefix={found}/", "-print_final_stats=1", *([f"-seed={seed}"] if seed else []), corpus,
               seeds(target)]
    run = Run(target)
    begun = time.monotonic()
    with log.open("w") as file:
        child = start(command, file, polite=polite)
        running.add(child)
        status, run.cpu = finish(child, seconds + 20 * UNIT_SECONDS)
        running.discard(child)
    run.seconds = time.monotonic() - begun
    run.output = log.read_text(errors="replace")
    run.executions = last(r"stat::number_of_executed_units:\s+(\d+)", run.output) or last(r"(?m)^#(\d+)\s", run.output)
    run.edges, run.features = last(r"\bcov: (\d+)", run.output), last(r"\bft: (\d+)", run.output)
    run.findings = sorted(set(found.iterdir()) - before)
    if status not in (0, INTERRUPTED) and not run.findings:
        kept = found / f"lost-{target}-{int(time.time())}"  # died without an input: the log is what there is
        kept.write_text(run.output[-20000:])
        run.findings = [kept]
    return run


def replay(target, path, *, build=BUILD):
    """(does the input fail again, what the target said). A slow one fails only by time on a processor."""
    log = path.parent.parent / f"{target}.replay.log"
    with log.open("w") as file:
        child = start([program(build, target), f"-rss_limit_mb={MEMORY_MB}", "-timeout=300", path], file)
        status, cpu = finish(child, 400)
    slow = path.name.startswith(("timeout-", "slow-unit-"))
    return status != 0 or (slow and cpu > SLOW_CPU_SECONDS), log.read_text(errors="replace")


def is_finding(target, path, *, build=BUILD):
    """Not what only the machine is to blame for: a slow input that is not slow again, memory that was enough again."""
    return not path.name.startswith(("timeout-", "slow-unit-", "oom-")) or replay(target, path, build=build)[0]


def how_to_replay(target, path):
    """For a log that is all that is left of the machine it happened on."""
    name = f"crash-{target}"
    return (f"printf %s {base64.b64encode(path.read_bytes()).decode()} | base64 -d >{name}\n"
            f"build/fuzz/tests/fuzz/fuzz_{target} {name}\n")
