#pragma once
/* A body that is produced piece by piece while it is sent, never whole in memory. */
#include <stdbool.h>

struct buf;

struct stream {
    /* Appends the next piece; false when the body was complete before, or when `to` failed. */
    bool (*next)(void *of, struct buf *to);
    void (*free)(void *of);
    void *of; /* NULL: there is none */
};

static inline void stream_free(const struct stream *stream)
{
    if (stream->of)
        stream->free(stream->of);
}
