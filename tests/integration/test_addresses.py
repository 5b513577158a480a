"""Names of several addresses, some of which do not answer. In a mount namespace, for a hosts file of
its own: this takes root."""

import contextlib
import socket

from lab.exporter import BINARY


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
    hosts = scratch / "hosts"
    hosts.write_text("127.0.0.3 hanging.test\n127.0.0.5 hanging.test\n")
    wrapper = scratch / "with-hosts"
    wrapper.write_text(f'#!/bin/sh\nexec unshare -m -- sh -c \'mount --bind {hosts} /etc/hosts && exec "$@"\' '
                       f'sh {BINARY} "$@"\n')
    wrapper.chmod(0o755)
    with hanging("127.0.0.3", "127.0.0.5") as port:
        daemon = exporter({"clusters": [{"name": "lab", "endpoints": {"write": {
            "host": "hanging.test", "port": port, "user": "u", "sslmode": "require",
            "interval": "1s", "timeout": "2500ms"}}}]}, binary=wrapper)
        metrics = daemon.until(lambda m: m.all("pgtls_fault_active"), what="a fault")
    fault = metrics.labels("pgtls_fault_active")
    assert (fault["phase"], fault["class"], fault["fault"]) == ("tcp", "network", "tcp_timeout")
    assert metrics.value("pgtls_phase_duration_seconds_count", phase="tcp") == 0
