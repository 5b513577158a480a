/* A configuration file, or one connection string, to an endpoint set. */
#include "pgtls/config/config.h"

#include "keys.h"
#include "names.h"
#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"
#include "report.h"
#include "resolve.h"
#include "yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENDPOINT_NAME_BYTES 63
#define MAX_BUCKET_SECONDS      3600.0

static const struct settings default_settings = {
    .buckets = {0.001, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5},
    .n_buckets = 8,
    .max_in_flight = 1024,
    .max_in_flight_per_address = 100,
};

struct loading {
    struct report report;
    struct building building;
    struct endpoint_set *set;
    struct names clusters;
    struct layer top, defaults; /* defaults hold for every cluster */
};

/* Is this node of the kind that is needed? Reports when not. */
static bool expect(struct loading *l, const struct yaml_node *node, enum yaml_kind kind,
                   const char *what, const char *hint)
{
    if (node->kind == kind)
        return true;
    report_error(&l->report, node->at, "%s: %s where %s is needed; %s", what,
                 yaml_kind_name(node->kind), yaml_kind_name(kind), hint);
    return false;
}

/* Clusters and endpoints. */

static bool check_endpoint_name(struct loading *l, const struct yaml_node *key)
{
    const unsigned char *p = (const unsigned char *)key->text;
    size_t step = 1;

    if (key->len == 0 || key->len > MAX_ENDPOINT_NAME_BYTES) {
        report_error(&l->report, key->at, "the name of an endpoint is 1 to %d bytes long",
                     MAX_ENDPOINT_NAME_BYTES);
        return false;
    }
    for (size_t i = 0; i < key->len && step > 0; i += step) {
        step = str_utf8_sequence(p + i, key->len - i);
        if (p[i] < ' ' || p[i] == 0x7F || (p[i] == 0xC2 && p[i + 1] < 0xA0))
            step = 0;
    }
    if (step == 0)
        report_error(&l->report, key->at, "the name of an endpoint holds a control character");
    return step > 0;
}

static void load_endpoint(struct loading *l, const struct endpoint_source *cluster,
                          const struct yaml_entry *entry)
{
    struct endpoint_source source = *cluster;
    struct layer layer = {0};

    if (!check_endpoint_name(l, entry->key) ||
        !expect(l, entry->value, YAML_MAP, "endpoint", "write {} if nothing is its own"))
        return;
    read_layer(&l->building.reader, entry->value, LEVEL_ENDPOINT, &layer);
    source.name = arena_strdup(l->set->arena, entry->key->text);
    if (!source.name) {
        report_no_memory(&l->report);
        return;
    }
    source.at = entry->key->at;
    source.layers[source.n_layers++] = &layer;
    resolve_endpoint(&l->building, &source);
}

static void load_endpoints(struct loading *l, struct endpoint_source *cluster,
                           const struct setting *endpoints)
{
    if (!endpoints->key) {
        cluster->name = "default";
        resolve_endpoint(&l->building, cluster);
        return;
    }
    if (!endpoints->node || !expect(l, endpoints->node, YAML_MAP, "endpoints",
                                    "write for example {write: {host: db.example}}"))
        return;
    if (endpoints->node->n == 0)
        report_error(&l->report, endpoints->node->at,
                     "endpoints: empty; without the key the cluster itself is one endpoint");
    for (const struct yaml_entry *e = endpoints->node->first; e && !l->building.failed; e = e->next)
        load_endpoint(l, cluster, e);
}

static void load_cluster(struct loading *l, const struct yaml_node *node)
{
    struct layer layer = {0};
    struct endpoint_source source = {
        .at = node->at, .layers = {&l->defaults, &layer}, .n_layers = 2};
    const struct setting *name = &layer.slots[SLOT_NAME];
    const struct setting *before;
    bool failed = false;

    if (!expect(l, node, YAML_MAP, "cluster", "begin it with \"name:\""))
        return;
    read_layer(&l->building.reader, node, LEVEL_CLUSTER, &layer);
    if (!name->key)
        report_error(&l->report, node->at, "this cluster has no name; give \"name\"");
    source.cluster = name->text ? name->text : "";
    if (name->text) {
        struct setting *owner = arena_alloc(l->set->arena, sizeof *owner);

        if (owner)
            *owner = *name;
        before = owner ? names_add(&l->clusters, name->text, owner, &failed) : NULL;
        if (!owner || failed)
            report_no_memory(&l->report);
        if (before)
            report_error(&l->report, name->at, "name: a cluster of this name is already on line %u",
                         before->at.line);
    }
    load_endpoints(l, &source, &layer.slots[SLOT_ENDPOINTS]);
}

