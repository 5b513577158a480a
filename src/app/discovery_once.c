/* Discovery for the commands that end. */
#include "discovery_once.h"

#include "discovery.h"

#include <uv.h>

#define PATIENCE_MS 10000
#define LOOK_MS     20

struct once {
    struct discovery_hub *hub;
    uv_timer_t patience, look;
};

static void do_nothing(void *context)
{
    (void)context; /* built at the end */
}

static void on_patience(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void on_look(uv_timer_t *timer)
{
    const struct once *once = timer->data;

    if (!discovery_hub_waiting(once->hub))
        uv_stop(timer->loop);
}

static void run(uv_loop_t *loop, struct once *once)
{
    uv_timer_init(loop, &once->patience);
    uv_timer_init(loop, &once->look);
    once->look.data = once;
    uv_timer_start(&once->patience, on_patience, PATIENCE_MS, 0);
    uv_timer_start(&once->look, on_look, 0, LOOK_MS);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&once->patience, NULL);
    uv_close((uv_handle_t *)&once->look, NULL);
}

struct endpoint_set *discovery_once(struct config_source *source, struct endpoint_set *set,
                                    struct config_messages *messages)
{
    const struct discovery_callbacks callbacks = {.news = do_nothing, .fared = do_nothing};
    struct once once;
    struct endpoint_set *found;
    uv_loop_t loop;

    if (!set || (set->n_discoveries == 0 && !set->follows) || uv_loop_init(&loop) != 0)
        return set;
    once.hub = discovery_hub_new(&loop, source, &callbacks);
    if (once.hub) {
        discovery_hub_watch(once.hub, set);
        run(&loop, &once);
    }
    discovery_hub_free(once.hub);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    config_messages_deinit(messages);
    found = config_source_build(source, messages);
    if (!found)
        return set;
    endpoint_set_unref(set);
    return found;
}
