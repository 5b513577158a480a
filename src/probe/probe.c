/* One probe as one machine: see probe.h for the law it keeps. */
#include "probe.h"

#include "login_job.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/net/loop.h"
#include "pgtls/probe/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAVE_NS (500 * NS_PER_MS) /* how long a polite close may take; not part of the result */

static void probe_finish(struct probe *p);
static void on_timer(uv_timer_t *timer);

/* --- the stages' table ------------------------------------------------------------------------ */

static const struct stage_row rows[STAGE_COUNT] = {
    [STAGE_PREPARE] = {"prepare", inspect_prepare, NO_PHASE, false, STAGE_RESOLVE},
    [STAGE_RESOLVE] = {"resolve", inspect_resolve, PHASE_DNS, true, STAGE_CONNECT},
    [STAGE_CONNECT] = {"connect", inspect_connect, PHASE_TCP, false, STAGE_CONNECTED},
    [STAGE_CONNECTED] = {"connected", inspect_connected, NO_PHASE, true, STAGE_SSL_REQUEST},
    [STAGE_SSL_REQUEST] = {"ssl_request", inspect_ssl_request, PHASE_SSL_REQUEST, false,
                           STAGE_SSL_ANSWER},
    [STAGE_SSL_ANSWER] = {"ssl_answer", inspect_ssl_answer, NO_PHASE, true, STAGE_HANDSHAKE},
    [STAGE_HANDSHAKE] = {"handshake", inspect_handshake, PHASE_TLS, true, STAGE_JUDGE},
    [STAGE_JUDGE] = {"judge", inspect_judge, NO_PHASE, false, STAGE_STARTUP},
    [STAGE_STARTUP] = {"startup", inspect_startup, PHASE_STARTUP, false, STAGE_FIRST_MESSAGE},
    [STAGE_FIRST_MESSAGE] = {"first_message", inspect_first_message, NO_PHASE, true, STAGE_TRUSTED},
    [STAGE_TRUSTED] = {"trusted", inspect_trusted, NO_PHASE, false, STAGE_LEAVE},
    [STAGE_LOGIN] = {"login", login_run, PHASE_TCP, false, STAGE_LEAVE},
    [STAGE_LEAVE] = {"leave", inspect_leave, NO_PHASE, false, STAGE_LEAVE},
};

/* --- for the stages --------------------------------------------------------------------------- */

enum step probe_fail(struct probe *p, enum end_kind end)
{
    p->evidence.end = end;
    return STEP_FAIL;
}

enum step probe_fail_errno(struct probe *p, int number)
{
    p->evidence.sys_errno = number;
    return probe_fail(p, END_ERRNO);
}

enum step probe_fail_closed(struct probe *p, int number)
{
    if (number != 0 && number != ECONNRESET && number != EPIPE)
        return probe_fail_errno(p, number);
    p->evidence.how = number == ECONNRESET ? CLOSE_RST : CLOSE_FIN;
    return probe_fail(p, END_CLOSED);
}

enum step probe_fail_local(struct probe *p, enum internal_reason reason, const char *text)
{
    p->evidence.local = reason;
    str_copy(p->observation.error, sizeof p->observation.error, text);
    return probe_fail(p, END_LOCAL);
}

static void end_phase(struct probe *p)
{
    struct phase_time *t = &p->observation.phases[p->phase];

    if (p->skip_phase)
        return;
    t->completed = true;
    t->duration_ns = stopwatch_total_ns(&p->watch);
    t->cpu_ns = p->watch.cpu_ns;
}

/* --- the loop's handles ----------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct probe *p = handle->data;

    p->handles--;
    if (handle == (uv_handle_t *)&p->poll)
        p->poll_closing = false;
    if (p->stage == STAGE_COUNT && p->handles == 0)
        p->host->finished(p, p->owner);
    else if (p->stage != STAGE_COUNT && p->poll_events)
        probe_advance(p); /* was waiting for the old descriptor's handle */
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct probe *p = poll->data;

    (void)events;
    if (status < 0) /* libuv stopped watching; what happened shows in the stage's own call */
        p->poll_events = 0;
    probe_advance(p);
}

