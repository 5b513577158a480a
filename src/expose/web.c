/* The web configuration in force: read again when it changes, given up by nobody while in use. */
#include "pgtls/expose/web.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/file.h"
#include "pgtls/base/log.h"
#include "pgtls/base/str.h"
#include "pgtls/model/self.h"
#include "web_auth.h"
#include "web_guard.h"
#include "web_tls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_NS NS_PER_S

struct web_state {
    atomic_int references;
    struct web_config *config;
    struct web_tls *tls; /* NULL: plain HTTP */
};

struct web {
    char *path;
    struct self *self;
    struct auth *auth;
    bool has_tls; /* as long as it runs */

    pthread_mutex_t lock;
    struct web_state *current;
    /* What was tried last, and did not work: other files are then looked at than those in force.
     * NULL: those in force. */
    struct web_config *tried;
    uint64_t fingerprint; /* of the files when they were read last */

    /* How much has been saved up, in time: a request takes one interval of it. */
    int64_t rate_interval_ns, rate_most_ns, rate_saved_ns, rate_seen_ns;
};

/* --- reading ---------------------------------------------------------------------------------- */

/* The i'th file that a configuration names, NULL for none; there are N_NAMED of them. */
#define N_NAMED 3
static const char *named_file(const struct web_config *config, size_t i)
{
    const char *const paths[N_NAMED] = {config->cert.path, config->key.path,
                                        config->client_ca.path};

    return paths[i];
}

/* A fingerprint goes on with the files that `config` names. */
static uint64_t add_named(uint64_t hash, const struct web_config *config)
{
    for (size_t i = 0; i < N_NAMED; i++) {
        if (named_file(config, i))
            hash = file_fingerprint(hash, named_file(config, i));
    }
    return hash;
}

/* Somebody may still be writing what was written a moment ago, and the first half of a file can be
 * good YAML that asks nobody for a password. A date in the future says nothing. */
static bool is_settled(const char *path)
{
    int64_t age_ns = file_age_ns(path);

    return age_ns >= SETTLE_NS || age_ns <= -SETTLE_NS;
}

static bool are_settled(const struct web *web, const struct web_config *config)
{
    bool settled = is_settled(web->path);

    for (size_t i = 0; i < N_NAMED; i++)
        settled = settled && (!named_file(config, i) || is_settled(named_file(config, i)));
    return settled;
}

static void state_free(struct web_state *state)
{
    web_tls_free(state->tls);
    web_config_free(state->config);
    free(state);
}

/* With what the configuration names. NULL with the reason in error; `config` is the caller's then.
 */
static struct web_state *state_new(struct web_config *config, char *error, size_t size)
{
    struct web_state *state = calloc(1, sizeof *state);

    if (!state) {
        snprintf(error, size, "%s: out of memory", config->path);
        return NULL;
    }
    atomic_init(&state->references, 1);
    if (config->tls) {
        state->tls = web_tls_new(config, error, size);
        if (!state->tls) {
            free(state);
            return NULL;
        }
    }
    state->config = config;
    return state;
}

static void add_error(struct config_messages *messages, const char *error)
{
    char *text = messages->n < CONFIG_MAX_MESSAGES ? strdup(error) : NULL;

    if (text)
        messages->items[messages->n++] =
            (struct config_message){CONFIG_ERROR, text, CONFIG_ALL_INPUTS, false};
    messages->errors++;
}

/* The first reading, or one after a change. NULL with errors in `messages`. Lock held, if anybody
 * else can know of `web` by now. Fingerprints are taken before the files are read: what changes
 * meanwhile shows at the next look. */
static struct web_state *read_state(struct web *web, struct config_messages *messages)
{
    uint64_t now = file_fingerprint(STR_HASH_START, web->path);
    struct web_config *config = web_config_load(web->path, messages);
    const struct web_config *named = config ? config : web->current ? web->current->config : NULL;
    struct web_state *state = NULL;
    char error[1024];

    web->fingerprint = named ? add_named(now, named) : now;
    if (config && web->current && config->tls != web->has_tls)
        snprintf(error, sizeof error,
                 "%s: TLS %s: that takes a restart; until then all stays as it was", web->path,
                 config->tls ? "is to be switched on" : "is to be switched off");
    else if (config)
        state = state_new(config, error, sizeof error);
    if (config && !state)
        add_error(messages, error);
    web_config_free(web->tried);
    web->tried = state ? NULL : config;
    return state;
}

/* Beginning with all there may ever be. */
static void set_rate(struct web *web, const struct web_config *config)
{
    int64_t interval_ns = config->rate_interval_ns, most_ns;

    if (__builtin_mul_overflow(interval_ns, config->rate_burst, &most_ns))
        most_ns = INT64_MAX / 2;
    if (interval_ns == web->rate_interval_ns && most_ns == web->rate_most_ns)
        return;
    web->rate_interval_ns = interval_ns;
    web->rate_most_ns = web->rate_saved_ns = most_ns;
    web->rate_seen_ns = clock_monotonic_ns();
}

/* Lock held. */
static void put_in_force(struct web *web, struct web_state *state)
{
    web_release(web->current);
    web->current = state;
    set_rate(web, state->config);
}

