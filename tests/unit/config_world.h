#pragma once
/* For tests of configurations that are texts: loading one, and what was said of it. Who wants
 * another file name than "t.yml" defines CONFIG_FILE first. */
#include "pgtls/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#ifndef CONFIG_FILE
#define CONFIG_FILE "t.yml"
#endif

static struct config_messages messages; /* of the latest load */

static inline struct endpoint_set *load(const char *text)
{
    config_messages_deinit(&messages);
    return config_load_text(CONFIG_FILE, text, strlen(text), &messages);
}

/* Loads what must load. */
static inline struct endpoint_set *load_good(const char *text)
{
    struct endpoint_set *set = load(text);

    for (size_t i = 0; i < messages.n && !set; i++)
        print_error("%s\n", messages.items[i].text);
    assert_non_null(set);
    return set;
}

/* A server of one cluster "c" with one endpoint from the keys given. */
static inline struct endpoint_set *load_keys(const char *keys)
{
    char text[1024];

    snprintf(text, sizeof text, "clusters: [{name: c, %s}]", keys);
    return load_good(text);
}

/* After the last test. */
static inline int forget_messages(void **state)
{
    (void)state;
    config_messages_deinit(&messages);
    return 0;
}
