/* Loaded before the C library (LD_PRELOAD): lets allocations fail and the wall clock step, while
 * the program runs, as a file says that is mapped (PGTLS_CHAOS). For tests of the program that
 * ships. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* As tests/tools/lab/chaos.py writes it. */
struct chaos {
    _Atomic int64_t clock_offset_s;
    _Atomic int64_t fail_every; /* of so many allocations one fails; 0: none */
    _Atomic int64_t allocations, failed;
    _Atomic int64_t fail_odds, seed; /* of so many one fails, which ones the seed says; 0: none */
    _Atomic int64_t fail_at, fail_more; /* this one, counted from the start, and so many more; 0 */
    _Atomic int64_t fail_bytes;         /* of at least so many bytes all; 0: none */
    _Atomic int64_t fail_most;          /* but of no more than so many; 0: of any */
    _Atomic int64_t live;               /* not freed yet */
    _Atomic int64_t fail_watch;         /* libuv watches no further descriptor */
};

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-*): the C library's own */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
/* NOLINTEND(bugprone-reserved-identifier,cert-*) */

static struct chaos *chaos;
static int (*real_gettime)(clockid_t, struct timespec *);
static void *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);
static int (*real_watch)(void *, void *, int);
static ssize_t (*real_recvmsg)(int, struct msghdr *, int);

static void find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(function, &found, sizeof found);
}

/* Who ends here says where: there is no core of a program that keeps secrets. */
/* NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c): it ends anyway */
static void on_end(int number)
{
    void *frames[64];
    int n = backtrace(frames, 64);

    backtrace_symbols_fd(frames, n, STDERR_FILENO);
    signal(number, SIG_DFL);
    raise(number);
}
/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("PGTLS_CHAOS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map, *frame;

    find(&real_gettime, "clock_gettime");
    find(&real_realloc, "__libc_realloc");
    find(&real_free, "__libc_free");
    find(&real_watch, "uv_poll_init");
    find(&real_recvmsg, "recvmsg");
    if (fd < 0)
        return;
    map = mmap(NULL, sizeof *chaos, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return;
    backtrace(&frame, 1); /* finds what it needs while there is memory */
    signal(SIGSEGV, on_end);
    signal(SIGABRT, on_end);
    chaos = map;
}

/* --- memory ----------------------------------------------------------------------------------- */

/* splitmix64: a number that nobody foresees, always the same. */
static uint64_t dice(uint64_t from)
{
    from += UINT64_C(0x9E3779B97F4A7C15);
    from = (from ^ from >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    from = (from ^ from >> 27) * UINT64_C(0x94D049BB133111EB);
    return from ^ from >> 31;
}

static int is_chosen(int64_t now, size_t size)
{
    int64_t every = atomic_load(&chaos->fail_every), odds = atomic_load(&chaos->fail_odds);
    int64_t at = atomic_load(&chaos->fail_at), bytes = atomic_load(&chaos->fail_bytes);
    int64_t most = atomic_load(&chaos->fail_most);
    uint64_t seed = (uint64_t)atomic_load(&chaos->seed);

    return (every > 0 && now % every == 0) ||
           (bytes > 0 && size >= (size_t)bytes && (most == 0 || size <= (size_t)most)) ||
           (odds > 0 && dice(dice(seed) + (uint64_t)now) % (uint64_t)odds == 0) ||
           (at > 0 && now >= at && now <= at + atomic_load(&chaos->fail_more));
}

static int fails(size_t size)
{
    if (!chaos || !is_chosen(atomic_fetch_add(&chaos->allocations, 1) + 1, size))
        return 0;
    atomic_fetch_add(&chaos->failed, 1);
    errno = ENOMEM;
    return 1;
}

static void *counted(void *memory)
{
    if (memory && chaos)
        atomic_fetch_add(&chaos->live, 1);
    return memory;
}

void *malloc(size_t size)
{
    return fails(size) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return fails(n * size) ? NULL : counted(__libc_calloc(n, size));
}

/* The program has a realloc() and a free() of its own, which end here. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-*) */
void *__libc_realloc(void *memory, size_t size);
void *__libc_realloc(void *memory, size_t size)
{
    void *moved = !real_realloc || fails(size) ? NULL : real_realloc(memory, size);

    return memory ? moved : counted(moved);
}

void __libc_free(void *memory);
void __libc_free(void *memory)
{
    if (!memory || !real_free)
        return;
    if (chaos)
        atomic_fetch_sub(&chaos->live, 1);
    real_free(memory);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-*) */

int uv_poll_init(void *loop, void *poll, int fd);
int uv_poll_init(void *loop, void *poll, int fd)
{
    return chaos && atomic_load(&chaos->fail_watch) ? -ENOMEM : real_watch(loop, poll, fd);
}

/* --- the wall clock --------------------------------------------------------------------------- */

static int64_t offset_s(void)
{
    return chaos ? atomic_load(&chaos->clock_offset_s) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = real_gettime ? real_gettime(clock, now) : -1;

    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += offset_s();
    return result;
}

time_t time(time_t *to)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    if (to)
        *to = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone)
{
    struct timespec now = {0};

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *to = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

/* The kernel stamps what arrives by the same clock. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t n = real_recvmsg(fd, message, flags);

    for (struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(message) : NULL; c;
         c = CMSG_NXTHDR(message, c)) {
        struct scm_timestamping stamps;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPING)
            continue;
        memcpy(&stamps, CMSG_DATA(c), sizeof stamps);
        if (stamps.ts[0].tv_sec)
            stamps.ts[0].tv_sec += offset_s();
        memcpy(CMSG_DATA(c), &stamps, sizeof stamps);
    }
    return n;
}
