#pragma once
/* What the process gives up once it runs, so that whoever takes it over by a hole in a parser finds
 * little to do with it. In four parts, each of them for itself where the kernel has it:
 *
 *  - capabilities: none is left, and none can be had again.
 *  - no_new_privs: no program that it might start has more rights than itself.
 *  - landlock (Linux 5.13): files are opened for reading only, and only below directories that are
 *    given here; nothing is executed, no TCP port opened; no signal to other processes (6.12).
 *  - seccomp: only the system calls that the exporter needs (src/base/sandbox_calls.inc), some of
 *    them only with the arguments that it uses: no program, no process, no file for writing, no
 *    socket but IP, Unix and routing ones, no debugging, no memory that is written and executed.
 *    Others fail with EPERM, are counted and reported, and end nothing: a library that asks for
 *    something new is no reason for the monitoring to stop.
 *
 * Nothing of it can be undone. Landlock and capabilities are a thread's own and inherited by those
 * that it starts, so they come before the first one; seccomp comes last and reaches all. */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sandbox_part {
    SANDBOX_CAPABILITIES,
    SANDBOX_NO_NEW_PRIVS,
    SANDBOX_LANDLOCK,
    SANDBOX_SECCOMP,
    SANDBOX_PART_COUNT
};
const char *sandbox_part_name(enum sandbox_part part); /* label value `part` */

/* What may be opened for reading: all below the directories that are named, and below those in
 * which named files stand, wherever links on the way lead; of one that does not exist, below the
 * nearest above it that does. Never all below "/": of a file that stands there, the file alone.
 * Beside them what any process needs (/etc, libraries, its own /proc). */
struct sandbox_files {
    const char *const *readable;
    size_t n_readable;
    const char *const *sockets; /* directories in which our own socket files are to be removed */
    size_t n_sockets;
};

/* Drops capabilities, sets no_new_privs, limits files. In the main thread, before the first other.
 * What the kernel does not have is left out: see sandbox_active. */
void sandbox_enter(const struct sandbox_files *files);

/* Limits the system calls of all threads. `refused` is called by a signal handler, in any thread,
 * whenever a call was refused, and may do only what handlers may. Needs sandbox_enter. */
void sandbox_limit_calls(void (*refused)(void));

/* Every signal but the one that a refused call raises in its own thread: where that is blocked, it
 * ends the process. */
void sandbox_all_signals(sigset_t *all);

/* Any thread. */
bool sandbox_active(enum sandbox_part part);
uint64_t sandbox_refused(void); /* system calls, so far */

/* The name of a call that was refused and was not told yet; false when there is no further one.
 * Every call is told once. One thread. */
bool sandbox_tell(char *name, size_t size);

/* What to say of a file that could not be opened with this errno; NULL when the sandbox cannot be
 * the reason. */
const char *sandbox_why(int error);

/* A file or directory that our rights would let us read, and the sandbox does not: neither stat()
 * nor access() tells. */
bool sandbox_hides(const char *path);
