"""Whether endpoints are what they promise to be, and what ends connections that were up."""

from .parts import (BY_SERVER, CHOSEN, ENDPOINTS, GREEN, NAMES, RED, YELLOW, column, dashboard, happened, heatmap,
                    in_range, only, or_zero, query, row, series, spread_of, stat, table, thresholds, timeline, words)
from .shared import NOTICE, broken_promises

LAG = f"max by (server) (pgtls_replication_lag_seconds{{{CHOSEN}}})"
SESSION = f"{BY_SERVER}, session"
OPEN = f"max by ({SESSION}) (pgtls_session_up{{{CHOSEN}}})"
DROPS = "pgtls_session_drops_total"


def now():
    kept = f"min by (pg_cluster, pg_endpoint, promise) (pgtls_endpoint_promise_kept{{{ENDPOINTS}}})"
    return (row("What is not as it should be"), [
        (4, 4, stat("Promises broken", "Promises of endpoints that are broken now.", or_zero(f"count({kept} == 0)"),
                    limits=NOTICE)),
        (4, 4, stat("Promises kept", "Promises of endpoints that are kept now.", or_zero(f"count({kept} == 1)"),
                    loud=False)),
        (4, 4, stat("Largest lag", "How far the standby that is furthest behind is behind its primary.",
                    f"max({LAG})", "s", thresholds(GREEN, (30, YELLOW), (300, RED)), noValue="no standby",
                    decimals=1)),
        (4, 4, stat("Sessions closed", "Watched sessions that are not open now.", or_zero(f"count({OPEN} == 0)"),
                    limits=NOTICE)),
        (4, 4, stat("Sessions open", "Watched sessions that are open now.", or_zero(f"count({OPEN} == 1)"),
                    loud=False)),
        (4, 4, stat("Sessions dropped", "How often, in the time shown, somebody else ended a watched session.",
                    f"round({in_range(DROPS)})", "short", NOTICE, noValue="none")),
    ])


def promises():
    by = "pg_cluster, pg_endpoint, promise"
    kept = f"min by ({by}) (pgtls_endpoint_promise_kept{{{ENDPOINTS}}})"
    return (row("Promises"), [
        (9, 10, broken_promises()),
        (15, 10, timeline("Promises over time", "Every promise of every endpoint. A gap: not measured, or the endpoint "
                          "is down. Of many, the 50 that were kept least.",
                          only(f"bottomk(50, min by ({by}) (avg_over_time(pgtls_endpoint_promise_kept"
                               f"{{{ENDPOINTS}}}[$__range] @ end())))", by, kept),
                          "{{pg_cluster}}/{{pg_endpoint}} {{promise}}",
                          words(_0=("broken", RED), _1=("kept", GREEN)))),
        (12, 9, timeline("Roles over time", "What answers at each server. A change of colour is a failover, or a name "
                         "that leads elsewhere now.", f"max by (server) (pgtls_in_recovery{{{CHOSEN}}})", "{{server}}",
                         words(_0=("primary", "blue"), _1=("standby", "purple")))),
        (12, 9, series("Replication lag", "How far each standby is behind; above the lines an alert is near.",
                       [query(LAG, "{{server}}")], "s", thresholds("transparent", (30, YELLOW), (300, RED)))),
        (24, 9, table("What answers", "What each server told of itself; empty is not known.",
                      f"group by ({BY_SERVER}, server_version, pooler, auth_method, channel_binding) "
                      f"(pgtls_server_info{{{CHOSEN}}})",
                      [*NAMES, column("server_version", "Version"), column("pooler", "Pooler"),
                       column("auth_method", "Method"), column("channel_binding", "Channel binding")])),
    ])


def sessions():
    age = f"time() - max by ({SESSION}) (pgtls_session_start_timestamp_seconds{{{CHOSEN}}})"
    return (row("Sessions"), [
        (14, 9, table("Watched sessions", "Connections kept open on purpose: their age, and how often somebody else "
                      "ended them in the time shown.",
                      [OPEN, age, f"round({in_range(DROPS, SESSION)})"],
                      [*NAMES, column("session", "Session", width=100),
                       column("Value #A", "State", mappings=words(_0=("closed", RED), _1=("open", GREEN)), width=90),
                       column("Value #B", "Age", unit="dtdurations", decimals=0, width=120),
                       column("Value #C", "Drops", unit="short", limits=thresholds("transparent", (1, YELLOW)),
                              width=80)],
                      sort="Drops", descending=True)),
        (10, 9, series("Drops by how", "close_notify and fin: somebody closed in order, as an idle timeout does. rst: "
                       "somebody forgot the connection, as a firewall or balancer does. timeout: silence. "
                       "server_message: the server said why.",
                       [query(happened(DROPS, "how"), "{{how}}")], "short", bars=True)),
        (12, 9, heatmap("How long dropped sessions had been idle", "A band at one height is an idle timeout of that "
                        "length; no band, and it is something else.",
                        spread_of("pgtls_session_idle_before_drop_seconds"))),
        (12, 9, heatmap("How old dropped sessions were", "A band at one height is a limit of lifetime of that length.",
                        spread_of("pgtls_session_lifetime_seconds"))),
        (12, 9, series("Age of sessions", "It falls to nothing when a session is dropped: all at once is a restart, one "
                       "after another an idle timeout.", [query(age, "{{server}} {{session}}")], "s")),
        (12, 9, series("Drops by endpoint", "The same drops, by where.",
                       [query(happened(DROPS, "pg_cluster, pg_endpoint, session"),
                              "{{pg_cluster}}/{{pg_endpoint}} {{session}}")], "short", bars=True)),
    ])


def build():
    return dashboard(
        "pgtls-promises", "PostgreSQL over TLS: sessions and promises",
        """Whether endpoints are what they promise to be (standby, pooled, close behind, at the right addresses), and
        what drops sessions that were up. Data: pgtls_exporter.""",
        [now(), promises(), sessions()])
