/* `modules:` of the files. A module is read as an endpoint is, and inherits nothing: what a request
 * may make use of is what somebody wrote down for requests. */
#include "loading.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"
#include "pgtls/model/module.h"
#include "resolve.h"

#include <string.h>

#define MAX_MODULES           1000
#define MAX_MODULE_NAME_BYTES 63
#define DEFAULT_PORT          5432
#define NAME_CHARACTERS       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

struct module_entry {
    struct module module;
    struct place at;
    struct module_entry *next;
};

/* It stands in URLs. */
static bool check_name(struct loading *l, const struct yaml_node *key)
{
    if (key->len > 0 && key->len <= MAX_MODULE_NAME_BYTES &&
        strspn(key->text, NAME_CHARACTERS) == key->len)
        return true;
    report_error(&l->report, key->at,
                 "the name of a module is 1 to %d letters, digits, dots, _ and -",
                 MAX_MODULE_NAME_BYTES);
    return false;
}

static bool claim_name(struct loading *l, struct module_entry *m)
{
    const struct module_entry *before;
    char where[PLACE_SIZE];
    bool failed = false;

    before = names_add(&l->modules, m->module.name, m, &failed);
    if (failed)
        report_no_memory(&l->report);
    else if (before && before->at.origin != m->at.origin) /* else a duplicate key already */
        report_error(&l->report, m->at, "a module \"%s\" is already %s", m->module.name,
                     place_text(where, before->at, m->at));
    return !failed && !before;
}

static uint16_t port_of(struct loading *l, const struct setting *s)
{
    int64_t port = DEFAULT_PORT;

    if (s->key && s->text && !str_to_i64(s->text, 1, UINT16_MAX, &port))
        report_error(&l->report, s->at, "port: a module has one, for targets that name none");
    return (uint16_t)port;
}

static void take_rules(const struct setting *s, const struct target_rule **rules, size_t *n)
{
    if (!s->key)
        return;
    *rules = s->items;
    *n = s->n_items;
}

/* Without a port a target may not be named at any: who forgets one has not opened anything. */
static void deny_everywhere(const struct setting *s)
{
    struct target_rule *rules = s->key ? s->items : NULL;

    for (size_t i = 0; rules && i < s->n_items; i++) {
        if (rules[i].first_port == 0) {
            rules[i].first_port = 1;
            rules[i].last_port = UINT16_MAX;
        }
    }
}

/* A login whose secret whoever answers at an allowed address can work on. */
static void check_secret(struct loading *l, const struct module_entry *m)
{
    const struct server *s = &m->module.server;

    if (s->login && s->password.source != SECRET_NONE && s->sslmode != SSLMODE_VERIFY_FULL &&
        s->n_pins == 0)
        report_warning(&l->report, m->at,
                       "module \"%s\" logs in with a password and sslmode %s: whoever answers at a "
                       "target that a request may name takes part in that login; use verify-full",
                       m->module.name, sslmode_name(s->sslmode));
}

static bool read_module(struct loading *l, struct module_entry *m, const struct yaml_node *node)
{
    struct layer layer = {.bad = false};
    struct endpoint_source source = {.cluster = "modules",
                                     .name = m->module.name,
                                     .at = m->at,
                                     .layers = {&layer},
                                     .n_layers = 1};
    struct reader reader = l->building.reader;
    size_t errors = l->report.messages->errors;

    reader.literal = true; /* there is no endpoint that a placeholder could stand for */
    read_layer(&reader, node, LEVEL_MODULE, &layer);
    if (!resolve_module(&l->building, &source, &m->module.server))
        return false;
    m->module.server.port = port_of(l, &layer.slots[SLOT_PORT]);
    take_rules(&layer.slots[SLOT_ALLOW_TARGETS], &m->module.allow, &m->module.n_allow);
    deny_everywhere(&layer.slots[SLOT_DENY_TARGETS]);
    take_rules(&layer.slots[SLOT_DENY_TARGETS], &m->module.deny, &m->module.n_deny);
    check_secret(l, m);
    if (m->module.n_allow == 0)
        report_warning(&l->report, m->at,
                       "module \"%s\" allows no target, so every request for it is refused; give "
                       "\"allow_targets\"",
                       m->module.name);
    return l->report.messages->errors == errors;
}

static void load_module(struct loading *l, const struct yaml_entry *entry)
{
    struct module_entry *m = arena_alloc(l->scratch, sizeof *m);

    if (!check_name(l, entry->key) ||
        !expect_kind(l, entry->value, YAML_MAP, "module",
                     "write for example {allow_targets: [\"*.db.example.com\"]}"))
        return;
    if (m) {
        m->at = entry->key->at;
        m->module.name = arena_strdup(l->set->arena, entry->key->text);
    }
    if (!m || !m->module.name) {
        report_no_memory(&l->report);
        return;
    }
    if (!claim_name(l, m) || !read_module(l, m, entry->value))
        return;
    *(l->last_module ? &l->last_module->next : &l->first_module) = m;
    l->last_module = m;
    if (++l->set->n_modules > MAX_MODULES)
        report_error(&l->report, m->at, "modules: more than %d of them", MAX_MODULES);
}

void load_modules(struct loading *l, const struct file *file)
{
    const struct setting *s = &file->top.slots[SLOT_MODULES];

    if (!s->key || !s->node || s->node->kind == YAML_NULL ||
        !expect_kind(l, s->node, YAML_MAP, "modules",
                     "write for example {default: {allow_targets: [\"*.db.example.com\"]}}"))
        return;
    for (const struct yaml_entry *e = s->node->first; e; e = e->next)
        load_module(l, e);
}

void modules_finish(struct loading *l)
{
    struct module *modules = arena_alloc(l->set->arena, (l->set->n_modules + 1) * sizeof *modules);
    size_t n = 0;

    if (!modules) {
        report_no_memory(&l->report);
        return;
    }
    for (const struct module_entry *m = l->first_module; m; m = m->next)
        modules[n++] = m->module;
    l->set->modules = modules;
}
