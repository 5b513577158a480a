/* Lines of the log on their way out. Who logs never waits for whoever reads: a pipe whose reader
 * has stopped, or a disk that hangs, would otherwise stop every worker and the HTTP server with it.
 * So lines wait here for a thread of their own, up to a bound; beyond it they are lost, and
 * counted. */
#include "log_private.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOTICE_BYTES 512
#define POLL_MS      100

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;  /* a line, the end; CLOCK_MONOTONIC */
    bool running, end, over; /* `over`: everything is out, and the thread is gone */
    struct buf waiting;
    _Atomic uint64_t lost;

    /* The thread's own. */
    uint64_t lost_told;
    bool torn; /* the latest line went out in part */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint64_t log_lost(void)
{
    return atomic_load_explicit(&queue.lost, memory_order_relaxed);
}

static bool write_all(const char *bytes, size_t n)
{
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

    while (n > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, n);

        if (written < 0 && errno == EAGAIN) { /* somebody has made it non-blocking */
            poll(&fd, 1, POLL_MS);
            continue;
        }
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        n -= (size_t)written;
        queue.torn = n > 0;
    }
    return true;
}

/* What is missing is said before what comes after it. */
static bool tell_lost(void)
{
    struct buf notice = BUF_INIT(NOTICE_BYTES);
    uint64_t lost = log_lost();
    char lines[24];
    bool told;

    if (lost == queue.lost_told)
        return true;
    snprintf(lines, sizeof lines, "%llu", (unsigned long long)(lost - queue.lost_told));
    log_line(&notice, LOG_LEVEL_WARN, __FILE__, __LINE__, "Lines of the log were lost",
             &(const struct log_pair){"lines", lines}, 1);
    told = !notice.failed && write_all(notice.data, notice.len);
    buf_deinit(&notice);
    if (told)
        queue.lost_told = lost;
    return told;
}

/* One write per line, so that other processes' lines do not get in between. */
static void write_line(const char *line, size_t len)
{
    if ((queue.torn && !write_all("\n", 1)) || !tell_lost() || !write_all(line, len))
        atomic_fetch_add(&queue.lost, 1); /* a full disk must not stop the monitor */
}

static void write_lines(const struct buf *lines)
{
    for (size_t at = 0; at < lines->len;) {
        const char *line = lines->data + at;
        const char *end = memchr(line, '\n', lines->len - at);
        size_t len = end ? (size_t)(end - line) + 1 : lines->len - at;

        write_line(line, len);
        at += len;
    }
}

static void *run(void *unused)
{
    struct buf lines;

    (void)unused;
    pthread_setname_np(pthread_self(), "log");
    pthread_mutex_lock(&queue.lock);
    while (!queue.end || queue.waiting.len > 0) {
        if (queue.waiting.len == 0) {
            pthread_cond_wait(&queue.changed, &queue.lock);
            continue;
        }
        lines = queue.waiting;
        queue.waiting = BUF_INIT(LOG_QUEUE_BYTES);
        pthread_mutex_unlock(&queue.lock);
        write_lines(&lines);
        buf_deinit(&lines);
        pthread_mutex_lock(&queue.lock);
    }
    queue.over = true;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    return NULL;
}

bool log_start(void)
{
    pthread_condattr_t monotonic;
    pthread_t thread;
    sigset_t all, before;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&queue.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    queue.waiting = BUF_INIT(LOG_QUEUE_BYTES);
    queue.end = queue.over = false;
    sandbox_all_signals(&all); /* signals are for the main thread; a pipe without a reader, too */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    queue.running = pthread_create(&thread, NULL, run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (queue.running)
        pthread_detach(thread); /* nobody may have to wait for one that hangs in write() */
    return queue.running;
}

bool log_stop(int64_t grace_ns)
{
    int64_t until_ns = clock_monotonic_ns() + grace_ns;
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};
    bool over = true;

    pthread_mutex_lock(&queue.lock);
    if (queue.running) {
        queue.end = true;
        pthread_cond_broadcast(&queue.changed);
        while (!queue.over &&
               pthread_cond_timedwait(&queue.changed, &queue.lock, &until) != ETIMEDOUT)
            ;
        over = queue.over;
        queue.running = !over;
    }
    pthread_mutex_unlock(&queue.lock);
    return over;
}

void log_queue_lose(void)
{
    atomic_fetch_add(&queue.lost, 1);
}

bool log_queue_add(const char *line, size_t len)
{
    bool taken;

    pthread_mutex_lock(&queue.lock);
    taken = queue.running;
    if (taken && len <= LOG_QUEUE_BYTES - queue.waiting.len)
        buf_add(&queue.waiting, line, len);
    else if (taken)
        queue.waiting.failed = true;
    if (taken && queue.waiting.failed) { /* no room, or no memory: what came before stays */
        queue.waiting.failed = false;
        atomic_fetch_add(&queue.lost, 1);
    }
    if (taken)
        pthread_cond_signal(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    return taken;
}
