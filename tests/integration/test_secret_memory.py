"""The audit of memory: a secret in every place that may hold one (test_secret_places.py), tried in every way; then the
exporter is left in peace, and whatever it still holds is looked for in the forms that a secret may take."""

import contextlib
import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from conftest import PASSWORD
from lab.exporter import basic, endpoint_of, one_cluster
from lab.memory import found_in, found_in_memory, image_of, mappings
from lab.process import drop_privileges, wait_for
from test_secret_places import all_pages, missing, planted  # noqa: F401 (a fixture)

PEACE = {"interval": "1800s", "timeout": "1s", "login": {"interval": "1800s"}}


def scalar(path):
    """The secret number of a private key, as OpenSSL holds it: 64-bit words, the lowest first."""
    key = serialization.load_pem_private_key(Path(path).read_bytes(), None).private_numbers()
    number = key.private_value if hasattr(key, "private_value") else key.d
    return number.to_bytes((number.bit_length() + 63) // 64 * 8, "little")


@pytest.fixture
def tried(planted):  # noqa: F811
    """Everything was tried and asked for, and nothing is under way any more."""
    secrets, daemon, server, *_ = planted
    daemon.until(lambda m: not missing(m), 60, lambda m: f"all to be tried: {missing(m)}")
    for _ in all_pages(daemon, server):
        pass
    configuration = json.loads(daemon.file.read_text())
    configuration["defaults"].update(PEACE)
    for item in configuration["discovery"]:
        item["http_sd" if "http_sd" in item else "file_sd"]["refresh_interval"] = "24h"
    daemon.write(configuration)
    assert daemon.request("POST", "/-/reload", headers={"Authorization": basic(*daemon.authorization)}).status == 200
    daemon.until(lambda m: m.value("pgtls_probes_in_flight") == 0, 30)
    return secrets, daemon


def others(pid, script, **how):
    """What another process gets that runs this of the exporter's PID."""
    done = subprocess.run([sys.executable, "-c", script.format(pid=pid)], capture_output=True, text=True, timeout=30,
                          check=False, **how)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_no_memory_holds_what_was_planted(tried, trust, tmp_path):
    """Not even root finds a secret that the exporter needs again, where the kernel can hide memory; the key of a
    client certificate, which is OpenSSL's, is in memory, and in no image that is taken without having it so."""
    secrets, daemon = tried
    key = {"the client's key": scalar(trust.client_key)}
    vaults = [(name, flags) for *_, name, flags in mappings(daemon.pid) if "dd" in flags and "lo" in flags]
    assert vaults
    hidden = any("secretmem" in name for name, _ in vaults)
    wait_for(lambda: not found_in_memory(daemon.pid, secrets.by_place, vaults=not hidden), 10, lambda: "nothing: "
             f"{found_in_memory(daemon.pid, secrets.by_place, vaults=not hidden)}")
    assert found_in_memory(daemon.pid, key), "what the search finds"
    image = image_of(daemon.pid, tmp_path)  # of registers alone
    assert len(image) < 10_000_000
    assert not list(found_in({**secrets.by_place, **key}, "image", image))
    Path(f"/proc/{daemon.pid}/coredump_filter").write_text("0x33")  # as root may have it
    assert list(found_in(key, "image", image_of(daemon.pid, tmp_path))), "what the search finds"
    # Again, if need be: in a long peace, too, a login is due now and then, and its password is libpq's as long as it lasts.
    wait_for(lambda: not list(found_in(secrets.by_place, "image", image_of(daemon.pid, tmp_path))), 10,
             lambda: "no secret in an image: "
             f"{[where for where, *_ in found_in(secrets.by_place, 'image', image_of(daemon.pid, tmp_path))]}")


def test_the_secrets_are_still_good(lab, trust, exporter):
    """What no other may read the exporter reads: the login comes from the environment, the file, and a reload."""
    server = lab.postgres()
    ways = {"env": {"password_env": "SECRET_OF_ENV"}, "inline": {"password": PASSWORD}}
    daemon = exporter(one_cluster({name: endpoint_of(server, user="u_scram", dbname="app", **way)
                                   for name, way in ways.items()}, {"sslrootcert": str(trust.root_file)}),
                      environment={"SECRET_OF_ENV": PASSWORD})
    for _ in range(3):
        daemon.until(lambda m: len(m.all("pgtls_up")) == 2 and all(value == 1 for _, value in m.all("pgtls_up")))
        assert daemon.request("POST", "/-/reload").status == 200
    assert "may be written to swap" not in daemon.log()


def test_who_may_lock_little_is_told(exporter, lab):
    daemon = exporter(one_cluster({f"e{i}": endpoint_of(lab.misbehave("healthy"), user="u", password="x" * 4000)
                                   for i in range(40)}), limits=[(resource.RLIMIT_MEMLOCK, (65536, 65536))],
                      unprivileged=True)
    wait_for(lambda: "may be written to swap" in daemon.log(), 10, daemon.log)
    assert daemon.log().count("may be written to swap") == 1


def test_no_other_process_looks_in(lab, exporter):
    """Of the same user, with the rights that this gives to any other process."""
    daemon = exporter(one_cluster({"write": endpoint_of(lab.misbehave("healthy"))}), unprivileged=True)
    for name in ("mem", "environ", "maps", "smaps", "stack", "auxv"):
        told = others(daemon.pid, "print(open('/proc/{pid}/" + name + "', 'rb').read(1))", **drop_privileges())
        assert "PermissionError" in told or "ProcessLookupError" in told, (name, told)
    ptrace = ("import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
              "print(libc.ptrace(16, {pid}, None, None), ctypes.get_errno())")
    assert others(daemon.pid, ptrace, **drop_privileges()) == f"-1 {errno.EPERM}"


def test_no_image_is_left_when_it_dies(lab, exporter):
    """Though somebody has lifted the limit, who may."""
    daemon = exporter(one_cluster({"write": endpoint_of(lab.misbehave("healthy"))}))
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with contextlib.suppress(PermissionError):
        resource.prlimit(daemon.pid, resource.RLIMIT_CORE, unlimited)
    directory = Path(os.readlink(f"/proc/{daemon.pid}/cwd"))
    before = set(directory.glob("core*"))
    os.kill(daemon.pid, signal.SIGABRT)
    assert daemon.stop() == -signal.SIGABRT
    assert set(directory.glob("core*")) == before
