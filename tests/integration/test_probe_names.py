"""/probe and what names lead to: decided in the moment before each connection."""

import contextlib
import time

from lab.dns import Dns, asking
from test_probe_endpoint import PATIENCE, listener, metrics_of, probe


def test_a_name_leads_nowhere_that_is_not_allowed(lab, trust, exporter, scratch):
    """Decided on the addresses that are connected to, each time: a name that comes to mean something
    else is followed nowhere."""
    server = lab.postgres()
    resolv_conf = scratch / "probe-resolv.conf"
    modules = {"block": {"sslmode": "require", "allow_targets": [f"127.0.0.1/32:{server.port}"], **PATIENCE},
               "both": {"sslmode": "require", "allow_targets": ["*.lab.test:*", "127.0.0.1:*"],
                        "deny_targets": ["127.0.0.66:*"], **PATIENCE},
               "name": {"sslmode": "require", "allow_targets": ["*.lab.test:*"], **PATIENCE}}
    with contextlib.closing(Dns({"db.lab.test": ["127.0.0.1"]})) as dns, listener("127.0.0.66", server.port) as (
            _, connected):
        resolv_conf.write_text(f"nameserver {dns.address}\n")
        one = exporter({"modules": modules}, binary=asking(scratch, resolv_conf))
        target = f"db.lab.test:{server.port}"
        good = metrics_of(probe(one, target, "block"))
        assert good.value("probe_success") == 1
        assert "dns" in {labels["phase"] for labels, _ in good.all("pgtls_probe_phase_seconds")}
        assert metrics_of(probe(one, target, "both")).value("probe_success") == 1
        assert probe(one, target, "name").status == 403  # loopback takes a block
        dns.zone["db.lab.test"] = ["127.0.0.66"]
        for module in modules:
            answer = probe(one, target, module)
            assert answer.status == 403 and "127.0.0.66" not in answer.text, module
        dns.zone["db.lab.test"] = ["127.0.0.66", "127.0.0.1"]  # what is allowed of them is taken
        assert metrics_of(probe(one, target, "block")).value("probe_success") == 1
        dns.zone["db.lab.test"] = ["127.0.0.1", "127.0.0.66"]
        assert metrics_of(probe(one, target, "both")).value("probe_success") == 1
        time.sleep(0.2)
        assert connected() == 0
        del dns.zone["db.lab.test"]
        gone = metrics_of(probe(one, target, "block"))
        assert gone.labels("pgtls_fault_active")["phase"] == "dns"
        assert one.scrape().value("pgtls_probe_requests_total", outcome="forbidden") == 4
