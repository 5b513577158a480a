#!/usr/bin/python3
"""Runs a program with what a unit of systemd takes away from it, where there is no systemd to do it:
as_unit.py UNIT program argument…

What is known here is SystemCallFilter=, SystemCallErrorNumber=, RestrictAddressFamilies= (by a filter of
system calls, from systemd's own list of what its groups hold) and ProcSubset=, ProtectProc= (by a mount
of /proc of one's own). Needs root."""

import ctypes
import errno
import os
import socket
import subprocess
import sys

_ERRNO = 0x00050000
_ALLOW = 0x7FFF0000
_EQUAL = 4
_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_PRIVATE = 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


class _Compare(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def settings(unit):
    """Every assignment of a unit, in order."""
    with open(unit, encoding="utf-8") as lines:
        return [tuple(part.strip() for part in line.split("=", 1)) for line in lines
                if "=" in line and not line.startswith("#")]


def _expand(words):
    calls = set()
    for word in words:
        if word.startswith("@"):
            listed = subprocess.run(["systemd-analyze", "syscall-filter", word], check=True, text=True,
                                    capture_output=True).stdout.splitlines()
            calls |= _expand([line.strip() for line in listed[1:] if line.strip() and "#" not in line])
        else:
            calls.add(word)
    return calls


def allowed_calls(unit):
    calls = set()
    for name, value in settings(unit):
        if name == "SystemCallFilter" and value.startswith("~"):
            calls -= _expand(value[1:].split())
        elif name == "SystemCallFilter":
            calls |= _expand(value.split())
    return calls


def _check(result):
    if result != 0:
        raise OSError(ctypes.get_errno() or -result, os.strerror(ctypes.get_errno() or -result))


def filter_calls(unit):
    wanted = dict(settings(unit))
    families = [getattr(socket, name) for name in wanted["RestrictAddressFamilies"].split()]
    error = getattr(errno, wanted["SystemCallErrorNumber"])
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ERRNO | error)))
    for call in sorted(allowed_calls(unit) - {"socket"}):
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            _check(library.seccomp_rule_add(context, ctypes.c_uint32(_ALLOW), number, 0))
    number = library.seccomp_syscall_resolve_name(b"socket")
    for family in families:
        is_it = _Compare(0, _EQUAL, family, 0)
        _check(library.seccomp_rule_add_array(context, ctypes.c_uint32(_ALLOW), number, 1, ctypes.byref(is_it)))
    _check(library.seccomp_load(context))


def hide_proc(unit):
    wanted = dict(settings(unit))
    options = f"hidepid={wanted['ProtectProc']},subset={wanted['ProcSubset']}".encode()
    _check(_libc.unshare(_CLONE_NEWNS))
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
    _check(_libc.mount(b"proc", b"/proc", b"proc", 0, options))


if __name__ == "__main__":
    hide_proc(sys.argv[1])
    filter_calls(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
