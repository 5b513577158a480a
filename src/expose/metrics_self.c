/* Samples of the exporter itself: is it keeping up, what is it running on. */
#include "catalogue.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"
#include "pgtls/base/sandbox.h"
#include "pgtls_version.h"
#include "process.h"

/* The counters' values are independent of each other, so relaxed reads are enough. */
#define READ(field) atomic_load_explicit(&k->self->field, memory_order_relaxed)

void emit_requested(struct sink *k)
{
    for (size_t i = 0; i < REQUEST_OUTCOME_COUNT; i++)
        sink_one_u64(k, "outcome", request_outcome_name((enum request_outcome)i),
                     atomic_load(&k->self->requested[i]));
}

void emit_probes_skipped(struct sink *k)
{
    sink_plain_u64(k, READ(probes_skipped));
}

void emit_probes_in_flight(struct sink *k)
{
    sink_begin(k);
    sink_i64(k, READ(probes_in_flight));
}

void emit_probes_waiting(struct sink *k)
{
    sink_begin(k);
    sink_i64(k, READ(probes_waiting));
}

void emit_probes_held_back(struct sink *k)
{
    for (int i = CAP_NONE + 1; i < CAP_COUNT; i++)
        sink_one_u64(k, "limit", cap_name((enum cap)i), READ(probes_held_back[i]));
}

void emit_limits(struct sink *k)
{
    sink_one_u64(k, "limit", cap_name(CAP_IN_FLIGHT), k->settings->max_in_flight);
    sink_one_u64(k, "limit", cap_name(CAP_ADDRESS), k->settings->max_in_flight_per_address);
    sink_one_u64(k, "limit", cap_name(CAP_RATE), k->settings->max_connections_per_second);
}

void emit_scheduler_lag(struct sink *k)
{
    uint64_t counts[LAG_BUCKETS + 1];

    for (size_t i = 0; i <= LAG_BUCKETS; i++)
        counts[i] = READ(lag_counts[i]);
    sink_bounds(k, self_lag_bounds, LAG_BUCKETS);
    sink_histogram(k,
                   &(struct sink_histogram){.counts = counts, .sum_ns = (int64_t)READ(lag_sum_ns)});
}

void emit_kernel_timestamps(struct sink *k)
{
    sink_plain_u64(k, READ(kernel_timestamps));
}

void emit_sandbox_active(struct sink *k)
{
    for (int i = 0; i < SANDBOX_PART_COUNT; i++)
        sink_one_u64(k, "part", sandbox_part_name((enum sandbox_part)i),
                     sandbox_active((enum sandbox_part)i));
}

void emit_sandbox_refused(struct sink *k)
{
    sink_plain_u64(k, sandbox_refused());
}

void emit_log_lost(struct sink *k)
{
    sink_plain_u64(k, log_lost());
}

void emit_missing_timestamps(struct sink *k)
{
    sink_plain_u64(k, READ(missing_timestamps));
}

void emit_reload_successful(struct sink *k)
{
    sink_plain_u64(k, READ(reload_successful));
}

void emit_reload_time(struct sink *k)
{
    int64_t ns = READ(reload_success_realtime_ns);

    if (ns <= 0)
        return;
    sink_begin(k);
    sink_ns(k, ns - ns % NS_PER_MS);
}

/* One sample for each input of discovery, or for each file. */
static void emit_inputs(struct sink *k, bool discovered,
                        void (*emit)(struct sink *k, const struct self_input *input))
{
    struct self_inputs *inputs = self_take_inputs(k->self);

    for (size_t i = 0; inputs && i < inputs->n; i++) {
        if (discovered == (inputs->items[i].kind != NULL))
            emit(k, &inputs->items[i]);
    }
    self_return_inputs(k->self, inputs);
}

static void emit_file(struct sink *k, const struct self_input *input)
{
    sink_begin(k);
    sink_text(k, "file", input->name);
    sink_u64(k, input->valid);
}

void emit_config_files(struct sink *k)
{
    emit_inputs(k, false, emit_file);
    if (!k->self->web_config_file)
        return;
    sink_begin(k);
    sink_text(k, "file", k->self->web_config_file);
    sink_u64(k, READ(web_config_good));
}

void emit_web_refused(struct sink *k)
{
    for (int i = 0; i < WEB_REFUSAL_COUNT && k->self->web_config_file; i++)
        sink_one_u64(k, "reason", web_refusal_name((enum web_refusal)i), READ(web_refused[i]));
}

void emit_web_password_checks(struct sink *k)
{
    if (k->self->web_config_file)
        sink_plain_u64(k, READ(web_password_checks));
}

static void begin_source(struct sink *k, const struct self_input *input)
{
    sink_begin(k);
    sink_text(k, "kind", input->kind);
    sink_text(k, "source", input->name);
}

static void emit_source_good(struct sink *k, const struct self_input *input)
{
    begin_source(k, input);
    sink_u64(k, input->valid);
}

static void emit_source_targets(struct sink *k, const struct self_input *input)
{
    begin_source(k, input);
    sink_u64(k, input->targets);
}

static void emit_source_failures(struct sink *k, const struct self_input *input)
{
    begin_source(k, input);
    sink_u64(k, input->failures);
}

static void emit_source_success(struct sink *k, const struct self_input *input)
{
    if (input->last_success_realtime_ns == 0)
        return;
    begin_source(k, input);
    sink_ns(k, input->last_success_realtime_ns - input->last_success_realtime_ns % NS_PER_MS);
}

void emit_discovery_good(struct sink *k)
{
    emit_inputs(k, true, emit_source_good);
}

void emit_discovery_targets(struct sink *k)
{
    emit_inputs(k, true, emit_source_targets);
}

void emit_discovery_failures(struct sink *k)
{
    emit_inputs(k, true, emit_source_failures);
}

void emit_discovery_success(struct sink *k)
{
    emit_inputs(k, true, emit_source_success);
}

void emit_shard_ordinal(struct sink *k)
{
    sink_plain_u64(k, k->self->shard.ordinal);
}

void emit_total_shards(struct sink *k)
{
    sink_plain_u64(k, k->self->shard.total);
}

void emit_build_info(struct sink *k)
{
    sink_begin(k);
    sink_text(k, "version", PGTLS_VERSION);
    sink_text(k, "revision", PGTLS_REVISION);
    sink_text(k, "branch", PGTLS_BRANCH);
    sink_text(k, "compiler", PGTLS_COMPILER);
    sink_u64(k, 1);
}

static void emit_if(struct sink *k, bool known, double value)
{
    if (!known)
        return;
    sink_begin(k);
    sink_double(k, value);
}

void emit_cpu_seconds(struct sink *k)
{
    emit_if(k, k->process->stat, k->process->cpu_seconds);
}

void emit_open_fds(struct sink *k)
{
    emit_if(k, k->process->fds, (double)k->process->open_fds);
}

void emit_max_fds(struct sink *k)
{
    emit_if(k, k->process->limits, k->process->max_fds);
}

void emit_virtual_memory(struct sink *k)
{
    emit_if(k, k->process->stat, (double)k->process->virtual_bytes);
}

void emit_virtual_memory_max(struct sink *k)
{
    emit_if(k, k->process->limits, k->process->max_virtual_bytes);
}

void emit_resident_memory(struct sink *k)
{
    emit_if(k, k->process->stat, (double)k->process->resident_bytes);
}

void emit_start_time(struct sink *k)
{
    emit_if(k, k->process->stat, k->process->start_time_seconds);
}

void emit_threads(struct sink *k)
{
    emit_if(k, k->process->stat, (double)k->process->threads);
}
