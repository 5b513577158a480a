/* One server as its worker watches it. At most one probe of a server is in flight; a login runs
 * only after an inspect that passed, so that one event is counted once. */
#include "watched.h"

#include "queue.h"
#include "session.h"
#include "tell.h"
#include "turn.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"
#include "pgtls/base/str.h"
#include "pgtls/model/fold.h"
#include "pgtls/probe/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How soon a side attempt that told nothing is tried again, if the policy's interval is longer. */
#define SIDE_AGAIN_NS (600 * NS_PER_S)

static void on_due(uv_timer_t *timer);

/* --- when ------------------------------------------------------------------------------------- */

static bool login_may_run(const struct watched *w)
{
    return w->server->login && w->inspect_good && !w->session_logs_in;
}

static void arm(struct watched *w)
{
    int64_t at_ns = w->slots[PROBE_INSPECT].due_ns, left_ns;

    if (w->removed || w->probe || w->waiter.queued || server_pause(w->server))
        return;
    if (w->turn_link)
        turn_wake(w); /* no time to wait for: the login's turn comes */
    else if (login_may_run(w) && w->slots[PROBE_LOGIN].due_ns < at_ns)
        at_ns = w->slots[PROBE_LOGIN].due_ns;
    if (w->side_wanted && w->side_due_ns < at_ns)
        at_ns = w->side_due_ns;
    uv_update_time(w->context->host.loop);
    left_ns = at_ns - (int64_t)uv_now(w->context->host.loop) * NS_PER_MS;
    uv_timer_start(&w->timer, on_due,
                   left_ns > 0 ? (uint64_t)((left_ns + NS_PER_MS - 1) / NS_PER_MS) : 0, 0);
}

static int64_t base_interval_ns(const struct watched *w, enum probe_kind kind)
{
    return kind == PROBE_LOGIN ? w->server->login_interval_ns : w->server->interval_ns;
}

/* The present probe of a slot is over: when does the next one come? Each kind of probe has its own
 * moments. */
static void set_next(struct watched *w, enum probe_kind kind, int64_t now_ns)
{
    uint64_t hash = str_hash(w->server->key_hash, probe_kind_name(kind));
    struct slot *slot = &w->slots[kind];
    int64_t base_ns = base_interval_ns(w, kind);

    atomic_fetch_add(
        &w->context->self->probes_skipped,
        schedule_skipped(hash, base_ns, slot->interval_ns, slot->due_ns, slot->started_ns, now_ns));
    slot->due_ns = schedule_after(hash, base_ns, slot->interval_ns, slot->started_ns, now_ns);
}

/* --- starting --------------------------------------------------------------------------------- */

static void count_start(struct watched *w, const struct slot *slot, int64_t now_ns)
{
    struct self *self = w->context->self;
    int64_t late_ns = now_ns - slot->due_ns;

    self_add_lag(self, late_ns > 0 ? late_ns : 0);
    atomic_fetch_add(&self->probes_in_flight, 1);
}

static void start(struct watched *w, enum probe_kind kind, int64_t now_ns)
{
    struct slot *slot = &w->slots[kind];

    count_start(w, slot, now_ns);
    slot->started_ns = now_ns;
    w->probe = probe_start(&w->context->host, kind, w->set, w->server, &w->learned, w);
    if (w->probe)
        return;
    atomic_fetch_sub(&w->context->self->probes_in_flight, 1);
    caps_leave(&w->context->caps, w->entered_as, w->entered_at);
    set_next(w, kind, now_ns); /* out of memory: the next one tries again */
    arm(w);
}

/* No probe: it is in no counter, and late it cannot be. */
static void start_side(struct watched *w, int64_t now_ns)
{
    w->side.left &= w->side_wanted;
    if (w->side.left == 0) /* a new turn */
        w->side.left = w->side_wanted;
    w->probe = side_start(&w->side, &w->context->host, w->set, w->server, w);
    if (w->probe)
        return;
    caps_leave(&w->context->caps, w->entered_as, w->entered_at);
    w->side_due_ns = now_ns + SIDE_AGAIN_NS;
    arm(w);
}

static bool login_due(const struct watched *w, int64_t now_ns)
{
    return login_may_run(w) && w->slots[PROBE_LOGIN].due_ns <= now_ns;
}

/* Which probe is due; PROBE_COUNT when none is. An inspect comes first, but not before a login that
 * has its turn and waits for room: where there is more to do than can be done the next inspect is
 * due by then, and by the time of the turn after, so that some servers would never be logged in to.
 */
static enum probe_kind due_kind(const struct watched *w, int64_t now_ns)
{
    bool login = login_due(w, now_ns);

    if (w->slots[PROBE_INSPECT].due_ns <= now_ns && !(login && w->has_turn))
        return PROBE_INSPECT;
    return login ? PROBE_LOGIN : PROBE_COUNT;
}

