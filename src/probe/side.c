/* Side attempts: an inspect of a copy of the server whose sslmode differs. */
#include "side.h"

#define BIT(leg) (1u << (leg))

unsigned side_wanted(const struct server *s, const struct sslmode_facts *facts)
{
    unsigned wanted = 0;

    for (unsigned leg = 0; leg < LEG_COUNT; leg++) {
        if (sslmode_wants_side(s, facts, (enum leg)leg))
            wanted |= BIT(leg);
    }
    return wanted;
}

struct probe *side_start(struct side *side, const struct probe_host *host, struct endpoint_set *set,
                         const struct server *s, void *owner)
{
    struct probe *p;

    if (side->left == 0)
        return NULL;
    side->leg = (side->left & BIT(LEG_PLAIN)) != 0 ? LEG_PLAIN : LEG_TLS;
    side->server = sslmode_side_server(s, side->leg);
    side->running = true;
    p = probe_start(host, PROBE_INSPECT, set, &side->server, &side->learned, owner);
    if (!p)
        side_finish(side);
    return p;
}

void side_finish(struct side *side)
{
    side->running = false;
    side->left &= ~BIT(side->leg);
    learned_forget(&side->learned);
}
