#!/usr/bin/python3
"""Pages find each other: every link between them leads to a file and a heading that are there, and
docs/README.md, the index, has every page."""

import re
import unicodedata

import tree

INDEX = "docs/README.md"
FENCE = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def prose(text):
    """The page with its code blocks blanked, line numbers kept."""
    return FENCE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def anchor(heading):
    """What the renderers of GitHub and GitLab call a heading."""
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return "".join("-" if one == " " else one for one in shown
                   if one in " -_" or unicodedata.category(one)[0] in "LN")


def anchors(text):
    """Of all headings; the second of the same name is NAME-1."""
    seen = {}
    for heading in HEADING.findall(prose(text)):
        name = anchor(heading.strip())
        seen[name] = seen.get(name, -1) + 1
        yield f"{name}-{seen[name]}" if seen[name] else name


def broken_links(root, page, text):
    for found in LINK.finditer(text):
        path, _, fragment = found[1].partition("#")
        if re.match(r"\w+:", path):
            continue
        target = (page.parent / path).resolve() if path else page
        where = f"{tree.name(root, page)}:{text.count(chr(10), 0, found.start()) + 1}"
        if not target.exists():
            yield f"{where}: {found[1]} is not there"
        elif fragment and target.suffix == ".md" and fragment not in anchors(tree.read(target)):
            yield f"{where}: {path or 'this page'} has no heading #{fragment}"


def check(root):
    root = root.resolve()
    for page in tree.files(root, ".md"):
        yield from broken_links(root, page, prose(tree.read(page)))
    index = root / INDEX
    listed = {(index.parent / link).resolve() for link in LINK.findall(tree.read(index))} if index.exists() else set()
    for page in sorted((root / "docs").glob("*.*")):
        if page != index and page not in listed:
            yield f"{INDEX}:1: has no line for {page.name}"


if __name__ == "__main__":
    tree.finish(check)
