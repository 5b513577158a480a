/* A login's steps, but for what libpq does in them. */
#include "login_step.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/tls/library.h"
#include "pgtls/tls/memory.h"

void step_begins(struct login *l)
{
    l->failures = tls_memory_failures();
    library_enter(l->library);
}

static void look_at_memory(struct login *l)
{
    l->no_memory = l->no_memory || tls_memory_failures() != l->failures;
}

void step_ends(struct login *l)
{
    library_leave();
    look_at_memory(l);
}

void step_lap(struct login *l)
{
    int64_t cpu_ns = clock_thread_cpu_ns(), now_ns = clock_monotonic_ns();

    if (l->running)
        stopwatch_worked(l->running, cpu_ns - l->cpu_mark_ns, now_ns);
    l->cpu_mark_ns = cpu_ns;
    l->idle_since_ns = now_ns;
}

void step_run(struct login *l, struct stopwatch *watch, int64_t from_ns)
{
    stopwatch_start(watch, from_ns);
    l->running = watch;
}

bool step_finish(struct login *l)
{
    struct evidence *e = &l->e;

    l->done = true;
    look_at_memory(l);
    if (l->no_memory && e->end != END_NONE && e->end != END_TIMEOUT && !e->error.present) {
        e->end = END_LOCAL;
        e->local = INTERNAL_MEMORY;
    }
    return false;
}

bool step_fail_local(struct login *l, enum internal_reason reason, const char *text)
{
    l->e.end = END_LOCAL;
    l->e.local = reason;
    str_copy(l->text, sizeof l->text, text);
    return step_finish(l);
}
