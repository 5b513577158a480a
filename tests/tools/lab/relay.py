"""A TCP relay that forgets idle connections the way a stateful firewall does: without a word to
either side."""

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
