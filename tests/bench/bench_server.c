/* Many frugal PostgreSQL servers in one thread, for measuring clients: answers SSLRequest with S,
 * shakes hands, asks for SCRAM, lets in whoever goes on and answers a query; or hangs where it is
 * told to. It costs as little as OpenSSL allows, because it shares the machine with what is
 * measured.
 *
 * Each server has an address of its own in 127.66.0.0/16 and a port that the kernel chose; they are
 * printed, one "ADDRESS PORT" per line, then "ready". How many clients were answered (inspects at
 * their first message, logins at their query, handshakes) stands in the 8-byte words of the counter
 * file, where a reader costs nobody anything.
 *
 * Told to keep the truth, it notes for each client how long it was itself at work on each phase, by
 * the kernel's clock: from the arrival of what was asked (SO_TIMESTAMPING, receive side) to the
 * departure of the answer (transmit side). What a client on the same machine reports beyond that
 * and its own CPU is the client's error. */
#include "bench.h"
#include "bench_scram.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SERVERS  60000
#define MAX_DELAY_US 10000000
#define BATCH        256
#define BACKLOG      64
#define NS_PER_US    INT64_C(1000)
#define NS_PER_MS    INT64_C(1000000)
#define NS_PER_S     INT64_C(1000000000)

/* What the server waits for. */
enum stage { LISTENING, GREETING, HANDSHAKE, STARTUP, SASL_FIRST, SASL_FINAL, QUERY, LEAVING, END };

/* Where a client may be left hanging: before the answer. */
static const char *const stage_names[END] = {
    [GREETING] = "ssl_request", [HANDSHAKE] = "tls", [STARTUP] = "startup"};
enum phase { PHASE_GREET, PHASE_TLS, PHASE_START, PHASE_AUTH, PHASE_ASK, PHASES };
static const enum phase phase_of[END] = {[HANDSHAKE] = PHASE_TLS,
                                         [STARTUP] = PHASE_START,
                                         [SASL_FIRST] = PHASE_AUTH,
                                         [SASL_FINAL] = PHASE_AUTH,
                                         [QUERY] = PHASE_ASK};

/* What is counted, in the order of the counter file. */
enum answered { INSPECTS, LOGINS, HANDSHAKES, COUNTERS };

struct peer {
    int fd;
    enum stage stage;
    unsigned server;
    SSL *ssl;
    struct scram scram;
    bool waits; /* its answer is due at due_ns */
    int64_t due_ns;
    struct peer *next; /* among those that wait */
    int64_t asked_ns, took_ns[PHASES];
};

struct server {
    int epoll;
    SSL_CTX *context;
    enum stage hang; /* END: nowhere */
    int64_t delay_ns;
    FILE *truth;
    _Atomic uint64_t *answered;
    struct peer *first, **last; /* that wait, in the order in which they are due */
};

static struct server server = {.hang = END};

/* --- the kernel's clock ----------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The stamp on what recvmsg returns, 0 without. */
static int64_t stamp_of(int fd, void *to, size_t size, int flags)
{
    union {
        struct cmsghdr align;
        char bytes[512];
    } control;
    struct iovec iov = {.iov_base = to, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    int64_t stamp_ns = 0;

    if (recvmsg(fd, &message, flags | MSG_DONTWAIT) < 0)
        return 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        struct scm_timestamping stamps;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPING)
            continue;
        memcpy(&stamps, CMSG_DATA(c), sizeof stamps);
        stamp_ns = (int64_t)stamps.ts[0].tv_sec * NS_PER_S + stamps.ts[0].tv_nsec;
    }
    return stamp_ns;
}

static void note_asked(struct peer *peer)
{
    char bytes[16 * 1024];
    int64_t stamp_ns = server.truth ? stamp_of(peer->fd, bytes, sizeof bytes, MSG_PEEK) : 0;

    if (stamp_ns)
        peer->asked_ns = stamp_ns;
}

/* An answer has just left: the latest of the stamps of its sends. */
static void note_answered(struct peer *peer)
{
    char byte;
    int64_t stamp_ns, left_ns = 0;

    if (!server.truth)
        return;
    while ((stamp_ns = stamp_of(peer->fd, &byte, 1, MSG_ERRQUEUE)) != 0)
        left_ns = stamp_ns;
    if (left_ns && peer->asked_ns)
        peer->took_ns[phase_of[peer->stage]] += left_ns - peer->asked_ns;
    peer->asked_ns = 0;
}

