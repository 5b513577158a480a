"""The fault catalogue from outside: for every id at least one server that shows it.

A Row says what is produced and how, in words for docs/comparison.md and as an endpoint of a World.
Real servers wherever a real one can; else a scripted one with a product's own bytes. What a row must
be called is written here by hand, never taken from the program.
"""

import datetime
from dataclasses import dataclass
from typing import Callable

import poolers

from . import certs, island
from .exporter import endpoint_of

DIRECT = "libpq 15 cannot start TLS at once"
OURS = "about the exporter's own side"


@dataclass
class Row:
    fault: str
    phase: str
    how: str
    make: Callable
    name: str = ""
    probe: str = "inspect"
    kind: str = ""     # of a pg_hba rejection
    close: str = ""    # how TLS was closed
    run: str = "main"  # which exporter sees it: main, island, descriptors, memory
    not_libpq: str = ""  # why libpq 15 is not asked, or need not agree

    def __post_init__(self):
        self.name = self.name or self.fault


def scripted(behaviour, **more):
    """An endpoint at a misbehaving server."""
    more = {"user": "u", "dbname": "d", "login": False, **more}
    return lambda w: endpoint_of(w.misbehave(behaviour), **more)


def to(server, **more):
    """An endpoint at a server of the world, by its attribute."""
    return lambda w: endpoint_of(getattr(w, server), **more)


def proxied(name, **more):
    return lambda w: endpoint_of(w.proxy(name), **more)


def named(server, host, **more):
    """The same under another name than its address."""
    return lambda w: {**endpoint_of(getattr(w, server), **more), "host": host,
                      "hostaddr": getattr(w, server).address}


def on_island(host, **more):
    return lambda w: {"host": host, "port": 5432, **more}


def with_password(w):
    return {"password_file": w.password_file}


def _days(n):
    return datetime.datetime.utcnow() + n * certs.DAY


def client(w, name, authority, subject, **more):
    return w.client(name, authority.issue(subject, client=True, **more))


NETWORK = [
    Row("dns_not_found", "dns", "a name server says NXDOMAIN", on_island("missing.island.example"), run="island"),
    Row("dns_temporary", "dns", "a name server says SERVFAIL", on_island("broken.island.example"), run="island"),
    Row("dns_timeout", "dns", "a name server says nothing", on_island("silent.island.example"), run="island"),
    Row("tcp_refused", "tcp", "a port without a listener", lambda w: {"host": "127.0.0.1", "port": w.free_port()}),
    Row("tcp_timeout", "tcp", "a host that answers no SYN", on_island(island.SILENT), run="island"),
    Row("tcp_unreachable", "tcp", "an `unreachable` route", on_island(island.UNREACHABLE), run="island"),
    Row("tcp_reset", "tcp", "a host that resets right behind its SYN-ACK", on_island(island.RESETTING),
        run="island"),
    Row("tcp_error", "tcp", "a `blackhole` route: connect() says EINVAL", on_island(island.BLACK_HOLE),
        run="island"),
    Row("unix_socket_missing", "tcp", "a directory without a socket",
        lambda w: {"host": str(w.directory), "port": 1}),
    Row("connect_denied", "tcp", "a `prohibit` route", on_island(island.PROHIBITED), run="island"),
    Row("connection_lost", "ssl_request", "a host that acknowledges nothing after the SYN-ACK",
        on_island(island.VANISHING), run="island"),
]

