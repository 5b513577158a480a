#pragma once
/* What the kernel tells about this process, for process_*. */
#include <stdbool.h>
#include <stdint.h>

struct process_facts {
    bool stat; /* the fields of /proc/self/stat below are known */
    double cpu_seconds, start_time_seconds;
    uint64_t virtual_bytes, resident_bytes, threads;
    bool fds; /* open_fds is known */
    uint64_t open_fds;
    bool limits;
    double max_fds, max_virtual_bytes;
};

void process_facts_read(struct process_facts *facts);