static void tell(const struct web *web, const struct config_messages *messages, bool good)
{
    for (size_t i = 0; i < messages->n; i++) {
        if (messages->items[i].severity == CONFIG_ERROR)
            LOG(ERROR, "Web configuration error", {"error", messages->items[i].text});
        else
            LOG(WARN, "Web configuration warning", {"warning", messages->items[i].text});
    }
    if (good)
        LOG(INFO, "Web configuration loaded", {"file", web->path});
    else
        LOG(ERROR, "Web configuration not loaded; the one before stays in force",
            {"file", web->path});
}

/* Lock held: has anything changed since it was read? */
static void look(struct web *web)
{
    const struct web_config *named = web->tried ? web->tried : web->current->config;
    uint64_t now = add_named(file_fingerprint(STR_HASH_START, web->path), named);
    struct config_messages messages = {0};
    struct web_state *state;

    if (now == web->fingerprint || !are_settled(web, named))
        return;
    state = read_state(web, &messages);
    if (state)
        put_in_force(web, state);
    atomic_store(&web->self->web_config_good, state != NULL);
    tell(web, &messages, state != NULL);
    config_messages_deinit(&messages);
}

/* --- life ------------------------------------------------------------------------------------- */

struct web *web_new(const char *path, struct self *self, struct config_messages *messages)
{
    struct web *web = calloc(1, sizeof *web);
    struct web_state *state;

    if (!web) {
        add_error(messages, "web configuration: out of memory");
        return NULL;
    }
    pthread_mutex_init(&web->lock, NULL);
    web->self = self;
    web->path = strdup(path);
    web->auth = auth_new(&self->web_password_checks);
    if (!web->path || !web->auth) {
        add_error(messages, "web configuration: out of memory or threads");
        web_free(web);
        return NULL;
    }
    state = read_state(web, messages);
    if (!state) {
        web_free(web);
        return NULL;
    }
    web->has_tls = state->tls != NULL;
    put_in_force(web, state);
    self->web_config_file = web->path;
    atomic_store(&self->web_config_good, true);
    return web;
}

void web_free(struct web *web)
{
    if (!web)
        return;
    if (web->auth)
        auth_close(web->auth);
    auth_free(web->auth);
    web_release(web->current);
    web_config_free(web->tried);
    pthread_mutex_destroy(&web->lock);
    free(web->path);
    free(web);
}

bool web_has_tls(const struct web *web)
{
    return web->has_tls;
}

/* --- for HTTP --------------------------------------------------------------------------------- */

struct web_state *web_take(struct web *web)
{
    struct web_state *state;

    pthread_mutex_lock(&web->lock);
    look(web);
    state = web->current;
    atomic_fetch_add(&state->references, 1);
    pthread_mutex_unlock(&web->lock);
    return state;
}

void web_release(struct web_state *state)
{
    if (state && atomic_fetch_sub(&state->references, 1) == 1)
        state_free(state);
}

const struct web_config *web_state_config(const struct web_state *state)
{
    return state->config;
}

bool web_begin_tls(const struct web_state *state, void *session)
{
    return state->tls && web_tls_begin(state->tls, session);
}

bool web_allows_one(struct web *web, const struct web_state *state)
{
    int64_t now_ns = clock_monotonic_ns(), saved_ns;
    bool allowed;

    if (state->config->rate_interval_ns == 0)
        return true;
    pthread_mutex_lock(&web->lock);
    saved_ns = web->rate_saved_ns + (now_ns - web->rate_seen_ns);
    if (saved_ns > web->rate_most_ns)
        saved_ns = web->rate_most_ns;
    allowed = web->rate_most_ns > 0 && saved_ns >= web->rate_interval_ns;
    web->rate_saved_ns = saved_ns - (allowed ? web->rate_interval_ns : 0);
    web->rate_seen_ns = now_ns;
    pthread_mutex_unlock(&web->lock);
    return allowed;
}

/* The first user's hash stands for that of a user that does not exist. */
static struct auth_hash hash_for(const struct web_state *state, const struct web_visitor *visitor)
{
    const struct web_user *user = web_config_user(state->config, visitor->user);

    return (struct auth_hash){user ? user->hash : state->config->users[0].hash, user != NULL};
}

enum web_verdict web_recall(struct web *web, const struct web_state *state,
                            const struct web_visitor *visitor)
{
    struct auth_hash hash;

    if (state->config->n_users == 0)
        return WEB_WELCOME;
    if (!visitor->user || !visitor->password)
        return WEB_WRONG;
    hash = hash_for(state, visitor);
    return auth_recall(web->auth, &hash, visitor);
}

void web_ask(struct web *web, const struct web_state *state, const struct web_visitor *visitor,
             void (*done)(void *context, enum web_verdict verdict), void *context)
{
    struct auth_hash hash = hash_for(state, visitor);

    auth_ask(web->auth, &hash, visitor, done, context);
}

void web_close(struct web *web)
{
    auth_close(web->auth);
}

void web_count_refusal(struct web *web, enum web_refusal why)
{
    atomic_fetch_add(&web->self->web_refused[why], 1);
}