SSL_REQUEST = [
    Row("sslreq_closed", "ssl_request", "HAProxy without a working back end", proxied("dead")),
    Row("sslreq_reset", "ssl_request", "a reset instead of an answer", scripted("rst_after_ssl_request")),
    Row("sslreq_timeout", "ssl_request", "a PgBouncer whose process is stopped", to("pooler_stopped")),
    Row("ssl_not_supported", "ssl_request", "PostgreSQL 15 with ssl=off", to("without_tls")),
    Row("sslreq_error_v2", "ssl_request", "PostgreSQL 15 that may not fork (RLIMIT_NPROC)", to("forkless")),
    Row("sslreq_peer_speaks_tls", "ssl_request", "a TLS alert in answer to SSLRequest",
        scripted("answer_tls_alert")),
    Row("sslreq_garbage", "ssl_request", "HAProxy in HTTP mode", proxied("http")),
    Row("sslreq_extra_bytes", "ssl_request", "an SSH server that greets first", scripted("ssh_at_accept"),
        name="sslreq_extra_bytes_ssh", not_libpq="libpq takes the S of SSH for an agreement and waits"),
    Row("sslreq_extra_bytes", "ssl_request", "S and an ErrorResponse in clear (CVE-2021-23222)",
        scripted("answer_s_and_more"), not_libpq="libpq 15 does not see them and waits for a ServerHello"),
]

HANDSHAKE = [
    Row("tls_closed_notify", "tls", "close_notify in answer to the ClientHello", scripted("alert_close_notify"),
        close="close_notify"),
    Row("tls_closed", "tls", "FIN in answer to the ClientHello", scripted("fin_after_client_hello"), close="fin"),
    Row("tls_reset", "tls", "RST in answer to the ClientHello", scripted("rst_after_client_hello"), close="rst"),
    Row("tls_timeout", "tls", "silence in the middle of the handshake", scripted("stall_mid_handshake")),
    Row("tls_version_mismatch", "tls", "PostgreSQL 15 with ssl_max_protocol_version=TLSv1.2 and we want 1.3",
        to("old_tls", ssl_min_protocol_version="TLSv1.3")),
    Row("tls_no_shared_parameters", "tls", "PostgreSQL 15 with ssl_ciphers that its key cannot serve",
        to("old_tls")),
    Row("tls_sni_unrecognized", "tls", "HAProxy with strict-sni",
        lambda w: {**endpoint_of(w.proxy("sni"), negotiation="direct"), "host": "nobody.example",
                   "hostaddr": "127.0.0.1"}, not_libpq=DIRECT),
    Row("tls_alpn_rejected", "tls", "openssl s_server with another ALPN list",
        to("openssl_server", negotiation="direct"), not_libpq=DIRECT),
    Row("tls_alpn_missing", "tls", "HAProxy that ends TLS and has no ALPN list",
        proxied("no-alpn", negotiation="direct"), not_libpq=DIRECT),
    Row("tls_server_internal_error", "tls", "TLS alert 80", scripted("alert_internal_error")),
    Row("tls_peer_not_tls", "tls", "a plaintext ErrorResponse behind S, as Supavisor writes it",
        scripted("supavisor_after_handshake")),
    Row("tls_alert_other", "tls", "TLS alert 47", scripted("alert_illegal_parameter")),
    Row("tls_protocol_error", "tls", "a ServerHello of no bytes", scripted("malformed_server_hello")),
    Row("tls_protocol_error", "startup", "a TLS record that nobody has sealed", scripted("garbage_in_tls"),
        name="tls_protocol_error_later"),
]

