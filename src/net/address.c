/* Socket addresses. */
#include "pgtls/net/address.h"

#include "pgtls/base/str.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static bool from_ipv6(const char *text, uint16_t port, struct address *address)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->storage;
    char bare[INET6_ADDRSTRLEN];
    const char *zone = strchr(text, '%');
    size_t len = zone ? (size_t)(zone - text) : strlen(text);

    if (len >= sizeof bare)
        return false;
    memcpy(bare, text, len);
    bare[len] = '\0';
    if (inet_pton(AF_INET6, bare, &in6->sin6_addr) != 1)
        return false;
    if (zone) {
        in6->sin6_scope_id = if_nametoindex(zone + 1);
        if (in6->sin6_scope_id == 0)
            return false;
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    address->len = sizeof *in6;
    return true;
}

bool address_from_text(const char *text, uint16_t port, struct address *address)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&address->storage;

    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        address->len = sizeof *in;
        return true;
    }
    return from_ipv6(text, port, address);
}

bool address_from_directory(const char *directory, uint16_t port, struct address *address)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    int n;

    memset(address, 0, sizeof *address);
    un->sun_family = AF_UNIX;
    n = snprintf(un->sun_path, sizeof un->sun_path, "%s/.s.PGSQL.%u", directory, port);
    if (n < 0 || (size_t)n >= sizeof un->sun_path)
        return false;
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
    if (un->sun_path[0] == '@') {
        un->sun_path[0] = '\0';
        address->len--; /* an abstract name is its bytes, without terminator */
    }
    return true;
}

void address_text(const struct address *address, char *to, size_t size)
{
    const struct sockaddr *any = (const struct sockaddr *)&address->storage;

    to[0] = '\0';
    if (any->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;

        inet_ntop(AF_INET, &in->sin_addr, to, (socklen_t)size);
    } else if (any->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;

        inet_ntop(AF_INET6, &in6->sin6_addr, to, (socklen_t)size);
    } else if (any->sa_family == AF_UNIX) {
        str_copy(to, size, "unix");
    }
}
