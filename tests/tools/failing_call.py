#!/usr/bin/python3
"""Runs a program for which a system call fails:  failing_call.py connect ENOMEM program argument…

By a filter of system calls (libseccomp, which Debian always has), so that the failure is the kernel's
and the program is the one that ships."""

import ctypes
import errno
import os
import sys

SCMP_ACT_ALLOW = 0x7FFF0000
SCMP_ACT_ERRNO = 0x00050000


def forbid(call, error):
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(SCMP_ACT_ALLOW)))
    number = library.seccomp_syscall_resolve_name(call.encode())
    if library.seccomp_rule_add(context, ctypes.c_uint32(SCMP_ACT_ERRNO | error), number, 0):
        raise OSError("seccomp_rule_add")
    if library.seccomp_load(context):
        raise OSError("seccomp_load")


if __name__ == "__main__":
    forbid(sys.argv[1], getattr(errno, sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])