CERTIFICATES = [
    Row("client_cert_required", "startup", "PostgreSQL 15, method cert, and we have none",
        to("postgres", user="u_cert")),
    Row("client_cert_required", "startup", "PgBouncer, client_tls_sslmode=verify-full, and we have none",
        to("pooler_wants_certificate"), name="client_cert_required_pgbouncer"),
    Row("client_cert_required", "tls", "the same with TLS 1.2",
        to("pooler_wants_certificate", ssl_max_protocol_version="TLSv1.2"), name="client_cert_required_tls12"),
    Row("client_cert_rejected", "startup", "PostgreSQL 15 and a client certificate that has expired",
        lambda w: endpoint_of(w.postgres, user="u_cert", **client(
            w, "expired", w.root, "u_cert", not_before=_days(-9), not_after=_days(-2)))),
    Row("client_cert_untrusted", "startup", "PostgreSQL 15 and a client certificate of another CA",
        lambda w: endpoint_of(w.postgres, user="u_cert", **client(w, "other", w.other, "u_cert"))),
    Row("client_cert_cn_mismatch", "startup", "PostgreSQL 15, method cert, another role's certificate",
        lambda w: endpoint_of(w.postgres, user="u_cert", **client(w, "wrong", w.root, "u_trust"))),
    Row("client_cert_cn_mismatch", "auth", "PostgreSQL 15, clientcert=verify-full, another role's certificate",
        lambda w: endpoint_of(w.postgres, user="u_full", **with_password(w),
                              **client(w, "full", w.root, "u_trust")),
        name="client_cert_cn_mismatch_scram", probe="login"),
    Row("server_no_client_ca", "startup", "PostgreSQL 15, method cert and no ssl_ca_file",
        to("without_client_ca", user="u_cert")),
    Row("server_cert_expired", "tls", "PgBouncer with an expired certificate",
        lambda w: endpoint_of(w.certified("expired", certs.expired(w.root)))),
    Row("server_cert_not_yet_valid", "tls", "PgBouncer with a certificate of tomorrow",
        lambda w: endpoint_of(w.certified("tomorrow", certs.not_yet_valid(w.root)))),
    Row("server_cert_self_signed", "tls", "PgBouncer with a self-signed certificate",
        lambda w: endpoint_of(w.certified("self-signed", certs.self_signed()))),
    Row("server_cert_untrusted", "tls", "PostgreSQL 15 and another CA in sslrootcert",
        lambda w: endpoint_of(w.postgres, sslrootcert=w.other_file)),
    Row("server_cert_untrusted", "tls", "PgBouncer that does not send its intermediate",
        lambda w: endpoint_of(w.certified("bare", _without_chain(w))), name="server_cert_untrusted_intermediate"),
    Row("server_cert_wrong_purpose", "tls", "PgBouncer with a certificate for clients",
        lambda w: endpoint_of(w.certified("client", w.root.issue(client=True)), sslmode="verify-ca")),
    Row("server_cert_weak_key", "tls", "PostgreSQL 17 with RSA of 1024 bits",
        lambda w: endpoint_of(w.certified("weak-key", w.root.issue(key="rsa1024"), 17))),
    Row("server_cert_weak_signature", "tls", "PostgreSQL 17 with a certificate signed with SHA-1",
        lambda w: endpoint_of(w.certified("weak-signature", w.root.issue(digest=certs.hashes.SHA1()), 17))),
    Row("server_cert_revoked", "tls", "PostgreSQL 15 and its certificate in sslcrl",
        lambda w: endpoint_of(w.postgres, sslcrl=w.file("revoked.crl", w.root.revocations(w.good)))),
    Row("server_cert_name_mismatch", "tls", "PostgreSQL 15 under a name it has no certificate for",
        named("postgres", "db.example")),
    Row("server_cert_invalid", "tls", "PgBouncer with an unknown critical extension",
        lambda w: endpoint_of(w.certified("critical", w.root.issue(critical="1.2.3.4.5")))),
    Row("ca_cert_expired", "tls", "PgBouncer with an intermediate CA that has expired",
        lambda w: endpoint_of(w.certified("old-ca", certs.Authority(
            "Stale", parent=w.root, not_before=_days(-60), not_after=_days(-1)).issue()))),
    Row("crl_unusable", "tls", "PostgreSQL 15 and an sslcrl that should have been renewed",
        lambda w: endpoint_of(w.postgres, sslcrl=w.file("old.crl", w.root.revocations(next_update=_days(-1))))),
    Row("server_cert_pin_mismatch", "tls", "PostgreSQL 15 and the pin of another certificate",
        lambda w: endpoint_of(w.postgres, pin_sha256="ab" * 32), not_libpq="libpq knows no pins"),
]


def _without_chain(w):
    leaf = certs.Authority("Unsent", parent=w.root).issue()
    return certs.Credentials(leaf.certificate, leaf.key, [leaf.certificate])