static void stamp(int fd)
{
    const int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_TX_SOFTWARE |
                      SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;

    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) < 0)
        die("SO_TIMESTAMPING");
}

static void count(enum answered what)
{
    atomic_fetch_add_explicit(&server.answered[what], 1, memory_order_relaxed);
}

/* --- one client ------------------------------------------------------------------------------- */

static void drop(struct peer *peer)
{
    if (server.truth && peer->took_ns[PHASE_TLS]) {
        fprintf(server.truth, "%u", peer->server);
        for (int phase = 0; phase < PHASES; phase++)
            fprintf(server.truth, " %lld", (long long)peer->took_ns[phase]);
        fputc('\n', server.truth);
        fflush(server.truth);
    }
    SSL_free(peer->ssl);
    close(peer->fd);
    free(peer);
}

/* The stages return true when they are done; false to be called again, or after peer->stage was set
 * to END. */
static bool again(struct peer *peer, bool wanted)
{
    if (!wanted)
        peer->stage = END;
    return false;
}

static bool tls_again(struct peer *peer, int result)
{
    bool wanted = SSL_get_error(peer->ssl, result) == SSL_ERROR_WANT_READ;

    ERR_clear_error();
    return again(peer, wanted);
}

static void begin_tls(struct peer *peer)
{
    peer->ssl = SSL_new(server.context);
    if (!peer->ssl || SSL_set_fd(peer->ssl, peer->fd) != 1)
        die("TLS");
}

static bool greet(struct peer *peer)
{
    char request[SSL_REQUEST_SIZE];
    ssize_t n = recv(peer->fd, request, 1, MSG_PEEK);

    if (n == 1 && request[0] == SSL3_RT_HANDSHAKE) { /* direct TLS */
        begin_tls(peer);
        return true;
    }
    n = recv(peer->fd, request, sizeof request, 0);
    if (n != sizeof request || memcmp(request, SSL_REQUEST, sizeof request) != 0)
        return again(peer, n < 0 && errno == EAGAIN);
    if (send(peer->fd, "S", 1, MSG_NOSIGNAL) != 1)
        return again(peer, false);
    note_answered(peer);
    begin_tls(peer);
    return true;
}

static bool shake_hands(struct peer *peer)
{
    bool first = SSL_get_state(peer->ssl) == TLS_ST_BEFORE;
    int result = SSL_accept(peer->ssl);

    if (first)
        note_answered(peer);
    if (result != 1)
        return tls_again(peer, result);
    count(HANDSHAKES);
    return true;
}

static bool answer(struct peer *peer, const void *bytes, size_t len)
{
    if (SSL_write(peer->ssl, bytes, (int)len) <= 0)
        return again(peer, false);
    note_answered(peer);
    return true;
}

/* One message of the client's, which the client sends as one record; 0: none yet, or the end. */
static int hear(struct peer *peer, char to[1024])
{
    int result = SSL_read(peer->ssl, to, 1023);

    if (result <= 0) {
        tls_again(peer, result);
        return 0;
    }
    to[result] = '\0';
    return result;
}

static bool ask_for_scram(struct peer *peer)
{
    /* AuthenticationSASL as PostgreSQL sends it over TLS. */
    static const char sasl[] = "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";
    char message[1024];

    if (hear(peer, message) == 0 || !answer(peer, sasl, sizeof sasl))
        return false;
    count(INSPECTS);
    return true;
}

/* Appends a message of that type; returns where the next one goes. */
static char *put(char *to, char type, const void *body, size_t len)
{
    uint32_t size = htonl((uint32_t)len + 4);

    *to = type;
    memcpy(to + 1, &size, 4);
    memcpy(to + 5, body, len);
    return to + 5 + len;
}

/* An R with that code and text. */
static char *put_authentication(char *to, char code, const char *text, size_t len)
{
    char body[4 + SCRAM_TEXT] = {0, 0, 0, code};

    memcpy(body + 4, text, len);
    return put(to, 'R', body, 4 + len);
}

