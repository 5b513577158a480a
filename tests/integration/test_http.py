"""HTTP: what is there, what is not, and what clients cannot do to it."""

import json
import socket
import time

import jsonschema
import pytest

from lab.exporter import endpoint_of, one_cluster
from lab.servers import ROOT


@pytest.fixture(scope="module")
def daemon(lab, trust, shared_exporter):
    started = shared_exporter({
        "defaults": {"interval": "300ms", "timeout": "15s", "login": {"interval": "1s"}, "dbname": "app",
                     "sslrootcert": str(trust.root_file)},
        "clusters": [
            {"name": "good", "endpoints": {"write": endpoint_of(lab.postgres(), user="u_trust"),
                                           "read": endpoint_of(lab.postgres(18), user="u_trust")}},
            {"name": "bad", "endpoints": {"write": endpoint_of(lab.postgres(), user="u_noentry"),
                                          "read": endpoint_of(lab.postgres(), user="u_trust"),
                                          "closing": endpoint_of(lab.misbehave("notify_after_startup"),
                                                                 user="u")}}]})
    started.settled(30)
    return started


def raw(daemon, data, seconds=5):
    """Sends bytes, returns what comes until the server closes or the time is over."""
    host, port = daemon.addresses[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        answer = b""
        try:
            connection.sendall(data)
            while True:
                piece = connection.recv(65536)
                if not piece:
                    break
                answer += piece
        except OSError:
            pass
        return answer


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/health/database/good"])
def test_what_is_there(daemon, path):
    assert daemon.get(path).status == 200
    assert daemon.request("HEAD", path).status == 200


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/-/", "/-/nothing", "//metrics", "/..", "/health",
                                  "/health/database/nobody", "/health/database/good/nothing",
                                  "/health/database/good/write/more", "/%00", "/metrics%00"])
def test_everything_else_is_404(daemon, path):
    assert daemon.get(path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/metrics", "/health/database", "/", "/-/healthy"])
def test_a_wrong_method_is_405(daemon, method, path):
    for body in (None, "x"):
        answer = daemon.request(method, path, body=body)
        assert answer.status == 405
    assert "GET" in answer.headers["Allow"] and "HEAD" in answer.headers["Allow"]


def test_the_health_document_follows_its_schema(daemon):
    schema = json.loads((ROOT / "docs" / "health.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema) if "draft-07" in schema.get("$schema", "") \
        else jsonschema.Draft202012Validator.check_schema(schema)
    for path in ("/health/database", "/health/database/bad", "/health/database/bad/closing",
                 "/health/database?brief=1", "/health/database?require=any"):
        jsonschema.validate(daemon.get(path).json(), schema)
    broken = daemon.get("/health/database").json()
    broken["status"] = "fine"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


@pytest.mark.parametrize("query, status, words", [
    ("/good", 200, "ok"), ("/bad", 503, "down"), ("/bad/read", 200, "ok"), ("/bad/write", 503, "down"),
    ("?cluster=good", 200, "ok"), ("?cluster=bad&endpoint=write", 503, "down"), ("", 503, "down"),
    ("?cluster=nobody", 404, None), ("?endpoint=closing", 503, "down")])
def test_selection_and_status(daemon, query, status, words):
    answer = daemon.get("/health/database" + query)
    assert answer.status == status
    if words:
        assert answer.json()["status"] == words
        assert answer.headers["Content-Type"].startswith("application/json")


def test_require_any(daemon):
    assert daemon.get("/health/database/bad?require=any").status == 200
    assert daemon.get("/health/database/bad/closing?require=any").status == 503


def test_brief_is_short(daemon):
    brief = daemon.get("/health/database?brief=1").json()
    assert brief["counts"] == {"ok": 3, "degraded": 0, "down": 2, "unknown": 0, "maintenance": 0}
    assert not brief.get("endpoints")


def test_failing_comes_first(daemon):
    health = daemon.health()
    statuses = [endpoint["status"] for endpoint in health["endpoints"]]
    assert statuses == sorted(statuses, key=["down", "unknown", "degraded", "ok"].index)
    server = daemon.server_health("bad", "closing")
    assert (server["connection"], server["phase"], server["fault"], server["class"]) \
        == ("Failed", "startup", "ssl_closed_after_handshake", "ssl_close")


def test_liveness_never_depends_on_a_database(daemon):
    for path in ("/-/healthy", "/-/ready"):
        assert daemon.get(path).status == 200


@pytest.mark.parametrize("request_bytes", [
    b"GET /" + b"x" * 200000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Big: " + b"y" * 200000 + b"\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X-Many: y\r\n" * 20000 + b"\r\n"],
    ids=["long path", "big header", "many headers"])
def test_an_oversized_request_is_4xx(daemon, request_bytes):
    answer = raw(daemon, request_bytes)
    assert answer == b"" or answer.split()[1].startswith(b"4"), answer[:100]
    assert daemon.get("/-/healthy").status == 200


@pytest.mark.parametrize("request_bytes", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, b"\0\0\0\x08\x04\xd2\x16\x2f",
    b"nonsense\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"GET\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n",
    b"GET /metrics?%zz=%00&&&== HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"],
    ids=["TLS", "SSLRequest", "nonsense", "version", "no path", "huge body", "huge chunk", "odd query"])
def test_garbage_does_it_no_harm(daemon, request_bytes):
    raw(daemon, request_bytes, 2)
    assert daemon.get("/metrics").status == 200


def test_a_post_with_a_body_is_refused_not_read(daemon):
    answer = raw(daemon, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                 b"Connection: close\r\n\r\n" + b"z" * 1000000)
    assert answer == b"" or answer.split()[1] == b"405"


def test_a_slow_client_is_dropped_and_delays_nobody(daemon):
    """Slow loris: one byte every half second never gets an answer, and in the end the door."""
    host, port = daemon.addresses[0].rsplit(":", 1)
    slow = [socket.create_connection((host, int(port)), timeout=60) for _ in range(50)]
    began = time.monotonic()
    dropped = False
    try:
        for connection in slow:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        while time.monotonic() - began < 45 and not dropped:
            asked = time.monotonic()
            assert daemon.get("/metrics").status == 200
            assert time.monotonic() - asked < 1
            for connection in slow:
                try:
                    connection.sendall(b"z")
                except OSError:
                    dropped = True
            time.sleep(0.5)
    finally:
        for connection in slow:
            connection.close()
    assert dropped, "still connected after 45 s"


def test_a_client_that_does_not_read_delays_nobody(daemon):
    host, port = daemon.addresses[0].rsplit(":", 1)
    lazy = []
    for _ in range(20):
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        lazy.append(connection)
    for _ in range(10):
        asked = time.monotonic()
        assert daemon.get("/metrics").status == 200
        assert time.monotonic() - asked < 1
    for connection in lazy:
        connection.close()


def test_keep_alive_serves_many_requests(daemon):
    connection = daemon.connection()
    for _ in range(20):
        connection.request("GET", "/-/healthy")
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()


def test_the_status_page_links_to_the_rest(daemon):
    answer = daemon.get("/")
    assert answer.headers["Content-Type"].startswith("text/html")
    for link in ("metrics", "health/database", "-/ready"):
        assert f'href="{link}"' in answer.text
