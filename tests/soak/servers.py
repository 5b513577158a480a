#!/usr/bin/python3
"""Hundreds of servers that change what they do, in one process, each with an exact tally of how every connection
ended as the server saw it. Driven by lines on stdin, answers in JSON on stdout; see main()."""

import argparse
import collections
import contextlib
import json
import random
import selectors
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import acts
import misbehave
from lab.process import Port
from misbehave import Conversation, Gone

REMEMBERED_LEAVES = 8  # pgtls_certificate_changes_total counts those that are not among so many
misbehave.STALL_SECONDS = 600


def age(connection):
    """Seconds since it was made (the latest acknowledgement, in TCP_INFO): accept() may have been late."""
    return struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 56)[0] / 1000


class Talk(Conversation):
    """One connection, which remembers how far it came."""

    def __init__(self, connection, site):
        self.said = {}  # when it was first said
        self.began = self.asked = time.monotonic() - age(connection)
        super().__init__(connection, site)

    def count(self, what):
        self.said.setdefault(what, time.monotonic())

    def in_time(self, what):
        """Said while the client was still there for sure."""
        return self.said[what] - self.began < self.server.world.patience

    def client_message(self):
        found = super().client_message()
        self.asked = time.monotonic()
        return found

    def stalled(self):
        """Silence until the client leaves; done if that took its whole timeout."""
        with contextlib.suppress(Gone, OSError):
            self.stall()
        if time.monotonic() - self.asked < self.server.world.patience:
            raise Gone


class Site:
    """One server: what it does now, and what became of every connection since the latest reset."""

    def __init__(self, world, number, kind):
        self.world, self.number, self.kind = world, number, kind
        self.address = f"127.0.7.{number % world.addresses + 1}"
        self._port = Port(self.address)
        self.port = self._port.number
        self.dice = random.Random(f"{world.seed}/{number}")
        self.lock = threading.Lock()
        self.name, self.next_name, self.change_at = "healthy", None, 0
        self.leaf = self.dice.randrange(world.n_good)
        self.listener = None
        self.reset()
        self.busy = 0
        self.listen()

    def reset(self):
        self.tally = collections.Counter()
        self.leaves = collections.OrderedDict()
        self.worst_late = 0.0

    @property
    def act(self):
        return acts.ACTS[self.kind][self.name]

    def listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.address, self.port))
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.world.selector.register(self.listener, selectors.EVENT_READ, self)

    # What it does next ------------------------------------------------------------------------
    def plan(self, now):
        """Decides on another act; it is taken up at once, but for those that need a moment without connections."""
        if now < self.change_at:
            return
        self.change_at = now + self.dice.uniform(4, 30)
        names = list(acts.ACTS[self.kind])
        name = "healthy" if self.dice.random() < 0.3 else self.dice.choice(names)
        with self.lock:
            if self.dice.random() < 0.3:
                self.leaf = self.dice.randrange(self.world.n_good)
            self.next_name = None
            if not self.act.listens:
                self.name = "healthy"
                self.listen()
            if acts.ACTS[self.kind][name].listens:
                self.name = name
            elif self.world.wire:
                self.next_name = name  # when a connection has just ended: the next one is an interval away

    def take_up(self):
        """Lock held, and a connection has just ended."""
        if self.next_name and self.busy == 0:
            self.name, self.next_name = self.next_name, None
            self.world.selector.unregister(self.listener)
            self.listener.close()

    # A connection -----------------------------------------------------------------------------
    def serve(self, connection):
        with self.lock:
            view = Played(self, self.act)
        talk = Talk(connection, view)
        try:
            keys = self.play(talk, view)
        except Exception as error:  # a fault of ours must not look like one of the exporter's
            keys = {f"broken:{type(error).__name__}:{error}": 1}
        with self.lock:
            self.tally.update(keys)
            if self.kind == "plain" and "handshake" in talk.said:
                self.show(view.shown)
            self.busy -= 1
            connection.close()
            self.take_up()

    def play(self, talk, view):
        act, keys = view.act, None
        try:
            if self.kind != "plain":
                keys = acts.answer_login(talk, view)
            else:
                {**misbehave.BEHAVIOURS, **acts.EXTRA}[act.behaviour](talk)
        except (Gone, OSError, struct.error):
            if self.kind != "plain" or act.done not in talk.said:
                return self.left(talk)
        if self.kind != "plain":
            return self.login_keys(talk, keys, act)
        if act.done not in talk.said:
            return {"unplayed": 1}
        if act.done != "client_message_X" and not talk.in_time(act.done):
            return self.left(talk)
        waited = time.monotonic() - talk.began
        if act.stalls and waited < self.world.patience:
            return self.left(talk)
        if act.stalls:
            self.late(waited)
        return acts.expected(act)

    def login_keys(self, talk, keys, act):
        if keys is not None:
            return keys if "session" in keys else {"probes": 1, **keys}
        return acts.expected(act) if talk.asked - talk.began < self.world.patience else {"probes": 1, "slow": 1}

    def left(self, talk):
        """The client went before the act was over, or may have: its time was up because we were slow, or nobody
        knows why."""
        slow = time.monotonic() - talk.asked >= self.world.patience
        if self.kind == "session":
            return {"unknown": 1} if slow else {"left": 1}
        return {"probes": 1, "slow": 1} if slow else {"left": 1}

    def late(self, waited):
        with self.lock:
            self.worst_late = max(self.worst_late, waited - self.world.timeout)

    def show(self, leaf):
        """Lock held: the certificates that a client remembers, the one it has not seen for longest leaves."""
        if leaf not in self.leaves:
            self.tally["changes"] += bool(self.leaves)
            if len(self.leaves) == REMEMBERED_LEAVES:
                self.leaves.popitem(last=False)
        self.leaves[leaf] = True
        self.leaves.move_to_end(leaf)


