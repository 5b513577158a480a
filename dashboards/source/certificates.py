"""What expires, what is not trusted, what differs, what is spoken."""

from .parts import (BY_SERVER, CHOSEN, DAY, ENDPOINTS, EXPIRY, GREEN, NAMES, RED, YELLOW, bars_of, column, dashboard,
                    happened, only, or_zero, query, row, series, stat, table, thresholds, timeline, words)
from .shared import ALARM, NOTICE, next_expiry

AFTER = f"pgtls_certificate_not_after_timestamp_seconds{{{CHOSEN}}}"
BEFORE = f"pgtls_certificate_not_before_timestamp_seconds{{{CHOSEN}}}"
LEAF = f'pgtls_certificate_not_after_timestamp_seconds{{{CHOSEN}, position="leaf"}}'
CHECKS = (("chain", "pgtls_chain_verified"), ("host name", "pgtls_hostname_verified"),
          ("pin", "pgtls_certificate_pin_matched"))


def now():
    def servers(title, what, condition, limits):
        return (4, 4, stat(title, what, or_zero(f"count(group by ({BY_SERVER}) ({condition}))"), limits=limits))
    soon = f"({AFTER} - time()) < 0.25 * ({AFTER} - {BEFORE}) and {AFTER} - time() < {21 * DAY}"
    return (row("What needs a hand"), [
        (4, 4, next_expiry()),
        servers("Expired", "Servers on the way to which a certificate has expired.", f"{AFTER} < time()", ALARM),
        servers("Expiring soon", "Servers on the way to which a certificate has less than three weeks and less than a "
                "quarter of its lifetime left, as the alert has it.", soon, NOTICE),
        servers("Not trusted", "Servers from whose certificate no path leads to a trusted one, whatever sslmode "
                "demands.", f"pgtls_chain_verified{{{CHOSEN}}} == 0", NOTICE),
        servers("Wrong name", "Servers whose certificate does not name the configured host, whatever sslmode demands.",
                f"pgtls_hostname_verified{{{CHOSEN}}} == 0", NOTICE),
        servers("Old TLS", "Servers that negotiate a protocol older than TLS 1.2.",
                f"pgtls_tls_info{{{CHOSEN}, version=~\"SSL.*|TLSv1|TLSv1\\\\.1\"}}", NOTICE),
    ])


def expiry():
    by = f"{BY_SERVER}, position"
    return (row("What expires when"), [
        (24, 10, table("Certificates by time left", "The certificate that expires first per server and position, as "
                       "last seen, also while the server is down. Negative: expired.",
                       [f"min by ({by}) ({AFTER}) - time()",
                        f"max by ({by}) ((time() - {BEFORE}) / ({AFTER} - {BEFORE}))",
                        f"min by ({by}) ({AFTER}) * 1000", f"min by ({by}) ({BEFORE}) * 1000"],
                       [*NAMES, column("position", "Position", width=120),
                        column("Value #A", "Time left", unit="dtdurations", limits=thresholds(*EXPIRY), decimals=1),
                        column("Value #B", "Lifetime used", unit="percentunit", decimals=0, bar=True,
                               limits=thresholds(GREEN, (0.75, YELLOW), (0.9, RED))),
                        column("Value #C", "Expires", unit="dateTimeAsIso"),
                        column("Value #D", "Valid from", unit="dateTimeAsIso")], sort="Time left")),
        (12, 9, series("Time left over time", "Of each server's own certificate. It falls with the time and jumps up "
                       "when a new one is served; below the lines it is late. Of many, the 20 that end first.",
                       [query(only(f"bottomk(20, min by (server) ({LEAF} @ end()))", "server",
                                   f"min by (server) ({LEAF}) - time()"), "{{server}}")], "dtdurations",
                       thresholds("transparent", (3 * DAY, RED), (21 * DAY, YELLOW)), decimals=0)),
        (12, 9, series("New certificates", "Certificates that servers showed and had not shown lately.",
                       [query(happened("pgtls_certificate_changes_total", "server"), "{{server}}")], "short",
                       bars=True)),
    ])


