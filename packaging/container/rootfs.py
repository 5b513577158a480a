#!/usr/bin/python3
"""Makes the root file system of the container image: the program, the shared libraries it needs and nothing
beside them, the certificate authorities of Debian, notices, and an inventory of it all (CycloneDX).

    rootfs.py PROGRAM DIRECTORY

Runs on Debian, whose packages the libraries are taken from: dpkg knows what each file belongs to. The same
program and the same packages make the same files, byte for byte; SOURCE_DATE_EPOCH is their time.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
USER = 65532  # what distroless images and the manifests of docs/examples call nonroot
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
AUTHORITIES = Path("/usr/share/ca-certificates/mozilla")  # not /etc/ssl/certs: that may hold the builder's own
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
PROGRAM = "usr/bin/pgtls_exporter"
DOCUMENTS = "usr/share/doc/pgtls_exporter"
# pthread_exit() loads it by name, so that no ldd tells.
LOADED_BY_NAME = ("libgcc_s.so.1",)
TEXTS = {
    "etc/passwd": f"root:x:0:0:root:/root:/sbin/nologin\npgtls:x:{USER}:{USER}:pgtls_exporter:/:/sbin/nologin\n",
    "etc/group": f"root:x:0:\npgtls:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
# Where programs look for libraries, and OpenSSL for authorities.
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "usr/lib/ssl/certs": "/etc/ssl/certs",
         "usr/lib/ssl/cert.pem": f"/{BUNDLE}"}
EMPTY = ("etc/pgtls", "run/secrets", "proc", "sys", "dev")  # to be mounted upon, the root being read-only


def output(*argv):
    return subprocess.run([str(word) for word in argv], text=True, capture_output=True, check=True).stdout


def libraries(program):
    """The closure of what the program is linked with, and its loader: where each is to be found by."""
    said = output("ldd", program)
    missing = re.findall(r"(\S+) => not found", said)
    if missing:
        sys.exit(f"rootfs.py: {program} needs {', '.join(missing)}, which is not installed")
    found = {Path(path) for path in re.findall(r"(/\S+) \(0x", said)}
    directory = next(path.parent for path in found if path.name == "libc.so.6")
    return sorted(found | {directory / name for name in LOADED_BY_NAME})


def package_of(path):
    """Whose a file is. dpkg knows it by the name it was unpacked as, before /lib became a link."""
    for name in (path, path.resolve(), *(Path("/", *one.parts[2:]) for one in (path, path.resolve()))):
        found = subprocess.run(["dpkg-query", "-S", name], text=True, capture_output=True, check=False).stdout
        if found:
            return found.rpartition(": ")[0].split(",")[0]
    sys.exit(f"rootfs.py: {path} is in no Debian package: nobody could tell its licence")


def described(package):
    fields = ("Package", "Version", "Architecture", "source:Package", "source:Version", "Homepage", "Maintainer")
    said = output("dpkg-query", "-W", "-f=" + "\\n".join(f"${{{field}}}" for field in fields), package)
    return dict(zip(fields, said.split("\n")))


def copyright_of(package):
    return Path("/usr/share/doc", package["Package"], "copyright").read_text(encoding="utf-8", errors="replace")


def licences(package):
    """Their short names, if the package tells them so that a machine understands."""
    names = re.findall(r"^License: *(\S.*)$", copyright_of(package), re.MULTILINE)
    return sorted({name.strip() for name in names})


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def copy_library(root, path):
    """By its real content below the name it is looked for by. Returns that name."""
    name = re.sub(r"^/(usr/)?", "usr/", str(path))
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, root / name)
    (root / name).chmod(0o755)
    return name


def hashes(path):
    return [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}]


def described_file(root, name):
    return {"type": "file", "bom-ref": f"file:/{name}", "name": f"/{name}", "hashes": hashes(root / name)}


def authorities():
    files = sorted(AUTHORITIES.glob("*.crt"))
    if not files:
        sys.exit(f"rootfs.py: {AUTHORITIES} holds no certificate; is the package ca-certificates installed?")
    return "".join(path.read_text(encoding="ascii").rstrip("\n") + "\n" for path in files)


def place(root, program):
    """Puts everything where it belongs. Returns the files of each Debian package."""
    for name in ("usr/bin", "usr/lib", "usr/lib64", *EMPTY):
        (root / name).mkdir(parents=True, exist_ok=True)
    owned = {}
    for path in libraries(program):
        owned.setdefault(package_of(path), []).append(described_file(root, copy_library(root, path)))
    write(root, BUNDLE, authorities())
    owned["ca-certificates"] = [described_file(root, BUNDLE)]
    for name, text in TEXTS.items():
        write(root, name, text)
    for name, target in LINKS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    output("strip", "--strip-unneeded", "-o", root / PROGRAM, program)
    (root / PROGRAM).chmod(0o755)
    return owned


def notices(packages):
    """What the licences of the libraries want told: who wrote them, under which terms, where the source is."""
    parts = ["This image holds the program pgtls_exporter (its licence is beside this file) and, unchanged from\n"
             "Debian, dynamically linked, parts of the packages below. Their source is that of the Debian source\n"
             "package named, at https://snapshot.debian.org/.\n"]
    common = set()
    for package in packages:
        text = copyright_of(package)
        common |= set(re.findall(r"/usr/share/common-licenses/([\w.+-]*\w)", text))
        parts.append(f"{package['Package']} {package['Version']} (source package {package['source:Package']} "
                     f"{package['source:Version']})\n\n{text}")
    for name in sorted(common):
        path = Path("/usr/share/common-licenses", name)
        if path.exists():
            parts.append(f"{path}\n\n{path.read_text(encoding='utf-8')}")
    return f"\n{'=' * 78}\n".join(parts)


def component(package, files):
    found = {"type": "library", "bom-ref": f"{package['Package']}@{package['Version']}", "name": package["Package"],
             "version": package["Version"], "supplier": {"name": package["Maintainer"]},
             "purl": f"pkg:deb/debian/{quote(package['Package'])}@{quote(package['Version'])}"
                     f"?arch={package['Architecture']}&distro=debian-{debian()}",
             "properties": [{"name": "debian:source", "value": package["source:Package"]},
                            {"name": "debian:source:version", "value": package["source:Version"]}],
             "components": sorted(files, key=lambda one: one["name"])}
    if licences(package):
        found["licenses"] = [{"license": {"name": name}} for name in licences(package)]
    return found


def debian():
    return re.search(r'^VERSION_ID="?(\w+)', Path("/etc/os-release").read_text(encoding="utf-8"), re.MULTILINE)[1]


def inventory(binary, packages, owned):
    """The image as a CycloneDX 1.6 document."""
    version = re.search(r"version ([^\s,]+)", output(binary, "--version"))[1]
    program = {"type": "application", "bom-ref": f"pgtls_exporter@{version}", "name": "pgtls_exporter",
               "version": version, "licenses": [{"license": {"id": "Apache-2.0"}}],
               "hashes": hashes(binary)}
    components = [component(package, owned[package["binary"]]) for package in packages]
    text = json.dumps(components, sort_keys=True) + json.dumps(program, sort_keys=True)
    return {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX",
            "specVersion": "1.6", "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}", "version": 1,
            "metadata": {"timestamp": datetime.fromtimestamp(EPOCH, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                         "component": program},
            "components": components,
            "dependencies": [{"ref": program["bom-ref"], "dependsOn": [one["bom-ref"] for one in components]}]}


def main(program, directory):
    root = Path(directory)
    root.mkdir(parents=True)
    owned = place(root, program)
    packages = [{**described(name), "binary": name} for name in sorted(owned)]
    write(root, f"{DOCUMENTS}/THIRD-PARTY", notices(packages))
    write(root, f"{DOCUMENTS}/LICENSE", (ROOT / "LICENSE").read_text(encoding="utf-8"))
    write(root, f"{DOCUMENTS}/sbom.cdx.json", json.dumps(inventory(root / PROGRAM, packages, owned), indent=1) + "\n")
    for path in (root, *root.rglob("*")):
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    os.umask(0o022)
    main(*sys.argv[1:])
