#pragma once
/* --config.show: what is in force at an endpoint, and where it comes from. */
#include "in_force.h"

struct show {
    struct buf *to;
    const char *which;   /* "cluster" or "cluster/endpoint"; NULL: all */
    size_t n;            /* endpoints shown */
    size_t n_modules;    /* likewise */
    const char *cluster; /* shown last, NULL: none */
};

/* Writes an endpoint that is resolved, if it is asked for. */
void show_endpoint(struct show *show, const struct endpoint_source *source,
                   const struct server *server);

/* Writes modules as they were given, without the secrets that stand in them. */
void show_modules(struct show *show, const struct setting *s);

/* Writes a setting of the whole exporter as it was given. */
void show_setting(struct show *show, const struct setting *s);
