/* Probes that a request asks for. Everything happens on one loop; other threads drop their letters
 * into its mailbox. A job is one probe with all who wait for it. */
#include "pgtls/probe/requests.h"

#include "probe.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"
#include "pgtls/base/str.h"
#include "pgtls/model/module.h"
#include "pgtls/net/arrival.h"
#include "pgtls/net/loop.h"
#include "pgtls/probe/caps.h"
#include "pgtls/tls/trust.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_MODULE "default"
#define GRACE_NS       (750 * NS_PER_MS)
#define GRACE_LOOK_MS  5
#define LEAST_NS       NS_PER_MS /* what a login gets that has hardly any time left */

/* Somebody who waits for an answer. */
struct asker {
    struct asker *next;
    char *target, *module;
    int64_t deadline_ns;
    requests_answered *answered;
    void *context;
};

struct job {
    struct job *next, **link;
    struct requests *requests;
    struct asker *askers;
    struct endpoint_set *modules; /* a reference; module is in it */
    const struct module *module;
    struct probe_target target;
    int64_t deadline_ns;

    struct probe_answer *answer;
    struct server *server; /* the answer's, ours to change while it is probed */
    struct learned learned;
    struct probe *probe;
    char address[64];             /* that is being connected to; "" before */
    bool tried;                   /* some address may be connected to */
    enum request_outcome refusal; /* why the others may not */
};

struct requests {
    struct requests_options options;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t grace;
    struct probe_host host;
    struct caps caps;
    struct endpoint_set *set; /* modules in force */
    struct job *jobs;
    int64_t end_ns;     /* when what is in flight is broken off; 0: not ending */
    _Atomic bool poked; /* and not noticed yet */

    pthread_mutex_t lock; /* of the mailbox */
    struct endpoint_set *letter;
    struct asker *first, **last;
    bool stop;
};

/* --- answers ---------------------------------------------------------------------------------- */

static void asker_free(struct asker *a)
{
    free(a->target);
    free(a->module);
    free(a);
}

/* Answers one and is done with it. NULL: there is no answer to give. */
static void give(struct requests *r, struct asker *a, struct probe_answer *answer)
{
    enum request_outcome outcome = answer ? answer->outcome : REQUEST_ERROR;

    atomic_fetch_add(&r->options.self->requested[outcome], 1);
    a->answered(a->context, answer);
    asker_free(a);
}

__attribute__((format(printf, 4, 5))) static void
refuse(struct requests *r, struct asker *a, enum request_outcome outcome, const char *format, ...)
{
    struct probe_answer *answer = probe_answer_new();
    va_list args;

    if (answer) {
        answer->outcome = outcome;
        va_start(args, format);
        vsnprintf(answer->message, sizeof answer->message, format, args);
        va_end(args);
    }
    give(r, a, answer);
    probe_answer_unref(answer);
}

/* Answers everybody who waits for the job and forgets it. NULL as above. */
static void finish(struct job *job, struct probe_answer *answer)
{
    struct requests *r = job->requests;

    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    while (job->askers) {
        struct asker *a = job->askers;

        job->askers = a->next;
        give(r, a, answer);
    }
    probe_answer_unref(job->answer);
    learned_forget(&job->learned);
    endpoint_set_unref(job->modules);
    free(job);
}

/* --- probing ---------------------------------------------------------------------------------- */

/* Each address before it is connected to: by the module's rules, and by the limit per address. */
static bool admits(void *owner, const char *address)
{
    struct job *job = owner;
    size_t max = job->requests->caps.max_per_address, n = 0;

    if (!module_admits_address(job->module, &job->target, job->server->port, address)) {
        job->refusal = REQUEST_FORBIDDEN;
        return false;
    }
    for (const struct job *other = job->requests->jobs; other; other = other->next)
        n += other != job && strcmp(other->address, address) == 0;
    if (max > 0 && n >= max) {
        job->refusal = REQUEST_BUSY;
        return false;
    }
    str_copy(job->address, sizeof job->address, address);
    job->tried = true;
    return true;
}

/* Starts a probe of this kind within what is left of the time. NULL when out of memory. */
static struct probe *start(struct job *job, enum probe_kind kind)
{
    struct requests *r = job->requests;
    int64_t left_ns;

