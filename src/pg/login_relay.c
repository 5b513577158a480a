/* Between libpq and a plaintext server. */
#include "login_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

bool login_relay_open(struct login_relay *r, int libpq_fd)
{
    int pair[2];
    bool replaced;
    int saved;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    replaced = dup3(pair[0], libpq_fd, O_CLOEXEC) >= 0;
    saved = errno;
    close(pair[0]);
    if (!replaced) {
        close(pair[1]);
        errno = saved;
        return false;
    }
    r->peer = pair[1];
    return true;
}

void login_relay_close(struct login_relay *r)
{
    if (r->peer >= 0)
        close(r->peer);
    r->peer = -1;
}

bool login_relay_send(struct login_relay *r, int sock)
{
    for (;;) {
        char bytes[4096];
        ssize_t n = recv(r->peer, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT), sent;

        r->blocked = false;
        if (n <= 0)
            return true;
        sent = send(sock, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
            r->blocked = true;
            return false;
        }
        if (sent < 0) {
            /* What the server sent before it went is still to be read: that decides. */
            r->send_errno = errno;
            return true;
        }
        if (recv(r->peer, bytes, (size_t)sent, MSG_DONTWAIT) != sent)
            return true;
    }
}

bool login_relay_give(struct login_relay *r, const void *bytes, size_t n)
{
    return send(r->peer, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}
