/* What an input of the configuration holds at one time. */
#include "content.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"
#include "pgtls/base/vault.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* A text and where it ends; an absent one differs from an empty one. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text ? text : "\1", text ? strlen(text) + 1 : 1);
}

static struct content *new_content(void)
{
    struct content *c = calloc(1, sizeof *c);

    if (c)
        c->references = 1;
    return c;
}

static struct content *finish(struct content *c, uint64_t hash)
{
    c->hash = hash ? hash : 1;
    return c;
}

struct content *content_of_file(struct bytes bytes)
{
    struct content *c = bytes.no_memory ? NULL : new_content();
    uint64_t hash = bytes.text
                        ? hash_bytes(hash_text(STR_HASH_START, "text"), bytes.text, bytes.len)
                        : hash_text(STR_HASH_START, bytes.trouble);
    bool good = c != NULL;

    if (c && bytes.text) {
        c->text = vault_alloc(bytes.len);
        c->len = bytes.len;
        good = c->text != NULL;
    }
    if (good && bytes.text)
        memcpy(c->text, bytes.text, bytes.len);
    if (good)
        str_copy(c->trouble, sizeof c->trouble, bytes.trouble);
    bytes_free(&bytes);
    if (good)
        return finish(c, hash);
    content_unref(c);
    return NULL;
}

struct content *content_of_directory(const char *trouble)
{
    struct content *c = new_content();

    if (!c)
        return NULL;
    c->nothing = trouble[0] == '\0';
    str_copy(c->trouble, sizeof c->trouble, trouble);
    return finish(c, hash_text(STR_HASH_START, trouble));
}

struct content *content_of_dsn(const char *dsn)
{
    struct content *c = new_content();

    if (!c)
        return NULL;
    c->arena = arena_new();
    c->dsn = c->arena && dsn ? arena_strndup_secret(c->arena, dsn, strlen(dsn)) : NULL;
    if (c->dsn)
        return finish(c, hash_text(STR_HASH_START, dsn));
    content_unref(c);
    return NULL;
}

/* One text of a target, copied and hashed. */
struct copying {
    struct arena *arena;
    uint64_t hash;
    bool failed;
};

static const char *copy(struct copying *c, const char *text)
{
    char *to = text ? arena_strdup(c->arena, text) : NULL;

    c->hash = hash_text(c->hash, text);
    c->failed = c->failed || (text && !to);
    return to;
}

static void *copy_room(struct copying *c, size_t n, size_t size)
{
    void *room = arena_alloc(c->arena, (n + 1) * size);

    c->hash = hash_bytes(c->hash, (const char *)&n, sizeof n);
    c->failed = c->failed || !room;
    return room;
}

static void copy_target(struct copying *c, const struct config_target *from,
                        struct config_target *to)
{
    struct config_pair *keys = copy_room(c, from->n_keys, sizeof *keys);
    struct label *labels = copy_room(c, from->n_labels, sizeof *labels);

    *to = *from;
    to->cluster = copy(c, from->cluster);
    to->endpoint = copy(c, from->endpoint);
    to->keys = keys;
    to->labels = labels;
    for (size_t i = 0; i < from->n_keys && !c->failed; i++)
        keys[i] = (struct config_pair){copy(c, from->keys[i].key), copy(c, from->keys[i].value)};
    for (size_t i = 0; i < from->n_labels && !c->failed; i++)
        labels[i] = (struct label){copy(c, from->labels[i].name), copy(c, from->labels[i].value)};
}

struct content *content_of_targets(const struct config_target_list *list)
{
    struct content *content = new_content();
    struct copying c = {.hash = STR_HASH_START};
    struct config_target_list *to;
    struct config_target *targets;

    if (!content)
        return NULL;
    content->arena = c.arena = arena_new();
    if (!c.arena) {
        content_unref(content);
        return NULL;
    }
    to = arena_alloc(c.arena, sizeof *to);
    targets = copy_room(&c, list->n, sizeof *targets);
    if (to)
        *to = (struct config_target_list){copy(&c, list->name), copy(&c, list->template), targets,
                                          list->n};
    for (size_t i = 0; i < list->n && to && !c.failed; i++)
        copy_target(&c, &list->targets[i], &targets[i]);
    if (!to || c.failed) {
        content_unref(content);
        return NULL;
    }
    content->list = to;
    return finish(content, c.hash);
}

struct content *content_ref(struct content *content)
{
    if (content)
        content->references++;
    return content;
}

void content_unref(struct content *content)
{
    if (!content || --content->references > 0)
        return;
    vault_free(content->text);
    arena_free(content->arena);
    free(content);
}

struct load_input content_input(const struct content *content, const char *name)
{
    struct load_input input = {.name = name,
                               .text = content->text,
                               .len = content->len,
                               .dsn = content->dsn,
                               .list = content->list};

    if (!input.text && !input.dsn && !input.list)
        input.trouble = content->trouble;
    return input;
}