static void load_clusters(struct loading *l)
{
    const struct setting *clusters = &l->top.slots[SLOT_CLUSTERS];
    const char *hint = "begin each cluster with \"- name:\"";

    if (!clusters->key) {
        report_error(&l->report, (struct place){1, 1},
                     "no clusters: there is nothing to watch; give \"clusters\"");
        return;
    }
    if (!clusters->node || !expect(l, clusters->node, YAML_LIST, "clusters", hint))
        return;
    if (clusters->node->n == 0)
        report_error(&l->report, clusters->node->at, "clusters: empty; there is nothing to watch");
    for (const struct yaml_entry *e = clusters->node->first; e && !l->building.failed; e = e->next)
        load_cluster(l, e->value);
}

/* Settings of the whole exporter. */

static void load_limits(struct loading *l)
{
    const struct yaml_node *node = l->top.slots[SLOT_LIMITS].node;
    struct settings *settings = &l->set->settings;
    struct layer limits = {0};
    const struct {
        enum slot slot;
        size_t *value;
    } values[] = {
        {SLOT_IN_FLIGHT, &settings->max_in_flight},
        {SLOT_IN_FLIGHT_PER_ADDRESS, &settings->max_in_flight_per_address},
        {SLOT_CONNECTIONS_PER_SECOND, &settings->max_connections_per_second},
    };

    if (!node || !expect(l, node, YAML_MAP, "limits", "write for example {in_flight: 1024}"))
        return;
    read_layer(&l->building.reader, node, LEVEL_LIMITS, &limits);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (limits.slots[values[i].slot].key)
            *values[i].value = (size_t)limits.slots[values[i].slot].number;
    }
}

static bool read_bucket(struct loading *l, const struct yaml_node *node, double above,
                        double *bucket)
{
    char *end = NULL;

    if (node->kind == YAML_TEXT && node->len > 0 &&
        strspn(node->text, "0123456789.eE-+") == node->len)
        *bucket = strtod(node->text, &end);
    if (!end || *end != '\0' || !isfinite(*bucket) || *bucket <= 0 ||
        *bucket > MAX_BUCKET_SECONDS) {
        report_error(&l->report, node->at,
                     "histogram_buckets: a bound is a number of seconds above 0, at most %g",
                     MAX_BUCKET_SECONDS);
        return false;
    }
    if (*bucket <= above) {
        report_error(&l->report, node->at,
                     "histogram_buckets: bounds must ascend; %g comes after %g", *bucket, above);
        return false;
    }
    return true;
}

static void load_buckets(struct loading *l)
{
    const struct yaml_node *node = l->top.slots[SLOT_BUCKETS].node;
    struct settings *settings = &l->set->settings;
    double last = 0;
    size_t n = 0;

    if (!node || !expect(l, node, YAML_LIST, "histogram_buckets", "write for example [0.01, 0.1]"))
        return;
    if (node->n < 1 || node->n > MAX_BUCKETS) {
        report_error(&l->report, node->at, "histogram_buckets: %zu bounds; 1 to %d are allowed",
                     node->n, MAX_BUCKETS);
        return;
    }
    for (const struct yaml_entry *e = node->first; e; e = e->next) {
        if (!read_bucket(l, e->value, last, &last))
            return;
        settings->buckets[n++] = last;
    }
    settings->n_buckets = n;
}

static void load_tree(struct loading *l, const struct yaml_node *root)
{
    const struct yaml_node *defaults;

    if (!expect(l, root, YAML_MAP, "configuration", "it begins with a key, such as \"clusters:\""))
        return;
    read_layer(&l->building.reader, root, LEVEL_TOP, &l->top);
    load_limits(l);
    load_buckets(l);
    defaults = l->top.slots[SLOT_DEFAULTS].node;
    if (defaults && expect(l, defaults, YAML_MAP, "defaults", "write for example {interval: 30s}"))
        read_layer(&l->building.reader, defaults, LEVEL_DEFAULTS, &l->defaults);
    load_clusters(l);
}

