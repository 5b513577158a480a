/* What the targets share, see target.h. */
#include "target.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__has_feature) && defined(__clang__)
#if __has_feature(address_sanitizer)
#include <sanitizer/allocator_interface.h>
#define COUNTS_MEMORY
#endif
#endif

void target_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

void memory_file_write(struct memory_file *file, const void *bytes, size_t len)
{
    if (!file->path[0]) {
        file->fd = memfd_create("fuzz", MFD_CLOEXEC);
        require(file->fd >= 0 && fchmod(file->fd, S_IRUSR | S_IWUSR) == 0);
        snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
    }
    require(ftruncate(file->fd, 0) == 0);
    require(len == 0 || pwrite(file->fd, bytes, len, 0) == (ssize_t)len);
}

#ifdef COUNTS_MEMORY

static _Thread_local bool watched;
static _Thread_local size_t held, peak;

static void on_malloc(const volatile void *p, size_t size)
{
    (void)p;
    if (!watched)
        return;
    held += size;
    peak = held > peak ? held : peak;
}

/* What was allocated before counts for nothing when it is freed. */
static void on_free(const volatile void *p)
{
    size_t size = watched && p ? __sanitizer_get_allocated_size((const void *)(uintptr_t)p) : 0;

    held -= size < held ? size : held;
}

void memory_watch(void)
{
    static bool installed;

    if (!installed)
        installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0;
    held = peak = 0;
    watched = true;
}

size_t memory_peak(void)
{
    watched = false;
    return peak;
}

#else

void memory_watch(void)
{
}

size_t memory_peak(void)
{
    return 0;
}

#endif
