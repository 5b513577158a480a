/* Any bytes as a web configuration: refused with an error, or good and complete. */
#include "pgtls/base/buf.h"
#include "pgtls/config/web_config.h"
#include "target.h"
#include "web_priority.h"

/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl*): what LSan calls */
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7 itself forgets a page after some syntax errors inside quotes. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl*) */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

static bool given(const struct web_pem *pem)
{
    return pem->path || pem->text;
}

static void check_headers(const struct web_config *c)
{
    for (size_t i = 0; i < c->n_headers; i++) {
        if (strpbrk(c->headers[i].value, "\r\n") || !*c->headers[i].value)
            abort();
    }
}

/* What a policy is made of is known to GnuTLS whatever was asked for: only its length can vary. */
static void check_policy(const struct web_config *c)
{
    struct buf policy = BUF_INIT(4096);

    web_priority(c, true, c->min_version, c->max_version, &policy);
    if (policy.failed)
        abort();
    buf_deinit(&policy);
}

static void check(const struct web_config *c)
{
    bool demands =
        c->client_auth == WEB_CLIENT_REQUIRE_ANY || c->client_auth == WEB_CLIENT_REQUIRE_AND_VERIFY;

    if (c->tls != (given(&c->cert) && given(&c->key)))
        abort();
    if (c->tls && (c->min_version > c->max_version || (c->allowed_sans && !demands) ||
                   (given(&c->client_ca) && c->client_auth == WEB_CLIENT_NONE)))
        abort();
    for (size_t i = 0; i < c->n_users; i++) {
        if (!c->users[i].name || strncmp(c->users[i].hash, "$2", 2) != 0 ||
            strlen(c->users[i].hash) >= WEB_HASH_MAX || !web_config_user(c, c->users[i].name))
            abort();
    }
    if (c->rate_interval_ns < 0 || c->rate_burst < 0)
        abort();
    check_headers(c);
    check_policy(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct config_messages messages;
    struct web_config *config = web_config_load_text("w.yml", (const char *)bytes, len, &messages);

    if ((config != NULL) != (messages.errors == 0))
        abort();
    if (config)
        check(config);
    web_config_free(config);
    config_messages_deinit(&messages);
    return 0;
}
