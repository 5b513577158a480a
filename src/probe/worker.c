/* One worker. Other threads speak to it through a mailbox of one letter: the newest view, or stop.
 */
#include "worker.h"

#include "queue.h"
#include "turn.h"
#include "watched.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"
#include "pgtls/base/str.h"
#include "pgtls/base/wipe.h"
#include "pgtls/net/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SPREAD_NS  (2 * NS_PER_S) /* a small fleet has its first results within this */
#define FIRST_PER_SECOND 250            /* of a large one, per worker */

/* A login costs ten times what an inspect costs: of a large fleet they do not follow at once. */
#define FIRST_LOGINS_PER_SECOND 50

#define GRACE_NS      (750 * NS_PER_MS)
#define GRACE_LOOK_MS 5

#define AGAIN_MS 1000 /* until what there was no memory for is tried once more */

struct worker {
    unsigned index, workers;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t grace, again;
    struct watch_context context;
    _Atomic bool poked; /* and not noticed yet */

    pthread_mutex_t lock; /* of the mailbox */
    struct fleet_view *letter;
    bool stop;
    int64_t end_ns; /* when what is in flight is broken off, once stopping */

    struct fleet_view *view;  /* what is watched; or would be, if there were memory */
    struct watched **watched; /* sorted by state */
    size_t n_watched;
};

static int by_state(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t)(*(struct watched *const *)a)->state;
    uintptr_t right = (uintptr_t)(*(struct watched *const *)b)->state;

    return (left > right) - (left < right);
}

static struct watched *find(const struct worker *w, struct server_state *state)
{
    struct watched key = {.state = state}, *at = &key, **found;

    if (w->n_watched == 0)
        return NULL;
    found = bsearch(&at, w->watched, w->n_watched, sizeof at, by_state);
    return found ? *found : NULL;
}

static bool is_ours(const struct worker *w, const struct server *s)
{
    return s->key_hash % w->workers == w->index;
}

static int64_t spread_ns(const struct worker *w, const struct fleet_view *view, int per_second,
                         int64_t interval_ns)
{
    int64_t spread_ns = (int64_t)(view->n / w->workers) * NS_PER_S / per_second;

    if (spread_ns < FIRST_SPREAD_NS)
        spread_ns = FIRST_SPREAD_NS;
    return spread_ns < interval_ns ? spread_ns : interval_ns;
}

/* Over what time the first probes of this view's servers are spread. */
static struct spread first_spread(const struct worker *w, const struct fleet_view *view,
                                  const struct server *s)
{
    struct spread spread = {.inspect_ns = spread_ns(w, view, FIRST_PER_SECOND, s->interval_ns),
                            .login_ns =
                                spread_ns(w, view, FIRST_LOGINS_PER_SECOND, s->login_interval_ns)};

    if (spread.login_ns <= spread.inspect_ns || spread.login_ns <= FIRST_SPREAD_NS)
        spread.login_ns = 0; /* each may follow its inspect */
    return spread;
}

static void on_again(uv_timer_t *timer);

static void use_view(struct worker *w, struct fleet_view *view)
{
    fleet_view_unref(w->view);
    w->view = view;
}

/* What there is no memory for follows. */
static void try_again(struct worker *w)
{
    LOG(ERROR, "Out of memory: not all of the configuration is watched yet", {NULL, NULL});
    uv_timer_start(&w->again, on_again, AGAIN_MS, 0);
}

/* Servers that stay go on, new ones begin, the others end. */
static void take_view(struct worker *w, struct fleet_view *view)
{
    struct watched **next = calloc(view->n ? view->n : 1, sizeof *next);
    size_t n = 0;
    double logins_per_second = 0;
    bool complete = true;

    if (!next) {
        use_view(w, view);
        try_again(w);
        return;
    }
    uv_timer_stop(&w->again);
    caps_set(&w->context.caps, &view->set->settings, caps_shares(view->set, w->workers),
             clock_monotonic_ns());
    for (size_t i = 0; i < view->n; i++) {
        const struct server *s = &view->set->servers[i];
        struct watched *known;

        if (!is_ours(w, s))
            continue;
        if (s->login)
            logins_per_second += 1 / ns_to_seconds(s->login_interval_ns);
        known = find(w, view->servers[i]);
        if (known)
            watched_update(known, view->set, s, first_spread(w, view, s));
        else
            known =
                watched_new(&w->context, view->servers[i], view->set, s, first_spread(w, view, s));
        if (known)
            next[n++] = known;
        complete = complete && known && watched_complete(known);
    }
    qsort(next, n, sizeof *next, by_state);
    for (size_t i = 0; i < w->n_watched; i++) {
        struct watched *gone = w->watched[i];

        if (!n || !bsearch(&gone, next, n, sizeof gone, by_state))
            watched_remove(gone);
    }
    free(w->watched);
    w->watched = next;
    w->n_watched = n;
    use_view(w, view);
    if (!complete)
        try_again(w);
    turns_set_rate(&w->context, logins_per_second);
    queue_run(&w->context); /* the caps may have grown */
}

