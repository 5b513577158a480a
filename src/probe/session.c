/* A watched session: closed → opening → open ⇄ checking → closed. One timer, for whatever comes
 * next: the next attempt, the deadline of opening or of a check, the next check. */
#include "session.h"

#include "login_job.h"
#include "queue.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"
#include "pgtls/base/str.h"
#include "pgtls/model/fault.h"
#include "pgtls/model/fold.h"
#include "pgtls/model/observation.h"
#include "pgtls/net/loop.h"
#include "pgtls/net/socket.h"
#include "pgtls/probe/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LASTED_NS (60 * NS_PER_S)   /* a session that did is no sign of refusal */
#define BUSY_NS   (500 * NS_PER_MS) /* until another login of the server may be over */

struct session {
    struct session_place place;
    enum session_stage { SESSION_CLOSED, SESSION_OPENING, SESSION_OPEN } stage;
    bool allowed;
    struct waiter waiter; /* to be opened */
    struct login *login;
    struct login_job *job;          /* its long step, while that is on another thread */
    struct endpoint_set *login_set; /* that it borrows from; a reference */
    uv_poll_t *poll;                /* frees itself; NULL: nothing is watched */
    int poll_events;
    uv_timer_t timer;
    char entered_as[64]; /* while opening: the address the caps count it under, at this pace */
    enum pace entered_at;

    int64_t reopen_ns; /* no attempt before */
    uint64_t failures; /* in a row: attempts in vain, and sessions that did not last */
    int64_t opened_ns, idle_since_ns, asked_ns, deadline_ns;
    bool looked; /* that deadline has passed, and was put off because of us */

    /* The log's last word about it: told once per change and not once per attempt. */
    bool told_closed;
    enum fault told_fault; /* why it could not be opened; FAULT_NONE: it was dropped */
};

static const char cannot_watch[] = "the event loop cannot watch the connection";

static void advance(struct session *s);
static void on_timer(uv_timer_t *timer);

/* --- the loop's handles ----------------------------------------------------------------------- */

