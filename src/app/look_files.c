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
#include <string.h>

#define LOOK_NS    NS_PER_S
#define ERROR_SIZE 512

static const char special[] = "*?[";

static void read_document(struct look *look, struct document *document)
{
    struct buf text = BUF_INIT(CONFIG_MAX_BYTES);
    char error[ERROR_SIZE];
    bool again;

    document->read = document->seen;
    if (file_append(document->place, &text, error, sizeof error)) {
        again = !look_take(look, document, buf_text(&text), text.len);
    } else {
        look_failed(look, document, error);
        again = text.no_memory;
    }
    if (again)
        document->read = 0; /* the next look reads it again */
    buf_deinit(&text);
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
