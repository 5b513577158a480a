/* What a login learned about the back end that answered, and which promises that keeps.
 *
 * Behind one address there may be several back ends that take turns: each is remembered by its own
 * address, and the worst is what counts, so that nothing flaps. */
#include "fold_parts.h"

#include "pgtls/base/str.h"

#include <stdlib.h>
#include <string.h>

/* A back end not heard of for this many intervals of the login is gone: the last eight, asked in
 * turn, are each heard of within eight. */
#define BACKEND_KEPT_INTERVALS 10

/* For how long a back end counts in the role that it had. Somebody who was met just once may never
 * be met again: a standby, say, that a balancer still took for one in the minute after its
 * promotion. Who was met over a while is expected back: at most so much later, and half an
 * interval, because intervals are not exact. So a role that was wrong is told for hardly longer
 * than twice the time that it was; two back ends in turn never flap, nor do more of them from
 * their second round on. */
static int64_t counts_for_ns(const struct server_state *s, const struct backend_seen *b)
{
    int64_t interval_ns = s->config->login_interval_ns;
    int64_t known_ns = b->last_monotonic_ns - b->first_monotonic_ns;

    return (known_ns < 2 * interval_ns ? 2 * interval_ns : known_ns) + interval_ns / 2;
}

static void forget_backends(struct server_state *s, int64_t now_ns)
{
    int64_t kept_ns = BACKEND_KEPT_INTERVALS * s->config->login_interval_ns;
    size_t n = 0;

    for (size_t i = 0; i < s->n_backends; i++) {
        struct backend_seen *b = &s->backends[i];
        int64_t age_ns = now_ns - b->last_monotonic_ns;

        b->counts = age_ns <= counts_for_ns(s, b);
        if (age_ns <= kept_ns)
            s->backends[n++] = *b;
    }
    s->n_backends = n;
}

/* One more place, of nobody; NULL when out of memory. Most servers have one back end: what they do
 * not need is not kept ready for each. */
static struct backend_seen *new_place(struct server_state *s)
{
    struct backend_seen *grown = realloc(s->backends, (s->n_backends + 1) * sizeof *grown);

    if (!grown)
        return NULL;
    s->backends = grown;
    return &grown[s->n_backends++];
}

/* Its place: where it stood, a new one (of nobody), or that of the one heard of longest ago. NULL
 * when out of memory. */
static struct backend_seen *place_of(struct server_state *s, const char *address)
{
    struct backend_seen *place = NULL;

    for (size_t i = 0; i < s->n_backends; i++) {
        if (strcmp(s->backends[i].address, address) == 0)
            return &s->backends[i];
        if (!place || s->backends[i].last_monotonic_ns < place->last_monotonic_ns)
            place = &s->backends[i];
    }
    if (s->n_backends < MAX_BACKENDS)
        place = new_place(s);
    if (place)
        *place = (struct backend_seen){.in_recovery = VERDICT_UNKNOWN};
    return place;
}

/* Since when the one in this place plays the role that it has now. */
static int64_t role_since(const struct backend_seen *b, const struct observation *o, int64_t now_ns)
{
    /* Nobody's place is in no recovery that is known, so it never is the same. */
    bool same = b->in_recovery == o->in_recovery && b->read_only == o->read_only;

    return same ? b->first_monotonic_ns : now_ns;
}

static void summarize(struct server_state *s)
{
    s->in_recovery = VERDICT_UNKNOWN;
    s->lag_known = false;
    s->lag_ns = 0;
    for (size_t i = 0; i < s->n_backends; i++) {
        const struct backend_seen *b = &s->backends[i];

        if (!b->counts)
            continue;
        if (s->in_recovery != VERDICT_YES && b->in_recovery != VERDICT_UNKNOWN)
            s->in_recovery = b->in_recovery;
        if (b->lag_known && b->lag_ns >= s->lag_ns)
            s->lag_ns = b->lag_ns;
        s->lag_known = s->lag_known || b->lag_known;
    }
}

static void note(struct backend_seen *b, const struct observation *o, int64_t now_ns)
{
    *b = (struct backend_seen){.in_recovery = o->in_recovery,
                               .read_only = o->read_only,
                               .lag_known = o->lag_known,
                               .lag_ns = o->lag_ns,
                               .first_monotonic_ns = role_since(b, o, now_ns),
                               .last_monotonic_ns = now_ns,
                               .counts = true};
    str_copy(b->address, sizeof b->address, o->backend);
}

void fold_backend(struct server_state *s, const struct observation *o, int64_t now_ns)
{
    struct backend_seen *b;

    if (o->in_recovery == VERDICT_UNKNOWN)
        return;
    forget_backends(s, now_ns);
    b = place_of(s, o->backend);
    if (b) /* else it is one that nobody hears of */
        note(b, o, now_ns);
    summarize(s);
}

