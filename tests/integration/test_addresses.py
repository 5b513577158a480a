"""Names of several addresses, some of which do not answer. In a mount namespace, for a hosts file of
its own: this takes root."""

import contextlib
import socket

from lab.dns import knowing


@contextlib.contextmanager
def hanging(*addresses):
    """One port at these addresses, each with a full queue: whoever connects hangs. The port."""
    with contextlib.ExitStack() as stack:
        port = 0
        for address in addresses:
            one = stack.enter_context(socket.create_server((address, port), backlog=0))
            port = one.getsockname()[1]
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex((address, port))
        yield port


def test_two_addresses_that_hang_are_no_connection(exporter, scratch):
    """The second one's turn begins with the end of the first one's: nothing of it is taken for an
    answer."""
    addresses = ["127.0.0.3", "127.0.0.5"]
    with hanging(*addresses) as port:
        daemon = exporter({"clusters": [{"name": "lab", "endpoints": {"write": {
            "host": "hanging.test", "port": port, "user": "u", "sslmode": "require",
            "interval": "1s", "timeout": "2500ms"}}}]}, binary=knowing(scratch, {"hanging.test": addresses}))
        metrics = daemon.until(lambda m: m.all("pgtls_fault_active"), what="a fault")
    fault = metrics.labels("pgtls_fault_active")
    assert (fault["phase"], fault["class"], fault["fault"]) == ("tcp", "network", "tcp_timeout")
    assert metrics.value("pgtls_phase_duration_seconds_count", phase="tcp") == 0
