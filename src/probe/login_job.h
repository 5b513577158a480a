#pragma once
/* The long step of a login (LOGIN_WANT_WORK) on the thread pool, so that a server which asks for a
 * million iterations of SCRAM makes nobody late but itself. */
#include "pgtls/model/server.h"
#include "pgtls/pg/login.h"

#include <uv.h>

struct login_job;

/* `set` is what the login borrows from; a reference is taken. `done` is called on the loop when the
 * step is over; the job is gone then. NULL when out of memory. */
struct login_job *login_job_start(uv_loop_t *loop, struct login *login, struct endpoint_set *set,
                                  void (*done)(void *owner), void *owner);

/* Nobody waits for it any more: `done` is not called, and the login is freed when the step is over.
 */
void login_job_abandon(struct login_job *job);
