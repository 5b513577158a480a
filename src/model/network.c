/* Numeric addresses and blocks of them. */
#include "pgtls/model/network.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"

#include <arpa/inet.h>
#include <string.h>

#define V4_PREFIX_BITS 96

/* What an IPv4 address begins with. */
static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};

/* The 16 bytes of an address; `v4` tells which kind it was. */
static bool address_bytes(const char *text, size_t len, unsigned char bytes[16], bool *v4)
{
    char copy[INET6_ADDRSTRLEN];

    if (len == 0 || len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *v4 = inet_pton(AF_INET, copy, bytes + sizeof mapped) == 1;
    if (*v4)
        memcpy(bytes, mapped, sizeof mapped);
    return *v4 || inet_pton(AF_INET6, copy, bytes) == 1;
}

bool network_from_text(const char *text, struct network *network)
{
    const char *slash = strchr(text, '/');
    int64_t bits;
    bool v4;

    if (!address_bytes(text, slash ? (size_t)(slash - text) : strlen(text), network->bytes, &v4))
        return false;
    network->bits = 128;
    if (!slash)
        return true;
    if (!str_to_i64(slash + 1, 0, v4 ? 32 : 128, &bits))
        return false;
    network->bits = (unsigned)bits + (v4 ? V4_PREFIX_BITS : 0);
    return true;
}

void network_add_text(struct buf *to, const struct network *network)
{
    bool v4 = network->bits >= V4_PREFIX_BITS && memcmp(network->bytes, mapped, sizeof mapped) == 0;
    unsigned all = v4 ? 32 : 128, bits = v4 ? network->bits - V4_PREFIX_BITS : network->bits;
    char text[INET6_ADDRSTRLEN];

    if (!inet_ntop(v4 ? AF_INET : AF_INET6, network->bytes + (v4 ? sizeof mapped : 0), text,
                   sizeof text))
        return;
    buf_add_str(to, text);
    if (bits < all)
        buf_addf(to, "/%u", bits);
}

bool network_contains(const struct network *network, const char *address)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    unsigned char bytes[16];
    bool v4;

    if (!address_bytes(address, strcspn(address, "%"), bytes, &v4) ||
        memcmp(bytes, network->bytes, whole) != 0)
        return false;
    if (network->bits < V4_PREFIX_BITS && memcmp(bytes, mapped, sizeof mapped) == 0)
        return false; /* "::/0" is all of IPv6 */
    return rest == 0 || ((bytes[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}
