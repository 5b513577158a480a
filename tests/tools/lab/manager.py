"""A service manager's side: the socket that a service tells how it is, and threads that stand still."""

import contextlib
import ctypes
import os
import socket
import time
from pathlib import Path

from .process import wait_for

_PTRACE_DETACH = 17
_PTRACE_SEIZE = 0x4206
_PTRACE_INTERRUPT = 0x4207
_ALL = 0x40000000  # __WALL: threads, too
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class Manager:
    """Listens where $NOTIFY_SOCKET says; `name` is a path, or @name for an abstract socket."""

    def __init__(self, name):
        self.name = str(name)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.name[1:] if self.name.startswith("@") else self.name)
        self.heard = []  # messages, each a mapping of what it assigns

    def environment(self, watchdog=None, **more):
        """What a service is started with; `watchdog` in seconds."""
        found = {"NOTIFY_SOCKET": self.name, **more}
        if watchdog:
            found["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
        return found

    def listen(self, seconds):
        """The next message, or None."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            text = self._socket.recv(65536).decode()
        except (TimeoutError, BlockingIOError):
            return None
        message = dict(line.split("=", 1) for line in text.splitlines())
        self.heard.append(message)
        return message

    def until(self, key, seconds=20):
        """The next message that assigns this."""
        deadline = time.monotonic() + seconds
        while True:
            message = self.listen(deadline - time.monotonic())
            if message and key in message:
                return message
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {key} within {seconds} s, but {self.heard[-20:]}")

    def drain(self):
        """Forgets what has been said so far."""
        while self.listen(0):
            pass

    def silent(self, key, seconds):
        """Was nothing heard that assigns this, for so long?"""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self.listen(deadline - time.monotonic())
            if message and key in message:
                return False
        return True

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def threads(pid, name):
    """The threads of a process that call themselves so."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            found.append(int(task.name))
    return sorted(found)


def _trace(request, thread):
    if _libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request:#x})")


@contextlib.contextmanager
def stopped(thread):
    """A single thread that stands still while the others go on, which a signal cannot do. Root only."""
    _trace(_PTRACE_SEIZE, thread)
    try:
        _trace(_PTRACE_INTERRUPT, thread)
        wait_for(lambda: os.waitpid(thread, _ALL | os.WNOHANG)[0] == thread, 10, f"thread {thread} stopped")
        yield
    finally:
        _trace(_PTRACE_DETACH, thread)