static bool sasl_first(struct peer *peer)
{
    char message[1024], text[SCRAM_TEXT], out[2 * SCRAM_TEXT];
    int n = hear(peer, message);
    size_t at = 5, len;

    if (n == 0)
        return false;
    at += strlen(message + 5) + 1 + 4; /* the mechanism, the length of what follows */
    len = at < (size_t)n ? scram_first(&peer->scram, message + at, text) : 0;
    return len ? answer(peer, out, (size_t)(put_authentication(out, 11, text, len) - out))
               : again(peer, false);
}

static bool sasl_final(struct peer *peer)
{
    static const char version[] = "server_version\0"
                                  "15.8",
                      key[] = "\0\0\x12\x34\0\0\0\1";
    char message[1024], text[SCRAM_TEXT], out[4 * SCRAM_TEXT], *at = out;
    int n = hear(peer, message);
    size_t len;

    if (n == 0)
        return false;
    len = n > 5 ? scram_final(&peer->scram, message + 5, text) : 0;
    if (len == 0)
        return again(peer, false);
    at = put_authentication(at, 12, text, len);
    at = put_authentication(at, 0, "", 0);
    at = put(at, 'S', version, sizeof version);
    at = put(at, 'K', key, 8);
    at = put(at, 'Z', "I", 1);
    return answer(peer, out, (size_t)(at - out));
}

/* To whatever was asked: what the exporter's query comes to on a primary. */
static bool tell(struct peer *peer)
{
    static const char *const values[] = {"4660", "15.8", "f", "off", "127.0.0.1 5432", NULL};
    const size_t n = sizeof values / sizeof *values;
    char message[1024], body[512], out[1024], *at = body, *end = out;

    if (hear(peer, message) == 0)
        return false;
    *at++ = 0;
    *at++ = (char)n;
    for (size_t i = 0; i < n; i++) { /* name, table, column, type text, size -1, modifier, format */
        memcpy(at, "c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0", 20);
        at += 20;
    }
    end = put(end, 'T', body, (size_t)(at - body));
    at = body + 2;
    for (size_t i = 0; i < n; i++) {
        uint32_t size = htonl(values[i] ? (uint32_t)strlen(values[i]) : UINT32_MAX);

        memcpy(at, &size, 4);
        at += 4;
        if (values[i])
            at = (char *)memcpy(at, values[i], strlen(values[i])) + strlen(values[i]);
    }
    end = put(end, 'D', body, (size_t)(at - body));
    end = put(end, 'C', "SELECT 1", 9);
    end = put(end, 'Z', "I", 1);
    if (!answer(peer, out, (size_t)(end - out)))
        return false;
    count(LOGINS);
    return true;
}

static bool leave(struct peer *peer)
{
    char rest[64];
    int result = SSL_read(peer->ssl, rest, sizeof rest);

    return result > 0 ? again(peer, false) : tls_again(peer, result);
}

static bool run_stage(struct peer *peer)
{
    static bool (*const stages[END])(struct peer *) = {
        [GREETING] = greet,        [HANDSHAKE] = shake_hands, [STARTUP] = ask_for_scram,
        [SASL_FIRST] = sasl_first, [SASL_FINAL] = sasl_final, [QUERY] = tell,
        [LEAVING] = leave};

    return stages[peer->stage](peer);
}

/* Will what the client says now be answered? The end of its handshake is not. */
static bool is_answered(const struct peer *peer)
{
    return peer->stage == HANDSHAKE ? SSL_get_state(peer->ssl) == TLS_ST_BEFORE
                                    : peer->stage != LEAVING;
}

static void postpone(struct peer *peer)
{
    peer->waits = true;
    peer->due_ns = now_ns() + server.delay_ns;
    peer->next = NULL;
    *server.last = peer;
    server.last = &peer->next;
}

static bool has_input(const struct peer *peer)
{
    char byte;
    ssize_t n = recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return (peer->ssl && SSL_has_pending(peer->ssl)) || n >= 0 || errno != EAGAIN;
}

static void go_on(struct peer *peer, bool closed)
{
    while (peer->stage != END && peer->stage != server.hang && run_stage(peer)) {
        peer->stage++;
        if (server.delay_ns && is_answered(peer)) {
            if (has_input(peer))
                postpone(peer);
            return;
        }
    }
    if (peer->stage == END || (peer->stage == server.hang && closed))
        drop(peer);
}

