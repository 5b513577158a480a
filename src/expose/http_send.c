/* Replies as libmicrohttpd's responses. */
#include "http_send.h"

#include "http_body.h"
#include "negotiate.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STREAM_BLOCK   ((size_t)64 * 1024)
#define GZIP_MIN_BYTES 1024

/* Nothing but our own files, and nothing inline: should markup ever get through, it does nothing.
 */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "        \
    "'self'; "                                                                                     \
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/* What an answer holds until it is out. */
struct outgoing {
    struct body *body;
    struct buf text;
    atomic_uint *place;
};

static void outgoing_free(void *context)
{
    struct outgoing *out = context;

    body_free(out->body);
    buf_deinit(&out->text);
    if (out->place)
        atomic_fetch_sub(out->place, 1);
    free(out);
}

static ssize_t outgoing_read(void *context, uint64_t position, char *to, size_t max)
{
    struct outgoing *out = context;
    ssize_t n = body_read(out->body, to, max);

    (void)position;
    if (n == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    return n < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : n;
}

/* Takes over the reply's text, stream and place. NULL when out of memory. */
static struct outgoing *outgoing_new(struct reply *reply, bool gzip)
{
    struct outgoing *out = calloc(1, sizeof *out);

    if (!out) {
        stream_free(&reply->stream);
        buf_deinit(&reply->text);
        if (reply->place)
            atomic_fetch_sub(reply->place, 1);
        return NULL;
    }
    out->place = reply->place;
    out->text = reply->text;
    if (reply->stream.of) {
        out->body = body_new(&reply->stream, gzip);
        if (!out->body) {
            outgoing_free(out);
            return NULL;
        }
    }
    return out;
}

static struct MHD_Response *make_response(struct outgoing *out)
{
    struct MHD_Response *response;

    if (out->body)
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, outgoing_read,
                                                     out, outgoing_free);
    else
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            out->text.len, out->text.data, outgoing_free, out);
    if (!response)
        outgoing_free(out);
    return response;
}

/* Compresses the text in its place; leaves it alone where that does not work or does not pay. */
static bool compress_text(struct reply *reply)
{
    struct buf smaller = BUF_INIT(reply->text.max);

    if (reply->text.len < GZIP_MIN_BYTES || !body_compress(&reply->text, &smaller)) {
        buf_deinit(&smaller);
        return false;
    }
    buf_deinit(&reply->text);
    reply->text = smaller;
    return true;
}

/* libmicrohttpd ends a chunked answer to HEAD with a last chunk, which the client would take for
 * the beginning of the next answer. Without chunks the answer ends with the connection. */
static void forbid_chunks(struct MHD_Response *response)
{
    MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
}

/* Does the web configuration say what this header is to be? */
static bool is_configured(const struct web_config *config, const char *name)
{
    for (size_t i = 0; config && i < config->n_headers; i++) {
        if (strcasecmp(config->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

/* False when one of ours is missing: gzip would be taken for text, or a page be framed. */
static bool add_headers(struct MHD_Response *response, const struct reply *reply, bool gzip,
                        const struct web_config *config)
{
    const char *const headers[][2] = {
        {"Content-Type", reply->type},
        {"X-Content-Type-Options", "nosniff"},
        {"Cache-Control", reply->cache ? reply->cache : "no-store"},
        {"Content-Encoding", gzip ? "gzip" : NULL},
        {"Vary", reply->vary},
        {"Allow", reply->allow},
        {"Retry-After", reply->retry_after},
        {"WWW-Authenticate", reply->challenge},
        {"Content-Security-Policy", reply->html ? PAGE_POLICY : NULL},
        {"X-Frame-Options", reply->html ? "DENY" : NULL},
        {"Referrer-Policy", reply->html ? "no-referrer" : NULL},
    };

    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        if (headers[i][1] && !is_configured(config, headers[i][0]) &&
            MHD_add_response_header(response, headers[i][0], headers[i][1]) != MHD_YES)
            return false;
    }
    for (size_t i = 0; config && i < config->n_headers; i++)
        MHD_add_response_header(response, config->headers[i].name, config->headers[i].value);
    return true;
}

/* An answer of which a part is missing is none. */
static void replace_failed(struct reply *reply)
{
    struct buf text = BUF_INIT(reply->text.max);

    if (!reply->text.failed)
        return;
    buf_deinit(&reply->text);
    reply->text = text;
    reply->html = false;
    reply->type = "text/plain; charset=utf-8";
    reply->vary = reply->cache = NULL;
    reply_refuse(reply, "There is no memory for an answer.");
}

bool http_send(struct MHD_Connection *connection, const char *method, struct reply *reply,
               const struct web_config *config)
{
    struct MHD_Response *response;
    struct outgoing *out;
    enum MHD_Result result;
    bool good, gzip;

    replace_failed(reply);
    good = !reply->text.failed;
    gzip = reply->vary && negotiate_gzip(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                                     "Accept-Encoding"));
    if (gzip && !reply->stream.of)
        gzip = compress_text(reply);
    out = outgoing_new(reply, gzip);
    response = out ? make_response(out) : NULL;
    if (!response)
        return false;
    if (!good || !add_headers(response, reply, gzip, config)) {
        MHD_destroy_response(response);
        return false;
    }
    if (out->body && strcmp(method, "HEAD") == 0)
        forbid_chunks(response);
    result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response); /* the connection holds it now */
    return result == MHD_YES;
}
