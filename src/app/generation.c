/* A generation of the configuration, as a daemon takes it. */
#include "generation.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/log.h"
#include "pgtls/base/str.h"
#include "pgtls/config/config.h"
#include "pgtls/model/module.h"
#include "pgtls/pg/login.h"

#define BUILD_ROUNDS 3 /* more find nothing new */

void generation_log(const struct config_messages *messages)
{
    for (size_t i = 0; i < messages->n; i++) {
        if (messages->items[i].repeated)
            continue;
        if (messages->items[i].severity == CONFIG_ERROR)
            LOG(ERROR, "Configuration error", {"error", messages->items[i].text});
        else
            LOG(WARN, "Configuration warning", {"warning", messages->items[i].text});
    }
}

/* A login that this libpq cannot do is said once, when the configuration arrives; such a server is
 * inspected only. */
static void drop_unsupported(struct endpoint_set *set)
{
    for (size_t i = 0; i < set->n_servers; i++) {
        const struct server *s = &set->servers[i];
        char reason[256] = "";

        if (!s->login || login_supported(s, reason, sizeof reason))
            continue;
        endpoint_set_drop_login(set, i);
        LOG(WARN, "Inspected only, no login", {"pg_cluster", s->cluster},
            {"pg_endpoint", s->endpoint}, {"server", s->name}, {"reason", reason});
    }
    for (size_t i = 0; i < set->n_modules; i++) {
        const struct module *m = &set->modules[i];
        char reason[256] = "";

        if (!m->server.login || login_supported(&m->server, reason, sizeof reason))
            continue;
        endpoint_set_drop_module_login(set, i);
        LOG(WARN, "Inspected only, no login", {"module", m->name}, {"reason", reason});
    }
}

void generation_list_errors(const struct config_messages *messages, char *to, size_t size)
{
    struct buf b = BUF_INIT(size - 1);

    for (size_t i = 0; i < messages->n; i++) {
        if (messages->items[i].severity == CONFIG_ERROR)
            buf_addf(&b, "%s%s", b.len > 0 ? "\n" : "", messages->items[i].text);
    }
    str_copy(to, size, b.len > 0 ? buf_text(&b) : "out of memory");
    buf_deinit(&b);
}

struct endpoint_set *generation_build(struct config_source *source, struct discovery_hub *hub,
                                      struct shard shard, struct config_messages *messages)
{
    struct endpoint_set *set = config_source_build(source, messages);

    generation_log(messages);
    for (int round = 0; set && discovery_hub_watch(hub, set) && round < BUILD_ROUNDS; round++) {
        endpoint_set_unref(set);
        config_messages_deinit(messages);
        set = config_source_build(source, messages);
        generation_log(messages);
    }
    if (set) {
        shard_keep(set, shard);
        drop_unsupported(set);
    }
    return set;
}
