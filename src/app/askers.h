#pragma once
/* Who asked by HTTP for a reload, and waits to be told what came of it. */
#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

struct asker;

struct askers {
    pthread_mutex_t lock;
    struct asker *waiting; /* for the next one to begin */
    bool ending;           /* there is none any more */
};
#define ASKERS_INIT ((struct askers){.lock = PTHREAD_MUTEX_INITIALIZER})

/* Any thread: he is told by a call, once, after a reload that begins after this; at once when there
 * will be none. `wake` is sent to whoever reloads. False, and nobody is told, without memory. */
bool askers_add(struct askers *askers, uv_async_t *wake,
                void (*told)(void *context, bool done, const char *message), void *context);

/* Who waits by now. Whoever asks from now on wants what he has changed by now; `ending`: gets
 * nothing any more. */
struct asker *askers_take(struct askers *askers, bool ending);

/* Tells them all, and lets them go. */
void askers_tell(struct asker *waiting, bool done, const char *message);

/* No reload comes any more: those who wait are told, and those who still come. */
void askers_end(struct askers *askers);
