/* A server on loopback that plays a script to one client. */
#include "scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static ssize_t await(struct server_thread *s, int fd)
{
    ssize_t n = recv(fd, s->got + s->got_len, sizeof s->got - s->got_len, 0);

    if (n > 0)
        s->got_len += (size_t)n;
    return n;
}

static void flood(int fd, const struct step *step)
{
    while (send(fd, step->bytes, step->len, MSG_NOSIGNAL) > 0)
        ;
}

/* False: the connection is over. */
static bool play(struct server_thread *s, int fd, const struct step *step)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    switch (step->action) {
    case SEND:
        return send(fd, step->bytes, step->len, MSG_NOSIGNAL) == (ssize_t)step->len;
    case DRIP:
        for (size_t i = 0; i < step->len; i++) {
            if (send(fd, step->bytes + i, 1, MSG_NOSIGNAL) != 1)
                return false;
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        }
        return true;
    case AWAIT:
        await(s, fd);
        return true;
    case RESET:
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        return false;
    case FLOOD:
        flood(fd, step);
        return false;
    case CLOSE:
        return false;
    default:
        break;
    }
    for (;;) {
        ssize_t n = await(s, fd);

        if (n <= 0) {
            s->clean_end = n == 0;
            return false;
        }
    }
}

void *serve(void *argument)
{
    struct server_thread *s = argument;
    struct timeval limit = {.tv_sec = 5};
    int fd = accept(s->listener, NULL, NULL), on = 1;
    unsigned char first[1024];

    if (fd < 0)
        return NULL;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (recv(fd, first, s->script->ssl_request ? 8 : sizeof first, 0) > 0) {
        for (const struct step *step = s->script->steps; play(s, fd, step); step++)
            ;
    }
    close(fd);
    return NULL;
}

uint16_t listen_on_loopback(int *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    *listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(*listener >= 0);
    assert_int_equal(bind(*listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(*listener, 1), 0);
    assert_int_equal(getsockname(*listener, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}
