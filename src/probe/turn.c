/* Turns of logins. */
#include "turn.h"

#include "pgtls/base/clock.h"

#define LEAST_PER_SECOND 100 /* twice what first logins ask for (worker.c) */
#define ROOM             2   /* times what the intervals ask for */
#define AT_ONCE          4

static void on_turn(uv_timer_t *timer);

/* --- the pace --------------------------------------------------------------------------------- */

static void drip(struct turns *turns)
{
    int64_t now_ns = clock_monotonic_ns();

    turns->tokens += turns->per_second * ns_to_seconds(now_ns - turns->filled_ns);
    turns->filled_ns = now_ns;
    if (turns->tokens > AT_ONCE)
        turns->tokens = AT_ONCE;
}

void turns_set_rate(struct watch_context *c, double per_second)
{
    drip(&c->turns);
    per_second *= ROOM;
    c->turns.per_second = per_second > LEAST_PER_SECOND ? per_second : LEAST_PER_SECOND;
}

/* --- the line --------------------------------------------------------------------------------- */

static struct watched *first_free(const struct turns *turns)
{
    struct watched *w = turns->first;

    while (w && (w->probe || w->waiter.queued))
        w = w->next_in_turn;
    return w;
}

/* The timer runs while somebody could begin but for the pace. */
static void arm(struct turns *turns)
{
    double seconds = (1 - turns->tokens) / turns->per_second;

    if (first_free(turns))
        uv_timer_start(&turns->timer, on_turn, seconds > 0 ? (uint64_t)(seconds * 1e3) + 1 : 0, 0);
}

/* One after the other, in their order. No turn is lost to one that no longer wants it. */
static void on_turn(uv_timer_t *timer)
{
    struct watch_context *c = timer->data;
    struct turns *turns = &c->turns;
    struct watched *w;

    drip(turns);
    while (turns->tokens >= 1 && (w = first_free(turns)) != NULL) {
        turn_leave(w);
        if (watched_on_turn(w))
            turns->tokens--;
    }
    arm(turns);
}

static void stand_in_line(struct watched *w)
{
    struct turns *turns = &w->context->turns;

    w->next_in_turn = NULL;
    w->turn_link = turns->end;
    *turns->end = w;
    turns->end = &w->next_in_turn;
    atomic_fetch_add(&w->context->self->probes_waiting, 1);
}

void turns_init(struct watch_context *c, uv_loop_t *loop)
{
    c->turns.end = &c->turns.first;
    c->turns.tokens = AT_ONCE;
    turns_set_rate(c, 0);
    uv_timer_init(loop, &c->turns.timer);
    c->turns.timer.data = c;
}

void turns_close(struct watch_context *c)
{
    uv_close((uv_handle_t *)&c->turns.timer, NULL);
}

bool turn_take(struct watched *w)
{
    struct turns *turns = &w->context->turns;

    drip(turns);
    if (turns->tokens >= 1 && !first_free(turns)) {
        turn_leave(w);
        turns->tokens--;
        return true;
    }
    if (!w->turn_link)
        stand_in_line(w);
    turn_wake(w);
    return false;
}

void turn_leave(struct watched *w)
{
    struct turns *turns = &w->context->turns;

    if (!w->turn_link)
        return;
    *w->turn_link = w->next_in_turn;
    if (w->next_in_turn)
        w->next_in_turn->turn_link = w->turn_link;
    else
        turns->end = w->turn_link;
    w->turn_link = NULL;
    atomic_fetch_sub(&w->context->self->probes_waiting, 1);
}

void turn_wake(struct watched *w)
{
    struct turns *turns = &w->context->turns;

    if (w->turn_link && !uv_is_active((uv_handle_t *)&turns->timer)) {
        drip(turns);
        arm(turns);
    }
}
