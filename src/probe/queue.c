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
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): takes the end of a line for none of c */
    bool waiting = c->queue.lines[PACE_PROMPT].first || c->queue.lines[PACE_OTHER].first;

    if (!waiting || c->caps.per_second <= 0)
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

void queue_add(struct watched *w, enum cap cap, enum pace pace)
{
    struct watch_context *c = w->context;

    w->queued = true;
    w->queued_at = pace;
    w->next_queued = NULL;
    *c->queue.lines[pace].end = w;
    c->queue.lines[pace].end = &w->next_queued;
    atomic_fetch_add(&c->self->probes_waiting, 1);
    atomic_fetch_add(&c->self->probes_held_back[cap], 1);
    look_again(c);
}

/* Takes out the one that *at leads to. */
static void take_out(struct watch_context *c, struct watched **at)
{
    struct watched *w = *at;

    *at = w->next_queued;
    if (c->queue.lines[w->queued_at].end == &w->next_queued)
        c->queue.lines[w->queued_at].end = at;
    w->queued = false;
    atomic_fetch_sub(&c->self->probes_waiting, 1);
}

void queue_remove(struct watched *w)
{
    struct watched **at = &w->context->queue.lines[w->queued_at].first;

    while (*at && *at != w)
        at = &(*at)->next_queued;
    if (*at)
        take_out(w->context, at);
}

/* Lets one of a line start, at `at` or behind. Where to go on; NULL: nobody in it can. */
static struct watched **start_one(struct watch_context *c, struct watched **at)
{
    while (*at) {
        struct watched *w = *at;
        enum pace pace;

        w->queued = false; /* to start, or to wait for another time */
        if (watched_try_start(w, &pace) == CAP_NONE) {
            take_out(c, at);
            return at;
        }
        w->queued = true;
        if (caps_full(&c->caps, pace))
            return NULL;
        at = &w->next_queued;
    }
    return NULL;
}

/* The two lines in turns, also from one call to the next: often there is room for one alone. */
void queue_run(struct watch_context *c)
{
    enum pace pace = c->queue.next;
    struct watched **at[PACE_COUNT];

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
    look_again(c);
}