class Played:
    """A site as one connection sees it: the act and the certificate of the moment it came."""

    def __init__(self, site, act):
        self.site, self.act, self.world, self.name, self.dice = site, act, site.world, site.name, site.dice
        self.shown = f"good{site.leaf}" if act.certificate == "good" else act.certificate

    def context(self, _alpn):
        return self.world.contexts[self.shown, self.act.tls12]


class Wire(threading.Thread):
    """Sees who was refused by a port without a listener: nobody else could count them. A reset that answers a SYN has
    the sequence number 0."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world = world
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.setsockopt(socket.SOL_SOCKET, 26, self._filter())  # SO_ATTACH_FILTER
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("lo", 0))

    def _filter(self):
        """TCP, and the flags are RST and ACK, and the sequence number is 0 (classic BPF)."""
        import ctypes
        code = [(0x30, 0, 0, 9), (0x15, 0, 6, 6), (0xB1, 0, 0, 0), (0x50, 0, 0, 13), (0x15, 0, 3, 0x14),
                (0x40, 0, 0, 4), (0x15, 0, 1, 0), (0x06, 0, 0, 64), (0x06, 0, 0, 0)]
        packed = b"".join(struct.pack("HBBI", *one) for one in code)
        self._program = ctypes.create_string_buffer(packed)
        return struct.pack("HxxxxxxP", len(code), ctypes.addressof(self._program))

    def run(self):
        while True:
            packet, sender = self.socket.recvfrom(128)
            if sender[2] == socket.PACKET_OUTGOING:
                continue
            header = (packet[0] & 15) * 4
            key = socket.inet_ntoa(packet[12:16]), struct.unpack_from("!H", packet, header)[0]
            site = self.world.by_place.get(key)
            if site:
                with site.lock:
                    site.tally.update(acts.expected(acts.PLAIN["refuse"]))

    def lost(self):
        """Packets that came too fast to be seen."""
        return struct.unpack("II", self.socket.getsockopt(263, 6, 8))[1]  # SOL_PACKET, PACKET_STATISTICS


class World:
    def __init__(self, options):
        self.seed, self.timeout, self.addresses = options.seed, options.timeout, options.addresses
        # Who leaves later than this had no more time; a connection may have waited a while for accept().
        self.patience = self.timeout / 2
        self.selector = selectors.DefaultSelector()
        self.n_good = len(list(Path(options.certificates).glob("good*.crt")))
        self.contexts = {}
        for path in Path(options.certificates).glob("*.crt"):
            for tls12 in (False, True):
                self.contexts[path.stem, tls12] = self.make_context(path, tls12)
        try:
            self.wire = Wire(self)
        except PermissionError:
            self.wire = None  # then nobody is ever refused
        kinds = {0: "login", 1: "session"}
        self.sites = [Site(self, n, kinds.get(n % 10, "plain")) for n in range(options.servers)]
        self.by_place = {(s.address, s.port): s for s in self.sites}
        self.moving = False

    @staticmethod
    def make_context(path, tls12):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path, path.with_suffix(".key"))
        if tls12:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    def accept(self):
        """Never returns: every connection gets a thread."""
        while True:
            for key, _ in self.selector.select(0.5):
                site = key.data
                with site.lock:
                    try:
                        connection, _ = key.fileobj.accept()
                    except OSError:
                        continue  # taken back, or closed meanwhile
                    connection.setblocking(True)
                    site.busy += 1
                threading.Thread(target=site.serve, args=(connection,), daemon=True).start()

    def move(self):
        while True:
            time.sleep(0.2)
            now = time.monotonic()
            for site in self.sites if self.moving else ():
                site.plan(now)

    def snapshot(self):
        found = []
        for site in self.sites:
            with site.lock:
                found.append([site.busy, site.worst_late, dict(site.tally)])
        return found

    def reset(self, numbers):
        for number in numbers:
            with self.sites[number].lock:
                self.sites[number].reset()


def main():
    parser = argparse.ArgumentParser(description="hundreds of misbehaving servers, with an exact tally")
    parser.add_argument("--certificates", required=True, help="a directory of good*.crt, expired.crt, wrong_name.crt")
    parser.add_argument("--servers", type=int, required=True)
    parser.add_argument("--addresses", type=int, default=10, help="how many addresses they share")
    parser.add_argument("--timeout", type=float, required=True, help="the client's, in seconds")
    parser.add_argument("--seed", default="1")
    threading.stack_size(256 * 1024)
    world = World(parser.parse_args())
    threads = [threading.Thread(target=world.accept, daemon=True), threading.Thread(target=world.move, daemon=True)]
    for thread in threads + ([world.wire] if world.wire else []):
        thread.start()
    print(json.dumps([[s.address, s.port, s.kind] for s in world.sites]), flush=True)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        answer = True
        if word == "tally":
            answer = {"sites": world.snapshot(), "lost": world.wire.lost() if world.wire else 0}
        elif word == "reset":
            world.reset(json.loads(rest))
        elif word in ("move", "rest"):
            world.moving = word == "move"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
