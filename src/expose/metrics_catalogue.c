/* Every metric family, in the order of the body and of docs/metrics.md. Names, labels and label
 * values are API. */
#include "catalogue.h"

#define GAUGE(metric, unit_, labels_, ...)                                                         \
    {                                                                                              \
        .name = metric, .type = FAMILY_GAUGE, .unit = unit_, .labels = labels_, __VA_ARGS__        \
    }
#define COUNTER(metric, unit_, labels_, ...)                                                       \
    {                                                                                              \
        .name = metric, .type = FAMILY_COUNTER, .unit = unit_, .labels = labels_, __VA_ARGS__      \
    }
#define HISTOGRAM(metric, labels_, ...)                                                            \
    {                                                                                              \
        .name = metric, .type = FAMILY_HISTOGRAM, .unit = "seconds", .labels = labels_,            \
        __VA_ARGS__                                                                                \
    }
#define INFO(metric, labels_, ...)                                                                 \
    {                                                                                              \
        .name = metric, .type = FAMILY_INFO, .unit = "", .labels = labels_, __VA_ARGS__            \
    }

const struct family family_catalogue[] = {
    GAUGE("pgtls_up", "", "", .server = emit_up,
          .help = "1 if the latest result of every configured kind of probe is good, 0 if not; "
                  "absent until each has run and while the exporter's own side fails. On "
                  "/metrics measured every pgtls_probe_interval_seconds, not by the scrape."),
    GAUGE("pgtls_probe_up", "", "probe", .server = emit_probe_up,
          .help = "1 if the latest result of this kind of probe is good, 0 if not; absent until "
                  "it has run and while the exporter's own side fails."),
    GAUGE("pgtls_endpoint_up", "", "", .endpoint = emit_endpoint_up,
          .help = "1 if the endpoint is up by its require setting (any or all of its servers), 0 "
                  "if not; absent while unknown."),
    GAUGE("pgtls_fault_active", "", "probe, phase, class, fault", .server = emit_fault_active,
          .help = "1 while the latest result of this kind of probe is this fault, absent "
                  "otherwise: why something is down."),
    GAUGE("pgtls_expected_fault_active", "", "probe, phase, class, fault",
          .server = emit_expected_fault_active,
          .help =
              "1 while the latest result of this kind of probe is this refusal, which the expect "
              "setting asks for: it counts as good."),
    INFO("pgtls_maintenance_info", "text", .server = emit_maintenance,
         .help =
             "Present while the server is left alone on purpose, by maintenance (its text) or by "
             "enabled: false (the text is \"disabled\"): its state is unknown, and what only "
             "a probe can tell is absent."),
    COUNTER("pgtls_state_seconds_total", "seconds", "state", .server = emit_state_seconds,
            .help = "Time spent in each state: up, down, unknown."),
    COUNTER("pgtls_probes_total", "", "probe", .server = emit_probes,
            .help = "Probes that ended with a result, good or bad."),
    COUNTER("pgtls_probe_failures_total", "", "probe, class", .server = emit_probe_failures,
            .help = "Probes that failed, by class of the fault; at most one per probe."),
    COUNTER("pgtls_probe_internal_errors_total", "", "probe, reason",
            .server = emit_internal_errors,
            .help = "Probes that failed on the exporter's own side, in no other counter; absent "
                    "until the first."),
    HISTOGRAM("pgtls_probe_duration_seconds", "probe", .server = emit_probe_duration,
              .help = "Duration of the whole probe, good or bad."),
    HISTOGRAM("pgtls_phase_duration_seconds", "phase", .server = emit_phase_duration,
              .help = "Duration of each completed phase as an idle client would have seen it, own "
                      "computing included: dns to startup from inspect, auth and query from "
                      "login."),
    COUNTER("pgtls_phase_client_cpu_seconds_total", "seconds", "phase", .server = emit_phase_cpu,
            .help = "The exporter's own computing within the completed tls and auth phases."),
    COUNTER("pgtls_ssl_closes_total", "", "phase, how", .server = emit_ssl_closes,
            .help = "Probes in which the server closed the TLS connection without an error "
                    "message, by phase and by how it closed."),
    COUNTER("pgtls_hba_rejections_total", "", "kind", .server = emit_hba_rejections,
            .help = "Probes refused by pg_hba.conf or by a pooler's equivalent. The kind "
                    "no_encryption appears where the connection is plaintext."),
    COUNTER("pgtls_expected_refusals_total", "", "probe", .server = emit_expected_refusals,
            .help = "Probes that were refused as the expect setting asks for; in no counter of "
                    "failures, closes or rejections. Absent without that setting."),
    GAUGE("pgtls_certificate_not_after_timestamp_seconds", "seconds", "position",
          .server = emit_not_after,
          .help = "End of validity of the certificate that expires first in this position of the "
                  "chain, as last seen."),
    GAUGE("pgtls_certificate_not_before_timestamp_seconds", "seconds", "position",
          .server = emit_not_before,
          .help = "Start of validity of the same certificate as in "
                  "pgtls_certificate_not_after_timestamp_seconds."),
    GAUGE("pgtls_certificate_last_seen_timestamp_seconds", "seconds", "",
          .server = emit_certificate_last_seen,
          .help = "When the server last showed a certificate."),
    INFO("pgtls_certificate_info",
         "position, subject, issuer, serial, fingerprint_sha256, key, signature",
         .server = emit_certificate_info,
         .help = "Certificates of the chain (leaf, intermediate, client), as last seen; a change "
                 "shows at most every 5 minutes."),
    GAUGE("pgtls_certificates_seen", "", "", .server = emit_certificates_seen,
          .help = "Distinct server certificates among the last 8 remembered: several back ends "
                  "behind one address are normal."),
    COUNTER("pgtls_certificate_changes_total", "", "", .server = emit_certificate_changes,
            .help = "Server certificates seen that were not among the remembered ones; the first "
                    "is no change."),
    GAUGE("pgtls_endpoint_same_certificate", "", "", .endpoint = emit_same_certificate,
          .help =
              "1 if there is a certificate that all servers of the endpoint have shown in their "
              "last 30 handshakes, 0 if not, which only the same_certificate promise makes a "
              "fault; absent with fewer than two that are up, and until each has shown three."),
    GAUGE("pgtls_certificate_file_readable", "", "", .server = emit_file_readable,
          .help = "1 if the exporter can read the certificate in certificate_file, 0 if not, in "
                  "which case nothing is known of its promise; absent without the setting."),
    GAUGE("pgtls_chain_verified", "", "", .server = emit_chain_verified,
          .help = "1 if a path from the server's certificate to a trusted one exists, whatever "
                  "sslmode demands and whatever the dates, 0 if not; as last seen."),
    GAUGE("pgtls_hostname_verified", "", "", .server = emit_hostname_verified,
          .help = "1 if the server's certificate names the configured host, whatever sslmode "
                  "demands, 0 if not; as last seen."),
    GAUGE("pgtls_certificate_pin_matched", "", "", .server = emit_pin_matched,
          .help = "1 if the server's certificate or its public key is one of those that pin_sha256 "
                  "names, 0 if not; as last seen, absent without a pin."),
    INFO("pgtls_tls_info", "version, cipher, group, alpn", .server = emit_tls_info,
         .help = "What the latest completed TLS handshake negotiated."),
    COUNTER("pgtls_tls_hello_retries_total", "", "", .server = emit_hello_retries,
            .help = "Handshakes in which the server asked for another key share, which costs a "
                    "round trip."),
    GAUGE("pgtls_sslmode_works", "", "sslmode", .server = emit_sslmode_works,
          .help = "1 if psql gets in with this sslmode and the settings otherwise configured, 0 if "
                  "not; absent while the facts do not decide, and without a policy setting."),
    GAUGE("pgtls_plaintext_accepted", "", "", .server = emit_plaintext_accepted,
          .help =
              "1 if the server lets the configured user in without TLS as far as pg_hba.conf or "
              "its equivalent goes, 0 if it refuses; absent until tried, and without a policy "
              "setting."),
    INFO("pgtls_server_info", "server_version, pooler, auth_method, channel_binding",
         .server = emit_server_info,
         .help = "What the server told about itself; an empty value is not known, and a change of "
                 "version shows at most every 5 minutes."),
    INFO("pgtls_server_labels_info", "the configured labels, sslmode, negotiation",
         .server = emit_server_labels,
         .help = "Labels from the configuration, to join with group_left."),
    GAUGE("pgtls_in_recovery", "", "", .server = emit_in_recovery,
          .help = "1 if the server is a standby, 0 if not; of several back ends behind it 1 if "
                  "one is. Absent unless the latest login is good."),
    GAUGE("pgtls_replication_lag_seconds", "seconds", "", .server = emit_lag,
          .help = "How far a standby is behind, as of the latest login: 0 while it receives WAL "
                  "and has replayed all of it, else the age of the latest transaction it has "
                  "replayed (since its start, if none); of several back ends the largest. Absent "
                  "on a primary and unless the "
                  "latest login is good."),
    GAUGE("pgtls_promise_kept", "", "promise", .server = emit_promise_kept,
          .help = "1 if the server is what the promise setting says, 0 if not; absent for what is "
                  "not promised, until measured and while the server is down."),
    GAUGE("pgtls_endpoint_promise_kept", "", "promise", .endpoint = emit_endpoint_promise_kept,
          .help = "1 if the endpoint keeps the promise by its require setting (for read_only one "
                  "fit server is always enough, same_certificate is theirs together), 0 if not; "
                  "servers that are down are left out."),
    GAUGE("pgtls_session_up", "", "session", .server = emit_session_up,
          .help = "1 while this watched session is open, 0 while it is not; absent until the first "
                  "attempt to open it has ended."),
    GAUGE("pgtls_session_start_timestamp_seconds", "seconds", "session",
          .server = emit_session_start,
          .help = "When this watched session was opened; absent while it is not open."),
    COUNTER("pgtls_session_drops_total", "", "session, how", .server = emit_session_drops,
            .help = "Times that somebody else ended this watched session, by how: close_notify, "
                    "fin, rst, timeout (a check got no answer), server_message (an error message "
                    "came first), protocol_error."),
    HISTOGRAM("pgtls_session_lifetime_seconds", "session", .server = emit_session_lifetime,
              .help = "Age of watched sessions when they were dropped."),
    HISTOGRAM("pgtls_session_idle_before_drop_seconds", "session", .server = emit_session_idle,
              .help = "How long dropped sessions had been idle: since their latest answer; for how "
                      "timeout until the check that got none."),
    GAUGE("pgtls_last_probe_timestamp_seconds", "seconds", "probe", .server = emit_last_probe,
          .help = "End of the latest attempt of this kind of probe."),
    GAUGE("pgtls_probe_interval_seconds", "seconds", "probe", .server = emit_probe_interval,
          .help = "Interval now in force for this kind of probe, backoff included."),
    COUNTER("pgtls_probe_requests_total", "", "outcome", .self = emit_requested,
            .help = "Requests to /probe: success and failure are of probes that ran to their end "
                    "(shared ones count for each who asked); invalid, unknown_module and forbidden "
                    "connected to nothing."),
    COUNTER("pgtls_probes_skipped_total", "", "", .self = emit_probes_skipped,
            .help = "Probes that were due while the previous one, or a cap, held them back."),
    GAUGE("pgtls_probes_in_flight", "", "", .self = emit_probes_in_flight,
          .help = "Probes now running."),
    GAUGE("pgtls_probes_waiting", "", "", .self = emit_probes_waiting,
          .help = "Probes, and sessions to be opened, that are due and held back by a limit now."),
    COUNTER("pgtls_probes_held_back_total", "", "limit", .self = emit_probes_held_back,
            .help = "Probes, and sessions to be opened, that were due and had to wait for room, by "
                    "the limit that held them back first; in_flight_slow is the part of in_flight "
                    "open to servers that did not answer promptly."),
    GAUGE("pgtls_limit", "", "limit", .self = emit_limits,
          .help = "Limits in force, as configured; 0 is none."),
    HISTOGRAM("pgtls_scheduler_lag_seconds", "", .self = emit_scheduler_lag,
              .help = "How late probes start."),
    GAUGE("pgtls_kernel_timestamps", "", "", .self = emit_kernel_timestamps,
          .help = "1 if durations rest on the kernel's arrival times, 0 if only on the program's "
                  "own clock."),
    COUNTER("pgtls_kernel_timestamps_missing_total", "", "", .self = emit_missing_timestamps,
            .help = "Reads without an arrival time from the kernel, timed by the program's own "
                    "clock."),
    GAUGE("pgtls_config_last_reload_successful", "", "", .self = emit_reload_successful,
          .help = "1 if the latest attempt to load the configuration succeeded, 0 if not."),
    GAUGE("pgtls_config_last_reload_success_timestamp_seconds", "seconds", "",
          .self = emit_reload_time, .help = "When the configuration was last loaded successfully."),
    GAUGE("pgtls_config_file_valid", "", "file", .self = emit_config_files,
          .help = "1 while what a file or directory of the configuration holds now is in force; 0 "
                  "while an earlier content of it is, because this one has errors. So also of "
                  "--web.config.file."),
    COUNTER("pgtls_web_refused_total", "", "reason", .self = emit_web_refused,
            .help = "Requests to the exporter itself that were refused: password, none or a wrong "
                    "one; busy, too many passwords waited for being checked; rate_limit. With "
                    "--web.config.file only."),
    COUNTER("pgtls_web_password_checks_total", "", "", .self = emit_web_password_checks,
            .help = "Passwords of visitors whose bcrypt hash was computed, as the outcome was not "
                    "known from before. With --web.config.file only."),
    GAUGE("pgtls_discovery_good", "", "kind, source", .self = emit_discovery_good,
          .help = "1 while the latest answer of a source of discovery is in force; 0 while an "
                  "earlier one is, because this one did not come or has errors."),
    GAUGE("pgtls_discovery_targets", "", "kind, source", .self = emit_discovery_targets,
          .help = "Endpoints in the latest good list of a source; addresses, of a host that is "
                  "followed."),
    COUNTER("pgtls_discovery_failures_total", "", "kind, source", .self = emit_discovery_failures,
            .help = "Looks at a source that brought nothing good."),
    GAUGE("pgtls_discovery_last_success_timestamp_seconds", "seconds", "kind, source",
          .self = emit_discovery_success, .help = "When a source last brought something good."),
    GAUGE("pgtls_shard_ordinal", "", "", .self = emit_shard_ordinal,
          .help = "Which of the shards this exporter watches, from 0; 0 without sharding."),
    GAUGE("pgtls_total_shards", "", "", .self = emit_total_shards,
          .help = "Shards that the configuration is shared out over; 1 without sharding."),
    GAUGE("pgtls_sandbox_active", "", "part", .self = emit_sandbox_active,
          .help = "1 where the exporter has given up what it does not need: capabilities, "
                  "no_new_privs, files (landlock), system calls (seccomp)."),
    COUNTER("pgtls_sandbox_refused_calls_total", "", "", .self = emit_sandbox_refused,
            .help = "System calls of the exporter that its own sandbox refused: none, unless a "
                    "library has become another, or somebody else is at work in the process."),
    COUNTER("pgtls_log_lines_lost_total", "", "", .self = emit_log_lost,
            .help = "Lines of the log that were not written, because whoever reads it had stopped "
                    "or its disk was full. Nobody waits for the log."),
    INFO("pgtls_build_info", "version, revision, branch, compiler", .self = emit_build_info,
         .help = "The version that is running and how it was built."),
    COUNTER("process_cpu_seconds_total", "seconds", "", .self = emit_cpu_seconds,
            .help = "Total user and system CPU time spent in seconds."),
    GAUGE("process_open_fds", "", "", .self = emit_open_fds,
          .help = "Number of open file descriptors."),
    GAUGE("process_max_fds", "", "", .self = emit_max_fds,
          .help = "Maximum number of open file descriptors."),
    GAUGE("process_virtual_memory_bytes", "bytes", "", .self = emit_virtual_memory,
          .help = "Virtual memory size in bytes."),
    GAUGE("process_virtual_memory_max_bytes", "bytes", "", .self = emit_virtual_memory_max,
          .help = "Maximum amount of virtual memory available in bytes."),
    GAUGE("process_resident_memory_bytes", "bytes", "", .self = emit_resident_memory,
          .help = "Resident memory size in bytes."),
    GAUGE("process_start_time_seconds", "seconds", "", .self = emit_start_time,
          .help = "Start time of the process since unix epoch in seconds."),
    GAUGE("process_threads", "", "", .self = emit_threads,
          .help = "Number of OS threads in the process."),
};
const size_t family_count = sizeof family_catalogue / sizeof *family_catalogue;