CLOSES = [
    Row("ssl_closed_after_handshake", "startup", "close_notify in answer to the StartupMessage, as stunnel does",
        scripted("notify_after_startup"), close="close_notify"),
    Row("ssl_eof_after_handshake", "startup", "HAProxy passing TLS through, `timeout server` over",
        proxied("to-silence", user="u", dbname="d"), close="fin"),
    Row("ssl_reset_after_handshake", "startup", "RST in answer to the StartupMessage",
        scripted("rst_after_startup"), close="rst"),
    Row("startup_closed", "startup", "HAProxy without a working back end, in clear",
        proxied("dead", sslmode="disable")),
    Row("startup_timeout", "startup", "a PgBouncer whose process is stopped, in clear",
        to("pooler_stopped", sslmode="disable")),
    Row("startup_garbage", "startup", "HAProxy in HTTP mode, in clear", proxied("http", sslmode="disable")),
    Row("error_response_v2", "startup", "PostgreSQL 15 that may not fork, in clear",
        to("forkless", sslmode="disable")),
    Row("closed_during_auth", "auth", "PostgreSQL 15 waiting for RADIUS, authentication_timeout over",
        lambda w: endpoint_of(w.postgres, user="u_radius", allow_auth=["password"], timeout="8s",
                              login={"interval": "4s"}, **with_password(w)), probe="login", close="close_notify"),
    Row("eof_during_auth", "auth", "the same through HAProxy, `timeout server` over",
        lambda w: endpoint_of(w.proxy("to-patient"), user="u_radius", allow_auth=["password"], timeout="8s",
                              **with_password(w)), probe="login", close="fin"),
    Row("reset_during_auth", "auth", "RST after the request for SCRAM",
        scripted("rst_during_auth", login={"interval": "1s"}, password="p"), probe="login", close="rst"),
    Row("auth_stalled", "auth", "PostgreSQL 15 waiting for RADIUS",
        lambda w: endpoint_of(w.postgres, user="u_radius", allow_auth=["password"], **with_password(w)),
        probe="login"),
    Row("auth_closed", "auth", "PostgreSQL 15 waiting for RADIUS, through HAProxy, in clear",
        lambda w: endpoint_of(w.proxy("to-patient"), user="u_radius", allow_auth=["password"], timeout="8s",
                              sslmode="disable", **with_password(w)), probe="login"),
    Row("closed_after_auth", "startup", "close_notify after AuthenticationOk", scripted("notify_after_auth"),
        close="close_notify"),
    Row("eof_after_auth", "query", "PgBouncer, paused, through HAProxy, `timeout server` over",
        proxied("to-paused"), probe="login", close="fin"),
    Row("reset_after_auth", "startup", "RST after AuthenticationOk", scripted("rst_after_auth"), close="rst"),
    Row("session_stalled", "query", "PgBouncer, paused", to("pooler_paused"), probe="login"),
    Row("session_closed", "query", "PgBouncer, paused, through HAProxy, in clear",
        proxied("to-paused-plain", sslmode="disable"), probe="login"),
]

HBA = [
    Row("hba_no_entry_ssl", "startup", "PostgreSQL 15 without a line for the role",
        to("postgres", user="u_noentry"), kind="no_entry"),
    Row("hba_no_entry_nossl", "startup", "PostgreSQL 15 with a hostssl line only, in clear",
        to("postgres", user="u_sslonly", sslmode="disable"), kind="no_encryption"),
    Row("hba_reject_rule_ssl", "startup", "PostgreSQL 15 with a reject line", to("postgres", user="u_reject"),
        kind="rejected"),
    Row("hba_reject_rule_nossl", "startup", "PostgreSQL 15 with a hostnossl reject line, in clear",
        to("postgres", user="u_plainreject", sslmode="disable"), kind="no_encryption"),
    Row("hba_rejected", "startup", "PostgreSQL 15 in German without a line for the role",
        to("german", user="u_noentry"), kind="unspecified"),
    Row("hba_rejected_nossl", "startup", "the same in clear", to("german", user="u_noentry", sslmode="disable"),
        kind="no_encryption"),
    Row("hba_reject_rule_pooler", "startup", "PgBouncer with a reject line in auth_hba_file",
        to("pooler_hba", user="u_reject"), kind="pooler"),
    Row("ssl_required_by_pooler", "startup", "PgBouncer with client_tls_sslmode=require, in clear",
        to("pooler", sslmode="disable"), kind="pooler"),
    Row("pooler_backend_hba_rejection", "startup", "PgBouncer in front of a PostgreSQL 15 that refuses it",
        to("pooler", user="u_noentry"), kind="pooler"),
]

