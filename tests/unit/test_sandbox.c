/* What somebody who has taken the process over could still do: a child enters the sandbox, tries
 * everything, and its parent reads how each attempt went. */
#include "pgtls/base/sandbox.h"

#include "pgtls/base/file.h"
#include "pgtls/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The result of a call as the kernel has it: a number, or minus an errno. */
#define TRY(call) ((call) >= 0 ? 0 : -errno)

static char inside[64], outside[64], later[64]; /* directories of this test */
static atomic_int calls_told;

static void on_refused(void)
{
    atomic_fetch_add(&calls_told, 1);
}

static const char *in(const char *directory, const char *name)
{
    static _Thread_local char path[128];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600), result = TRY(fd);

    if (fd >= 0)
        close(fd);
    return result;
}

/* --- programs and processes --- */

static int run_program(void)
{
    char name[] = "true", *argv[] = {name, NULL};

    return TRY(execve("/bin/true", argv, argv + 1));
}

static int run_descriptor(void)
{
    char name[] = "true", *argv[] = {name, NULL};
    int fd = open("/usr/lib/os-release", O_RDONLY | O_CLOEXEC);

    return TRY(syscall(SYS_execveat, fd, "", argv, argv + 1, 0x1000 /* AT_EMPTY_PATH */));
}

static int make_process(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    return TRY(child);
}

static int read_other_memory(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {&byte, 1};

    return TRY(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}

static int end_other(void)
{
    return TRY(kill(getppid(), SIGURG));
}

/* --- files --- */

static int read_outside(void)
{
    return try_open(in(outside, "file"), O_RDONLY);
}

static int read_link_outside(void)
{
    return try_open(in(inside, "leads-outside"), O_RDONLY);
}

static int read_other_process(void)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/environ", (int)getppid());
    return try_open(path, O_RDONLY);
}

static int list_root(void)
{
    return try_open("/", O_RDONLY | O_DIRECTORY);
}

static int write_inside(void)
{
    return try_open(in(inside, "file"), O_WRONLY);
}

static int create_inside(void)
{
    return try_open(in(inside, "new"), O_WRONLY | O_CREAT);
}

static int remove_inside(void)
{
    return TRY(unlink(in(inside, "file")));
}

static int change_rights(void)
{
    return TRY(chmod(in(inside, "file"), 0777));
}

/* --- sockets --- */

static int try_socket(int family, int type, int protocol)
{
    int fd = socket(family, type | SOCK_CLOEXEC, protocol), result = TRY(fd);

    if (fd >= 0)
        close(fd);
    return result;
}

static int see_all_packets(void)
{
    return try_socket(AF_PACKET, SOCK_RAW, 0);
}

