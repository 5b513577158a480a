/* What one scrape costs the exporter, without a client that shares the machine: a fleet as large as
 * asked for, at its default series, written in every format again and again.
 *
 *   bench_scrape SERVERS ROUNDS [native]   a table of bytes, milliseconds and MB/s, as JSON lines
 *   bench_scrape SERVERS 0 FORMAT          one body on standard output: text, openmetrics, protobuf
 *
 * "written": the body is dropped piece by piece, as it is in the exporter when the socket has taken
 * it. "served": through the HTTP server to a client on loopback that does nothing with it. */
#include "../unit/fleet_fixture.h"
#include "expose/http_body.h"

#include "pgtls/base/buf.h"
#include "pgtls/expose/http.h"
#include "pgtls/expose/metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_ROUNDS  10000
#define PROBES_EACH 5
#define READ_BYTES  (32 * 1024)

static const struct {
    const char *name;
    enum metrics_format format;
    const char *accept;
} formats[] = {
    {"text", METRICS_TEXT, "text/plain"},
    {"openmetrics", METRICS_OPENMETRICS, "application/openmetrics-text"},
    {"protobuf", METRICS_PROTOBUF,
     "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"},
};
#define N_FORMATS (sizeof formats / sizeof *formats)

static struct self self;

/* Always the same, and with as many digits as real ones have. */
static int64_t some_duration(void)
{
    static uint64_t state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int64_t)(state % (UINT64_C(40) * (uint64_t)NS_PER_MS));
}

static struct observation vary(struct observation o)
{
    o.duration_ns = some_duration();
    for (size_t i = 0; i < PHASE_COUNT; i++)
        o.phases[i].duration_ns = some_duration();
    return o;
}

static struct fleet *fleet_of(size_t n, enum histograms histograms)
{
    struct arena *names = arena_new();
    struct server *servers = calloc(n, sizeof *servers);
    struct fleet *fleet = fleet_new();
    struct endpoint_set *set;
    struct fleet_view *view;

    for (size_t i = 0; i < n; i++) {
        char *text = arena_alloc(names, 64);

        snprintf(text, 64, "cluster-%05zu", i / 4);
        snprintf(text + 16, 48, "cluster-%05zu-w%zu.db.example:5432", i / 4, i % 4);
        servers[i] = fixture_server(text, i % 2 ? "read" : "write", text + 16);
    }
    set = fixture_set(servers, n, REQUIRE_ANY);
    set->settings.histograms = histograms;
    if (!fixture_watch(fleet, set))
        exit(1);
    view = fleet_view(fleet);
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < PROBES_EACH; k++) {
            fixture_apply(view->servers[i], vary(fixture_inspect()));
            fixture_apply(view->servers[i], vary(fixture_login()));
        }
    }
    fleet_view_unref(view);
    free(servers);
    return fleet; /* it and the names live as long as the program */
}

static bool next_piece(void *exposition, struct buf *to)
{
    return exposition_next(exposition, to);
}

static void end_scrape(void *exposition)
{
    exposition_free(exposition);
}

/* The bytes of one whole scrape, as they go to the connection. */
static size_t scrape(struct fleet *fleet, enum metrics_format format, bool gzip, FILE *copy)
{
    static char bytes[READ_BYTES];
    struct fleet_view *view = fleet_view(fleet);
    struct stream stream = {next_piece, end_scrape, exposition_new(view, &self, format)};
    struct body *body = body_new(&stream, gzip);
    size_t sum = 0;
    ssize_t n;

    fleet_view_unref(view);
    while ((n = body_read(body, bytes, sizeof bytes)) > 0) {
        sum += (size_t)n;
        if (copy)
            fwrite(bytes, 1, (size_t)n, copy);
    }
    body_free(body);
    return sum;
}