    uv_update_time(&r->loop);
    left_ns = job->deadline_ns - clock_monotonic_ns();
    if (left_ns < LEAST_NS)
        left_ns = LEAST_NS;
    job->server->timeout_ns =
        job->module->server.timeout_ns < left_ns ? job->module->server.timeout_ns : left_ns;
    job->probe =
        probe_start(&r->host, kind, job->answer->view->set, job->server, &job->learned, job);
    if (job->probe)
        atomic_fetch_add(&r->options.self->probes_in_flight, 1);
    return job->probe;
}

static void conclude(struct job *job)
{
    struct probe_answer *answer = job->answer;
    struct server_state *state = answer->view->servers[0];
    bool up;

    server_state_lock(state);
    up = server_state_now(state) == STATE_UP;
    server_state_unlock(state);
    answer->outcome = up ? REQUEST_SUCCESS : REQUEST_FAILURE;
    finish(job, answer);
}

/* It comes to nothing: what was measured so far, if anything, is not told. */
static void conclude_refused(struct job *job, enum request_outcome outcome, const char *why)
{
    struct probe_answer *answer = job->answer;

    answer->outcome = outcome;
    snprintf(answer->message, sizeof answer->message, "module \"%s\": %s", job->module->name, why);
    finish(job, answer);
}

static void conclude_unadmitted(struct job *job)
{
    if (job->refusal == REQUEST_BUSY)
        conclude_refused(job, REQUEST_BUSY,
                         "too many probes of the target's address are in flight");
    else
        conclude_refused(job, REQUEST_FORBIDDEN,
                         "the target's name leads to no address that its allow_targets and "
                         "deny_targets let through; loopback and other special addresses "
                         "take a block");
}

static const char *why_full(enum cap cap)
{
    return cap == CAP_RATE ? "the limit of new connections per second is reached"
                           : "too many probes are in flight";
}

static void go_on_to_login(struct job *job)
{
    struct requests *r = job->requests;
    enum cap cap = caps_enter(&r->caps, "", PACE_PROMPT, clock_monotonic_ns());

    if (cap != CAP_NONE) {
        conclude_refused(job, REQUEST_BUSY, why_full(cap));
    } else if (!start(job, PROBE_LOGIN)) {
        caps_leave(&r->caps, "", PACE_PROMPT);
        finish(job, NULL);
    }
}

static void on_finished(struct probe *p, void *owner)
{
    struct job *job = owner;
    struct requests *r = job->requests;
    bool refused = job->refusal != REQUEST_SUCCESS && !job->tried;
    bool login = p->observation.probe == PROBE_INSPECT && observation_entered(&p->observation) &&
                 job->server->login;

    job->probe = NULL;
    atomic_fetch_sub(&r->options.self->probes_in_flight, 1);
    atomic_fetch_add(&r->options.self->missing_timestamps, p->observation.missing_timestamps);
    caps_leave(&r->caps, "", PACE_PROMPT);
    if (p->cancelled) {
        finish(job, NULL);
    } else if (refused) {
        conclude_unadmitted(job);
    } else {
        if (login)
            learned_take(&job->learned, p);
        probe_answer_take(job->answer, &p->observation);
        login ? go_on_to_login(job) : conclude(job);
    }
    probe_free(p);
}

/* --- questions -------------------------------------------------------------------------------- */

/* The probe in flight that answers this question, too. */
static struct job *find_same(const struct requests *r, const struct module *module,
                             const struct probe_target *t, uint16_t port, int64_t deadline_ns)
{
    for (struct job *job = r->jobs; job; job = job->next) {
        if (job->module == module && job->server->port == port &&
            strcasecmp(job->target.host, t->host) == 0 &&
            strcmp(job->target.dbname, t->dbname) == 0 && job->deadline_ns <= deadline_ns)
            return job;
    }
    return NULL;
}

/* Reading a trust store takes longer than a handshake: it is no part of any probe's time. One that
 * cannot be read is the probe's to report. */
static void load_trust(struct requests *r, const struct server *server)
{
    enum internal_reason reason;
    char text[256];

    if (server_uses_tls(server))
        trust_unref(trust_get(r->host.trusts, server, &reason, text, sizeof text));
}

