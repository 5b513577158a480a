#pragma once
/* One reader per type of value: text to a setting, or an error that says what to write instead. */
#include "keys.h"

/* A value that was found: where, of which key, in YAML or in a connection string. */
struct input {
    const struct reader *reader;
    struct layer *layer;
    const struct key *key;
    const char *what; /* what messages call it */
    struct place at;
    bool from_dsn;
    const struct yaml_node *node; /* NULL: from a connection string */
    const char *text;             /* of a single value, NUL-terminated */
    size_t len;
    bool quoted;
};

/* Reads the value of any type but structure into its slot, which is claimed already. */
void read_value(const struct input *in, struct setting *to);

/* Refuses a value: an error at its place, beginning with what it is called. Returns false. */
bool refuse(const struct input *in, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same key's value that stands at this place of its list. */
static inline struct input input_item(const struct input *in, const struct yaml_node *node)
{
    struct input item = *in;

    item.at = node->at;
    item.text = node->text;
    item.len = node->len;
    return item;
}

/* A value fit for a message: short, clean, and nothing that might hold a password. */
#define SHOWN_SIZE 80
const char *shown(char to[SHOWN_SIZE], const char *text);

/* In values_named.c. */
bool read_labels(const struct input *in, struct setting *to);
bool read_vars(const struct input *in, struct setting *to);

/* The value of a label or of a var whose placeholders are expanded; NULL after an error. */
const char *read_named_text(const struct input *in);

/* In values_file.c. */
bool read_dsn_value(const struct input *in, struct setting *to);
bool read_text_file(const struct input *in, struct setting *to);

/* In values_list.c. */
bool read_networks(const struct input *in, struct setting *to);
bool read_pins(const struct input *in, struct setting *to);
bool read_targets(const struct input *in, struct setting *to);
bool read_texts(const struct input *in, struct setting *to);
bool read_paths(const struct input *in, struct setting *to);
bool read_sessions(const struct input *in, struct setting *to);

/* In values_expect.c. */
bool read_expect(const struct input *in, struct setting *to);
bool read_faults(const struct input *in, struct setting *to);
bool read_classes(const struct input *in, struct setting *to);

/* A path, relative ones from the directory of the file they stand in. */
bool read_path(const struct input *in, struct setting *to);

/* Does this key name a file? Patterns of files are none. */
bool is_path(const struct key *key);

/* Notes a path that is about to be kept, or one that waits for an endpoint: of that, and of a
 * pattern, the directory that is sure. False with an error without memory. */
bool note_path(const struct input *in, const char *path);

/* Is this the name of an environment variable? */
bool check_variable(const struct input *in);

/* Keeps a text, which was just allocated; false with an error when that failed. */
bool keep_text(const struct input *in, struct setting *to, const char *text);

/* Not empty, at most `max` bytes, printable UTF-8. */
bool check_text(const struct input *in, size_t max);
