/* http_sd: one request per interval. */
#include "look.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/config/secret.h"

#include <string.h>
#include <strings.h>

/* Files of credentials are read for every request. */
static bool read_credential(const struct secret_ref *ref, struct secret *secret, char *error,
                            size_t size)
{
    secret->present = false;
    return ref->source == SECRET_NONE || secret_read(ref, NULL, secret, error, size);
}

static struct document *document_of(struct look *look)
{
    char name[HTTP_URL_SIZE];

    http_url_redact(name, sizeof name, look->item);
    return look_document(look, name);
}

static bool is_json(const char *content_type)
{
    static const char json[] = "application/json";
    size_t len = strcspn(content_type, "; ");

    return len == strlen(json) && strncasecmp(content_type, json, len) == 0;
}

static void on_answer(void *context, const struct http_answer *answer)
{
    struct look *look = context;
    struct document *document = document_of(look);

    look->fetch = NULL;
    look_again(look, look->discovery->refresh_interval_ns);
    if (!document)
        return;
    if (!answer->ok)
        look_failed(look, document, answer->error);
    else if (!is_json(answer->content_type))
        look_failed(look, document, "the answer's Content-Type is not application/json");
    else
        look_take(look, document, answer->body, answer->len);
}

static void ask(struct look *look)
{
    const struct discovery *d = look->discovery;
    struct secret password = {.present = false}, bearer = {.present = false};
    struct document *document = document_of(look);
    char error[512] = "out of memory";

    if (!document) {
        look_again(look, d->refresh_interval_ns);
        return;
    }
    if (read_credential(&d->password, &password, error, sizeof error) &&
        read_credential(&d->bearer, &bearer, error, sizeof error)) {
        const struct http_fetch_request request = {
            .url = look->item,
            .ca_file = d->ca_file,
            .cert_file = d->cert_file,
            .key_file = d->key_file,
            .username = d->user,
            .password = password.present ? password.text : NULL,
            .bearer = bearer.present ? bearer.text : NULL,
            .follow_redirects = true,
            .timeout_ns = d->timeout_ns,
            .max_bytes = CONFIG_MAX_BYTES,
            .refresh_seconds = (unsigned)(d->refresh_interval_ns / NS_PER_S),
        };

        look->fetch = http_fetch_start(look->hub->http, &request, on_answer, look);
    }
    secret_wipe(&password);
    secret_wipe(&bearer);
    if (look->fetch)
        return;
    look_failed(look, document, error);
    look_again(look, d->refresh_interval_ns);
}

static void stop(struct look *look)
{
    if (look->fetch)
        http_fetch_cancel(look->fetch);
}

const struct look_kind look_http = {"http_sd", ask, ask, stop};
