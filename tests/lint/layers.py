#!/usr/bin/python3
"""Which room may include what (docs/ARCHITECTURE.md).

A room includes itself and the rooms below it; the telling half (expose) knows nothing of the
measuring half. A quarantined library is included by the files listed here and by no header, so that
its types end where they enter.
"""

import re

import tree

ROOMS = ["base", "model", "config", "net", "tls", "pg", "probe", "expose", "app"]
NEVER = {"expose": {"net", "tls", "pg", "probe"}}
QUARANTINE = {  # header: the only files that include it
    r"libpq-fe\.h|libpq/.*": r"src/pg/login\.c",
    r"microhttpd\.h": r"src/expose/http\w*\.c",
    r"openssl/.*": r"src/tls/\w+\.c|src/pg/login\w*\.c",
    r"ares\.h": r"src/net/(?:resolver|srv)\.c",
    r"curl/.*": r"src/net/http_(?:client|setup)\.c",
    r"gnutls/.*": r"src/expose/web_(?:tls|seal)\.c",
    r"seccomp\.h": r"src/base/sandbox_calls\.c",
    r"crypt\.h": r"src/expose/web_bcrypt\.c",
    r"libfyaml\.h": r"src/config/\w+\.c",
    r"protobuf-c/.*|metrics\.pb-c\.h": r"src/expose/protobuf\.c",
}
FOREIGN = r"uv\.h|jansson\.h|isa-l/igzip_lib\.h"  # kept out of public headers, no more
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(path):
    found = re.match(r"(?:src|include/pgtls)/([^/]+)/", path)
    return found.group(1) if found else None


def may_include(room, other):
    return ROOMS.index(other) <= ROOMS.index(room) and other not in NEVER.get(room, ())


def check_direction(room, quoted, header):
    if header.startswith("pgtls/"):
        other = header.split("/")[1]
        if other not in ROOMS:
            return f"there is no room {other}"
        if not may_include(room, other):
            return f"{room} must not include {other}"
    elif quoted and ("/" in header or ".." in header):
        return "private headers are included from their own room only"
    return None


def check_foreign(path, header):
    for library, allowed in QUARANTINE.items():
        if re.fullmatch(library, header) and not re.fullmatch(allowed, path):
            return f"<{header}> belongs to {allowed} alone"
    if path.startswith("include/") and re.fullmatch(FOREIGN, header):
        return f"no public header shows <{header}>"
    return None


def check_own_header_first(root, path, headers):
    """src/net/socket.c begins with pgtls/net/socket.h, with socket.h beside it, or with a private
    header of the room that includes it."""
    if path.suffix != ".c":
        return None
    first = headers[0] if headers else ""
    public = f"pgtls/{path.parent.name}/{path.stem}.h"
    for own, place in ((public, root / "include" / public), (path.stem + ".h", path.with_suffix(".h"))):
        if place.exists():
            beside = path.parent / first
            through = first and beside.is_file() and f'"{own}"' in tree.read(beside)
            return None if first == own or through else f"its own header, {own}, comes first"
    return None


def check(root):
    for path in tree.files(root, ".c", ".h", ".inc", under=("src", "include")):
        name, text = tree.name(root, path), tree.read(path)
        room = room_of(name)
        if room not in ROOMS:
            yield f"{name}:1: is in none of the rooms {', '.join(ROOMS)}"
            continue
        includes = list(INCLUDE.finditer(text))
        for found in includes:
            line = text.count("\n", 0, found.start()) + 1
            mark, header = found.groups()
            for problem in (check_direction(room, mark == '"', header), check_foreign(name, header)):
                if problem:
                    yield f"{name}:{line}: {problem}"
        problem = check_own_header_first(root, path, [found.group(2) for found in includes])
        if problem:
            yield f"{name}:1: {problem}"


if __name__ == "__main__":
    tree.finish(check)
