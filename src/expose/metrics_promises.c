/* Samples about roles, lag and promises. A server's are written under its lock. */
#include "catalogue.h"

#include "pgtls/base/clock.h"

/* Logins tell about now only while the latest is good. */
static bool login_is_good(const struct server_state *s)
{
    const struct probe_state *p = &s->probes[PROBE_LOGIN];

    return p->configured && p->ran && p->good && !p->internal;
}

void emit_in_recovery(struct sink *k, const struct server_state *s)
{
    if (login_is_good(s) && s->in_recovery != VERDICT_UNKNOWN)
        sink_plain_u64(k, s->in_recovery == VERDICT_YES);
}

void emit_lag(struct sink *k, const struct server_state *s)
{
    if (!login_is_good(s) || !s->lag_known)
        return;
    sink_begin(k);
    sink_ns(k, s->lag_ns - s->lag_ns % NS_PER_MS);
}

/* Whether it could be read is known once it was looked at. */
void emit_file_readable(struct sink *k, const struct server_state *s)
{
    const struct certificate_file *file = s->certificate_file.file;

    if (file)
        sink_plain_u64(k, file->error[0] == '\0');
}

void emit_promise_kept(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        if (s->promises[i].kept != VERDICT_UNKNOWN)
            sink_one_u64(k, "promise", promise_name((enum promise)i),
                         s->promises[i].kept == VERDICT_YES);
    }
}

void emit_endpoint_promise_kept(struct sink *k, const struct fleet_view *view,
                                const struct endpoint *e)
{
    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        enum verdict kept = fleet_endpoint_promise(view, e, (enum promise)i);

        if (kept == VERDICT_UNKNOWN)
            continue;
        sink_begin(k);
        sink_text(k, "pg_cluster", e->cluster);
        sink_text(k, "pg_endpoint", e->name);
        sink_label(k, "promise", promise_name((enum promise)i));
        sink_u64(k, kept == VERDICT_YES);
    }
}

/* Told whether or not it is promised. */
void emit_same_certificate(struct sink *k, const struct fleet_view *view, const struct endpoint *e)
{
    enum verdict same =
        e->n_servers < 2 ? VERDICT_UNKNOWN : fleet_agreement(view, e, SAME_ENDPOINT).same;

    if (same == VERDICT_UNKNOWN)
        return;
    sink_begin(k);
    sink_text(k, "pg_cluster", e->cluster);
    sink_text(k, "pg_endpoint", e->name);
    sink_u64(k, same == VERDICT_YES);
}
