#pragma once
/* The sandbox of the daemon: pgtls/base/sandbox.h, with what this configuration takes. */
#include "pgtls/app/flags.h"
#include "pgtls/model/server.h"

typedef struct uv_loop_s uv_loop_t;

/* Gives up everything but system calls. In the main thread, once the first set is built and every
 * address listened on, and before any other thread: what later sets name elsewhere than here cannot
 * be read. */
void confine_begin(const struct flags *flags, const struct endpoint_set *set);

/* Says in the log which files that a later set names the sandbox hides, when they become other ones
 * in number. In the main thread. */
void confine_tell_hidden(const struct endpoint_set *set);

/* Says once in the log that there are more secrets than memory that may be locked. In the main
 * thread. */
void confine_tell_unlocked(void);

/* Gives up system calls, too, once everything runs, and says in the log what is in force. Refused
 * calls are told on the loop. */
void confine_complete(const struct flags *flags, uv_loop_t *loop);

/* Before the loop's handles are closed. */
void confine_end(void);