AUTHENTICATION = [
    Row("password_failed", "auth", "PostgreSQL 15, SCRAM, wrong password",
        to("postgres", user="u_scram", password="wrong"), probe="login"),
    Row("password_missing", "auth", "PostgreSQL 15, SCRAM, no password", to("postgres", user="u_scram"),
        probe="login"),
    Row("auth_external_failed", "startup", "PostgreSQL 15, method ident, nobody answers it",
        to("postgres", user="u_ident")),
    Row("auth_external_failed", "auth", "PostgreSQL 15, method ldap, no LDAP server",
        lambda w: endpoint_of(w.postgres, user="u_ldap", allow_auth=["password"], **with_password(w)),
        name="auth_external_failed_ldap", probe="login"),
    Row("scram_channel_binding", "auth", "PgBouncer 1.18 and channel_binding=require",
        lambda w: endpoint_of(w.pooler_scram, user="u_scram", channel_binding="require", **with_password(w)),
        probe="login"),
    Row("auth_method_unsupported", "auth", "PostgreSQL 15, method gss", to("postgres", user="u_gss", password="p"),
        probe="login"),
    Row("auth_method_refused", "auth", "PostgreSQL 15, method password, and no allow_auth",
        lambda w: endpoint_of(w.postgres, user="u_password", **with_password(w)), probe="login",
        not_libpq="libpq 15 hands the password over"),
    Row("role_missing", "startup", "PostgreSQL 15, method trust, no such role", to("postgres", user="u_ghost")),
    Row("role_nologin", "startup", "PostgreSQL 15, a role without LOGIN", to("postgres", user="u_nologin")),
    Row("role_invalid", "startup", "PostgreSQL 15 in German, no such role", to("german", user="u_ghost")),
    Row("database_missing", "startup", "PostgreSQL 15, no such database", to("postgres", dbname="nowhere")),
    Row("database_missing", "startup", "PgBouncer, no such database", to("pooler", dbname="nowhere"),
        name="database_missing_pgbouncer"),
    Row("database_no_connect_privilege", "startup", "PostgreSQL 15, CONNECT revoked",
        to("postgres", user="u_stranger", dbname="private")),
    Row("database_not_accepting", "startup", "PostgreSQL 15, allow_connections false",
        to("postgres", dbname="closed_db")),
]