/* Starts what is due. */
static enum cap try_start(void *owner, enum pace *pace)
{
    struct watched *w = owner;
    int64_t now_ns = clock_monotonic_ns();
    enum probe_kind kind = due_kind(w, now_ns);
    enum cap cap;

    *pace = w->slots[kind == PROBE_COUNT ? PROBE_INSPECT : kind].pace;
    if (kind == PROBE_COUNT && !(w->side_wanted && w->side_due_ns <= now_ns)) {
        arm(w);
        return CAP_NONE;
    }
    cap = caps_enter(&w->context->caps, w->address, *pace, now_ns);
    if (cap != CAP_NONE)
        return cap;
    str_copy(w->entered_as, sizeof w->entered_as, w->address);
    w->entered_at = *pace;
    w->has_turn = false;
    if (kind == PROBE_COUNT)
        start_side(w, now_ns);
    else
        start(w, kind, now_ns);
    return CAP_NONE;
}

static void on_due(uv_timer_t *timer)
{
    struct watched *w = timer->data;
    enum probe_kind kind;

    if (w->removed || w->probe || w->waiter.queued)
        return;
    w->has_turn = false;
    kind = due_kind(w, clock_monotonic_ns());
    w->has_turn = kind == PROBE_LOGIN && turn_take(w);
    if (kind != PROBE_LOGIN || w->has_turn)
        queue_start(w->context, &w->waiter);
}

bool watched_on_turn(struct watched *w)
{
    w->has_turn = login_due(w, clock_monotonic_ns());
    if (!w->has_turn) {
        arm(w);
        return false;
    }
    queue_start(w->context, &w->waiter);
    return true;
}

/* --- sessions --------------------------------------------------------------------------------- */

bool watched_login_begin(struct watched *w)
{
    bool busy = w->session_logs_in || (w->probe && w->probe->observation.probe == PROBE_LOGIN);

    if (!busy)
        w->session_logs_in = true;
    return !busy;
}

void watched_login_end(struct watched *w)
{
    w->session_logs_in = false;
    arm(w); /* the login probe may have become due meanwhile */
}

static void start_sessions(struct watched *w)
{
    struct session_place place = {.context = w->context,
                                  .owner = w,
                                  .set = w->set,
                                  .server = w->server,
                                  .state = w->state,
                                  .learned = &w->learned};

    for (size_t i = 0; i < w->server->n_sessions; i++) {
        struct session *session;

        place.config = &w->server->sessions[i];
        session = session_new(&place);
        if (!session)
            LOG(ERROR, "Out of memory: a session is not watched",
                {"pg_cluster", w->server->cluster}, {"server", w->server->name});
        else
            w->sessions[w->n_sessions++] = session;
    }
}

static void stop_sessions(struct watched *w)
{
    for (size_t i = 0; i < w->n_sessions; i++)
        session_stop(w->sessions[i]);
    w->n_sessions = 0;
}

/* They get in where a login has just got in, as it did. */
static void allow_sessions(struct watched *w)
{
    for (size_t i = 0; i < w->n_sessions; i++)
        session_allow(w->sessions[i], w->inspect_good && w->login_good && !w->outdated);
}

/* A new generation: those that are what they were stay open. */
static void update_sessions(struct watched *w, const struct server *before)
{
    bool stay = w->n_sessions == w->server->n_sessions &&
                server_connects_alike(before, w->server) &&
                server_sessions_alike(before, w->server);

    if (!stay) {
        stop_sessions(w);
        start_sessions(w);
    }
    for (size_t i = 0; i < w->n_sessions && stay; i++)
        session_update(w->sessions[i], w->set, w->server, &w->server->sessions[i]);
    allow_sessions(w);
}

/* --- results ---------------------------------------------------------------------------------- */

/* A login that failed while what it shows was being replaced is tried once more, uncounted: with a
 * password or a certificate that is refused, and with a file that was caught half written. */
static bool retry_with_new_secret(struct watched *w, const struct probe *p)
{
    const struct fault_row *row = fault_row(p->observation.fault);
    bool refused = row->class == FAULT_CLASS_AUTH || row->class == FAULT_CLASS_CERTIFICATE ||
                   row->internal == INTERNAL_SECRET;

    if (p->observation.probe != PROBE_LOGIN || !refused || w->retried ||
        secret_generation(w->server) == p->secret_generation) {
        w->retried = false;
        return false;
    }
    w->retried = true;
    w->slots[PROBE_LOGIN].due_ns = clock_monotonic_ns();
    return true;
}

/* A login that failed, refused or for want of its secret, need not wait for its turn when that has
 * changed since. */
static void cut_backoff(struct watched *w, int64_t now_ns)
{
    struct slot *login = &w->slots[PROBE_LOGIN];

    if (!w->login_good && login->due_ns > now_ns && secret_generation(w->server) != w->secret_seen)
        login->due_ns = now_ns;
}

