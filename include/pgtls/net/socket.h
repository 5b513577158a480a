#pragma once
/* A client's socket: non-blocking connect with arrival stamps, polite close. */
#include "pgtls/net/address.h"

#include <stdbool.h>
#include <stdint.h>

/* Opens a socket (non-blocking, close-on-exec, TCP_NODELAY, arrival stamps) and starts to connect.
 * Returns the descriptor; -1 with errno when no socket could be had or connecting failed at once.
 * A connection in progress is no error. */
int socket_connect(const struct address *address);

/* 0 when connected, EINPROGRESS while that is open, else the errno of the failure. Once connected,
 * *rtt_ns is the kernel's own measure of the connection's round trip in nanoseconds: the SYN's; 0
 * when the SYN was sent again, or the kernel does not tell: then user-space time is the better one.
 */
int socket_connect_result(int fd, int64_t *rtt_ns);

/* The kernel's keepalives begin after this many seconds without traffic. A socket that has none (a
 * Unix one) is left as it is. */
void socket_keepalive(int fd, int idle_seconds);

/* Reads and drops what is there. Returns true at the end of the connection (or an error): closing
 * now sends no reset; false when more may come. */
bool socket_drain(int fd);
