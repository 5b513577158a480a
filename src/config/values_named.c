/* Mappings from names to texts: labels, and placeholders of one's own. */
#include "values.h"

#include "pgtls/base/arena.h"
#include "placeholder.h"

#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

static bool is_identifier(const struct input *in)
{
    return strspn(in->text, letters) == in->len && (in->text[0] < '0' || in->text[0] > '9');
}

static bool check_label_name(const struct input *in)
{
    static const char *const ours[] = {
        "pg_cluster", "pg_endpoint",     "server",  "sslmode", "negotiation", "probe",
        "phase",      "class",           "fault",   "state",   "how",         "kind",
        "position",   "promise",         "session", "reason",  "le",          "quantile",
        "address",    "channel_binding", "pooler",  "version", "cipher",      "group",
        "alpn",       "subject",         "issuer",  "serial",  "key",         "signature",
        "text",
    };
    static const char *const theirs[] = {"job",     "instance",  "cluster", "endpoint",
                                         "service", "namespace", "pod",     "container"};
    char value[SHOWN_SIZE];

    if (!check_text(in, 63))
        return false;
    if (!is_identifier(in))
        return refuse(in,
                      "\"%s\" is not a label name; letters, digits and \"_\" make one, and no "
                      "digit begins it",
                      shown(value, in->text));
    if (strncmp(in->text, "__", 2) == 0)
        return refuse(in, "\"%s\": names that begin with \"__\" are Prometheus's own",
                      shown(value, in->text));
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (strcmp(in->text, ours[i]) == 0)
            return refuse(in, "\"%s\" is a label of the exporter's own; choose another name",
                          in->text);
    }
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        if (strcmp(in->text, theirs[i]) == 0)
            return refuse(in,
                          "\"%s\" is a label that Prometheus or its Operator sets; choose another "
                          "name",
                          in->text);
    }
    return true;
}

static bool check_var_name(const struct input *in)
{
    char value[SHOWN_SIZE];

    if (!check_text(in, 63))
        return false;
    if (!is_identifier(in))
        return refuse(in,
                      "\"%s\" is not a name for a placeholder; letters, digits and \"_\" make one, "
                      "and no digit begins it",
                      shown(value, in->text));
    if (find_builtin(in->text))
        return refuse(in, "{%s} means what is in force at the endpoint; choose another name",
                      in->text);
    return true;
}

const char *read_named_text(const struct input *in)
{
    struct setting value = {0};

    if (!check_text(in, (size_t)in->key->high) ||
        !keep_text(in, &value, arena_strndup(in->reader->arena, in->text, in->len)))
        return NULL;
    return value.text;
}

static void read_one(const struct input *in, const struct yaml_node *node, struct named_text *to)
{
    struct input part = *in;

    part.at = to->at = node->at;
    part.node = node;
    part.text = node->text;
    part.len = node->len;
    if (node->kind == YAML_NULL && node->len > 0)
        to->none = true;
    else if (node->kind != YAML_TEXT)
        refuse(&part, "%s where a text is needed", yaml_kind_name(node->kind));
    else
        to->label.value = read_named_text(&part);
    if (!to->label.value || in->reader->literal || !node_has_braces(node))
        return;
    to->deferred = true;
    check_braces(&part, node);
}

static bool read_named(const struct input *in, struct setting *to, size_t max, const char *example,
                       bool (*check_name)(const struct input *name))
{
    struct named_text *texts;
    size_t n = 0;

    if (!in->node || in->node->kind != YAML_MAP)
        return refuse(in, "a mapping is needed; write for example %s", example);
    if (in->node->n > max)
        return refuse(in, "%zu %s; at most %zu are allowed", in->node->n, in->key->name, max);
    texts = arena_alloc(in->reader->arena, in->node->n * sizeof *texts);
    if (!keep_text(in, to, texts ? "" : NULL) || !texts)
        return false;
    for (const struct yaml_entry *e = in->node->first; e; e = e->next) {
        struct input name = *in;

        name.at = e->key->at;
        name.text = e->key->text;
        name.len = e->key->len;
        if (!check_name(&name))
            continue;
        texts[n].label.name = arena_strdup(in->reader->arena, e->key->text);
        if (keep_text(in, to, texts[n].label.name))
            read_one(in, e->value, &texts[n++]);
    }
    to->labels = texts;
    to->n_labels = n;
    return true;
}

bool read_labels(const struct input *in, struct setting *to)
{
    return read_named(in, to, MAX_LABELS, "{team: platform}", check_label_name);
}

bool read_vars(const struct input *in, struct setting *to)
{
    return read_named(in, to, MAX_VARS, "{region: eu}", check_var_name);
}
