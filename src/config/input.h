#pragma once
/* A value that was found, on its way into a setting: where it stands, and how it is refused. */
#include "keys.h"

/* In YAML or in a connection string. */
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

/* Is this the name of an environment variable? */
bool check_variable(const struct input *in);

/* Keeps a text, which was just allocated; false with an error when that failed. */
bool keep_text(const struct input *in, struct setting *to, const char *text);

/* Not empty, at most `max` bytes, printable UTF-8. */
bool check_text(const struct input *in, size_t max);
