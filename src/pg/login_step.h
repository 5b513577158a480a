#pragma once
/* A login's steps: their time, whether OpenSSL had memory for them, and how they end. */
#include "login_state.h"

/* Around every call of libpq's in this thread. */
void step_begins(struct login *l);
void step_ends(struct login *l);

/* Ends our step: its CPU goes to the running phase, and from now on we wait. */
void step_lap(struct login *l);

/* A phase begins. */
void step_run(struct login *l, struct stopwatch *watch, int64_t from_ns);

/* The login is over, as its evidence says; false, for whoever returns it. */
bool step_finish(struct login *l);
bool step_fail_local(struct login *l, enum internal_reason reason, const char *text);
