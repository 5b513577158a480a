/* The login probe's one stage: libpq drives itself (pg/login.h), this feeds it. */
#include "probe.h"

#include "pgtls/base/str.h"

#include <stdio.h>
#include <string.h>

/* libpq knows no pins. Where there is one only, no other certificate can be meant, and the login is
 * held to what the inspect has just seen; with several, back ends may take turns. An expired one is
 * good under this sslmode, but libpq would not verify it. */
static bool holds_pin(const struct probe *p)
{
    const struct judgement *j = &p->learned->memory.judgement;

    return p->server->n_pins == 1 && j->pin == VERDICT_YES && j->dates == VERDICT_YES;
}

/* Reads the secrets, starts libpq, wipes them. STEP_NEXT, or STEP_FAIL for our own side. */
static enum step start(struct probe *p)
{
    const struct server *s = p->server;
    struct secret password = {0}, sslpassword = {0};
    struct login_params params = {.server = s,
                                  .address = s->unix_socket ? NULL : p->learned->address,
                                  .tls = p->learned->tls,
                                  .scram_plus = p->learned->scram_plus,
                                  .password = &password,
                                  .sslpassword = &sslpassword,
                                  .bundle_path = p->host->bundle_path,
                                  .pinned = holds_pin(p),
                                  .plain_query = p->learned->plain_query,
                                  .anchors = p->full_bundle ? NULL : p->learned->anchors};
    char text[256] = "";
    enum step step = STEP_NEXT;

    if (!login_supported(s, text, sizeof text))
        return probe_fail_local(p, INTERNAL_OTHER, text);
    p->secret_generation = secret_generation(&s->password);
    if (!secret_read(&s->password, s, &password, text, sizeof text) ||
        !secret_read(&s->sslpassword, s, &sslpassword, text, sizeof text)) {
        step = probe_fail_local(p, INTERNAL_SECRET, text);
    } else {
        p->login = login_new(&params, p->started_ns);
        if (!p->login)
            step = probe_fail_local(p, INTERNAL_MEMORY, "out of memory for a login");
    }
    secret_wipe(&password);
    secret_wipe(&sslpassword);
    return step;
}

enum step login_run(struct probe *p)
{
    enum login_want want;

    str_copy(p->observation.address, sizeof p->observation.address, p->learned->address);
    if (!p->login && start(p) == STEP_FAIL)
        return STEP_FAIL;
    want = login_advance(p->login);
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
