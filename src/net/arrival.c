/* When bytes arrived, asked of the kernel. */
#include "pgtls/net/arrival.h"

#include "pgtls/base/clock.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

bool arrival_enable(int fd)
{
    const int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;

    return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) == 0;
}

bool arrival_start(void)
{
    /* Never closed: with its last user the kernel switches stamping off, and the first reads after
     * it is switched on again carry no stamp. */
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    if (arrival_enable(fd))
        return true;
    close(fd);
    return false;
}

/* The software stamp among the control messages; false when there is none. */
static bool find_stamp(struct msghdr *message, int64_t *realtime_ns)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct scm_timestamping stamps;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPING)
            continue;
        memcpy(&stamps, CMSG_DATA(c), sizeof stamps);
        *realtime_ns = (int64_t)stamps.ts[0].tv_sec * NS_PER_S + stamps.ts[0].tv_nsec;
        return *realtime_ns != 0;
    }
    return false;
}

ssize_t arrival_recv(int fd, void *to, size_t size, int flags, int64_t since_ns,
                     struct arrival *arrival)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct scm_timestamping)) + 64];
    } control;
    struct iovec iov = {.iov_base = to, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &message, flags | MSG_DONTWAIT);
    int saved = errno;
    int64_t now_ns = clock_monotonic_ns(), stamp_ns, age_ns;

    *arrival = (struct arrival){.at_ns = now_ns};
    if (n > 0 && find_stamp(&message, &stamp_ns)) {
        age_ns = clock_realtime_ns() - stamp_ns;
        if (age_ns > now_ns - since_ns)
            age_ns = now_ns - since_ns;
        if (age_ns < 0)
            age_ns = 0;
        arrival->at_ns = now_ns - age_ns;
        arrival->stamped = true;
    }
    errno = saved;
    return n;
}
