/* Name resolution on a worker's loop, by c-ares.
 *
 * Law: a look-up is detached from every table before its waiters are called, so that they may ask
 * again. A channel is rebuilt when resolv.conf changes; the old one is retired and destroyed once
 * its last look-up is done, never from within c-ares: that is, by the loop's own callbacks, for a
 * question may be asked by an answer, out of the middle of a channel. */
#include "pgtls/net/resolver.h"

#include "srv.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/net/loop.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#define N_BUCKETS         256
#define QUERY_TIMEOUT_MS  1000 /* of one try; the probe's own deadline bounds the whole */
#define QUERY_TRIES       3
#define RESOLV_CONF       "/etc/resolv.conf"
#define RESOLV_CONF_EVERY NS_PER_S

/* One socket of c-ares, watched. */
struct watch {
    struct watch *next;
    struct channel *channel;
    ares_socket_t fd;
    uv_poll_t poll;
};

struct channel {
    struct channel *next; /* retired ones */
    struct resolver *resolver;
    ares_channel ares;
    struct watch *watches;
    size_t in_flight;
    bool deaf; /* a socket of it is not watched, for want of memory: nobody asks it any more */
};

struct lookup {
    struct lookup *next; /* in its bucket */
    struct channel *channel;
    uint64_t failures; /* of c-ares's allocations, before it was asked */
    bool no_memory;    /* of the C library's, when it was */
    struct resolve_request *waiters;
    char host[RESOLVER_MAX_NAME];
};

struct srv_lookup {
    struct channel *channel;
    uint64_t failures;
    struct srv_request *request; /* NULL: cancelled */
};

struct resolver {
    uv_loop_t *loop;
    uv_timer_t timer;
    struct channel *channel, *retired;
    char *servers; /* instead of resolv.conf's */
    struct timespec resolv_conf_mtime;
    int64_t resolv_conf_checked_ns;
    struct lookup *buckets[N_BUCKETS];
    struct lookup *asked; /* c-ares is just being asked, and has not answered yet */
};

/* --- c-ares's memory --------------------------------------------------------------------------
 *
 * What c-ares has no memory for it may take for a server that fails: so its allocations are
 * watched, and an answer in which one has failed says nothing. */

static _Thread_local uint64_t failures;

static void *on_malloc(size_t size)
{
    void *memory = malloc(size);

    failures += size > 0 && !memory;
    return memory;
}

static void *on_realloc(void *memory, size_t size)
{
    void *moved = realloc(memory, size);

    failures += size > 0 && !moved;
    return moved;
}

/* --- c-ares's sockets on the loop ------------------------------------------------------------ */

