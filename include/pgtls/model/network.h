#pragma once
/* Numeric addresses and blocks of them, for promises and for modules' rules. Pure. */
#include <stdbool.h>

struct buf;

/* An address or a block of them; IPv4 stands as ::ffff:a.b.c.d. */
struct network {
    unsigned char bytes[16];
    unsigned bits; /* how many of the 128 count */
};

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". False when it is anything else. */
bool network_from_text(const char *text, struct network *network);

/* The same the other way round. */
void network_add_text(struct buf *to, const struct network *network);

/* Is this numeric address ("fe80::1%eth0", too) in it? No IPv4 address is in a block of IPv6 that
 * is wider than all of IPv4: "::/0" is all of IPv6. */
bool network_contains(const struct network *network, const char *address);
