/* pg/login_look on a plaintext connection: what comes out at libpq's end is what the guard let
 * pass, to the byte, and nothing of what it refused. Also the bytes that answer SSLRequest. The
 * first byte chooses which, the second into how large pieces the stream is cut. */
#include "login_look.h"

#include "pgtls/base/clock.h"
#include "pgtls/model/server.h"
#include "target.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD 2

static struct login_look look;

static void start(struct evidence *e, int sock, uint8_t flags)
{
    *e = EVIDENCE_INIT;
    e->probe = PROBE_LOGIN;
    e->phase = flags & 16 ? PHASE_SSL_REQUEST : PHASE_STARTUP;
    memset(&look, 0, sizeof look);
    look.sock = sock;
    look.tls = flags & 16;
    look.relay.peer = -1;
    look.guard.e = e;
    look.guard.allow_auth = flags & (ALLOW_AUTH_PASSWORD | ALLOW_AUTH_MD5);
    look.guard.password = flags & 4;
}

/* All that libpq can read is the next of the server's bytes. */
static void drain(int libpq_fd, const uint8_t *bytes, size_t len, size_t *given)
{
    unsigned char got[4096];
    ssize_t n;

    /* Of TLS connections libpq has the socket itself, and what is only looked at stays there. */
    while (!look.tls && (n = recv(libpq_fd, got, sizeof got, MSG_DONTWAIT)) > 0) {
        require(*given + (size_t)n <= len && memcmp(bytes + *given, got, (size_t)n) == 0);
        *given += (size_t)n;
    }
}

/* Looks until there is nothing to look at; true while the login goes on. */
static bool look_on(int libpq_fd, const uint8_t *bytes, size_t len, size_t *given)
{
    for (;;) {
        enum look l = login_look(&look, NULL, clock_monotonic_ns());

        if (l == LOOK_OVER) {
            size_t before = *given;

            drain(libpq_fd, bytes, len, given);
            require(*given == before); /* nothing of the piece that was refused */
            return false;
        }
        if (l == LOOK_WAIT || look.tls) /* of TLS the handshake is OpenSSL's */
            return true;
        drain(libpq_fd, bytes, len, given);
    }
}

static void run(int server, int libpq_fd, uint8_t step, const uint8_t *bytes, size_t len)
{
    size_t sent = 0, given = 0;
    bool on = true;

    while (on && sent < len && look.guard.e->phase != PHASE_TLS) {
        size_t n = len - sent < (step ? step : 1) ? len - sent : (step ? step : 1);

        require(send(server, bytes + sent, n, MSG_DONTWAIT) == (ssize_t)n);
        sent += n;
        on = look_on(libpq_fd, bytes, sent, &given);
        require(look.tls || !on || given == sent);
    }
    if (on && look.guard.e->phase != PHASE_TLS) {
        shutdown(server, SHUT_WR);
        require(login_look(&look, NULL, clock_monotonic_ns()) == LOOK_OVER);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct evidence e;
    int pair[2], libpq_fd;

    if (size < HEAD || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return 0;
    libpq_fd = fcntl(pair[1], F_DUPFD_CLOEXEC, 0);
    start(&e, pair[1], data[0]);
    if (libpq_fd >= 0 && (look.tls || login_relay_open(&look.relay, libpq_fd))) {
        run(pair[0], libpq_fd, data[1], data + HEAD, size - HEAD);
        if (e.end != END_NONE)
            require(fault_classify(&e) != FAULT_NONE);
    }
    login_relay_close(&look.relay);
    close(libpq_fd);
    close(pair[0]);
    close(pair[1]);
    return 0;
}
