/* A name server's answer to a question for SRV records: those that it has, in order, each with a
 * name that fits; a message that is cut tells nothing that the whole one does not. */
#include "srv.h"

#include "pgtls/net/resolver.h"
#include "target.h"

#include <ares.h>

static bool in_order(const struct srv *a, const struct srv *b)
{
    if (a->priority != b->priority)
        return a->priority < b->priority;
    if (a->weight != b->weight)
        return a->weight > b->weight;
    return strcmp(a->target, b->target) < 0 ||
           (strcmp(a->target, b->target) == 0 && a->port <= b->port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct srv_answer answer = {0};
    struct srv *records = NULL;
    int status = srv_read(data, size, &answer, &records);

    require(status == ARES_SUCCESS || answer.n == 0);
    require(answer.n <= RESOLVER_MAX_SRV && (answer.left_out == 0 || answer.n == RESOLVER_MAX_SRV));
    require(status != ARES_EBADNAME);
    for (size_t i = 0; i < answer.n; i++) {
        require(answer.records[i].target[0] != '\0');
        require(strlen(answer.records[i].target) < sizeof answer.records[i].target);
        require(i == 0 || in_order(&answer.records[i - 1], &answer.records[i]));
    }
    free(records);
    return 0;
}
