#pragma once
/* How long a DNS answer holds, which c-ares of 2021 tells for addresses alone. */
#include <stddef.h>
#include <stdint.h>

/* The smallest TTL of the answer section's records (RFC 1035 §4.1), with 0 for one whose first bit
 * is set (RFC 2181 §8). 0 when the message is cut short or has no answer. */
uint32_t dns_smallest_ttl(const unsigned char *message, size_t len);
