/* What a login found, as plain values. No libpq. */
#include "login_state.h"

#include "pgtls/base/str.h"

#include <string.h>

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)

static struct phase_time time_of(const struct stopwatch *w, bool completed)
{
    return (struct phase_time){
        .completed = completed, .duration_ns = stopwatch_total_ns(w), .cpu_ns = w->cpu_ns};
}

/* A text for people: the server's, libpq's, or the system's. */
static const char *error_text(const struct login *l)
{
    switch (l->e.end) {
    case END_NONE:
        return "";
    case END_ERROR_RESPONSE:
        return l->e.error.message;
    case END_AUTH_REFUSED:
        return "the server asks for a password in a way that allow_auth does not list";
    case END_AUTH_UNSUPPORTED:
        if (l->look.guard.iterations > LOGIN_MAX_SCRAM_ITERATIONS)
            return "the server asks for more than " TEXT(
                LOGIN_MAX_SCRAM_ITERATIONS) " iterations of SCRAM, which are not computed";
        return "the server asks for an authentication method that is not supported";
    case END_ERRNO:
        return strerror(l->e.sys_errno);
    case END_AUTH_CLIENT:
        if (l->e.auth_client == AUTH_CLIENT_NO_PASSWORD)
            return "the server asks for a password, and none is configured";
        return l->text;
    default:
        return l->text;
    }
}

void login_result(struct login *l, struct observation *o)
{
    const char *text = error_text(l);
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '\n')
        len--;
    o->fault = l->e.end == END_NONE ? FAULT_NONE : fault_classify(&l->e);
    o->phase = l->e.phase;
    o->how = l->e.end == END_CLOSED ? l->e.how : CLOSE_NONE;
    o->tls_alert = l->e.tls_alert;
    str_clean(o->error, sizeof o->error, text, len);
    str_clean(o->sqlstate, sizeof o->sqlstate, l->e.error.sqlstate, strlen(l->e.error.sqlstate));
    o->phases[PHASE_AUTH] = time_of(&l->auth, l->auth_done);
    o->phases[PHASE_QUERY] = time_of(&l->query, l->query_done);
    if (l->look.guard.first_seen) {
        str_copy(o->auth_method, sizeof o->auth_method, wire_auth_method(&l->look.guard.first));
        o->channel_binding = l->look.guard.first.scram_plus;
    }
    str_copy(o->server_version, sizeof o->server_version, l->answer.server_version);
    str_copy(o->backend, sizeof o->backend, l->answer.backend);
    o->in_recovery = l->answer.in_recovery;
    o->read_only = l->answer.read_only;
    o->lag_known = l->answer.lag_known;
    o->lag_ns = l->answer.lag_ns;
    o->pooler = l->answer.pooler;
    o->by_keys = l->look.guard.keys_tried;
    o->missing_timestamps += l->missing_timestamps;
}

/* How the end of a kept connection is counted; what our own side failed to do is no drop. An errno
 * is the kernel's, which had no answer either, or the network's word that nobody is there. */
static enum session_end end_of(const struct evidence *e)
{
    static const enum session_end closed[CLOSE_COUNT] = {[CLOSE_NONE] = SESSION_END_FIN,
                                                         [CLOSE_NOTIFY] = SESSION_END_CLOSE_NOTIFY,
                                                         [CLOSE_FIN] = SESSION_END_FIN,
                                                         [CLOSE_RST] = SESSION_END_RST};

    switch (e->end) {
    case END_CLOSED:
        return closed[e->how];
    case END_ERROR_RESPONSE:
        return SESSION_END_SERVER_MESSAGE;
    case END_TIMEOUT:
    case END_ERRNO:
        return SESSION_END_TIMEOUT;
    case END_ALERT:
    case END_TLS_ERROR:
    case END_BAD_BYTES:
        return SESSION_END_PROTOCOL_ERROR;
    default:
        return SESSION_END_NONE;
    }
}

void login_kept_result(const struct login *l, struct session_drop *drop)
{
    const char *text = error_text(l);

    drop->how = end_of(&l->e);
    str_clean(drop->sqlstate, sizeof drop->sqlstate, l->e.error.sqlstate,
              strlen(l->e.error.sqlstate));
    str_clean(drop->error, sizeof drop->error, text, strlen(text));
}

bool login_fell_back(const struct login *l)
{
    return l->fell_back && l->query_done;
}

bool login_wants_full_bundle(const struct login *l)
{
    return l->anchors && l->e.end == END_CERTIFICATE && !l->e.hostname_mismatch;
}