/* The back end that plays the role worst, or NULL: none has answered. */
static const struct backend_seen *worst_backend(const struct server_state *s)
{
    const struct backend_seen *worst = NULL;
    enum verdict so_far = VERDICT_YES;

    for (size_t i = 0; i < s->n_backends; i++) {
        const struct backend_seen *b = &s->backends[i];
        enum verdict one = role_played(s->config->promises.role, b->in_recovery, b->read_only);

        if (!b->counts)
            continue;
        if (worst && (so_far == VERDICT_NO || one == VERDICT_YES))
            continue;
        if (!worst || one != so_far) {
            worst = b;
            so_far = one;
        }
    }
    return worst;
}

static void file_facts(const struct server_state *s, struct promise_facts *facts)
{
    const struct certificate_file *file = s->certificate_file.file;

    facts->file_served = s->certificate_file.served;
    if (s->chain && s->chain->count > 0)
        str_copy(facts->leaf, sizeof facts->leaf, s->chain->certificates[0].fingerprint_sha256);
    if (!file)
        return;
    str_copy(facts->file_leaf, sizeof facts->file_leaf, file->leaf.fingerprint_sha256);
    str_copy(facts->file_error, sizeof facts->file_error, file->error);
}

void server_promise_facts(const struct server_state *s, enum promise promise,
                          struct promise_facts *facts)
{
    const struct backend_seen *worst = worst_backend(s);

    *facts = (struct promise_facts){.in_recovery = s->in_recovery,
                                    .pooler = s->pooler,
                                    .lag_known = s->lag_known,
                                    .lag_ns = s->lag_ns};
    if (promise == PROMISE_READ_ONLY) {
        facts->in_recovery = worst ? worst->in_recovery : VERDICT_UNKNOWN;
        facts->read_only = worst ? worst->read_only : VERDICT_UNKNOWN;
    }
    if (promise == PROMISE_CERTIFICATE_FILE)
        file_facts(s, facts);
    if (!s->config->unix_socket)
        str_copy(facts->address, sizeof facts->address, s->address);
}

/* Which kind of probe must be good for a promise to say something about now. */
static const enum probe_kind judged_by[PROMISE_COUNT] = {
    [PROMISE_READ_ONLY] = PROBE_LOGIN,
    [PROMISE_POOLED] = PROBE_LOGIN,
    [PROMISE_MAX_LAG] = PROBE_LOGIN,
    [PROMISE_ADDRESSES] = PROBE_INSPECT,
    [PROMISE_CERTIFICATE_FILE] = PROBE_INSPECT,
    [PROMISE_SAME_CERTIFICATE] = PROBE_INSPECT,
};

static bool is_good(const struct server_state *s, enum probe_kind kind)
{
    const struct probe_state *p = &s->probes[kind];

    return p->configured && p->ran && p->good && !p->internal &&
           (kind == PROBE_INSPECT || p->expected == FAULT_NONE);
}

static enum verdict judge(const struct server_state *s, enum promise promise)
{
    struct promise_facts facts;

    if (!promise_made(&s->config->promises, promise) || !is_good(s, PROBE_INSPECT) ||
        !is_good(s, judged_by[promise]))
        return VERDICT_UNKNOWN;
    server_promise_facts(s, promise, &facts);
    return promise_judge(&s->config->promises, promise, &facts);
}

/* Whether there is something to tell: broken now, or kept again. A server that was down meanwhile
 * has changed nothing about its promise, and that a promise is kept from the start is no news. */
static enum verdict news_of(struct promise_state *p, enum verdict kept)
{
    enum verdict before = p->told;

    if (kept == VERDICT_UNKNOWN || kept == before)
        return VERDICT_UNKNOWN;
    p->told = kept;
    return kept == VERDICT_NO || before == VERDICT_NO ? kept : VERDICT_UNKNOWN;
}

void fold_promises(struct server_state *s, int64_t realtime_ns, enum verdict news[PROMISE_COUNT])
{
    bool settled = server_state_now(s) != STATE_UNKNOWN; /* else a login is still to come */

    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        struct promise_state *p = &s->promises[i];
        enum verdict kept = judge(s, (enum promise)i);

        if (news)
            news[i] = settled ? news_of(p, kept) : VERDICT_UNKNOWN;
        else if (!promise_made(&s->config->promises, (enum promise)i))
            p->told = VERDICT_UNKNOWN;
        if (kept == p->kept)
            continue;
        p->kept = kept;
        p->since_realtime_ns = realtime_ns;
    }
}

void promise_tally_add(struct promise_tally *t, const struct server_state *s, enum promise promise)
{
    const struct promise_state *p = &s->promises[promise];

    if (server_pause(s->config))
        return;
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
