#pragma once
/* Those who are due and whom a cap holds back. Two lines, one for servers that answered promptly
 * the last time and one for the others, served in turns: however long the line of those that hang,
 * nobody else stands in it. */
#include "watched.h"

void queue_init(struct watch_context *context, uv_loop_t *loop);

/* A cap refused to let it start. It stays in line until it starts or queue_remove takes it out. */
void queue_add(struct watched *w, enum cap cap, enum pace pace);
void queue_remove(struct watched *w);

/* Whoever waits may try again, from the front; who waits for room at his own address lets the
 * others pass. */
void queue_run(struct watch_context *context);
