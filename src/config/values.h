#pragma once
/* One reader per type of value: text to a setting, or an error that says what to write instead. */
#include "input.h"

/* Reads the value of any type but structure into its slot, which is claimed already. */
void read_value(const struct input *in, struct setting *to);

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

/* In values_path.c. A path, relative ones from the directory of the file they stand in. */
bool read_path(const struct input *in, struct setting *to);

/* Does this key name a file? Patterns of files are none. */
bool is_path(const struct key *key);

/* Notes a path that is about to be kept, or one that waits for an endpoint: of that, and of a
 * pattern, the directory that is sure. False with an error without memory. */
bool note_path(const struct input *in, const char *path);
