/* Loaded before the C library (LD_PRELOAD): lets allocations fail and the wall clock step, while
 * the program runs, as a file says that is mapped (PGTLS_CHAOS). For tests of the program that
 * ships. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
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
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);

static struct chaos *chaos;
static int (*real_gettime)(clockid_t, struct timespec *);
static void *(*real_realloc)(void *, size_t);
static ssize_t (*real_recvmsg)(int, struct msghdr *, int);

static void find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(function, &found, sizeof found);
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("PGTLS_CHAOS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map;

    find(&real_gettime, "clock_gettime");
    find(&real_realloc, "__libc_realloc");
    find(&real_recvmsg, "recvmsg");
    if (fd < 0)
        return;
    map = mmap(NULL, sizeof *chaos, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        chaos = map;
}

/* --- memory ----------------------------------------------------------------------------------- */

static int fails(void)
{
    int64_t now, every;

    if (!chaos)
        return 0;
    now = atomic_fetch_add(&chaos->allocations, 1) + 1;
    every = atomic_load(&chaos->fail_every);
    if (!(every > 0 && now % every == 0))
        return 0;
    atomic_fetch_add(&chaos->failed, 1);
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

/* The program has a realloc() of its own, which ends here. */
void *__libc_realloc(void *memory, size_t size);
void *__libc_realloc(void *memory, size_t size)
{
    return !real_realloc || fails() ? NULL : real_realloc(memory, size);
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
