#!/usr/bin/python3
"""A server that speaks PostgreSQL up to a point, and then does what it was told to.

Each behaviour is one function on a conversation, listed in BEHAVIOURS by name. Every connection
has its own thread; what was really sent is counted in `tally`. As a module:

    with Misbehaving("close_after_handshake_notify", chain_file, key_file) as server: server.port

As a program it serves until it is told to stop:  misbehave.py --cert C --key K BEHAVIOUR…
"""

import argparse
import collections
import signal
import socket
import ssl
import struct
import sys
import threading
import time

import poolers
import records
from poolers import message

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
STALL_SECONDS = 120


class Gone(Exception):
    """The client left before the behaviour was done."""


def error_response(code="28000", text=b"no", severity=b"FATAL", **fields):
    body = b"S" + severity + b"\0V" + severity + b"\0C" + code.encode() + b"\0M" + text + b"\0"
    for name, value in fields.items():
        body += name.encode() + value + b"\0"
    return message(b"E", body + b"\0")


AUTH_OK = message(b"R", struct.pack("!i", 0))
AUTH_CLEAR = message(b"R", struct.pack("!i", 3))
AUTH_MD5 = message(b"R", struct.pack("!i", 5) + b"salt")
AUTH_SCRAM = message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0")
READY = (message(b"S", b"server_version\x0015.0\0") + message(b"K", struct.pack("!ii", 4711, 1))
         + message(b"Z", b"I"))


