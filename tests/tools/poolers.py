"""What poolers, proxies and managed services say when they refuse somebody, byte for byte.

Each product fills an ErrorResponse in its own way: which fields, in which order, and which SQLSTATE.
The texts are English only. Those of PgBouncer, Odyssey and Pgpool were recorded from the products
(PgBouncer 1.18 and 1.26, Odyssey 1.5, Pgpool 4.3 and 4.7); the others are from their source or
documentation. SAYINGS maps a name to (product, where it is sent, bytes).
"""

import struct

ADDRESS, USER, DATABASE = b"192.0.2.1", b"u", b"d"


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def _fields(*pairs):
    return message(b"E", b"".join(name + value + b"\0" for name, value in pairs) + b"\0")


def pgbouncer(text, code=b"08P01"):
    return _fields((b"S", b"FATAL"), (b"C", code), (b"M", text))


def odyssey(text, code, hint=None):
    more = [(b"H", hint)] if hint else []
    return _fields((b"S", b"FATAL"), (b"C", code), *more, (b"M", b"odyssey: c3f1a09b7e2d4: " + text))


def pgpool(text, code=b"XX000", detail=None, file=b"auth/pool_auth.c"):
    more = [(b"D", detail)] if detail else []
    return _fields((b"S", b"FATAL"), (b"V", b"FATAL"), (b"C", code), (b"M", text), *more,
                   (b"F", file), (b"L", b"1215"))


def pgcat(text, code=b"58000"):
    return _fields((b"S", b"FATAL"), (b"V", b"FATAL"), (b"C", code), (b"M", text))


def supavisor(text, code=b"XX000"):
    return _fields((b"S", b"FATAL"), (b"V", b"FATAL"), (b"C", code), (b"M", text))


def neon(text):
    return _fields((b"S", b"ERROR"), (b"C", b"XX000"), (b"M", text))


def rds_proxy(text, code=b"28000"):
    return _fields((b"S", b"FATAL"), (b"C", code), (b"M", text))


def cockroach(text, code, routine=b"handleAuthentication", file=b"auth.go"):
    return _fields((b"S", b"ERROR"), (b"C", code), (b"M", text), (b"F", file), (b"L", b"92"),
                   (b"R", routine))


def pgdog(text, code=b"28000"):
    return _fields((b"S", b"FATAL"), (b"C", code), (b"M", text))


# Where a text is sent: instead of S or N, in answer to the StartupMessage over TLS or in clear, after
# AuthenticationOk, or in answer to the first query.
FIRST, PLAIN, ANSWER, AFTER_AUTH, QUERY = "first", "plain", "answer", "after_auth", "query"

