"""A machine of its own: a Debian 12 whose process 1 is its systemd, in namespaces of this kernel. It has its own
processes, network, mounts and cgroups, and changes nothing outside. Needs root.

What it starts from is made once, by mmdebstrap, and kept beside the other servers of the tests."""

import contextlib
import ctypes
import fcntl
import hashlib
import http.client
import os
import signal
import subprocess
from pathlib import Path

from .process import Program, clean_environment, wait_for
from .servers import PEERS, ROOT

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

# PostgreSQL is a service like ours there. What would run by the clock, wait for a terminal, or show more of the
# kernel is switched off.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "apt", "ca-certificates", "postgresql-15")
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service", "getty@.service", "getty.target",
          "systemd-firstboot.service", "systemd-ask-password-wall.path", "sys-kernel-debug.mount",
          "sys-kernel-tracing.mount", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount",
          "proc-sys-fs-binfmt_misc.automount", "dev-hugepages.mount")
_FILES = {"etc/machine-id": "0123456789abcdef0123456789abcdef\n",  # else it would be a first boot, with presets
          "etc/hostname": "machine\n", "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n", "etc/resolv.conf": "",
          "etc/fstab": ""}


def run(*argv, **more):
    """Its standard output; anything but success is an error that shows what was said."""
    done = subprocess.run([str(word) for word in argv], text=True, capture_output=True, check=False, **more)
    if done.returncode:
        raise RuntimeError(f"{argv}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def debian_with(packages):
    """The root of a Debian 12 with these packages beside PACKAGES: made at most once, not to be changed."""
    wanted = sorted({*PACKAGES, *packages})
    key = hashlib.sha256(repr((wanted, MASKED, _FILES)).encode()).hexdigest()[:16]
    root = PEERS / f"debian-{key}"
    PEERS.mkdir(parents=True, exist_ok=True)
    with open(PEERS / "debian.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            new = PEERS / "debian.new"
            run("rm", "-rf", "--one-file-system", new)
            run("mmdebstrap", "--quiet", "--variant=essential", "--include=" + ",".join(wanted),
                "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/locale/*", "bookworm", new, timeout=500)
            for name, text in _FILES.items():
                (new / name).unlink(missing_ok=True)
                (new / name).write_text(text, encoding="ascii")
            for unit in (*MASKED, "postgresql.service"):
                link = new / "etc/systemd/system" / unit
                link.unlink(missing_ok=True)
                link.symlink_to("/dev/null")
            new.rename(root)
    return root


def _own_cgroup():
    """A new cgroup (version 2) below our own: the machine's systemd makes its own below it."""
    mounted = [line.split() for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    (where,) = [words[4] for words in mounted if words[words.index("-") + 1] == "cgroup2"][:1]
    (inside,) = [line[3:] for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
                 if line.startswith("0::")]
    path = Path(where + inside.rstrip("/"), f"pgtls-machine-{os.getpid()}")
    path.mkdir(exist_ok=True)
    return path


def _remove_cgroup(path):
    for directory, _, _ in os.walk(path, topdown=False):
        Path(directory).rmdir()


class Machine:
    """Booted when it is made; `directory` takes what it changes, and keeps it for the next boot."""

    def __init__(self, base, directory):
        self.base, self.directory = base, Path(directory)
        for name in ("changes", "overlay", "root"):
            (self.directory / name).mkdir(parents=True)
        self.boot()

    def boot(self):
        """Returns when everything that starts by itself has started."""
        self.program = self.pid = None
        self.cgroup = _own_cgroup()
        try:
            self._boot()
        except BaseException:
            self.stop()
            raise

    def _boot(self):
        pid = self.directory / "pid"
        pid.write_text("")
        self.program = Program(
            ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.cgroup,
             "unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork", "--kill-child",
             "--propagation=private", "bash", ROOT / "tests/tools/machine.sh", self.base, self.directory],
            self.directory / "console", cwd=self.directory)
        self.program.wait_ready(lambda: pid.read_text(encoding="ascii").endswith("\n"), 20)
        self.pid = int(pid.read_text(encoding="ascii"))
        self.program.wait_ready(lambda: self.path("/run/systemd/private").exists(), 30)
        self.program.wait_ready(self._is_up, 60)

    def _is_up(self):
        return self.tries("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def _enter(self, *more):
        return ["nsenter", f"--target={self.pid}", *more, "--"]

    def tries(self, *argv, **more):
        """Runs a program there; what came of it, success or not."""
        enter = self._enter("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wdns=/")
        return subprocess.run([*enter, *(str(word) for word in argv)], text=True, capture_output=True, check=False,
                              env=clean_environment(DEBIAN_FRONTEND="noninteractive"), timeout=60, **more)

    def run(self, *argv, **more):
        """Its standard output; anything but success is an error that shows what was said."""
        done = self.tries(*argv, **more)
        assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}\n" \
                                     f"{self.journal_text()[-3000:]}"
        return done.stdout

    def journal_text(self, *arguments):
        return self.tries("journalctl", "--no-pager", "-b", *arguments).stdout

    def path(self, inside):
        """A path of the machine, for the outside."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def write(self, inside, content, mode=0o644, owner=None):
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        if owner:
            self.run("chown", owner, inside)

    @contextlib.contextmanager
    def network(self):
        """Sockets that are made in here belong to the machine's network; only this thread is there."""
        with open("/proc/thread-self/ns/net", "rb") as ours, open(f"/proc/{self.pid}/ns/net", "rb") as its:
            _setns(its)
            try:
                yield
            finally:
                _setns(ours)

    def http(self, path="/metrics", port=10432, method="GET", tls=None, headers=None, timeout=10):
        """(status, body) of a request to the machine's loopback."""
        connection = (http.client.HTTPSConnection("localhost", port, timeout=timeout, context=tls) if tls
                      else http.client.HTTPConnection("localhost", port, timeout=timeout))
        try:
            with self.network():
                connection.connect()
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def stop(self):
        """In good order, as by poweroff; whatever is left then is gone with process 1."""
        if self.pid and self.program.running():
            os.kill(self.pid, signal.SIGRTMIN + 4)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.program.process.wait(30)
        if self.program:
            self.program.stop(1)
        wait_for(lambda: not (self.cgroup / "cgroup.procs").read_text(encoding="ascii"), 10, "its processes to end")
        _remove_cgroup(self.cgroup)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _setns(namespace):
    if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
