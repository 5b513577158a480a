/* file_sd: files are looked at once a second, and read when they have changed and look the same
 * twice: whoever writes one in place is done then. */
#include "look.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/file.h"
#include "pgtls/base/str.h"
#include "pgtls/config/config.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_NS    NS_PER_S
#define ERROR_SIZE 512

static const char special[] = "*?[";

/* All of it, NUL-terminated, to be freed; NULL with the reason. */
static char *read_file(const char *path, size_t *len, bool *no_memory, char *error, size_t size)
{
    int fd = file_open(path, CONFIG_MAX_BYTES, error, size);
    char *text = fd >= 0 ? malloc(CONFIG_MAX_BYTES + 1) : NULL;
    ssize_t n = text ? 1 : 0;

    if (fd < 0)
        return NULL;
    for (*len = 0; n > 0 && *len<CONFIG_MAX_BYTES; *len += n> 0 ? (size_t)n : 0)
        n = read(fd, text + *len, CONFIG_MAX_BYTES - *len);
    close(fd);
    if (text && n >= 0) {
        text[*len] = '\0';
        return text;
    }
    *no_memory = !text;
    snprintf(error, size, "%s: %s", path, text ? strerror(errno) : "out of memory");
    free(text);
    return NULL;
}

static void read_document(struct look *look, struct document *document)
{
    char error[ERROR_SIZE] = "", *text;
    bool no_memory = false;
    size_t len = 0;

    document->read = document->seen;
    text = read_file(document->place, &len, &no_memory, error, sizeof error);
    if (!text)
        look_failed(look, document, error);
    if (text ? !look_take(look, document, text, len) : no_memory)
        document->read = 0; /* the next look reads it again */
    free(text);
}

static void look_at(struct look *look, const char *path)
{
    struct document *document = look_document(look, path);
    uint64_t now = file_fingerprint(STR_HASH_START, path);

    if (!document || document->matched) /* by an earlier pattern: its time is not over yet */
        return;
    document->matched = true;
    /* The first time there is nothing better to wait for. */
    if (document->read == 0)
        document->seen = now;
    if (now != document->read && now == document->seen)
        read_document(look, document);
    document->seen = now;
}

/* A file that is written out is expected to be there; one that a pattern found may go. */
static bool is_written_out(const struct look *look, const char *path)
{
    for (size_t i = 0; i < look->discovery->n_items; i++) {
        if (strcmp(look->discovery->items[i], path) == 0)
            return !strpbrk(path, special);
    }
    return false;
}

/* A directory that is not there holds nothing. One that cannot be read may hold anything. */
static int on_glob_error(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

/* False when not all that this pattern means could be seen. */
static bool look_at_all(struct look *look, const char *pattern)
{
    char error[ERROR_SIZE];
    struct document *document;
    glob_t found = {.gl_pathc = 0};
    int result = glob(pattern, 0, on_glob_error, &found), why = errno;

    for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
        look_at(look, found.gl_pathv[i]);
    globfree(&found);
    if (result == 0 || result == GLOB_NOMATCH)
        return true;
    snprintf(error, sizeof error, "%s: a directory cannot be read: %s", pattern, strerror(why));
    document = look_document(look, pattern);
    if (document)
        look_failed(look, document, error);
    return false;
}

static void look_around(struct look *look)
{
    const struct discovery *d = look->discovery;
    struct document *next;
    bool all = true;

    for (struct document *document = look->documents; document; document = document->next)
        document->matched = false;
    for (size_t i = 0; i < d->n_items; i++) {
        if (!strpbrk(d->items[i], special))
            look_at(look, d->items[i]);
        else if (!look_at_all(look, d->items[i]))
            all = false;
    }
    for (struct document *document = look->documents; document && all; document = next) {
        next = document->next;
        if (!document->matched && !is_written_out(look, document->place))
            look_drop(look, document);
    }
    look->answered = true;
    look_again(look, LOOK_NS);
}

const struct look_kind look_files = {"file_sd", look_around, look_around, NULL};
