"""What stands in fenced blocks of the documentation, and what a shell makes of those that are
commands: they are run by a real bash, in a directory of their own, with nothing on PATH but stand-ins
that record how they were called."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .servers import ROOT

FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.S | re.M)
PROMPT = re.compile(r"^\$ (.*(?:\\\n.*)*)$", re.M)
# Where pages say that files are; what is written there in a test stays in the test's directory.
PLACES = re.compile(r"(?<![\w:.])/(etc|run|var|usr|sys|path|proc)/")
# Readers and filters that may do their work; everything else is only recorded.
REAL = ("awk", "basename", "cp", "cut", "grep", "head", "jq", "promtool", "sed", "sort", "tail", "tr", "uniq", "wc")
RECORDER = """#!/bin/sh
if [ $# -gt 0 ]; then printf '%s\\0' "$@"; fi > "$PGTLS_CALLS/${{0##*/}}.$$"
{then}
"""


@dataclass
class Snippet:
    """One fenced block."""
    page: Path
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages():
    """What people read."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def snippets(*languages):
    """The blocks in these languages, of all pages; of all languages without any."""
    for page in pages():
        text = page.read_text()
        for found in FENCE.finditer(text):
            if not languages or found[2] in languages:
                inner = re.sub(f"^{found[1]}", "", found[3], flags=re.M)
                yield Snippet(page, text.count("\n", 0, found.start()) + 1, found[2], inner)


def commands():
    """Blocks of commands: those in `sh`, and the lines behind a prompt in the others."""
    yield from snippets("sh")
    for snippet in snippets("console", "text", ""):
        typed = PROMPT.findall(snippet.text)
        if typed:
            yield Snippet(snippet.page, snippet.line, "sh", "\n".join(typed) + "\n")


def scripts():
    """What can be run in a clone without building it."""
    for place in ("packaging", "tests"):
        yield from (path.relative_to(ROOT) for path in (ROOT / place).rglob("*")
                    if path.suffix in {".py", ".sh"} and path.stat().st_mode & 0o111)


class Shell:
    """A directory that looks like a clone of the project, in which commands of a page are run."""

    def __init__(self, directory, programs):
        self.directory, self.calls = directory, directory / "calls"
        self.here = directory / "clone"
        self.calls.mkdir(parents=True)
        for name in programs:
            self._stand_in(directory / "bin" / name, name)
        for script in (*scripts(), "build/dev/pgtls_docs", "build/fuzz/tests/fuzz/fuzz_dsn"):
            self._stand_in(self.here / script)
        for place in ("alerts", "dashboards", "docs/examples"):  # copies: a page may edit in place
            shutil.copytree(ROOT / place, self.here / place)
        for place in ("etc/prometheus", "etc/pgtls", "run/secrets", "var/log/postgresql"):
            (directory / place).mkdir(parents=True)

    def _stand_in(self, path, name=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RECORDER.format(then=f'exec /usr/bin/{name} "$@"' if name in REAL else ":"))
        path.chmod(0o755)

    def run(self, snippet):
        """How the block called whom, [(program, arguments)] in no order, and what bash had to say."""
        for old in self.calls.iterdir():
            old.unlink()
        script = PLACES.sub(rf"{self.directory}/\1/", snippet.text)
        run = subprocess.run(
            ["/bin/bash", "-u", "-c", script], cwd=self.here, text=True, capture_output=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": str(self.directory / "bin"), "PGTLS_CALLS": str(self.calls), "HOME": str(self.directory)})
        calls = [(path.name.rpartition(".")[0], [part.decode() for part in path.read_bytes().split(b"\0")[:-1]])
                 for path in sorted(self.calls.iterdir())]
        return calls, run
