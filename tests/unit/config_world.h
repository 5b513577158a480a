#pragma once
/* For tests of configurations that are texts: loading one, and what was said of it. Who wants
 * another file name than "t.yml" defines CONFIG_FILE first. */
#include "pgtls/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
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

/* A text that is wrong, and the first message that it gets. */
struct mistake {
    const char *text, *message;
};

/* Each gets its message, and none says the password "hunter2". */
static inline void assert_mistakes(const struct mistake *mistakes, size_t n)
{
    size_t wrong = 0;

    for (size_t i = 0; i < n; i++) {
        struct endpoint_set *set = load(mistakes[i].text);
        const char *got = messages.n > 0 ? messages.items[0].text : "nothing";

        if (set || strcmp(got, mistakes[i].message) != 0) {
            print_error("%s\n  expected %s\n  got      %s\n", mistakes[i].text, mistakes[i].message,
                        got);
            wrong++;
        }
        for (size_t j = 0; j < messages.n; j++)
            assert_null(strstr(messages.items[j].text, "hunter2"));
        endpoint_set_unref(set);
    }
    assert_int_equal(wrong, 0);
}

#ifdef PGTLS_SOURCE_DIR
/* A file of this project; the caller frees it. */
static inline char *read_source(const char *path)
{
    char full[4096], *text = calloc(1, 1 << 20);
    FILE *f;

    snprintf(full, sizeof full, "%s/%s", PGTLS_SOURCE_DIR, path);
    f = fopen(full, "r");
    assert_non_null(f);
    text[fread(text, 1, (1 << 20) - 1, f)] = '\0';
    fclose(f);
    return text;
}
#endif

/* After the last test. */
static inline int forget_messages(void **state)
{
    (void)state;
    config_messages_deinit(&messages);
    return 0;
}
