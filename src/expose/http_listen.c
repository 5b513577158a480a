/* From an address as people write it to a listening socket. */
#include "http_listen.h"

#include "pgtls/base/str.h"
#include "pgtls/expose/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 256

/* "host:port" in parts; host "" means every address. */
struct parts {
    char host[256];
    char port[8];
};

static bool fail(char *error, size_t size, const char *address, const char *why)
{
    snprintf(error, size, "cannot listen on %s: %s", address, why);
    return false;
}

static bool split(const char *address, struct parts *parts)
{
    const char *colon = strrchr(address, ':'), *host = address;
    int64_t port;
    size_t len;

    if (!colon || !str_to_i64(colon + 1, 0, 65535, &port))
        return false;
    len = (size_t)(colon - address);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    } else if (memchr(host, ':', len)) {
        return false; /* an IPv6 address without brackets */
    }
    if (len >= sizeof parts->host)
        return false;
    memcpy(parts->host, host, len);
    parts->host[len] = '\0';
    snprintf(parts->port, sizeof parts->port, "%d", (int)port);
    return true;
}

/* Bound and listening, or -1 with errno. */
static int listen_on(const struct addrinfo *at, bool both_families)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, only_v6 = !both_families, kept;

    if (fd < 0)
        return -1;
    if ((at->ai_family == AF_UNIX ||
         setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0) &&
        (at->ai_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6) == 0) &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    kept = errno;
    close(fd);
    errno = kept;
    return -1;
}

/* The address the kernel gave, for people and for tests that asked for port 0. */
static void name_listener(struct listener *l)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    char host[64] = "", port[8] = "";

    if (getsockname(l->fd, (struct sockaddr *)&bound, &len) == 0)
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(l->text, sizeof l->text, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static bool open_tcp(struct listener *l, const char *address, char *error, size_t size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    struct parts parts;
    bool everywhere;
    int code;

    if (!split(address, &parts))
        return fail(error, size, address,
                    "not of the form host:port, [v6]:port, :port, unix:/path");
    everywhere = parts.host[0] == '\0';
    /* One IPv6 socket serves both families; where there is no IPv6, an IPv4 one has to do. */
    hints.ai_family = everywhere ? AF_INET6 : AF_UNSPEC;
    for (;;) {
        code = getaddrinfo(everywhere ? NULL : parts.host, parts.port, &hints, &found);
        if (code != 0)
            return fail(error, size, address, gai_strerror(code));
        l->fd = listen_on(found, everywhere);
        freeaddrinfo(found);
        if (l->fd >= 0) {
            name_listener(l);
            return true;
        }
        if (!everywhere || hints.ai_family == AF_INET || errno == EADDRINUSE)
            return fail(error, size, address, strerror(errno));
        hints.ai_family = AF_INET;
    }
}

/* A socket file that nobody listens on is left over from a process that died. */
static void remove_stale(const struct sockaddr_un *at)
{
    struct stat st;
    int fd;

    if (lstat(at->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 && errno == ECONNREFUSED)
        unlink(at->sun_path);
    close(fd);
}

static bool open_unix(struct listener *l, const char *address, char *error, size_t size)
{
    const char *path = address + strlen("unix:");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct addrinfo info = {
        .ai_family = AF_UNIX, .ai_addr = (struct sockaddr *)&at, .ai_addrlen = sizeof at};

    if (path[0] != '/' || !str_copy(at.sun_path, sizeof at.sun_path, path))
        return fail(error, size, address, "the path must be absolute and at most 107 bytes long");
    remove_stale(&at);
    l->fd = listen_on(&info, false);
    if (l->fd < 0)
        return fail(error, size, address, strerror(errno));
    str_copy(l->unix_path, sizeof l->unix_path, path);
    snprintf(l->text, sizeof l->text, "unix:%s", path);
    return true;
}

bool listener_open(struct listener *l, const char *address, char *error, size_t size)
{
    *l = (struct listener){.fd = -1};
    if (strncmp(address, "unix:", 5) == 0)
        return open_unix(l, address, error, size);
    return open_tcp(l, address, error, size);
}

void listener_adopt(struct listener *l, int fd)
{
    struct sockaddr_un at = {.sun_family = AF_UNSPEC};
    socklen_t len = sizeof at;

    *l = (struct listener){.fd = fd, .adopted = true};
    if (getsockname(fd, (struct sockaddr *)&at, &len) == 0 && at.sun_family == AF_UNIX)
        snprintf(l->text, sizeof l->text, "unix:%.107s", at.sun_path);
    else
        name_listener(l);
}

void listener_forget(struct listener *l)
{
    if (l->unix_path[0])
        unlink(l->unix_path);
    l->unix_path[0] = '\0';
}

/* --- several, before there is a server -------------------------------------------------------- */

struct http_listeners {
    size_t n;
    struct listener items[];
};

struct http_listeners *http_listeners_open(const char *const *addresses, size_t n, char *error,
                                           size_t size)
{
    struct http_listeners *all = calloc(1, sizeof *all + n * sizeof *all->items);

    if (!all) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    for (; all->n < n; all->n++) {
        if (!listener_open(&all->items[all->n], addresses[all->n], error, size)) {
            http_listeners_free(all);
            return NULL;
        }
    }
    return all;
}

void listener_take(struct listener *l, struct http_listeners *listeners, size_t i)
{
    *l = listeners->items[i];
    listeners->items[i] = (struct listener){.fd = -1};
}

void http_listeners_free(struct http_listeners *listeners)
{
    for (size_t i = 0; listeners && i < listeners->n; i++) {
        if (listeners->items[i].fd < 0)
            continue;
        close(listeners->items[i].fd);
        listener_forget(&listeners->items[i]);
    }
    free(listeners);
}
