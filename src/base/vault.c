/* Memory for what stays secret for as long as we run: areas that are mapped for it alone, cut into
 * pieces, first fit. Few and small things are kept here, seldom. */
#include "pgtls/base/vault.h"

#include "pgtls/base/wipe.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What an unprivileged process may lock on every Linux since 2.6.9. */
#define AREA_BYTES ((size_t)64 * 1024)
#define ALIGN      _Alignof(max_align_t)

/* One after the other, from an area's first byte on to its end. */
struct piece {
    _Alignas(max_align_t) size_t size; /* of `bytes` */
    bool taken;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct area {
    struct area *next;
    size_t size; /* of `bytes` */
    _Alignas(max_align_t) unsigned char bytes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct area *areas;
static enum vault_kind worst;

/* --- areas ------------------------------------------------------------------------------------ */

/* NULL where the kernel has none such, or our limit of locked memory is reached. */
static void *map_hidden(size_t size)
{
#ifdef SYS_memfd_secret
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    void *at = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    return at == MAP_FAILED ? NULL : at;
#else
    (void)size;
    return NULL;
#endif
}

static void *map(size_t size, enum vault_kind *kind)
{
    void *at = map_hidden(size);

    *kind = VAULT_HIDDEN;
    if (!at) {
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            return NULL;
        *kind = mlock(at, size) == 0 ? VAULT_LOCKED : VAULT_UNLOCKED;
    }
    madvise(at, size, MADV_DONTDUMP);
    return at;
}

static struct piece *first_piece(struct area *area)
{
    return (struct piece *)area->bytes;
}

/* NULL: it is the last one. */
static struct piece *next_piece(const struct area *area, struct piece *piece)
{
    unsigned char *next = piece->bytes + piece->size;

    return next < area->bytes + area->size ? (struct piece *)next : NULL;
}

static struct area *add_area(size_t needed)
{
    size_t size = sizeof(struct area) + sizeof(struct piece) + needed;
    struct area *area;
    enum vault_kind kind;

    size = (size + AREA_BYTES - 1) / AREA_BYTES * AREA_BYTES;
    area = map(size, &kind);
    if (!area)
        return NULL;
    worst = kind > worst ? kind : worst;
    area->size = size - sizeof *area;
    first_piece(area)->size = area->size - sizeof(struct piece);
    area->next = areas;
    areas = area;
    return area;
}

static void drop_area(struct area *area)
{
    struct area **at = &areas;

    while (*at != area)
        at = &(*at)->next;
    *at = area->next;
    munmap(area, sizeof *area + area->size);
}

/* --- pieces ----------------------------------------------------------------------------------- */

/* Free neighbours become one. */
static void join(struct area *area)
{
    struct piece *next;

    for (struct piece *p = first_piece(area); p; p = next) {
        next = next_piece(area, p);
        if (next && !p->taken && !next->taken) {
            p->size += sizeof *next + next->size;
            wipe_memory(next, sizeof *next);
            next = p;
        }
    }
}

static void *take(struct piece *piece, size_t size)
{
    if (piece->size - size >= sizeof *piece + ALIGN) {
        struct piece *rest = (struct piece *)(piece->bytes + size);

        rest->size = piece->size - size - sizeof *rest;
        piece->size = size;
    }
    piece->taken = true;
    return piece->bytes;
}

static void *find(struct area *area, size_t size)
{
    for (struct piece *p = first_piece(area); p; p = next_piece(area, p)) {
        if (!p->taken && p->size >= size)
            return take(p, size);
    }
    return NULL;
}

void *vault_alloc(size_t size)
{
    void *memory = NULL;
    struct area *fresh;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = size > 0 ? (size + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    pthread_mutex_lock(&lock);
    for (struct area *area = areas; area && !memory; area = area->next)
        memory = find(area, size);
    if (!memory) {
        fresh = add_area(size);
        memory = fresh ? find(fresh, size) : NULL;
    }
    pthread_mutex_unlock(&lock);
    return memory;
}

/* The area that it is in: there is one. */
static struct area *area_of(const struct piece *piece)
{
    uintptr_t at = (uintptr_t)piece;
    struct area *area = areas;

    while (at - (uintptr_t)area->bytes >= area->size)
        area = area->next;
    return area;
}

void vault_free(void *memory)
{
    struct piece *piece;
    struct area *area;

    if (!memory)
        return;
    piece = (struct piece *)((unsigned char *)memory - offsetof(struct piece, bytes));
    pthread_mutex_lock(&lock);
    wipe_memory(piece->bytes, piece->size);
    piece->taken = false;
    area = area_of(piece);
    join(area);
    if (!first_piece(area)->taken && !next_piece(area, first_piece(area)) && areas->next)
        drop_area(area);
    pthread_mutex_unlock(&lock);
}

char *vault_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = vault_alloc(size);

    if (copy)
        memcpy(copy, text, size);
    return copy;
}

enum vault_kind vault_kind(void)
{
    enum vault_kind kind;

    pthread_mutex_lock(&lock);
    kind = worst;
    pthread_mutex_unlock(&lock);
    return kind;
}

void vault_environment(void)
{
    for (char **at = environ; at && *at; at++) {
        char *copy = vault_strdup(*at);

        if (!copy)
            return; /* what is left stays where it is: no worse than before */
        wipe_memory(*at, strlen(*at));
        *at = copy;
    }
}
