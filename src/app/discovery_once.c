/* Discovery for the commands that end. */
#include "discovery_once.h"

#include "discovery.h"
#include "pgtls/net/loop.h"

#include <uv.h>

#define PATIENCE_MS 10000
#define LOOK_MS     20

struct once {
    struct discovery_hub *hub;
    uv_timer_t patience, look;
    bool over; /* the patience */
};

static bool build_later(void *context)
{
    (void)context; /* built at the end */
    return true;
}

static void do_nothing(void *context)
{
    (void)context;
}

static void on_patience(uv_timer_t *timer)
{
    struct once *once = timer->data;

    once->over = true;
    uv_stop(timer->loop);
}

static void on_look(uv_timer_t *timer)
{
    const struct once *once = timer->data;

    if (!discovery_hub_waiting(once->hub))
        uv_stop(timer->loop);
}

static void start(uv_loop_t *loop, struct once *once)
{
    uv_timer_init(loop, &once->patience);
    uv_timer_init(loop, &once->look);
    once->patience.data = once->look.data = once;
    uv_timer_start(&once->patience, on_patience, PATIENCE_MS, 0);
    uv_timer_start(&once->look, on_look, 0, LOOK_MS);
}

/* Lists of targets first, then the addresses of hosts that only they may have told of. */
static struct endpoint_set *run(uv_loop_t *loop, struct once *once, struct config_source *source,
                                struct endpoint_set *set, struct config_messages *messages)
{
    struct endpoint_set *found = endpoint_set_ref(set);

    for (int round = 0; found && round < 2; round++) {
        discovery_hub_watch(once->hub, found);
        if (!once->over && discovery_hub_waiting(once->hub))
            uv_run(loop, UV_RUN_DEFAULT);
        endpoint_set_unref(found);
        config_messages_deinit(messages);
        found = config_source_build(source, messages);
    }
    return found;
}

struct endpoint_set *discovery_once(struct config_source *source, struct endpoint_set *set,
                                    struct config_messages *messages)
{
    const struct discovery_callbacks callbacks = {.news = build_later, .fared = do_nothing};
    struct once once = {.hub = NULL};
    struct endpoint_set *found = NULL;
    uv_loop_t loop;

    if (!set || (set->n_discoveries == 0 && !set->follows) || !loop_init(&loop))
        return set;
    once.hub = discovery_hub_new(&loop, source, &callbacks);
    if (once.hub) {
        start(&loop, &once);
        found = run(&loop, &once, source, set, messages);
        uv_close((uv_handle_t *)&once.patience, NULL);
        uv_close((uv_handle_t *)&once.look, NULL);
    }
    discovery_hub_free(once.hub);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    if (!found)
        return set;
    endpoint_set_unref(set);
    return found;
}