static void arm(struct session *s, int64_t at_ns)
{
    int64_t left_ns;

    uv_update_time(s->place.context->host.loop);
    left_ns = at_ns - (int64_t)uv_now(s->place.context->host.loop) * NS_PER_MS;
    uv_timer_start(&s->timer, on_timer,
                   left_ns > 0 ? (uint64_t)((left_ns + NS_PER_MS - 1) / NS_PER_MS) : 0, 0);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void unwatch(struct session *s)
{
    if (s->poll)
        uv_close((uv_handle_t *)s->poll, on_poll_closed);
    s->poll = NULL;
    s->poll_events = 0;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct session *s = poll->data;

    (void)events;
    if (status < 0) /* libuv stopped watching; what happened shows in the login's own call */
        s->poll_events = 0;
    advance(s);
}

/* False when the loop cannot: descriptors, memory. */
static bool watch(struct session *s, int events)
{
    if (!s->poll) {
        s->poll = malloc(sizeof *s->poll);
        if (!s->poll)
            return false;
        if (uv_poll_init(s->place.context->host.loop, s->poll, login_fd(s->login)) != 0) {
            free(s->poll);
            s->poll = NULL;
            return false;
        }
        s->poll->data = s;
    }
    if (s->poll_events == events)
        return true;
    s->poll_events = loop_poll(s->poll, events, on_ready) == 0 ? events : 0;
    return s->poll_events != 0;
}

/* --- what the log is told --------------------------------------------------------------------- */

static void log_drop(struct session *s, const struct session_drop *drop)
{
    const struct server *server = s->place.server;
    struct buf age = BUF_INIT(64), idle = BUF_INIT(64);

    str_add_duration(&age, drop->age_ns - drop->age_ns % NS_PER_MS);
    str_add_duration(&idle, drop->idle_ns - drop->idle_ns % NS_PER_MS);
    LOG(WARN, "Session was dropped", {"pg_cluster", server->cluster},
        {"pg_endpoint", server->endpoint}, {"server", server->name},
        {"session", s->place.config->name}, {"how", session_end_name(drop->how)},
        {"age", buf_text(&age)}, {"idle", buf_text(&idle)},
        {"sqlstate", drop->sqlstate[0] ? drop->sqlstate : NULL},
        {"error", drop->error[0] ? drop->error : NULL});
    buf_deinit(&age);
    buf_deinit(&idle);
    s->told_closed = true;
    s->told_fault = FAULT_NONE;
}

static void log_refusal(struct session *s, const struct observation *o)
{
    const struct server *server = s->place.server;
    const struct fault_row *row = fault_row(o->fault);

    if (o->fault == FAULT_NONE || o->fault == s->told_fault)
        return;
    LOG(WARN, "Session cannot be opened", {"pg_cluster", server->cluster},
        {"pg_endpoint", server->endpoint}, {"server", server->name},
        {"session", s->place.config->name}, {"phase", phase_name(o->phase)},
        {"class", fault_class_name(row->class)}, {"fault", row->id},
        {"sqlstate", o->sqlstate[0] ? o->sqlstate : NULL}, {"error", o->error[0] ? o->error : NULL},
        {"meaning", row->meaning});
    s->told_closed = true;
    s->told_fault = o->fault;
}

static void log_open(struct session *s)
{
    const struct server *server = s->place.server;

    if (s->told_closed)
        LOG(INFO, "Session is open again", {"pg_cluster", server->cluster},
            {"pg_endpoint", server->endpoint}, {"server", server->name},
            {"session", s->place.config->name});
    s->told_closed = false;
    s->told_fault = FAULT_NONE;
}

/* --- closing ---------------------------------------------------------------------------------- */

/* True when that made room for somebody whom a cap held back. */
static bool leave_caps(struct session *s)
{
    if (s->stage != SESSION_OPENING)
        return false;
    watched_login_end(s->place.owner);
    return caps_leave(&s->place.context->caps, s->entered_as, s->entered_at);
}

static void close_login(struct session *s)
{
    unwatch(s);
    if (s->job)
        login_job_abandon(s->job);
    else
        login_free(s->login);
    s->job = NULL;
    s->login = NULL;
    s->stage = SESSION_CLOSED;
    endpoint_set_unref(s->login_set);
    s->login_set = NULL;
}

/* The next attempt comes later, and the later the less the ones before it lasted. */
static void back_off(struct session *s)
{
    int64_t now_ns = clock_monotonic_ns();
    char dice[32];

    s->failures++;
    snprintf(dice, sizeof dice, "%lld", (long long)now_ns);
    s->reopen_ns = now_ns + schedule_reopen(s->failures, str_hash(s->place.server->key_hash, dice));
    if (s->allowed)
        arm(s, s->reopen_ns);
}

/* Somebody ended an open session. */
static void drop(struct session *s)
{
    int64_t now_ns = clock_monotonic_ns();
    struct session_drop drop = {.age_ns = now_ns - s->opened_ns,
                                .idle_ns = (login_checking(s->login) ? s->asked_ns : now_ns) -
                                           s->idle_since_ns};

    login_kept_result(s->login, &drop);
    close_login(s);
    if (drop.how != SESSION_END_NONE) {
        fleet_session_dropped(s->place.state, s->place.config->name, &drop);
        log_drop(s, &drop);
    } else {
        fleet_session_closed(s->place.state, s->place.config->name, false);
    }
    if (drop.age_ns >= LASTED_NS)
        s->failures = 0;
    back_off(s);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Our own side failed: the log is told, nobody is counted. */
static void fail_local(struct session *s, enum internal_reason reason, const char *text)
{
    const struct evidence evidence = {.probe = PROBE_LOGIN, .end = END_LOCAL, .local = reason};
    struct observation o;
    bool room = leave_caps(s);

    observation_init(&o, PROBE_LOGIN);
    o.fault = fault_classify(&evidence);
    o.phase = PHASE_AUTH;
    str_copy(o.error, sizeof o.error, text);
    log_refusal(s, &o);
    observation_deinit(&o);
    close_login(s);
    fleet_session_closed(s->place.state, s->place.config->name, false);
    back_off(s);
    if (room)
        queue_run(s->place.context);
}

static void opened(struct session *s)
{
    const struct session_config *config = s->place.config;

    s->stage = SESSION_OPEN;
    s->opened_ns = s->idle_since_ns = clock_monotonic_ns();
    if (config->keepalives_idle_ns > 0 && !s->place.server->unix_socket)
        socket_keepalive(login_fd(s->login), (int)(config->keepalives_idle_ns / NS_PER_S));
    if (!watch(s, UV_READABLE)) {
        fail_local(s, INTERNAL_OTHER, cannot_watch);
        return;
    }
    fleet_session_opened(s->place.state, config->name);
    log_open(s);
    arm(s, s->idle_since_ns + config->idle_ns);
}

/* What an attempt in vain had for an answer. */
static void refused(struct session *s)
{
    struct observation o;

    observation_init(&o, PROBE_LOGIN);
    login_result(s->login, &o);
    log_refusal(s, &o);
    observation_deinit(&o);
}

/* An attempt has ended, well or in vain. */
static void opening_over(struct session *s)
{
    bool room = leave_caps(s);

    if (login_keep(s->login)) {
        opened(s);
    } else {
        refused(s);
        close_login(s);
        fleet_session_closed(s->place.state, s->place.config->name, true);
        back_off(s);
    }
    if (room)
        queue_run(s->place.context);
}

static void open_login(struct session *s, int64_t now_ns)
{
    const struct login_start start = {.server = s->place.server,
                                      .learned = s->place.learned,
                                      .host = &s->place.context->host,
                                      .now_ns = now_ns};
    enum internal_reason reason;
    char text[256] = "";

    s->stage = SESSION_OPENING;
    s->deadline_ns = now_ns + s->place.server->timeout_ns;
    s->looked = false;
    s->login_set = endpoint_set_ref(s->place.set);
    s->login = login_start(&start, &reason, text, sizeof text);
    if (!s->login) {
        fail_local(s, reason, text);
        return;
    }
    arm(s, s->deadline_ns);
    advance(s);
}

/* Opens, if it still may. The caps hold it, and one login of a server at a time. An attempt that
 * follows one in vain is not taken for a prompt one. */
static enum cap try_open(void *owner, enum pace *pace)
{
    struct session *s = owner;
    const char *address = s->place.learned->address;
    int64_t now_ns = clock_monotonic_ns();
    enum cap cap;

    *pace = s->failures > 0 ? PACE_OTHER : PACE_PROMPT;
    if (!s->allowed)
        return CAP_NONE;
    if (!watched_login_begin(s->place.owner)) {
        arm(s, now_ns + BUSY_NS);
        return CAP_NONE;
    }
    cap = caps_enter(&s->place.context->caps, address, *pace, now_ns);
    if (cap != CAP_NONE) {
        watched_login_end(s->place.owner);
        return cap;
    }
    s->entered_at = *pace;
    str_copy(s->entered_as, sizeof s->entered_as, address);
    open_login(s, now_ns);
    return CAP_NONE;
}

/* --- the machine ------------------------------------------------------------------------------ */

/* The session is well: what is due next? A check's answer is an answer like the login's. */
static void stay(struct session *s, bool was_checking)
{
    if (!was_checking || login_checking(s->login))
        return;
    s->failures = 0;
    s->idle_since_ns = clock_monotonic_ns();
    arm(s, s->idle_since_ns + s->place.config->idle_ns);
}

static void on_job_done(void *owner)
{
    struct session *s = owner;

    s->job = NULL;
    advance(s);
}

static void start_job(struct session *s)
{
    unwatch(s);
    s->job = login_job_start(s->place.context->host.loop, s->login, s->login_set, on_job_done, s);
    if (!s->job)
        fail_local(s, INTERNAL_MEMORY, "out of memory for a login");
}

static void advance(struct session *s)
{
    bool was_checking = login_checking(s->login);
    enum login_want want = login_advance(s->login);

    if (want == LOGIN_DONE) {
        if (s->stage == SESSION_OPENING)
            opening_over(s);
        else
            drop(s);
        return;
    }
    if (want == LOGIN_WANT_WORK)
        start_job(s);
    else if (!watch(s, want == LOGIN_WANT_READ ? UV_READABLE : UV_WRITABLE))
        fail_local(s, INTERNAL_OTHER, cannot_watch);
    else if (s->stage == SESSION_OPEN)
        stay(s, was_checking);
}

static void check(struct session *s)
{
    s->asked_ns = clock_monotonic_ns();
    s->deadline_ns = s->asked_ns + s->place.server->timeout_ns;
    s->looked = false;
    arm(s, s->deadline_ns);
    login_check(s->login);
    advance(s);
}

/* The answer may have come while we stood still. True: the loop looks at its sockets first. */
static bool look_again(struct session *s)
{
    int64_t now_ns = clock_monotonic_ns();
    int64_t more_ns =
        s->looked ? 0 : schedule_second_look(s->deadline_ns, s->place.server->timeout_ns, now_ns);

    if (more_ns == 0)
        return false;
    s->looked = true;
    s->deadline_ns = now_ns + more_ns;
    arm(s, s->deadline_ns);
    return true;
}

static void on_timer(uv_timer_t *timer)
{
    struct session *s = timer->data;

    if (s->stage == SESSION_CLOSED) {
        if (s->allowed && !s->waiter.queued)
            queue_start(s->place.context, &s->waiter);
    } else if (s->stage == SESSION_OPEN && !login_checking(s->login)) {
        check(s);
    } else if (!look_again(s)) {
        login_abort(s->login, INTERNAL_NONE);
        advance(s);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

struct session *session_new(const struct session_place *place)
{
    struct session *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->place = *place;
    s->waiter = (struct waiter){.owner = s, .try_start = try_open};
    endpoint_set_ref(s->place.set);
    server_state_ref(s->place.state);
    uv_timer_init(place->context->host.loop, &s->timer);
    s->timer.data = s;
    return s;
}

void session_allow(struct session *s, bool allowed)
{
    bool begins = allowed && !s->allowed;

    s->allowed = allowed;
    if (s->stage == SESSION_CLOSED && begins)
        arm(s, s->reopen_ns);
}

void session_update(struct session *s, struct endpoint_set *set, const struct server *server,
                    const struct session_config *config)
{
    struct endpoint_set *old = s->place.set;

    s->place.set = endpoint_set_ref(set);
    s->place.server = server;
    s->place.config = config;
    endpoint_set_unref(old);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct session *s = handle->data;

    server_state_unref(s->place.state);
    endpoint_set_unref(s->place.set);
    free(s);
}

void session_stop(struct session *s)
{
    queue_remove(s->place.context, &s->waiter);
    leave_caps(s);
    if (s->stage != SESSION_CLOSED)
        close_login(s);
    fleet_session_closed(s->place.state, s->place.config->name, false);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}