static int make_packets(void)
{
    return try_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int talk_to_audit(void)
{
    return try_socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
}

static int listen_for_tcp(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    result = bind(fd, (struct sockaddr *)&any, sizeof any) < 0 ? -EPERM : TRY(listen(fd, 1));
    close(fd);
    return result;
}

/* --- memory, and the kernel --- */

static int make_code(void)
{
    void *at =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? -errno : 0;
}

static int turn_data_into_code(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return TRY(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}

static int show_memory_again(void)
{
    return TRY(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int raise_limit(void)
{
    const struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    return TRY(setrlimit(RLIMIT_CORE, &limit));
}

#define KERNEL_CALL(name)                                                                          \
    static int call_##name(void)                                                                   \
    {                                                                                              \
        return TRY(syscall(SYS_##name, 0, 0, 0, 0, 0, 0));                                         \
    }
KERNEL_CALL(bpf)
KERNEL_CALL(unshare) /* without a namespace it does nothing, and is allowed to everybody */
KERNEL_CALL(ptrace)  /* be traced */
KERNEL_CALL(perf_event_open)
KERNEL_CALL(io_uring_setup)
KERNEL_CALL(mount)
KERNEL_CALL(init_module)
KERNEL_CALL(keyctl)
KERNEL_CALL(setuid)
KERNEL_CALL(open_by_handle_at)

/* --- what must go on working --- */

static int read_inside(void)
{
    return try_open(in(inside, "file"), O_RDONLY);
}

/* Kubernetes swaps the directory that "..data" leads to. */
static int read_swapped(void)
{
    return try_open(in(inside, "password"), O_RDONLY);
}

static int read_what_came_later(void)
{
    return try_open(in(later, "there/now/file"), O_RDONLY);
}

static int read_handed_over(void)
{
    char path[64];
    int fd = memfd_create("anchors", MFD_CLOEXEC), result;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    result = try_open(path, O_RDONLY);
    close(fd);
    return result;
}

static int count_descriptors(void)
{
    return try_open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
}

static int resolve(void)
{
    struct addrinfo *found = NULL;
    int code = getaddrinfo("localhost", "80", NULL, &found);

    if (found)
        freeaddrinfo(found);
    return code ? -EIO : 0;
}

static void *nothing(void *unused)
{
    return unused;
}

static int start_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, nothing, NULL) != 0)
        return -EIO;
    pthread_join(thread, NULL);
    return 0;
}

static int connect_tcp(void)
{
    struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(1)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

    nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    result = TRY(connect(fd, (struct sockaddr *)&nobody, sizeof nobody));
    close(fd);
    return result == -ECONNREFUSED ? 0 : result;
}

static const struct attempt {
    const char *what;
    int (*make)(void);
    int whole;    /* minus an errno, 0: works; with all parts in force, */
    int landlock; /* and without seccomp; 1: not tried */
} attempts[] = {
    {"run a program", run_program, -EPERM, -EACCES},
    {"run a descriptor", run_descriptor, -EPERM, -EACCES},
    {"make a process", make_process, -EPERM, 0},
    {"make a user namespace", call_unshare, -EPERM, 1},
    {"be traced", call_ptrace, -EPERM, 1},
    {"read another process's memory", read_other_memory, -EPERM, -EPERM},
    {"signal another process", end_other, -EPERM, -EPERM},
    {"read a file outside", read_outside, -EACCES, -EACCES},
    {"read a file outside by a link", read_link_outside, -EACCES, -EACCES},
    {"read another process's environment", read_other_process, -EACCES, -EACCES},
    {"list the root", list_root, -EACCES, -EACCES},
    {"write a file", write_inside, -EPERM, -EACCES},
    {"create a file", create_inside, -EPERM, -EACCES},
    {"remove a file", remove_inside, -EACCES, -EACCES},
    {"change rights", change_rights, -EPERM, 1},
    {"see all packets", see_all_packets, -EPERM, -EPERM},
    {"make packets", make_packets, -EPERM, -EPERM},
    {"talk to the audit system", talk_to_audit, -EPERM, 1},
    {"listen", listen_for_tcp, -EPERM, -EPERM},
    {"memory to write and execute", make_code, -EPERM, 1},
    {"turn data into code", turn_data_into_code, -EPERM, 1},
    {"show memory to others again", show_memory_again, -EPERM, 1},
    {"raise the limit of core images", raise_limit, -EPERM, 1},
    {"bpf", call_bpf, -EPERM, 1},
    {"perf_event_open", call_perf_event_open, -EPERM, 1},
    {"io_uring_setup", call_io_uring_setup, -EPERM, 1},
    {"mount", call_mount, -EPERM, 1},
    {"init_module", call_init_module, -EPERM, 1},
    {"keyctl", call_keyctl, -EPERM, 1},
    {"setuid", call_setuid, -EPERM, 1},
    {"open_by_handle_at", call_open_by_handle_at, -EPERM, 1},
    {"read a file inside", read_inside, 0, 0},
    {"read what was swapped in", read_swapped, 0, 0},
    {"read what came later", read_what_came_later, 0, 0},
    {"read what is handed over", read_handed_over, 0, 0},
    {"count descriptors", count_descriptors, 0, 0},
    {"resolve a name", resolve, 0, 0},
    {"start a thread", start_thread, 0, 0},
    {"connect", connect_tcp, 0, 0},
};
#define N_ATTEMPTS (sizeof attempts / sizeof *attempts)

/* What a child found. */
struct findings {
    int results[N_ATTEMPTS], of_thread[N_ATTEMPTS];
    bool active[SANDBOX_PART_COUNT];
    uint64_t refused;
    int told;
    bool named_execve, named_twice;
    char reason[512];
};

static void *try_all(void *results)
{
    for (size_t i = 0; i < N_ATTEMPTS; i++) {
        if (sandbox_active(SANDBOX_SECCOMP) || attempts[i].landlock <= 0)
            ((int *)results)[i] = attempts[i].make();
    }
    return NULL;
}

static pthread_barrier_t limited;

static void *older_thread(void *results)
{
    pthread_barrier_wait(&limited);
    return try_all(results);
}

static void write_file(const char *path)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    fputs("secret\n", file);
    fclose(file);
}

/* Changes what is on disk after the sandbox was entered, as another process does. */
static void change_files(int step)
{
    char from[128], to[128];

    if (step == 0) {
        mkdir(in(inside, "..1"), 0700);
        write_file(in(inside, "..1/password"));
        assert_int_equal(symlink("..1", in(inside, "..data")), 0);
        assert_int_equal(symlink("..data/password", in(inside, "password")), 0);
        snprintf(to, sizeof to, "%s/file", outside);
        assert_int_equal(symlink(to, in(inside, "leads-outside")), 0);
        write_file(in(inside, "file"));
        write_file(in(outside, "file"));
        return;
    }
    mkdir(in(inside, "..2"), 0700);
    write_file(in(inside, "..2/password"));
    assert_int_equal(symlink("..2", in(inside, "..new")), 0);
    str_copy(from, sizeof from, in(inside, "..new"));
    assert_int_equal(rename(from, in(inside, "..data")), 0);
    unlink(in(inside, "..1/password"));
    rmdir(in(inside, "..1"));
    mkdir(in(later, "there"), 0700);
    mkdir(in(later, "there/now"), 0700);
    write_file(in(later, "there/now/file"));
}

static void look_at_refusals(struct findings *f)
{
    char name[64];

    f->refused = sandbox_refused();
    f->told = atomic_load(&calls_told);
    while (sandbox_tell(name, sizeof name)) {
        f->named_twice |= f->named_execve && strcmp(name, "execve") == 0;
        f->named_execve |= strcmp(name, "execve") == 0;
    }
}

/* Never returns. The parent changes the files once the sandbox is entered. */
static void be_confined(bool calls, int go, int report)
{
    const char *file = strdup(in(inside, "password")), *pattern = strdup(in(later, "there/"));
    const char *const readable[] = {file, pattern};
    const struct sandbox_files files = {.readable = readable, .n_readable = 2};
    struct findings f = {.refused = 0};
    pthread_t thread;
    char byte;
    int fd;

    alarm(30);
    sandbox_enter(&files);
    if (write(report, "", 1) != 1 || read(go, &byte, 1) != 1)
        _exit(1);
    pthread_barrier_init(&limited, NULL, 2);
    pthread_create(&thread, NULL, older_thread, f.of_thread);
    if (calls)
        sandbox_limit_calls(on_refused);
    pthread_barrier_wait(&limited);
    pthread_join(thread, NULL);
    try_all(f.results);
    for (int i = 0; i < SANDBOX_PART_COUNT; i++)
        f.active[i] = sandbox_active((enum sandbox_part)i);
    fd = file_open(in(outside, "file"), 100, f.reason, sizeof f.reason);
    if (fd >= 0)
        close(fd);
    look_at_refusals(&f);
    _exit(write(report, &f, sizeof f) == (ssize_t)sizeof f ? 0 : 1);
}

static void confine(bool calls, struct findings *f)
{
    int go[2], report[2], status;
    size_t got = 0;
    pid_t child;
    char byte;

    change_files(0);
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(report), 0);
    child = fork();
    if (child == 0)
        be_confined(calls, go[0], report[1]);
    close(report[1]);
    assert_int_equal(read(report[0], &byte, 1), 1);
    change_files(1);
    assert_int_equal(write(go[1], "", 1), 1);
    while (got < sizeof *f) {
        ssize_t n = read(report[0], (char *)f + got, sizeof *f - got);

        if (n <= 0)
            break;
        got += (size_t)n;
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(got, sizeof *f);
    for (int i = 0; i < 2; i++)
        close(go[i]);
    close(report[0]);
}

static int set_up(void **state)
{
    (void)state;
    signal(SIGURG, SIG_IGN);
    snprintf(inside, sizeof inside, "/tmp/pgtls-inside-XXXXXX");
    snprintf(outside, sizeof outside, "/tmp/pgtls-outside-XXXXXX");
    snprintf(later, sizeof later, "/tmp/pgtls-later-XXXXXX");
    return !(mkdtemp(inside) && mkdtemp(outside) && mkdtemp(later));
}

static int tear_down(void **state)
{
    static const char *const names[] = {"file",   "leads-outside", "password",
                                        "..data", "..2/password",  "there/now/file"};
    static const char *const directories[] = {"..2", "there/now", "there", ""};
    const char *const all[] = {inside, outside, later};

    (void)state;
    for (size_t d = 0; d < 3; d++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            unlink(in(all[d], names[i]));
        for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
            rmdir(in(all[d], directories[i]));
    }
    return 0;
}

/* Kernels without a part are no reason to fail; they are what the metric is for. */
static void need(const struct findings *f, enum sandbox_part part)
{
    if (f->active[part])
        return;
    print_message("no %s here\n", sandbox_part_name(part));
    skip();
}

/* Landlock minds ports from its fourth interface on (Linux 6.7), signals from its sixth (6.12). */
static bool is_known_here(const struct attempt *attempt)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* which it has */) >=
           (attempt->make == end_other        ? 6
            : attempt->make == listen_for_tcp ? 4
                                              : 1);
}

