"""What the corpora reach of what the targets aim at, by clang's source-based coverage."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import engine

PAGE = engine.ROOT / "docs" / "fuzzing.md"
BUILD = engine.ROOT / "build" / "coverage"
COVERAGE = "Coverage, by tests/fuzz/campaign.py coverage --write."  # of a part of the page
AT_ONCE = 2000  # inputs on one command line

# The files under src/ that each target aims at.
AIMS = {
    "accept": ["expose/negotiate.c"],
    "answer": ["pg/login_query.c"],
    "certificate": ["tls/facts.c", "tls/judge.c", "tls/hostname.c"],
    "certificate_file": ["tls/certificate_file.c"],
    "classify": ["model/classify.c", "model/classify_error.c", "model/classify_message.c"],
    "config": ["config/yaml.c", "config/expand.c", "config/placeholder.c", "config/layer.c", "config/template.c",
               "config/clusters.c", "config/servers.c", "config/input.c", "config/values.c", "config/values_expect.c",
               "config/values_list.c", "config/values_named.c", "config/values_path.c", "config/check.c",
               "config/resolve.c", "config/modules.c", "config/discovery.c", "config/settings.c", "config/show.c"],
    "discovery": ["config/targets.c"],
    "dns_ttl": ["net/dns_ttl.c"],
    "dsn": ["config/dsn_parse.c", "config/dsn_libpq.c", "config/dsn_foreign.c", "config/dsn_reader.c",
            "config/dsn_take.c", "config/dsn.c", "config/dsn_dialects.c", "config/dsn_keywords.c"],
    "explain": ["pg/login_text.c"],
    "flags": ["app/flags.c"],
    "greet": ["probe/greet.c"],
    "guard": ["pg/login_guard.c"],
    "look": ["pg/login_look.c", "pg/login_relay.c"],
    "native": ["model/native_histogram.c"],
    "passfile": ["config/passfile.c"],
    "request": ["expose/http_routes.c", "expose/http_pages.c", "expose/http_probe.c"],
    "srv": ["net/srv.c"],
    "target": ["model/probe_target.c", "model/module.c", "model/network.c"],
    "text": ["base/str.c", "expose/html.c", "net/address.c"],
    "trust": ["tls/trust.c"],
    "url": ["net/http_url.c"],
    "web_config": ["config/web_config.c", "config/web_values.c", "expose/web_priority.c"],
    "wire": ["pg/wire.c"],
}


def tool(name):
    """clang's own version of it, whatever is first on the path."""
    version = re.search(r"version (\d+)", subprocess.run(["clang", "--version"], text=True, capture_output=True,
                                                         check=True).stdout).group(1)
    return shutil.which(f"{name}-{version}") or shutil.which(name)


def build(directory):
    if not (directory / "CMakeCache.txt").exists():
        subprocess.run(["cmake", "--preset", "coverage", "-B", directory], cwd=engine.ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", directory, "--target", "fuzz_targets"], check=True, stdout=subprocess.DEVNULL)


def inputs(target, work):
    """What is replayed: the corpus of the tree and, if there is one, what a campaign made of it."""
    places = [engine.seeds(target)] + ([work / target / "corpus"] if work else [])
    return [path for place in places if place.exists() for path in sorted(place.iterdir())]


def measure(target, directory, work):
    """{file under src/: {"lines": (covered, all), "branches": (covered, all)}} of what the target aims at."""
    binary = engine.program(directory, target)
    with tempfile.TemporaryDirectory(prefix="pgtls-coverage-") as scratch:
        raw = Path(scratch) / "raw"
        raw.mkdir()
        paths = inputs(target, work)
        for i in range(0, len(paths), AT_ONCE):
            subprocess.run([binary, *paths[i:i + AT_ONCE]], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL,
                           env=engine.environment() | {"LLVM_PROFILE_FILE": str(raw / f"{i}.profraw")})
        merged = Path(scratch) / "profdata"
        subprocess.run([tool("llvm-profdata"), "merge", "-o", merged, *raw.iterdir()], check=True)
        exported = subprocess.run([tool("llvm-cov"), "export", "-summary-only", f"-instr-profile={merged}", binary],
                                  check=True, capture_output=True, text=True).stdout
    found = {}
    for file in json.loads(exported)["data"][0]["files"]:
        name = file["filename"].rpartition("/src/")[2]
        if name in AIMS[target]:
            found[name] = {kind: (file["summary"][kind]["covered"], file["summary"][kind]["count"])
                           for kind in ("lines", "branches")}
    missing = set(AIMS[target]) - set(found)
    if missing:
        raise SystemExit(f"{target} aims at files that are not in it: {', '.join(sorted(missing))}")
    return found


def percent(pair):
    covered, count = pair
    return f"{100 * covered / count:.0f} %" if count else "–"


def total(found, kind):
    return tuple(sum(file[kind][i] for file in found.values()) for i in (0, 1))


def tables(names, directory, work):
    lines = ["| target | lines | branches | files it aims at: lines, branches |", "|---|---|---|---|"]
    for name in names:
        found = measure(name, directory, work)
        files = ", ".join(f"`{file}` {percent(found[file]['lines'])} {percent(found[file]['branches'])}"
                          for file in AIMS[name])
        lines.append(f"| {name} | {percent(total(found, 'lines'))} | {percent(total(found, 'branches'))} | {files} |")
        print(lines[-1], flush=True)
    return lines


def replace(part, lines):
    """Writes a part of the page anew: from the comment that names it to the next "End"."""
    head, _, rest = PAGE.read_text().partition(f"<!-- {part} -->\n")
    PAGE.write_text(f"{head}<!-- {part} -->\n\n" + "\n".join(lines) + "\n\n<!-- End -->" + rest.partition("<!-- End -->")[2])


def report(names, directory, work, *, write):
    unaimed = set(engine.targets()) - set(AIMS)
    if unaimed:
        raise SystemExit(f"nothing says what {', '.join(sorted(unaimed))} aim at")
    build(directory)
    lines = tables(names, directory, work)
    if write:
        replace(COVERAGE, lines)