/* What a side attempt would tell, after what is known now. */
static void want_side(struct watched *w)
{
    w->side_wanted = 0;
    if (w->server->policy_interval_ns == 0)
        return;
    server_state_lock(w->state);
    w->side_wanted = side_wanted(w->server, &w->state->sslmodes);
    server_state_unlock(w->state);
}

static void fold(struct watched *w, struct probe *p)
{
    const struct observation *o = &p->observation;
    enum probe_kind kind = o->probe;
    struct slot *slot = &w->slots[kind];
    enum fault_class class = fault_row(o->fault)->class;
    int64_t now_ns = clock_monotonic_ns();
    struct fleet_change change;

    slot->pace = o->duration_ns < w->server->timeout_ns / 2 ? PACE_PROMPT : PACE_OTHER;
    slot->failures =
        o->fault == FAULT_NONE || class == FAULT_CLASS_INTERNAL ? 0 : slot->failures + 1;
    slot->interval_ns = schedule_backoff(kind, class, base_interval_ns(w, kind), slot->failures);
    set_next(w, kind, now_ns);
    if (kind == PROBE_LOGIN) {
        w->secret_seen = p->secret_generation;
        w->login_good = observation_entered(o);
    } else {
        bool good = observation_entered(o);

        str_copy(w->address, sizeof w->address, o->address);
        if (good)
            learned_take(&w->learned, p);
        if (good && w->slots[PROBE_LOGIN].due_ns < now_ns)
            w->slots[PROBE_LOGIN].due_ns = now_ns;
        w->inspect_good = good;
        cut_backoff(w, now_ns);
    }
    change = fleet_apply(w->state, o, slot->interval_ns);
    tell_probe(w->server, o);
    tell_change(w->server, w->state, o, &change);
    tell_certificate_file(w->server, o->certificate_file, &w->file_unreadable);
    want_side(w);
    allow_sessions(w);
}

static void fold_side(struct watched *w, const struct probe *p)
{
    const struct observation *o = &p->observation;
    int64_t now_ns = clock_monotonic_ns(), interval_ns = w->server->policy_interval_ns;
    bool told = o->legs[w->side.leg].in != VERDICT_UNKNOWN;

    fleet_apply_side(w->state, w->side.leg, o);
    if (w->side.left)
        w->side_due_ns = now_ns;
    else
        w->side_due_ns =
            now_ns + (told || interval_ns < SIDE_AGAIN_NS ? interval_ns : SIDE_AGAIN_NS);
}

/* Another configuration: it begins anew, before a login relies on what was true of the old one. */
static void forget(struct watched *w)
{
    learned_forget(&w->learned);
    w->outdated = w->inspect_good = w->login_good = w->retried = false;
    w->side_wanted = w->side.left = 0;
    w->side_due_ns = 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct watched *w = handle->data;

    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    learned_forget(&w->learned);
    endpoint_set_unref(w->set);
    server_state_unref(w->state);
    free(w);
}

