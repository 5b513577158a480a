/* A client's socket. */
#include "pgtls/net/socket.h"

#include "pgtls/base/clock.h"
#include "pgtls/net/arrival.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

int socket_connect(const struct address *address)
{
    int family = address->storage.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;

    if (fd < 0)
        return -1;
    if (family != AF_UNIX) {
        /* Without it Nagle's algorithm adds 40 ms to the startup phase. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        arrival_enable(fd);
    }
    if (connect(fd, (const struct sockaddr *)&address->storage, address->len) < 0 &&
        errno != EINPROGRESS) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int pending_error(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;

    if (poll(&ready, 1, 0) <= 0)
        return EINPROGRESS; /* SO_ERROR would be 0 */
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return errno;
    return error;
}

int socket_connect_result(int fd, int64_t *rtt_ns)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    bool told = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0;
    /* One call says all of a healthy connection. */
    int error = told && info.tcpi_state == TCP_ESTABLISHED ? 0 : pending_error(fd);

    *rtt_ns =
        told && error == 0 && info.tcpi_total_retrans == 0 ? (int64_t)info.tcpi_rtt * NS_PER_US : 0;
    return error;
}

bool socket_drain(int fd)
{
    char scratch[16 * 1024];

    for (int i = 0; i < 16; i++) {
        ssize_t n = recv(fd, scratch, sizeof scratch, MSG_DONTWAIT);

        if (n == 0)
            return true;
        if (n < 0)
            return errno != EAGAIN && errno != EINTR;
    }
    return false;
}

void socket_keepalive(int fd, int idle_seconds)
{
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
}