SAYINGS = {
    "pgbouncer_no_auth_method": ("PgBouncer 1.26", FIRST, pgbouncer(b"no authentication method is found")),
    "pgbouncer_user_limit": ("PgBouncer 1.26", FIRST, pgbouncer(
        b"client connections exceeded (max_user_client_connections)")),
    "pgbouncer_shutting_down": ("PgBouncer", FIRST, pgbouncer(b"pooler shutting down")),
    "pgbouncer_cannot_connect": ("PgBouncer before 1.9", FIRST, pgbouncer(
        b"pgbouncer cannot connect to server")),
    "pgbouncer_cached_error": ("PgBouncer 1.26", FIRST, pgbouncer(
        b"cached error: password authentication failed for user \"u\"", b"28P01")),
    "pgbouncer_relayed_role": ("PgBouncer 1.18", FIRST, pgbouncer(b"role \"u\" does not exist")),
    "pgbouncer_relayed_german_hba": ("PgBouncer 1.26", FIRST, pgbouncer(
        "kein pg_hba.conf-Eintrag für Host »192.0.2.1«, Benutzer »u«, Datenbank »d«, keine Verschlüsselung"
        .encode(), b"28000")),
    "odyssey_ssl_required": ("Odyssey", PLAIN, odyssey(b"SSL is required", b"08P01")),
    "odyssey_hba": ("Odyssey", FIRST, odyssey(b"host based authentication rejected", b"28P01")),
    "odyssey_blocked": ("Odyssey", FIRST, odyssey(b"user blocked: d u", b"28000")),
    "odyssey_route": ("Odyssey", FIRST, odyssey(b"route for 'd.u' is not found", b"3D000")),
    "odyssey_password": ("Odyssey", FIRST, odyssey(b"password authentication failed for user", b"28P01")),
    "odyssey_scram_password": ("Odyssey", FIRST, odyssey(
        b"password authentication failed for user", b"28000")),
    "odyssey_certificate": ("Odyssey", FIRST, odyssey(
        b"certificate authentication failed for user", b"28P01")),
    "odyssey_client_max": ("Odyssey", ANSWER, odyssey(
        b"too many tcp connections (global client_max 100)", b"53300")),
    "odyssey_route_max": ("Odyssey", FIRST, odyssey(
        b"too many client tcp connections (client_max for user d.u 10)", b"53300")),
    "odyssey_backend_down": ("Odyssey", AFTER_AUTH, odyssey(
        b"failed to connect to remote server s5d1c8d7d3f6c", b"08006")),
    "pgpool_hba": ("Pgpool", FIRST, pgpool(
        b"client authentication failed", detail=b"no pool_hba.conf entry for host \"192.0.2.1\", user \"u\", "
        b"database \"d\", SSL on", file=b"pool_hba.c")),
    "pgpool_certificate": ("Pgpool", FIRST, pgpool(
        b"CERT authentication failed", detail=b"no valid certificate presented")),
    "pgpool_passwd": ("Pgpool", FIRST, pgpool(
        b"SCRAM authentication failed", detail=b"pool_passwd file does not contain an entry for \"u\"")),
    "pgpool_backend": ("Pgpool", FIRST, pgpool(b"backend authentication failed")),
    "pgpool_reserved": ("Pgpool", ANSWER, pgpool(
        b"Sorry, too many clients already", b"53300", file=b"protocol/child.c")),
    "pgpool_empty": ("Pgpool", FIRST, _fields()),
    "pgcat_no_pool": ("pgcat", FIRST, pgcat(
        b"No pool configured for database: \"d\", user: \"u\" (in pgcat.toml)")),
    "pgcat_password": ("pgcat", FIRST, pgcat(b"password authentication failed for user \"u\"", b"28P01")),
    "supavisor_tenant": ("Supavisor", FIRST, supavisor(b"(ENOTFOUND) tenant/user u.abcdef not found")),
    "supavisor_old_tenant": ("Supavisor", FIRST, supavisor(b"Tenant or user not found")),
    "supavisor_ssl_required": ("Supavisor", PLAIN, supavisor(
        b"(ESSLREQUIRED) SSL connection is required for user")),
    "supavisor_address": ("Supavisor", FIRST, supavisor(
        b"(EADDRNOTALLOWED) address not in tenant allow_list: {192, 0, 2, 1}")),
    "supavisor_clients": ("Supavisor", FIRST, supavisor(
        b"(EMAXCONN) max client connections reached, limit: 200")),
    "supavisor_checkout": ("Supavisor", QUERY, supavisor(
        b"(ECHECKOUTTIMEOUT) unable to check out connection from the pool after 60000ms")),
    "supavisor_breaker": ("Supavisor", FIRST, supavisor(
        b"(ECIRCUITBREAKER) too many authentication failures, new connections are temporarily blocked")),
    "supavisor_auth_timeout": ("Supavisor", FIRST, supavisor(
        b"(EAUTHTIMEOUT) authentication timed out", b"08006")),
    "neon_insecure": ("Neon", PLAIN, neon(b"connection is insecure (try using `sslmode=require`)")),
    "neon_endpoint": ("Neon", FIRST, neon(
        b"Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for SNI "
        b"support or pass the endpoint ID (first part of the domain name) as a parameter: "
        b"'?options=endpoint%3D<endpoint-id>'.")),
    "neon_address": ("Neon", FIRST, neon(
        b"This IP address 192.0.2.1 is not allowed to connect to this endpoint. Please add it to the allowed "
        b"list in the Neon console.")),
    "neon_network": ("Neon", FIRST, neon(
        b"endpoint is not accessible: connection came from a blocked network")),
    "neon_password": ("Neon", FIRST, neon(b"password authentication failed for user 'u'")),
    "neon_clients": ("Neon", FIRST, neon(
        b"Too many connections to this endpoint. Please try again later.")),
    "neon_compute": ("Neon", FIRST, neon(b"Couldn't connect to compute node")),
    "neon_control_plane": ("Neon", FIRST, neon(b"Control plane request failed")),
    "rds_proxy_tls": ("RDS Proxy", PLAIN, rds_proxy(b"This RDS Proxy requires TLS connections")),
    "rds_proxy_password": ("RDS Proxy", FIRST, rds_proxy(
        b"The password that was provided for the role u is wrong.", b"28P01")),
    "rds_proxy_credentials": ("RDS Proxy", FIRST, rds_proxy(
        b"This RDS proxy has no credentials for the role u. Check the credentials for this role and try again.")),
    "rds_proxy_iam": ("RDS Proxy", FIRST, rds_proxy(b"IAM authentication failed for user u")),
    "rds_proxy_clients": ("RDS Proxy", FIRST, rds_proxy(
        b"The maximum number of client connections to the proxy exceeded 100.", b"53300")),
    "rds_proxy_borrow": ("RDS Proxy", QUERY, rds_proxy(
        b"Timed-out waiting to acquire database connection", b"08006")),
    "rds_proxy_backend": ("RDS Proxy", FIRST, rds_proxy(
        b"Request returned an error: FATAL: password authentication failed for user \"u\"", b"28P01")),
    "azure_gateway_ssl": ("Azure single server", PLAIN, rds_proxy(
        b"SSL connection is required. Please specify SSL options and retry.")),
    "cockroach_secure": ("CockroachDB", PLAIN, cockroach(
        b"node is running secure mode, SSL connection required", b"08P01", b"handleAuthentication", b"conn.go")),
    "cockroach_hba": ("CockroachDB", FIRST, cockroach(
        b"no server.host_based_authentication.configuration entry for host \"192.0.2.1\", user \"u\"", b"28000")),
    "cockroach_reject": ("CockroachDB", FIRST, cockroach(
        b"authentication rejected by configuration", b"28000")),
    "cockroach_nologin": ("CockroachDB", FIRST, cockroach(b"u does not have login privilege", b"28000")),
    "cockroach_password": ("CockroachDB", FIRST, cockroach(
        b"password authentication failed for user u", b"28P01")),
    "cockroach_draining": ("CockroachDB", FIRST, cockroach(
        b"server is not accepting clients, try another node", b"57P01", b"ServeConn", b"server.go")),
    "pgdog_tls": ("PgDog", PLAIN, pgdog(b"only TLS connections are allowed", b"08004")),
    "pgdog_password": ("PgDog", FIRST, pgdog(
        b"password for user \"u\" and database \"d\" is wrong, or the database does not exist", b"28000")),
}
