/* `discovery:` of the files: where lists of targets come from. */
#include "pgtls/config/discovery.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/clock.h"
#include "template.h"
#include "values.h"

#include <string.h>

#define MAX_DISCOVERIES    1000
#define DEFAULT_TIMEOUT_NS (10 * NS_PER_S)
#define DEFAULT_CLUSTER    "{pg_cluster}"
#define DEFAULT_ENDPOINT   "{pg_endpoint}"

struct discovery_entry {
    struct discovery discovery;
    struct discovery_entry *next;
};

/* What a kind is made of. */
static const struct kind {
    const char *name;
    enum slot slot, items;
    enum level level;
    int64_t refresh_ns;
    const char *example;
} kinds[DISCOVERY_KIND_COUNT] = {
    [DISCOVERY_FILE] = {"file_sd", SLOT_FILE_SD, SLOT_FILES, LEVEL_FILE_SD, 300 * NS_PER_S,
                        "{files: [targets/*.json]}"},
    [DISCOVERY_HTTP] = {"http_sd", SLOT_HTTP_SD, SLOT_URL, LEVEL_HTTP_SD, 60 * NS_PER_S,
                        "{url: \"https://inventory.example.com/postgresql\"}"},
    [DISCOVERY_DNS] = {"dns_sd", SLOT_DNS_SD, SLOT_NAMES, LEVEL_DNS_SD, 30 * NS_PER_S,
                       "{names: [_postgresql._tcp.db.example.com]}"},
};

static const char *text_of(const struct layer *layer, enum slot slot, const char *fallback)
{
    return layer->slots[slot].key && layer->slots[slot].text ? layer->slots[slot].text : fallback;
}

static int64_t number_of(const struct layer *layer, enum slot slot, int64_t fallback)
{
    return layer->slots[slot].key ? layer->slots[slot].number : fallback;
}

static struct secret_ref secret_of(const struct layer *layer, enum slot slot)
{
    const struct setting *s = &layer->slots[slot];

    if (!s->key || !s->text)
        return (struct secret_ref){SECRET_NONE, NULL};
    return (struct secret_ref){(enum secret_source)s->key->source, s->text};
}

/* One URL is a list of one. */
static bool take_items(struct loading *l, const struct layer *layer, enum slot slot,
                       struct discovery *d)
{
    const struct setting *s = &layer->slots[slot];
    const char **one;

    d->items = (const char *const *)s->items;
    d->n_items = s->n_items;
    if (slot != SLOT_URL)
        return s->key != NULL;
    one = arena_alloc(l->set->arena, sizeof *one);
    if (!one) {
        report_no_memory(&l->report);
        return false;
    }
    *one = s->text;
    d->items = one;
    d->n_items = 1;
    return s->key != NULL;
}

static void check_url(struct loading *l, const struct setting *s)
{
    const char *rest = NULL;

    if (strncmp(s->text, "http://", 7) == 0)
        rest = s->text + 7;
    else if (strncmp(s->text, "https://", 8) == 0)
        rest = s->text + 8;
    if (!rest || *rest == '\0')
        report_error(&l->report, s->at, "url: begins with http:// or https://");
    else if (memchr(rest, '@', strcspn(rest, "/?#")))
        report_error(&l->report, s->at,
                     "url: holds a user or a password; give user, and password_file or "
                     "password_env, beside it");
}

static void check_http(struct loading *l, const struct layer *layer)
{
    const struct setting *user = &layer->slots[SLOT_USER];
    const struct setting *password = &layer->slots[SLOT_PASSWORD];
    const struct setting *bearer = &layer->slots[SLOT_BEARER];
    const struct setting *cert = &layer->slots[SLOT_SSLCERT], *key = &layer->slots[SLOT_SSLKEY];

    if (layer->slots[SLOT_URL].key)
        check_url(l, &layer->slots[SLOT_URL]);
    if (user->key && !password->key)
        report_error(&l->report, user->at, "user: needs password_file or password_env beside it");
    if (password->key && !user->key)
        report_error(&l->report, password->at, "%s: needs user beside it", password->key->name);
    if (user->key && bearer->key)
        report_error(&l->report, bearer->at, "%s: cannot stand beside user; give one of them",
                     bearer->key->name);
    if (cert->key && !key->key)
        report_error(&l->report, cert->at, "cert_file: needs key_file beside it");
    if (key->key && !cert->key)
        report_error(&l->report, key->at, "key_file: needs cert_file beside it");
}

/* Which kind an item is; DISCOVERY_KIND_COUNT with an error if not exactly one. */
static enum discovery_kind kind_of(struct loading *l, const struct layer *item,
                                   const struct yaml_node *node)
{
    enum discovery_kind found = DISCOVERY_KIND_COUNT;

    for (int i = 0; i < DISCOVERY_KIND_COUNT; i++) {
        const struct setting *s = &item->slots[kinds[i].slot];

        if (!s->key)
            continue;
        if (found != DISCOVERY_KIND_COUNT) {
            report_error(&l->report, s->at, "%s: cannot stand beside %s; write two items",
                         kinds[i].name, kinds[found].name);
            return DISCOVERY_KIND_COUNT;
        }
        found = (enum discovery_kind)i;
    }
    if (found == DISCOVERY_KIND_COUNT && !item->bad)
        report_error(&l->report, node->at, "discovery: file_sd, http_sd or dns_sd is needed");
    return found;
}

