/* How placeholders are written. */
#include "placeholder.h"

#include <string.h>

const struct builtin builtins[N_BUILTINS] = {
    {"cluster", SLOT_NAME}, {"endpoint", SLOT_ENDPOINTS}, {"host", SLOT_HOST},
    {"port", SLOT_PORT},    {"dbname", SLOT_DBNAME},      {"user", SLOT_USER},
};

const struct builtin *find_builtin(const char *name)
{
    for (size_t i = 0; i < N_BUILTINS; i++) {
        if (strcmp(builtins[i].name, name) == 0)
            return &builtins[i];
    }
    return NULL;
}

bool node_has_braces(const struct yaml_node *node)
{
    if (node->kind == YAML_TEXT)
        return memchr(node->text, '{', node->len) || memchr(node->text, '}', node->len);
    for (const struct yaml_entry *e = node->first; e; e = e->next) {
        if (node_has_braces(e->value))
            return true;
    }
    return false;
}

const char *scan_next(struct scan *s)
{
    const char *brace = s->at, *close;

    s->plain = s->at;
    s->name[0] = '\0';
    while (brace < s->end && *brace != '{' && *brace != '}')
        brace++;
    s->plain_len = (size_t)(brace - s->at);
    s->at = brace;
    if (brace == s->end)
        return NULL;
    if (brace + 1 < s->end && brace[1] == *brace) { /* one of the two is text */
        s->plain_len++;
        s->at += 2;
        return NULL;
    }
    if (*brace == '}')
        return "a \"}\" without \"{\"; the brace itself is written \"}}\"";
    close = memchr(brace, '}', (size_t)(s->end - brace));
    if (!close)
        return "a \"{\" is not closed; the brace itself is written \"{{\"";
    if (close - brace < 2 || close - brace - 1 > MAX_PLACEHOLDER_BYTES ||
        memchr(brace + 1, '{', (size_t)(close - brace - 1)))
        return "no name between \"{\" and \"}\"; the braces themselves are written \"{{\" and "
               "\"}}\"";
    memcpy(s->name, brace + 1, (size_t)(close - brace - 1));
    s->name[close - brace - 1] = '\0';
    s->at = close + 1;
    return NULL;
}

bool check_braces(const struct input *in, const struct yaml_node *node)
{
    struct scan scan = {.at = NULL};
    struct input part = *in;
    bool good = true;

    part.at = node->at;
    if (node->kind == YAML_TEXT) /* others have none */
        scan = (struct scan){.at = node->text, .end = node->text + node->len};
    while (scan.at < scan.end) {
        const char *wrong = scan_next(&scan);

        if (wrong)
            return refuse(&part, "%s", wrong);
    }
    for (const struct yaml_entry *e = node->first; e; e = e->next)
        good = check_braces(in, e->value) && good;
    return good;
}
