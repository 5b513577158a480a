"""What the exporter asks of a server: as many connections as docs/load.md says, and no more bytes."""

import socket
import threading
import time

from conftest import PASSWORD
from lab.exporter import endpoint_of, one_cluster


class CountingRelay:
    """Passes connections on to a server; remembers the bytes of each, both ways."""

    def __init__(self, server):
        self.target = (server.address, server.port)
        self.connections = []
        self.most_at_once = self.at_once = 0
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address, self.port = self._socket.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        count = [0, 0]
        with self._lock:
            self.connections.append(count)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        with client, socket.create_connection(self.target) as server:
            back = threading.Thread(target=self._pump, args=(server, client, count, 1), daemon=True)
            back.start()
            self._pump(client, server, count, 0)
            back.join()
        with self._lock:
            self.at_once -= 1

    @staticmethod
    def _pump(source, to, count, way):
        try:
            while data := source.recv(65536):
                count[way] += len(data)
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self._socket.close()


def test_one_connection_a_probe_and_few_bytes(lab, trust, exporter, tmp_path):
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    relay = CountingRelay(lab.postgres())
    keys = {"user": "u_scram", "dbname": "app", "password_file": str(secret), "sslrootcert": str(trust.root_file)}
    daemon = exporter(one_cluster({"write": endpoint_of(relay, interval="1s", login={"interval": "2s"}, **keys)}))
    metrics = daemon.until(lambda m: m.value("pgtls_probes_total", 0, probe="inspect") >= 4
                           and m.value("pgtls_probes_total", 0, probe="login") >= 2, 30)
    daemon.stop()
    relay.close()
    probes = metrics.sum("pgtls_probes_total")
    assert probes <= len(relay.connections) <= probes + 2  # one may have begun, or ended, meanwhile
    assert relay.most_at_once <= 2  # the next one while the server still closes the one before
    assert max(sum(count) for count in relay.connections) < 8000, relay.connections


def test_sessions_of_a_server_log_in_one_after_the_other(lab, trust, exporter, tmp_path):
    """Four sessions and the probes: connections open at once, and never two of them on their way in."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    relay = CountingRelay(lab.postgres())
    daemon = exporter(one_cluster({"write": endpoint_of(
        relay, interval="30s", login={"interval": "60s"}, user="u_scram", dbname="app", password_file=str(secret),
        sslrootcert=str(trust.root_file), session=[{"idle": f"{60 + i}s"} for i in range(4)])}))
    daemon.until(lambda m: m.sum("pgtls_session_up") == 4, 30)
    metrics = daemon.scrape()
    starts = sorted(value for _, value in metrics.all("pgtls_session_start_timestamp_seconds"))
    assert all(later - earlier > 0.3 for earlier, later in zip(starts, starts[1:])), starts
    relay.close()


def test_no_more_new_connections_per_second_than_allowed(exporter):
    """Of fifty servers that are due every second, five get their turn."""
    endpoints = {f"e{n}": {"host": f"127.0.0.{n + 1}", "port": 1} for n in range(50)}
    daemon = exporter({**one_cluster(endpoints, {"interval": "1s", "timeout": "1s"}),
                       "limits": {"connections_per_second": 5}})

    def probes(metrics):
        return sum(value for _, value in metrics.all("pgtls_probes_total", probe="inspect"))
    began, first = time.monotonic(), probes(daemon.scrape())
    last = daemon.until(lambda m: probes(m) >= first + 20)
    assert probes(last) - first <= 5 * (time.monotonic() - began) + 5
    assert last.value("pgtls_probes_held_back_total", limit="connections_per_second") > 0
    assert last.value("pgtls_limit", limit="connections_per_second") == 5
