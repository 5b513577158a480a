#pragma once
/* Lookup in a libpq password file, on its bytes. Pure. */
#include <stdbool.h>
#include <stddef.h>

/* The password of the first line host:port:database:user:password that matches, as libpq's
 * passwordFromFile finds it, unescaped into `password` (size bytes). Returns false when there is
 * none; an empty one is none, too. `too_long` tells that the line was there but did not fit. */
bool passfile_find(const char *bytes, size_t len, const char *const fields[4], char *password,
                   size_t size, bool *too_long);
