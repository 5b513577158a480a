/* An HTTP server on loopback that answers by the request's path. */
#include "http_peer.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <zlib.h>

#define MAX_CLIENTS 4096
#define BOMB_SIZE   ((size_t)10 * 1000 * 1000)
#define DRIP_EVERY  20000000 /* ns */
#define PATIENCE_S  20

struct client {
    struct http_peer *peer;
    int fd;
    SSL *tls;
};

static bool send_all(struct client *c, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n > 0) {
        ssize_t sent = c->tls ? SSL_write(c->tls, at, (int)n) : send(c->fd, at, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool send_text(struct client *c, const char *text)
{
    return send_all(c, text, strlen(text));
}

static ssize_t receive(struct client *c, char *to, size_t size)
{
    return c->tls ? SSL_read(c->tls, to, (int)size) : recv(c->fd, to, size, 0);
}

static void wait_for_the_end(struct client *c)
{
    char byte;

    while (receive(c, &byte, 1) > 0)
        ;
}

/* --- answers --------------------------------------------------------------------------------- */

static void answer(struct client *c, const char *more_headers, const void *body, size_t len)
{
    char head[512];

    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
             len, more_headers);
    if (send_text(c, head))
        send_all(c, body, len);
}

static void answer_json(struct client *c)
{
    answer(c, "", PEER_JSON, strlen(PEER_JSON));
}

struct packed {
    unsigned char *bytes; /* to be freed */
    size_t len;
};

static struct packed pack(const void *plain, size_t len)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)plain, .avail_in = (uInt)len};
    size_t size = len + 100;
    struct packed packed = {.bytes = malloc(size)};

    z.next_out = packed.bytes;
    z.avail_out = (uInt)size;
    if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK) {
        deflate(&z, Z_FINISH);
        packed.len = size - z.avail_out;
        deflateEnd(&z);
    }
    return packed;
}

static void answer_packed(struct client *c, const struct packed *packed)
{
    answer(c, "Content-Encoding: gzip\r\n", packed->bytes, packed->len);
}

static void answer_gzip(struct client *c)
{
    struct packed packed = pack(PEER_JSON, strlen(PEER_JSON));

    answer_packed(c, &packed);
    free(packed.bytes);
}

/* Packed once and sent many times, by a thread each: packing takes far longer than sending. */
static struct packed bomb;

static void make_bomb(void)
{
    void *zeros = calloc(1, BOMB_SIZE);

    bomb = pack(zeros, BOMB_SIZE);
    free(zeros);
}

static void answer_bomb(struct client *c)
{
    static pthread_once_t made = PTHREAD_ONCE_INIT;

    pthread_once(&made, make_bomb);
    answer_packed(c, &bomb);
}

static void answer_broken_gzip(struct client *c)
{
    answer(c, "Content-Encoding: gzip\r\n", PEER_JSON, strlen(PEER_JSON));
}

static void flood(struct client *c)
{
    char zeros[4096];

    memset(zeros, '0', sizeof zeros);
    while (send_all(c, zeros, sizeof zeros))
        ;
}

