/* Who is connected, and until when. One lock, held for a walk over the list at most. */
#include "http_clients.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/sandbox.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum client_state {
    CLIENT_IDLE,      /* between requests */
    CLIENT_READING,   /* its request is not complete */
    CLIENT_ANSWERING, /* ours is the turn */
    CLIENT_DROPPED    /* shut down, not closed yet */
};

/* Newest first. */
struct client {
    struct client *prev, *next;
    int fd;
    enum client_state state;
    int64_t deadline_ns;
};

struct clients {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* an earlier deadline, an answer that ended, the end */
    pthread_t watcher;
    struct client *newest;
    size_t n, max, busy; /* busy: being read from or answered */
    int64_t deadline_ns, idle_ns, wake_ns;
    bool stop;
};

static bool is_busy(const struct client *client)
{
    return client->state == CLIENT_READING || client->state == CLIENT_ANSWERING;
}

/* Its state is about to change, or it is about to go. */
static void leave(struct clients *clients, const struct client *client)
{
    if (is_busy(client) && --clients->busy == 0)
        pthread_cond_broadcast(&clients->changed);
}

/* The socket is shut down, not closed: closing is for its owner, who learns of it this way. */
static void drop(struct clients *clients, struct client *client)
{
    leave(clients, client);
    client->state = CLIENT_DROPPED;
    client->deadline_ns = INT64_MAX;
    shutdown(client->fd, SHUT_RDWR);
}

/* Drops who is late; when the next one will be. */
static int64_t sweep(struct clients *clients, int64_t now_ns)
{
    int64_t next = INT64_MAX;

    for (struct client *c = clients->newest; c; c = c->next) {
        if (c->deadline_ns <= now_ns)
            drop(clients, c);
        if (c->deadline_ns < next)
            next = c->deadline_ns;
    }
    return next;
}

static void wait_until(struct clients *clients, int64_t until_ns)
{
    struct timespec ts = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                          .tv_nsec = (long)(until_ns % NS_PER_S)};

    if (until_ns == INT64_MAX)
        pthread_cond_wait(&clients->changed, &clients->lock);
    else
        pthread_cond_timedwait(&clients->changed, &clients->lock, &ts);
}

static void *watch(void *context)
{
    struct clients *clients = context;

    pthread_mutex_lock(&clients->lock);
    while (!clients->stop) {
        clients->wake_ns = sweep(clients, clock_monotonic_ns());
        wait_until(clients, clients->wake_ns);
    }
    pthread_mutex_unlock(&clients->lock);
    return NULL;
}

static bool start_watcher(struct clients *clients)
{
    sigset_t all, before;
    bool started;

    sandbox_all_signals(&all); /* signals are for the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&clients->watcher, NULL, watch, clients) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

struct clients *clients_new(size_t max, int64_t deadline_ns, int64_t idle_ns)
{
    struct clients *clients = calloc(1, sizeof *clients);
    pthread_condattr_t monotonic;

    if (!clients)
        return NULL;
    clients->max = max;
    clients->deadline_ns = deadline_ns;
    clients->idle_ns = idle_ns;
    clients->wake_ns = INT64_MAX;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&clients->lock, NULL);
    pthread_cond_init(&clients->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!start_watcher(clients)) {
        pthread_cond_destroy(&clients->changed);
        pthread_mutex_destroy(&clients->lock);
        free(clients);
        return NULL;
    }
    return clients;
}

void clients_free(struct clients *clients)
{
    if (!clients)
        return;
    pthread_mutex_lock(&clients->lock);
    clients->stop = true;
    pthread_cond_broadcast(&clients->changed);
    pthread_mutex_unlock(&clients->lock);
    pthread_join(clients->watcher, NULL);
    pthread_cond_destroy(&clients->changed);
    pthread_mutex_destroy(&clients->lock);
    free(clients);
}

/* Lock held. A client that was dropped stays dropped. */
static void enter(struct clients *clients, struct client *client, enum client_state state,
                  int64_t deadline_ns)
{
    if (client->state == CLIENT_DROPPED)
        return;
    leave(clients, client);
    client->state = state;
    clients->busy += is_busy(client);
    client->deadline_ns = deadline_ns;
    if (deadline_ns < clients->wake_ns)
        pthread_cond_broadcast(&clients->changed);
}

/* The oldest client that nothing is being done for, idle ones first; NULL if all are being
 * answered. */
static struct client *least_deserving(struct clients *clients)
{
    struct client *found = NULL;

    for (struct client *c = clients->newest; c; c = c->next) {
        if (c->state == CLIENT_IDLE ||
            (c->state == CLIENT_READING && (!found || found->state == CLIENT_READING)))
            found = c;
    }
    return found;
}

struct client *clients_add(struct clients *clients, int fd)
{
    struct client *client = calloc(1, sizeof *client), *victim;

    if (!client)
        return NULL;
    client->fd = fd;
    pthread_mutex_lock(&clients->lock);
    if (clients->n >= clients->max && (victim = least_deserving(clients)))
        drop(clients, victim);
    client->next = clients->newest;
    if (clients->newest)
        clients->newest->prev = client;
    clients->newest = client;
    clients->n++;
    enter(clients, client, CLIENT_READING, clock_monotonic_ns() + clients->deadline_ns);
    pthread_mutex_unlock(&clients->lock);
    return client;
}

void clients_remove(struct clients *clients, struct client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&clients->lock);
    leave(clients, client);
    if (client->prev)
        client->prev->next = client->next;
    else
        clients->newest = client->next;
    if (client->next)
        client->next->prev = client->prev;
    clients->n--;
    pthread_mutex_unlock(&clients->lock);
    free(client);
}

void clients_begin(struct clients *clients, struct client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&clients->lock);
    /* The first request of a connection is under the connection's deadline already. */
    if (client->state == CLIENT_IDLE)
        enter(clients, client, CLIENT_READING, clock_monotonic_ns() + clients->deadline_ns);
    pthread_mutex_unlock(&clients->lock);
}

void clients_answer(struct clients *clients, struct client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&clients->lock);
    enter(clients, client, CLIENT_ANSWERING, client->deadline_ns);
    pthread_mutex_unlock(&clients->lock);
}

void clients_patience(struct clients *clients, struct client *client, int64_t ns)
{
    if (!client)
        return;
    pthread_mutex_lock(&clients->lock);
    if (client->state == CLIENT_ANSWERING)
        enter(clients, client, CLIENT_ANSWERING, client->deadline_ns + ns);
    pthread_mutex_unlock(&clients->lock);
}

void clients_end(struct clients *clients, struct client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&clients->lock);
    enter(clients, client, CLIENT_IDLE, clock_monotonic_ns() + clients->idle_ns);
    pthread_mutex_unlock(&clients->lock);
}

bool clients_wait(struct clients *clients, int64_t ns)
{
    int64_t until_ns = clock_monotonic_ns() + ns;
    bool none;

    pthread_mutex_lock(&clients->lock);
    while (clients->busy > 0 && clock_monotonic_ns() < until_ns)
        wait_until(clients, until_ns);
    none = clients->busy == 0;
    pthread_mutex_unlock(&clients->lock);
    return none;
}
