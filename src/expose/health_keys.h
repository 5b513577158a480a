#pragma once
/* The keys of the health document, as paths: "endpoints[].servers[].fault". API. */
#include <stddef.h>

extern const char *const health_keys[];
extern const size_t health_key_count;