static void check(const struct findings *f, bool whole)
{
    for (size_t i = 0; i < N_ATTEMPTS; i++) {
        int wanted = whole ? attempts[i].whole : attempts[i].landlock;

        if (wanted > 0 || !is_known_here(&attempts[i]))
            continue;
        if (f->results[i] != wanted || f->of_thread[i] != wanted)
            print_error("%s: %d and %d, not %d\n", attempts[i].what, f->results[i], f->of_thread[i],
                        wanted);
        assert_int_equal(f->results[i], wanted);
        assert_int_equal(f->of_thread[i], wanted);
    }
    assert_non_null(strstr(f->reason, "sandbox"));
}

#ifndef PGTLS_SANITIZED /* whose leak detector needs some of it */
static void test_whole(void **state)
{
    struct findings f;

    (void)state;
    confine(true, &f);
    need(&f, SANDBOX_LANDLOCK);
    need(&f, SANDBOX_SECCOMP);
    assert_true(f.active[SANDBOX_CAPABILITIES] && f.active[SANDBOX_NO_NEW_PRIVS]);
    check(&f, true);
    assert_true(f.refused >= 30 && f.told == (int)f.refused);
    assert_true(f.named_execve && !f.named_twice);
}
#endif

static void test_files_alone(void **state)
{
    struct findings f;

    (void)state;
    confine(false, &f);
    need(&f, SANDBOX_LANDLOCK);
    assert_false(f.active[SANDBOX_SECCOMP]);
    check(&f, false);
    assert_int_equal(f.refused, 0);
}

/* A thread whose signals are blocked is not ended by a call that is refused. */
static void test_blocked_signals(void **state)
{
    sigset_t all;

    (void)state;
    sandbox_all_signals(&all);
    assert_int_equal(sigismember(&all, SIGTERM), 1);
    assert_int_equal(sigismember(&all, SIGSYS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifndef PGTLS_SANITIZED
        cmocka_unit_test_setup_teardown(test_whole, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_files_alone, set_up, tear_down),
        cmocka_unit_test(test_blocked_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
