/* --config.check: everything the daemon would read at its start, and nothing else of it. */
#include "pgtls/app/daemon.h"

#include "setup.h"

#include "pgtls/config/config.h"
#include "pgtls/expose/web.h"
#include "pgtls/model/self.h"

#include <stdio.h>

/* What of a good configuration this exporter watches, if that is not all of it. */
static void print_part(struct endpoint_set *set, const struct flags *flags, struct shard shard)
{
    if (flags->total_shards <= 1)
        return;
    shard_keep(set, shard);
    printf("shard %u of %u watches %zu endpoint%s, %zu server%s of it\n", shard.ordinal,
           shard.total, set->n_endpoints, set->n_endpoints == 1 ? "" : "s", set->n_servers,
           set->n_servers == 1 ? "" : "s");
}

/* The other file: true, too, when none is named. */
static bool check_web_config(const struct flags *flags)
{
    struct config_messages messages = {0};
    struct self self;
    struct web *web;

    if (!flags->web_config_file)
        return true;
    self_init(&self);
    web = web_new(flags->web_config_file, &self, &messages);
    setup_print_messages(&messages);
    if (web)
        printf("%s: good: %s, %zu warning%s\n", flags->web_config_file,
               web_has_tls(web) ? "TLS" : "no TLS", messages.warnings,
               messages.warnings == 1 ? "" : "s");
    else
        fprintf(stderr, "%zu error%s\n", messages.errors, messages.errors == 1 ? "" : "s");
    config_messages_deinit(&messages);
    web_free(web);
    self_deinit(&self);
    return web != NULL;
}

static bool check_config(const struct flags *flags, struct shard shard)
{
    struct config_messages messages = {0};
    struct endpoint_set *set = setup_load(flags, false, &messages);
    char modules[48];

    setup_print_messages(&messages);
    if (set) {
        snprintf(modules, sizeof modules, ", %zu module%s", set->n_modules,
                 set->n_modules == 1 ? "" : "s");
        printf("%s: good: %zu endpoint%s, %zu server%s%s, %zu warning%s\n",
               flags->n_config_files > 1 ? "configuration"
               : flags->config_file      ? flags->config_file
                                         : "DATABASE_URL",
               set->n_endpoints, set->n_endpoints == 1 ? "" : "s", set->n_servers,
               set->n_servers == 1 ? "" : "s", set->n_modules > 0 ? modules : "", messages.warnings,
               messages.warnings == 1 ? "" : "s");
        print_part(set, flags, shard);
    } else {
        fprintf(stderr, "%zu error%s\n", messages.errors, messages.errors == 1 ? "" : "s");
    }
    config_messages_deinit(&messages);
    endpoint_set_unref(set);
    return set != NULL;
}

int daemon_check(const struct flags *flags)
{
    struct shard shard;
    bool good;

    if (setup_nothing_to_load(flags->config_file, "watch"))
        return 1;
    if (!setup_shard(flags, &shard))
        return 2;
    good = check_config(flags, shard);
    return check_web_config(flags) && good ? 0 : 1;
}
