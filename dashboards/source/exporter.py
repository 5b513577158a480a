"""Whether the exporter itself keeps up, and what it runs on."""

from .parts import (CHOSEN, GREEN, RED, SELF, YELLOW, column, dashboard, happened, or_zero, queries, query,
                    row, series, stat, table, thresholds, timeline, words)
from .shared import (NOTICE, configuration, exporters_down, internal_errors, probes_per_second, scheduler_lag,
                     skipped_probes)


def own(family, by="instance"):
    return f"max by ({by}) ({family}{{{SELF}}})"


STALE = (f"max by (instance, probe) (timestamp(pgtls_last_probe_timestamp_seconds{{{CHOSEN}}}) - "
         f"pgtls_last_probe_timestamp_seconds{{{CHOSEN}}}) / on (instance, probe) "
         f"max by (instance, probe) (pgtls_probe_interval_seconds{{{CHOSEN}}})")


def now():
    return (row("Is it well"), [
        (4, 4, exporters_down()),
        (4, 4, configuration()),
        (4, 4, stat("Sources failing", "Sources of discovery whose latest answer is not in force: an earlier one is.",
                    or_zero(f"count(pgtls_discovery_good{{{SELF}}} == 0)"), limits=NOTICE)),
        (4, 4, stat("Probes skipped", "In the time shown: due while the one before was running, or held back by a cap.",
                    f"round(sum(increase(pgtls_probes_skipped_total{{{SELF}}}[$__range])))", "short", NOTICE)),
        (4, 4, stat("Errors of its own", "Probes in the time shown that failed on the exporter's own side; absent "
                    "until the first.",
                    f"round(sum(increase(pgtls_probe_internal_errors_total{{{CHOSEN}}}[$__range])))", "short", NOTICE,
                    noValue="none")),
        (4, 4, stat("Time stamps", "Whether durations rest on the kernel's arrival times, and are right under load, or "
                    "on the program's own clock.", f"min(pgtls_kernel_timestamps{{{SELF}}})",
                    limits=thresholds(YELLOW, (1, GREEN)), noValue="unknown",
                    mappings=words(_0=("own clock", YELLOW), _1=("kernel", GREEN)))),
        (24, 7, table("Exporters", "What runs where, since when, and how much it watches.",
                      [f"group by (instance, version, revision) (pgtls_build_info{{{SELF}}})",
                       f"time() - {own('process_start_time_seconds')}",
                       f"count by (instance) (pgtls_server_labels_info{{{SELF}}})",
                       own("pgtls_shard_ordinal"), own("pgtls_total_shards"), own("process_resident_memory_bytes"),
                       f"sum by (instance) (rate(process_cpu_seconds_total{{{SELF}}}[$__rate_interval]))",
                       own("scrape_samples_scraped"), own("scrape_duration_seconds")],
                      [column("instance", "Exporter"), column("version", "Version"), column("revision", "Revision"),
                       column("Value #B", "Runs for", unit="dtdurations", decimals=0),
                       column("Value #C", "Servers"), column("Value #D", "Shard", width=80),
                       column("Value #E", "of", width=80), column("Value #F", "Memory", unit="bytes", decimals=1),
                       column("Value #G", "Cores", unit="short", decimals=2),
                       column("Value #H", "Series", unit="short"),
                       column("Value #I", "Scrape takes", unit="s", decimals=1)], sort="Exporter")),
    ])


def keeping_up():
    limit = f'max by (instance) (pgtls_limit{{{SELF}, limit="in_flight"}}) > 0'
    return (row("Does it keep up"), [
        (8, 9, probes_per_second()),
        (8, 9, series("Probes in flight and waiting", "Running at the moment of the scrape, due and held back, and the "
                      "limit of those that run.", queries(
                          (own("pgtls_probes_in_flight"), "{{instance}} in flight"),
                          (own("pgtls_probes_waiting"), "{{instance}} waiting"),
                          (limit, "{{instance}} limit")), "short")),
        (8, 9, series("Held back, by limit", "Probes that had to wait for room, by the limit that held them back "
                      "first.", [query(happened("pgtls_probes_held_back_total", "limit", SELF), "{{limit}}")],
                      "short", bars=True)),
        (8, 9, skipped_probes()),
        (8, 9, scheduler_lag()),
        (8, 9, series("Oldest result", "Age of the oldest result at the scrape, in intervals: two are normal, at five "
                      "an alert begins. Logins rest while the inspect fails.",
                      [query(STALE, "{{instance}} {{probe}}")], "short", thresholds("transparent", (5, RED)))),
        (12, 9, internal_errors()),
        (12, 9, series("Reads without a time stamp", "Answers that the kernel gave no arrival time, as a share of "
                       "probes: these durations are right only while the exporter is idle.",
                       [query("sum by (instance) (rate(pgtls_kernel_timestamps_missing_total"
                              f"{{{SELF}}}[$__rate_interval])) / "
                              f"(sum by (instance) (rate(pgtls_probes_total{{{SELF}}}[$__rate_interval])) > 0)",
                              "{{instance}}")], "percentunit", soft_max=0.01)),
    ])


