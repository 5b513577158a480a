/* Streams: pieces → (deflate) → whatever size the connection takes. */
#include "http_body.h"

#include "pgtls/base/buf.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* One piece holds what is written under one server's lock, however long its labels are. */
#define PIECE_MAX_BYTES ((size_t)8 * 1024 * 1024)

/* zlib's own framing is off by 16 for gzip. Small windows and the lowest level: the text repeats
 * itself so much that more effort hardly shows in the size, but does in CPU and memory. */
#define GZIP_WINDOW_BITS (15 + 16)
#define GZIP_MEMORY      7

struct body {
    struct stream stream;
    struct buf piece;
    size_t at; /* of the piece, what was handed out */
    bool last; /* the piece is the last one */
    bool gzip, finished;
    z_stream z;
};

static bool start_gzip(z_stream *z)
{
    return deflateInit2(z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}

struct body *body_new(const struct stream *stream, bool gzip)
{
    struct body *body = calloc(1, sizeof *body);

    if (body && gzip && !start_gzip(&body->z)) {
        free(body);
        body = NULL;
    }
    if (!body) {
        stream_free(stream);
        return NULL;
    }
    body->stream = *stream;
    body->piece = BUF_INIT(PIECE_MAX_BYTES);
    body->gzip = gzip;
    return body;
}

void body_free(struct body *body)
{
    if (!body)
        return;
    if (body->gzip)
        deflateEnd(&body->z);
    stream_free(&body->stream);
    buf_deinit(&body->piece);
    free(body);
}

/* Makes sure that something is left of the piece, unless it was the last. */
static bool fill(struct body *body)
{
    if (body->at < body->piece.len || body->last)
        return true;
    buf_reset(&body->piece);
    body->at = 0;
    body->last = !body->stream.next(body->stream.of, &body->piece);
    return !body->piece.failed;
}

static ssize_t read_plain(struct body *body, char *to, size_t max)
{
    size_t n = body->piece.len - body->at;

    if (n > max)
        n = max;
    if (n > 0)
        memcpy(to, body->piece.data + body->at, n);
    body->at += n;
    return (ssize_t)n;
}

/* One call of deflate; true when it is to be called again. */
static bool deflate_some(struct body *body)
{
    size_t left = body->piece.len - body->at;
    int result;

    body->z.next_in = (Bytef *)body->piece.data + body->at;
    body->z.avail_in = (uInt)left;
    result = deflate(&body->z, body->last ? Z_FINISH : Z_NO_FLUSH);
    body->at += left - body->z.avail_in;
    body->finished = result != Z_OK && result != Z_BUF_ERROR;
    return !body->finished && body->z.avail_out > 0;
}

static ssize_t read_gzip(struct body *body, char *to, size_t max)
{
    uInt room = max > 1 << 20 ? 1 << 20 : (uInt)max;
    bool again = !body->finished;

    body->z.next_out = (Bytef *)to;
    body->z.avail_out = room;
    while (again) {
        if (!fill(body))
            return -1;
        again = deflate_some(body);
    }
    return (ssize_t)(room - body->z.avail_out);
}

ssize_t body_read(struct body *body, char *to, size_t max)
{
    if (body->gzip)
        return read_gzip(body, to, max);
    return fill(body) ? read_plain(body, to, max) : -1;
}

bool body_compress(const struct buf *text, struct buf *to)
{
    z_stream z = {0};
    bool ok;

    if (!start_gzip(&z))
        return false;
    buf_reset(to);
    ok = buf_reserve(to, deflateBound(&z, (uLong)text->len));
    if (ok) {
        z.next_in = (Bytef *)text->data;
        z.avail_in = (uInt)text->len;
        z.next_out = (Bytef *)to->data;
        z.avail_out = (uInt)(to->cap - 1);
        ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
        to->len = z.total_out;
    }
    deflateEnd(&z);
    return ok;
}
