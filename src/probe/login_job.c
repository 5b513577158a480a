/* Long steps of logins, on libuv's threads. */
#include "login_job.h"

#include <stdlib.h>

struct login_job {
    uv_work_t work;
    struct login *login;
    struct endpoint_set *set;
    void (*done)(void *owner); /* NULL: abandoned */
    void *owner;
};

static void on_work(uv_work_t *work)
{
    struct login_job *job = work->data;

    login_work(job->login);
}

static void on_worked(uv_work_t *work, int status)
{
    struct login_job *job = work->data;
    void (*done)(void *owner) = job->done;
    void *owner = job->owner;

    (void)status; /* only an abandoned one is cancelled */
    if (!done)
        login_free(job->login);
    endpoint_set_unref(job->set);
    free(job);
    if (done)
        done(owner);
}

struct login_job *login_job_start(uv_loop_t *loop, struct login *login, struct endpoint_set *set,
                                  void (*done)(void *owner), void *owner)
{
    struct login_job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    *job = (struct login_job){.login = login, .done = done, .owner = owner};
    job->work.data = job;
    if (uv_queue_work(loop, &job->work, on_work, on_worked) != 0) {
        free(job);
        return NULL;
    }
    job->set = endpoint_set_ref(set);
    return job;
}

void login_job_abandon(struct login_job *job)
{
    job->done = NULL;
    uv_cancel((uv_req_t *)&job->work); /* if it has not begun */
}
