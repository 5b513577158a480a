/* Reads a certificate file. A private key may stand in it, too: what was read is wiped. */
#include "pgtls/tls/certificate_file.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/base/wipe.h"
#include "pgtls/tls/memory.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Changes when the file is replaced, written, or given to somebody else. */
static uint64_t signature_of(const struct stat *st)
{
    char text[160];

    snprintf(text, sizeof text, "%llu.%llu.%lld.%lld.%ld.%lld.%ld", (unsigned long long)st->st_dev,
             (unsigned long long)st->st_ino, (long long)st->st_size, (long long)st->st_mtim.tv_sec,
             st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
    return str_hash(STR_HASH_START, text);
}

/* A certificate needs no passphrase; without this OpenSSL would ask the terminal for one. */
static int refuse_passphrase(char *to, int size, int writing, void *data)
{
    (void)to, (void)size, (void)writing, (void)data;
    return -1;
}

static void take_leaf(struct certificate_file *file, const char *text, size_t len)
{
    uint64_t failures = tls_memory_failures();
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, refuse_passphrase, NULL) : NULL;

    if (leaf)
        certificate_facts(leaf, &file->leaf);
    if (tls_memory_failures() != failures)
        str_copy(file->error, sizeof file->error, "out of memory");
    else if (!leaf)
        str_copy(file->error, sizeof file->error, "no certificate in PEM format is in it");
    X509_free(leaf);
    BIO_free(bio);
    ERR_clear_error();
}

/* Everything there is, up to `size`. -1 with errno set. */
static ssize_t read_all(int fd, char *to, size_t size)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = read(fd, to + len, size - len);

        if (n == 0)
            break;
        if (n > 0)
            len += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)len;
}

static void read_content(struct certificate_file *file, int fd, size_t size)
{
    char *text = malloc(size + 1);
    ssize_t len;

    if (!text) {
        str_copy(file->error, sizeof file->error, "out of memory");
        return;
    }
    len = read_all(fd, text, size);
    if (len < 0)
        str_copy(file->error, sizeof file->error, strerror(errno));
    else
        take_leaf(file, text, (size_t)len);
    wipe_memory(text, size);
    free(text);
}

/* Unix time in nanoseconds, 0 for what does not fit: anybody may date a file. */
static int64_t modified_ns(const struct stat *st)
{
    if (st->st_mtim.tv_sec < 0 || st->st_mtim.tv_sec >= INT64_MAX / NS_PER_S)
        return 0;
    return st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;
}

/* Nothing is read that waits (a FIFO) or has no end (a device). */
static void load(struct certificate_file *file, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        str_copy(file->error, sizeof file->error, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        str_copy(file->error, sizeof file->error, "not a regular file");
    } else if ((uintmax_t)st.st_size > CERTIFICATE_FILE_MAX_BYTES) {
        snprintf(file->error, sizeof file->error, "larger than %zu bytes: not a certificate file",
                 CERTIFICATE_FILE_MAX_BYTES);
    } else {
        file->signature = signature_of(&st);
        file->modified_realtime_ns = modified_ns(&st);
        read_content(file, fd, (size_t)st.st_size);
    }
    if (fd >= 0)
        close(fd);
}

/* What could not be read is tried every time: its directory may be what has changed. */
static bool is_unchanged(const struct certificate_file *last, const char *path)
{
    struct stat st;

    return last && last->error[0] == '\0' && strcmp(last->path, path) == 0 &&
           stat(path, &st) == 0 && signature_of(&st) == last->signature;
}

struct certificate_file *certificate_file_look(struct certificate_file *last, const char *path)
{
    struct certificate_file *file;

    if (is_unchanged(last, path))
        return last;
    certificate_file_unref(last);
    file = certificate_file_new(path);
    if (file)
        load(file, path);
    return file;
}
