/* A walk over the records of a DNS message, names and data unread. */
#include "dns_ttl.h"

#include <stdbool.h>

#define HEADER       12
#define AFTER_NAME   10 /* type, class, TTL, length of the data */
#define QUESTION_END 4  /* type, class */

struct message {
    const unsigned char *bytes;
    size_t len, at;
};

static unsigned get16(const unsigned char *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static bool skip(struct message *m, size_t n)
{
    if (m->len - m->at < n)
        return false;
    m->at += n;
    return true;
}

/* Labels up to an empty one, or up to a pointer, which is where a name ends in place. */
static bool skip_name(struct message *m)
{
    while (m->at < m->len) {
        unsigned char label = m->bytes[m->at];

        if (label >= 0xc0)
            return skip(m, 2);
        if (label >= 0x40)
            return false;
        if (!skip(m, (size_t)label + 1) || label == 0)
            return label == 0;
    }
    return false;
}

static bool skip_record(struct message *m, uint32_t *ttl)
{
    const unsigned char *fixed;

    if (!skip_name(m))
        return false;
    fixed = m->bytes + m->at;
    if (!skip(m, AFTER_NAME) || !skip(m, get16(fixed + 8)))
        return false;
    *ttl = (uint32_t)get16(fixed + 4) << 16 | get16(fixed + 6);
    if (*ttl > INT32_MAX)
        *ttl = 0;
    return true;
}

uint32_t dns_smallest_ttl(const unsigned char *message, size_t len)
{
    struct message m = {.bytes = message, .len = len};
    uint32_t smallest = UINT32_MAX, ttl;
    unsigned questions, answers;

    if (!skip(&m, HEADER))
        return 0;
    questions = get16(message + 4);
    answers = get16(message + 6);
    while (questions-- > 0) {
        if (!skip_name(&m) || !skip(&m, QUESTION_END))
            return 0;
    }
    for (unsigned i = 0; i < answers; i++) {
        if (!skip_record(&m, &ttl))
            return 0;
        smallest = ttl < smallest ? ttl : smallest;
    }
    return answers > 0 ? smallest : 0;
}
