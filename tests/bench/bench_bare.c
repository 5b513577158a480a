/* The bare client loop that the exporter is held against: the same exchange (connect, SSLRequest,
 * TLS with verification of chain and host name, StartupMessage, the first message of the answer,
 * close_notify), one thread, one epoll, one SSL_CTX, nothing measured and nothing kept. What it
 * costs is what OpenSSL and the kernel cost.
 *
 * Reads targets ("ADDRESS PORT" per line) from standard input, probes them in turn at an even pace,
 * or as fast as it can with so many in flight, prints JSON with the CPU per probe. Asked for times,
 * it takes them as such a loop would, when it comes round to reading: what that is worth is one of
 * the things that are measured. */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_TARGETS 60000
#define BATCH       256
#define NS_PER_S    INT64_C(1000000000)
#define NS_PER_MS   INT64_C(1000000)
#define PATIENCE_NS (5 * NS_PER_S) /* for what is still in flight at the end */

enum stage { CONNECTING, ANSWER, HANDSHAKE, STARTUP, MESSAGE };

static const char *const stage_names[] = {"connect", "SSLRequest", "handshake", "startup",
                                          "message"};

struct probe {
    int fd;
    enum stage stage;
    SSL *ssl;
    size_t target;
    int64_t since_ns, took_ns[MESSAGE + 1];
};

struct bare {
    int epoll;
    SSL_CTX *context;
    char *host;
    struct sockaddr_in targets[MAX_TARGETS];
    size_t n_targets;
    uint64_t started, good, failed;
    FILE *times;
};

static const char startup[] = "\0\0\0\x27\0\x03\0\0user\0monitor\0database\0monitor\0";

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The first failure is told: it is an error of the benchmark, not a result. */
static void report(const struct bare *bare, const struct probe *probe)
{
    unsigned long error = ERR_peek_last_error();

    if (bare->failed == 0)
        fprintf(stderr, "probe %llu failed in %s: %s\n", (unsigned long long)bare->started,
                stage_names[probe->stage],
                error ? ERR_reason_error_string(error) : strerror(errno));
    ERR_clear_error();
}

/* The request of this stage's round trip left now, or its answer is here now. */
static void lap(const struct bare *bare, struct probe *probe, enum stage stage, bool ends)
{
    int64_t at_ns;

    if (!bare->times)
        return;
    at_ns = now_ns();
    if (ends)
        probe->took_ns[stage] += at_ns - probe->since_ns;
    probe->since_ns = at_ns;
}

static void finish(struct bare *bare, struct probe *probe, bool good)
{
    if (bare->times && good)
        fprintf(bare->times, "%zu %lld %lld %lld\n", probe->target,
                (long long)probe->took_ns[ANSWER], (long long)probe->took_ns[HANDSHAKE],
                (long long)probe->took_ns[MESSAGE]);
    if (good)
        SSL_shutdown(probe->ssl);
    else
        report(bare, probe);
    bare->good += good;
    bare->failed += !good;
    SSL_free(probe->ssl);
    close(probe->fd);
    free(probe);
}

static SSL *tls_new(const struct bare *bare, int fd)
{
    SSL *ssl = SSL_new(bare->context);

    if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set1_host(ssl, bare->host) != 1 ||
        SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, bare->host) != 1)
        die("TLS");
    SSL_set_connect_state(ssl);
    return ssl;
}

/* One stage: 1 when it is done, 0 to be called again, -1 when it failed. */
static int run_stage(const struct bare *bare, struct probe *probe)
{
    char byte, message[256];
    int result;
    ssize_t n;

    switch (probe->stage) {
    case CONNECTING:
        n = send(probe->fd, SSL_REQUEST, SSL_REQUEST_SIZE, MSG_NOSIGNAL);
        lap(bare, probe, ANSWER, false);
        return n == SSL_REQUEST_SIZE ? 1 : n < 0 && errno == EAGAIN ? 0 : -1;
    case ANSWER:
        n = recv(probe->fd, &byte, 1, 0);
        if (n != 1 || byte != 'S')
            return n < 0 && errno == EAGAIN ? 0 : -1;
        lap(bare, probe, ANSWER, true);
        probe->ssl = tls_new(bare, probe->fd);
        return 1;
    case HANDSHAKE:
        result = SSL_do_handshake(probe->ssl);
        break;
    case STARTUP:
        result = SSL_write(probe->ssl, startup, sizeof startup);
        break;
    case MESSAGE:
        result = SSL_read(probe->ssl, message, sizeof message);
        if (result > 0 && message[0] != 'R')
            return -1;
        break;
    default:
        return -1;
    }
    if (result > 0) {
        lap(bare, probe, probe->stage, probe->stage != STARTUP);
        return 1;
    }
    return SSL_get_error(probe->ssl, result) == SSL_ERROR_WANT_READ ? 0 : -1;
}

