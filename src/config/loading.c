/* What is asked of every node. */
#include "loading.h"

#include "pgtls/base/str.h"

bool expect_kind(struct loading *l, const struct yaml_node *node, enum yaml_kind kind,
                 const char *what, const char *hint)
{
    if (node->kind == kind)
        return true;
    report_error(&l->report, node->at, "%s: %s where %s is needed; %s", what,
                 yaml_kind_name(node->kind), yaml_kind_name(kind), hint);
    return false;
}

bool is_removal(const struct yaml_node *node)
{
    return node->kind == YAML_NULL && node->len > 0;
}

bool check_endpoint_name(struct loading *l, const struct yaml_node *key)
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
