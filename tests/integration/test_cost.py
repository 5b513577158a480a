"""What an explanation costs: instructions as valgrind's callgrind counts them, which no other load on the
machine changes."""

import re
import subprocess

import pytest

from lab import exporter as lab_exporter
from lab.process import clean_environment

# Misbehaviour → the fault, told by how the connection closed, by SQLSTATE and the server's words, and not
# at all after everything was looked at.
FAULTS = {"notify_after_startup": "ssl_closed_after_handshake", "no_entry": "hba_no_entry_ssl",
          "unheard_of": "error_response_other"}

# Everything that `probe` does with one CA file, side attempts and report included: some 6 ms of a core.
# Measured: 20 million, 275 with the system's bundle, of which OpenSSL needs 248 to read it.
ALL_INSTRUCTIONS = 40_000_000


def counted(arguments, scratch):
    """The output, and instructions by function, those that it called included."""
    file = scratch / "callgrind.out"
    result = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}", "--error-exitcode=99",
         lab_exporter.BINARY, *arguments], text=True, capture_output=True, timeout=120, check=False,
        cwd="/", env=clean_environment())
    table = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", file], text=True,
                           capture_output=True, check=True).stdout
    counts = {}
    for number, function in re.findall(r"^ *([\d,]+) .*:(\w+)(?:'\d+)? \[", table, re.M):
        counts.setdefault(function, int(number.replace(",", "")))
    return result.stdout, counts


@pytest.mark.parametrize("how", FAULTS)
def test_classifying_costs_nothing_beside_the_handshake(lab, trust, scratch, how):
    server = lab.misbehave(how, trust.root.issue("db", hosts=["localhost"]))
    text, counts = counted(
        ["probe", "--no-login", "--timeout=30s",
         f"host=localhost port={server.port} user=u sslmode=verify-full sslrootcert={trust.root_file}"], scratch)
    assert FAULTS[how] in text
    classify, handshake = counts["fault_classify"], counts["tls_conn_handshake"]
    print(f"{how}: classify {classify}, handshake {handshake}, all {counts['command_probe']}")
    assert classify * 200 < handshake
    assert counts["command_probe"] < ALL_INSTRUCTIONS
