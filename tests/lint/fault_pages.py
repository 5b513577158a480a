#!/usr/bin/python3
"""The pages of docs/faults: one per fault and no other, each beginning with the head that the code
prints, with all its sections, and with links that lead somewhere.

    fault_pages.py ROOT PGTLS_DOCS
"""

import re
import subprocess
import sys

import tree

PLACE = "docs/faults"
END = "<!-- End of what is printed. -->\n"
HEADINGS = ["What you see", "What it means", "How to confirm", "How to fix", "Products"]
WORDS = 12  # fewer are no section
LONGEST = 100  # lines after the head; who is on call reads no more
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def heads(printed):
    """The printed head of every fault, by id."""
    found = {}
    for head in printed.split(END)[:-1]:
        found[re.search(r"^# (\S+)$", head, re.MULTILINE).group(1)] = head + END
    return found


def anchors(text):
    """What can be linked to within a page."""
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-").lower()
            for title in re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)}


def check_links(path, text):
    for link in LINK.findall(FENCED.sub("", text)):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        if not target.is_file():
            yield f"links to {link}, which is not there"
        elif anchor and anchor not in anchors(tree.read(target)):
            yield f"links to {link}, which has no such heading"


def check_commands(text):
    """They are pasted into a shell at night: at least they must parse."""
    commands = "\n".join(COMMANDS.findall(text))
    run = subprocess.run(["bash", "-n"], input=commands, text=True, stderr=subprocess.PIPE, check=False)
    if run.returncode:
        yield f"has a command that does not parse: {run.stderr.splitlines()[0]}"


def check_body(body):
    parts = re.split(r"^## (.+)\n", FENCED.sub(lambda code: code.group().replace("\n#", "\n "), body),
                     flags=re.MULTILINE)
    if parts[0].strip() or parts[1::2] != HEADINGS:
        yield f"has the headings {parts[1::2]}, wanted {HEADINGS}"
        return
    for heading, text in zip(parts[1::2], parts[2::2]):
        if len(re.findall(r"\w+", text)) < WORDS:
            yield f"says next to nothing under {heading!r}"
    if "```" not in parts[2 * HEADINGS.index("How to confirm") + 2]:
        yield "has no command under 'How to confirm'"
    yield from check_commands(body)
    if body.count("\n") > LONGEST:
        yield f"has {body.count(chr(10))} lines after its head, at most {LONGEST}"


def check(root, printed):
    wanted = heads(printed)
    if not wanted:
        yield f"{PLACE}:1: the code prints no fault"
    pages = {path.stem: path for path in tree.files(root, ".md", under=(PLACE,))}
    for fault in sorted(wanted.keys() - pages.keys()):
        yield f"{PLACE}/{fault}.md:1: is missing"
    for fault in sorted(pages.keys() - wanted.keys()):
        yield f"{PLACE}/{fault}.md:1: no such fault"
    index = root / "docs/faults.md"
    for fault, path in pages.items():
        if fault not in wanted:
            continue
        text = tree.read(path)
        problems = []
        if text.startswith(wanted[fault]):
            problems += check_body(text[len(wanted[fault]):])
        else:
            problems.append(f"does not begin as `pgtls_docs fault {fault}` prints")
        problems += check_links(path, text)
        yield from (f"{PLACE}/{fault}.md:1: {problem}" for problem in problems)
        if f"](faults/{fault}.md)" not in tree.read(index):
            yield f"docs/faults.md:1: does not link to faults/{fault}.md"
    yield from (f"docs/faults.md:1: {problem}" for problem in check_links(index, tree.read(index)))


if __name__ == "__main__":
    PRINTED = subprocess.run([sys.argv[2], "fault"], stdout=subprocess.PIPE, text=True, check=True).stdout
    tree.finish(lambda root: check(root, PRINTED))
