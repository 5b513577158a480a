"""The references are printed from the tables in the code, and are what is in docs/."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from lab.exporter import BINARY
from lab.servers import ROOT

DOCS = Path(os.environ.get("PGTLS_DOCS", BINARY.parent / "pgtls_docs"))


@pytest.mark.parametrize("name, file", [
    ("configuration", "configuration.md"), ("connection-strings", "connection-strings.md"), ("metrics", "metrics.md"),
    ("faults", "faults.md"), ("names", "api-names.txt")])
def test_the_reference_is_what_the_code_says(name, file):
    printed = subprocess.run([DOCS, name], capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / file).read_text() == printed, f"print it again: {DOCS.name} {name} > docs/{file}"


def test_the_readme_names_the_packages_of_the_build():
    lines = (line.split() for line in (ROOT / "packaging" / "packages.txt").read_text().splitlines()
             if not line.startswith("#"))
    wanted = {package for package, *purposes in lines if "build" in purposes}
    named = re.search(r"apt-get install ((?:.*\\\n)*.*)", (ROOT / "README.md").read_text())[1]
    assert set(named.replace("\\\n", " ").split()) == wanted


def test_every_flag_is_documented():
    said = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
    flags = set(re.findall(r"^  (--[a-z.-]+)", said, re.MULTILINE))
    documented = set(re.findall(r"^\| `(--[a-z.-]+)`", (ROOT / "docs" / "flags.md").read_text(), re.MULTILINE))
    assert flags and documented == flags


def test_every_metric_that_is_exposed_is_documented(lab, trust, exporter):
    from lab.exporter import endpoint_of, one_cluster
    daemon = exporter(one_cluster({"write": endpoint_of(
        lab.postgres(), user="u_trust", dbname="app", sslrootcert=str(trust.root_file))}))
    daemon.settled()
    reference = (ROOT / "docs" / "metrics.md").read_text()
    families = {line.split()[2] for line in daemon.get("/metrics").text.splitlines()
                if line.startswith("# TYPE ")}
    assert [name for name in families if f"`{name}`" not in reference] == []