CAPACITY = [
    Row("too_many_connections", "startup", "PostgreSQL 15 with every connection in use", to("full")),
    Row("too_many_connections_role", "startup", "PostgreSQL 15, a role with CONNECTION LIMIT 0",
        to("postgres", user="u_limited")),
    Row("too_many_connections_database", "startup", "PostgreSQL 15, a database with CONNECTION LIMIT 0",
        to("postgres", dbname="crowded")),
    Row("server_out_of_resources", "startup", "PostgreSQL's words when memory is out", scripted("out_of_memory")),
    Row("starting_up", "startup", "PostgreSQL 15, a standby whose archive hangs", to("starting")),
    Row("shutting_down", "startup", "PostgreSQL 15 in a smart shutdown while somebody stays",
        to("shutting_down", user="postgres", dbname="postgres")),
    Row("in_recovery", "startup", "PostgreSQL 15 after one of its processes was killed",
        to("crashing", user="postgres", dbname="postgres", login=False), run="crash"),
    Row("not_accepting", "startup", "PostgreSQL 15, a standby with hot_standby=off", to("cold_standby")),
    Row("terminated_during_startup", "query", "PostgreSQL 15, pg_terminate_backend of our session",
        to("locked", user="u_killed", dbname="locked", timeout="5s"), probe="login"),
    Row("auth_timeout_server", "startup", "PostgreSQL's words when authentication takes too long",
        scripted("auth_timeout")),
    Row("query_canceled", "query", "PostgreSQL 15, statement_timeout while a lock is held",
        to("locked", user="u_slow", dbname="locked"), probe="login"),
    Row("query_failed", "query", "PostgreSQL 15, EXECUTE on pg_is_in_recovery() revoked",
        to("postgres", dbname="noquery"), probe="login"),
    Row("startup_parameter_rejected", "startup", "PostgreSQL 15, options=-c nonsense=1",
        to("postgres", options="-c nonsense=1")),
    Row("startup_parameter_rejected", "startup", "PgBouncer and options", to("pooler", options="-c geqo=off"),
        name="startup_parameter_rejected_pgbouncer"),
    Row("protocol_unsupported", "startup", "PostgreSQL's words for another protocol version",
        scripted("old_protocol_only")),
    Row("protocol_violation", "startup", "PostgreSQL's words for a broken startup packet",
        scripted("says_we_broke_it")),
    Row("server_error", "startup", "PostgreSQL 15, a file of the database is gone",
        to("postgres", dbname="damaged")),
    Row("pooler_max_client_conn", "startup", "PgBouncer with max_client_conn=1, in use", to("pooler_full")),
    Row("pooler_login_timeout", "startup", "PgBouncer with nobody behind it, client_login_timeout=1",
        to("pooler_alone")),
    Row("pooler_queue_timeout", "query", "PgBouncer, its only server connection in use, query_wait_timeout=1",
        to("pooler_busy"), probe="login"),
    Row("pooler_backend_login_failed", "query", "PgBouncer whose server refuses it, and it remembers",
        to("pooler_mistaken", user="u_mistaken"), probe="login"),
    Row("pooler_database_disabled", "startup", "PgBouncer, DISABLE of the database", to("pooler_disabled")),
    Row("error_response_other", "startup", "an SQLSTATE that nobody has heard of", scripted("unheard_of")),
]

EXPECTED = [
    Row("expected_refusal_missing", "startup", "PostgreSQL 15 that lets in whom it should refuse (`expect`)",
        to("postgres", user="u_trust", login=False, expect={"fault": "hba_no_entry_ssl"}),
        not_libpq="libpq expects nothing"),
]

LOCAL = [
    Row("local_descriptors", "tcp", "RLIMIT_NOFILE used up by servers that hang",
        scripted("stall_after_ssl_request"), run="descriptors", not_libpq=OURS),
    Row("local_memory", "tcp", "connect() says ENOMEM (seccomp)", to("postgres"), run="memory", not_libpq=OURS),
    Row("local_file", "tls", "sslrootcert that does not exist",
        lambda w: endpoint_of(w.postgres, sslrootcert=str(w.directory / "nowhere.crt"))),
    Row("local_secret", "tcp", "password_file that does not exist",
        lambda w: endpoint_of(w.postgres, user="u_scram", password_file=str(w.directory / "nowhere.password")),
        not_libpq=OURS, probe="login"),
    Row("local_other", "tcp", "a route without an address to go out with: EADDRNOTAVAIL",
        on_island(island.SOURCELESS), run="island", not_libpq=OURS),
]

