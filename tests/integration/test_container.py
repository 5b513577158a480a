"""The container image: what packaging/container/build.sh makes of the program, twice to the same bytes; what it
holds and says that it holds; and that it starts as a container runtime would start it and watches a server.

No runtime of containers runs on every machine that tests do, so the layer is unpacked and started by what
runtimes are made of: namespaces of mounts, a read-only root, a user without a name outside."""

import hashlib
import io
import json
import os
import re
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from conftest import Trust
from lab.exporter import BINARY, Exporter, endpoint_of, one_cluster
from lab.servers import PEERS, ROOT, MissingServer

BUILD = ROOT / "packaging" / "container" / "build.sh"
MODULES = PEERS / "packaging"
DOCUMENTS = "usr/share/doc/pgtls_exporter"
# LGPL: to be replaceable, so dynamic; those that the program calls, and what they bring along.
LESSER = {"libmicrohttpd.so.12", "libgnutls.so.30", "libcrypt.so.1", "libseccomp.so.2"}
BROUGHT = {"libgmp.so.10", "libnettle.so.8", "libhogweed.so.6", "libidn2.so.0", "libunistring.so.2", "libtasn1.so.6"}
OURS = {"etc/passwd", "etc/group", "etc/nsswitch.conf", *(f"usr/share/doc/pgtls_exporter/{name}" for name in (
    "sbom.cdx.json", "THIRD-PARTY", "LICENSE"))}  # written by rootfs.py, no software
LIMIT = 25 * 1024 * 1024
LOOSE = stat.S_ISUID | stat.S_ISGID | stat.S_IWGRP | stat.S_IWOTH
EPOCH = "1767225600"


def build(directory, umask=0o022, **more):
    done = subprocess.run([BUILD, BINARY, directory], text=True, capture_output=True, check=False, timeout=240,
                          umask=umask, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH, **more})
    assert done.returncode == 0, done.stdout + done.stderr
    return Image(directory)


class Image:
    """An archive of the OCI layout with one image of one layer."""

    def __init__(self, directory):
        self.directory = directory
        (entry,) = json.loads(self.member("index.json"))["manifests"]
        self.digest = entry["digest"]
        self.manifest = json.loads(self.blob(self.digest))
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))
        (self.layer,) = self.manifest["layers"]

    def member(self, name):
        with tarfile.open(self.directory / "pgtls_exporter.oci.tar") as archive:
            return archive.extractfile(name).read()

    def blob(self, digest):
        return self.member("blobs/" + digest.replace(":", "/"))

    def unpack(self, to):
        with tarfile.open(fileobj=io.BytesIO(self.blob(self.layer["digest"])), mode="r:gz") as layer:
            members = layer.getmembers()
            layer.extractall(to)
        return members


@pytest.fixture(scope="module")
def image(scratch):
    return build(scratch / "image")


@pytest.fixture(scope="module")
def members(image, scratch):
    return image.unpack(scratch / "container")


@pytest.fixture(scope="module")
def root(members, scratch):  # pylint: disable=unused-argument
    return scratch / "container"


@pytest.fixture(scope="module")
def bill(root):
    return json.loads((root / DOCUMENTS / "sbom.cdx.json").read_text())


def libraries(root):
    return {f"/{path.relative_to(root)}": path for path in (root / "usr").rglob("*.so*")
            if path.is_file() and not path.is_symlink()}


def test_built_again_it_is_the_same(image, scratch):
    """Also by somebody else, elsewhere in the world."""
    again = build(scratch / "image-again", umask=0o077, TZ="Asia/Kathmandu", LC_ALL="C", LANG="C")
    assert again.digest == image.digest