static void advance(struct bare *bare, struct probe *probe)
{
    for (;;) {
        int result = run_stage(bare, probe);

        if (result == 0)
            return;
        if (result < 0 || probe->stage == MESSAGE) {
            finish(bare, probe, result > 0);
            return;
        }
        probe->stage++;
    }
}

static void start(struct bare *bare)
{
    size_t which = bare->started++ % bare->n_targets;
    const struct sockaddr_in *target = &bare->targets[which];
    struct probe *probe = calloc(1, sizeof *probe);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = probe};
    const int on = 1;

    if (!probe)
        die("memory");
    probe->target = which;
    probe->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0)
        die("socket");
    setsockopt(probe->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(probe->fd, (const struct sockaddr *)target, sizeof *target) < 0 &&
        errno != EINPROGRESS)
        die("connect");
    if (epoll_ctl(bare->epoll, EPOLL_CTL_ADD, probe->fd, &event) < 0)
        die("epoll_ctl");
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): events bring it back */
}

/* Events until the next probe is due; the pause is rounded up as every event loop does. */
static void wait_until(struct bare *bare, int64_t due_ns)
{
    struct epoll_event events[BATCH];
    int64_t left_ns = due_ns - now_ns();
    int n = epoll_wait(bare->epoll, events, BATCH,
                       left_ns > 0 ? (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS) : 0);

    for (int i = 0; i < n; i++)
        advance(bare, events[i].data.ptr);
}

/* As fast as it goes, with so many in flight. */
static void run_full(struct bare *bare, uint64_t in_flight, unsigned long seconds)
{
    int64_t end_ns = now_ns() + (int64_t)seconds * NS_PER_S;

    while (now_ns() < end_ns) {
        while (bare->started - bare->good - bare->failed < in_flight)
            start(bare);
        wait_until(bare, end_ns);
    }
    while (bare->good + bare->failed < bare->started && now_ns() < end_ns + PATIENCE_NS)
        wait_until(bare, end_ns + PATIENCE_NS);
}

static void run(struct bare *bare, unsigned long rate, unsigned long seconds)
{
    uint64_t total = (uint64_t)rate * seconds;
    int64_t begin_ns = now_ns(), end_ns = begin_ns + (int64_t)seconds * NS_PER_S + PATIENCE_NS;

    while (bare->started < total) {
        int64_t due_ns = begin_ns + (int64_t)(bare->started * (uint64_t)NS_PER_S / rate);

        if (due_ns <= now_ns())
            start(bare);
        else
            wait_until(bare, due_ns);
    }
    while (bare->good + bare->failed < total && now_ns() < end_ns)
        wait_until(bare, end_ns);
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void read_targets(struct bare *bare)
{
    char line[64];

    while (bare->n_targets < MAX_TARGETS && fgets(line, sizeof line, stdin)) {
        struct sockaddr_in *target = &bare->targets[bare->n_targets++];
        char *space = strchr(line, ' ');

        if (!space)
            die("a target without a port");
        *space = '\0';
        space[strcspn(space + 1, "\n") + 1] = '\0';
        target->sin_family = AF_INET;
        target->sin_port = htons((uint16_t)number(space + 1, UINT16_MAX));
        if (inet_pton(AF_INET, line, &target->sin_addr) != 1)
            die("a target without an address");
    }
    if (bare->n_targets == 0)
        die("no targets");
}

int main(int argc, char **argv)
{
    static struct bare bare;
    unsigned long rate, seconds;
    bool full;
    double before;

    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: bench_bare ROOT-CERTIFICATE HOST PER-SECOND|xIN-FLIGHT SECONDS "
                        "[TIMES-FILE] <TARGETS\n");
        return 2;
    }
    full = argv[3][0] == 'x';
    rate = number(argv[3] + full, 100000);
    seconds = number(argv[4], 3600);
    prepare();
    read_targets(&bare);
    bare.host = argv[2];
    bare.epoll = epoll_create1(EPOLL_CLOEXEC);
    bare.context = SSL_CTX_new(TLS_client_method());
    if (bare.epoll < 0 || !bare.context ||
        SSL_CTX_load_verify_locations(bare.context, argv[1], NULL) != 1)
        die("setup");
    SSL_CTX_set_verify(bare.context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_read_ahead(bare.context, 1);
    if (argc == 6 && !(bare.times = fopen(argv[5], "we")))
        die(argv[5]);
    before = cpu_seconds();
    if (full)
        run_full(&bare, rate, seconds);
    else
        run(&bare, rate, seconds);
    printf("{\"good\": %llu, \"failed\": %llu, \"unfinished\": %llu, \"cpu_us_per_probe\": %.1f}\n",
           (unsigned long long)bare.good, (unsigned long long)bare.failed,
           (unsigned long long)(bare.started - bare.good - bare.failed),
           (cpu_seconds() - before) * 1e6 / (double)bare.started);
    return 0;
}
