/* Turns of logins. */
#include "turn.h"

static void on_spin(uv_idle_t *spin)
{
    (void)spin; /* while it is active, the loop does not block: the next turn comes at once */
}

static bool may_begin(const struct watched *w)
{
    return !w->probe && !w->queued;
}

static struct watched *first_free(const struct turns *turns)
{
    struct watched *w = turns->first;

    while (w && !may_begin(w))
        w = w->next_in_turn;
    return w;
}

/* A turn of the loop is over: whoever is the first in line has the next one. Nobody's turn is lost
 * to one that no longer wants it. */
static void on_turned(uv_check_t *check)
{
    struct watch_context *c = check->data;
    struct turns *turns = &c->turns;
    struct watched *w;

    turns->taken = false;
    while (!turns->taken && (w = first_free(turns)) != NULL) {
        turn_leave(w);
        turns->taken = watched_on_turn(w);
    }
    if (!first_free(turns))
        uv_idle_stop(&turns->spin);
    if (!turns->taken)
        uv_check_stop(check);
}

/* The next turn of the loop will be noticed. */
static void look(struct turns *turns)
{
    if (!uv_is_active((uv_handle_t *)&turns->check))
        uv_check_start(&turns->check, on_turned);
}

void turns_init(struct watch_context *c, uv_loop_t *loop)
{
    c->turns.end = &c->turns.first;
    uv_check_init(loop, &c->turns.check);
    uv_idle_init(loop, &c->turns.spin);
    c->turns.check.data = c;
}

void turns_close(struct watch_context *c)
{
    uv_close((uv_handle_t *)&c->turns.check, NULL);
    uv_close((uv_handle_t *)&c->turns.spin, NULL);
}

bool turn_take(struct watched *w)
{
    struct turns *turns = &w->context->turns;

    look(turns);
    if (!turns->taken && !turns->first) {
        turns->taken = true;
        return true;
    }
    if (!w->turn_link) {
        w->next_in_turn = NULL;
        w->turn_link = turns->end;
        *turns->end = w;
        turns->end = &w->next_in_turn;
        atomic_fetch_add(&w->context->self->probes_waiting, 1);
    }
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

    if (!w->turn_link || !may_begin(w))
        return;
    look(turns);
    uv_idle_start(&turns->spin, on_spin);
}
