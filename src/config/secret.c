/* Reading secrets where they are, when they are needed. */
#include "pgtls/config/secret.h"

#include "passfile.h"
#include "pgtls/base/file.h"
#include "pgtls/base/str.h"
#include "pgtls/base/wipe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSFILE_MAX_BYTES ((size_t)1024 * 1024)

/* Debian's libpq and upstream's look for sockets in different places by themselves; to a passfile a
 * socket in either is "localhost". */
static const char *const default_socket_directories[] = {"/var/run/postgresql", "/run/postgresql",
                                                         "/tmp"};

__attribute__((format(printf, 3, 4))) static bool fail(char *error, size_t size, const char *format,
                                                       ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, size, format, args);
    va_end(args);
    return false;
}

void secret_wipe(struct secret *secret)
{
    wipe_memory(secret, sizeof *secret);
}

/* Reads at most `max` bytes. Returns how many, -1 with a reason, also when there are more. */
static ssize_t read_all(const char *path, char *to, size_t max, char *error, size_t size)
{
    int fd = file_open(path, max, error, size);
    size_t len = 0;
    char one_more;
    ssize_t n = -1;

    if (fd < 0)
        return -1;
    while (len <= max) {
        n = len < max ? read(fd, to + len, max - len) : read(fd, &one_more, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (n < 0)
        fail(error, size, "%s: %s", path, strerror(errno));
    else if (len > max)
        fail(error, size, "%s: longer than %zu bytes", path, max);
    close(fd);
    return n < 0 || len > max ? -1 : (ssize_t)len;
}

static bool read_from_file(const char *path, struct secret *secret, char *error, size_t size)
{
    /* Room for the newline that is dropped. */
    char text[SECRET_MAX_BYTES + 2];
    ssize_t n = read_all(path, text, sizeof text, error, size);
    size_t len = n < 0 ? 0 : (size_t)n;
    bool ok = false;

    if (len > 0 && text[len - 1] == '\n') {
        len--;
        if (len > 0 && text[len - 1] == '\r')
            len--;
    }
    if (n >= 0 && len == 0)
        fail(error, size, "%s: empty", path);
    else if (n >= 0 && len > SECRET_MAX_BYTES)
        fail(error, size, "%s: longer than %zu bytes", path, SECRET_MAX_BYTES);
    else if (n >= 0 && memchr(text, '\0', len))
        fail(error, size, "%s: holds a NUL byte", path);
    else if (n >= 0 && memchr(text, '\n', len))
        fail(error, size, "%s: more than one line; a secret is one", path);
    else
        ok = n >= 0;
    if (ok) {
        memcpy(secret->text, text, len);
        secret->text[len] = '\0';
        secret->present = true;
    }
    wipe_memory(text, sizeof text);
    return ok;
}

static bool read_from_text(const char *text, const char *what, struct secret *secret, char *error,
                           size_t size)
{
    if (!text)
        return fail(error, size, "%s is not set", what);
    if (text[0] == '\0')
        return fail(error, size, "%s is empty", what);
    if (strchr(text, '\n'))
        return fail(error, size, "%s has more than one line; a secret is one", what);
    if (strlen(text) > SECRET_MAX_BYTES)
        return fail(error, size, "%s is longer than %zu bytes", what, SECRET_MAX_BYTES);
    secret->present = str_copy(secret->text, sizeof secret->text, text);
    return true;
}

static bool read_from_environment(const char *name, struct secret *secret, char *error, size_t size)
{
    char what[300];

    snprintf(what, sizeof what, "environment variable %s", name);
    return read_from_text(getenv(name), what, secret, error, size);
}

/* What libpq looks for under "host". */
static const char *passfile_host(const struct server *server)
{
    const char *host = server->host ? server->host : server->hostaddr;

    if (!host)
        return "localhost";
    for (size_t i = 0; i < sizeof default_socket_directories / sizeof *default_socket_directories;
         i++) {
        if (strcmp(host, default_socket_directories[i]) == 0)
            return "localhost";
    }
    return host;
}

static bool read_from_passfile(const char *path, const struct server *server, struct secret *secret,
                               char *error, size_t size)
{
    char port[8], *bytes;
    const char *const fields[4] = {passfile_host(server), port, server->dbname, server->user};
    bool too_long = false;
    ssize_t n;

    if (!server->dbname || !server->user)
        return true; /* nobody to look for */
    bytes = malloc(PASSFILE_MAX_BYTES);
    if (!bytes)
        return fail(error, size, "out of memory");
    snprintf(port, sizeof port, "%u", (unsigned)server->port);
    n = read_all(path, bytes, PASSFILE_MAX_BYTES, error, size);
    if (n >= 0) {
        secret->present =
            passfile_find(bytes, (size_t)n, fields, secret->text, sizeof secret->text, &too_long);
        wipe_memory(bytes, (size_t)n);
    }
    free(bytes);
    if (too_long)
        return fail(error, size, "%s: a password longer than %zu bytes", path, SECRET_MAX_BYTES);
    return n >= 0;
}

bool secret_read(const struct secret_ref *ref, const struct server *server, struct secret *secret,
                 char *error, size_t size)
{
    secret->present = false;
    secret->text[0] = '\0';
    switch (ref->source) {
    case SECRET_NONE:
        return true;
    case SECRET_INLINE:
        return read_from_text(ref->value, "the configured secret", secret, error, size);
    case SECRET_FILE:
        return read_from_file(ref->value, secret, error, size);
    case SECRET_ENVIRONMENT:
        return read_from_environment(ref->value, secret, error, size);
    case SECRET_PASSFILE:
        return read_from_passfile(ref->value, server, secret, error, size);
    }
    return fail(error, size, "unknown kind of secret");
}

/* Through symbolic links. The time of change also tells of what keeps the other one (cp -p). */
static uint64_t add_file(uint64_t hash, const char *path)
{
    struct stat st = {0};
    char text[160];

    if (stat(path, &st) != 0)
        memset(&st, 0, sizeof st);
    snprintf(text, sizeof text, "%llu.%llu.%lld.%lld.%ld.%lld.%ld|", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
             st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    return str_hash(hash, text);
}

uint64_t secret_generation(const struct server *s)
{
    const struct secret_ref *refs[] = {&s->password, &s->sslpassword};
    const char *const files[] = {s->sslcert, s->sslkey};
    uint64_t hash = STR_HASH_START;

    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        if (refs[i]->source == SECRET_FILE || refs[i]->source == SECRET_PASSFILE)
            hash = add_file(hash, refs[i]->value);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (files[i])
            hash = add_file(hash, files[i]);
    }
    return hash;
}
