/* Which system calls may be made: seccomp, by libseccomp. */
#include "sandbox_private.h"

#include "pgtls/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

/* Numbers beyond this are of other architectures' calls: counted, not named. */
#define MAX_CALLS 1024

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

static void (*on_refused)(void);
static _Atomic uint64_t refused_calls;
static atomic_bool to_tell[MAX_CALLS], told[MAX_CALLS];

uint64_t sandbox_refused(void)
{
    return atomic_load(&refused_calls);
}

bool sandbox_tell(char *name, size_t size)
{
    for (int i = 0; i < MAX_CALLS; i++) {
        char *found;

        if (!atomic_exchange(&to_tell[i], false) || atomic_exchange(&told[i], true))
            continue;
        found = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
        str_copy(name, size, found ? found : "unknown");
        free(found);
        return true;
    }
    return false;
}

void sandbox_all_signals(sigset_t *all)
{
    sigfillset(all);
    sigdelset(all, SIGSYS);
}

/* --- what happens to a call that is refused --------------------------------------------------- */

/* Where a call's result goes. Without it there is no handler: the kernel itself says EPERM, and
 * nothing is counted. */
#if defined(__x86_64__)
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#endif

#ifdef RESULT
#define REFUSAL SCMP_ACT_TRAP

/* In the thread that made the call, in the place of the call. */
static void on_call(int number, siginfo_t *info, void *context)
{
    int call = info->si_syscall, kept = errno;

    (void)number;
    RESULT((ucontext_t *)context) = -EPERM;
    atomic_fetch_add(&refused_calls, 1);
    if (call >= 0 && call < MAX_CALLS && !atomic_load(&told[call]))
        atomic_store(&to_tell[call], true);
    on_refused();
    errno = kept;
}

static bool catch_refusals(void)
{
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER};

    return sigaction(SIGSYS, &action, NULL) == 0;
}
#else
#define REFUSAL SCMP_ACT_ERRNO(EPERM)

static bool catch_refusals(void)
{
    return true;
}
#endif

/* --- what is allowed -------------------------------------------------------------------------- */

static const char *const plain[] = {
#define CALL(name) #name,
#include "sandbox_calls.inc"
#undef CALL
#ifdef PGTLS_SANITIZED /* its leak detector stops the process by another one that traces it */
    "ptrace",           "wait4",    "clone", "clone3", "kill",   "openat",    "open", "mkdir",
    "process_vm_readv", "mprotect", "mmap",  "prctl",  "tgkill", "prlimit64",
#endif
};

/* Up to two conditions on arguments, both to hold. */
static const struct limited {
    const char *name;
    unsigned n;
    struct scmp_arg_cmp when[2];
} limited[] = {
    /* Threads, and no processes. clone3, whose arguments cannot be seen, is said not to be there:
     * the C library takes clone then. */
    {"clone", 1, {{0, SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM}}},
    /* Memory is written or executed, never both; executed is what comes from a file (libraries that
     * are loaded when they are needed), and nothing is made executable later. */
    {"mmap", 1, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}},
    {"mmap",
     2,
     {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC},
      {3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, 0}}},
    {"mprotect", 1, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}},
    /* Files are read. */
    {"openat", 1, {{2, SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY}}},
    {"open", 1, {{1, SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY}}},
    /* TCP, UDP, Unix sockets, and the kernel's list of addresses, which getaddrinfo() asks for. */
    {"socket", 2, {{0, SCMP_CMP_EQ, AF_UNIX, 0}, {2, SCMP_CMP_EQ, 0, 0}}},
    {"socket", 2, {{0, SCMP_CMP_EQ, AF_INET, 0}, {1, SCMP_CMP_MASKED_EQ, 0xF, SOCK_STREAM}}},
    {"socket", 2, {{0, SCMP_CMP_EQ, AF_INET, 0}, {1, SCMP_CMP_MASKED_EQ, 0xF, SOCK_DGRAM}}},
    {"socket", 2, {{0, SCMP_CMP_EQ, AF_INET6, 0}, {1, SCMP_CMP_MASKED_EQ, 0xF, SOCK_STREAM}}},
    {"socket", 2, {{0, SCMP_CMP_EQ, AF_INET6, 0}, {1, SCMP_CMP_MASKED_EQ, 0xF, SOCK_DGRAM}}},
    {"socket", 2, {{0, SCMP_CMP_EQ, AF_NETLINK, 0}, {2, SCMP_CMP_EQ, 0 /* NETLINK_ROUTE */, 0}}},
    {"socketpair", 1, {{0, SCMP_CMP_EQ, AF_UNIX, 0}}},
    {"ioctl", 1, {{1, SCMP_CMP_EQ, FIONBIO, 0}}},
    {"ioctl", 1, {{1, SCMP_CMP_EQ, FIONREAD, 0}}},
    {"ioctl", 1, {{1, SCMP_CMP_EQ, FIOCLEX, 0}}},
    {"ioctl", 1, {{1, SCMP_CMP_EQ, TCGETS, 0}}},
    {"ioctl", 1, {{1, SCMP_CMP_EQ, SIOCGIFINDEX, 0}}},
    {"ioctl", 1, {{1, SCMP_CMP_EQ, SIOCGIFNAME, 0}}},
    {"prctl", 1, {{0, SCMP_CMP_EQ, PR_SET_NAME, 0}}},
    {"prctl", 1, {{0, SCMP_CMP_EQ, PR_GET_NAME, 0}}},
    {"prctl", 1, {{0, SCMP_CMP_EQ, PR_GET_DUMPABLE, 0}}},
    {"prctl", 1, {{0, SCMP_CMP_EQ, PR_SET_VMA, 0}}}, /* names for memory */
};

/* Calls that this architecture, or this libseccomp, does not know are none that could be made. */
static bool add(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned n,
                const struct scmp_arg_cmp *when)
{
    int number = seccomp_syscall_resolve_name(name);

    return number < 0 || seccomp_rule_add_array(filter, action, number, n, when) == 0;
}

/* Signals to ourselves: abort(), and threads that are woken by one; limits are looked at. */
static bool add_own(scmp_filter_ctx filter)
{
    struct scmp_arg_cmp own = {0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0};
    struct scmp_arg_cmp only_look = {2, SCMP_CMP_EQ, 0, 0};

    return add(filter, SCMP_ACT_ALLOW, "tgkill", 1, &own) &&
           add(filter, SCMP_ACT_ALLOW, "kill", 1, &own) &&
           add(filter, SCMP_ACT_ALLOW, "prlimit64", 1, &only_look);
}

static bool is_plain(const char *name)
{
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(plain[i], name) == 0)
            return true;
    }
    return false;
}

static bool add_all(scmp_filter_ctx filter)
{
    bool ok = is_plain("clone3") || add(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);

    for (size_t i = 0; i < sizeof plain / sizeof *plain && ok; i++)
        ok = add(filter, SCMP_ACT_ALLOW, plain[i], 0, NULL);
    for (size_t i = 0; i < sizeof limited / sizeof *limited && ok; i++)
        ok = is_plain(limited[i].name) ||
             add(filter, SCMP_ACT_ALLOW, limited[i].name, limited[i].n, limited[i].when);
    return ok && (is_plain("tgkill") || add_own(filter));
}

void sandbox_limit_calls(void (*refused)(void))
{
    scmp_filter_ctx filter = seccomp_init(REFUSAL);

    on_refused = refused;
    if (filter && catch_refusals() && add_all(filter) &&
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0 && seccomp_load(filter) == 0)
        sandbox_set_active(SANDBOX_SECCOMP);
    seccomp_release(filter);
}