def test_it_is_small_and_says_how_it_runs(image):
    assert image.layer["mediaType"].endswith("tar+gzip") and image.layer["size"] < LIMIT
    config = image.config["config"]
    assert config["User"] == "65532:65532" and config["Entrypoint"] == ["/usr/bin/pgtls_exporter"]
    assert config["Cmd"] == ["--config.file=/etc/pgtls/pgtls.yml", "--web.listen-address=:10432"]
    version = re.search(r"version (\S+)", subprocess.run([BINARY, "--version"], text=True, capture_output=True,
                                                         check=True).stdout)[1].rstrip(",")
    assert config["Labels"]["org.opencontainers.image.version"] == version


def test_it_holds_the_program_and_nothing_to_attack_with(members, root):
    assert [path.name for path in (root / "usr" / "bin").iterdir()] == ["pgtls_exporter"]
    allowed = set(libraries(root)) | {"/usr/bin/pgtls_exporter"}
    for member in members:
        assert (member.uid, member.gid) == (0, 0), member.name
        assert member.isfile() or member.isdir() or member.issym(), member.name
        assert member.issym() or not member.mode & LOOSE, member.name
        if member.isfile() and member.mode & 0o111:
            assert f"/{member.name}" in allowed, member.name
    assert not list((root / "etc/pgtls").iterdir())


def test_lesser_licences_are_linked_dynamically(root):
    linked = subprocess.run(["objdump", "-p", root / "usr/bin/pgtls_exporter"], text=True, capture_output=True,
                            check=True).stdout
    assert LESSER <= set(re.findall(r"NEEDED +(\S+)", linked))
    assert LESSER | BROUGHT <= {path.name for path in libraries(root).values()}
    wanted = subprocess.run(["objdump", "-T", root / "usr/bin/pgtls_exporter"], text=True, capture_output=True,
                            check=True).stdout
    assert {"MHD_start_daemon", "gnutls_priority_set", "crypt_r", "seccomp_init"} <= set(
        re.findall(r"\*UND\*.* (\w+)$", wanted, re.MULTILINE)), "taken from there"


def test_authorities_are_those_of_the_package(root):
    """And none that whoever built the image has added to the machine."""
    held = (root / "etc/ssl/certs/ca-certificates.crt").read_text()
    files = subprocess.run(["dpkg-query", "-L", "ca-certificates"], text=True, capture_output=True, check=True).stdout
    wanted = [name for name in files.split() if name.startswith("/usr/share/ca-certificates/") and name.endswith(".crt")]
    assert wanted and held.count("BEGIN CERTIFICATE") == len(wanted)
    assert (root / "usr/lib/ssl/cert.pem").is_symlink()


# The inventory and the notices

VALIDATE = """
import {readFileSync} from "node:fs";
import {Spec, Validation} from "@cyclonedx/cyclonedx-library";
const found = await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(readFileSync(0, "utf8"));
console.log(JSON.stringify(found));
"""


