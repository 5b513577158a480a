"""A client and a server with a real firewall between them: three network namespaces in a row, the one
in the middle a router that filters with nftables and knows connections with the kernel's conntrack.

Nothing outside the namespaces changes, and they are gone with the last descriptor that holds them.
This takes root, nft and iproute2."""

import contextlib
import ctypes
import os
import subprocess
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

CLIENT, SERVER = "192.0.2.1", "198.51.100.1"
_LINKS = (("client", f"{CLIENT}/24", "192.0.2.254"), ("server", f"{SERVER}/24", "198.51.100.254"))


def _checked(result, what):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _run(*argv, text=None):
    done = subprocess.run(argv, input=text, text=True, capture_output=True, check=False,
                          env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


class Space:
    """A network namespace. What is done and started `with space:` is inside it; from the main thread
    only, because a thread is in a namespace and a process is not."""

    def __init__(self):
        self._outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _checked(_libc.unshare(_CLONE_NEWNET), "unshare")
        self._inside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _run("ip", "link", "set", "lo", "up")
        self.__exit__()

    @property
    def path(self):
        """For ip's argument `netns`."""
        return f"/proc/{os.getpid()}/fd/{self._inside}"

    def __enter__(self):
        _checked(_libc.setns(self._inside, _CLONE_NEWNET), "setns")
        return self

    def __exit__(self, *_):
        _checked(_libc.setns(self._outside, _CLONE_NEWNET), "setns")

    def close(self):
        os.close(self._inside)
        os.close(self._outside)


class Firewall:
    """The router, with what it joins: `client` and `server` are the namespaces at its two ends. It
    forwards everything until it is given rules."""

    def __init__(self):
        self.client, self.server, self._router = Space(), Space(), Space()
        for end, address, gateway in _LINKS:
            space = getattr(self, end)
            with self._router:
                _run("ip", "link", "add", end, "type", "veth", "peer", "name", "router", "netns", space.path)
                _run("ip", "address", "add", f"{gateway}/24", "dev", end)
                _run("ip", "link", "set", end, "up")
            with space:
                _run("ip", "address", "add", address, "dev", "router")
                _run("ip", "link", "set", "router", "up")
                _run("ip", "route", "add", "default", "via", gateway)
        self._set("net/ipv4/ip_forward", 1)

    def _set(self, name, value):
        """A setting of the router's own network."""
        with self._router:
            Path("/proc/sys", name).write_text(f"{value}\n")

    def rules(self, *rules):
        """These rules for what is forwarded, in place of all before."""
        chain = "\n".join(("type filter hook forward priority filter; policy accept;", *rules))
        with self._router:
            _run("nft", "-f", "-", text=f"flush ruleset\ntable inet lab {{ chain forward {{\n{chain}\n}}\n}}\n")

    def forgets_after(self, seconds):
        """A stateful firewall as they come: a connection that was idle for so long is forgotten, and
        what belongs to none that is known is dropped without a word."""
        self.rules("ct state invalid drop", "ct state established counter")
        self._set("net/netfilter/nf_conntrack_tcp_loose", 0)
        self._set("net/netfilter/nf_conntrack_tcp_timeout_established", seconds)

    def close(self):
        for space in (self.client, self.server, self._router):
            with contextlib.suppress(OSError):
                space.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
