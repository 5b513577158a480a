#pragma once
/* Single values of the health document, and of other JSON that is to read like it. */
#include "pgtls/model/promise.h"

#include <jansson.h>

/* True, false, or null. */
json_t *health_verdict(enum verdict verdict);

/* RFC 3339, or null for 0. */
json_t *health_time(int64_t realtime_ns);

/* The text, or null for NULL and "". */
json_t *health_text(const char *text);

/* The list, or object, with one more; takes over both. NULL, and nothing left of either, without
 * memory. */
json_t *health_with(json_t *list, json_t *item);
json_t *health_with_key(json_t *object, const char *key, json_t *value);

/* Each promise by its name: true, false, or null. */
json_t *health_promises(const enum verdict kept[PROMISE_COUNT]);