static void answer_endless(struct client *c)
{
    if (send_text(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"))
        flood(c);
}

static void answer_drip(struct client *c)
{
    if (!send_text(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"))
        return;
    while (send_text(c, "0"))
        nanosleep(&(struct timespec){.tv_nsec = DRIP_EVERY}, NULL);
}

static void answer_headers(struct client *c)
{
    if (!send_text(c, "HTTP/1.1 200 OK\r\n"))
        return;
    while (send_text(c, "X-More: and more and more and more and more and more and more\r\n"))
        ;
}

static void answer_silent(struct client *c)
{
    wait_for_the_end(c);
}

static void answer_close(struct client *c)
{
    (void)c;
}

static void answer_reset(struct client *c)
{
    struct linger linger = {.l_onoff = 1};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static void answer_short(struct client *c)
{
    send_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[");
}

static void answer_garbage(struct client *c)
{
    send_text(c, "\x16\x03\x01 what is this\r\n\r\n");
}

static void redirect(struct client *c, const char *to)
{
    char head[512];

    snprintf(head, sizeof head, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
             to);
    send_text(c, head);
}

static void answer_loop(struct client *c)
{
    redirect(c, "/loop?token=s3cret");
}

static void answer_away(struct client *c)
{
    char to[64];

    snprintf(to, sizeof to, "http://localhost:%u/json", c->peer->port);
    redirect(c, to);
}

static void answer_file(struct client *c)
{
    redirect(c, "file:///etc/hostname");
}

static void answer_downgrade(struct client *c)
{
    redirect(c, "http://127.0.0.1:1/json");
}

static void answer_status(struct client *c, const char *path)
{
    char head[128];

    snprintf(head, sizeof head, "HTTP/1.1 %.3s Whatever\r\nContent-Type: text/plain\r\n\r\n",
             path + 1);
    if (!send_text(c, head))
        return;
    if (strstr(path, "-endless"))
        flood(c);
    else if (strncmp(path, "/204", 4) != 0)
        send_text(c, "no list here");
}

static const struct {
    const char *path;
    void (*answer)(struct client *c);
} routes[] = {
    {"/json", answer_json},       {"/gzip", answer_gzip},
    {"/bomb", answer_bomb},       {"/broken-gzip", answer_broken_gzip},
    {"/loop", answer_loop},       {"/away", answer_away},
    {"/file", answer_file},       {"/downgrade", answer_downgrade},
    {"/endless", answer_endless}, {"/drip", answer_drip},
    {"/silent", answer_silent},   {"/headers", answer_headers},
    {"/close", answer_close},     {"/reset", answer_reset},
    {"/short", answer_short},     {"/garbage", answer_garbage},
};

/* A proxy is asked for a whole URL, whose path is looked at. */
static void route(struct client *c, const char *head)
{
    char target[512] = "";
    const char *path = target, *slashes;

    if (sscanf(head, "GET %511s", target) != 1)
        target[0] = '\0';
    slashes = strstr(target, "://");
    if (slashes)
        path = strchr(slashes + 3, '/');
    if (!path)
        return;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strncmp(path, routes[i].path, strlen(routes[i].path)) == 0) {
            routes[i].answer(c);
            return;
        }
    }
    answer_status(c, path);
}

/* --- connections ----------------------------------------------------------------------------- */

static bool read_head(struct client *c, char *head, size_t size)
{
    size_t len = 0;

    head[0] = '\0';
    while (len + 1 < size && !strstr(head, "\r\n\r\n")) {
        ssize_t n = receive(c, head + len, size - 1 - len);

        if (n <= 0)
            return false;
        len += (size_t)n;
        head[len] = '\0';
    }
    return true;
}

static void *serve_client(void *argument)
{
    struct client *c = argument;
    struct timeval limit = {.tv_sec = PATIENCE_S};
    char head[sizeof c->peer->head];

    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (c->peer->tls) {
        c->tls = SSL_new(c->peer->tls);
        SSL_set_fd(c->tls, c->fd);
    }
    if ((!c->tls || SSL_accept(c->tls) == 1) && read_head(c, head, sizeof head)) {
        pthread_mutex_lock(&c->peer->lock);
        snprintf(c->peer->head, sizeof c->peer->head, "%s", head);
        pthread_mutex_unlock(&c->peer->lock);
        c->peer->requests++;
        route(c, head);
    }
    SSL_free(c->tls);
    close(c->fd);
    free(c);
    return NULL;
}

static void *accept_clients(void *argument)
{
    struct http_peer *peer = argument;
    pthread_t *threads = calloc(MAX_CLIENTS, sizeof *threads);
    size_t n = 0;

    while (n < MAX_CLIENTS) {
        int fd = accept(peer->listener, NULL, NULL);
        struct client *c;

        if (fd < 0 || peer->stopping) {
            if (fd >= 0)
                close(fd);
            break;
        }
        c = calloc(1, sizeof *c);
        *c = (struct client){.peer = peer, .fd = fd};
        if (pthread_create(&threads[n], NULL, serve_client, c) == 0)
            n++;
    }
    while (n > 0)
        pthread_join(threads[--n], NULL);
    free(threads);
    return NULL;
}

void http_peer_start(struct http_peer *peer, SSL_CTX *tls)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    *peer = (struct http_peer){.tls = tls, .lock = PTHREAD_MUTEX_INITIALIZER};
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->listener >= 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(peer->listener, 256), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &len), 0);
    peer->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&peer->thread, NULL, accept_clients, peer), 0);
}

void http_peer_stop(struct http_peer *peer)
{
    peer->stopping = true;
    shutdown(peer->listener, SHUT_RDWR); /* accept() returns */
    pthread_join(peer->thread, NULL);
    close(peer->listener);
}

char *http_peer_head(struct http_peer *peer)
{
    char *head;

    pthread_mutex_lock(&peer->lock);
    head = strdup(peer->head);
    pthread_mutex_unlock(&peer->lock);
    return head;
}
