#pragma once
/* The metric catalogue: what there is, apart from what it is worth at the moment. */
#include "sink.h"

#include "pgtls/model/requested.h"

enum family_type { FAMILY_GAUGE, FAMILY_COUNTER, FAMILY_HISTOGRAM, FAMILY_INFO };

struct family {
    const char *name; /* as its samples carry it: "…_total", "…_info" */
    enum family_type type;
    const char *unit;   /* "seconds", "bytes" or "" */
    const char *labels; /* beside those of the scope: "probe, class" or "" */
    const char *help;   /* one line, nothing in it to escape */
    /* Exactly one: the scope. A server's is called under its lock. */
    void (*server)(struct sink *k, const struct server_state *s);
    void (*endpoint)(struct sink *k, const struct fleet_view *view, const struct endpoint *e);
    void (*self)(struct sink *k);
    void (*answer)(struct sink *k, const struct probe_answer *answer);
};

extern const struct family family_catalogue[];
extern const size_t family_count;

/* What /probe shows: its own families, and of those above the ones named here. */
extern const struct family probe_catalogue[];
extern const size_t probe_family_count;
extern const char *const probe_shared_families[]; /* NULL-terminated */

/* HELP, TYPE and UNIT of a family, and what its samples begin with. */
void begin_family(struct sink *k, const struct family *f);

/* Per server: metrics_server.c. */
void emit_up(struct sink *k, const struct server_state *s);
void emit_probe_up(struct sink *k, const struct server_state *s);
void emit_maintenance(struct sink *k, const struct server_state *s);
void emit_fault_active(struct sink *k, const struct server_state *s);
void emit_expected_fault_active(struct sink *k, const struct server_state *s);
void emit_expected_refusals(struct sink *k, const struct server_state *s);
void emit_state_seconds(struct sink *k, const struct server_state *s);
void emit_probes(struct sink *k, const struct server_state *s);
void emit_probe_failures(struct sink *k, const struct server_state *s);
void emit_internal_errors(struct sink *k, const struct server_state *s);
void emit_probe_duration(struct sink *k, const struct server_state *s);
void emit_phase_duration(struct sink *k, const struct server_state *s);
void emit_phase_cpu(struct sink *k, const struct server_state *s);
void emit_ssl_closes(struct sink *k, const struct server_state *s);
void emit_hba_rejections(struct sink *k, const struct server_state *s);
void emit_last_probe(struct sink *k, const struct server_state *s);
void emit_probe_interval(struct sink *k, const struct server_state *s);
void emit_server_info(struct sink *k, const struct server_state *s);
void emit_server_labels(struct sink *k, const struct server_state *s);
void emit_endpoint_up(struct sink *k, const struct fleet_view *view, const struct endpoint *e);

/* Per server: metrics_tls.c. */
void emit_not_after(struct sink *k, const struct server_state *s);
void emit_not_before(struct sink *k, const struct server_state *s);
void emit_certificate_last_seen(struct sink *k, const struct server_state *s);
void emit_certificate_info(struct sink *k, const struct server_state *s);
void emit_certificates_seen(struct sink *k, const struct server_state *s);
void emit_certificate_changes(struct sink *k, const struct server_state *s);
void emit_chain_verified(struct sink *k, const struct server_state *s);
void emit_hostname_verified(struct sink *k, const struct server_state *s);
void emit_pin_matched(struct sink *k, const struct server_state *s);
void emit_tls_info(struct sink *k, const struct server_state *s);
void emit_hello_retries(struct sink *k, const struct server_state *s);
void emit_sslmode_works(struct sink *k, const struct server_state *s);
void emit_plaintext_accepted(struct sink *k, const struct server_state *s);

/* Roles, lag and promises: metrics_promises.c. */
void emit_in_recovery(struct sink *k, const struct server_state *s);
void emit_lag(struct sink *k, const struct server_state *s);
void emit_file_readable(struct sink *k, const struct server_state *s);
void emit_promise_kept(struct sink *k, const struct server_state *s);
void emit_endpoint_promise_kept(struct sink *k, const struct fleet_view *view,
                                const struct endpoint *e);

void emit_same_certificate(struct sink *k, const struct fleet_view *view, const struct endpoint *e);

/* Watched sessions: metrics_sessions.c. */
void emit_session_up(struct sink *k, const struct server_state *s);
void emit_session_start(struct sink *k, const struct server_state *s);
void emit_session_drops(struct sink *k, const struct server_state *s);
void emit_session_lifetime(struct sink *k, const struct server_state *s);
void emit_session_idle(struct sink *k, const struct server_state *s);

/* The exporter itself: metrics_self.c. */
void emit_probes_skipped(struct sink *k);
void emit_requested(struct sink *k);
void emit_probes_in_flight(struct sink *k);
void emit_probes_waiting(struct sink *k);
void emit_probes_held_back(struct sink *k);
void emit_limits(struct sink *k);
void emit_scheduler_lag(struct sink *k);
void emit_kernel_timestamps(struct sink *k);
void emit_sandbox_active(struct sink *k);
void emit_sandbox_refused(struct sink *k);
void emit_log_lost(struct sink *k);
void emit_missing_timestamps(struct sink *k);
void emit_reload_successful(struct sink *k);
void emit_reload_time(struct sink *k);
void emit_config_files(struct sink *k);
void emit_web_refused(struct sink *k);
void emit_web_password_checks(struct sink *k);
void emit_discovery_good(struct sink *k);
void emit_discovery_targets(struct sink *k);
void emit_discovery_failures(struct sink *k);
void emit_discovery_success(struct sink *k);
void emit_shard_ordinal(struct sink *k);
void emit_total_shards(struct sink *k);
void emit_build_info(struct sink *k);
void emit_cpu_seconds(struct sink *k);
void emit_open_fds(struct sink *k);
void emit_max_fds(struct sink *k);
void emit_virtual_memory(struct sink *k);
void emit_virtual_memory_max(struct sink *k);
void emit_resident_memory(struct sink *k);
void emit_start_time(struct sink *k);
void emit_threads(struct sink *k);
