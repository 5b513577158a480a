/* Bytes of files, and the files of a directory. */
#include "files.h"

#include "pgtls/base/sandbox.h"
#include "pgtls/base/wipe.h"
#include "pgtls/config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BYTES ((size_t)65536)

static bool grow(struct bytes *b, size_t *size)
{
    size_t bigger = *size ? *size * 2 : FIRST_BYTES;
    char *grown = malloc(bigger);

    if (!grown)
        return false;
    if (b->text) {
        memcpy(grown, b->text, b->len);
        wipe_memory(b->text, b->len);
        free(b->text);
    }
    b->text = grown;
    *size = bigger;
    return true;
}

/* Everything there is to read, up to one byte more than is allowed. False with errno set. */
static bool read_all(int fd, struct bytes *b)
{
    size_t size = 0;

    for (;;) {
        ssize_t n;

        if (b->len == size && !grow(b, &size))
            return false;
        n = read(fd, b->text + b->len, size - b->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        b->len += (size_t)n;
        if (n == 0 || b->len > CONFIG_MAX_BYTES)
            return true;
    }
}

struct bytes file_read(const char *path)
{
    struct bytes b = {.text = NULL};
    /* A pipe nobody writes to must not hold up a reload; it reads as empty. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool good = fd >= 0 && read_all(fd, &b);
    int why = errno;

    if (fd >= 0)
        close(fd);
    if (!good) {
        bytes_free(&b);
        b.no_memory = why == ENOMEM;
        snprintf(b.trouble, sizeof b.trouble, "cannot be read: %s",
                 sandbox_why(why) ? sandbox_why(why) : strerror(why));
    }
    return b;
}

void bytes_free(struct bytes *b)
{
    if (b->text)
        wipe_memory(b->text, b->len);
    free(b->text);
    *b = (struct bytes){.text = NULL};
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t len = strlen(name), n = strlen(suffix);

    return len > n && strcmp(name + len - n, suffix) == 0;
}

static bool is_wanted(const char *directory, const char *name)
{
    char path[4096];
    struct stat st;

    if (name[0] == '.' || !(has_suffix(name, ".yml") || has_suffix(name, ".yaml")))
        return false;
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return true; /* reading it will tell */
    return stat(path, &st) != 0 || !S_ISDIR(st.st_mode);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *join(const char *directory, const char *name)
{
    size_t len = strlen(directory);
    size_t size = len + strlen(name) + 2;
    char *path = malloc(size);

    if (path)
        snprintf(path, size, "%s%s%s", directory, len && directory[len - 1] == '/' ? "" : "/",
                 name);
    return path;
}

static bool add_name(struct file_names *names, char *path)
{
    char **grown = path ? realloc(names->items, (names->n + 1) * sizeof *grown) : NULL;

    if (!grown) {
        free(path);
        snprintf(names->trouble, sizeof names->trouble, "out of memory");
        names->no_memory = true;
        return false;
    }
    names->items = grown;
    names->items[names->n++] = path;
    return true;
}

struct file_names directory_list(const char *path, size_t max)
{
    struct file_names names = {.items = NULL};
    DIR *directory = opendir(path);
    struct dirent *entry;

    if (!directory) {
        names.no_memory = errno == ENOMEM;
        snprintf(names.trouble, sizeof names.trouble, "cannot be listed: %s", strerror(errno));
        return names;
    }
    while (names.trouble[0] == '\0' && (entry = readdir(directory)) != NULL) {
        if (!is_wanted(path, entry->d_name))
            continue;
        if (names.n == max)
            snprintf(names.trouble, sizeof names.trouble, "holds more than %zu configuration files",
                     max);
        else
            add_name(&names, join(path, entry->d_name));
    }
    closedir(directory);
    if (names.n == 0 && names.trouble[0] == '\0')
        snprintf(names.trouble, sizeof names.trouble,
                 "no *.yml or *.yaml in this directory; hidden files and subdirectories are not "
                 "looked at");
    if (names.n > 1)
        qsort(names.items, names.n, sizeof *names.items, by_name);
    return names;
}

void file_names_free(struct file_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct file_names){.items = NULL};
}
