#pragma once
/* A stream as bytes, compressed on the way if wanted: never whole in memory. */
#include "stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf;
struct body;

/* Takes over the stream, also when it fails. NULL when out of memory. */
struct body *body_new(const struct stream *stream, bool gzip);
void body_free(struct body *body); /* accepts NULL */

/* The next bytes, at most max (> 0): their number, 0 at the end, -1 when it cannot go on. */
ssize_t body_read(struct body *body, char *to, size_t max);

/* A whole text compressed; false when out of memory. */
bool body_compress(const struct buf *text, struct buf *to);
