/* Any bytes as a configuration file: it is refused with an error or yields a set that holds
 * together. What --config.show writes of it loads again, to the same endpoints and servers, without
 * any secret that stood in the file. */
#include "pgtls/base/buf.h"
#include "pgtls/config/config.h"
#include "pgtls/config/source.h"

#include "target.h"

/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl*): what LSan calls */
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7 itself forgets a page after some syntax errors inside quotes. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl*) */
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

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* All but secrets, and what depends on there being one. */
static void check_server(const struct server *a, const struct server *b)
{
    require(same(a->cluster, b->cluster) && same(a->endpoint, b->endpoint));
    require(same(a->name, b->name) && same(a->host, b->host) && same(a->hostaddr, b->hostaddr));
    require(a->port == b->port && a->sslmode == b->sslmode && a->negotiation == b->negotiation);
    require(same(a->user, b->user) && same(a->dbname, b->dbname) && same(a->options, b->options));
    require(same(a->application_name, b->application_name) && a->n_pins == b->n_pins);
    require(a->interval_ns == b->interval_ns && a->timeout_ns == b->timeout_ns);
    require(a->login_interval_ns == b->login_interval_ns && a->allow_auth == b->allow_auth);
    require(a->n_labels == b->n_labels && a->n_sessions == b->n_sessions);
    require(a->disabled == b->disabled && same(a->maintenance, b->maintenance));
    for (size_t i = 0; i < a->n_labels; i++)
        require(same(a->labels[i].name, b->labels[i].name) &&
                same(a->labels[i].value, b->labels[i].value));
}

/* A secret that only a file's own value could have shown. */
static void check_secrets(const struct server *s, const char *shown)
{
    if (s->password.source == SECRET_INLINE && strcmp(s->password.value, SECRET) == 0 &&
        s->sslpassword.source != SECRET_FILE)
        require(!strstr(shown, "password: " SECRET) && !strstr(shown, "password: \"" SECRET));
}

static void check_shown(const struct endpoint_set *set, const uint8_t *bytes, size_t len)
{
    static struct memory_file file;
    static struct config_messages messages;
    struct config_source *source = config_source_new();
    struct buf shown = BUF_INIT(CONFIG_MAX_BYTES);
    struct endpoint_set *again;

    memory_file_write(&file, bytes, len);
    require(source && config_source_add_path(source, file.path));
    config_source_read(source);
    require(config_source_show(source, NULL, &shown, &messages) || shown.failed);
    config_messages_deinit(&messages);
    config_source_free(source);
    again = shown.failed ? NULL : config_load_text("s.yml", buf_text(&shown), shown.len, &messages);
    require(again || shown.failed);
    if (again) {
        require(again->n_endpoints == set->n_endpoints && again->n_servers == set->n_servers);
        for (size_t i = 0; i < set->n_servers; i++) {
            check_server(&set->servers[i], &again->servers[i]);
            check_secrets(&set->servers[i], buf_text(&shown));
        }
    }
    endpoint_set_unref(again);
    config_messages_deinit(&messages);
    buf_deinit(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct config_messages messages;
    struct endpoint_set *set = config_load_text("f.yml", (const char *)bytes, len, &messages);

    if ((set != NULL) != (messages.errors == 0))
        abort();
    if (set)
        check(set);
    if (set && set->n_endpoints > 0)
        check_shown(set, bytes, len);
    endpoint_set_unref(set);
    config_messages_deinit(&messages);
    return 0;
}
