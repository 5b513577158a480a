/* The end of accepting. MHD_quiesce_daemon() takes the listening socket out of each thread's epoll
 * set, and so does the thread, without a lock between them. Whoever comes second is told that it is
 * not there (ENOENT), which libmicrohttpd, up to 1.0 at least, ends the program for: one SIGTERM in
 * some thousands, while clients come. */
#include "http_quiesce.h"

#include <errno.h>
#include <microhttpd.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

int http_quiesce(struct MHD_Daemon *daemon)
{
    return MHD_quiesce_daemon(daemon);
}

/* In place of the C library's, for the whole program: what is not in a set has been taken out of
 * it. The thread sanitizer has one of its own, and needs it. */
#ifndef __SANITIZE_THREAD__
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    int result = (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);

    return result != 0 && op == EPOLL_CTL_DEL && errno == ENOENT ? 0 : result;
}
#endif
