#pragma once
/* /health/database: the state of every endpoint as JSON (docs/health.schema.json). */
#include "pgtls/model/fleet.h"
#include "pgtls/model/shard.h"

#include <stdbool.h>

struct buf;

struct health_query {
    const char *cluster, *endpoint; /* NULL: all */
    enum require require;           /* REQUIRE_ALL: every endpoint must be fit for a 200 */
    bool fail_on_degraded;
    bool brief;         /* status and counts only */
    struct shard shard; /* what the fleet is a part of; a total of 0 or 1: it is everything */
};

/* Writes the document and returns the HTTP status: 200, 503, 404 for an empty selection (with a
 * document that says why it is empty, and which shard has the cluster that was asked for), or 500
 * when memory or the buffer's maximum forbade a document. */
int health_document(struct fleet_view *view, const struct health_query *query, struct buf *to);