# What each saying of a product must be called, and as which kind of rejection it counts.
SAYINGS = {
    "pgbouncer_no_auth_method": ("hba_no_entry_pooler", "pooler"),
    "pgbouncer_user_limit": ("pooler_max_client_conn", ""),
    "pgbouncer_shutting_down": ("pooler_shutting_down", ""),
    "pgbouncer_cannot_connect": ("pooler_backend_down", ""),
    "pgbouncer_cached_error": ("pooler_backend_login_failed", ""),
    "pgbouncer_relayed_role": ("role_missing", ""),
    "pgbouncer_relayed_german_hba": ("pooler_backend_hba_rejection", "pooler"),
    "odyssey_ssl_required": ("ssl_required_by_pooler", "pooler"),
    "odyssey_hba": ("hba_reject_rule_pooler", "pooler"),
    "odyssey_blocked": ("authorization_rejected", ""),
    "odyssey_route": ("database_missing", ""),
    "odyssey_password": ("password_failed", ""),
    "odyssey_scram_password": ("password_failed", ""),
    "odyssey_certificate": ("client_cert_cn_mismatch", ""),
    "odyssey_client_max": ("pooler_max_client_conn", ""),
    "odyssey_route_max": ("pooler_max_client_conn", ""),
    "odyssey_backend_down": ("pooler_backend_down", ""),
    "pgpool_hba": ("hba_no_entry_pooler", "pooler"),
    "pgpool_certificate": ("client_cert_required", ""),
    "pgpool_passwd": ("password_failed", ""),
    "pgpool_backend": ("pooler_backend_login_failed", ""),
    "pgpool_reserved": ("pooler_max_client_conn", ""),
    "pgpool_empty": ("error_response_v2", ""),
    "pgcat_no_pool": ("database_missing", ""),
    "pgcat_password": ("password_failed", ""),
    "supavisor_tenant": ("role_missing", ""),
    "supavisor_old_tenant": ("role_missing", ""),
    "supavisor_ssl_required": ("ssl_required_by_pooler", "pooler"),
    "supavisor_address": ("ip_not_allowed", "pooler"),
    "supavisor_clients": ("pooler_max_client_conn", ""),
    "supavisor_checkout": ("pooler_queue_timeout", ""),
    "supavisor_breaker": ("tenant_blocked", ""),
    "supavisor_auth_timeout": ("auth_timeout_server", ""),
    "neon_insecure": ("ssl_required_by_pooler", "pooler"),
    "neon_endpoint": ("sni_missing", ""),
    "neon_address": ("ip_not_allowed", "pooler"),
    "neon_network": ("ip_not_allowed", "pooler"),
    "neon_password": ("password_failed", ""),
    "neon_clients": ("pooler_max_client_conn", ""),
    "neon_compute": ("pooler_backend_down", ""),
    "neon_control_plane": ("pooler_backend_down", ""),
    "rds_proxy_tls": ("ssl_required_by_pooler", "pooler"),
    "rds_proxy_password": ("password_failed", ""),
    "rds_proxy_credentials": ("role_missing", ""),
    "rds_proxy_iam": ("auth_external_failed", ""),
    "rds_proxy_clients": ("pooler_max_client_conn", ""),
    "rds_proxy_borrow": ("pooler_queue_timeout", ""),
    "rds_proxy_backend": ("pooler_backend_login_failed", ""),
    "azure_gateway_ssl": ("ssl_required_by_pooler", "pooler"),
    "cockroach_secure": ("ssl_required_by_pooler", "pooler"),
    "cockroach_hba": ("hba_no_entry_ssl", "no_entry"),
    "cockroach_reject": ("hba_reject_rule_ssl", "rejected"),
    "cockroach_nologin": ("role_nologin", ""),
    "cockroach_password": ("password_failed", ""),
    "cockroach_draining": ("shutting_down", ""),
    "pgdog_tls": ("ssl_required_by_pooler", "pooler"),
    "pgdog_password": ("password_failed", ""),
}


def _saying(name):
    fault, kind = SAYINGS[name]
    product, place, _ = poolers.SAYINGS[name]
    phase = {poolers.ANSWER: "ssl_request", poolers.QUERY: "query"}.get(place, "startup")
    more = {"sslmode": "disable"} if place == poolers.PLAIN else {}
    if place == poolers.QUERY:
        more["login"] = {"interval": "1s"}
    return Row(fault, phase, f"{product}: its own words, scripted", scripted(name, **more), name=name, kind=kind,
               probe="login" if place == poolers.QUERY else "inspect")


ROWS = [*NETWORK, *SSL_REQUEST, *HANDSHAKE, *CERTIFICATES, *CLOSES, *HBA, *AUTHENTICATION, *CAPACITY, *EXPECTED, *LOCAL,
        *map(_saying, SAYINGS)]
