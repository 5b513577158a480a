/* Streams: pieces → (deflate) → whatever size the connection takes. */
#include "http_body.h"

#include "pgtls/base/buf.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>

/* One piece holds what is written under one server's lock, however long its labels are. */
#define PIECE_MAX_BYTES ((size_t)8 * 1024 * 1024)

/* igzip's level 1: as small as zlib's in a quarter of the time, and half the memory. The text
 * repeats itself so much that more effort hardly shows in the size. */
#define GZIP_LEVEL      1
#define GZIP_ROOM       ISAL_DEF_LVL1_MIN
#define GZIP_BYTES_ONCE ((uint32_t)1 << 20)
#define GZIP_STEP_BYTES 4096

struct packer {
    struct isal_zstream z;
    uint8_t room[GZIP_ROOM];
};

struct body {
    struct stream stream;
    struct buf piece;
    size_t at;             /* of the piece, what was handed out */
    bool last;             /* the piece is the last one */
    struct packer *packer; /* NULL: not compressed */
};

static struct packer *packer_new(void)
{
    struct packer *packer = malloc(sizeof *packer);

    if (!packer)
        return NULL;
    isal_deflate_init(&packer->z);
    packer->z.level = GZIP_LEVEL;
    packer->z.level_buf = packer->room;
    packer->z.level_buf_size = sizeof packer->room;
    packer->z.gzip_flag = IGZIP_GZIP;
    return packer;
}

static bool packer_finished(const struct packer *packer)
{
    return packer->z.internal_state.state == ZSTATE_END;
}

/* Packs what there is room for; false on an error of our own. */
static bool pack(struct packer *packer, const char *from, size_t *n, bool last)
{
    uint32_t given = *n < GZIP_BYTES_ONCE ? (uint32_t)*n : GZIP_BYTES_ONCE;

    packer->z.next_in = (uint8_t *)(uintptr_t)from; /* only read, says its header */
    packer->z.avail_in = given;
    packer->z.end_of_stream = last && given == *n;
    if (isal_deflate(&packer->z) != COMP_OK)
        return false;
    *n = given - packer->z.avail_in;
    return true;
}

struct body *body_new(const struct stream *stream, bool gzip)
{
    struct body *body = calloc(1, sizeof *body);

    if (body && gzip)
        body->packer = packer_new();
    if (!body || (gzip && !body->packer)) {
        free(body);
        stream_free(stream);
        return NULL;
    }
    body->stream = *stream;
    body->piece = BUF_INIT(PIECE_MAX_BYTES);
    return body;
}

void body_free(struct body *body)
{
    if (!body)
        return;
    free(body->packer);
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

/* As much as there is room for: a block that is half empty costs as many system calls as a full
 * one.
 */
static ssize_t read_plain(struct body *body, char *to, size_t max)
{
    size_t sum = 0;

    while (sum < max) {
        size_t n;

        if (!fill(body))
            return -1;
        n = body->piece.len - body->at;
        if (n == 0 && body->last)
            break;
        if (n > max - sum)
            n = max - sum;
        if (n > 0)
            memcpy(to + sum, body->piece.data + body->at, n);
        body->at += n;
        sum += n;
    }
    return (ssize_t)sum;
}

static ssize_t read_gzip(struct body *body, char *to, size_t max)
{
    struct isal_zstream *z = &body->packer->z;
    uint32_t room = max < GZIP_BYTES_ONCE ? (uint32_t)max : GZIP_BYTES_ONCE;

    z->next_out = (uint8_t *)to;
    z->avail_out = room;
    while (z->avail_out > 0 && !packer_finished(body->packer)) {
        size_t n;

        if (!fill(body))
            return -1;
        n = body->piece.len - body->at;
        if (!pack(body->packer, buf_text(&body->piece) + body->at, &n, body->last))
            return -1;
        body->at += n;
    }
    return (ssize_t)(room - z->avail_out);
}

ssize_t body_read(struct body *body, char *to, size_t max)
{
    return body->packer ? read_gzip(body, to, max) : read_plain(body, to, max);
}

bool body_compress(const struct buf *text, struct buf *to)
{
    struct packer *packer = packer_new();
    size_t at = 0;
    bool done;

    buf_reset(to);
    while (packer && !packer_finished(packer) && buf_reserve(to, GZIP_STEP_BYTES)) {
        size_t n = text->len - at;

        packer->z.next_out = (uint8_t *)to->data + to->len;
        packer->z.avail_out = GZIP_STEP_BYTES;
        if (!pack(packer, buf_text(text) + at, &n, true))
            break;
        at += n;
        to->len += GZIP_STEP_BYTES - packer->z.avail_out;
    }
    done = packer && packer_finished(packer);
    free(packer);
    return done;
}
