/* The log of what changed. Every line about a server says which, and its status from now on. */
#include "tell.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"

#include <stdio.h>
#include <string.h>

/* Who, and how it stands: what every line begins with. */
#define WHO(s, status)                                                                             \
    {"pg_cluster", (s)->cluster}, {"pg_endpoint", (s)->endpoint}, {"server", (s)->name},           \
    {                                                                                              \
        "status", status_name(status)                                                              \
    }

/* Down as before, for another reason: the log's last word on a server is what metrics and health
 * say. What an earlier probe of the other kind has left is told without the details that are gone.
 */
static void tell_other_fault(const struct server *s, enum status status,
                             const struct observation *o, const struct fleet_change *change)
{
    const struct fault_row *row = fault_row(change->fault_after);
    bool here = o->fault == change->fault_after;

    LOG(WARN, "Server is still down", WHO(s, status),
        {"probe", here ? probe_kind_name(o->probe) : NULL},
        {"phase", here ? phase_name(o->phase) : NULL}, {"class", fault_class_name(row->class)},
        {"fault", row->id}, {"before", fault_row(change->fault_before)->id},
        {"sqlstate", here && o->sqlstate[0] ? o->sqlstate : NULL},
        {"error", here && o->error[0] ? o->error : NULL}, {"meaning", row->meaning});
}

static void tell_state(const struct server *s, enum status status, const struct observation *o,
                       const struct fleet_change *change)
{
    const struct fault_row *row = fault_row(o->fault);

    if (change->before == change->after) {
        if (change->after == STATE_DOWN && change->fault_before != change->fault_after)
            tell_other_fault(s, status, o, change);
        return;
    }
    if (change->after == STATE_DOWN)
        LOG(WARN, "Server is down", WHO(s, status), {"probe", probe_kind_name(o->probe)},
            {"phase", phase_name(o->phase)}, {"class", fault_class_name(row->class)},
            {"fault", row->id}, {"sqlstate", o->sqlstate[0] ? o->sqlstate : NULL},
            {"error", o->error[0] ? o->error : NULL}, {"meaning", row->meaning});
    else if (change->after == STATE_UP)
        LOG(INFO, "Server is up", WHO(s, status),
            {"refused_as_expected", o->expected != FAULT_NONE ? fault_row(o->expected)->id : NULL});
    else
        LOG(WARN, "Server's state is unknown", WHO(s, status), {"probe", probe_kind_name(o->probe)},
            {"fault", row->id}, {"error", o->error[0] ? o->error : NULL});
}

/* A promise that was kept until now, or was not, with what was found. */
static void tell_promise(const struct server *s, struct server_state *state, enum status status,
                         enum promise promise, bool kept)
{
    struct buf promised = BUF_INIT(1024), found = BUF_INIT(512);
    struct promise_facts facts;

    server_state_lock(state);
    server_promise_facts(state, promise, &facts);
    server_state_unlock(state);
    promise_add_promised(&promised, &s->promises, promise);
    promise_add_found(&found, promise, &facts);
    if (kept)
        LOG(INFO, "Promise is kept again", WHO(s, status), {"promise", promise_name(promise)},
            {"promised", buf_text(&promised)}, {"found", buf_text(&found)});
    else
        LOG(WARN, "Promise is broken", WHO(s, status), {"promise", promise_name(promise)},
            {"promised", buf_text(&promised)}, {"found", buf_text(&found)});
    buf_deinit(&promised);
    buf_deinit(&found);
}

void tell_change(const struct server *server, struct server_state *state,
                 const struct observation *o, const struct fleet_change *change)
{
    enum status status;

    server_state_lock(state);
    status = server_status(state);
    server_state_unlock(state);
    tell_state(server, status, o, change);
    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        if (change->promises[i] != VERDICT_UNKNOWN)
            tell_promise(server, state, status, (enum promise)i,
                         change->promises[i] == VERDICT_YES);
    }
}

/* "tcp=0.000019 ssl_request=0.000015 …" of the phases that were completed. */
static void add_phases(struct buf *to, const struct observation *o, bool cpu)
{
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        const struct phase_time *t = &o->phases[phase];

        if (t->completed)
            buf_addf(to, "%s%s=%.6f", to->len ? " " : "", phase_name((enum phase)phase),
                     ns_to_seconds(cpu ? t->cpu_ns : t->duration_ns));
    }
}

void tell_probe(const struct server *s, const struct observation *o)
{
    struct buf phases = BUF_INIT(512), cpu = BUF_INIT(512);
    char whole[32];

    if (!log_wants(LOG_LEVEL_DEBUG))
        return;
    add_phases(&phases, o, false);
    add_phases(&cpu, o, true);
    snprintf(whole, sizeof whole, "%.6f", ns_to_seconds(o->duration_ns));
    LOG(DEBUG, "Probe is over", {"pg_cluster", s->cluster}, {"pg_endpoint", s->endpoint},
        {"server", s->name}, {"probe", probe_kind_name(o->probe)},
        {"address", o->address[0] ? o->address : NULL},
        {"fault", o->fault != FAULT_NONE ? fault_row(o->fault)->id : NULL},
        {"scram_keys", o->by_keys ? "used" : NULL}, {"seconds", whole},
        {"phases", buf_text(&phases)}, {"cpu", buf_text(&cpu)});
    buf_deinit(&phases);
    buf_deinit(&cpu);
}

void tell_certificate_file(const struct server *s, const struct certificate_file *file, bool *told)
{
    bool unreadable = file && file->error[0] != '\0';

    if (!file || *told == unreadable)
        return;
    *told = unreadable;
    if (unreadable)
        LOG(WARN, "Cannot read the certificate file", {"pg_cluster", s->cluster},
            {"pg_endpoint", s->endpoint}, {"server", s->name}, {"file", file->path},
            {"error", file->error});
    else
        LOG(INFO, "The certificate file can be read", {"pg_cluster", s->cluster},
            {"pg_endpoint", s->endpoint}, {"server", s->name}, {"file", file->path});
}

void tell_pause(const struct server *server, const struct server *before)
{
    const char *now = server_pause(server), *then = before ? server_pause(before) : NULL;

    if (now && !(then && strcmp(now, then) == 0))
        LOG(INFO, "Server is left alone", WHO(server, STATUS_UNKNOWN), {"maintenance", now});
    else if (then && !now)
        LOG(INFO, "Server is watched again", WHO(server, STATUS_UNKNOWN));
}
