/* SRV records out of a message, in the order that resolver.h promises. */
#include "srv.h"

#include "dns_ttl.h"
#include "pgtls/base/str.h"

#include <ares.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int compare_srv(const void *left, const void *right)
{
    const struct srv *a = left, *b = right;
    int by_name;

    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    by_name = strcmp(a->target, b->target);
    return by_name != 0 ? by_name : (a->port > b->port) - (a->port < b->port);
}

/* All of them, sorted, in `answer`; the memory, or NULL without. */
static struct srv *take_srv(const struct ares_srv_reply *replies, struct srv_answer *answer)
{
    struct srv *records;
    size_t most = 0;

    for (const struct ares_srv_reply *reply = replies; reply; reply = reply->next)
        most++;
    records = calloc(most > 0 ? most : 1, sizeof *records);
    if (!records)
        return NULL;
    for (const struct ares_srv_reply *reply = replies; reply; reply = reply->next) {
        struct srv *srv = &records[answer->n];

        *srv =
            (struct srv){.port = reply->port, .priority = reply->priority, .weight = reply->weight};
        if (str_copy(srv->target, sizeof srv->target, reply->host) && srv->target[0])
            answer->n++;
    }
    qsort(records, answer->n, sizeof *records, compare_srv);
    if (answer->n > RESOLVER_MAX_SRV) {
        answer->left_out = answer->n - RESOLVER_MAX_SRV;
        answer->n = RESOLVER_MAX_SRV;
    }
    answer->records = records;
    return records;
}

int srv_read(const unsigned char *message, size_t len, struct srv_answer *answer,
             struct srv **memory)
{
    struct ares_srv_reply *replies = NULL;
    int status = len <= INT_MAX ? ares_parse_srv_reply(message, (int)len, &replies) : ARES_EBADRESP;

    *memory = NULL;
    if (status == ARES_EBADNAME)
        status = ARES_EBADRESP; /* not the name that was asked for */
    if (status == ARES_SUCCESS && !(*memory = take_srv(replies, answer)))
        status = ARES_ENOMEM;
    if (status == ARES_SUCCESS)
        answer->ttl_seconds = dns_smallest_ttl(message, len);
    ares_free_data(replies);
    return status;
}
