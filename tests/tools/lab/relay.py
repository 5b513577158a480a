"""TCP relays: one that forgets idle connections the way a stateful firewall does, without a word to either
side, and a plain one that can take turns, count, and be late."""

import contextlib
import selectors
import socket
import threading
import time


class Firewall:
    """Forwards to a server; a connection that was idle for `limit` seconds passes nothing any more,
    and is not closed either."""

    def __init__(self, server, limit):
        self.server, self.limit = server, limit
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address, self.port = self._listener.getsockname()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._other, self._seen, self._over = {}, {}, False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _accept(self):
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection((self.server.address, self.server.port))
        except OSError:
            client.close()
            return
        self._other[client], self._other[server] = server, client
        self._seen[client] = self._seen[server] = time.monotonic()
        for side in (client, server):
            self._selector.register(side, selectors.EVENT_READ)

    def _drop(self, side):
        for one in (side, self._other.pop(side)):
            self._selector.unregister(one)
            self._other.pop(one, None)
            one.close()

    def _forward(self, side):
        now, other = time.monotonic(), self._other[side]
        if now - self._seen[side] > self.limit:
            side.recv(65536)  # to nowhere, also the end of the stream
            self._selector.unregister(side)
            return
        self._seen[side] = self._seen[other] = now
        try:
            data = side.recv(65536)
            if data:
                other.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(side)

    def _run(self):
        while not self._over:
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._other:
                    self._forward(key.fileobj)

    def close(self):
        self._over = True
        self._thread.join(5)
        for one in (self._listener, *list(self._other)):
            one.close()
        self._selector.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Relay:
    """Plain TCP to servers: the first connection goes to the first, the second to the second, and so on; the last
    has all that follow. Where a server is None the client is kept waiting. The first answer of each connection
    comes `delay` seconds late. Once closed it answers nobody."""

    def __init__(self, *targets, delay=0):
        self._targets, self._delay = targets, delay
        self.connections = []  # the bytes of each: [to the server, from it]
        self.waiting = self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address, self.port = self._listener.getsockname()
        self._sockets, self._threads = [self._listener], []
        self._start(self._accept)

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            target = self._targets[min(len(self.connections), len(self._targets) - 1)]
            count = [0, 0]
            self._sockets.append(client)
            self.connections.append(count)
            if target:
                self._start(self._serve, client, target, count)
            else:
                self.waiting += 1

    def _serve(self, client, target, count):
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        with contextlib.suppress(OSError), client, \
                socket.create_connection((target.address, target.port)) as server:
            self._sockets.append(server)
            back = self._start(self._pump, server, client, count, 1, self._delay)
            self._pump(client, server, count, 0)
            back.join()
        with self._lock:
            self.at_once -= 1

    @staticmethod
    def _pump(source, to, count, way, delay=0):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                count[way] += len(data)
                time.sleep(delay)
                delay = 0
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)

    def close(self):
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._sockets:
            one.close()
