#pragma once
/* Who may begin a login now: first come, first served, at a pace.
 *
 * A login is ten times the work of an inspect. Of many that are begun at once each takes as long as
 * all of them, holds its connection for as long, and holds up the inspects that fall due. So they
 * begin one after the other, at twice the rate that their intervals ask for: a pile of them wears
 * off, and what is in flight is what the servers' distance makes it. */
#include "watched.h"

void turns_init(struct watch_context *context, uv_loop_t *loop);
void turns_close(struct watch_context *context);

/* How many logins per second the intervals of this worker's servers ask for. */
void turns_set_rate(struct watch_context *context, double per_second);

/* A login of this server is due. True: it begins now. False: it stands in line, and
 * watched_on_turn is called when its turn has come. */
bool turn_take(struct watched *w);

/* It no longer waits, if it did. */
void turn_leave(struct watched *w);

/* One that stands in line has become free: nothing of its server is in flight any more. */
void turn_wake(struct watched *w);
