/* A target's probe, for all who asked for it. */
#include "request_job.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/model/module.h"
#include "pgtls/tls/trust.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LEAST_NS NS_PER_MS /* what a login gets that has hardly any time left */
#define RETRY_MS 5         /* how often the line is looked at */

struct job {
    struct job *next, **link;
    struct job *next_in_line;
    struct jobs *jobs;
    struct asker *askers;
    struct endpoint_set *modules; /* a reference; module is in it */
    const struct module *module;
    struct probe_target target;
    int64_t deadline_ns;
    int64_t patience_ns; /* until when it stays in line */

    struct probe_answer *answer;
    struct server *server; /* the answer's, ours to change while it is probed */
    struct learned learned;
    struct probe *probe;          /* NULL: in line */
    char address[64];             /* that is being connected to; "" before */
    bool tried;                   /* some address may be connected to */
    enum request_outcome refusal; /* why the others may not */
};

/* --- answers ---------------------------------------------------------------------------------- */

struct asker *asker_new(const struct probe_question *question, requests_answered *answered,
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

void asker_free(struct asker *a)
{
    free(a->target);
    free(a->module);
    free(a);
}

void asker_answer(struct jobs *jobs, struct asker *a, struct probe_answer *answer)
{
    enum request_outcome outcome = answer ? answer->outcome : REQUEST_ERROR;

    atomic_fetch_add(&jobs->self->requested[outcome], 1);
    a->answered(a->context, answer);
    asker_free(a);
}

void asker_refuse(struct jobs *jobs, struct asker *a, enum request_outcome outcome,
                  const char *format, ...)
{
    struct probe_answer *answer = probe_answer_new();
    va_list args;

    if (answer) {
        answer->outcome = outcome;
        va_start(args, format);
        vsnprintf(answer->message, sizeof answer->message, format, args);
        va_end(args);
    }
    asker_answer(jobs, a, answer);
    probe_answer_unref(answer);
}

/* Answers everybody who waits for the job and forgets it. NULL: there is none to give. */
static void finish(struct job *job, struct probe_answer *answer)
{
    struct jobs *jobs = job->jobs;

    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    while (job->askers) {
        struct asker *a = job->askers;

        job->askers = a->next;
        asker_answer(jobs, a, answer);
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
    size_t max = job->jobs->caps.max_per_address, n = 0;

    if (!module_admits_address(job->module, &job->target, job->server->port, address)) {
        job->refusal = REQUEST_FORBIDDEN;
        return false;
    }
    for (const struct job *other = job->jobs->first; other; other = other->next)
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
    struct jobs *jobs = job->jobs;
    int64_t left_ns;

    uv_update_time(jobs->host.loop);
    left_ns = job->deadline_ns - clock_monotonic_ns();
    if (left_ns < LEAST_NS)
        left_ns = LEAST_NS;
    job->server->timeout_ns =
        job->module->server.timeout_ns < left_ns ? job->module->server.timeout_ns : left_ns;
    job->probe =
        probe_start(&jobs->host, kind, job->answer->view->set, job->server, &job->learned, job);
    if (job->probe)
        atomic_fetch_add(&jobs->self->probes_in_flight, 1);
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

/* A job keeps its place from its inspect to the end of its login, also in line. */
static void leave(struct job *job)
{
    caps_leave(&job->jobs->caps, "", PACE_PROMPT);
}

/* --- logins in line --------------------------------------------------------------------------- */

static void begin_login(struct job *job)
{
    if (!start(job, PROBE_LOGIN)) {
        leave(job);
        finish(job, NULL);
    }
}

/* Takes out the one that *at leads to. */
static struct job *take_out(struct jobs *jobs, struct job **at)
{
    struct job *job = *at;

    *at = job->next_in_line;
    atomic_fetch_sub(&jobs->self->probes_waiting, 1);
    return job;
}

static void give_up(struct job *job)
{
    leave(job);
    conclude_refused(job, REQUEST_BUSY, why_full(CAP_RATE));
}

static void on_retry(uv_timer_t *timer)
{
    struct jobs *jobs = timer->data;
    struct job **at = &jobs->line;
    int64_t now_ns = clock_monotonic_ns();

    while (*at) {
        if (now_ns >= (*at)->patience_ns)
            give_up(take_out(jobs, at));
        else if (caps_connect_again(&jobs->caps, now_ns))
            begin_login(take_out(jobs, at));
        else
            at = &(*at)->next_in_line;
    }
    jobs->line_end = at;
    if (!jobs->line)
        uv_timer_stop(timer);
}

/* It waits, but leaves the login half of the time that there is. */
static void stand_in_line(struct job *job)
{
    struct jobs *jobs = job->jobs;
    int64_t now_ns = clock_monotonic_ns();

    job->patience_ns = now_ns + (job->deadline_ns - now_ns) / 2;
    job->next_in_line = NULL;
    *jobs->line_end = job;
    jobs->line_end = &job->next_in_line;
    atomic_fetch_add(&jobs->self->probes_waiting, 1);
    atomic_fetch_add(&jobs->self->probes_held_back[CAP_RATE], 1);
    if (!uv_is_active((uv_handle_t *)&jobs->retry)) /* whoever follows puts off nobody's turn */
        uv_timer_start(&jobs->retry, on_retry, RETRY_MS, RETRY_MS);
}

/* A login is the second connection of its job; its inspect has often taken what there was. */
static void go_on_to_login(struct job *job)
{
    if (!job->jobs->line && caps_connect_again(&job->jobs->caps, clock_monotonic_ns()))
        begin_login(job);
    else
        stand_in_line(job);
}

static void on_finished(struct probe *p, void *owner)
{
    struct job *job = owner;
    struct jobs *jobs = job->jobs;
    bool refused = job->refusal != REQUEST_SUCCESS && !job->tried;
    bool login = !p->cancelled && !refused && p->observation.probe == PROBE_INSPECT &&
                 observation_entered(&p->observation) && job->server->login;

    job->probe = NULL;
    atomic_fetch_sub(&jobs->self->probes_in_flight, 1);
    atomic_fetch_add(&jobs->self->missing_timestamps, p->observation.missing_timestamps);
    if (!login)
        leave(job);
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

/* --- jobs ------------------------------------------------------------------------------------- */

/* The probe in flight that answers this question, too. */
static struct job *find_same(const struct jobs *jobs, const struct module *module,
                             const struct probe_target *t, uint16_t port, int64_t deadline_ns)
{
    for (struct job *job = jobs->first; job; job = job->next) {
        if (job->module == module && job->server->port == port &&
            strcasecmp(job->target.host, t->host) == 0 &&
            strcmp(job->target.dbname, t->dbname) == 0 && job->deadline_ns <= deadline_ns)
            return job;
    }
    return NULL;
}

/* Reading a trust store takes longer than a handshake: it is no part of any probe's time. One that
 * cannot be read is the probe's to report. */
static void load_trust(struct jobs *jobs, const struct server *server)
{
    enum internal_reason reason;
    char text[256];

    if (server_uses_tls(server))
        trust_unref(trust_get(jobs->host.trusts, server, &reason, text, sizeof text));
}

/* NULL when out of memory. */
static struct job *job_new(struct jobs *jobs, struct endpoint_set *set, const struct module *module,
                           const struct probe_target *target, int64_t deadline_ns)
{
    struct job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    job->jobs = jobs;
    job->modules = endpoint_set_ref(set);
    job->module = module;
    job->target = *target;
    job->deadline_ns = deadline_ns;
    job->answer = probe_answer_new();
    job->next = jobs->first;
    job->link = &jobs->first;
    if (jobs->first)
        jobs->first->link = &job->next;
    jobs->first = job;
    load_trust(jobs, &module->server);
    if (!job->answer || !probe_answer_about(job->answer, set, module, target, &job->server) ||
        !start(job, PROBE_INSPECT)) {
        finish(job, NULL);
        return NULL;
    }
    return job;
}

void jobs_probe_for(struct jobs *jobs, struct asker *a, struct endpoint_set *set,
                    const struct module *module, const struct probe_target *target)
{
    uint16_t port = target->port ? target->port : module->server.port;
    struct job *job = find_same(jobs, module, target, port, a->deadline_ns);
    enum cap cap;

    if (!job) {
        /* Nobody new takes the turn of a login that waits. */
        cap =
            jobs->line ? CAP_RATE : caps_enter(&jobs->caps, "", PACE_PROMPT, clock_monotonic_ns());
        if (cap != CAP_NONE) {
            asker_refuse(jobs, a, REQUEST_BUSY, "%s", why_full(cap));
            return;
        }
        job = job_new(jobs, set, module, target, a->deadline_ns);
        if (!job) {
            caps_leave(&jobs->caps, "", PACE_PROMPT);
            asker_answer(jobs, a, NULL);
            return;
        }
    }
    a->next = job->askers;
    job->askers = a;
}

bool jobs_init(struct jobs *jobs, uv_loop_t *loop, const char *bundle_path, struct self *self)
{
    jobs->self = self;
    jobs->line_end = &jobs->line;
    uv_timer_init(loop, &jobs->retry);
    jobs->retry.data = jobs;
    jobs->host = (struct probe_host){.loop = loop,
                                     .resolver = resolver_new(loop),
                                     .trusts = trust_cache_new(bundle_path),
                                     .bundle_path = bundle_path,
                                     .admits = admits,
                                     .finished = on_finished};
    return jobs->host.resolver && jobs->host.trusts;
}

void jobs_end(struct jobs *jobs)
{
    while (jobs->line) {
        struct job *job = take_out(jobs, &jobs->line);

        leave(job);
        finish(job, NULL);
    }
    for (struct job *job = jobs->first; job; job = job->next)
        probe_cancel(job->probe);
    uv_close((uv_handle_t *)&jobs->retry, NULL);
    resolver_free(jobs->host.resolver);
}

void jobs_deinit(struct jobs *jobs)
{
    if (jobs->host.trusts)
        trust_cache_free(jobs->host.trusts);
    caps_deinit(&jobs->caps);
}
