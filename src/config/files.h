#pragma once
/* Bytes of files, and the files of a directory. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a file held, or why it could not be read. */
struct bytes {
    char *text; /* at most one byte more than CONFIG_MAX_BYTES; NULL: see trouble */
    size_t len;
    char trouble[128]; /* why there is no text */
    bool no_memory;    /* that is why */
};
struct bytes file_read(const char *path);

/* Passwords may stand in it: wiped. Accepts what is zeroed. */
void bytes_free(struct bytes *bytes);

/* The configuration files of a directory, in the order of their names, as paths. */
struct file_names {
    char **items;
    size_t n;
    char trouble[128]; /* "" when it could be listed and is not empty */
    bool no_memory;
};
struct file_names directory_list(const char *path, size_t max);
void file_names_free(struct file_names *names);
