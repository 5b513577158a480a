/* Who asked by HTTP for a reload, and waits to be told what came of it. */
#include "askers.h"

#include <stdlib.h>

#define ENDING "the exporter is ending"

struct asker {
    struct asker *next;
    void (*told)(void *context, bool done, const char *message);
    void *context;
};

struct asker *askers_take(struct askers *askers, bool ending)
{
    struct asker *waiting;

    pthread_mutex_lock(&askers->lock);
    waiting = askers->waiting;
    askers->waiting = NULL;
    askers->ending = ending;
    pthread_mutex_unlock(&askers->lock);
    return waiting;
}

void askers_tell(struct asker *waiting, bool done, const char *message)
{
    while (waiting) {
        struct asker *next = waiting->next;

        waiting->told(waiting->context, done, message);
        free(waiting);
        waiting = next;
    }
}

bool askers_add(struct askers *askers, uv_async_t *wake,
                void (*told)(void *context, bool done, const char *message), void *context)
{
    struct asker *asker = malloc(sizeof *asker);
    bool ending;

    if (!asker)
        return false;
    pthread_mutex_lock(&askers->lock);
    *asker = (struct asker){.next = askers->waiting, .told = told, .context = context};
    ending = askers->ending;
    if (!ending) {
        askers->waiting = asker;
        uv_async_send(wake); /* under the lock: the loop is there until it ends */
    }
    pthread_mutex_unlock(&askers->lock);
    if (ending) {
        asker->next = NULL;
        askers_tell(asker, false, ENDING);
    }
    return true;
}

void askers_end(struct askers *askers)
{
    askers_tell(askers_take(askers, true), false, ENDING);
}