/* One loading, from start to end. */

static bool loading_start(struct loading *l, const char *name, struct config_messages *messages)
{
    struct arena *arena = arena_new();
    const char *slash = strrchr(name, '/');

    report_start(&l->report, name, messages);
    l->set = arena ? endpoint_set_new(arena) : NULL;
    if (!l->set) {
        arena_free(arena);
        report_no_memory(&l->report);
        return false;
    }
    l->set->settings = default_settings;
    l->building.reader.report = &l->report;
    l->building.reader.arena = arena;
    l->building.reader.directory =
        slash ? arena_strndup(arena, name, (size_t)(slash - name) + 1) : "";
    if (!l->building.reader.directory) {
        l->building.reader.directory = "";
        report_no_memory(&l->report);
    }
    return true;
}

/* The set, or NULL when there was any error. */
static struct endpoint_set *loading_finish(struct loading *l)
{
    static _Atomic uint64_t generations;
    struct endpoint_set *set = l->set;

    if (l->report.messages->errors == 0)
        building_finish(&l->building, set);
    building_deinit(&l->building);
    names_deinit(&l->clusters);
    report_finish(&l->report);
    if (l->report.messages->errors > 0) {
        endpoint_set_unref(set);
        return NULL;
    }
    set->generation = atomic_fetch_add(&generations, 1) + 1;
    return set;
}

struct endpoint_set *config_load_text(const char *name, const char *text, size_t len,
                                      struct config_messages *messages)
{
    static const struct yaml_node nothing = {.kind = YAML_NULL, .at = {1, 1}};
    struct loading l = {0};
    struct arena *scratch = arena_new();
    const struct yaml_node *root = NULL;

    if (!loading_start(&l, name, messages)) {
        arena_free(scratch);
        return NULL;
    }
    if (!scratch)
        report_no_memory(&l.report);
    else if (len > CONFIG_MAX_BYTES)
        report_error(&l.report, (struct place){0}, "larger than %zu MiB",
                     CONFIG_MAX_BYTES / 1024 / 1024);
    else
        root = yaml_parse(text, len, scratch, &l.report);
    if (root || messages->errors == 0)
        load_tree(&l, root ? root : &nothing);
    arena_free(scratch);
    return loading_finish(&l);
}

struct endpoint_set *config_load_dsn(const char *name, const char *dsn,
                                     struct config_messages *messages)
{
    struct loading l = {0};
    struct layer layer = {0};
    struct endpoint_source source = {"default", "default", {0}, {&layer}, 1};

    if (!loading_start(&l, name, messages))
        return NULL;
    l.building.reader.directory = "";
    l.building.reader.secrets_are_private = true;
    read_dsn(&l.building.reader, NULL, (struct place){0}, dsn, &layer);
    resolve_endpoint(&l.building, &source);
    return loading_finish(&l);
}

/* Everything there is to read, up to one byte more than is allowed. NULL with errno set. */
static char *read_file(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    char *text = NULL;

    *len = 0;
    while (fd >= 0) {
        ssize_t n;

        if (*len == size) {
            char *grown = realloc(text, size ? size * 2 : 65536);

            if (!grown)
                break;
            text = grown;
            size = size ? size * 2 : 65536;
        }
        n = read(fd, text + *len, size - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0)
            *len += (size_t)n;
        if (n == 0 || *len > CONFIG_MAX_BYTES) {
            close(fd);
            return text;
        }
        if (n < 0)
            break;
    }
    if (fd >= 0) {
        int why = errno;

        close(fd);
        if (text)
            str_wipe(text, *len);
        free(text);
        errno = why;
    }
    return NULL;
}

struct endpoint_set *config_load_file(const char *path, struct config_messages *messages)
{
    struct endpoint_set *set;
    size_t len;
    char *text = read_file(path, &len);

    if (!text) {
        struct report report;
        int why = errno;

        report_start(&report, path, messages);
        report_error(&report, (struct place){0}, "cannot be read: %s", strerror(why));
        return NULL;
    }
    set = config_load_text(path, text, len, messages);
    str_wipe(text, len); /* passwords may stand in it */
    free(text);
    return set;
}
