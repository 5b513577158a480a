"""Starting programs so that they never outlive us, and never run as root when they must not."""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ProgramFailed(RuntimeError):
    """A program of ours ended, or did not become ready; carries the end of what it said."""


def wait_for(condition, seconds, what):
    """The first true value of condition(), asked again and again for at most `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def threads_at_work(pid, wanted):
    """The threads of a process that run, or would if there were a processor for them; of those with wanted(name)."""
    found = set()
    with contextlib.suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # that thread has
                name, _, fields = (task / "stat").read_text().partition("(")[2].rpartition(") ")
                if fields[0] in "RD" and wanted(name):
                    found.add(task.name)
    return found


def unprivileged_ids():
    """(uid, gid) for servers that refuse to run as root; None when we are not root anyway."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def hand_over(path):
    """Makes a file or directory tree the unprivileged user's."""
    ids = unprivileged_ids()
    if ids is None:
        return
    os.chown(path, *ids)
    if os.path.isdir(path):
        for directory, names, files in os.walk(path):
            for name in names + files:
                os.chown(os.path.join(directory, name), *ids, follow_symlinks=False)


def drop_privileges():
    """Keyword arguments for subprocess: the unprivileged user, when we are root."""
    ids = unprivileged_ids()
    return {} if ids is None else {"user": ids[0], "group": ids[1], "extra_groups": []}


def clean_environment(**more):
    """No PG* variable, no locale, no home directory of the person who runs this."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/nonexistent",
            "LC_ALL": "C", "TZ": "UTC", **more}


@contextlib.contextmanager
def temporary_directory():
    """A directory that ordinary and unprivileged user can both enter; short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="pgtls-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Port:
    """A port the kernel chose unless it is given, reserved on an address until close(): a bound socket
    that does not listen keeps others away but lets a server with SO_REUSEADDR in."""

    def __init__(self, address="127.0.0.1", number=0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, number))
        self.number = self._socket.getsockname()[1]

    def close(self):
        self._socket.close()


class Program:
    """A running program with its output in a file. Start it from the main thread only: the kernel
    ends it when the thread that started it ends."""

    def __init__(self, argv, log, *, unprivileged=False, environment=None, stop_signal=signal.SIGTERM,
                 death_signal=signal.SIGKILL, limits=(), cwd="/"):
        self.argv = [str(word) for word in argv]
        self.log_path = Path(log)
        self.stop_signal = stop_signal
        parent = os.getpid()

        def in_child():
            for limit, value in limits:
                import resource
                resource.setrlimit(limit, value)
            _libc.prctl(_PR_SET_PDEATHSIG, death_signal)
            if os.getppid() != parent:
                os._exit(1)

        with open(self.log_path, "ab") as output:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd,
                env=environment or clean_environment(), start_new_session=True,
                preexec_fn=in_child, **(drop_privileges() if unprivileged else {}))
        self.pid = self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def wait_ready(self, condition, seconds=20):
        """Waits for condition(); a program that ended, or is not ready in time, is an error that
        shows the end of its log."""
        def ready():
            if not self.running():
                raise ProgramFailed(f"{self.argv[0]} ended with status {self.process.returncode}:\n"
                                    + self.log()[-3000:])
            return condition()
        try:
            return wait_for(ready, seconds, f"{self.argv[0]} ready")
        except TimeoutError as error:
            raise ProgramFailed(f"{error}:\n" + self.log()[-3000:]) from None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=10):
        """Asks, waits, insists. Returns the exit status."""
        if self.running():
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


def accepts(address, port):
    """Does somebody listen there?"""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.settimeout(1)
        return attempt.connect_ex((address, port)) == 0