def complaints(document):
    """What CycloneDX' own validator says against it; None if nothing."""
    if not (MODULES / "node_modules").is_dir():
        raise MissingServer(f"{MODULES} is missing; tests/run.sh fetches it")
    done = subprocess.run(["node", "--input-type=module", "-e", VALIDATE], cwd=MODULES, text=True, check=False,
                          input=json.dumps(document), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_inventory_is_valid(bill, image, root):
    assert complaints(bill) is None
    assert (image.directory / "sbom.cdx.json").read_text() == (root / DOCUMENTS / "sbom.cdx.json").read_text()


@pytest.mark.parametrize("wrong", [lambda bill: bill["components"][0].pop("type"),
                                   lambda bill: bill.update(component=[]),
                                   lambda bill: bill["metadata"].update(timestamp=0)])
def test_an_inventory_that_is_wrong_is_found(bill, wrong):
    other = json.loads(json.dumps(bill))
    wrong(other)
    assert complaints(other)


def test_the_inventory_and_the_notices_have_all_that_is_there(bill, root):
    notices = (root / DOCUMENTS / "THIRD-PARTY").read_text()
    listed = {}
    for package in bill["components"]:
        installed = subprocess.run(["dpkg-query", "-W", "-f=${Version}\\n", package["name"]], text=True,
                                   capture_output=True, check=True).stdout.split()
        assert package["version"] in installed
        assert f"\n{package['name']} {package['version']} (source package " in notices
        for file in package["components"]:
            listed[file["name"]] = file["hashes"][0]["content"]
    assert listed.keys() == libraries(root).keys() | {"/etc/ssl/certs/ca-certificates.crt"}
    program = bill["metadata"]["component"]
    listed["/usr/bin/pgtls_exporter"] = program["hashes"][0]["content"]
    for name, digest in listed.items():
        assert hashlib.sha256((root / name[1:]).read_bytes()).hexdigest() == digest, name
    held = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
    assert held - {name[1:] for name in listed} == OURS
    assert bill["dependencies"] == [{"ref": program["bom-ref"],
                                     "dependsOn": [package["bom-ref"] for package in bill["components"]]}]
    # Debian names the common licences by where it has them; here their text has to be.
    sections = notices.split(f"\n{'=' * 78}\n")
    named = set(re.findall(r"/usr/share/common-licenses/([\w.+-]*\w)", "".join(sections)))
    texts = {Path(section.partition("\n")[0]).name: section for section in sections[1:]
             if section.startswith("/usr/share/common-licenses/")}
    assert named <= texts.keys() and {"LGPL-2.1", "LGPL-3", "GPL-2", "GPL-3"} <= texts.keys()
    assert "GNU LESSER GENERAL PUBLIC LICENSE\n                       Version 2.1, February 1999" in texts["LGPL-2.1"]
    assert all(len(text) > 2000 for name, text in texts.items() if name != "BSD"), "whole"
    assert (root / DOCUMENTS / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


# As a runtime would start it

RUNTIME = """#!/bin/sh
exec unshare --mount sh -ec '
mount --bind {root} {root}
mount --bind -o ro {volume} {root}/etc/pgtls
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
mount -o remount,bind,ro {root}
if touch {root}/usr/written 2>/dev/null; then exit 1; fi
exec chroot --userspec=65532:65532 {root} {entrypoint} "$@"' sh "$@"
"""


@pytest.fixture
def container(image, root, tmp_path):
    """A program that is a container of the image, and the directory that is mounted at /etc/pgtls."""
    volume = tmp_path / "volume"
    volume.mkdir()
    program = tmp_path / "container"
    program.write_text(RUNTIME.format(root=root, volume=volume, entrypoint=image.config["config"]["Entrypoint"][0]))
    program.chmod(0o755)
    return program, volume


def test_it_starts_without_privilege_and_watches(lab, trust: Trust, container, image, tmp_path):
    program, volume = container
    server = lab.postgres()
    (volume / "ca.crt").write_bytes(trust.root.certificate_pem)
    (volume / "pgtls.yml").write_text(json.dumps(one_cluster({
        "trusted": endpoint_of(server, sslrootcert="/etc/pgtls/ca.crt"),
        "public": endpoint_of(server, sslrootcert="system")},
        defaults={"sslmode": "verify-full", "user": "u_trust", "dbname": "app"})))
    with Exporter(tmp_path / "run", binary=program, arguments=image.config["config"]["Cmd"][:1]) as daemon:
        metrics = daemon.settled()
        assert metrics.value("pgtls_up", pg_endpoint="trusted") == 1
        # The authorities of the image were read: with none, "system" would be no configuration.
        assert daemon.server_health("lab", "public")["fault"] == "server_cert_untrusted"
        with open(f"/proc/{daemon.pid}/status", encoding="ascii") as status:
            facts = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
        assert facts["Uid"].split() == ["65532"] * 4 and facts["Gid"].split() == ["65532"] * 4
        assert int(facts["CapEff"], 16) == 0 and facts["NoNewPrivs"] == "1"
        assert daemon.stop() == 0
