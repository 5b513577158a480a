"""What the soak's servers do to a client, and what the exporter must make of each.

Only acts whose outcome is decided by the bytes and not by a race. Left out, because two outcomes are right:
a reset at accept (before or after the client has sent something), a reset right behind the handshake or an
answer (before or after the client has read it), and a close while the client is about to speak."""

import re
import struct
from dataclasses import dataclass

import misbehave
from lab.servers import ROOT
from misbehave import AUTH_OK, BEHAVIOURS, READY, Gone, error_response, first_message, message

HOWS = {"notify": "close_notify", "fin": "fin", "rst": "rst"}
CHECK = b"SELECT 1\0"


@dataclass(frozen=True)
class Act:
    """`behaviour` is played; it has been when it has counted `done` (and, if it stalls, when the client has waited
    for its whole timeout). Then the probe has this fault, or is good."""
    behaviour: str
    fault: str = None
    done: str = "first_message"
    stalls: bool = False
    close: tuple = None   # (phase, how): also in pgtls_ssl_closes_total
    hba: str = None       # also in pgtls_hba_rejections_total
    certificate: str = "good"
    tls12: bool = False
    listens: bool = True


def _stall(behaviour, fault):
    return Act(behaviour, fault, done="stall", stalls=True)


def _close(behaviour, fault, phase):
    how = HOWS[behaviour.split("_")[0]]
    return Act(behaviour, fault, done=how, close=(phase, how))


def _hello(behaviour, fault):
    return Act(behaviour, fault, done="instead_of_server_hello")


EXTRA = {
    "starting_up": first_message(error_response("57P03", b"the database system is starting up", F=b"postmaster.c",
                                                R=b"ProcessStartupPacket")),
    "database_missing": first_message(error_response("3D000", b'database "d" does not exist', F=b"postinit.c",
                                                     R=b"InitPostgres")),
    "full": first_message(error_response("53300", b"sorry, too many clients already", F=b"proc.c",
                                         R=b"InitProcess")),
}

GOOD = Act("healthy", done="client_message_X")  # its Terminate: it has read everything
PLAIN = {
    "healthy": GOOD,
    "healthy_tls12": Act("healthy", done="client_message_X", tls12=True),
    "expired": Act("healthy", "server_cert_expired", done="handshake", certificate="expired"),
    "wrong_name": Act("healthy", "server_cert_name_mismatch", done="handshake", certificate="wrong_name"),
    "refuse": Act(None, "tcp_refused", listens=False),
    "n": Act("answer_n", "ssl_not_supported", done="answer"),
    "error_v3": Act("answer_error_v3", "too_many_connections", done="answer"),
    "error_v2": Act("answer_error_v2", "sslreq_error_v2", done="answer"),
    "garbage": Act("answer_garbage", "sslreq_garbage", done="answer"),
    "http": Act("answer_http", "sslreq_garbage", done="answer"),
    "alert_for_s": Act("answer_tls_alert", "sslreq_peer_speaks_tls", done="answer"),
    "s_and_more": Act("answer_s_and_more", "sslreq_extra_bytes", done="answer"),
    "silent_at_accept": _stall("stall_at_accept", "sslreq_timeout"),
    "silent_for_s": _stall("stall_after_ssl_request", "sslreq_timeout"),
    "silent_after_s": _stall("stall_after_s", "tls_timeout"),
    "silent_for_hello": _stall("stall_after_client_hello", "tls_timeout"),
    "silent_mid_handshake": _stall("stall_mid_handshake", "tls_timeout"),
    "silent_after_handshake": _stall("stall_after_handshake", "startup_timeout"),
    "silent_for_startup": _stall("stall_after_startup", "startup_timeout"),
    "dribble": Act("drip", "tls_timeout", done="ssl_request", stalls=True),
    "fin_at_accept": Act("fin_at_accept", "sslreq_closed", done="fin"),
    "fin_for_s": Act("fin_after_ssl_request", "sslreq_closed", done="fin"),
    "rst_for_s": Act("rst_after_ssl_request", "sslreq_reset", done="rst"),
    "notify_for_hello": Act("alert_close_notify", "tls_closed_notify", done="instead_of_server_hello",
                            close=("tls", "close_notify")),
    "fin_for_hello": _close("fin_after_client_hello", "tls_closed", "tls"),
    "rst_for_hello": _close("rst_after_client_hello", "tls_reset", "tls"),
    "fin_mid_handshake": _close("fin_mid_handshake", "tls_closed", "tls"),
    "plaintext": Act("plaintext_in_tls", "tls_peer_not_tls", done="plaintext"),
    "handshake_failure": _hello("alert_handshake_failure", "tls_no_shared_parameters"),
    "protocol_version": _hello("alert_protocol_version", "tls_version_mismatch"),
    "internal_error": _hello("alert_internal_error", "tls_server_internal_error"),
    "notify_for_startup": _close("notify_after_startup", "ssl_closed_after_handshake", "startup"),
    "fin_for_startup": _close("fin_after_startup", "ssl_eof_after_handshake", "startup"),
    "rst_for_startup": _close("rst_after_startup", "ssl_reset_after_handshake", "startup"),
    "notify_after_auth": _close("notify_after_auth", "closed_after_auth", "startup"),
    "fin_after_auth": _close("fin_after_auth", "eof_after_auth", "startup"),
    "scram": Act("fin_at_auth_request", done="fin"),
    "garbage_in_tls": Act("garbage_in_tls", "tls_protocol_error", done="startup"),
    "http_in_tls": Act("http_in_tls", "startup_garbage"),
    "length_negative": Act("length_negative", "startup_garbage"),
    "length_huge": Act("length_huge", "startup_garbage"),
    "oversized": Act("oversized_error", "startup_garbage", done="startup"),
    "no_entry": Act("no_entry", "hba_no_entry_ssl", hba="no_entry"),
    "out_of_memory": Act("out_of_memory", "server_out_of_resources"),
    "unheard_of": Act("unheard_of", "error_response_other"),
    "auth_timeout": Act("auth_timeout", "auth_timeout_server"),
    "full": Act("full", "too_many_connections"),
    "starting_up": Act("starting_up", "starting_up"),
    "database_missing": Act("database_missing", "database_missing"),
}

