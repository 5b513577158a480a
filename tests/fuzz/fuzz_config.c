/* Any bytes as a configuration file: it is refused with an error or yields a set that holds
 * together, and nothing else happens. */
#include "pgtls/config/config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7 itself forgets a page after some syntax errors inside quotes. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

static void check(const struct endpoint_set *set)
{
    for (size_t i = 0; i < set->n_endpoints; i++) {
        const struct endpoint *e = &set->endpoints[i];

        if (e->n_servers == 0 || e->first_server + e->n_servers > set->n_servers)
            abort();
        for (size_t j = 0; j < e->n_servers; j++) {
            const struct server *s = &set->servers[e->first_server + j];

            if (s->endpoint_index != i || !s->name || !s->host || s->port == 0 ||
                strcmp(s->endpoint, e->name) != 0 || (s->login && !s->user))
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct config_messages messages;
    struct endpoint_set *set = config_load_text("f.yml", (const char *)bytes, len, &messages);

    if ((set != NULL) != (messages.errors == 0))
        abort();
    if (set)
        check(set);
    endpoint_set_unref(set);
    config_messages_deinit(&messages);
    return 0;
}
