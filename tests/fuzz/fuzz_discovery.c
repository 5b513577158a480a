/* Any bytes as a document of discovered targets (file_sd, http_sd), in JSON or YAML: refused with
 * an error, or endpoints that a discovery may bring. Whoever writes the document decides where
 * endpoints are, never how they are trusted nor which secrets they are shown. The first byte
 * chooses how targets are named. */
#include "pgtls/config/discovery.h"

#include "pgtls/base/arena.h"
#include "target.h"

#define HEAD        1
#define MOST_MEMORY (4U << 20) /* bytes; and so many per byte of a document: */
#define PER_BYTE    4096

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-*): the leak sanitizer looks for this name */
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7 itself forgets a page after some syntax errors inside quotes. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}
/* NOLINTEND(bugprone-reserved-identifier,cert-*) */

static const char base[] = "templates:\n"
                           "  t: {user: app, password_file: /run/the-password, login: true,\n"
                           "      sslmode: verify-full, sslrootcert: system}\n"
                           "clusters:\n"
                           "  - {name: fixed, host: h}\n";

static void check_name(const char *name)
{
    require(name[0] != '\0' && strlen(name) <= 128 && !strchr(name, '/'));
}

static void check_target(const struct config_target *t)
{
    check_name(t->cluster);
    check_name(t->endpoint);
    for (size_t i = 0; i < t->n_keys; i++) {
        const char *const *known = discovery_keys();

        while (*known && strcmp(*known, t->keys[i].key) != 0)
            known++;
        require(*known || strcmp(t->keys[i].key, "host") == 0 ||
                strcmp(t->keys[i].key, "port") == 0);
    }
    for (size_t i = 0; i < t->n_labels; i++)
        require(strncmp(t->labels[i].name, "__", 2) != 0);
}

/* What the template says stays as it says, whatever the document says. */
static void check_server(const struct server *s)
{
    require(s->sslmode == SSLMODE_VERIFY_FULL && s->sslrootcert &&
            strcmp(s->sslrootcert, "system") == 0);
    require(!s->sslcert && !s->sslkey && !s->sslcrl && s->n_pins == 0 && s->allow_auth == 0);
    require(s->sslpassword.source == SECRET_NONE && s->password.source == SECRET_FILE &&
            strcmp(s->password.value, "/run/the-password") == 0);
    require(s->host[0] != '\0' && s->port != 0);
}

static void build(const struct config_target_list *list)
{
    static struct memory_file file;
    static struct config_messages messages;
    struct config_source *source = config_source_new();
    struct endpoint_set *set;

    memory_file_write(&file, base, sizeof base - 1);
    require(source && config_source_add_path(source, file.path));
    config_source_read(source);
    endpoint_set_unref(config_source_build(source, &messages));
    config_messages_deinit(&messages);
    require(config_source_set_targets(source, list));
    set = config_source_build(source, &messages);
    require(set != NULL); /* a list that is wrong is left out */
    for (size_t i = 0; i < set->n_servers; i++) {
        if (strcmp(set->servers[i].cluster, "fixed") != 0)
            check_server(&set->servers[i]);
    }
    endpoint_set_unref(set);
    config_messages_deinit(&messages);
    config_source_free(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const clusters[] = {"{pg_cluster}", "found", "{team}-{pg_cluster}"};
    static const char *const endpoints[] = {"{pg_endpoint}", "write", "{role}"};
    static struct config_messages messages;
    struct discovery d = {.kind = DISCOVERY_FILE, .template = "t"};
    struct config_target_list list = {0};
    struct arena *arena;
    char *text;
    bool ok;

    if (size < HEAD)
        return 0;
    d.cluster = clusters[data[0] % 3];
    d.endpoint = endpoints[data[0] / 3 % 3];
    text = text_of(data + HEAD, size - HEAD);
    memory_watch();
    arena = arena_new();
    require(arena != NULL);
    ok = discovery_parse(&d, "list", text, size - HEAD, arena, &list, &messages);
    require(memory_peak() <= MOST_MEMORY + PER_BYTE * size);
    require(ok == (messages.errors == 0));
    config_messages_deinit(&messages);
    for (size_t i = 0; ok && i < list.n; i++)
        check_target(&list.targets[i]);
    if (ok)
        build(&list);
    arena_free(arena);
    free(text);
    return 0;
}