static void read_source(struct loading *l, const struct layer *item, enum discovery_kind kind,
                        struct discovery *d)
{
    const struct kind *k = &kinds[kind];
    const struct yaml_node *node = item->slots[k->slot].node;
    size_t errors = l->report.messages->errors;
    struct reader reader = l->building.reader;
    struct layer source = {.bad = false};

    if (!expect_kind(l, node, YAML_MAP, k->name, k->example))
        return;
    reader.literal = true; /* there is no endpoint that a placeholder could stand for */
    read_layer(&reader, node, k->level, &source);
    source.bad = l->report.messages->errors > errors;
    if (!take_items(l, &source, k->items, d) && !source.bad)
        report_error(&l->report, node->at, "%s: write for example %s", k->name, k->example);
    if (kind == DISCOVERY_HTTP && !source.bad)
        check_http(l, &source);
    d->kind = kind;
    d->refresh_interval_ns = number_of(&source, SLOT_REFRESH, k->refresh_ns);
    d->timeout_ns = number_of(&source, SLOT_TIMEOUT, DEFAULT_TIMEOUT_NS);
    d->ca_file = text_of(&source, SLOT_SSLROOTCERT, NULL);
    d->cert_file = text_of(&source, SLOT_SSLCERT, NULL);
    d->key_file = text_of(&source, SLOT_SSLKEY, NULL);
    d->user = text_of(&source, SLOT_USER, NULL);
    d->password = secret_of(&source, SLOT_PASSWORD);
    d->bearer = secret_of(&source, SLOT_BEARER);
}

static void load_item(struct loading *l, const struct yaml_node *node)
{
    struct discovery_entry *entry = arena_alloc(l->scratch, sizeof *entry);
    struct reader reader = l->building.reader;
    struct layer item = {.bad = false};
    enum discovery_kind kind;

    if (!entry) {
        report_no_memory(&l->report);
        return;
    }
    if (!expect_kind(l, node, YAML_MAP, "discovery", "each item has file_sd, http_sd or dns_sd"))
        return;
    reader.literal = true; /* its placeholders are labels of targets */
    read_layer(&reader, node, LEVEL_DISCOVERY, &item);
    kind = kind_of(l, &item, node);
    if (kind == DISCOVERY_KIND_COUNT)
        return;
    template_of(l, &item.slots[SLOT_TEMPLATE]); /* reported if there is none */
    entry->discovery = (struct discovery){
        .template = text_of(&item, SLOT_TEMPLATE, NULL),
        .cluster = text_of(&item, SLOT_CLUSTER, DEFAULT_CLUSTER),
        .endpoint = text_of(&item, SLOT_ENDPOINT, DEFAULT_ENDPOINT),
    };
    read_source(l, &item, kind, &entry->discovery);
    if (kind == DISCOVERY_DNS && strcmp(entry->discovery.cluster, DEFAULT_CLUSTER) == 0)
        report_error(&l->report, node->at,
                     "dns_sd: needs cluster beside it: an SRV record does not tell any");
    *(l->last_discovery ? &l->last_discovery->next : &l->first_discovery) = entry;
    l->last_discovery = entry;
}

void load_discovery(struct loading *l, const struct file *file)
{
    const struct setting *s = &file->top.slots[SLOT_DISCOVERY];

    if (!s->key || s->node->kind == YAML_NULL ||
        !expect_kind(l, s->node, YAML_LIST, "discovery", "each item begins with \"- \""))
        return;
    if (s->node->n > MAX_DISCOVERIES) {
        report_error(&l->report, s->at, "discovery: more than %d items", MAX_DISCOVERIES);
        return;
    }
    for (const struct yaml_entry *e = s->node->first; e; e = e->next)
        load_item(l, e->value);
}

void discovery_finish(struct loading *l)
{
    struct discovery *all;
    size_t n = 0;

    for (const struct discovery_entry *e = l->first_discovery; e; e = e->next)
        n++;
    all = n > 0 ? arena_alloc(l->set->arena, n * sizeof *all) : NULL;
    if (n > 0 && !all) {
        report_no_memory(&l->report);
        return;
    }
    l->set->discoveries = all;
    for (const struct discovery_entry *e = l->first_discovery; e; e = e->next)
        all[l->set->n_discoveries++] = e->discovery;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_secret(const struct secret_ref *a, const struct secret_ref *b)
{
    return a->source == b->source && same_text(a->value, b->value);
}

bool discovery_same(const struct discovery *a, const struct discovery *b)
{
    if (a->kind != b->kind || a->n_items != b->n_items ||
        a->refresh_interval_ns != b->refresh_interval_ns || a->timeout_ns != b->timeout_ns)
        return false;
    for (size_t i = 0; i < a->n_items; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return same_text(a->template, b->template) && same_text(a->cluster, b->cluster) &&
           same_text(a->endpoint, b->endpoint) && same_text(a->ca_file, b->ca_file) &&
           same_text(a->cert_file, b->cert_file) && same_text(a->key_file, b->key_file) &&
           same_text(a->user, b->user) && same_secret(&a->password, &b->password) &&
           same_secret(&a->bearer, &b->bearer);
}
