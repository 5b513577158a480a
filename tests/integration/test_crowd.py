"""A hundred scrapers at once: what they cost in memory, and that each gets a whole and consistent body."""

import gzip
import re
import socket
import threading

import pytest

from lab.exporter import one_cluster
from lab.process import wait_for

SERVERS = 700
SCRAPERS = 100
# What a scraper holds that does not read: a piece of text, libmicrohttpd's block, igzip's state. A body is
# more than 14 MB.
MIB_PER_SCRAPER = 0.5


@pytest.fixture(scope="module")
def daemon(shared_exporter):
    """Many servers, all of which refuse, again and again: counters move under the scrapers' eyes."""
    endpoints = {f"e{n:03}": {"host": "127.0.0.1", "port": n % 8 + 1} for n in range(SERVERS)}
    started = shared_exporter(one_cluster(endpoints, {"interval": "1s", "timeout": "5s", "user": "u"}),
                              arguments=["--web.max-requests=0"])
    started.settled(30)
    return started


class Scraper:
    """One that asks, takes what comes first, and leaves the rest until it is told to go on."""

    def __init__(self, daemon, packed):
        host, port = daemon.addresses[0].rsplit(":", 1)
        self.packed = packed
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(30)
        self.socket.connect((host, int(port)))
        self.socket.sendall(b"GET /metrics HTTP/1.0\r\nAccept: application/openmetrics-text\r\n" +
                            (b"Accept-Encoding: gzip\r\n" if packed else b"") + b"\r\n")
        self.received = [self.socket.recv(4096)]

    def body(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        with self.socket:
            while data := self.socket.recv(1 << 20):
                self.received.append(data)
        head, _, body = b"".join(self.received).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200") or head.startswith(b"HTTP/1.0 200"), head
        return body


def histograms(text):
    """Of each series of pgtls_probe_duration_seconds: the largest bucket, and the count."""
    whole = dict(re.findall(r'^pgtls_probe_duration_seconds_bucket\{(.*),le="\+Inf"\} (\d+)$', text, re.M))
    return whole, dict(re.findall(r"^pgtls_probe_duration_seconds_count\{(.*)\} (\d+)$", text, re.M))


def test_those_that_do_not_read_hold_little(daemon):
    daemon.scrape()  # so that what every scrape needs is there
    before = daemon.resident_bytes()
    scrapers = [Scraper(daemon, packed=n % 2 == 0) for n in range(SCRAPERS)]
    held = (daemon.resident_bytes() - before) / SCRAPERS / 2**20
    for scraper in scrapers:
        scraper.socket.close()
    assert held < MIB_PER_SCRAPER, f"{held:.2f} MiB for each scraper"
    wait_for(lambda: daemon.get("/-/healthy").status == 200, 10, "an answer afterwards")


def test_each_gets_everything_and_nothing_torn(daemon):
    bodies = [None] * SCRAPERS
    scrapers = [Scraper(daemon, packed=True) for _ in range(SCRAPERS)]

    def read(n):
        bodies[n] = scrapers[n].body()
    threads = [threading.Thread(target=read, args=(n,)) for n in range(SCRAPERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sizes = [int.from_bytes(body[-4:], "little") for body in bodies]  # as gzip ends: what it was before
    assert max(sizes) - min(sizes) < min(sizes) / 100
    for body in bodies[::20]:
        text = gzip.decompress(body).decode()
        assert text.endswith("# EOF\n")
        whole, count = histograms(text)
        assert len(count) == 2 * SERVERS
        assert whole == count
