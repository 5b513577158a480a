#pragma once
/* libuv's loops where memory is at its end. A loop keeps one pointer per descriptor, and libuv
 * calls abort() when there is no memory for more of them; so it is asked for before libuv needs it.
 * All else that libuv allocates it reports when it cannot. */
#include <stdbool.h>

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_poll_s uv_poll_t;

/* uv_loop_init(). False without memory or descriptors. The first one comes before the program's
 * other threads. */
bool loop_init(uv_loop_t *loop);

/* uv_poll_start(): 0, or libuv's error. UV_ENOMEM where libuv would have ended the program: nothing
 * is watched then. */
int loop_poll(uv_poll_t *poll, int events,
              void (*on_ready)(uv_poll_t *poll, int status, int events));
