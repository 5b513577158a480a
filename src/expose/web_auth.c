/* Passwords: what is remembered, who waits, and the thread that computes. */
#include "web_auth.h"

#include "pgtls/base/sandbox.h"
#include "pgtls/base/wipe.h"
#include "web_bcrypt.h"
#include "web_seal.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#define REMEMBERED         128 /* of the right ones, and again of the wrong ones */
#define MAX_WAITING        64
#define MAX_WAITING_BESIDE 8 /* of one place */
#define NICENESS           5 /* a third of the share that others get */

struct memory {
    unsigned char seals[REMEMBERED][SEAL_BYTES];
    size_t n, next;
};

/* Somebody waits. */
struct question {
    struct question *next;
    char *hash, *password;
    unsigned char seal[SEAL_BYTES];
    bool known; /* there is a user of this name */
    uint64_t from;
    void (*done)(void *context, enum web_verdict verdict);
    void *context;
};

struct auth {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned char key[SEAL_BYTES];
    struct memory right, wrong;
    struct question *first;   /* who waits, in the order they came */
    struct question *current; /* whose turn it is: the thread's, no longer in the list */
    size_t waiting;           /* all of these */
    _Atomic uint64_t *computed;
    bool closed;
    bool telling; /* the thread is calling somebody back */
    int owners;   /* the server and the thread: whoever goes last frees */
};

/* --- what is remembered ----------------------------------------------------------------------- */

static bool remembers(const struct memory *m, const unsigned char seal[SEAL_BYTES])
{
    for (size_t i = 0; i < m->n; i++) {
        if (memcmp(m->seals[i], seal, SEAL_BYTES) == 0)
            return true;
    }
    return false;
}

static void remember(struct memory *m, const unsigned char seal[SEAL_BYTES])
{
    if (remembers(m, seal))
        return;
    memcpy(m->seals[m->next], seal, SEAL_BYTES);
    m->next = (m->next + 1) % REMEMBERED;
    m->n += m->n < REMEMBERED;
}

/* Lock held. */
static enum web_verdict recall(const struct auth *auth, const unsigned char seal[SEAL_BYTES])
{
    if (remembers(&auth->right, seal))
        return WEB_WELCOME;
    return remembers(&auth->wrong, seal) ? WEB_WRONG : WEB_UNDECIDED;
}

static bool seal_visitor(const struct auth *auth, const struct auth_hash *hash,
                         const struct web_visitor *visitor, unsigned char seal[SEAL_BYTES])
{
    const char *const texts[] = {hash->known ? "known" : "unknown", visitor->user, hash->text,
                                 visitor->password};

    return seal_texts(auth->key, texts, sizeof texts / sizeof *texts, seal);
}

enum web_verdict auth_recall(struct auth *auth, const struct auth_hash *hash,
                             const struct web_visitor *visitor)
{
    unsigned char seal[SEAL_BYTES];
    enum web_verdict verdict;

    if (!seal_visitor(auth, hash, visitor, seal))
        return WEB_UNDECIDED;
    pthread_mutex_lock(&auth->lock);
    verdict = recall(auth, seal);
    pthread_mutex_unlock(&auth->lock);
    return verdict;
}

/* --- who waits -------------------------------------------------------------------------------- */

static void question_free(struct question *q)
{
    if (!q)
        return;
    if (q->password)
        wipe_memory(q->password, strlen(q->password));
    free(q->password);
    free(q->hash);
    free(q);
}

static struct question *question_new(const struct auth *auth, const struct auth_hash *hash,
                                     const struct web_visitor *visitor)
{
    struct question *q = calloc(1, sizeof *q);

    if (!q)
        return NULL;
    q->hash = strdup(hash->text);
    q->password = strdup(visitor->password);
    q->known = hash->known;
    q->from = visitor->from;
    if (q->hash && q->password && seal_visitor(auth, hash, visitor, q->seal))
        return q;
    question_free(q);
    return NULL;
}

/* Lock held: is there room for one more, and for one more of there? Puts him at the end. */
static bool queue(struct auth *auth, struct question *q)
{
    struct question **end = &auth->first;
    size_t beside = auth->current && auth->current->from == q->from;

    for (; *end; end = &(*end)->next)
        beside += (*end)->from == q->from;
    if (auth->closed || auth->waiting >= MAX_WAITING || beside >= MAX_WAITING_BESIDE)
        return false;
    *end = q;
    auth->waiting++;
    pthread_cond_broadcast(&auth->changed);
    return true;
}

