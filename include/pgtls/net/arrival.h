#pragma once
/* When bytes arrived, asked of the kernel (SO_TIMESTAMPING, receive side, software stamps).
 *
 * The kernel switches stamping on with its first user and off with its last, so one stamping socket
 * is kept open for the life of the process. A stamp is the arrival of the last byte coalesced so
 * far: an upper bound. Stamps are CLOCK_REALTIME; they are turned into monotonic time by their age,
 * clamped to [since, now]. A read without a stamp falls back to user-space time and is counted. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Opens the socket that keeps stamping on; false where the kernel cannot. Call once, at start. */
bool arrival_start(void);

/* Asks for stamps on a TCP socket, before connect(). */
bool arrival_enable(int fd);

struct arrival {
    int64_t at_ns; /* monotonic */
    bool stamped;  /* false: user-space time */
};

/* recvmsg() with the arrival of what it returned. `since_ns`: end of our last step, monotonic.
 * Returns as recv() does, flags added to MSG_DONTWAIT; errno set. */
ssize_t arrival_recv(int fd, void *to, size_t size, int flags, int64_t since_ns,
                     struct arrival *arrival);
