"""A DNS server of the laboratory, and a daemon that asks it: resolv.conf is replaced in a mount
namespace of the daemon's own."""

import contextlib
import os
import random
import socket
import struct
import threading
import time

from .exporter import BINARY

A, AAAA, SRV = 1, 28, 33
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


class Dns:
    """Answers on UDP from `zone`: name -> list of numeric addresses, or of (host, port) for SRV
    records, or an rcode, or "silent", or "garbage"; any other name does not exist. Each answer takes
    `delay` seconds; records live for `ttl`. Counts questions by (name, type)."""

    def __init__(self, zone, delay=0, ttl=0):
        self.zone, self.delay, self.ttl = zone, delay, ttl
        self.questions = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = self._bind()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _bind(self):
        """resolv.conf knows no port but 53, so it is the address that has to be free."""
        for last in random.sample(range(1, 255), 100):
            with contextlib.suppress(OSError):
                self._socket.bind((f"127.0.53.{last}", 53))
                return f"127.0.53.{last}"
        raise OSError("no address of 127.0.53.0/24 can be bound at port 53: that takes root")

    def close(self):
        self._socket.close()

    def _serve(self):
        while True:
            try:
                question, client = self._socket.recvfrom(2048)
            except OSError:
                return
            answer = self._answer(question)
            time.sleep(self.delay)
            if answer:
                with contextlib.suppress(OSError):  # closed meanwhile
                    self._socket.sendto(answer, client)

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = struct.unpack_from(">H", question, at + 1)[0]
        asked = question[12:at + 5]
        name = ".".join(labels).lower()
        self.questions[name, kind] = self.questions.get((name, kind), 0) + 1
        entry = self.zone.get(name, NXDOMAIN)
        if entry == "silent":
            return None
        if entry == "garbage":
            return question[:2] + b"\xff" * 40
        rcode = entry if isinstance(entry, int) else NOERROR
        records = b""
        count = 0
        for record in entry if rcode == NOERROR else []:
            of, data = _record(record)
            if of != kind:
                continue
            records += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, self.ttl, len(data)) + data
            count += 1
        return question[:2] + struct.pack(">HHHHH", 0x8580 | rcode, 1, count, 0, 0) + asked + records


def _record(record):
    """Type and data: (host, port) is an SRV record, a text an address."""
    if isinstance(record, tuple):
        host, port = record
        labels = b"".join(bytes([len(label)]) + label.encode() for label in host.split("."))
        return SRV, struct.pack(">HHH", 0, 0, port) + labels + b"\0"
    if ":" in record:
        return AAAA, socket.inet_pton(socket.AF_INET6, record)
    return A, socket.inet_pton(socket.AF_INET, record)


class HangingAddress:
    """An address that answers no SYN: a listener whose queue is full."""

    def __init__(self, address, port):
        self._listener = socket.socket()
        self._listener.bind((address, port))
        self._listener.listen(0)
        self._queue = []
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
            self._queue.append(waiting)

    def close(self):
        for each in [*self._queue, self._listener]:
            each.close()


def _with_file(directory, name, file, target):
    """The exporter, with `file` in the place of `target`: a program to start instead of it."""
    user = "" if os.geteuid() == 0 else "--user --map-root-user "
    wrapper = directory / name
    wrapper.write_text("#!/bin/sh\n"
                       f"exec unshare {user}--mount sh -c 'mount --bind {file} {target}"
                       f" && exec {BINARY} \"$@\"' sh \"$@\"\n")
    wrapper.chmod(0o755)
    return wrapper


def asking(directory, resolv_conf):
    """A program to start instead of the exporter: the exporter, with this file as resolv.conf."""
    return _with_file(directory, "with-resolv-conf", resolv_conf, "/etc/resolv.conf")


def knowing(directory, names):
    """The same, with a hosts file of these names (name -> address, or several)."""
    hosts = directory / "hosts"
    hosts.write_text("".join(f"{address} {name}\n" for name, addresses in names.items()
                             for address in ([addresses] if isinstance(addresses, str) else addresses)))
    return _with_file(directory, "with-hosts", hosts, "/etc/hosts")