void probe_unwatch(struct probe *p)
{
    if (p->poll_open && !p->poll_closing) {
        p->poll_open = false;
        p->poll_closing = true;
        uv_close((uv_handle_t *)&p->poll, on_closed); /* stops it, too */
    }
    p->poll_events = 0;
}

/* Watches the descriptor: 0, or the error of a loop that cannot (memory, the kernel's limits). */
static int watch(struct probe *p, int fd, int events)
{
    int error;

    if (p->poll_open && p->poll_fd != fd)
        probe_unwatch(p);
    if (p->poll_closing) {
        p->poll_events = events; /* on_closed goes on */
        return 0;
    }
    if (!p->poll_open) {
        error = uv_poll_init(p->host->loop, &p->poll, fd);
        if (error != 0)
            return error;
        p->poll.data = p;
        p->poll_open = true;
        p->poll_fd = fd;
        p->poll_events = 0;
        p->handles++;
    }
    if (p->poll_events == events)
        return 0;
    error = loop_poll(&p->poll, events, on_ready);
    p->poll_events = error == 0 ? events : 0;
    return error;
}

/* Waits for the stage's descriptor. False: the loop cannot, and that is how the probe ends. */
static bool wait_for(struct probe *p, int events)
{
    int error = watch(p, p->login ? login_fd(p->login) : p->fd, events);

    if (error == 0)
        return true;
    if (!p->concluded)
        probe_fail_local(p, error == UV_ENOMEM ? INTERNAL_MEMORY : INTERNAL_DESCRIPTORS,
                         "cannot watch the socket");
    return false;
}

/* The timer stands at whatever comes first: the probe's deadline or the stage's own. */
static void arm(struct probe *p)
{
    int64_t at_ns = p->concluded ? p->leave_ns : p->deadline_ns, left_ns;

    if (!p->concluded && p->stage_deadline_ns && p->stage_deadline_ns < at_ns)
        at_ns = p->stage_deadline_ns;
    if (at_ns == p->armed_ns)
        return;
    p->armed_ns = at_ns;
    left_ns = at_ns - (int64_t)uv_now(p->host->loop) * NS_PER_MS;
    uv_timer_start(&p->timer, on_timer,
                   left_ns > 0 ? (uint64_t)((left_ns + NS_PER_MS - 1) / NS_PER_MS) : 0, 0);
}

