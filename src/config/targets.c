/* Documents of discovered targets (Prometheus, "<file_sd_config>" and "HTTP SD format") to lists of
 * endpoints. What stands in them comes from somebody else: whoever writes them may say where
 * endpoints are and what they are called, not which files are read nor what is trusted. */
#include "pgtls/config/discovery.h"

#include "loading.h"
#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"

#include <string.h>

#define MAX_NAME_BYTES 128
#define MAX_HOST_BYTES 255
#define KEY_PREFIX     "__pgtls_"
#define SHOWN          80

static const char *const settable[] = {
    "application_name", "dbname",  "enabled", "hostaddr", "interval", "maintenance",
    "negotiation",      "require", "resolve", "timeout",  "user",     NULL,
};

const char *const *discovery_keys(void)
{
    return settable;
}

/* An endpoint that grows by its targets. */
struct growing {
    struct config_target target;
    struct config_pair *keys;       /* the target's, with room for host and port */
    const struct yaml_node *labels; /* of the first group that told of it */
    struct buf hosts, ports;        /* comma lists */
    struct growing *next, *self;    /* self: names hand out what is const */
};

struct taking {
    const struct discovery *discovery;
    struct arena *arena;
    struct report report;
    struct origin origin;
    struct growing *first, *last;
    size_t n, n_targets;
    struct names by_name, seen; /* endpoints, and servers in them */
    bool failed;
};

static void fail(struct taking *t)
{
    if (!t->failed)
        report_no_memory(&t->report);
    t->failed = true;
}

static void refuse_at(struct taking *t, const struct yaml_node *node, const char *what,
                      const char *why)
{
    char value[SHOWN];

    str_clean(value, sizeof value, node->text ? node->text : "", node->text ? node->len : 0);
    report_error(&t->report, node->at, "%s \"%s\" %s", what, value, why);
}

/* --- labels ----------------------------------------------------------------------------------- */

static const struct yaml_node *label_of(const struct yaml_node *labels, const char *name,
                                        size_t len)
{
    for (const struct yaml_entry *e = labels ? labels->first : NULL; e; e = e->next) {
        if (e->key->len == len && memcmp(e->key->text, name, len) == 0)
            return e->value;
    }
    return NULL;
}

