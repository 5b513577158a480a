#pragma once
/* A scrape as a stream of bytes, compressed on the way if wanted: never whole in memory. */
#include "pgtls/expose/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct body;

/* Takes over the exposition, also when it fails. NULL when out of memory. */
struct body *body_new(struct exposition *e, bool gzip);
void body_free(struct body *body); /* accepts NULL */

/* The next bytes, at most max (> 0): their number, 0 at the end, -1 when it cannot go on. */
ssize_t body_read(struct body *body, char *to, size_t max);

/* A whole text compressed; false when out of memory. */
bool body_compress(const struct buf *text, struct buf *to);
