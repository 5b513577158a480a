#pragma once
/* How placeholders are written: "{name}" in a text, "{{" and "}}" for braces themselves. What they
 * stand for is expand.h's. */
#include "input.h"

#define MAX_PLACEHOLDER_BYTES 63 /* of a name */

/* Those that mean what is in force at the endpoint; others are the user's own (`vars`). */
struct builtin {
    const char *name;
    enum slot slot; /* SLOT_NAME: of the cluster, SLOT_ENDPOINTS: of the endpoint */
};
#define N_BUILTINS 6
extern const struct builtin builtins[N_BUILTINS];

/* NULL: it is none of them. */
const struct builtin *find_builtin(const char *name);

/* One piece of a text: what stands before the next brace, and what the brace is. */
struct scan {
    const char *at, *end;
    const char *plain; /* literal text */
    size_t plain_len;
    char name[MAX_PLACEHOLDER_BYTES + 1]; /* of a placeholder, "" if none follows */
};

/* The next piece; NULL, or what is wrong with the braces. */
const char *scan_next(struct scan *s);

/* Is there a brace in any text of it? Keys of mappings do not count. */
bool node_has_braces(const struct yaml_node *node);

/* Reports braces that make no placeholder. */
bool check_braces(const struct input *in, const struct yaml_node *node);