void auth_ask(struct auth *auth, const struct auth_hash *hash, const struct web_visitor *visitor,
              void (*done)(void *context, enum web_verdict verdict), void *context)
{
    struct question *q = question_new(auth, hash, visitor);
    bool queued = false;

    if (q) {
        q->done = done;
        q->context = context;
        pthread_mutex_lock(&auth->lock);
        queued = queue(auth, q);
        pthread_mutex_unlock(&auth->lock);
    }
    if (queued)
        return;
    question_free(q);
    done(context, WEB_BUSY);
}

/* --- the thread ------------------------------------------------------------------------------- */

/* Lock held; let go of while it computes. */
static enum web_verdict answer(struct auth *auth, const struct question *q)
{
    enum web_verdict verdict = recall(auth, q->seal); /* somebody may have asked the same before */
    enum bcrypt_answer found;
    bool right;

    if (verdict != WEB_UNDECIDED)
        return verdict;
    pthread_mutex_unlock(&auth->lock);
    found = bcrypt_check(q->hash, q->password);
    pthread_mutex_lock(&auth->lock);
    if (auth->closed)
        return WEB_BUSY;
    right = found == BCRYPT_RIGHT && q->known;
    atomic_fetch_add(auth->computed, found != BCRYPT_NO_HASH);
    remember(right ? &auth->right : &auth->wrong, q->seal);
    return right ? WEB_WELCOME : WEB_WRONG;
}

/* Lock held; let go of while it computes and calls back. */
static void serve_one(struct auth *auth)
{
    struct question *q = auth->first;
    enum web_verdict verdict;

    auth->first = q->next;
    auth->current = q;
    verdict = answer(auth, q);
    auth->current = NULL;
    auth->waiting -= !auth->closed;
    if (!auth->closed) { /* else he has had his answer */
        auth->telling = true;
        pthread_mutex_unlock(&auth->lock);
        q->done(q->context, verdict);
        pthread_mutex_lock(&auth->lock);
        auth->telling = false;
        pthread_cond_broadcast(&auth->changed);
    }
    question_free(q);
}

/* Lock held. The last one frees. */
static void let_go(struct auth *auth)
{
    bool last = --auth->owners == 0;

    pthread_mutex_unlock(&auth->lock);
    if (!last)
        return;
    pthread_cond_destroy(&auth->changed);
    pthread_mutex_destroy(&auth->lock);
    wipe_memory(auth, sizeof *auth);
    free(auth);
}

static void *compute(void *context)
{
    struct auth *auth = context;

    /* Of this thread alone, as Linux has it. Probes and scrapes come first. */
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    pthread_mutex_lock(&auth->lock);
    while (!auth->closed) {
        if (auth->first)
            serve_one(auth);
        else
            pthread_cond_wait(&auth->changed, &auth->lock);
    }
    let_go(auth);
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

/* A hash may be of a cost that takes hours: nobody waits for this thread at the end. */
static bool start_thread(struct auth *auth)
{
    pthread_t thread;
    pthread_attr_t detached;
    sigset_t all, before;
    bool started;

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sandbox_all_signals(&all); /* signals are for the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&thread, &detached, compute, auth) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return started;
}

struct auth *auth_new(_Atomic uint64_t *computed)
{
    struct auth *auth = calloc(1, sizeof *auth);

    if (!auth)
        return NULL;
    auth->computed = computed;
    auth->owners = 2;
    pthread_mutex_init(&auth->lock, NULL);
    pthread_cond_init(&auth->changed, NULL);
    if (getrandom(auth->key, sizeof auth->key, 0) == (ssize_t)sizeof auth->key &&
        start_thread(auth))
        return auth;
    auth->owners = 1;
    auth_free(auth);
    return NULL;
}

void auth_close(struct auth *auth)
{
    struct question *waiting;

    pthread_mutex_lock(&auth->lock);
    if (auth->current && !auth->closed) /* its memory stays the thread's */
        auth->current->done(auth->current->context, WEB_BUSY);
    auth->closed = true;
    waiting = auth->first;
    auth->first = NULL;
    auth->waiting = 0;
    pthread_cond_broadcast(&auth->changed);
    while (auth->telling)
        pthread_cond_wait(&auth->changed, &auth->lock);
    pthread_mutex_unlock(&auth->lock);
    while (waiting) {
        struct question *next = waiting->next;

        waiting->done(waiting->context, WEB_BUSY);
        question_free(waiting);
        waiting = next;
    }
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    pthread_mutex_lock(&auth->lock);
    auth->closed = true;
    pthread_cond_broadcast(&auth->changed);
    let_go(auth);
}