/* Names become parts of paths by placeholders of templates: they lead nowhere else. */
static bool fit_for_paths(const char *text)
{
    return !strchr(text, '/') && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

/* "{pg_cluster}" with the target's labels. NULL after an error, with `missing` set when it is only
 * that a label is not there. */
static const char *fill_in(struct taking *t, const char *text, const struct yaml_node *labels,
                           const struct yaml_node *at, const char *what, bool *missing)
{
    struct buf b = BUF_INIT(MAX_NAME_BYTES + 1);
    const char *result = NULL;

    *missing = false;
    for (const char *p = text; *p && !*missing;) {
        size_t len = *p == '{' ? strcspn(p, "}") : 0;
        const struct yaml_node *label = len > 1 ? label_of(labels, p + 1, len - 1) : NULL;

        if (len == 0)
            buf_add_char(&b, *p++);
        else if (!label)
            *missing = true;
        else
            buf_add_str(&b, label->text);
        p += len > 0 ? len + (p[len] == '}') : 0;
    }
    if (*missing)
        ;
    else if (!b.no_memory && (b.len == 0 || b.len > MAX_NAME_BYTES || b.failed))
        report_error(&t->report, at->at, "%s: the name of a target's %s is 1 to %d bytes long",
                     what, what, MAX_NAME_BYTES);
    else if (!b.no_memory && !fit_for_paths(buf_text(&b)))
        refuse_at(t, at, what, "of a target holds a \"/\", or is . or ..");
    else if (b.no_memory || !(result = arena_strdup(t->arena, buf_text(&b))))
        fail(t);
    buf_deinit(&b);
    return result;
}

static bool is_settable(const char *key)
{
    for (size_t i = 0; settable[i]; i++) {
        if (strcmp(settable[i], key) == 0)
            return true;
    }
    return false;
}

/* A label that sets a key. */
static void take_key(struct taking *t, const struct yaml_entry *e, struct growing *g)
{
    const char *key = e->key->text + strlen(KEY_PREFIX);

    if (!is_settable(key))
        refuse_at(t, e->key, "label",
                  "sets nothing that a discovery may set: secrets, files and what is trusted "
                  "belong into a template");
    else if (!fit_for_paths(e->value->text))
        refuse_at(t, e->value, "value", "holds a \"/\", or is . or ..");
    else
        g->keys[g->target.n_keys++] = (struct config_pair){key, e->value->text};
}

static void take_labels(struct taking *t, const struct yaml_node *labels, struct growing *g)
{
    static const char *const names[] = {"pg_cluster", "pg_endpoint"};
    size_t n = labels ? labels->n : 0;
    struct label *kept = arena_alloc(t->arena, (n + 1) * sizeof *kept);
    struct config_pair *keys = arena_alloc(t->arena, (n + 3) * sizeof *keys);

    if (!kept || !keys) {
        fail(t);
        return;
    }
    g->target.labels = kept;
    g->target.keys = g->keys = keys;
    for (const struct yaml_entry *e = labels ? labels->first : NULL; e; e = e->next) {
        if (strncmp(e->key->text, KEY_PREFIX, strlen(KEY_PREFIX)) == 0)
            take_key(t, e, g);
        else if (strncmp(e->key->text, "__", 2) != 0 && strcmp(e->key->text, names[0]) != 0 &&
                 strcmp(e->key->text, names[1]) != 0 && e->value->len > 0)
            kept[g->target.n_labels++] = (struct label){e->key->text, e->value->text};
    }
}

/* --- targets ---------------------------------------------------------------------------------- */

/* "host:port", "[v6]:port", "host": false with an error. `port` is "" without one. */
static bool split_target(struct taking *t, const struct yaml_node *node, const char **host,
                         const char **port)
{
    const char *text = node->text, *colon, *end;
    int64_t number;

    if (node->len == 0 || node->len > MAX_HOST_BYTES + 8 || strlen(text) != node->len ||
        strcspn(text, " \t\n/,@'\"\\{}") != node->len) {
        refuse_at(t, node, "target",
                  strstr(text, "://") ? "is a URL; write host:port"
                                      : "is no server; write host:port or [address]:port");
        return false;
    }
    end = text[0] == '[' ? strchr(text, ']') : NULL;
    colon = end ? (end[1] == ':' ? end + 1 : NULL) : strrchr(text, ':');
    if ((text[0] == '[' && (!end || (end[1] != '\0' && !colon))) ||
        (!end && colon && strchr(text, ':') != colon)) {
        refuse_at(t, node, "target", "is no server; an IPv6 address is written [address]:port");
        return false;
    }
    if (colon && !str_to_i64(colon + 1, 1, UINT16_MAX, &number)) {
        refuse_at(t, node, "target", "has no port between 1 and 65535");
        return false;
    }
    *host = end ? arena_strndup(t->arena, text + 1, (size_t)(end - text - 1))
                : arena_strndup(t->arena, text, colon ? (size_t)(colon - text) : node->len);
    *port = colon ? colon + 1 : "5432";
    if (!*host)
        fail(t);
    else if (**host == '\0')
        refuse_at(t, node, "target", "has no host");
    return *host && **host;
}

/* The endpoint of this name, made when it is new. NULL when out of memory. */
static struct growing *endpoint_for(struct taking *t, const char *cluster, const char *endpoint,
                                    const struct yaml_node *labels, const struct yaml_node *at)
{
    const char *name = arena_printf(t->arena, "%s\x1f%s", cluster, endpoint);
    const struct growing *known = name ? names_find(&t->by_name, name) : NULL;
    struct growing *g = known || !name ? NULL : arena_alloc(t->arena, sizeof *g);
    bool failed = false;

    if (known)
        return known->self;
    if (!g) {
        fail(t);
        return NULL;
    }
    *g = (struct growing){.labels = labels,
                          .hosts = BUF_INIT(CONFIG_MAX_BYTES),
                          .ports = BUF_INIT(CONFIG_MAX_BYTES),
                          .self = g};
    g->target = (struct config_target){
        .cluster = cluster, .endpoint = endpoint, .line = at->at.line, .column = at->at.column};
    take_labels(t, labels, g);
    names_add(&t->by_name, name, g, &failed);
    if (failed)
        fail(t);
    *(t->last ? &t->last->next : &t->first) = g;
    t->last = g;
    t->n++;
    return g;
}

static bool same_labels(const struct yaml_node *a, const struct yaml_node *b)
{
    size_t n_a = a ? a->n : 0, n_b = b ? b->n : 0;

    if (a == b || n_a != n_b)
        return a == b;
    for (const struct yaml_entry *e = a ? a->first : NULL; e; e = e->next) {
        const struct yaml_node *other = label_of(b, e->key->text, e->key->len);

        if (!other || strcmp(other->text, e->value->text) != 0)
            return false;
    }
    return true;
}

static void add_target(struct taking *t, struct growing *g, const struct yaml_node *node)
{
    const char *host, *port, *server;
    bool failed = false;

    if (!split_target(t, node, &host, &port))
        return;
    server = arena_printf(t->arena, "%s\x1f%s\x1f%s\x1f%s", g->target.cluster, g->target.endpoint,
                          host, port);
    if (!server) {
        fail(t);
        return;
    }
    if (names_add(&t->seen, server, g, &failed)) {
        report_warning(&t->report, node->at, "target \"%s\" is there twice", node->text);
        return;
    }
    buf_addf(&g->hosts, "%s%s", g->hosts.len ? "," : "", host);
    buf_addf(&g->ports, "%s%s", g->ports.len ? "," : "", port);
    if (failed || g->hosts.failed || g->ports.failed)
        fail(t);
}

/* --- groups ----------------------------------------------------------------------------------- */

static bool check_kind(struct taking *t, const struct yaml_node *node, enum yaml_kind kind,
                       const char *what)
{
    if (node->kind == kind)
        return true;
    report_error(&t->report, node->at, "%s: %s where %s is needed", what,
                 yaml_kind_name(node->kind), yaml_kind_name(kind));
    return false;
}

static bool check_labels(struct taking *t, const struct yaml_node *labels)
{
    if (!check_kind(t, labels, YAML_MAP, "labels"))
        return false;
    for (const struct yaml_entry *e = labels->first; e; e = e->next) {
        if (!check_kind(t, e->value, YAML_TEXT, "a label"))
            return false;
        if (strlen(e->value->text) != e->value->len || strlen(e->key->text) != e->key->len) {
            refuse_at(t, e->key, "label", "holds a NUL");
            return false;
        }
    }
    return true;
}

/* Where the targets of this group belong. */
static struct growing *group_endpoint(struct taking *t, const struct yaml_node *labels,
                                      const struct yaml_node *at)
{
    const struct discovery *d = t->discovery;
    const char *cluster, *endpoint = "default";
    bool missing, optional = strcmp(d->endpoint, "{pg_endpoint}") == 0;

    cluster = fill_in(t, d->cluster, labels, at, "cluster", &missing);
    if (missing)
        report_error(&t->report, at->at,
                     "a target has no label for its cluster, which is \"%s\"; give the label, or "
                     "another \"cluster\" in the discovery",
                     d->cluster);
    if (!cluster)
        return NULL;
    endpoint = fill_in(t, d->endpoint, labels, at, "endpoint", &missing);
    if (missing && optional)
        endpoint = "default";
    else if (missing)
        report_error(&t->report, at->at, "a target has no label for its endpoint, which is \"%s\"",
                     d->endpoint);
    return endpoint ? endpoint_for(t, cluster, endpoint, labels, at) : NULL;
}

static void take_group(struct taking *t, const struct yaml_node *group)
{
    const struct yaml_node *targets = NULL, *labels = NULL;
    size_t errors = t->origin.errors;
    struct growing *g;

    if (!check_kind(t, group, YAML_MAP, "a group of targets"))
        return;
    for (const struct yaml_entry *e = group->first; e; e = e->next) {
        if (strcmp(e->key->text, "targets") == 0)
            targets = e->value;
        else if (strcmp(e->key->text, "labels") == 0)
            labels = e->value->kind == YAML_NULL ? NULL : e->value;
        else
            refuse_at(t, e->key, "key", "is neither targets nor labels");
    }
    if (t->origin.errors > errors)
        return;
    if (!targets) {
        report_error(&t->report, group->at, "a group without \"targets\"");
        return;
    }
    if (!check_kind(t, targets, YAML_LIST, "targets") || (labels && !check_labels(t, labels)) ||
        targets->n == 0)
        return;
    t->n_targets += targets->n;
    if (t->n_targets > CONFIG_MAX_SERVERS)
        return;
    g = group_endpoint(t, labels, group);
    if (g && !same_labels(g->labels, labels))
        report_warning(&t->report, group->at,
                       "endpoint \"%s\" of cluster \"%s\" has other labels than before; the first "
                       "ones hold for all its targets",
                       g->target.endpoint, g->target.cluster);
    for (const struct yaml_entry *e = targets->first; g && e && !t->failed; e = e->next) {
        if (check_kind(t, e->value, YAML_TEXT, "a target"))
            add_target(t, g, e->value);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

/* Endpoints to the list, in the order they came. */
static bool finish(struct taking *t, struct config_target_list *list)
{
    struct config_target *targets = arena_alloc(t->arena, (t->n + 1) * sizeof *targets);

    if (!targets) {
        fail(t);
        return false;
    }
    for (struct growing *g = t->first; g; g = g->next) {
        const char *hosts = arena_strdup(t->arena, buf_text(&g->hosts));
        const char *ports = arena_strdup(t->arena, buf_text(&g->ports));

        if (!hosts || !ports || !g->keys) {
            fail(t);
            return false;
        }
        g->keys[g->target.n_keys++] = (struct config_pair){"host", hosts};
        g->keys[g->target.n_keys++] = (struct config_pair){"port", ports};
        targets[list->n++] = g->target;
    }
    list->targets = targets;
    return true;
}

static void take_document(struct taking *t, const struct yaml_node *root)
{
    if (!check_kind(t, root, YAML_LIST, "targets"))
        return;
    for (const struct yaml_entry *e = root->first; e && !t->failed; e = e->next)
        take_group(t, e->value);
    if (t->n_targets > CONFIG_MAX_SERVERS)
        report_error(&t->report, root->at, "%zu targets; at most %d are allowed", t->n_targets,
                     CONFIG_MAX_SERVERS);
}

bool discovery_parse(const struct discovery *d, const char *name, const char *text, size_t len,
                     struct arena *arena, struct config_target_list *list,
                     struct config_messages *messages)
{
    struct taking t = {.discovery = d, .arena = arena, .origin = {.name = name, .directory = ""}};
    const struct yaml_node *root = NULL;

    *list = (struct config_target_list){.name = name, .template = d->template};
    report_start(&t.report, name, messages);
    if (len > CONFIG_MAX_BYTES)
        report_error(&t.report, (struct place){.origin = &t.origin}, "larger than %zu MiB",
                     CONFIG_MAX_BYTES / 1024 / 1024);
    else
        root = yaml_parse(text, len, arena, &t.report, &t.origin);
    if (root)
        take_document(&t, root);
    else if (messages->errors == 0)
        report_error(&t.report, (struct place){1, 1, &t.origin},
                     "empty; a list of no targets is written []");
    if (messages->errors == 0)
        finish(&t, list);
    for (struct growing *g = t.first; g; g = g->next) {
        buf_deinit(&g->hosts);
        buf_deinit(&g->ports);
    }
    names_deinit(&t.by_name);
    names_deinit(&t.seen);
    report_finish(&t.report);
    return messages->errors == 0;
}
