/* The login probe's one stage: libpq drives itself (pg/login.h), this feeds it. */
#include "probe.h"

#include "login_job.h"

#include "pgtls/base/str.h"
#include "pgtls/base/wipe.h"
#include "pgtls/tls/trust.h"

#include <stdio.h>
#include <string.h>

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
                                  .keys = start->keys,
                                  .learn_keys = start->learn_keys,
                                  .sslpassword = &sslpassword,
                                  .bundle_path = start->host->bundle_path,
                                  .pinned = learned->pinned,
                                  .plain_query = learned->plain_query,
                                  .anchors = start->full_bundle ? NULL : learned->anchors};
    struct login *login = NULL;

    /* The whole trust store is a file with anything in it. */
    if (!start->full_bundle)
        params.library = trust_cache_library(start->host->trusts, s);
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

/* The keys that the last logins have left for this one, if they are of this secret. */
static void offer_keys(struct probe *p, struct login_start *start)
{
    struct login_keys *keys = p->learned->keys;

    if (!p->host->repeats)
        return;
    if (keys && !p->by_password)
        start->keys = login_keys_begin(keys, p->secret_generation);
    start->learn_keys = !keys || login_keys_wanted(keys);
}

static enum step start(struct probe *p)
{
    struct login_start start = {.server = p->server,
                                .learned = p->learned,
                                .host = p->host,
                                .full_bundle = p->full_bundle,
                                .now_ns = p->started_ns};
    enum internal_reason reason;
    char text[256] = "";

    p->secret_generation = secret_generation(p->server);
    offer_keys(p, &start);
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

/* Once more from the start, within the same probe. */
static enum step again(struct probe *p)
{
    probe_unwatch(p);
    login_free(p->login);
    p->login = NULL;
    return login_run(p);
}

/* True: keys were in the way, and the password decides. */
static bool settle_keys(struct probe *p)
{
    enum keys_fate fate = login_keys_fate(p->login);

    if (fate == KEYS_UNUSED)
        return false;
    if (fate == KEYS_FITTED) {
        login_keys_fitted(p->learned->keys);
        return false;
    }
    login_keys_failed(p->learned->keys);
    return fate != KEYS_DOUBTED;
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
        return again(p);
    }
    if (settle_keys(p)) {
        p->by_password = true;
        return again(p);
    }
    return STEP_GOOD; /* over; whether it was good, login_result tells */
}

void login_learn(struct probe *p)
{
    struct learned *learned = p->learned;
    struct scram_keys keys;

    if (!p->login || p->job)
        return;
    if (login_learned_keys(p->login, &keys)) {
        if (!learned->keys)
            learned->keys = login_keys_new();
        if (learned->keys)
            login_keys_take(learned->keys, &keys, p->secret_generation);
    }
    wipe_memory(&keys, sizeof keys);
}
