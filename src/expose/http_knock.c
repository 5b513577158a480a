/* A knock at our own door. */
#include "http_knock.h"

#include <microhttpd.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

void knock_init(struct knock *k)
{
    *k = (struct knock){.ours = -1};
}

void knock_deinit(struct knock *k)
{
    if (k->ours >= 0)
        close(k->ours);
    k->ours = -1;
}

void knock_at(struct knock *k, struct MHD_Daemon *daemon)
{
    const struct sockaddr nobody = {.sa_family = AF_UNIX};
    int ends[2];

    knock_deinit(k);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return;
    /* libmicrohttpd chooses among its threads by the descriptor's number, and those of a pair are
     * mostly neighbours: each end in its turn asks them all. */
    k->other = !k->other;
    k->ours = ends[k->other];
    shutdown(k->ours, SHUT_WR);
    MHD_add_connection(daemon, ends[!k->other], &nobody, sizeof nobody); /* closes it if it fails */
}

bool knock_unanswered(const struct knock *k)
{
    struct pollfd end = {.fd = k->ours, .events = POLLIN};

    return k->ours >= 0 && poll(&end, 1, 0) == 0;
}
