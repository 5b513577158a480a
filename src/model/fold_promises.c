/* What a login learned about the back end that answered, and which promises that keeps.
 *
 * Behind one address there may be several back ends that take turns: each is remembered by its own
 * address, and the worst is what counts, so that nothing flaps. */
#include "fold.h"

#include "pgtls/base/str.h"

#include <string.h>

/* A back end not heard of for this many intervals of the login is gone: the last eight, asked in
 * turn, are each heard of within eight. */
#define BACKEND_KEPT_INTERVALS 10

static void forget_backends(struct server_state *s, int64_t now_ns)
{
    int64_t kept_ns = BACKEND_KEPT_INTERVALS * s->config->login_interval_ns;
    size_t n = 0;

    for (size_t i = 0; i < s->n_backends; i++) {
        if (now_ns - s->backends[i].last_monotonic_ns <= kept_ns)
            s->backends[n++] = s->backends[i];
    }
    s->n_backends = n;
}

/* Its place: where it stood, a free one, or that of the one heard of longest ago. */
static struct backend_seen *place_of(struct server_state *s, const char *address)
{
    struct backend_seen *oldest = &s->backends[0];

    for (size_t i = 0; i < s->n_backends; i++) {
        if (strcmp(s->backends[i].address, address) == 0)
            return &s->backends[i];
        if (s->backends[i].last_monotonic_ns < oldest->last_monotonic_ns)
            oldest = &s->backends[i];
    }
    return s->n_backends < MAX_BACKENDS ? &s->backends[s->n_backends++] : oldest;
}

static void summarize(struct server_state *s)
{
    s->in_recovery = VERDICT_UNKNOWN;
    s->lag_known = false;
    s->lag_ns = 0;
    for (size_t i = 0; i < s->n_backends; i++) {
        const struct backend_seen *b = &s->backends[i];

        if (s->in_recovery != VERDICT_YES && b->in_recovery != VERDICT_UNKNOWN)
            s->in_recovery = b->in_recovery;
        if (b->lag_known && b->lag_ns >= s->lag_ns)
            s->lag_ns = b->lag_ns;
        s->lag_known = s->lag_known || b->lag_known;
    }
}

void fold_backend(struct server_state *s, const struct observation *o, int64_t now_ns)
{
    struct backend_seen *b;

    if (o->in_recovery == VERDICT_UNKNOWN)
        return;
    forget_backends(s, now_ns);
    b = place_of(s, o->backend);
    *b = (struct backend_seen){.in_recovery = o->in_recovery,
                               .read_only = o->read_only,
                               .lag_known = o->lag_known,
                               .lag_ns = o->lag_ns,
                               .last_monotonic_ns = now_ns};
    str_copy(b->address, sizeof b->address, o->backend);
    summarize(s);
}

/* The worst of the back ends. */
static enum verdict judge_role(const struct server_state *s)
{
    enum verdict worst = s->n_backends > 0 ? VERDICT_YES : VERDICT_UNKNOWN;

    for (size_t i = 0; i < s->n_backends; i++) {
        enum verdict one = role_played(s->config->promises.role, s->backends[i].in_recovery,
                                       s->backends[i].read_only);

        if (one == VERDICT_NO)
            return VERDICT_NO;
        if (one == VERDICT_UNKNOWN)
            worst = VERDICT_UNKNOWN;
    }
    return worst;
}

static enum verdict judge_pooled(const struct server_state *s)
{
    if (s->pooler == VERDICT_UNKNOWN)
        return VERDICT_UNKNOWN;
    return s->pooler == s->config->promises.pooled ? VERDICT_YES : VERDICT_NO;
}

/* A primary is not behind. */
static enum verdict judge_lag(const struct server_state *s)
{
    if (s->lag_known)
        return s->lag_ns <= s->config->promises.max_lag_ns ? VERDICT_YES : VERDICT_NO;
    return s->in_recovery == VERDICT_NO ? VERDICT_YES : VERDICT_UNKNOWN;
}

static enum verdict judge_address(const struct server_state *s)
{
    const struct promises *p = &s->config->promises;

    if (s->address[0] == '\0' || s->config->unix_socket)
        return VERDICT_UNKNOWN;
    for (size_t i = 0; i < p->n_addresses; i++) {
        if (network_contains(&p->addresses[i], s->address))
            return VERDICT_YES;
    }
    return VERDICT_NO;
}

/* Who judges what, and which kind of probe must be good for it to say something about now. */
static const struct {
    enum verdict (*judge)(const struct server_state *s);
    enum probe_kind by;
} judges[PROMISE_COUNT] = {
    [PROMISE_READ_ONLY] = {judge_role, PROBE_LOGIN},
    [PROMISE_POOLED] = {judge_pooled, PROBE_LOGIN},
    [PROMISE_MAX_LAG] = {judge_lag, PROBE_LOGIN},
    [PROMISE_ADDRESSES] = {judge_address, PROBE_INSPECT},
};

static bool is_good(const struct server_state *s, enum probe_kind kind)
{
    const struct probe_state *p = &s->probes[kind];

    return p->configured && p->ran && p->good && !p->internal;
}

void fold_promises(struct server_state *s, int64_t realtime_ns)
{
    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        struct promise_state *p = &s->promises[i];
        enum verdict kept = VERDICT_UNKNOWN;

        if (promise_made(&s->config->promises, (enum promise)i) && is_good(s, PROBE_INSPECT) &&
            is_good(s, judges[i].by))
            kept = judges[i].judge(s);
        if (kept == p->kept)
            continue;
        p->kept = kept;
        p->since_realtime_ns = realtime_ns;
    }
}

void promise_tally_add(struct promise_tally *t, const struct server_state *s, enum promise promise)
{
    const struct promise_state *p = &s->promises[promise];

    if (p->kept == VERDICT_YES) {
        t->kept++;
    } else if (p->kept == VERDICT_NO) {
        if (t->broken++ == 0)
            t->first_broken = t->last_broken = p->since_realtime_ns;
        if (p->since_realtime_ns < t->first_broken)
            t->first_broken = p->since_realtime_ns;
        if (p->since_realtime_ns > t->last_broken)
            t->last_broken = p->since_realtime_ns;
    } else if (server_state_now(s) != STATE_DOWN) {
        t->unknown++;
    }
}
