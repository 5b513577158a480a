/* Proof of life. */
#include "watchdog.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"
#include "pgtls/expose/http.h"
#include "pgtls/probe/requests.h"
#include "pgtls/probe/scheduler.h"

#include <stdio.h>

/* As often within the manager's patience: a loop that is busy for most of one part is no trouble
 * yet. */
#define PARTS 4

static void ask_all(struct watchdog *w)
{
    w->asked_ns = clock_monotonic_ns();
    scheduler_poke(w->scheduler);
    requests_poke(w->requests);
    http_server_poke(w->http);
}

/* True with the name of a thread that has not answered. */
static bool find_silent(const struct watchdog *w, char *name, size_t size)
{
    int worker = scheduler_silent(w->scheduler);
    const char *address = http_server_silent(w->http);

    if (worker >= 0)
        snprintf(name, size, "probe-%d", worker);
    else if (requests_silent(w->requests))
        snprintf(name, size, "probe-requests");
    else if (address)
        snprintf(name, size, "HTTP at %s", address);
    else
        return false;
    return true;
}

static void on_tick(uv_timer_t *timer)
{
    struct watchdog *w = timer->data;
    int64_t waited_ns = clock_monotonic_ns() - w->asked_ns;
    char name[160];

    if (!find_silent(w, name, sizeof name)) {
        if (w->complained)
            LOG(INFO, "All threads answer again", {NULL, NULL});
        w->complained = false;
        service_tell(w->service, "WATCHDOG=1");
        ask_all(w);
    } else if (!w->complained && waited_ns > w->service->watchdog_ns / 2) {
        w->complained = true;
        LOG(ERROR, "A thread does not answer; if it stays so, the service manager will end us",
            {"thread", name});
    }
}

void watchdog_start(struct watchdog *w, uv_loop_t *loop)
{
    uint64_t period_ms = (uint64_t)(w->service->watchdog_ns / NS_PER_MS / PARTS);

    if (w->service->watchdog_ns == 0)
        return;
    if (period_ms == 0)
        period_ms = 1;
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_tick, period_ms, period_ms);
    ask_all(w);
}