static void reap_retired(struct resolver *r);
static void arm_timer(struct resolver *r);

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    struct resolver *r = w->channel->resolver;
    ares_socket_t readable = status < 0 || (events & UV_READABLE) ? w->fd : ARES_SOCKET_BAD;
    ares_socket_t writable = status < 0 || (events & UV_WRITABLE) ? w->fd : ARES_SOCKET_BAD;

    ares_process_fd(w->channel->ares, readable, writable); /* w may be gone after this */
    reap_retired(r);
    arm_timer(r);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct watch *watch_new(struct channel *c, ares_socket_t fd)
{
    struct watch *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    if (uv_poll_init(c->resolver->loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->poll.data = w;
    w->channel = c;
    w->fd = fd;
    w->next = c->watches;
    return c->watches = w;
}

static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct channel *c = data;
    struct watch **at = &c->watches, *w;

    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    w = *at;
    if (!readable && !writable) {
        if (w) {
            *at = w->next;
            uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        }
        return;
    }
    if (!w) {
        w = watch_new(c, fd);
        if (!w) {
            c->deaf = true; /* the query will time out */
            return;
        }
    }
    if (loop_poll(&w->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
                  on_ready) != 0)
        c->deaf = true;
}

static void on_timer(uv_timer_t *timer)
{
    struct resolver *r = timer->data;

    ares_process_fd(r->channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    for (struct channel *c = r->retired; c; c = c->next)
        ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    reap_retired(r);
    arm_timer(r);
}

static bool channel_timeout_ms(const struct channel *c, uint64_t *ms)
{
    struct timeval tv, *next = ares_timeout(c->ares, NULL, &tv);

    if (!next)
        return false;
    *ms = (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1;
    return true;
}

static void arm_timer(struct resolver *r)
{
    uint64_t soonest = UINT64_MAX, ms;

    if (channel_timeout_ms(r->channel, &ms))
        soonest = ms;
    for (struct channel *c = r->retired; c; c = c->next) {
        if (c->in_flight == 0)
            soonest = 0; /* to be reaped */
        else if (channel_timeout_ms(c, &ms) && ms < soonest)
            soonest = ms;
    }
    if (soonest == UINT64_MAX)
        uv_timer_stop(&r->timer);
    else
        uv_timer_start(&r->timer, on_timer, soonest, 0);
}

/* --- channels -------------------------------------------------------------------------------- */

static void channel_free(struct channel *c)
{
    if (!c)
        return;
    ares_destroy(c->ares); /* closes its sockets through on_socket_state */
    free(c);
}

static struct channel *channel_new(struct resolver *r)
{
    struct channel *c = calloc(1, sizeof *c);
    struct ares_options options = {.timeout = QUERY_TIMEOUT_MS,
                                   .tries = QUERY_TRIES,
                                   .sock_state_cb = on_socket_state,
                                   .sock_state_cb_data = c};

    if (!c)
        return NULL;
    c->resolver = r;
    if (ares_init_options(&c->ares, &options,
                          ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) !=
        ARES_SUCCESS) {
        free(c);
        return NULL;
    }
    if (r->servers && ares_set_servers_ports_csv(c->ares, r->servers) != ARES_SUCCESS) {
        channel_free(c);
        return NULL;
    }
    return c;
}

static void reap_retired(struct resolver *r)
{
    for (struct channel **at = &r->retired; *at;) {
        struct channel *c = *at;

        if (c->in_flight > 0) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        channel_free(c);
    }
}

static bool renew(struct resolver *r)
{
    struct channel *fresh = channel_new(r);

    if (!fresh)
        return false;
    r->channel->next = r->retired;
    r->retired = r->channel;
    r->channel = fresh;
    return true;
}

/* A changed resolv.conf takes effect with the next question; and who is deaf is not asked. */
static void follow_resolv_conf(struct resolver *r)
{
    int64_t now_ns = clock_monotonic_ns();
    struct stat st = {0};

    if (r->channel->deaf)
        renew(r);
    if (now_ns - r->resolv_conf_checked_ns < RESOLV_CONF_EVERY)
        return;
    r->resolv_conf_checked_ns = now_ns;
    if (stat(RESOLV_CONF, &st) < 0 || (st.st_mtim.tv_sec == r->resolv_conf_mtime.tv_sec &&
                                       st.st_mtim.tv_nsec == r->resolv_conf_mtime.tv_nsec))
        return;
    if (renew(r))
        r->resolv_conf_mtime = st.st_mtim;
}

bool resolver_use(struct resolver *r, const char *servers)
{
    char *before = r->servers;

    r->servers = strdup(servers);
    if (!*servers || !r->servers || !renew(r)) {
        free(r->servers);
        r->servers = before;
        return false;
    }
    free(before);
    arm_timer(r);
    return true;
}

/* --- questions and answers ------------------------------------------------------------------- */

/* What c-ares says, in our words; anything not listed is a temporary failure of the resolvers. */
static const struct {
    int ares;
    enum resolve_status status;
} statuses[] = {
    {ARES_SUCCESS, RESOLVE_OK},
    {ARES_ENOTFOUND, RESOLVE_NOT_FOUND},
    {ARES_ENODATA, RESOLVE_NOT_FOUND},
    {ARES_EBADNAME, RESOLVE_NOT_FOUND},
    {ARES_ENONAME, RESOLVE_NOT_FOUND},
    {ARES_ETIMEOUT, RESOLVE_TIMEOUT},
    {ARES_ENOMEM, RESOLVE_MEMORY},
    {ARES_EFILE, RESOLVE_INTERNAL},
    {ARES_ENOTINITIALIZED, RESOLVE_INTERNAL},
};

static enum resolve_status translate(int ares, const struct channel *c, uint64_t failures_before)
{
    if (ares != ARES_SUCCESS && (c->deaf || failures != failures_before))
        return RESOLVE_MEMORY;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (statuses[i].ares == ares)
            return statuses[i].status;
    }
    return RESOLVE_TEMPORARY;
}

static void take_addresses(const struct ares_addrinfo *info, struct resolution *answer)
{
    for (const struct ares_addrinfo_node *node = info->nodes;
         node && answer->n < RESOLVER_MAX_ADDRESSES; node = node->ai_next) {
        struct address *a = &answer->addresses[answer->n];

        if (node->ai_addrlen > sizeof a->storage ||
            (node->ai_family != AF_INET && node->ai_family != AF_INET6))
            continue;
        memcpy(&a->storage, node->ai_addr, node->ai_addrlen);
        a->len = (socklen_t)node->ai_addrlen;
        answer->n++;
    }
}

static uint32_t smallest_ttl(const struct ares_addrinfo *info)
{
    int smallest = INT_MAX;

    for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next)
        smallest = node->ai_ttl < smallest ? node->ai_ttl : smallest;
    for (const struct ares_addrinfo_cname *name = info->cnames; name; name = name->next)
        smallest = name->ttl < smallest ? name->ttl : smallest;
    return info->nodes && smallest > 0 ? (uint32_t)smallest : 0;
}

static void set_port(struct resolution *answer, uint16_t port)
{
    for (size_t i = 0; i < answer->n; i++) {
        struct sockaddr_storage *s = &answer->addresses[i].storage;

        if (s->ss_family == AF_INET)
            ((struct sockaddr_in *)s)->sin_port = htons(port);
        else
            ((struct sockaddr_in6 *)s)->sin6_port = htons(port);
    }
}

static size_t bucket_of(const char *host)
{
    return (size_t)(str_hash(STR_HASH_START, host) % N_BUCKETS);
}

static void detach(struct resolver *r, struct lookup *lookup)
{
    struct lookup **at = &r->buckets[bucket_of(lookup->host)];

    while (*at && *at != lookup)
        at = &(*at)->next;
    if (*at)
        *at = lookup->next;
}

static void on_answer(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
    struct lookup *lookup = data;
    struct resolver *r = lookup->channel->resolver;
    struct resolution answer = {.status = translate(status, lookup->channel, lookup->failures)};

    (void)timeouts;
    if (r->asked == lookup)
        r->asked = NULL;
    if (lookup->no_memory && status != ARES_SUCCESS)
        answer.status = RESOLVE_MEMORY;
    if (info) {
        take_addresses(info, &answer);
        answer.ttl_seconds = smallest_ttl(info);
        ares_freeaddrinfo(info);
    }
    if (answer.status == RESOLVE_OK && answer.n == 0)
        answer.status = RESOLVE_NOT_FOUND;
    lookup->channel->in_flight--;
    detach(r, lookup);
    while (lookup->waiters) {
        struct resolve_request *request = lookup->waiters;

        lookup->waiters = request->next;
        request->next = NULL;
        request->lookup = NULL;
        if (status == ARES_EDESTRUCTION)
            continue;
        set_port(&answer, request->port);
        request->done(request, &answer);
    }
    free(lookup);
}

static struct lookup *find(struct resolver *r, const char *host)
{
    for (struct lookup *l = r->buckets[bucket_of(host)]; l; l = l->next) {
        if (strcmp(l->host, host) == 0)
            return l;
    }
    return NULL;
}

static void refuse(struct resolve_request *request, enum resolve_status status)
{
    const struct resolution answer = {.status = status};

    request->done(request, &answer);
}

void resolver_ask(struct resolver *r, struct resolve_request *request, const char *host,
                  uint16_t port)
{
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
                                                     .ai_socktype = SOCK_STREAM};
    struct lookup *lookup;

    request->port = port;
    request->lookup = NULL;
    follow_resolv_conf(r);
    lookup = find(r, host);
    if (lookup) {
        request->lookup = lookup;
        request->next = lookup->waiters;
        lookup->waiters = request;
        return;
    }
    lookup = calloc(1, sizeof *lookup);
    if (!lookup || !str_copy(lookup->host, sizeof lookup->host, host)) {
        refuse(request, lookup ? RESOLVE_NOT_FOUND : RESOLVE_MEMORY);
        free(lookup);
        return;
    }
    lookup->channel = r->channel;
    lookup->failures = failures;
    lookup->channel->in_flight++;
    lookup->waiters = request;
    lookup->next = r->buckets[bucket_of(host)];
    r->buckets[bucket_of(host)] = lookup;
    request->next = NULL;
    request->lookup = lookup;
    r->asked = lookup;
    errno = 0;
    ares_getaddrinfo(lookup->channel->ares, lookup->host, NULL, &hints, on_answer, lookup);
    if (r->asked && errno == ENOMEM) /* /etc/hosts: without it c-ares goes on to ask others */
        lookup->no_memory = true;
    r->asked = NULL;
    arm_timer(r);
}