# On a server that is logged in to: what comes of the login's query. Earlier acts are left out here, whether a
# connection was to be an inspect or a login could not be told.
LOGIN = {
    "healthy": GOOD,
    "canceled": Act("login", "query_canceled"),
    "notify": Act("login", "closed_after_auth", close=("query", "close_notify")),
    "fin": Act("login", "eof_after_auth", close=("query", "fin")),
    "rst": Act("login", "reset_after_auth", close=("query", "rst")),
    "stall": Act("login", "session_stalled", stalls=True),
}
# On one with a watched session, which is good to everybody else, all is well until something ends the session.
SESSION = {"healthy": GOOD}
ACTS = {"plain": PLAIN, "login": LOGIN, "session": SESSION}
CUTS = ("close_notify", "fin", "rst", "server_message", "timeout", "protocol_error")


def answer_login(c, site):
    """Everybody gets in; what follows tells an inspect (Terminate), a login (a query, Terminate) and a session (its
    login's query, `SELECT 1` after a while) from each other. Returns what to count, None: what the act says."""
    c.up()
    c.startup()
    c.send(AUTH_OK + READY)
    kind, _ = c.client_message()
    if kind == b"X":
        c.drain_and_close()
        return {"good:inspect": 1}
    if site.name != "healthy":
        return _bad_login(c, site.name)
    c.send(_result(*WHAT_A_LOGIN_ASKS))
    kind, body = c.client_message()
    if kind == b"X":
        c.drain_and_close()
        return {"good:login": 1}
    return {"session": 1, f"drop:{_session(c, site)}": 1} if body == CHECK else {"unplayed": 1}


def _result(*values):
    """A row of texts, and that there are no more."""
    column = b"c\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
    cells = b"".join(struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v for v in values)
    return (message(b"T", struct.pack("!h", len(values)) + column * len(values))
            + message(b"D", struct.pack("!h", len(values)) + cells)
            + message(b"C", b"SELECT 1\0") + message(b"Z", b"I"))


WHAT_A_LOGIN_ASKS = (b"4711", b"15.0", b"f", b"off", b"127.0.7.1 5432", None)


def _bad_login(c, name):
    if name == "canceled":
        kind = b"Q"
        while kind == b"Q":  # it asks for less when it is refused
            c.send(error_response("57014", b"canceling statement due to statement timeout", severity=b"ERROR")
                   + message(b"Z", b"I"))
            kind, _ = c.client_message()
        c.drain_and_close()
    elif name == "stall":
        c.stalled()
    else:
        getattr(c, name)()


def _session(c, site):
    """Answers a check or a few, and cuts it right behind an answer, when the client has nothing to say for a while."""
    for _ in range(site.dice.randint(0, 3)):
        c.send(_result(b"1"))
        kind, body = c.client_message()
        if kind != b"Q" or body != CHECK:
            return "left"  # of its own accord
    how = site.dice.choice(CUTS)
    if how == "timeout":
        c.stalled()
        return how
    c.send(_result(b"1"))
    if how == "server_message":
        c.send(error_response("57P01", b"terminating connection due to administrator command"))
        c.drain_and_close()
    elif how == "protocol_error":
        c.raw(b"\x17\x03\x03\x00\x20" + bytes(32))
        c.drain_and_close()
    else:
        {"close_notify": c.notify, "fin": c.fin, "rst": c.rst}[how]()
    return how


def classes():
    """Fault id → class, from the catalogue's page."""
    found, kind = {}, None
    for line in (ROOT / "docs" / "faults.md").read_text().splitlines():
        if match := re.match(r"## Class (\w+)", line):
            kind = match[1]
        elif kind and (match := re.match(r"### (\w+)", line)):
            found[match[1]] = kind
    return found


def expected(act):
    """What one connection that was played to its end adds to each of the exporter's counters."""
    if act.fault is None:
        return {"probes": 1, "good:inspect": 1}
    keys = {"probes": 1, f"class:{classes_of[act.fault]}": 1, f"fault:{act.fault}": 1}
    if act.close:
        keys[f"close:{act.close[0]}:{act.close[1]}"] = 1
    if act.hba:
        keys[f"hba:{act.hba}"] = 1
    return keys


classes_of = classes()
