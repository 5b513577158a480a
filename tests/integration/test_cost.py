"""What a probe and an explanation cost: instructions as valgrind's callgrind counts them, which no other load on the
machine changes."""

import re
import subprocess

import pytest

from lab import exporter as lab_exporter
from lab.process import Program, clean_environment, wait_for

# Misbehaviour → the fault, told by how the connection closed, by SQLSTATE and the server's words, and not
# at all after everything was looked at.
FAULTS = {"notify_after_startup": "ssl_closed_after_handshake", "no_entry": "hba_no_entry_ssl",
          "unheard_of": "error_response_other"}

# Everything that `probe` does with one CA file, side attempts and report included: some 6 ms of a core.
# Measured: 24 million, 145 with the system's bundle, of which OpenSSL needs some 115 to read it.
ALL_INSTRUCTIONS = 40_000_000


def counted(arguments, scratch):
    """The output, and instructions by function, those that it called included."""
    file = scratch / "callgrind.out"
    result = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}", "--error-exitcode=99",
         lab_exporter.BINARY, *arguments], text=True, capture_output=True, timeout=120, check=False,
        cwd="/", env=clean_environment())
    return result.stdout, annotated(file)


def annotated(file, *more):
    """Instructions by function, those that it called included."""
    table = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", *more, file], text=True,
                           capture_output=True, check=True).stdout
    counts = {}
    for number, function in re.findall(r"^ *([\d,]+) .*:(\w+)(?:'\d+)? \[", table, re.M):
        counts.setdefault(function, int(number.replace(",", "")))
    return counts


def calls(file, function):
    """How often it was called."""
    table = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--tree=calling", "--threshold=100", file],
                           text=True, capture_output=True, check=True).stdout
    return sum(int(n.replace(",", "")) for n in re.findall(rf">  .*:{function} \(([\d,]+)x\)", table))


def count(program, switch):
    """Switches counting on or off in a program that runs."""
    subprocess.run(["callgrind_control", "-i", switch, str(program.pid)], capture_output=True, check=True, timeout=60,
                   env=clean_environment())


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


# A probe of a healthy server once its chain is known: scheduler, handshake with one ECDSA certificate, the first
# message, classification, fold. Measured: 4.1 million (5.3 where OpenSSL looks through all that it has for each
# key), of which 0.37 million are not its handshake but all the rest; a handshake that was under way when counting
# began may count as such, too.
PROBE_INSTRUCTIONS = 4_800_000
OWN_INSTRUCTIONS = 650_000
PROBES = 25


def test_a_probe_cycle_stays_within_its_budget(lab, trust, scratch):
    server = lab.misbehave("healthy", trust.root.issue("db", hosts=["localhost"]))
    configuration = scratch / "pgtls.yml"
    configuration.write_text(
        f"defaults: {{interval: 200ms, timeout: 15s, sslmode: verify-full, sslrootcert: {trust.root_file}}}\n"
        f"clusters: [{{name: db, host: localhost, port: {server.port}, user: u, login: false}}]\n")
    file = scratch / "callgrind.out"
    program = Program(["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={file}",
                       lab_exporter.BINARY, "--workers=1", f"--config.file={configuration}",
                       "--web.listen-address=127.0.0.1:0"], scratch / "log", environment=clean_environment())
    try:
        wait_for(lambda: "Server is up" in program.log(), 60, program.log)
        count(program, "on")
        before = server.tally["accepted"]
        wait_for(lambda: server.tally["accepted"] >= before + PROBES, 90, "so many probes, on however busy a machine")
        count(program, "off")
    finally:
        program.stop()
    table = annotated(file)
    probes = calls(file, "fleet_apply")
    cycle, handshake = table["uv_run"] / probes, table["SSL_do_handshake"] / probes
    print(f"{probes} probes: cycle {cycle:.0f}, of which not OpenSSL's handshake {cycle - handshake:.0f}")
    assert probes >= 5
    assert cycle < PROBE_INSTRUCTIONS
    assert cycle - handshake < OWN_INSTRUCTIONS


# Whatever is ready to go goes at once, in one segment: each costs both sides a packet and the server a wake-up.
SEGMENTS = {"user=u": ["SSLRequest", "ClientHello", "Finished and StartupMessage", "Terminate", "close_notify and FIN"],
            "": ["SSLRequest", "ClientHello", "Finished, close_notify and FIN"]}


@pytest.mark.parametrize("user", SEGMENTS)
def test_a_probe_sends_no_segment_more_than_its_round_trips_need(lab, trust, user):
    server = lab.misbehave("healthy", trust.root.issue("db", hosts=["localhost"]))
    before = len(server.segments)
    subprocess.run([lab_exporter.BINARY, "probe", "--no-login",
                    f"host=localhost port={server.port} {user} sslmode=verify-full sslrootcert={trust.root_file}"],
                   check=True, capture_output=True, timeout=60, cwd="/", env=clean_environment())
    wait_for(lambda: len(server.segments) > before, 10, "the end of the connection")
    assert server.segments[before] == len(SEGMENTS[user])  # those behind it are of other attempts