void probe_close_socket(struct probe *p)
{
    tls_conn_free(p->conn);
    p->conn = NULL;
    if (p->poll_open && p->fd >= 0 && p->poll_fd == p->fd)
        probe_unwatch(p);
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

/* --- the verdict ------------------------------------------------------------------------------ */

static void explain(struct probe *p)
{
    struct observation *o = &p->observation;
    const struct pg_error *e = &p->evidence.error;

    o->fault = fault_classify(&p->evidence);
    o->how = p->evidence.how;
    o->tls_alert = p->evidence.tls_alert;
    if (e->present) {
        str_copy(o->sqlstate, sizeof o->sqlstate, e->sqlstate);
        str_clean(o->error, sizeof o->error, e->message, strlen(e->message));
    }
    if (p->evidence.end == END_ERRNO && o->error[0] == '\0')
        str_copy(o->error, sizeof o->error,
                 uv_strerror(uv_translate_sys_error(p->evidence.sys_errno)));
}

static void keep_client_certificate(struct probe *p, const struct certificate *facts)
{
    p->client_certificate = malloc(sizeof *facts);
    if (p->client_certificate)
        *p->client_certificate = *facts;
    p->observation.client_certificate = p->client_certificate;
}

/* What this leg comes to; a certificate that we stop at ourselves is judged apart. */
static void see_leg(struct probe *p, bool good)
{
    struct observation *o = &p->observation;
    struct leg_seen *seen = &o->legs[p->tls ? LEG_TLS : LEG_PLAIN];
    bool error = p->evidence.end == END_ERROR_RESPONSE && !p->evidence.auth_ok;

    o->leg = p->tls ? LEG_TLS : LEG_PLAIN;
    if (good && o->auth_method[0])
        *seen = leg_entered(o->auth_method);
    else if (!good && p->phase > PHASE_TCP && p->evidence.end != END_CERTIFICATE)
        *seen = leg_failed(fault_classify(&p->evidence), p->phase, error);
}

/* The result is final from here on; what is left is to leave politely. */
static void conclude(struct probe *p, bool good)
{
    struct observation *o = &p->observation;

    p->concluded = true;
    o->duration_ns = clock_monotonic_ns() - p->started_ns;
    o->finished_realtime_ns = clock_realtime_ns();
    o->phase = p->phase;
    p->evidence.probe = o->probe;
    p->evidence.phase = p->phase;
    if (p->login && p->evidence.end == END_LOCAL)
        login_abort(p->login, p->evidence.local);
    if (p->login)
        login_result(p->login, o);
    else if (!good)
        explain(p);
    if (o->probe == PROBE_INSPECT)
        see_leg(p, good);
    if (p->conn)
        tls_conn_observe(p->conn, o);
    if (p->trust && trust_client_certificate(p->trust))
        keep_client_certificate(p, trust_client_certificate(p->trust));
    expect_judge(p->server, o);
}

/* --- doors ------------------------------------------------------------------------------------ */

/* Runs the stage once, with its CPU on the stopwatch. Asking for it is a system call, so it is
 * asked only when somebody will: where a phase ends, and before we wait. */
static enum step run_stage(struct probe *p)
{
    const struct stage_row *row = &rows[p->stage];
    enum step step;
    int64_t cpu_ns = 0;
    bool waits;

    if (p->conn)
        tls_conn_turn(p->conn);
    step = row->run(p);
    waits = step == STEP_READ || step == STEP_WRITE || step == STEP_WAIT;
    if (!p->concluded && (waits || (row->ends_phase && !p->skip_phase))) {
        cpu_ns = clock_thread_cpu_ns() - p->cpu_mark_ns;
        p->cpu_mark_ns += cpu_ns;
    }
    stopwatch_cpu(&p->watch, cpu_ns);
    return step;
}

static void enter(struct probe *p, enum stage stage)
{
    p->stage = stage;
    p->next = rows[stage].next;
    p->stage_deadline_ns = 0;
    p->skip_phase = false;
    if (rows[stage].begins == NO_PHASE)
        return;
    p->phase = (enum phase)rows[stage].begins;
    stopwatch_start(&p->watch, clock_monotonic_ns());
}

/* One stage's answer. True: go on at once. */
static bool obey(struct probe *p, enum step step)
{
    switch (step) {
    case STEP_NEXT:
        if (rows[p->stage].ends_phase)
            end_phase(p);
        enter(p, p->next);
        return true;
    case STEP_READ:
    case STEP_WRITE:
        if (wait_for(p, step == STEP_READ ? UV_READABLE : UV_WRITABLE))
            return false;
        if (p->concluded) {
            probe_finish(p);
            return false;
        }
        break;
    case STEP_WAIT:
        return false;
    case STEP_GOOD:
        if (p->concluded) {
            probe_finish(p);
            return false;
        }
        if (rows[p->stage].ends_phase)
            end_phase(p);
        break;
    case STEP_FAIL:
        if (p->concluded) {
            probe_finish(p);
            return false;
        }
        p->evidence.phase = p->phase;
        if (inspect_has_second_leg(p)) {
            see_leg(p, false);
            inspect_second_leg(p);
            enter(p, STAGE_CONNECT);
            return true;
        }
        break;
    }
    conclude(p, step == STEP_GOOD);
    p->leave_ns = clock_monotonic_ns() + LEAVE_NS;
    enter(p, STAGE_LEAVE);
    return true;
}

void probe_advance(struct probe *p)
{
    if (p->advancing || p->stage == STAGE_COUNT)
        return;
    p->advancing = true;
    if (!p->concluded &&
        p->stage != STAGE_PREPARE) /* which is in no phase, and looks when it is over */
        p->cpu_mark_ns = clock_thread_cpu_ns();
    while (p->stage != STAGE_COUNT && obey(p, run_stage(p)))
        ;
    p->advancing = false;
    if (p->stage != STAGE_COUNT)
        arm(p);
}

/* The server may have answered while we stood still. True: the loop looks at its sockets first. */
static bool look_again(struct probe *p, int64_t now_ns)
{
    int64_t more_ns =
        p->looked ? 0 : schedule_second_look(p->deadline_ns, p->server->timeout_ns, now_ns);

    if (more_ns == 0)
        return false;
    p->looked = true;
    p->deadline_ns = now_ns + more_ns;
    if (p->stage_deadline_ns)
        p->stage_deadline_ns = p->deadline_ns;
    arm(p);
    return true;
}

static void on_timer(uv_timer_t *timer)
{
    struct probe *p = timer->data;
    int64_t now_ns = clock_monotonic_ns();

    if (p->stage == STAGE_COUNT)
        return;
    p->armed_ns = 0;
    if (p->concluded) {
        if (now_ns >= p->leave_ns)
            probe_finish(p);
        else
            arm(p);
        return;
    }
    if (now_ns >= p->deadline_ns) {
        if (look_again(p, now_ns))
            return;
        if (p->login)
            login_abort(p->login, INTERNAL_NONE);
        probe_fail(p, END_TIMEOUT);
        conclude(p, false);
        if (p->conn)
            tls_conn_close_notify(p->conn, false); /* a server that hangs is not waited for */
        probe_finish(p);
        return;
    }
    if (p->stage_deadline_ns && now_ns >= p->stage_deadline_ns && inspect_next_address(p)) {
        enter(p, STAGE_CONNECT);
        probe_advance(p);
        return;
    }
    arm(p);
}

/* The one door out: detach, clean, then (once the loop let go of the handles) report. */
static void probe_finish(struct probe *p)
{
    p->stage = STAGE_COUNT;
    resolver_cancel(&p->request);
    probe_unwatch(p);
    login_learn(p);
    if (p->job)
        login_job_abandon(p->job);
    else
        login_free(p->login);
    p->job = NULL;
    p->login = NULL;
    probe_close_socket(p);
    trust_unref(p->trust);
    p->trust = NULL;
    free(p->addresses);
    p->addresses = NULL;
    free(p->in);
    p->in = NULL;
    uv_timer_stop(&p->timer);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

void probe_cancel(struct probe *p)
{
    p->cancelled = true;
    if (p->stage == STAGE_COUNT)
        return;
    if (p->conn)
        tls_conn_close_notify(p->conn, false);
    probe_finish(p);
}

struct probe *probe_start(const struct probe_host *host, enum probe_kind kind,
                          struct endpoint_set *set, const struct server *server,
                          struct learned *learned, void *owner)
{
    struct probe *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->host = host;
    p->owner = owner;
    p->set = endpoint_set_ref(set);
    p->server = server;
    p->learned = learned;
    p->fd = -1;
    p->poll_fd = -1;
    p->evidence = EVIDENCE_INIT;
    observation_init(&p->observation, kind);
    p->observation.started_realtime_ns = clock_realtime_ns();
    p->started_ns = clock_monotonic_ns();
    p->deadline_ns = p->started_ns + server->timeout_ns;
    uv_timer_init(host->loop, &p->timer);
    p->timer.data = p;
    p->handles = 1;
    enter(p, kind == PROBE_LOGIN ? STAGE_LOGIN : STAGE_PREPARE);
    probe_advance(p);
    return p;
}

void probe_free(struct probe *p)
{
    if (!p)
        return;
    observation_deinit(&p->observation);
    endpoint_set_unref(p->set);
    free(p->client_certificate);
    free(p);
}

void learned_take(struct learned *learned, const struct probe *p)
{
    const struct observation *o = &p->observation;

    str_copy(learned->address, sizeof learned->address, o->address);
    learned->tls = p->tls;
    if (o->auth_method[0] != '\0')
        learned->scram_plus = o->channel_binding;
    pem_unref(learned->anchors);
    learned->anchors = pem_ref(o->anchors);
    /* libpq knows no pins. Where there is one only, no other certificate can be meant, and a login
     * is held to what this inspect has seen; with several, back ends may take turns. An expired one
     * is good under this sslmode, but libpq would not verify it. */
    learned->pinned = p->server->n_pins == 1 && o->judgement.pin == VERDICT_YES &&
                      o->judgement.dates == VERDICT_YES;
}

void learned_forget(struct learned *learned)
{
    chain_memory_deinit(&learned->memory);
    pem_unref(learned->anchors);
    login_keys_free(learned->keys);
    certificate_file_unref(learned->certificate_file);
    *learned = (struct learned){0};
}
