/* probe/greet: an inspect's conversation with a server after the handshake, on a socket, to its end
 * and beyond. The first byte chooses where it begins, the second into how large pieces the server's
 * bytes are cut. */
#include "probe.h"

#include "pgtls/base/clock.h"
#include "target.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD 2

/* The conversation as far as it goes with the bytes that are there. */
static enum step talk(struct probe *p, enum step (**stage)(struct probe *))
{
    for (;;) {
        enum step step = (*stage)(p);

        if (step != STEP_NEXT)
            return step;
        require(p->evidence.auth_ok); /* only trust goes on */
        *stage = inspect_trusted;
    }
}

static void check(struct probe *p, enum step step)
{
    const struct pg_error *error = &p->evidence.error;

    require(p->in_len <= p->in_cap);
    require(step == STEP_GOOD || step == STEP_FAIL);
    require((step == STEP_FAIL) == (p->evidence.end != END_NONE));
    require(step == STEP_GOOD || fault_classify(&p->evidence) != FAULT_NONE);
    require(memchr(error->message, '\0', sizeof error->message) != NULL);
    if (p->evidence.end == END_ERROR_RESPONSE)
        require(error->present);
}

static void converse(struct probe *p, int server, bool early, uint8_t cut, const uint8_t *bytes,
                     size_t len)
{
    enum step (*stage)(struct probe *) = early ? inspect_early_error : inspect_first_message;
    enum step step = STEP_READ;
    size_t sent = 0, piece = cut ? (size_t)cut * cut : 1;

    while (step == STEP_READ && sent < len) {
        ssize_t n = send(server, bytes + sent, len - sent < piece ? len - sent : piece,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        require(n > 0);
        sent += (size_t)n;
        step = talk(p, &stage);
    }
    shutdown(server, SHUT_WR);
    while (step == STEP_READ)
        step = talk(p, &stage);
    check(p, step);
    while (inspect_leave(p) == STEP_READ) {
        char taken[256];

        if (recv(server, taken, sizeof taken, MSG_DONTWAIT) <= 0)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct server server = {.host = "/tmp", .unix_socket = true};
    struct probe p = {.server = &server, .evidence = EVIDENCE_INIT, .phase = PHASE_STARTUP};
    int pair[2];

    if (size < HEAD ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return 0;
    p.fd = pair[1];
    p.evidence.phase = data[0] & 1 ? PHASE_SSL_REQUEST : PHASE_STARTUP;
    stopwatch_start(&p.watch, clock_monotonic_ns());
    converse(&p, pair[0], data[0] & 1, data[1], data + HEAD, size - HEAD);
    free(p.in);
    close(pair[0]);
    close(pair[1]);
    return 0;
}
