/* Which files may be opened: Landlock. Its numbers are the kernel's, spelled out where its headers
 * may be older than the kernel (linux/landlock.h). */
#include "sandbox_private.h"

#include "pgtls/base/str.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444 /* the same on every architecture */
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

#define CREATE_RULESET_VERSION 1U
#define RULE_PATH_BENEATH      1

enum {
    FS_EXECUTE = 1 << 0,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_FILE = 1 << 5,
    FS_ALL_OF_1 = (1 << 13) - 1, /* and everything that changes something */
    FS_REFER = 1 << 13,          /* version 2: moving to another directory */
    FS_TRUNCATE = 1 << 14,       /* 3 */
    FS_IOCTL_DEV = 1 << 15,      /* 5 */
    NET_BIND_TCP = 1 << 0,       /* 4 */
    SCOPE_SIGNAL = 1 << 1        /* 6 */
};

/* As the kernel reads it; how much of it depends on its version. */
struct ruleset_attributes {
    uint64_t fs, net, scoped;
};
struct path_beneath {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

/* What the system itself may want to read in a running process: name resolution, OpenSSL's and
 * Kerberos' settings and the system's trust store (/etc, and where its links lead), libraries that
 * are loaded when they are needed, what is known of the machine and of this process. */
static const char *const always[] = {"/etc",
                                     "/usr/lib",
                                     "/usr/lib64",
                                     "/usr/share",
                                     "/lib",
                                     "/lib64",
                                     "/run/systemd/resolve",
                                     "/run/resolvconf",
                                     "/run/NetworkManager",
                                     "/dev/null",
                                     "/dev/zero",
                                     "/dev/random",
                                     "/dev/urandom",
                                     "/proc/stat",
                                     "/proc/meminfo",
                                     "/proc/cpuinfo",
                                     "/proc/sys/vm",
                                     "/proc/sys/kernel",
                                     "/sys/devices/system/cpu"};

/* Which fields this kernel knows, and how long the structure is for it. */
static size_t fit(struct ruleset_attributes *a, long version)
{
    a->fs = FS_ALL_OF_1 | (version >= 2 ? FS_REFER : 0) | (version >= 3 ? FS_TRUNCATE : 0) |
            (version >= 5 ? FS_IOCTL_DEV : 0);
    a->net = version >= 4 ? NET_BIND_TCP : 0;
    a->scoped = version >= 6 ? SCOPE_SIGNAL : 0;
    return version >= 6 ? sizeof *a : version >= 4 ? 2 * sizeof a->fs : sizeof a->fs;
}

/* The path, or what is nearest above it; -1 when that is the root. */
static int open_nearest(const char *path)
{
    char at[PATH_MAX];
    struct stat root, st;
    int fd = -1;

    if (stat("/", &root) != 0 || !str_copy(at, sizeof at, *path ? path : "."))
        return -1;
    while (fd < 0 && at[0]) {
        char *slash = strrchr(at, '/');

        fd = open(at, O_PATH | O_CLOEXEC);
        if (fd < 0 && !slash)
            at[0] = '\0';
        else if (fd < 0)
            *slash = '\0';
    }
    if (fd >= 0 &&
        (fstat(fd, &st) != 0 || (st.st_dev == root.st_dev && st.st_ino == root.st_ino))) {
        close(fd);
        return -1;
    }
    return fd;
}

static void allow_descriptor(int ruleset, int fd, uint64_t rights)
{
    struct path_beneath rule = {.allowed = rights, .parent_fd = fd};
    struct stat st;

    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed &= FS_READ_FILE;
    if (rule.allowed)
        syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
}

static void allow(int ruleset, const char *path, uint64_t rights)
{
    int fd = open_nearest(path);

    if (fd < 0)
        return;
    allow_descriptor(ruleset, fd, rights);
    close(fd);
}

/* Where a link leads to, the directory counts: what is swapped in next stands beside it, as when a
 * link "current" goes from releases/4 to releases/5. A link's own directory needs no rule, as links
 * are followed without one. */
static void allow_links(int ruleset, const char *path)
{
    char at[PATH_MAX], real[PATH_MAX];
    struct stat st;

    if (!str_copy(at, sizeof at, path))
        return;
    for (char *slash = at + strlen(at); slash; slash = strrchr(at, '/')) {
        char *last;

        *slash = '\0';
        if (!at[0] || lstat(at, &st) != 0 || !S_ISLNK(st.st_mode) || !realpath(at, real))
            continue;
        last = strrchr(real, '/');
        if (last && last != real) {
            *last = '\0';
            allow(ruleset, real, FS_READ_FILE | FS_READ_DIR);
        }
    }
}

/* /proc/self, whose descriptor stays open for good: the kernel may make another inode of what
 * nobody holds, and the rule is about this one. */
static void allow_own_process(int ruleset)
{
    int fd = open("/proc/self", O_PATH | O_CLOEXEC | O_DIRECTORY);

    if (fd >= 0)
        allow_descriptor(ruleset, fd, FS_READ_FILE | FS_READ_DIR);
}

/* A directory; of a file the one it stands in, where it may be replaced, but never the root: then
 * the file alone. */
static void allow_around(int ruleset, const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX] = ".";
    struct stat st;
    int fd;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        allow(ruleset, path, FS_READ_FILE | FS_READ_DIR);
        return;
    }
    if (slash)
        snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
    fd = open_nearest(slash == path ? "/" : directory);
    if (fd < 0)
        fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return;
    allow_descriptor(ruleset, fd, FS_READ_FILE | FS_READ_DIR);
    close(fd);
}

static void allow_all(int ruleset, const struct sandbox_files *files)
{
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        if (access(always[i], F_OK) == 0)
            allow(ruleset, always[i], FS_READ_FILE | FS_READ_DIR);
    }
    allow_own_process(ruleset);
    allow_links(ruleset, "/etc/resolv.conf");
    allow_links(ruleset, "/etc/hosts");
    for (size_t i = 0; i < files->n_readable; i++) {
        allow_around(ruleset, files->readable[i]);
        allow_links(ruleset, files->readable[i]);
    }
    for (size_t i = 0; i < files->n_sockets; i++)
        allow(ruleset, files->sockets[i], FS_REMOVE_FILE);
}

bool sandbox_limit_files(const struct sandbox_files *files)
{
    struct ruleset_attributes attributes = {0};
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    size_t size;
    int ruleset;
    bool ok;

    if (version < 1)
        return false;
    size = fit(&attributes, version);
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    if (ruleset < 0)
        return false;
    allow_all(ruleset, files);
    ok = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    close(ruleset);
    return ok;
}
