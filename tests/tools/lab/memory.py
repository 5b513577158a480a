"""What others find in a process's memory: whoever reads it, and whoever takes an image of it."""

import base64
import re
import subprocess
from pathlib import Path

PAGE = 4096
TAIL = 16  # freed memory begins with what the allocator notes there


def mappings(pid):
    """(first, last, rights, name, flags of the kernel's) of each."""
    current = None
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
        if head:
            current = (int(head[1], 16), int(head[2], 16), head[3], head[4])
        elif line.startswith("VmFlags:"):
            yield (*current, line.split()[1:])


def touched(content):
    """Without the pages that hold nothing: most of a stack."""
    pages = (content[at:at + PAGE] for at in range(0, len(content), PAGE))
    return b"".join(page for page in pages if page.count(0) < len(page))


def memory_of(pid):
    """(name, flags, bytes) of every page that the process has, as far as the kernel shows it to root."""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for first, last, rights, name, flags in mappings(pid):
            if rights[0] != "r" or name.startswith("[v"):
                continue
            memory.seek(first)
            try:
                yield name, flags, touched(memory.read(last - first))
            except OSError:  # gone since, a device's, or memory that is the process's alone
                continue


def forms(secret):
    """As what a secret may lie about. What SASLprep makes of one differs in its first half at most: see callers."""
    tail = secret[-TAIL:].encode()
    yield tail
    yield tail.hex().encode()
    yield tail.hex().upper().encode()
    yield secret[-TAIL:].encode("utf-16-le")
    yield secret[-TAIL:].encode("utf-16-be")
    for before in range(3):  # which of every three bytes it begins with; the ends are their neighbours', too
        text = base64.b64encode(b"\0" * before + tail)
        yield text[4 if before else 0:len(text) // 4 * 4 - 4]


def found_in(secrets, name, memory):
    """secrets: name → the secret, a text, or bytes that are looked for as they are. Those that end alike are looked
    for together: (their names, where, what is around it)."""
    places = {}
    for place, secret in secrets.items():
        for form in forms(secret) if isinstance(secret, str) else [secret]:
            places.setdefault(form, []).append(place)
    for form, those in places.items():
        at = memory.find(form)
        while at >= 0:
            around = memory[max(0, at - 60):at + len(form) + 20]
            exactly = [place for place in those if isinstance(secrets[place], str)
                       and secrets[place].encode() in around]
            yield exactly or those, name, around
            at = memory.find(form, at + 1)


def found_in_memory(pid, secrets, vaults=True):
    """`vaults`: also where images of the memory leave out what is there."""
    return [hit for name, flags, memory in memory_of(pid) if vaults or "dd" not in flags
            for hit in found_in(secrets, name, memory)]


def image_of(pid, directory):
    """As gcore takes it of a process that runs."""
    done = subprocess.run(["gcore", "-o", str(directory / "image"), str(pid)], capture_output=True, timeout=120,
                          check=False)
    path = directory / f"image.{pid}"
    assert path.exists(), done.stdout + done.stderr
    content = path.read_bytes()
    path.unlink()
    return content
