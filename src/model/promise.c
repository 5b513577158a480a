/* Promises: their names, and the pure functions that judge them. */
#include "pgtls/model/promise.h"

#include "pgtls/base/str.h"

#include <arpa/inet.h>
#include <string.h>

#define V4_PREFIX_BITS 96

static const char *const names[PROMISE_COUNT] = {
    [PROMISE_READ_ONLY] = "read_only",
    [PROMISE_POOLED] = "pooled",
    [PROMISE_MAX_LAG] = "max_lag",
    [PROMISE_ADDRESSES] = "addresses",
};

const char *promise_name(enum promise promise)
{
    return names[promise];
}

bool promise_made(const struct promises *p, enum promise promise)
{
    switch (promise) {
    case PROMISE_READ_ONLY:
        return p->role != ROLE_ANY;
    case PROMISE_POOLED:
        return p->pooled != VERDICT_UNKNOWN;
    case PROMISE_MAX_LAG:
        return p->max_lag_ns > 0;
    case PROMISE_ADDRESSES:
        return p->n_addresses > 0;
    case PROMISE_COUNT:
        break;
    }
    return false;
}

static enum verdict not(enum verdict verdict) {
    if (verdict == VERDICT_UNKNOWN) return VERDICT_UNKNOWN;
    return verdict == VERDICT_YES ? VERDICT_NO : VERDICT_YES;
}

enum verdict role_played(enum role role, enum verdict in_recovery, enum verdict read_only)
{
    /* A standby takes no writes, whatever its settings. */
    enum verdict writes = in_recovery == VERDICT_YES ? VERDICT_NO : not(read_only);

    switch (role) {
    case ROLE_READ_WRITE:
        return writes;
    case ROLE_READ_ONLY:
        return not(writes);
    case ROLE_PRIMARY:
        return not(in_recovery);
    case ROLE_STANDBY:
        return in_recovery;
    case ROLE_ANY:
        break;
    }
    return VERDICT_UNKNOWN;
}

/* The 16 bytes of an address; `v4` tells which kind it was. */
static bool address_bytes(const char *text, size_t len, unsigned char bytes[16], bool *v4)
{
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
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

bool network_contains(const struct network *network, const char *address)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    unsigned char bytes[16];
    bool v4;

    if (!address_bytes(address, strcspn(address, "%"), bytes, &v4) ||
        memcmp(bytes, network->bytes, whole) != 0)
        return false;
    return rest == 0 || ((bytes[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}

enum verdict promise_of_endpoint(enum promise promise, bool all, const struct promise_tally *t)
{
    bool every = all && promise != PROMISE_READ_ONLY;

    if (every && t->broken > 0)
        return VERDICT_NO;
    if (!every && t->kept > 0)
        return VERDICT_YES;
    if (t->unknown > 0 || t->kept + t->broken == 0)
        return VERDICT_UNKNOWN;
    return every ? VERDICT_YES : VERDICT_NO;
}
