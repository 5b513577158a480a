/* A thousand frugal PostgreSQL servers in one thread, for measuring clients: answers SSLRequest
 * with S, shakes hands, reads the StartupMessage, asks for SCRAM, waits for the client to leave. It
 * costs as little as OpenSSL allows, because it shares the machine with what is measured.
 *
 * Each server has an address of its own in 127.66.0.0/16 and a port that the kernel chose; they are
 * printed, one "ADDRESS PORT" per line, then "ready". How many clients were answered stands in the
 * first 8 bytes of the counter file, where a reader costs nobody anything. */
#include "bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_SERVERS 60000
#define BATCH       256
#define BACKLOG     64

enum stage { LISTENING, GREETING, HANDSHAKE, STARTUP, LEAVING, STAGES };

/* Where a client may be left hanging: before the stage's answer. */
static const char *const stage_names[STAGES] = {
    [GREETING] = "ssl_request", [HANDSHAKE] = "tls", [STARTUP] = "startup"};

struct peer {
    int fd;
    enum stage stage;
    SSL *ssl;
};

struct server {
    int epoll;
    SSL_CTX *context;
    enum stage hang; /* STAGES: nowhere */
    _Atomic uint64_t *answered;
};

/* AuthenticationSASL as PostgreSQL sends it over TLS. */
static const char authentication[] = "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";

/* --- one client ------------------------------------------------------------------------------- */

static void drop(struct peer *peer)
{
    SSL_free(peer->ssl);
    close(peer->fd);
    free(peer);
}

/* The stages return true when they are done; false to be called again, or after peer->stage was set
 * to STAGES, which is the end. */
static bool again(struct peer *peer, bool wanted)
{
    if (!wanted)
        peer->stage = STAGES;
    return false;
}

static bool tls_again(struct peer *peer, int result)
{
    bool wanted = SSL_get_error(peer->ssl, result) == SSL_ERROR_WANT_READ;

    ERR_clear_error();
    return again(peer, wanted);
}

static bool greet(const struct server *server, struct peer *peer)
{
    char request[SSL_REQUEST_SIZE];
    ssize_t n = recv(peer->fd, request, sizeof request, 0);

    if (n != sizeof request || memcmp(request, SSL_REQUEST, sizeof request) != 0)
        return again(peer, n < 0 && errno == EAGAIN);
    if (send(peer->fd, "S", 1, MSG_NOSIGNAL) != 1)
        return again(peer, false);
    peer->ssl = SSL_new(server->context);
    if (!peer->ssl || SSL_set_fd(peer->ssl, peer->fd) != 1)
        die("TLS");
    return true;
}

static bool shake_hands(struct peer *peer)
{
    int result = SSL_accept(peer->ssl);

    return result == 1 ? true : tls_again(peer, result);
}

static bool authenticate(const struct server *server, struct peer *peer)
{
    char startup[1024];
    int result = SSL_read(peer->ssl, startup, sizeof startup);

    if (result <= 0)
        return tls_again(peer, result);
    if (SSL_write(peer->ssl, authentication, sizeof authentication) <= 0)
        return again(peer, false);
    atomic_fetch_add_explicit(server->answered, 1, memory_order_relaxed);
    return true;
}

static bool leave(struct peer *peer)
{
    char rest[64];
    int result = SSL_read(peer->ssl, rest, sizeof rest);

    return result > 0 ? again(peer, false) : tls_again(peer, result);
}

static bool run_stage(const struct server *server, struct peer *peer)
{
    switch (peer->stage) {
    case GREETING:
        return greet(server, peer);
    case HANDSHAKE:
        return shake_hands(peer);
    case STARTUP:
        return authenticate(server, peer);
    case LEAVING:
        return leave(peer);
    case LISTENING:
    case STAGES:
        break;
    }
    return false;
}

static void serve(const struct server *server, struct peer *peer, bool closed)
{
    if (peer->stage == server->hang && !closed)
        return;
    while (peer->stage != server->hang && run_stage(server, peer))
        peer->stage++;
    if (peer->stage == STAGES || (peer->stage == server->hang && closed))
        drop(peer);
}

/* --- all of them ------------------------------------------------------------------------------ */

static void watch(const struct server *server, int fd, enum stage stage, uint32_t events)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct epoll_event event = {.events = events, .data.ptr = peer};

    if (!peer)
        die("memory");
    *peer = (struct peer){.fd = fd, .stage = stage};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void accept_clients(const struct server *server, int listener)
{
    const int on = 1;

    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
            return;
        if (fd < 0)
            die("accept4");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(server, fd, GREETING, EPOLLIN | EPOLLRDHUP | EPOLLET);
    }
}

static void listen_at(const struct server *server, unsigned i)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    char text[INET_ADDRSTRLEN];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(0x7f420000u + 1 + i); /* 127.66.0.1 and on */
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        die("listening socket");
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    printf("%s %u\n", text, ntohs(address.sin_port));
    watch(server, fd, LISTENING, EPOLLIN);
}

static SSL_CTX *make_context(const char *certificate, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        die("certificate");
    /* As PostgreSQL: no session is ever resumed. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_read_ahead(context, 1);
    return context;
}

static _Atomic uint64_t *map_counter(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    void *map;

    if (fd < 0 || ftruncate(fd, sizeof(uint64_t)) < 0)
        die(path);
    map = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die(path);
    close(fd);
    return map;
}

static enum stage stage_from_name(const char *name)
{
    for (int stage = 0; stage < STAGES; stage++) {
        if (stage_names[stage] && strcmp(stage_names[stage], name) == 0)
            return (enum stage)stage;
    }
    fprintf(stderr, "no stage \"%s\" to hang at: ssl_request, tls or startup\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    struct server server = {.hang = STAGES};
    struct epoll_event events[BATCH];
    unsigned long count;

    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: bench_server CERTIFICATE KEY COUNTER-FILE SERVERS [HANG-AT]\n");
        return 2;
    }
    count = number(argv[4], MAX_SERVERS);
    if (argc == 6)
        server.hang = stage_from_name(argv[5]);
    prepare();
    server.context = make_context(argv[1], argv[2]);
    server.answered = map_counter(argv[3]);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.epoll < 0)
        die("epoll_create1");
    for (unsigned i = 0; i < count; i++)
        listen_at(&server, i);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(server.epoll, events, BATCH, -1);

        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;

            if (peer->stage == LISTENING)
                accept_clients(&server, peer->fd);
            else
                serve(&server, peer, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
        }
    }
}
