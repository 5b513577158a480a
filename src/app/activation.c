/* Socket activation. The protocol is two variables and a first descriptor, and promised to stay as
 * it is; libsystemd would bring four further libraries into the process for it. */
#include "activation.h"

#include "service.h"

#include "pgtls/base/str.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST 3

static bool is_listening_stream(int fd)
{
    int type = 0, listening = 0;
    socklen_t size = sizeof type;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
        return false;
    size = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 &&
           type == SOCK_STREAM && listening;
}

bool activation_offered(void)
{
    const char *pid = getenv("LISTEN_PID");
    int64_t number;

    return pid && getenv("LISTEN_FDS") && str_to_i64(pid, 1, INT32_MAX, &number) &&
           number == getpid();
}

bool activation_sockets(int *sockets, size_t max, size_t *n, char *error, size_t size)
{
    int64_t pid = service_take_number("LISTEN_PID", INT32_MAX);
    int64_t count = service_take_number("LISTEN_FDS", INT32_MAX);

    unsetenv("LISTEN_FDNAMES");
    *n = 0;
    if (count == 0 || pid != getpid()) {
        snprintf(
            error, size,
            "no sockets were handed over: --web.systemd-socket is for a service that a .socket "
            "unit starts");
        return false;
    }
    if ((size_t)count > max) {
        snprintf(error, size, "%lld sockets were handed over, at most %zu are served",
                 (long long)count, max);
        return false;
    }
    for (int i = 0; i < (int)count; i++) {
        int fd = FIRST + i;

        if (!is_listening_stream(fd)) {
            snprintf(error, size,
                     "descriptor %d that was handed over is no stream socket that listens: give "
                     "ListenStream= and Accept=no",
                     fd);
            return false;
        }
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        sockets[(*n)++] = fd;
    }
    return true;
}
