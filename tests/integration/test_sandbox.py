"""The exporter gives up what it does not need, and goes on working. What a taken-over process can still do
is tried by tests/unit/test_sandbox.c, which enters the same sandbox and then tries everything."""

import ctypes
import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab.exporter import BINARY, endpoint_of, one_cluster
from lab.process import wait_for
from lab.servers import ROOT

PARTS = ["capabilities", "no_new_privs", "landlock", "seccomp"]


def parts_of(metrics):
    return {labels["part"]: value for labels, value in metrics.all("pgtls_sandbox_active")}


def status_of(pid):
    """What the kernel says of every thread."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield dict(re.findall(r"^(\w+):\s*(.*)$", (task / "status").read_text(), re.MULTILINE))


def where(condition):
    """For a test that means something only there. Elsewhere it is none: what was skipped has not passed."""
    return (lambda test: test) if condition else (lambda test: None)


def landlock_version():
    return ctypes.CDLL(None).syscall(444, None, 0, 1)  # landlock_create_ruleset(…, VERSION)


with_all_parts = where(landlock_version() >= 1 and Path("/proc/sys/kernel/seccomp/actions_avail").exists())
without_sanitizer = where(not os.environ.get("PGTLS_SANITIZE"))


@pytest.fixture
def server(lab):
    return lab.postgres()


def with_secret(server, trust, secret, **more):
    return endpoint_of(server, user="u_scram", dbname="app", sslrootcert=str(trust.root_file),
                       password_file=str(secret), **more)


@with_all_parts
def test_every_thread_gives_it_up(trust, exporter, server):
    """Also those of libraries: HTTP, and the pool in which long logins are computed."""
    daemon = exporter(one_cluster({"write": endpoint_of(server, user="u_trust", dbname="app",
                                                        sslrootcert=str(trust.root_file))}), workers=3)
    metrics = daemon.until(lambda m: m.value("pgtls_up") == 1)
    threads = list(status_of(daemon.pid))
    assert len(threads) >= 3 + 1 + 2
    for thread in threads:
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            if kind != "CapBnd" or os.getuid() == 0:  # who has none cannot take one from there
                assert int(thread[kind], 16) == 0, (thread["Name"], kind)
        assert thread["NoNewPrivs"] == "1" and thread["Seccomp"] == "2", thread["Name"]
    assert parts_of(metrics) == dict.fromkeys(PARTS, 1)
    assert metrics.value("pgtls_sandbox_refused_calls_total") == 0
    assert daemon.told("msg=Sandboxed parts=capabilities,no_new_privs,landlock,seccomp")


@without_sanitizer  # whose report may be one
def test_no_core_image(exporter, server, trust):
    daemon = exporter(one_cluster({"write": endpoint_of(server, sslrootcert=str(trust.root_file))}))
    assert re.search(r"Max core file size +0 +0 ", Path(f"/proc/{daemon.pid}/limits").read_text())


@with_all_parts
def test_new_names_below_what_is_known(trust, exporter, server, tmp_path):
    """A reload, or discovery, brings clusters whose secrets lie beside those of the others."""
    secrets = tmp_path / "secrets"
    (secrets / "one").mkdir(parents=True)
    (secrets / "one" / "password").write_text("app-scram")
    configuration = {"defaults": {"interval": "200ms", "login": {"interval": "1s"}, "timeout": "15s"},
                     "templates": {"t": {"endpoints": {"write": with_secret(
                         server, trust, f"{secrets}/{{cluster}}/password")}}},
                     "clusters": [{"name": "one", "template": "t"}]}
    daemon = exporter(configuration)
    daemon.until(lambda m: m.value("pgtls_probes_total", 0, pg_cluster="one", probe="login") >= 1)
    (secrets / "two").mkdir()
    (secrets / "two" / "password").write_text("app-scram")
    configuration["clusters"].append({"name": "two", "template": "t"})
    daemon.write(configuration)
    assert daemon.request("POST", "/-/reload").status == 200
    metrics = daemon.until(lambda m: m.value("pgtls_probes_total", 0, pg_cluster="two", probe="login") >= 1)
    assert not metrics.sum("pgtls_probe_internal_errors_total")


@with_all_parts
def test_new_names_elsewhere(trust, exporter, server, tmp_path):
    """They stay unknown, with the reason and the remedy, until a restart; everything else goes on."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "password").write_text("app-scram")
    (elsewhere / "root.crt").write_bytes(trust.root_file.read_bytes())
    near = tmp_path / "near"
    near.mkdir()
    (near / "password").write_text("app-scram")
    endpoints = {"known": with_secret(server, trust, near / "password")}
    configuration = one_cluster(endpoints)
    daemon = exporter(configuration)
    daemon.until(lambda m: m.value("pgtls_probes_total", 0, probe="login") >= 1)
    endpoints["secret"] = with_secret(server, trust, elsewhere / "password")
    endpoints["root"] = endpoint_of(server, sslrootcert=str(elsewhere / "root.crt"))
    daemon.write(configuration)
    assert daemon.request("POST", "/-/reload").status == 200
    metrics = daemon.until(lambda m: all(m.sum("pgtls_probe_internal_errors_total", pg_endpoint=name)
                                         for name in ("secret", "root")))
    assert metrics.value("pgtls_up", pg_endpoint="secret") is None
    for name in ("secret", "root"):
        error = daemon.server_health("lab", name)["error"]
        assert str(elsewhere) in error and "sandbox" in error and "restart" in error
    (hidden,) = daemon.told("restart it to read there")
    assert "paths=2" in hidden and str(elsewhere) in hidden
    before = metrics.value("pgtls_probes_total", pg_endpoint="known", probe="login")
    daemon.until(lambda m: m.value("pgtls_probes_total", pg_endpoint="known", probe="login") > before)
    again = exporter(configuration)  # a restart
    again.until(lambda m: all(m.value("pgtls_probes_total", 0, pg_endpoint=name, probe="inspect") >= 1
                              for name in endpoints))
    assert not again.scrape().sum("pgtls_probe_internal_errors_total")


