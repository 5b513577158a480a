#pragma once
/* Probes and sessions that are due and that a cap holds back. Two lines, one for servers that
 * answered promptly the last time and one for the others, served in turns: however long the line of
 * those that hang, nobody else stands in it, and a turn is for one that starts. */
#include "watched.h"

void queue_init(struct watch_context *context, uv_loop_t *loop);

/* Starts what is due, by its try_start, or puts it in line for the cap that refused. There it stays
 * until it has started, has nothing to start any more (both CAP_NONE) or is taken out. */
void queue_start(struct watch_context *context, struct waiter *w);
void queue_remove(struct watch_context *context, struct waiter *w); /* if it is in line */

/* Whoever waits may try again, from the front; who waits for room at his own address lets the
 * others pass. */
void queue_run(struct watch_context *context);
