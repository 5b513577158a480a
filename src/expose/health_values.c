/* Single values of the health document. */
#include "health_values.h"

#include "pgtls/base/str.h"

#include <string.h>

json_t *health_text(const char *text)
{
    char cleaned[1024];
    json_t *json;

    if (!text || text[0] == '\0')
        return json_null();
    json = json_string(text);
    if (json)
        return json;
    /* Not UTF-8, which only a configuration can bring here. */
    str_clean(cleaned, sizeof cleaned, text, strlen(text));
    return json_string(cleaned);
}

json_t *health_time(int64_t realtime_ns)
{
    char text[STR_TIME_SIZE];

    if (realtime_ns <= 0)
        return json_null();
    str_time(text, realtime_ns, true);
    return json_string(text);
}

json_t *health_verdict(enum verdict verdict)
{
    return verdict == VERDICT_UNKNOWN ? json_null() : json_boolean(verdict == VERDICT_YES);
}

static json_t *all_or_none(json_t *whole, bool good)
{
    if (good)
        return whole;
    json_decref(whole);
    return NULL;
}

json_t *health_with(json_t *list, json_t *item)
{
    return all_or_none(list, json_array_append_new(list, item) == 0);
}

json_t *health_with_key(json_t *object, const char *key, json_t *value)
{
    return all_or_none(object, json_object_set_new(object, key, value) == 0);
}

json_t *health_promises(const enum verdict kept[PROMISE_COUNT])
{
    json_t *json = json_object();

    for (size_t i = 0; i < PROMISE_COUNT; i++)
        json = health_with_key(json, promise_name((enum promise)i), health_verdict(kept[i]));
    return json;
}