/* The same over HTTP, and the bytes of header and chunks with it. */
static size_t fetch(uint16_t port, const char *accept, bool gzip)
{
    static char bytes[256 * 1024];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t sum = 0;
    ssize_t n;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        return 0;
    dprintf(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: %s\r\n%s\r\n",
            accept, gzip ? "Accept-Encoding: gzip\r\n" : "");
    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        sum += (size_t)n;
    close(fd);
    return sum;
}

static int64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Who runs before all others (chrt) is stopped by the kernel for 50 ms of every second in which it
 * never sleeps, which would be the scrape's p99. */
static void rest_after(int64_t worked_ns)
{
    int64_t ns = worked_ns / 10;
    struct timespec rest = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};

    nanosleep(&rest, NULL);
}

/* port 0: written, else served. */
static void measure(struct fleet *fleet, uint16_t port, size_t rounds, size_t format, bool gzip)
{
    static int64_t wall[MAX_ROUNDS];
    size_t plain = scrape(fleet, formats[format].format, false, NULL), sent = 0;
    int64_t cpu = cpu_ns();

    for (size_t i = 0; i < rounds; i++) {
        int64_t start = clock_monotonic_ns();

        sent = port ? fetch(port, formats[format].accept, gzip)
                    : scrape(fleet, formats[format].format, gzip, NULL);
        wall[i] = clock_monotonic_ns() - start;
        rest_after(wall[i]);
    }
    cpu = (cpu_ns() - cpu) / (int64_t)rounds;
    qsort(wall, rounds, sizeof *wall, ascending);
    printf("{\"what\": \"%s\", \"format\": \"%s%s\", \"bytes\": %zu, \"sent\": %zu, "
           "\"ms_min\": %.2f, \"ms_p50\": %.2f, \"ms_p99\": %.2f, \"ms_cpu\": %.2f, "
           "\"mb_per_s\": %.0f}\n",
           port ? "served" : "written", formats[format].name, gzip ? ", gzip" : "", plain, sent,
           (double)wall[0] / 1e6, (double)wall[rounds / 2] / 1e6,
           (double)wall[rounds - 1 - rounds / 100] / 1e6, (double)cpu / 1e6,
           (double)plain / (double)wall[rounds / 2] * 1e3);
}

static struct http_server *serve(struct fleet *fleet, uint16_t *port)
{
    static const char *const addresses[] = {"127.0.0.1:0"};
    struct http_options options = {
        .addresses = addresses, .n_addresses = 1, .telemetry_path = "/metrics"};
    char error[256];
    struct http_server *server = http_server_start(&options, fleet, &self, error, sizeof error);

    if (!server) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    *port = (uint16_t)strtoul(strrchr(http_server_address(server, 0), ':') + 1, NULL, 10);
    return server;
}

static void measure_all(struct fleet *fleet, size_t rounds)
{
    uint16_t port = 0;
    struct http_server *server = serve(fleet, &port);

    for (size_t f = 0; f < N_FORMATS; f++) {
        for (int i = 0; i < 4; i++)
            measure(fleet, i < 2 ? 0 : port, rounds, f, i % 2);
    }
    http_server_stop(server, 0);
}

int main(int argc, char **argv)
{
    size_t n = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    bool native = argc == 4 && strcmp(argv[3], "native") == 0;
    struct fleet *fleet;

    if (n == 0 || rounds > MAX_ROUNDS || (rounds == 0) != (argc == 4 && !native)) {
        fprintf(stderr, "usage: bench_scrape SERVERS ROUNDS [native] | SERVERS 0 FORMAT\n");
        return 2;
    }
    self_init(&self);
    fleet = fleet_of(n, native ? HISTOGRAMS_NATIVE : HISTOGRAMS_CLASSIC);
    if (rounds > 0)
        measure_all(fleet, rounds);
    for (size_t f = 0; f < N_FORMATS && rounds == 0; f++) {
        if (strcmp(argv[3], formats[f].name) == 0)
            scrape(fleet, formats[f].format, false, stdout);
    }
    return 0;
}