void resolver_cancel(struct resolve_request *request)
{
    struct resolve_request **at;

    if (!request->lookup)
        return;
    at = &request->lookup->waiters;
    while (*at && *at != request)
        at = &(*at)->next;
    if (*at)
        *at = request->next;
    request->lookup = NULL;
}

/* --- SRV records ----------------------------------------------------------------------------- */

static void on_srv(void *data, int status, int timeouts, unsigned char *message, int len)
{
    struct srv_lookup *lookup = data;
    struct srv_request *request = lookup->request;
    struct srv_answer answer = {0};
    struct srv *records = NULL;
    const struct channel *channel = lookup->channel;
    uint64_t before = lookup->failures;

    (void)timeouts;
    lookup->channel->in_flight--;
    free(lookup);
    if (!request)
        return;
    request->lookup = NULL;
    if (status == ARES_EDESTRUCTION)
        return;
    if (status == ARES_SUCCESS) {
        status = srv_read(message, (size_t)len, &answer, &records);
        if (status == ARES_SUCCESS && answer.n == 0)
            status = ARES_ENODATA;
    }
    answer.status = translate(status, channel, before);
    request->done(request, &answer);
    free(records);
}

void resolver_ask_srv(struct resolver *r, struct srv_request *request, const char *name)
{
    struct srv_lookup *lookup = calloc(1, sizeof *lookup);

    request->lookup = lookup;
    if (!lookup) {
        request->done(request, &(struct srv_answer){.status = RESOLVE_MEMORY});
        return;
    }
    follow_resolv_conf(r);
    *lookup = (struct srv_lookup){.channel = r->channel, .failures = failures, .request = request};
    r->channel->in_flight++;
    ares_search(r->channel->ares, name, ns_c_in, ns_t_srv, on_srv, lookup);
    arm_timer(r);
}

void resolver_cancel_srv(struct srv_request *request)
{
    if (request->lookup)
        request->lookup->request = NULL;
    request->lookup = NULL;
}

/* --- life ------------------------------------------------------------------------------------ */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void start_library(void)
{
    ares_library_init_mem(ARES_LIB_INIT_ALL, on_malloc, free, on_realloc);
}

struct resolver *resolver_new(uv_loop_t *loop)
{
    struct resolver *r = calloc(1, sizeof *r);
    struct stat st = {0};

    if (!r)
        return NULL;
    pthread_once(&library_once, start_library);
    r->loop = loop;
    if (stat(RESOLV_CONF, &st) == 0)
        r->resolv_conf_mtime = st.st_mtim;
    r->channel = channel_new(r);
    if (!r->channel || uv_timer_init(loop, &r->timer) != 0) {
        channel_free(r->channel);
        free(r);
        return NULL;
    }
    r->timer.data = r;
    return r;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct resolver *r = handle->data;

    free(r->servers);
    free(r);
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    channel_free(r->channel);
    while (r->retired) {
        struct channel *next = r->retired->next;

        channel_free(r->retired);
        r->retired = next;
    }
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}
