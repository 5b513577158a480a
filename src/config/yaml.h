#pragma once
/* A YAML document as a tree of plain nodes that know where they stand. The only file that includes
 * libfyaml.h is yaml.c.
 *
 * Aliases point to the anchored node itself, so the tree is small whatever it expands to; what it
 * would expand to is bounded all the same, because whoever walks it walks that. */
#include "report.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;

#define YAML_MAX_DEPTH 32
#define YAML_MAX_NODES 4000000 /* with aliases expanded */

enum yaml_kind { YAML_NULL, YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    struct place at;
    const char *text; /* of YAML_TEXT, NUL-terminated; may hold further NULs, see len */
    size_t len;
    bool quoted;              /* "30s" in quotes, or a block: text whatever it looks like */
    struct yaml_entry *first; /* of YAML_LIST and YAML_MAP, in order */
    struct yaml_entry *last;
    size_t n;      /* entries */
    size_t weight; /* nodes, aliases expanded */
};
struct yaml_entry {
    const struct yaml_node *key; /* YAML_TEXT; NULL in a list */
    const struct yaml_node *value;
    struct yaml_entry *next;
};

/* Parses one document, memory from `arena`, which must outlive the tree; every place in it is one
 * of `origin`. NULL with an error in the report, or NULL without one when the document is empty.
 * Keys that stand twice in one mapping are reported, and the tree is still good to look at. */
const struct yaml_node *yaml_parse(const char *text, size_t len, struct arena *arena,
                                   struct report *report, struct origin *origin);

/* "a list", "a mapping" …, for messages. */
const char *yaml_kind_name(enum yaml_kind kind);
