#pragma once
/* Socket addresses: numeric text both ways, Unix-socket paths as libpq builds them. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* A numeric IPv4 or IPv6 address ("fe80::1%eth0" too) and a port. */
bool address_from_text(const char *text, uint16_t port, struct address *address);

/* "DIRECTORY/.s.PGSQL.PORT" (UNIXSOCK_PATH in pqcomm.h); a directory that begins with '@' is in the
 * abstract namespace. False when it is too long. */
bool address_from_directory(const char *directory, uint16_t port, struct address *address);

/* The numeric text, without port. */
void address_text(const struct address *address, char *to, size_t size);
