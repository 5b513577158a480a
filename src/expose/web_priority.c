/* From Go's names to GnuTLS's priority strings. */
#include "web_priority.h"

#include <stdio.h>
#include <string.h>

static const char *const versions[] = {[WEB_TLS10] = "VERS-TLS1.0",
                                       [WEB_TLS11] = "VERS-TLS1.1",
                                       [WEB_TLS12] = "VERS-TLS1.2",
                                       [WEB_TLS13] = "VERS-TLS1.3"};

static bool is_named(const struct web_config *config, const struct web_suite *suite)
{
    for (size_t i = 0; i < config->n_suites; i++) {
        if (config->suites[i] == suite)
            return true;
    }
    return config->n_suites == 0 && suite->by_default;
}

bool web_suite_allowed(const struct web_config *config, const struct web_suite *suite, bool rsa)
{
    return suite->exchange && is_named(config, suite) &&
           rsa == (strcmp(suite->exchange, "ECDHE-ECDSA") != 0);
}

/* ":+word", unless it is there. */
static void add_word(struct buf *to, const char *word)
{
    char item[64];
    const char *found = buf_text(to);
    size_t len;

    snprintf(item, sizeof item, ":+%s", word);
    len = strlen(item);
    while ((found = strstr(found, item)) != NULL) {
        if (found[len] == '\0' || found[len] == ':')
            return;
        found += len;
    }
    buf_add_str(to, item);
}

/* The suites that hold, in the order in which they are wanted: as named, or as the table has them.
 */
static size_t collect(const struct web_config *config, bool rsa, enum web_tls_version high,
                      bool legacy, const struct web_suite *suites[])
{
    size_t n = 0;

    for (size_t i = 0; i < config->n_suites && legacy; i++) {
        if (web_suite_allowed(config, config->suites[i], rsa))
            suites[n++] = config->suites[i];
    }
    for (size_t i = 0; i < n_web_suites; i++) {
        bool wanted = web_suites[i].exchange ? legacy && config->n_suites == 0 &&
                                                   web_suite_allowed(config, &web_suites[i], rsa)
                                             : high == WEB_TLS13;

        if (wanted)
            suites[n++] = &web_suites[i];
    }
    return n;
}

bool web_priority(const struct web_config *config, bool rsa, enum web_tls_version low,
                  enum web_tls_version high, struct buf *to)
{
    const struct web_suite *suites[2 * WEB_MAX_SUITES];
    size_t n = collect(config, rsa, high, low < WEB_TLS13, suites);

    buf_add_str(to, "NORMAL:-VERS-ALL:-KX-ALL:-CIPHER-ALL:-MAC-ALL:-GROUP-ALL");
    for (int v = (int)high; v >= (int)low; v--)
        add_word(to, versions[v]);
    for (size_t i = 0; i < n; i++) {
        add_word(to, suites[i]->exchange ? suites[i]->exchange : rsa ? "ECDHE-RSA" : "ECDHE-ECDSA");
        add_word(to, suites[i]->cipher);
        add_word(to, suites[i]->mac);
    }
    for (size_t i = 0; i < config->n_curves; i++)
        add_word(to, config->curves[i]->group);
    for (size_t i = 0; i < n_web_curves && config->n_curves == 0; i++)
        add_word(to, web_curves[i].group);
    if (config->server_order)
        buf_add_str(to, ":%SERVER_PRECEDENCE");
    return n > 0 && !to->failed;
}