def given():
    return (row("Configuration and discovery"), [
        (8, 8, table("Configuration files", "Whether what each file or directory holds now is in force.",
                     f"min by (instance, file) (pgtls_config_file_valid{{{SELF}}})",
                     [column("instance", "Exporter"), column("file", "File"), column("Value", "State", mappings=words(
                         _0=("old one in force", RED), _1=("in force", GREEN)), width=140)], sort="State")),
        (8, 8, series("Since the configuration was loaded", "Time since the latest good load.",
                      [query(f"time() - {own('pgtls_config_last_reload_success_timestamp_seconds')}", "{{instance}}")],
                      "dtdurations", decimals=0)),
        (8, 8, series("Servers watched", "Configured and discovered.",
                      [query(f"count by (instance) (pgtls_server_labels_info{{{SELF}}})", "{{instance}}")], "short")),
        (6, 8, timeline("Sources of discovery", "Good while the latest answer of a source is in force.",
                        own("pgtls_discovery_good", "instance, kind, source"), "{{kind}} {{source}}",
                        words(_0=("old list", YELLOW), _1=("good", GREEN)), noValue="none configured")),
        (6, 8, series("Targets by source", "Endpoints, or addresses, in the latest good list.",
                      [query(own("pgtls_discovery_targets", "instance, kind, source"), "{{kind}} {{source}}")], "short",
                      noValue="none configured")),
        (6, 8, series("Since a source brought something good", "Time since its latest good answer.",
                      [query(f"time() - {own('pgtls_discovery_last_success_timestamp_seconds', 'instance, kind, source')}",
                             "{{kind}} {{source}}")], "dtdurations", decimals=0, noValue="none configured")),
        (6, 8, series("Looks that brought nothing", "Answers of sources that did not come or had errors.",
                      [query(happened("pgtls_discovery_failures_total", "kind, source", SELF), "{{kind}} {{source}}")],
                      "short", bars=True)),
        (12, 8, table("Left alone on purpose", "Servers that are not probed, and why.",
                      f"group by (pg_cluster, pg_endpoint, server, text) (pgtls_maintenance_info{{{CHOSEN}}})",
                      [column("pg_cluster", "Cluster"), column("pg_endpoint", "Endpoint"), column("server", "Server"),
                       column("text", "Text")])),
        (12, 8, table("Limits", "In force, as configured; 0 is none.",
                      f"max by (instance, limit) (pgtls_limit{{{SELF}}})",
                      [column("instance", "Exporter"), column("limit", "Limit"), column("Value", "Value")],
                      sort="Limit")),
    ])


def visitors():
    return (row("Who asks it"), [
        (8, 8, series("Requests to /probe", "By how they ended: success and failure are of probes that ran to their end; "
                      "invalid, unknown_module and forbidden connected to nothing.",
                      [query(happened("pgtls_probe_requests_total", "outcome", SELF), "{{outcome}}")], "short",
                      bars=True)),
        (8, 8, series("Visitors refused", "For want of a right password, or because there were too many requests; only "
                      "with a web configuration.",
                      [query(happened("pgtls_web_refused_total", "reason", SELF), "{{reason}}")], "short", bars=True)),
        (8, 8, series("Passwords checked", "bcrypt computations, which are slow on purpose: many of them are somebody "
                      "who guesses.",
                      [query(happened("pgtls_web_password_checks_total", "instance", SELF), "{{instance}}")], "short",
                      bars=True)),
    ])


def resources():
    return (row("What it uses"), [
        (6, 8, series("CPU", "Cores used.",
                      [query(f"sum by (instance) (rate(process_cpu_seconds_total{{{SELF}}}[$__rate_interval]))",
                             "{{instance}}")], "short")),
        (6, 8, series("Memory", "Resident memory.",
                      [query(own("process_resident_memory_bytes"), "{{instance}}")], "bytes")),
        (6, 8, series("File descriptors", "Open, of those allowed.",
                      [query(f"{own('process_open_fds')} / {own('process_max_fds')}", "{{instance}}")],
                      "percentunit", thresholds("transparent", (0.8, RED)))),
        (6, 8, series("Threads", "It has a fixed number of them, and two more while a login computes long.",
                      [query(own("process_threads"), "{{instance}}")], "short")),
        (12, 8, series("Series per scrape", "What Prometheus takes in from each exporter.",
                       [query(own("scrape_samples_scraped"), "{{instance}}")], "short")),
        (12, 8, series("Duration of scrapes", "A scrape never probes: it shows what was measured last.",
                       [query(own("scrape_duration_seconds"), "{{instance}}")], "s")),
    ])


def build():
    return dashboard(
        "pgtls-exporter", "PostgreSQL over TLS: the exporter itself",
        """Whether pgtls_exporter keeps up with its schedule, runs on the configuration it is given, and what it
        uses. Data: pgtls_exporter, and Prometheus about its scrapes.""",
        [now(), keeping_up(), given(), visitors(), resources()])