static void on_again(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    struct fleet_view *view = w->view;

    w->view = NULL;
    take_view(w, view);
}

/* The last look: everything has finished, or its time is up. */
static void on_grace(uv_timer_t *timer)
{
    struct worker *w = timer->data;

    if (w->context.caps.in_flight.all > 0 && clock_monotonic_ns() < w->end_ns)
        return;
    watched_cancel_all(&w->context);
    uv_close((uv_handle_t *)timer, NULL);
    uv_close((uv_handle_t *)&w->again, NULL);
    uv_close((uv_handle_t *)&w->context.queue.retry, NULL);
    turns_close(&w->context);
    uv_close((uv_handle_t *)&w->wake, NULL);
    resolver_free(w->context.host.resolver);
}

/* What is in flight may finish for a moment: a handshake or a session broken off is a line in the
 * server's log. */
static void end(struct worker *w)
{
    for (size_t i = 0; i < w->n_watched; i++)
        watched_remove(w->watched[i]);
    w->n_watched = 0;
    uv_timer_stop(&w->again);
    w->end_ns = clock_monotonic_ns() + GRACE_NS;
    uv_timer_start(&w->grace, on_grace, 0, GRACE_LOOK_MS);
}

static void on_wake(uv_async_t *async)
{
    struct worker *w = async->data;
    struct fleet_view *letter;
    bool stop;

    atomic_store(&w->poked, false);
    pthread_mutex_lock(&w->lock);
    letter = w->letter;
    w->letter = NULL;
    stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    if (stop) {
        fleet_view_unref(letter);
        if (w->end_ns == 0)
            end(w);
    } else if (letter) {
        take_view(w, letter);
        wipe_registers(); /* secrets were compared */
    }
}

static void *run(void *data)
{
    struct worker *w = data;
    char name[16];

    snprintf(name, sizeof name, "probe-%u", w->index);
    pthread_setname_np(pthread_self(), name);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void free_worker(struct worker *w)
{
    fleet_view_unref(w->letter);
    fleet_view_unref(w->view);
    free(w->watched);
    trust_cache_free(w->context.host.trusts);
    caps_deinit(&w->context.caps);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static bool init(struct worker *w, const char *bundle_path, struct self *self)
{
    struct watch_context *c = &w->context;

    if (!loop_init(&w->loop))
        return false;
    uv_async_init(&w->loop, &w->wake, on_wake);
    w->wake.data = w;
    uv_timer_init(&w->loop, &w->grace);
    uv_timer_init(&w->loop, &w->again);
    w->grace.data = w->again.data = w;
    queue_init(c, &w->loop);
    turns_init(c, &w->loop);
    c->self = self;
    c->host = (struct probe_host){.loop = &w->loop,
                                  .resolver = resolver_new(&w->loop),
                                  .trusts = trust_cache_new(bundle_path),
                                  .bundle_path = bundle_path,
                                  .repeats = true};
    return c->host.resolver && c->host.trusts;
}

struct worker *worker_start(unsigned index, unsigned workers, const char *bundle_path,
                            struct self *self, char *error, size_t size)
{
    struct worker *w = calloc(1, sizeof *w);

    if (!w) {
        str_copy(error, size, "out of memory");
        return NULL;
    }
    w->index = index;
    w->workers = workers;
    pthread_mutex_init(&w->lock, NULL);
    if (!init(w, bundle_path, self) || pthread_create(&w->thread, NULL, run, w) != 0) {
        str_copy(error, size, "cannot start a worker: no memory, descriptors or threads");
        free_worker(w); /* the program ends: the loop's handles go with it */
        return NULL;
    }
    return w;
}

void worker_watch(struct worker *w, struct fleet_view *view)
{
    pthread_mutex_lock(&w->lock);
    fleet_view_unref(w->letter);
    w->letter = view;
    pthread_mutex_unlock(&w->lock);
    uv_async_send(&w->wake);
}

void worker_poke(struct worker *w)
{
    atomic_store(&w->poked, true);
    uv_async_send(&w->wake);
}

bool worker_silent(const struct worker *w)
{
    return atomic_load(&w->poked);
}

void worker_stop(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_mutex_unlock(&w->lock);
    uv_async_send(&w->wake);
}

void worker_join(struct worker *w)
{
    pthread_join(w->thread, NULL);
    uv_loop_close(&w->loop);
    free_worker(w);
}
