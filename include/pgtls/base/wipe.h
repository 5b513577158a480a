#pragma once
/* What is let go of is wiped. Secrets pass through libraries that copy them and free the copies as
 * they are (libpq, its SASL exchange, the YAML parser), so free() and realloc() of this program
 * overwrite what they give back: a core image, or whoever reads our memory, finds no secret of a
 * login that is over.
 *
 * Not under sanitizers (PGTLS_SANITIZED), which have a free() of their own, nor under valgrind,
 * which replaces this one, nor where the C library is not glibc. */
#include <stdbool.h>
#include <stddef.h>

/* Overwrites n bytes in a way the compiler keeps, and the vector registers of this thread, in which
 * the latest copy of a secret may stay for as long as the thread sleeps. */
void wipe_memory(void *memory, size_t n);

/* For this thread, until told otherwise: what is freed now holds no secret of ours. Only around
 * code that neither is given one nor frees what was made before (docs/performance.md says what it
 * costs to wipe a handshake's memory). */
void wipe_pause(bool pause);

/* Overwrites what copying leaves in the vector registers of this thread: an image of the process
 * holds them, too. Where they are not known it does nothing. wipe_memory calls it. */
void wipe_registers(void);

/* Overwrites what calls that are over have left on this thread's stack, some 32 KiB deep, and what
 * wipe_registers does. For behind libraries that are handed a secret: OpenSSL 3.0 leaves the
 * passphrase of a private key there (epki2pki_decode). */
void wipe_stack(void);

/* Moves a word of the command line out of what the kernel shows as /proc/PID/cmdline, where x's of
 * its length take its place. The caller frees it; NULL, and the word as it was, without memory. */
char *wipe_argument(char *word);
