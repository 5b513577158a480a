/* What the process gives up: capabilities and what is told about all parts. */
#include "sandbox_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_CAPABILITY 63

static atomic_bool active[SANDBOX_PART_COUNT];

const char *sandbox_part_name(enum sandbox_part part)
{
    static const char *const names[] = {[SANDBOX_CAPABILITIES] = "capabilities",
                                        [SANDBOX_NO_NEW_PRIVS] = "no_new_privs",
                                        [SANDBOX_LANDLOCK] = "landlock",
                                        [SANDBOX_SECCOMP] = "seccomp"};

    return names[part];
}

bool sandbox_active(enum sandbox_part part)
{
    return atomic_load(&active[part]);
}

void sandbox_set_active(enum sandbox_part part)
{
    atomic_store(&active[part], true);
}

/* Also out of the bounding set, from which a program that belongs to root would take them. A filter
 * around us may forbid to drop what was never there (systemd's): what counts is what is left. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    struct __user_cap_data_struct left[_LINUX_CAPABILITY_U32S_3] = {{0}};

    for (int i = 0; i <= MAX_CAPABILITY; i++)
        prctl(PR_CAPBSET_DROP, i, 0, 0, 0); /* needs one itself: who has none loses none */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    syscall(SYS_capset, &header, none);
    return syscall(SYS_capget, &header, left) == 0 && memcmp(left, none, sizeof none) == 0;
}

void sandbox_enter(const struct sandbox_files *files)
{
    if (drop_capabilities())
        sandbox_set_active(SANDBOX_CAPABILITIES);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        sandbox_set_active(SANDBOX_NO_NEW_PRIVS);
    if (sandbox_limit_files(files))
        sandbox_set_active(SANDBOX_LANDLOCK);
}

const char *sandbox_why(int error)
{
    if (error != EACCES || !sandbox_active(SANDBOX_LANDLOCK))
        return NULL;
    return "permission denied, by its rights or by the sandbox: no directory of this file was "
           "named "
           "when the exporter started; restart it then";
}

bool sandbox_hides(const char *path)
{
    int fd;
    bool hidden;

    if (!sandbox_active(SANDBOX_LANDLOCK))
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    hidden = fd < 0 && errno == EACCES && access(path, R_OK) == 0;
    if (fd >= 0)
        close(fd);
    return hidden;
}
