/* /proc/self and the limits, read once per scrape. */
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A small file of /proc, terminated; false when it cannot be read. */
static bool read_file(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, to, size - 1);
    close(fd);
    to[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static double seconds_of(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* When the machine started, from the btime line, or where a sandbox shows processes only
 * (ProcSubset=pid), from the clocks. Once for all threads: it never changes, reading /proc/stat is
 * not free on big machines, and two looks at the clocks come to two results. */
static double boot;

static void find_boot(void)
{
    char line[256];
    FILE *stat = fopen("/proc/stat", "re");

    while (stat && fgets(line, sizeof line, stat)) {
        if (strncmp(line, "btime ", 6) == 0)
            boot = strtod(line + 6, NULL);
    }
    if (stat)
        fclose(stat);
    if (boot <= 0)
        boot = floor(seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME));
}

/* proc(5): fields are counted from 1; the second is the command in brackets, which may hold
 * anything, so counting starts behind the last bracket with field 3. */
enum {
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_THREADS = 20,
    STAT_START = 22,
    STAT_VSIZE = 23,
    STAT_RSS = 24,
    STAT_FIELDS = 25
};

static void read_stat(struct process_facts *facts)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned long long fields[STAT_FIELDS] = {0};
    char text[1024], *at;
    double ticks = (double)sysconf(_SC_CLK_TCK);

    if (!read_file("/proc/self/stat", text, sizeof text) || !(at = strrchr(text, ')')))
        return;
    at += 2; /* the state letter */
    for (size_t i = 4; i < STAT_FIELDS; i++) {
        at = strchr(at, ' ');
        if (!at)
            return;
        fields[i] = strtoull(++at, NULL, 10);
    }
    pthread_once(&once, find_boot);
    facts->stat = true;
    facts->cpu_seconds = (double)(fields[STAT_UTIME] + fields[STAT_STIME]) / ticks;
    facts->start_time_seconds = boot + (double)fields[STAT_START] / ticks;
    facts->virtual_bytes = fields[STAT_VSIZE];
    facts->resident_bytes = fields[STAT_RSS] * (uint64_t)sysconf(_SC_PAGESIZE);
    facts->threads = fields[STAT_THREADS];
}

static void read_fds(struct process_facts *facts)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;

    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] != '.')
            facts->open_fds++;
    }
    closedir(dir);
    facts->open_fds -= facts->open_fds > 0; /* the one it was counted through */
    facts->fds = true;
}

static double limit_value(rlim_t limit)
{
    return limit == RLIM_INFINITY ? 18446744073709551615.0 : (double)limit;
}

void process_facts_read(struct process_facts *facts)
{
    struct rlimit files, memory;

    *facts = (struct process_facts){0};
    read_stat(facts);
    read_fds(facts);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && getrlimit(RLIMIT_AS, &memory) == 0) {
        facts->limits = true;
        facts->max_fds = limit_value(files.rlim_cur);
        facts->max_virtual_bytes = limit_value(memory.rlim_cur);
    }
}