def trust():
    by = f"{BY_SERVER}, subject, issuer, position, key, signature, serial, fingerprint_sha256"
    failing = " or ".join(f'label_replace(min by ({BY_SERVER}) ({family}{{{CHOSEN}}}) == 0, "check", "{name}", "", "")'
                          for name, family in CHECKS)
    return (row("Which, and are they right"), [
        (10, 9, table("What does not verify", "Servers whose certificate fails a check, whatever sslmode demands: with "
                      "sslmode=require it is a finding, with verify-full clients are kept out.", failing,
                      [*NAMES, column("check", "Check"), column("Value", "Result", mappings=words(
                          _0=("fails", RED)), width=100)])),
        (14, 9, timeline("Trusted over time", "Whether a path leads from the certificates of every endpoint to a "
                         "trusted one. Of many, the 50 that were trusted least.", only(
                             "bottomk(50, min by (pg_cluster, pg_endpoint) (avg_over_time("
                             f"pgtls_chain_verified{{{CHOSEN}}}[$__range] @ end())))", "pg_cluster, pg_endpoint",
                             f"min by (pg_cluster, pg_endpoint) (pgtls_chain_verified{{{CHOSEN}}})"),
                         "{{pg_cluster}}/{{pg_endpoint}}",
                         words(_0=("not trusted", RED), _1=("trusted", GREEN)))),
        (24, 10, table("Certificates", "What every server shows, and what the exporter itself shows as a client.",
                       f"group by ({by}) (pgtls_certificate_info{{{CHOSEN}}})",
                       [*NAMES, column("position", "Position", width=120), column("subject", "Subject"),
                        column("issuer", "Issuer"), column("key", "Key", width=110),
                        column("signature", "Signature", width=170), column("serial", "Serial"),
                        column("fingerprint_sha256", "SHA-256")])),
    ])


def differences():
    return (row("Do they agree"), [
        (8, 9, table("Several certificates at one server", "Servers that showed more than one lately: back ends behind "
                     "one address that do not share one, or a renewal.",
                     f"max by ({BY_SERVER}) (pgtls_certificates_seen{{{CHOSEN}}}) > 1",
                     [*NAMES, column("Value", "Certificates", width=120)], sort="Certificates", descending=True)),
        (8, 9, table("Servers of an endpoint that differ", "Endpoints of several servers that have no certificate in "
                     "common. Normal with a certificate per server, wrong behind one name that is pinned.",
                     f"min by (pg_cluster, pg_endpoint) (pgtls_endpoint_same_certificate{{{ENDPOINTS}}}) == 0",
                     [*NAMES[:2], column("Value", "Certificates", mappings=words(_0=("differ", YELLOW)), width=120)])),
        (8, 9, bars_of("Different certificates in a cluster", "Leaf certificates that the servers of a cluster show "
                       "now.", "count by (pg_cluster) (group by (pg_cluster, fingerprint_sha256) "
                       f"(pgtls_certificate_info{{{CHOSEN}, position=\"leaf\"}}))", "{{pg_cluster}}")),
    ])


def spoken():
    def count(label):
        return f"sort_desc(count by ({label}) (group by ({BY_SERVER}, {label}) (pgtls_tls_info{{{CHOSEN}}})))"
    return (row("What is spoken"), [
        (6, 8, bars_of("TLS versions", "Servers by the version their latest handshake negotiated.", count("version"),
                       "{{version}}")),
        (6, 8, bars_of("Ciphers", "Servers by the cipher suite negotiated.", count("cipher"), "{{cipher}}")),
        (6, 8, bars_of("Groups", "Servers by the group of the key exchange.", count("group"), "{{group}}")),
        (6, 8, bars_of("Keys", "Leaf certificates by their key.", "sort_desc(count by (key) (group by (key, "
                       f"fingerprint_sha256) (pgtls_certificate_info{{{CHOSEN}, position=\"leaf\"}})))", "{{key}}")),
        (12, 8, table("Not seen lately", "Servers whose certificate was last seen more than an hour ago: what is "
                      "shown of it is old.",
                      f"time() - max by ({BY_SERVER}) (pgtls_certificate_last_seen_timestamp_seconds{{{CHOSEN}}}) "
                      "> 3600",
                      [*NAMES, column("Value", "Last seen", unit="dtdurations", decimals=0)],
                      sort="Last seen", descending=True)),
        (12, 8, table("Certificate files not readable", "Files named by certificate_file that the exporter cannot "
                      "read: it does not know whether the server has loaded the new one.",
                      f"min by ({BY_SERVER}) (pgtls_certificate_file_readable{{{CHOSEN}}}) == 0",
                      [*NAMES, column("Value", "File", mappings=words(_0=("not readable", RED)), width=130)])),
    ])


def build():
    return dashboard(
        "pgtls-certificates", "PostgreSQL over TLS: certificates",
        """Which certificates on the way to PostgreSQL servers expire when, whether clients that verify can trust
        them, where servers disagree, and which protocols and ciphers are spoken. Data: pgtls_exporter.""",
        [now(), expiry(), trust(), differences(), spoken()])
