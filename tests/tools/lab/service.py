"""HTTP services on the loopback that say what a test wants them to."""

import contextlib
import http.server
import json
import threading

JSON = {"Content-Type": "application/json; charset=utf-8"}


class Service:
    """Answers each request with what `answer` is: (status, headers, body), or a function of the handler that returns
    that, or returns None when it has used the connection by itself. It may be another one at any time. `asked` are the
    headers of every request."""

    def __init__(self, answer=(200, {}, b"")):
        self.answer, self.asked = answer, []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                service.asked.append(dict(self.headers))
                with contextlib.suppress(OSError):  # who asked may leave at any time
                    answer = service.answer(self) if callable(service.answer) else service.answer
                    if answer:
                        self._tell(*answer)
                    else:
                        self.close_connection = True

            do_OPTIONS = do_POST = do_GET

            def _tell(self, status, headers, body):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # whoever does not read an answer to its end
        self.port = self._server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Inventory(Service):
    """A service of targets, as http_sd asks it."""

    def __init__(self, groups):
        super().__init__()
        self.tell(groups)
        self.url = f"{self.address}/targets"

    def tell(self, groups):
        self.answer = 200, JSON, json.dumps(groups).encode()
