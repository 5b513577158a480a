/* Loops that survive without memory. */
#include "pgtls/net/loop.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define FEW_DESCRIPTORS 8 /* that a new loop opens for itself, and more */

/* What libuv's next realloc() in this thread is handed if there is nothing else to be had. */
static _Thread_local struct {
    void *memory;
    size_t size;
} spare;

static void *on_realloc(void *memory, size_t size)
{
    size_t old = memory ? malloc_usable_size(memory) : 0;
    void *moved = realloc(memory, size);

    if (moved || size == 0 || !spare.memory || size > spare.size)
        return moved;
    moved = spare.memory;
    spare.memory = NULL;
    if (old > 0)
        memcpy(moved, memory, old < size ? old : size);
    free(memory);
    return moved;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void replace_allocator(void)
{
    uv_replace_allocator(malloc, on_realloc, calloc, free);
}

/* What a loop needs to watch this descriptor, as libuv reckons: a power of two. */
static bool spare_begin(int fd)
{
    size_t pointers = 1;

    pthread_once(&once, replace_allocator);
    while (pointers < (size_t)fd + 3) /* two are its own */
        pointers *= 2;
    spare.size = pointers * sizeof(void *);
    spare.memory = malloc(spare.size);
    return spare.memory != NULL;
}

static void spare_end(void)
{
    free(spare.memory);
    spare.memory = NULL;
}

bool loop_init(uv_loop_t *loop)
{
    int fd = dup(STDERR_FILENO); /* the lowest that is free */
    bool ok;

    if (fd >= 0)
        close(fd);
    ok = spare_begin((fd > 0 ? fd : 0) + FEW_DESCRIPTORS) && uv_loop_init(loop) == 0;
    spare_end();
    return ok;
}

int loop_poll(uv_poll_t *poll, int events,
              void (*on_ready)(uv_poll_t *poll, int status, int events))
{
    uv_os_fd_t fd;
    int result = uv_fileno((const uv_handle_t *)poll, &fd);

    if (result != 0)
        return result;
    if ((unsigned)fd < poll->loop->nwatchers)
        return uv_poll_start(poll, events, on_ready);
    result = spare_begin(fd) ? uv_poll_start(poll, events, on_ready) : UV_ENOMEM;
    spare_end();
    return result;
}
