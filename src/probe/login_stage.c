/* The login probe's one stage: libpq drives itself (pg/login.h), this feeds it. */
#include "probe.h"

#include "login_job.h"

#include "pgtls/base/str.h"

#include <stdio.h>
#include <string.h>

/* libpq knows no pins. Where there is one only, no other certificate can be meant, and the login is
 * held to what the inspect has just seen; with several, back ends may take turns. An expired one is
 * good under this sslmode, but libpq would not verify it. */
static bool holds_pin(const struct server *s, const struct learned *learned)
{
    const struct judgement *j = &learned->memory.judgement;

    return s->n_pins == 1 && j->pin == VERDICT_YES && j->dates == VERDICT_YES;
}

struct login *login_start(const struct login_start *start, enum internal_reason *reason, char *text,
                          size_t size)
{
    const struct server *s = start->server;
    const struct learned *learned = start->learned;
    struct secret password = {0}, sslpassword = {0};
    struct login_params params = {.server = s,
                                  .address = s->unix_socket ? NULL : learned->address,
                                  .tls = learned->tls,
                                  .scram_plus = learned->scram_plus,
                                  .password = &password,
                                  .sslpassword = &sslpassword,
                                  .bundle_path = start->bundle_path,
                                  .pinned = holds_pin(s, learned),
                                  .plain_query = learned->plain_query,
                                  .anchors = start->full_bundle ? NULL : learned->anchors};
    struct login *login = NULL;

    *reason = INTERNAL_OTHER;
    if (!login_supported(s, text, size))
        return NULL;
    if (!secret_read(&s->password, s, &password, text, size) ||
        !secret_read(&s->sslpassword, s, &sslpassword, text, size)) {
        *reason = INTERNAL_SECRET;
    } else {
        login = login_new(&params, start->now_ns);
        if (!login) {
            *reason = INTERNAL_MEMORY;
            str_copy(text, size, "out of memory for a login");
        }
    }
    secret_wipe(&password);
    secret_wipe(&sslpassword);
    return login;
}

static enum step start(struct probe *p)
{
    const struct login_start start = {.server = p->server,
                                      .learned = p->learned,
                                      .bundle_path = p->host->bundle_path,
                                      .full_bundle = p->full_bundle,
                                      .now_ns = p->started_ns};
    enum internal_reason reason;
    char text[256] = "";

    p->secret_generation = secret_generation(p->server);
    p->login = login_start(&start, &reason, text, sizeof text);
    return p->login ? STEP_NEXT : probe_fail_local(p, reason, text);
}

static void on_job_done(void *owner)
{
    struct probe *p = owner;

    p->job = NULL;
    probe_advance(p);
}

static enum step start_job(struct probe *p)
{
    probe_unwatch(p);
    p->job = login_job_start(p->host->loop, p->login, p->set, on_job_done, p);
    return p->job ? STEP_WAIT : probe_fail_local(p, INTERNAL_MEMORY, "out of memory for a login");
}

enum step login_run(struct probe *p)
{
    enum login_want want;

    str_copy(p->observation.address, sizeof p->observation.address, p->learned->address);
    if (!p->login && start(p) == STEP_FAIL)
        return STEP_FAIL;
    if (p->job)
        return STEP_WAIT;
    want = login_advance(p->login);
    if (want == LOGIN_WANT_WORK)
        return start_job(p);
    if (want != LOGIN_DONE)
        return want == LOGIN_WANT_READ ? STEP_READ : STEP_WRITE;
    if (login_fell_back(p->login))
        p->learned->plain_query = true;
    if (!p->full_bundle && login_wants_full_bundle(p->login)) {
        p->full_bundle = true; /* the server may have changed its chain since the inspect */
        probe_unwatch(p);
        login_free(p->login);
        p->login = NULL;
        return login_run(p);
    }
    return STEP_GOOD; /* over; whether it was good, login_result tells */
}
