#pragma once
/* What is let go of is wiped. Secrets pass through libraries that copy them and free the copies as
 * they are (libpq, its SASL exchange, the YAML parser), so free() and realloc() of this program
 * overwrite what they give back: a core image, or whoever reads our memory, finds no secret of a
 * login that is over. Costs less than a hundredth of a probe's CPU.
 *
 * Not under sanitizers, which have a free() of their own, nor where the C library is not glibc. */

/* Moves the environment out of the block that the kernel shows as /proc/PID/environ, which is
 * overwritten; getenv() works as before. Call once, before the first thread. */
void wipe_environment(void);
