#pragma once
/* Who may begin a login now: one per turn of the worker's loop, first come, first served.
 *
 * A login is ten times the work of an inspect. Begun all at once, a thousand of them share the
 * processor, so that each takes as long as all, and each holds its connection for as long. One per
 * turn adapts by itself: a turn lasts as long as the answers that came in take to be worked off, so
 * where servers are far the turns are short and many are in flight, and where the processor is what
 * everybody waits for, few are. A server that hangs takes no turn but its first. */
#include "watched.h"

void turns_init(struct watch_context *context, uv_loop_t *loop);
void turns_close(struct watch_context *context);

/* A login of this server is due. True: it begins now. False: it stands in line, and
 * watched_on_turn is called when its turn has come. */
bool turn_take(struct watched *w);

/* It no longer waits, if it did. */
void turn_leave(struct watched *w);

/* One that stands in line has become free: nothing of its server is in flight any more. */
void turn_wake(struct watched *w);
