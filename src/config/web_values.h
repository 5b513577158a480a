#pragma once
/* Values of the web configuration, one reader for each kind: a node of YAML into one place, false
 * after reporting why it does not fit. `what` is the key, for messages. */
#include "report.h"
#include "yaml.h"

#include "pgtls/config/web_config.h"

struct web_reading {
    struct report *report;
    struct arena *arena;
    struct web_config *config;
};

/* What is null, or not there at all, is an empty text. */
bool web_text(struct web_reading *r, const char *what, const struct yaml_node *node,
              const char **to);
bool web_bool(struct web_reading *r, const char *what, const struct yaml_node *node, bool *to);
bool web_duration(struct web_reading *r, const char *what, const struct yaml_node *node,
                  int64_t *to);
bool web_count(struct web_reading *r, const char *what, const struct yaml_node *node, int64_t *to);

/* One of n names: its index. */
bool web_name(struct web_reading *r, const char *what, const struct yaml_node *node,
              const char *const *names, size_t n, size_t *to);

/* Is it a mapping, a list? null counts as an empty one: then false, and nothing is reported. */
bool web_opens(struct web_reading *r, const char *what, const struct yaml_node *node,
               enum yaml_kind kind);

/* A bcrypt hash, or the empty text after an error. */
bool web_hash(struct web_reading *r, const struct yaml_node *user, const struct yaml_node *node,
              const char **to);
