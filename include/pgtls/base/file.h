#pragma once
/* Files that somebody else names, and may replace by anything at any time. */
#include "pgtls/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is this a regular file of at most `max` bytes? Opening or reading anything else (a pipe, a
 * device, a socket) could block or never end. False with the path and the reason in `error`. One
 * stat; permission to read is not looked at. */
bool file_check(const char *path, size_t max, char *error, size_t size);

/* Opens it for reading; never blocks. -1 with the path and the reason in `error`. */
int file_open(const char *path, size_t max, char *error, size_t size);

/* Appends all that it holds; `to` says how much that may be. False with the path and the reason in
 * `error`; to->no_memory when that is why. */
bool file_append(const char *path, struct buf *to, char *error, size_t size);

/* A value that changes when the file may have changed: device, inode, size and time of change of
 * what the path leads to. Goes on from `hash` (STR_HASH_START), so that several make one. */
uint64_t file_fingerprint(uint64_t hash, const char *path);

/* How long ago what the path leads to was written last; negative when that lies in the future,
 * INT64_MAX when there is nothing. */
int64_t file_age_ns(const char *path);
