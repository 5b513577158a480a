/* Who waits for room. */
#include "queue.h"

#define RETRY_MS 5 /* how often lines held back by the rate of connections are looked at */

static void on_retry(uv_timer_t *timer)
{
    queue_run(timer->data);
}

/* Room is told of when a probe leaves; only for the rate of connections the clock is looked at. */
static void look_again(struct watch_context *c)
{
    uv_timer_t *retry = &c->queue.retry;

    if (!c->queue.for_rate)
        uv_timer_stop(retry);
    else if (!uv_is_active((uv_handle_t *)retry))
        uv_timer_start(retry, on_retry, RETRY_MS, RETRY_MS);
}

void queue_init(struct watch_context *c, uv_loop_t *loop)
{
    for (int pace = 0; pace < PACE_COUNT; pace++)
        c->queue.lines[pace].end = &c->queue.lines[pace].first;
    uv_timer_init(loop, &c->queue.retry);
    c->queue.retry.data = c;
}

/* A cap has just refused one. Whoever stands behind it may wait for the rate without having been
 * asked. */
static void see_refusal(struct watch_context *c, enum cap cap)
{
    if (cap == CAP_RATE || caps_rate_full(&c->caps))
        c->queue.for_rate = true;
}

static void stand_in_line(struct watch_context *c, struct waiter *w, enum cap cap, enum pace pace)
{
    w->queued = true;
    w->queued_at = pace;
    w->next = NULL;
    *c->queue.lines[pace].end = w;
    c->queue.lines[pace].end = &w->next;
    atomic_fetch_add(&c->self->probes_waiting, 1);
    atomic_fetch_add(&c->self->probes_held_back[cap], 1);
    see_refusal(c, cap);
    look_again(c);
}

void queue_start(struct watch_context *c, struct waiter *w)
{
    enum pace pace;
    enum cap cap = w->try_start(w->owner, &pace);

    if (cap != CAP_NONE)
        stand_in_line(c, w, cap, pace);
}

/* Takes out the one that *at leads to. */
static void take_out(struct watch_context *c, struct waiter **at)
{
    struct waiter *w = *at;

    *at = w->next;
    if (c->queue.lines[w->queued_at].end == &w->next)
        c->queue.lines[w->queued_at].end = at;
    w->queued = false;
    atomic_fetch_sub(&c->self->probes_waiting, 1);
}

void queue_remove(struct watch_context *c, struct waiter *w)
{
    struct waiter **at = &c->queue.lines[w->queued_at].first;

    if (!w->queued)
        return;
    while (*at && *at != w)
        at = &(*at)->next;
    if (*at)
        take_out(c, at);
}

/* Has its pace changed since it came to stand in line, those behind it are of the line's. */
static bool is_full_for_all(const struct watch_context *c, const struct waiter *w, enum pace pace)
{
    return caps_full(&c->caps, pace) && caps_full(&c->caps, w->queued_at);
}

/* Lets one of a line start, at `at` or behind; one that has nothing to start takes no turn. Where
 * to go on; NULL: nobody in it can. */
static struct waiter **start_one(struct watch_context *c, struct waiter **at)
{
    while (*at) {
        struct waiter *w = *at;
        size_t in_flight = c->caps.in_flight.all;
        enum pace pace;
        enum cap cap;

        w->queued = false; /* to start, or to wait for another time */
        cap = w->try_start(w->owner, &pace);
        if (cap == CAP_NONE) {
            take_out(c, at);
            if (c->caps.in_flight.all > in_flight)
                return at;
            continue;
        }
        w->queued = true;
        see_refusal(c, cap);
        if (is_full_for_all(c, w, pace))
            return NULL;
        at = &w->next;
    }
    return NULL;
}

/* The two lines in turns, also from one call to the next: often there is room for one alone. */
static void run(struct watch_context *c)
{
    enum pace pace = c->queue.next;
    struct waiter **at[PACE_COUNT];

    for (int i = 0; i < PACE_COUNT; i++)
        at[i] = &c->queue.lines[i].first;
    while (at[PACE_PROMPT] || at[PACE_OTHER]) {
        enum pace other = pace == PACE_PROMPT ? PACE_OTHER : PACE_PROMPT;

        if (at[pace])
            at[pace] = start_one(c, at[pace]);
        if (at[pace])
            c->queue.next = other;
        pace = other;
    }
}

/* Who starts may end at once, and make room: the lines are gone through again, not within. */
void queue_run(struct watch_context *c)
{
    struct queue *q = &c->queue;

    q->changed = true;
    if (q->runs)
        return;
    q->runs = true;
    while (q->changed) {
        q->changed = q->for_rate = false;
        run(c);
    }
    q->runs = false;
    look_again(c);
}
