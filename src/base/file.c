/* Files that somebody else names. */
#include "pgtls/base/file.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/sandbox.h"
#include "pgtls/base/str.h"
#include "pgtls/base/wipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)4096)

static const struct {
    mode_t type;
    const char *what;
} kinds[] = {
    {S_IFDIR, "a directory"},        {S_IFIFO, "a named pipe"},   {S_IFSOCK, "a socket"},
    {S_IFCHR, "a character device"}, {S_IFBLK, "a block device"},
};

static const char *kind_name(mode_t mode)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if ((mode & S_IFMT) == kinds[i].type)
            return kinds[i].what;
    }
    return "something else";
}

static bool check(const struct stat *st, const char *path, size_t max, char *error, size_t size)
{
    if (!S_ISREG(st->st_mode))
        snprintf(error, size, "%s: %s, not a regular file", path, kind_name(st->st_mode));
    else if (st->st_size > 0 && (size_t)st->st_size > max)
        snprintf(error, size, "%s: longer than %zu bytes", path, max);
    else
        return true;
    return false;
}

static bool fail_errno(const char *path, char *error, size_t size)
{
    int number = errno;
    const char *why = sandbox_why(number);
    struct stat st;

    if (number == ENOENT && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        snprintf(error, size, "%s: a link to a file that does not exist", path);
    else
        snprintf(error, size, "%s: %s", path, why ? why : strerror(number));
    return false;
}

bool file_check(const char *path, size_t max, char *error, size_t size)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return fail_errno(path, error, size);
    if (!check(&st, path, max, error, size))
        return false;
    /* Whoever opens it next may not be able to say so: OpenSSL, libpq. */
    if (sandbox_hides(path)) {
        errno = EACCES;
        return fail_errno(path, error, size);
    }
    return true;
}

int file_open(const char *path, size_t max, char *error, size_t size)
{
    struct stat st;
    int fd;

    /* Looked at before, because opening alone does something to some devices, and after, because it
     * may have been replaced meanwhile. */
    if (!file_check(path, max, error, size))
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        fail_errno(path, error, size);
    else if (check(&st, path, max, error, size))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool file_append(const char *path, struct buf *to, char *error, size_t size)
{
    size_t room = to->max - to->len;
    int fd = file_open(path, room, error, size);
    char piece[PIECE];
    ssize_t n;

    if (fd < 0)
        return false;
    do {
        n = read(fd, piece, sizeof piece);
        if (n > 0)
            buf_add(to, piece, (size_t)n);
    } while (!to->failed && (n > 0 || (n < 0 && errno == EINTR)));
    if (n < 0)
        fail_errno(path, error, size);
    else if (to->no_memory)
        snprintf(error, size, "%s: out of memory", path);
    else if (to->failed) /* it grew meanwhile */
        snprintf(error, size, "%s: longer than %zu bytes", path, room);
    close(fd);
    wipe_memory(piece, sizeof piece); /* a key, perhaps */
    return n >= 0 && !to->failed;
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%llu,", (unsigned long long)number);
    return str_hash(hash, text);
}

uint64_t file_fingerprint(uint64_t hash, const char *path)
{
    struct stat st;

    hash = str_hash(hash, path);
    if (stat(path, &st) != 0)
        return hash_number(hash, 0);
    hash = hash_number(hash, (uint64_t)st.st_dev);
    hash = hash_number(hash, (uint64_t)st.st_ino);
    hash = hash_number(hash, (uint64_t)st.st_size);
    hash = hash_number(hash, (uint64_t)st.st_mtim.tv_sec);
    return hash_number(hash, (uint64_t)st.st_mtim.tv_nsec);
}

int64_t file_age_ns(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return INT64_MAX;
    return clock_realtime_ns() - (st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec);
}
