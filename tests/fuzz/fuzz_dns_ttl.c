/* How long a resolver's answer holds: a message that is cut tells nothing, or what the whole one
 * tells. */
#include "dns_ttl.h"

#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t whole = dns_smallest_ttl(data, size);

    if (whole > INT32_MAX)
        abort();
    for (size_t len = size > 64 ? size - 64 : 0; len < size; len++) {
        uint8_t *cut = malloc(len > 0 ? len : 1);
        uint32_t ttl;

        if (!cut)
            return 0;
        memcpy(cut, data, len);
        ttl = dns_smallest_ttl(cut, len);
        free(cut);
        if (ttl != 0 && ttl != whole)
            abort();
    }
    return 0;
}