class Conversation:
    """One connection: the steps that behaviours are made of."""

    def __init__(self, sock, server):
        self.sock, self.server = sock, server
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(STALL_SECONDS)
        self.tls = None
        self.drip = 0

    def count(self, what):
        self.server.count(what)

    # In clear -----------------------------------------------------------------------------------
    def receive(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise Gone
            data += piece
        return data

    def raw(self, data):
        if not self.drip:
            self.sock.sendall(data)
            return
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])
            time.sleep(self.drip)

    def ssl_request(self, answer=b"S"):
        if self.receive(8) != SSL_REQUEST:
            self.count("not_an_ssl_request")
            raise Gone
        self.count("ssl_request")
        if answer:
            self.raw(answer)
        return self

    # In TLS -------------------------------------------------------------------------------------
    def handshake(self, limit=None, alpn=None, context=None):
        """The handshake; with `limit` only so many bytes of ours are sent, then False."""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or self.server.context(alpn)
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        sent = 0
        while True:
            done = True
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError:
                self.flush()
                self.count("handshake_failed")
                raise Gone from None
            data = self.outgoing.read()
            if limit is not None and sent + len(data) > limit:
                self.raw(data[:limit - sent])
                return False
            if data:
                self.raw(data)
                sent += len(data)
            if done:
                self.count("handshake")
                return True
            self.feed()

    def feed(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise Gone
        self.incoming.write(piece)

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.raw(data)

    def up(self, alpn=None):
        """SSLRequest and the whole handshake."""
        self.ssl_request()
        self.handshake(alpn=alpn)
        return self

    def read(self, n):
        """n bytes of the client's plaintext, through TLS if it is in use."""
        if self.tls is None:
            return self.receive(n)
        data = b""
        while len(data) < n:
            try:
                piece = self.tls.read(n - len(data))
                if not piece:
                    raise Gone
                data += piece
            except ssl.SSLWantReadError:
                self.feed()
            except ssl.SSLError:
                raise Gone from None
        return data

    def send(self, data):
        if self.tls is None:
            self.raw(data)
            return
        self.tls.write(data)
        self.flush()

    def startup(self):
        (length,) = struct.unpack("!i", self.read(4))
        packet = self.read(length - 4)
        self.count("startup")
        return packet

    def client_message(self):
        kind = self.read(1)
        (length,) = struct.unpack("!i", self.read(4))
        body = self.read(length - 4)
        self.count("client_message_" + kind.decode("latin-1"))
        return kind, body

    # How it ends --------------------------------------------------------------------------------
    def notify(self):
        """close_notify, then FIN."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self.flush()
        self.count("close_notify")
        self.drain_and_close()

    def fin(self):
        self.count("fin")
        self.drain_and_close()

    def drain_and_close(self):
        """A FIN that stays one: unread bytes at close() would turn it into a RST."""
        self.sock.shutdown(socket.SHUT_WR)
        self.sock.settimeout(2)
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass

    def rst(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.count("rst")
        self.sock.close()

    def stall(self):
        """Says nothing until the client leaves."""
        self.count("stall")
        while self.sock.recv(65536):
            pass
        raise Gone

    def say(self, what, data, finish="fin"):
        """Sends data, counted as `what`, and ends."""
        self.send(data)
        self.count(what)
        getattr(self, finish)()


ENDS = {"fin": Conversation.fin, "rst": Conversation.rst, "stall": Conversation.stall}
TLS_ENDS = {"notify": Conversation.notify, **ENDS}

# Places in a conversation where it can end: what is done before.
IN_CLEAR = {
    "at_accept": lambda c: None,
    "after_ssl_request": lambda c: c.ssl_request(answer=b""),
    "after_s": lambda c: c.ssl_request(),
    "after_client_hello": lambda c: (c.ssl_request(), c.sock.recv(65536)),
    "mid_handshake": lambda c: (c.ssl_request(), c.handshake(limit=200)),
}
IN_TLS = {
    "after_handshake": lambda c: c.up(),
    "after_startup": lambda c: (c.up(), c.startup()),
    "during_auth": lambda c: (c.up(), c.startup(), c.send(AUTH_SCRAM), c.client_message()),
    "at_auth_request": lambda c: (c.up(), c.startup(), c.send(AUTH_SCRAM)),
    "after_auth": lambda c: (c.up(), c.startup(), c.send(AUTH_OK)),
}
PLAIN = {
    "plain_after_startup": lambda c: c.startup(),
    "plain_during_auth": lambda c: (c.startup(), c.send(AUTH_SCRAM), c.client_message()),
    "plain_after_auth": lambda c: (c.startup(), c.send(AUTH_OK)),
}


def _behaviours():
    table = {}
    for places, ends in ((IN_CLEAR, ENDS), (IN_TLS, TLS_ENDS), (PLAIN, ENDS)):
        for place, before in places.items():
            for end, finish in ends.items():
                def behave(c, before=before, finish=finish):
                    before(c)
                    finish(c)
                table[f"{end}_{place}"] = behave
    return table


def answer(data, finish="fin"):
    """Instead of S or N."""
    return lambda c: (c.ssl_request(answer=b""), c.say("answer", data, finish))


def first_message(data, finish="fin"):
    """In answer to the StartupMessage."""
    return lambda c: (c.up(), c.startup(), c.say("first_message", data, finish))


def instead_of_server_hello(data):
    """In answer to the ClientHello."""
    def behave(c):
        c.ssl_request()
        c.sock.recv(65536)
        c.say("instead_of_server_hello", data)
    return behave


def alert(level, description):
    """A TLS alert in answer to the ClientHello."""
    return instead_of_server_hello(b"\x15\x03\x03\x00\x02" + bytes([level, description]))


def garbage_in_tls(c):
    """After the StartupMessage a record that no key of this connection has sealed."""
    c.up()
    c.startup()
    c.raw(b"\x17\x03\x03\x00\x20" + bytes(32))
    c.fin()


def says(place, data):
    """A refusal in the words of a product, where that product sends it."""
    def behave(c):
        if place == poolers.ANSWER:
            c.ssl_request(answer=b"")
        else:
            c.startup() if place == poolers.PLAIN else (c.up(), c.startup())
        if place in (poolers.AFTER_AUTH, poolers.QUERY):
            c.send(AUTH_OK + (READY if place == poolers.QUERY else b""))
        if place == poolers.QUERY and c.client_message()[0] == b"X":
            raise Gone
        c.say("said", data)
    return behave


def endless_messages(c):
    c.up()
    c.startup()
    notice = message(b"N", b"SNOTICE\0VNOTICE\0C00000\0M" + b"x" * 1000 + b"\0\0")
    while True:
        c.send(notice * 8)
        c.count("notices")


def endless_tickets(c):
    """Session tickets, five hundred a record, for as long as somebody takes them."""
    own = records.take_over(c, *c.server.files)
    while True:
        c.raw(own.encrypt(records.HANDSHAKE, records.TICKET * 500))
        c.count("tickets")


def good_once_then(behave):
    """To every other connection a server that asks for SCRAM and waits: an inspect passes."""
    def other(c):
        c.count("turn")
        if c.server.tally["turn"] % 2:
            c.up()
            c.startup()
            c.send(AUTH_SCRAM)
            c.stall()
        behave(c)
    return other


def answer_query(data):
    def behave(c):
        c.up()
        c.startup()
        c.send(AUTH_OK + READY)
        while c.client_message()[0] == b"Q":
            c.send(data)
            c.count("query")
        c.drain_and_close()
    return behave


def slowly(behave, pause=0.003):
    def slow(c):
        c.drip = pause
        behave(c)
    return slow


def endless_bytes(c):
    c.ssl_request(answer=b"")
    while True:
        c.raw(b"E" + b"x" * 8191)
        c.count("garbage")


def healthy(c):
    """Trusts everybody, answers any query with an empty result."""
    c.up(alpn="postgresql")
    c.startup()
    c.send(AUTH_OK + READY)
    c.count("ready")
    while True:
        kind, _ = c.client_message()
        if kind == b"X":
            c.drain_and_close()
            return
        c.send(message(b"C", b"SELECT 0\0") + message(b"Z", b"I"))


def healthy_plain(c):
    """The same without TLS."""
    c.startup()
    c.send(AUTH_OK + READY)
    while True:
        if c.client_message()[0] == b"X":
            return
        c.send(message(b"C", b"SELECT 0\0") + message(b"Z", b"I"))


def _ask(c, request):
    """Asks for the password in a weak form and remembers what it got."""
    c.up()
    c.startup()
    c.send(request)
    _, body = c.client_message()
    c.server.secrets.append(body.rstrip(b"\0"))
    c.say("refused", error_response("28P01", b"password authentication failed"))


def ask_clear(c):
    _ask(c, AUTH_CLEAR)


def ask_md5(c):
    _ask(c, AUTH_MD5)


def direct_wrong_alpn(c):
    """Direct TLS whose ALPN is not PostgreSQL's."""
    c.handshake(alpn="http/1.1")
    c.stall()


def direct_no_alpn(c):
    c.handshake()
    c.stall()


NASTY = b"caf\xe9 \x1b[31mred\x1b[0m \"quoted\"\\\nsecond line \xf0\x9f\x90\x98\x01"

BEHAVIOURS = {
    **_behaviours(),
    "answer_n": answer(b"N"),
    "answer_error_v3": answer(error_response("53300", b"sorry, too many clients already")),
    "answer_error_v2": answer(b"Ecould not fork new process for connection: no memory\n\0"),
    "answer_garbage": answer(bytes(range(128, 256)) * 8),
    "answer_nul": answer(b"\0"),
    "answer_http": answer(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
    "answer_ssh": answer(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "stall"),
    "answer_tls_alert": answer(b"\x15\x03\x01\x00\x02\x02\x46"),
    "answer_s_and_more": answer(b"S" + error_response("28000", b"injected"), "stall"),
    "ssh_at_accept": lambda c: (c.raw(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), c.stall()),
    "plaintext_in_tls": lambda c: (c.ssl_request(), c.sock.recv(65536),
                                   c.say("plaintext", b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    "alert_handshake_failure": alert(2, 40),
    "alert_protocol_version": alert(2, 70),
    "alert_internal_error": alert(2, 80),
    "alert_unrecognized_name": alert(2, 112),
    "alert_no_application_protocol": alert(2, 120),
    "alert_illegal_parameter": alert(2, 47),
    "alert_close_notify": alert(1, 0),
    "malformed_server_hello": instead_of_server_hello(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"),
    "garbage_in_tls": garbage_in_tls,
    "supavisor_after_handshake": instead_of_server_hello(
        error_response("08P01", b"unexpected message")),
    **{name: says(place, data) for name, (_, place, data) in poolers.SAYINGS.items()},
    "out_of_memory": first_message(error_response(
        "53200", b"out of memory", F=b"mcxt.c", L=b"1132", R=b"palloc")),
    "old_protocol_only": first_message(error_response(
        "0A000", b"unsupported frontend protocol 3.0: server supports 1.0 to 2.0", F=b"postmaster.c",
        R=b"ProcessStartupPacket")),
    "says_we_broke_it": first_message(error_response(
        "08P01", b"invalid startup packet layout: expected terminator as last byte", F=b"postmaster.c",
        R=b"ProcessStartupPacket")),
    "unheard_of": first_message(error_response("ZZ123", b"the stars are not right")),
    "auth_timeout": first_message(error_response(
        "57014", b"canceling authentication due to timeout", F=b"postgres.c", R=b"ProcessInterrupts")),
    "http_in_tls": first_message(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "length_negative": first_message(b"R" + struct.pack("!i", -1) + b"\0" * 8, "stall"),
    "length_zero": first_message(b"R" + struct.pack("!i", 0) + b"\0" * 8, "stall"),
    "length_huge": first_message(b"R" + struct.pack("!i", 0x7fffffff) + b"\0" * 8, "stall"),
    "oversized_error": first_message(error_response("28000", b"x" * 200000)),
    "truncated_error": first_message(b"E" + struct.pack("!i", 100) + b"SFATAL\0C280"),
    "unterminated_error": first_message(message(b"E", b"SFATAL\0C28000\0Mno end")),
    "nasty_error": first_message(error_response("28000", NASTY)),
    "nul_in_error": first_message(message(b"E", b"SFATAL\0\0C28000\0M\0\0\0\0")),
    "no_entry": first_message(error_response(
        "28000", b'no pg_hba.conf entry for host "192.0.2.1", user "u", database "d", SSL encryption',
        F=b"auth.c", R=b"ClientAuthentication")),
    "translated_hba": first_message(error_response(
        "28000", "kein pg_hba.conf-Eintrag für Host »192.0.2.1«".encode(), severity=b"FATAL",
        F=b"auth.c", R=b"ClientAuthentication")),
    "unknown_auth": first_message(message(b"R", struct.pack("!i", 99)), "stall"),
    "short_auth": first_message(message(b"R", b"\0"), "stall"),
    "endless_messages": endless_messages,
    "endless_bytes": endless_bytes,
    "endless_tickets": endless_tickets,
    "endless_tickets_at_login": good_once_then(endless_tickets),
    "copy_in": answer_query(message(b"G", b"\0\0\0")),
    "copy_out": answer_query(message(b"H", b"\0\0\0")),
    "copy_both": answer_query(message(b"W", b"\0\0\0")),
    "slow_error_v3": slowly(answer(error_response("53300", b"sorry, too many clients already"))),
    "cut_error_v3": answer(b"E\0\0"),
    "drip": slowly(healthy, 0.02),      # a perfect server, but never done within a probe's time
    "trickle": slowly(healthy, 0.0005),  # slow, but good
    "healthy": healthy,
    "healthy_plain": healthy_plain,
    "ask_clear": ask_clear,
    "ask_md5": ask_md5,
    "direct_wrong_alpn": direct_wrong_alpn,
    "direct_no_alpn": direct_no_alpn,
}


def segments_with_data(connection):
    """How many the client sent, says the kernel; None when the connection is gone."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return struct.unpack_from("=I", info, 152)[0]  # tcpi_data_segs_in
    except OSError:
        return None


class Misbehaving:
    """One listening socket with one behaviour; `tally` counts what really happened on it, `segments` those with data
    that came on each connection. The behaviour may be replaced while it runs."""

    def __init__(self, behaviour, chain_file=None, key_file=None, address="127.0.0.1", port=0,
                 backlog=512):
        self.behaviour = behaviour
        self.files = (chain_file, key_file)
        self._contexts = {}
        self._lock = threading.Lock()
        self.tally = collections.Counter()
        self.secrets, self.segments = [], []
        self.address = address
        self._connections = set()
        self._socket = socket.create_server((address, port), backlog=backlog,
                                            family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def context(self, alpn):
        with self._lock:
            if alpn not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*self.files)
                if alpn:
                    context.set_alpn_protocols([alpn])
                self._contexts[alpn] = context
            return self._contexts[alpn]

    def count(self, what):
        with self._lock:
            self.tally[what] += 1

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.count("accepted")
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            BEHAVIOURS[self.behaviour](Conversation(connection, self))
        except (Gone, OSError, struct.error):
            self.count("client_gone")
        finally:
            with self._lock:
                self._connections.discard(connection)
                self.segments.append(segments_with_data(connection))
            connection.close()

    def start(self):
        self._thread.start()
        return self

    def close(self):
        """Ends the listener and every conversation."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
        with self._lock:
            left = list(self._connections)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()


def main():
    parser = argparse.ArgumentParser(description="a misbehaving PostgreSQL server")
    parser.add_argument("--cert", required=True, help="certificate chain (PEM)")
    parser.add_argument("--key", required=True, help="private key (PEM)")
    parser.add_argument("--listen", default="127.0.0.1", help="address (default %(default)s)")
    parser.add_argument("behaviour", nargs="+", choices=sorted(BEHAVIOURS), metavar="BEHAVIOUR",
                        help="one of: " + ", ".join(sorted(BEHAVIOURS)))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    servers = [Misbehaving(name, arguments.cert, arguments.key, arguments.listen).start()
               for name in arguments.behaviour]
    for server in servers:
        print(server.behaviour, f"{server.address}:{server.port}", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        for server in servers:
            print(server.behaviour, dict(server.tally), flush=True)
            server.close()


if __name__ == "__main__":
    main()