static void let_go(struct watched *w)
{
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

static void count_end(struct watched *w, const struct probe *p)
{
    struct self *self = w->context->self;

    atomic_fetch_sub(&self->probes_in_flight, 1);
    atomic_fetch_add(&self->missing_timestamps, p->observation.missing_timestamps);
}

static void on_finished(struct probe *p, void *owner)
{
    struct watched *w = owner;
    struct watch_context *c = w->context;
    bool room, counts = !p->cancelled && !w->removed && !w->outdated;

    w->probe = NULL;
    room = caps_leave(&c->caps, w->entered_as, w->entered_at);
    if (w->side.running) {
        side_finish(&w->side);
        if (counts)
            fold_side(w, p);
    } else {
        count_end(w, p);
        if (counts && !retry_with_new_secret(w, p))
            fold(w, p);
    }
    probe_free(p);
    if (w->outdated)
        forget(w);
    if (w->removed)
        let_go(w);
    else
        arm(w);
    if (room)
        queue_run(c);
}

/* --- life ------------------------------------------------------------------------------------- */

/* Spread over a whole interval, the first has the moment that all others will have: else it would
 * be followed too soon, or too late, and a fleet's by all of them. */
static int64_t first_due_ns(const struct watched *w, enum probe_kind kind, int64_t from_ns,
                            int64_t spread_ns)
{
    uint64_t hash = str_hash(w->server->key_hash, probe_kind_name(kind));

    if (spread_ns == base_interval_ns(w, kind))
        return schedule_next(hash, spread_ns, from_ns);
    return from_ns + (int64_t)(hash % (uint64_t)spread_ns);
}

/* When the first probes are due. Logins that are spread begin when all inspects have. */
static void set_first(struct watched *w, struct spread spread, int64_t now_ns)
{
    w->secret_seen = secret_generation(w->server); /* nothing has changed since a failure */
    w->slots[PROBE_INSPECT].due_ns = first_due_ns(w, PROBE_INSPECT, now_ns, spread.inspect_ns);
    w->slots[PROBE_LOGIN].due_ns = now_ns;
    if (spread.login_ns > 0)
        w->slots[PROBE_LOGIN].due_ns =
            first_due_ns(w, PROBE_LOGIN, now_ns + spread.inspect_ns, spread.login_ns);
}

struct watched *watched_new(struct watch_context *context, struct server_state *state,
                            struct endpoint_set *set, const struct server *server,
                            struct spread spread)
{
    struct watched *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    context->host.finished = on_finished;
    w->context = context;
    w->state = server_state_ref(state);
    w->set = endpoint_set_ref(set);
    w->server = server;
    w->waiter = (struct waiter){.owner = w, .try_start = try_start};
    for (int kind = 0; kind < PROBE_COUNT; kind++)
        w->slots[kind] = (struct slot){.interval_ns = base_interval_ns(w, (enum probe_kind)kind),
                                       .pace = PACE_OTHER};
    set_first(w, spread, clock_monotonic_ns());
    uv_timer_init(context->host.loop, &w->timer);
    w->timer.data = w;
    w->next = context->all;
    w->link = &context->all;
    if (w->next)
        w->next->link = &w->next;
    context->all = w;
    if (server_pause(server))
        tell_pause(server, NULL);
    else
        start_sessions(w);
    arm(w);
    return w;
}

/* The other way to connect is tried soon, and its failures are counted from none. */
static void begin_anew(struct watched *w, struct spread spread, int64_t now_ns)
{
    for (int kind = 0; kind < PROBE_COUNT; kind++) {
        w->slots[kind].failures = 0;
        w->slots[kind].pace = PACE_OTHER;
        w->slots[kind].interval_ns = base_interval_ns(w, (enum probe_kind)kind);
    }
    set_first(w, spread, now_ns);
    if (w->probe)
        w->outdated = true; /* it still uses what was learned */
    else
        forget(w);
}

/* A shorter interval counts at once. */
static void change_interval(struct slot *slot, int64_t before_ns, int64_t after_ns, int64_t now_ns)
{
    if (before_ns == after_ns)
        return;
    slot->interval_ns = after_ns;
    if (slot->due_ns > now_ns + after_ns)
        slot->due_ns = now_ns + after_ns;
}

/* Left alone from now on; what is in flight may finish, and tells nothing. */
static void leave_alone(struct watched *w)
{
    uv_timer_stop(&w->timer);
    queue_remove(w->context, &w->waiter);
    turn_leave(w);
    stop_sessions(w);
    if (w->probe)
        w->outdated = true;
    else
        forget(w);
}

void watched_update(struct watched *w, struct endpoint_set *set, const struct server *server,
                    struct spread spread)
{
    int64_t now_ns = clock_monotonic_ns();
    struct endpoint_set *old = w->set;
    const struct server *before = w->server;

    w->set = endpoint_set_ref(set);
    w->server = server;
    tell_pause(server, before);
    if (server_pause(server)) {
        leave_alone(w);
        endpoint_set_unref(old);
        return;
    }
    if (server_pause(before) || !server_connects_alike(before, server) ||
        !expect_alike(&before->expect, &server->expect)) {
        begin_anew(w, spread, now_ns);
    } else {
        change_interval(&w->slots[PROBE_INSPECT], before->interval_ns, server->interval_ns, now_ns);
        change_interval(&w->slots[PROBE_LOGIN], before->login_interval_ns,
                        server->login_interval_ns, now_ns);
    }
    if (w->side_due_ns > now_ns + server->policy_interval_ns)
        w->side_due_ns = now_ns + server->policy_interval_ns;
    want_side(w);
    if (server->login && !before->login)
        w->slots[PROBE_LOGIN].due_ns = now_ns; /* its turns until now were nobody's */
    w->learned.plain_query = false;
    update_sessions(w, before);
    endpoint_set_unref(old);
    if (!w->probe && !w->waiter.queued)
        arm(w);
}

bool watched_complete(const struct watched *w)
{
    return server_pause(w->server) || w->n_sessions == w->server->n_sessions;
}

void watched_remove(struct watched *w)
{
    w->removed = true;
    uv_timer_stop(&w->timer);
    queue_remove(w->context, &w->waiter);
    turn_leave(w);
    stop_sessions(w);
    if (!w->probe)
        let_go(w);
}

void watched_cancel_all(struct watch_context *context)
{
    for (struct watched *w = context->all; w; w = w->next) {
        if (w->probe)
            probe_cancel(w->probe); /* reports later, from the loop: the list stays as it is */
    }
}