@with_all_parts
def test_directories_that_are_swapped(trust, exporter, server, tmp_path):
    """`current` goes from releases/1 to releases/2, as deployments do, with the configuration's CA in it."""
    for release in ("1", "2"):
        (tmp_path / "releases" / release).mkdir(parents=True)
        (tmp_path / "releases" / release / "root.crt").write_bytes(
            (trust.root_file if release == "2" else trust.other_file).read_bytes())
    link = tmp_path / "app" / "current"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "releases" / "1")
    daemon = exporter(one_cluster({"write": endpoint_of(server, sslrootcert=str(link / "root.crt"))}))
    daemon.until(lambda m: m.value("pgtls_up") == 0)
    new = link.parent / "new"
    new.symlink_to(tmp_path / "releases" / "2")
    new.rename(link)
    daemon.until(lambda m: m.value("pgtls_up") == 1)


def test_the_socket_file_is_removed(trust, exporter, server, tmp_path):
    path = tmp_path / "http.sock"
    daemon = exporter(one_cluster({"write": endpoint_of(server, sslrootcert=str(trust.root_file))}),
                      listen=(f"unix:{path}",))
    assert path.is_socket()
    assert daemon.stop() == 0
    assert not path.exists()


def test_without_it(trust, exporter, server):
    daemon = exporter(one_cluster({"write": endpoint_of(server, sslrootcert=str(trust.root_file))}),
                      arguments=["--no-sandbox"])
    assert parts_of(daemon.scrape()) == dict.fromkeys(PARTS, 0)
    assert daemon.told('msg="Not sandboxed" flag=--no-sandbox')
    assert {thread["Seccomp"] for thread in status_of(daemon.pid)} == {next(status_of("self"))["Seccomp"]}


@pytest.mark.parametrize("call,missing", [("landlock_create_ruleset", "landlock"), ("seccomp", "seccomp")])
def test_a_kernel_without_a_part(trust, exporter, server, tmp_path, call, missing):
    """Old kernels, and containers whose own filter refuses the calls: one line, a metric, and it works."""
    wrapper = tmp_path / "wrapper"
    tool = ROOT / "tests" / "tools" / "failing_call.py"
    daemon = exporter(one_cluster({"write": endpoint_of(server, sslrootcert=str(trust.root_file))}),
                      binary=wrapped(wrapper, tool, call))
    metrics = daemon.until(lambda m: m.value("pgtls_up") == 1)
    parts = parts_of(metrics)
    assert parts[missing] == 0 and parts["capabilities"] == parts["no_new_privs"] == 1
    (line,) = daemon.told("Sandboxed in part")
    assert re.search(rf'missing="?[\w,]*{missing}', line)


def wrapped(path, tool, call):
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {tool} {call} ENOSYS {BINARY} "$@"\n')
    path.chmod(0o755)
    return path


ATTACK = r"""
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void attack(int number)
{
    char shell[] = "/bin/sh", how[] = "-c", what[] = "touch %s";
    char *argv[] = {shell, how, what, NULL};
    int program = execve(shell, argv, argv + 3) < 0 ? errno : 0;
    int file = open("/var/lib/dpkg/status", O_RDONLY) < 0 ? errno : 0;
    int process = fork() < 0 ? errno : 0;

    (void)number;
    dprintf(2, "attack=%%d,%%d,%%d\n", program, file, process);
}

__attribute__((constructor)) static void begin(void)
{
    signal(SIGUSR2, attack);
}
"""


@without_sanitizer  # which wants to be the first library, and needs some of these calls
@with_all_parts
def test_somebody_in_the_process(exporter, server, trust, tmp_path):
    """Code that is none of ours runs in it, as after a hole in a parser: no program, no process, no file. It is
    counted, named once, and the monitoring goes on."""
    mark, source, library = tmp_path / "mark", tmp_path / "attack.c", tmp_path / "attack.so"
    source.write_text(ATTACK % mark)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    configuration = one_cluster({"write": endpoint_of(server, sslrootcert=str(trust.root_file))})
    free = exporter(configuration, environment={"LD_PRELOAD": str(library)}, arguments=["--no-sandbox"])
    free.program.signal(signal.SIGUSR2)
    wait_for(mark.exists, 10, "the attack to work where there is no sandbox")
    mark.unlink()
    daemon = exporter(configuration, environment={"LD_PRELOAD": str(library)})
    daemon.may_be_refused = True
    for round_ in (1, 2):
        daemon.program.signal(signal.SIGUSR2)
        wait_for(lambda: daemon.log().count("attack=") == round_, 10, "the attack")  # noqa: B023
    metrics = daemon.until(lambda m: m.value("pgtls_sandbox_refused_calls_total") == 4)
    assert daemon.log().count(f"attack={errno.EPERM},{errno.EACCES},{errno.EPERM}\n") == 2
    assert not mark.exists()
    told = re.findall(r'msg="The sandbox has refused a system call" call=(\w+)', daemon.log())
    assert sorted(told) == ["clone", "execve"]
    before = metrics.value("pgtls_probes_total", probe="inspect")
    daemon.until(lambda m: m.value("pgtls_probes_total", probe="inspect") > before)
    assert daemon.stop() == 0
