/* Probes that a request asks for. Everything happens on one loop; other threads drop their letters
 * into its mailbox. */
#include "pgtls/probe/requests.h"

#include "request_job.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/model/module.h"
#include "pgtls/net/arrival.h"
#include "pgtls/net/loop.h"
#include "pgtls/tls/trust.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MODULE "default"
#define GRACE_NS       (750 * NS_PER_MS)
#define GRACE_LOOK_MS  5

struct requests {
    unsigned workers;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t grace;
    struct jobs jobs;
    struct endpoint_set *set; /* modules in force */
    int64_t end_ns;           /* when what is in flight is broken off; 0: not ending */
    _Atomic bool poked;       /* and not noticed yet */

    pthread_mutex_t lock; /* of the mailbox */
    struct endpoint_set *letter;
    struct asker *first, **last;
    bool stop;
};

/* --- questions -------------------------------------------------------------------------------- */

/* What is wrong with a question is the answer to it. */
static void take(struct requests *r, struct asker *a)
{
    const char *name = a->module ? a->module : DEFAULT_MODULE, *wrong;
    const struct module *module = r->set ? module_find(r->set, name) : NULL;
    struct probe_target target;
    char shown[64];

    str_clean(shown, sizeof shown, name, strlen(name));
    wrong = probe_target_parse(a->target, &target);
    if (wrong) {
        asker_refuse(&r->jobs, a, REQUEST_INVALID, "%s", wrong);
    } else if (r->set && r->set->n_modules == 0) {
        asker_refuse(&r->jobs, a, REQUEST_UNKNOWN_MODULE,
                     "No modules are configured, so no target is probed");
    } else if (!module && !a->module) {
        asker_refuse(&r->jobs, a, REQUEST_UNKNOWN_MODULE,
                     "Module parameter is missing, and there is no module called default");
    } else if (!module) {
        asker_refuse(&r->jobs, a, REQUEST_UNKNOWN_MODULE, "Unknown module \"%s\"", shown);
    } else if ((wrong = module_refuses(module, &target,
                                       target.port ? target.port : module->server.port))) {
        asker_refuse(&r->jobs, a, REQUEST_FORBIDDEN, "module \"%s\": %s", shown, wrong);
    } else {
        jobs_probe_for(&r->jobs, a, r->set, module, &target);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static void use(struct requests *r, struct endpoint_set *set)
{
    endpoint_set_unref(r->set);
    r->set = set;
    caps_set(&r->jobs.caps, &set->settings, caps_shares(set, r->workers), clock_monotonic_ns());
}

static void on_grace(uv_timer_t *timer)
{
    struct requests *r = timer->data;

    if (r->jobs.first && clock_monotonic_ns() < r->end_ns)
        return;
    jobs_end(&r->jobs);
    uv_close((uv_handle_t *)timer, NULL);
    uv_close((uv_handle_t *)&r->wake, NULL);
}

static void on_wake(uv_async_t *async)
{
    struct requests *r = async->data;
    struct endpoint_set *set;
    struct asker *askers;
    bool stop;

    atomic_store(&r->poked, false);
    pthread_mutex_lock(&r->lock);
    set = r->letter;
    r->letter = NULL;
    askers = r->first;
    r->first = NULL;
    r->last = &r->first;
    stop = r->stop;
    pthread_mutex_unlock(&r->lock);
    if (set)
        use(r, set);
    while (askers) {
        struct asker *a = askers;

        askers = a->next;
        take(r, a);
    }
    if (stop && r->end_ns == 0) {
        r->end_ns = clock_monotonic_ns() + GRACE_NS;
        uv_timer_start(&r->grace, on_grace, 0, GRACE_LOOK_MS);
    }
}

static void *run(void *data)
{
    struct requests *r = data;

    pthread_setname_np(pthread_self(), "probe-requests");
    uv_run(&r->loop, UV_RUN_DEFAULT);
    return NULL;
}

static bool init(struct requests *r, const struct requests_options *options)
{
    const char *bundle = options->bundle_path ? options->bundle_path : trust_find_bundle();

    if (!loop_init(&r->loop))
        return false;
    uv_async_init(&r->loop, &r->wake, on_wake);
    uv_timer_init(&r->loop, &r->grace);
    r->wake.data = r->grace.data = r;
    return jobs_init(&r->jobs, &r->loop, bundle, options->self);
}

void requests_free(struct requests *r)
{
    if (!r)
        return;
    jobs_deinit(&r->jobs);
    endpoint_set_unref(r->letter);
    endpoint_set_unref(r->set);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

struct requests *requests_start(const struct requests_options *options, char *error, size_t size)
{
    struct requests *r = calloc(1, sizeof *r);

    if (!r) {
        str_copy(error, size, "out of memory");
        return NULL;
    }
    r->workers = options->workers;
    r->last = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    arrival_start();
    if (!init(r, options) || pthread_create(&r->thread, NULL, run, r) != 0) {
        str_copy(error, size,
                 "cannot start the thread of probes by request: no memory, descriptors "
                 "or threads");
        requests_free(r); /* the program ends: the loop's handles go with it */
        return NULL;
    }
    return r;
}

void requests_poke(struct requests *r)
{
    atomic_store(&r->poked, true);
    uv_async_send(&r->wake);
}

bool requests_silent(const struct requests *r)
{
    return atomic_load(&r->poked);
}

void requests_use(struct requests *r, struct endpoint_set *set)
{
    pthread_mutex_lock(&r->lock);
    endpoint_set_unref(r->letter);
    r->letter = endpoint_set_ref(set);
    pthread_mutex_unlock(&r->lock);
    uv_async_send(&r->wake);
}

bool requests_ask(struct requests *r, const struct probe_question *question,
                  requests_answered *answered, void *context)
{
    struct asker *a = asker_new(question, answered, context);
    bool stopped;

    if (!a)
        return false;
    pthread_mutex_lock(&r->lock);
    stopped = r->stop;
    if (!stopped) {
        *r->last = a;
        r->last = &a->next;
        uv_async_send(&r->wake); /* under the lock: behind it the loop may be gone */
    }
    pthread_mutex_unlock(&r->lock);
    if (stopped)
        asker_free(a);
    return !stopped;
}

void requests_end(struct requests *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    uv_async_send(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    uv_loop_close(&r->loop);
}
