/* Settings of the whole exporter. */
#include "loading.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BUCKET_SECONDS 3600.0

static void load_limits(struct loading *l, const struct setting *setting)
{
    const struct yaml_node *node = setting->node;
    struct settings *settings = &l->set->settings;
    struct layer limits = {0};
    const struct {
        enum slot slot;
        size_t *value;
    } values[] = {
        {SLOT_IN_FLIGHT, &settings->max_in_flight},
        {SLOT_IN_FLIGHT_PER_ADDRESS, &settings->max_in_flight_per_address},
        {SLOT_CONNECTIONS_PER_SECOND, &settings->max_connections_per_second},
    };

    if (!expect_kind(l, node, YAML_MAP, "limits", "write for example {in_flight: 1024}"))
        return;
    read_layer(&l->building.reader, node, LEVEL_LIMITS, &limits);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (limits.slots[values[i].slot].key)
            *values[i].value = (size_t)limits.slots[values[i].slot].number;
    }
}

static bool read_bucket(struct loading *l, const struct yaml_node *node, double above,
                        double *bucket)
{
    char *end = NULL;

    if (node->kind == YAML_TEXT && node->len > 0 &&
        strspn(node->text, "0123456789.eE-+") == node->len)
        *bucket = strtod(node->text, &end);
    if (!end || *end != '\0' || !isfinite(*bucket) || *bucket <= 0 ||
        *bucket > MAX_BUCKET_SECONDS) {
        report_error(&l->report, node->at,
                     "histogram_buckets: a bound is a number of seconds above 0, at most %g",
                     MAX_BUCKET_SECONDS);
        return false;
    }
    if (*bucket <= above) {
        report_error(&l->report, node->at,
                     "histogram_buckets: bounds must ascend; %g comes after %g", *bucket, above);
        return false;
    }
    return true;
}

static void load_buckets(struct loading *l, const struct setting *setting)
{
    const struct yaml_node *node = setting->node;
    struct settings *settings = &l->set->settings;
    double last = 0;
    size_t n = 0;

    if (!expect_kind(l, node, YAML_LIST, "histogram_buckets", "write for example [0.01, 0.1]"))
        return;
    if (node->n < 1 || node->n > MAX_BUCKETS) {
        report_error(&l->report, node->at, "histogram_buckets: %zu bounds; 1 to %d are allowed",
                     node->n, MAX_BUCKETS);
        return;
    }
    for (const struct yaml_entry *e = node->first; e; e = e->next) {
        if (!read_bucket(l, e->value, last, &last))
            return;
        settings->buckets[n++] = last;
    }
    settings->n_buckets = n;
}

/* May it be given here? Once over all files. */
static bool claim_setting(struct loading *l, const struct setting *s, struct place *at)
{
    char where[PLACE_SIZE];

    if (!s->key || s->node->kind == YAML_NULL)
        return false;
    if (at->line > 0) {
        report_error(&l->report, s->at, "%s: already given %s; it holds for the whole exporter",
                     s->key->name, place_text(where, *at, s->at));
        return false;
    }
    *at = s->at;
    return true;
}

void load_settings(struct loading *l, const struct file *file)
{
    const struct setting *limits = &file->top.slots[SLOT_LIMITS];
    const struct setting *buckets = &file->top.slots[SLOT_BUCKETS];
    const struct setting *histograms = &file->top.slots[SLOT_HISTOGRAMS];

    if (claim_setting(l, limits, &l->limits_at))
        load_limits(l, limits);
    if (claim_setting(l, buckets, &l->buckets_at))
        load_buckets(l, buckets);
    if (claim_setting(l, histograms, &l->histograms_at))
        l->set->settings.histograms = (enum histograms)histograms->number;
}
