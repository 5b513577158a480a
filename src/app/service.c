/* The service manager's protocol: assignments in a datagram to a Unix socket; a variable that names
 * the stream to the journal. Promised to stay as they are, and too little for a library
 * (activation.c says what that would bring along). */
#include "service.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/log.h"
#include "pgtls/base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define MESSAGE_SIZE     512
#define PATIENCE_SECONDS 1 /* with a manager whose queue is full */

int64_t service_take_number(const char *name, int64_t max)
{
    const char *text = getenv(name);
    int64_t number = 0;

    if (text && !str_to_i64(text, 1, max, &number))
        number = 0;
    unsetenv(name);
    return number;
}

/* "/a/path", or "@name" for one that is in no file system. */
static bool read_address(struct service *s, const char *text)
{
    size_t len = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof s->address.sun_path)
        return false;
    s->address.sun_family = AF_UNIX;
    memcpy(s->address.sun_path, text, len);
    if (text[0] == '@')
        s->address.sun_path[0] = '\0';
    s->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (text[0] == '/'));
    return true;
}

void service_open(struct service *s)
{
    const char *text = getenv("NOTIFY_SOCKET"), *pid = getenv("WATCHDOG_PID");
    bool ours = !pid || service_take_number("WATCHDOG_PID", INT32_MAX) == getpid();
    int64_t watchdog_us = service_take_number("WATCHDOG_USEC", INT64_MAX / NS_PER_US);

    *s = (struct service){0};
    if (!text || !*text)
        return;
    if (read_address(s, text))
        s->watchdog_ns = ours ? watchdog_us * NS_PER_US : 0;
    else
        LOG(WARN, "The service manager is told nothing: its socket is of an unknown kind",
            {"notify_socket", text});
    unsetenv("NOTIFY_SOCKET");
}

bool service_reads_stderr(void)
{
    const char *named = getenv("JOURNAL_STREAM"); /* device:inode, in decimal (systemd.exec(5)) */
    char stderr_is[64];
    struct stat st;

    if (!named || fstat(STDERR_FILENO, &st) != 0)
        return false;
    snprintf(stderr_is, sizeof stderr_is, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(named, stderr_is) == 0;
}

static bool send_all(const struct service *s, const char *message, size_t len)
{
    const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), kept;
    ssize_t sent = -1;

    if (fd < 0)
        return false;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0)
        sent =
            sendto(fd, message, len, MSG_NOSIGNAL, (const struct sockaddr *)&s->address, s->length);
    kept = errno;
    close(fd);
    errno = kept;
    return sent == (ssize_t)len;
}

void service_tell(const struct service *s, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;
    int n;

    if (s->length == 0)
        return;
    va_start(args, format);
    n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof message && !send_all(s, message, (size_t)n))
        LOG(WARN, "The service manager cannot be told", {"error", strerror(errno)});
}
