#pragma once
/* What an input of the configuration holds at one time: immutable, counted, wiped when it goes. */
#include "files.h"
#include "loading.h"

struct content {
    int references;
    uint64_t hash; /* equal content, equal hash; never 0 */
    char *text;    /* of a file, in the vault: passwords may stand in it */
    size_t len;
    char trouble[128];   /* why it could not be read */
    bool nothing;        /* a directory that could be listed: has no content of its own */
    struct arena *arena; /* of what follows */
    const char *dsn;
    const struct config_target_list *list;
};

/* NULL when out of memory; `bytes` is taken over, and freed in that case. */
struct content *content_of_file(struct bytes bytes);
struct content *content_of_directory(const char *trouble); /* "": it was listed */
struct content *content_of_dsn(const char *dsn);
struct content *content_of_targets(const struct config_target_list *list); /* copies all of it */

struct content *content_ref(struct content *content);
void content_unref(struct content *content); /* accepts NULL */

/* How it is loaded; `name` is that of its input. */
struct load_input content_input(const struct content *content, const char *name);
