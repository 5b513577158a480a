#!/usr/bin/python3
"""What libpq itself says: the same connection as psql makes, with PQerrorMessage at verbosity VERBOSE,
which psql cannot be told for connecting.

As a program it reads a JSON object {name: [connection string, seconds]} from its input, makes all the
connections, some at a time, and writes {name: {"ok", "sqlstate", "routine", "text", "timeout"}}. It runs in a process
of its own because libpq reads the environment and the home directory."""

import ctypes
import ctypes.util
import json
import re
import select
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from . import process

QUERY = b"select pg_is_in_recovery()"
_BAD, _READING, _WRITING, _OK = 0, 1, 2, 3
_VERBOSE = 2
_SQLSTATE = re.compile(r"^[^\n]*?:  ([0-9A-Z]{5}): ", re.M)
_ROUTINE = re.compile(r"^LOCATION:  ([^,\n]+), ", re.M)


def _library():
    library = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
    for name, result in (("PQconnectStart", ctypes.c_void_p), ("PQerrorMessage", ctypes.c_char_p),
                         ("PQgetResult", ctypes.c_void_p), ("PQresultErrorMessage", ctypes.c_char_p)):
        getattr(library, name).restype = result
    for name in ("PQconnectPoll", "PQsocket", "PQerrorMessage", "PQfinish", "PQgetResult", "PQconsumeInput",
                 "PQisBusy", "PQclear", "PQresultErrorMessage", "PQresultStatus", "PQflush"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.PQsetErrorVerbosity.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.PQsendQuery.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


def _wait(socket, writing, deadline):
    poller = select.poll()
    poller.register(socket, select.POLLOUT if writing else select.POLLIN)
    return bool(poller.poll(max(0, (deadline - time.monotonic()) * 1000)))


def _login(library, connection, deadline):
    """None once it is up, else what libpq says; "" for silence."""
    state = _WRITING
    while state in (_READING, _WRITING):
        if not _wait(library.PQsocket(connection), state == _WRITING, deadline):
            return ""
        state = library.PQconnectPoll(connection)
    return None if state == _OK else library.PQerrorMessage(connection).decode(errors="replace")


def _query(library, connection, deadline):
    """The same about one query."""
    if not library.PQsendQuery(connection, QUERY):
        return library.PQerrorMessage(connection).decode(errors="replace")
    said = None
    while True:
        while library.PQisBusy(connection):
            if not _wait(library.PQsocket(connection), False, deadline):
                return ""
            if not library.PQconsumeInput(connection):
                return library.PQerrorMessage(connection).decode(errors="replace")
        result = library.PQgetResult(connection)
        if not result:
            return said
        said = library.PQresultErrorMessage(result).decode(errors="replace") or said
        library.PQclear(result)


def _attempt(library, conninfo, seconds):
    deadline = time.monotonic() + seconds
    connection = library.PQconnectStart(conninfo.encode())
    library.PQsetErrorVerbosity(connection, _VERBOSE)
    if library.PQsocket(connection) < 0:
        text = library.PQerrorMessage(connection).decode(errors="replace")
    else:
        text = _login(library, connection, deadline)
        if text is None:
            text = _query(library, connection, deadline)
    library.PQfinish(connection)
    sqlstate, routine = _SQLSTATE.search(text or ""), _ROUTINE.search(text or "")
    return {"ok": text is None, "timeout": text == "", "text": (text or "").strip(),
            "sqlstate": sqlstate[1] if sqlstate else None, "routine": routine[1] if routine else None}


def _main():
    library = _library()
    wanted = json.load(sys.stdin)
    with ThreadPoolExecutor(24) as pool:
        answers = pool.map(lambda one: _attempt(library, *one), wanted.values())
        json.dump(dict(zip(wanted, answers)), sys.stdout)


def ask(wanted, before=()):
    """(connection string, seconds to wait) by name → what libpq says about each. `before` begins the
    command line."""
    done = subprocess.run(
        [*before, sys.executable, "-B", "-m", "lab.libpq"], input=json.dumps(wanted), text=True,
        capture_output=True, check=True, timeout=120,
        env=process.clean_environment(PYTHONPATH=__file__.rsplit("/", 2)[0]))
    return json.loads(done.stdout)


if __name__ == "__main__":
    _main()
