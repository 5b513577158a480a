#pragma once
/* An HTTP client for lists of targets: one GET per fetch, by libcurl on somebody's loop. Used from
 * the loop's thread only; nothing here blocks it.
 *
 * What a fetch does, whatever it asks for:
 * - http and https only, for redirects too; at most HTTP_MAX_REDIRECTS of them, none from https to
 *   http. Credentials go to the host, port and scheme of the URL and follow no redirect to others.
 * - Certificates are always verified: chain and host name, TLS 1.2 and up.
 * - The time is absolute, from the start to the last byte: redirects and drips do not stretch it.
 *   The body is bounded, after decompression (gzip is offered).
 * - Good is status 200 and nothing else. What the body says is the caller's to judge.
 * - A connection per fetch, closed after it: a renewed certificate or secret counts at once.
 * - Nothing is taken from the environment, a home directory, .netrc or cookies, and no file is
 *   written. A proxy is used only when the request names one, or says that the environment may.
 *
 * Names are resolved by libcurl (getaddrinfo in a thread of its own per name), so all of NSS is
 * asked, unlike in resolver.h. A fetch that ends before its name is resolved leaves that thread to
 * end by itself. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_MAX_REDIRECTS 5
#define HTTP_ERROR_SIZE    256
#define HTTP_URL_SIZE      512

typedef struct uv_loop_s uv_loop_t;
struct http_client;
struct http_fetch;

/* Everything is copied; NULL and 0 mean "not". */
struct http_fetch_request {
    const char *url;
    const char *ca_file;              /* PEM; NULL: the system's */
    const char *cert_file, *key_file; /* PEM, the key not encrypted; a key may stand in cert_file */
    const char *username, *password;  /* Basic */
    const char *bearer;               /* a token, instead of the two above */
    const char *proxy_url, *no_proxy; /* no_proxy: names, comma-separated */
    bool proxy_from_environment; /* http_proxy, HTTPS_PROXY, NO_PROXY …, instead of the two above */
    bool follow_redirects;
    int64_t timeout_ns;       /* of the whole; more than 0 */
    size_t max_bytes;         /* of the body; more than 0 */
    unsigned refresh_seconds; /* sent as X-Prometheus-Refresh-Interval-Seconds */
};

/* How a fetch ended; valid during the callback only. */
struct http_answer {
    bool ok;
    long status;              /* of the last response; 0: there was none */
    const char *body;         /* NUL-terminated, but may contain others; "" unless ok */
    size_t len;               /* of it */
    const char *content_type; /* "" when there is none */
    /* Why it is not ok: one clean line that names the host where that helps, never a credential.
     * "" when ok. */
    char error[HTTP_ERROR_SIZE];
};

typedef void http_done_fn(void *context, const struct http_answer *answer);

/* NULL without memory. The first one comes before the program's other threads. */
struct http_client *http_client_new(uv_loop_t *loop);

/* Drops what is in flight without calling back; may be called from a callback. Before the loop
 * closes, which must run once more to let go of the handles. */
void http_client_free(struct http_client *client);

/* Starts a fetch. `done` is called exactly once unless cancelled, never before this returns, and
 * may start and cancel fetches. The fetch is the client's: let go of it when `done` is called. NULL
 * without memory: no callback will come. */
struct http_fetch *http_fetch_start(struct http_client *client,
                                    const struct http_fetch_request *request, http_done_fn *done,
                                    void *context);

/* No callback will come. */
void http_fetch_cancel(struct http_fetch *fetch);

/* The URL as it may be shown: user and password as "***", the query likewise (tokens are put
 * there), no control characters, cut at the size. */
void http_url_redact(char *to, size_t size, const char *url);