/* Something came: the answer is now, or due in a while. Who closes hears nothing more. */
static void serve(struct peer *peer, bool closed)
{
    if (peer->waits || (peer->stage == server.hang && !closed))
        return;
    note_asked(peer);
    if (server.delay_ns && !closed && is_answered(peer))
        postpone(peer);
    else
        go_on(peer, closed);
}

/* Those whose answer is due by now; how many milliseconds until the next one, -1: nobody waits. */
static int serve_due(void)
{
    while (server.first && server.first->due_ns <= now_ns()) {
        struct peer *peer = server.first;

        server.first = peer->next;
        if (!server.first)
            server.last = &server.first;
        peer->waits = false;
        go_on(peer, false);
    }
    if (!server.first)
        return -1;
    return (int)((server.first->due_ns - now_ns() + NS_PER_MS - 1) / NS_PER_MS);
}

/* --- all of them ------------------------------------------------------------------------------ */

static void watch(int fd, unsigned which, enum stage stage, uint32_t events)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct epoll_event event = {.events = events, .data.ptr = peer};

    if (!peer)
        die("memory");
    *peer = (struct peer){.fd = fd, .stage = stage, .server = which};
    if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): events bring it back */
}

static void accept_clients(const struct peer *listener)
{
    const int on = 1;

    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
            return;
        if (fd < 0)
            die("accept4");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (server.truth)
            stamp(fd);
        watch(fd, listener->server, GREETING, EPOLLIN | EPOLLRDHUP | EPOLLET);
    }
}

static void listen_at(unsigned i)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    char text[INET_ADDRSTRLEN];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(0x7f420000u + 1 + i); /* 127.66.0.1 and on */
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        die("listening socket");
    if (server.truth)
        stamp(fd); /* what arrives before accept() is stamped as well */
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    printf("%s %u\n", text, ntohs(address.sin_port));
    watch(fd, i, LISTENING, EPOLLIN);
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

static _Atomic uint64_t *map_counters(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    void *map;

    if (fd < 0 || ftruncate(fd, COUNTERS * sizeof(uint64_t)) < 0)
        die(path);
    map = mmap(NULL, COUNTERS * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die(path);
    close(fd);
    return map;
}

static enum stage stage_from_name(const char *name)
{
    for (int stage = 0; stage < END; stage++) {
        if (stage_names[stage] && strcmp(stage_names[stage], name) == 0)
            return (enum stage)stage;
    }
    fprintf(stderr, "no stage \"%s\" to hang at: ssl_request, tls or startup\n", name);
    exit(2);
}

static _Noreturn void usage(void)
{
    fputs("usage: bench_server [--hang=STAGE] [--delay-us=N] [--truth=FILE] CERTIFICATE KEY "
          "COUNTER-FILE SERVERS\n"
          "  --hang      ssl_request, tls, startup: never answers that\n"
          "  --delay-us  before each answer\n"
          "  --truth     a line per client: server, ns of ssl_request tls startup auth query\n",
          stderr);
    exit(2);
}

static void take_options(int argc, char **argv)
{
    static const struct option options[] = {{"hang", required_argument, NULL, 'h'},
                                            {"delay-us", required_argument, NULL, 'd'},
                                            {"truth", required_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'h')
            server.hang = stage_from_name(optarg);
        else if (option == 'd')
            server.delay_ns = (int64_t)number(optarg, MAX_DELAY_US) * NS_PER_US;
        else if (option != 't')
            usage();
        else if (!(server.truth = fopen(optarg, "we")))
            die(optarg);
    }
    if (argc - optind != 4)
        usage();
}

static void run(void)
{
    struct epoll_event events[BATCH];

    for (;;) {
        int n = epoll_wait(server.epoll, events, BATCH, serve_due());

        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;

            if (peer->stage == LISTENING)
                accept_clients(peer);
            else
                serve(peer, events[i].events & (EPOLLRDHUP | EPOLLHUP));
        }
    }
}

int main(int argc, char **argv)
{
    unsigned long count;

    take_options(argc, argv);
    argv += optind;
    count = number(argv[3], MAX_SERVERS);
    prepare();
    scram_setup("bench");
    server.last = &server.first;
    server.context = make_context(argv[0], argv[1]);
    server.answered = map_counters(argv[2]);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.epoll < 0)
        die("epoll_create1");
    for (unsigned i = 0; i < count; i++)
        listen_at(i);
    puts("ready");
    fflush(stdout);
    run();
}