/* NULL when out of memory. */
static struct job *job_new(struct requests *r, const struct module *module,
                           const struct probe_target *target, int64_t deadline_ns)
{
    struct job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    job->requests = r;
    job->modules = endpoint_set_ref(r->set);
    job->module = module;
    job->target = *target;
    job->deadline_ns = deadline_ns;
    job->answer = probe_answer_new();
    job->next = r->jobs;
    job->link = &r->jobs;
    if (r->jobs)
        r->jobs->link = &job->next;
    r->jobs = job;
    load_trust(r, &module->server);
    if (!job->answer || !probe_answer_about(job->answer, r->set, module, target, &job->server) ||
        !start(job, PROBE_INSPECT)) {
        finish(job, NULL);
        return NULL;
    }
    return job;
}

static void probe_for(struct requests *r, struct asker *a, const struct module *module,
                      const struct probe_target *target)
{
    uint16_t port = target->port ? target->port : module->server.port;
    struct job *job = find_same(r, module, target, port, a->deadline_ns);
    enum cap cap;

    if (!job) {
        cap = caps_enter(&r->caps, "", PACE_PROMPT, clock_monotonic_ns());
        if (cap != CAP_NONE) {
            refuse(r, a, REQUEST_BUSY, "%s", why_full(cap));
            return;
        }
        job = job_new(r, module, target, a->deadline_ns);
        if (!job) {
            caps_leave(&r->caps, "", PACE_PROMPT);
            give(r, a, NULL);
            return;
        }
    }
    a->next = job->askers;
    job->askers = a;
}

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
        refuse(r, a, REQUEST_INVALID, "%s", wrong);
    } else if (r->set && r->set->n_modules == 0) {
        refuse(r, a, REQUEST_UNKNOWN_MODULE, "No modules are configured, so no target is probed");
    } else if (!module && !a->module) {
        refuse(r, a, REQUEST_UNKNOWN_MODULE,
               "Module parameter is missing, and there is no module called default");
    } else if (!module) {
        refuse(r, a, REQUEST_UNKNOWN_MODULE, "Unknown module \"%s\"", shown);
    } else if ((wrong = module_refuses(module, &target,
                                       target.port ? target.port : module->server.port))) {
        refuse(r, a, REQUEST_FORBIDDEN, "module \"%s\": %s", shown, wrong);
    } else {
        probe_for(r, a, module, &target);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static void use(struct requests *r, struct endpoint_set *set)
{
    endpoint_set_unref(r->set);
    r->set = set;
    caps_set(&r->caps, &set->settings, caps_shares(set, r->options.workers), clock_monotonic_ns());
}

static void on_grace(uv_timer_t *timer)
{
    struct requests *r = timer->data;

    if (r->jobs && clock_monotonic_ns() < r->end_ns)
        return;
    for (struct job *job = r->jobs; job; job = job->next)
        probe_cancel(job->probe);
    uv_close((uv_handle_t *)timer, NULL);
    uv_close((uv_handle_t *)&r->wake, NULL);
    resolver_free(r->host.resolver);
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

static bool init(struct requests *r)
{
    const char *bundle = r->options.bundle_path ? r->options.bundle_path : trust_find_bundle();

    if (!loop_init(&r->loop))
        return false;
    uv_async_init(&r->loop, &r->wake, on_wake);
    uv_timer_init(&r->loop, &r->grace);
    r->wake.data = r->grace.data = r;
    r->host = (struct probe_host){.loop = &r->loop,
                                  .resolver = resolver_new(&r->loop),
                                  .trusts = trust_cache_new(bundle),
                                  .bundle_path = bundle,
                                  .admits = admits,
                                  .finished = on_finished};
    return r->host.resolver && r->host.trusts;
}

void requests_free(struct requests *r)
{
    if (!r)
        return;
    if (r->host.trusts)
        trust_cache_free(r->host.trusts);
    caps_deinit(&r->caps);
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
    r->options = *options;
    r->last = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    arrival_start();
    if (!init(r) || pthread_create(&r->thread, NULL, run, r) != 0) {
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

/* NULL when out of memory. */
static struct asker *asker_new(const struct probe_question *question, requests_answered *answered,
                               void *context)
{
    struct asker *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->target = strdup(question->target ? question->target : "");
    a->module = question->module ? strdup(question->module) : NULL;
    a->deadline_ns = clock_monotonic_ns() + question->timeout_ns;
    a->answered = answered;
    a->context = context;
    if (a->target && (a->module || !question->module))
        return a;
    asker_free(a);
    return NULL;
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
