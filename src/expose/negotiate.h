#pragma once
/* Choosing by Accept and Accept-Encoding (RFC 9110, 12.5). */
#include <stdbool.h>

/* gzip is acceptable and not less welcome than no encoding at all. NULL: no. */
bool negotiate_gzip(const char *accept_encoding);
